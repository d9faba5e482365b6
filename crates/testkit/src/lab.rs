//! What a kind of database must offer so that the oracle suite can run on it: one trait to implement for a new store.
//!
//! What must hold: the *outside programs* of a lab know nothing of Highwater and reach the database without it; what
//! [`Lab::rows`] reads is the committed state and nothing else. What is deliberately absent: the suite itself.

use std::sync::Arc;

use crate::flavour::Flavour;
use crate::http::Transport;

/// A value as the database itself stores it, read without Highwater.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// `NULL`
    Null,
    /// A truth value, where the database has a type for it.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Text, or a value of a type that only has a text form (dates, decimals, ids).
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed.
    Done {
        /// How many rows it changed itself (not by triggers), as far as the program can see.
        rows: u64,
        /// The id that the program sees as the last one generated for it; 0 where there is no such thing.
        identity: i64,
    },
    /// The database refused it; a code that does not depend on names or on the text of a message.
    Refused(i64),
}

/// A program that uses the database and knows nothing of Highwater: one connection.
pub trait Outside: Send {
    /// Executes one statement or transaction command.
    fn execute(&mut self, sql: &str) -> Outcome;

    /// Whether a transaction is open after the last statement.
    fn in_transaction(&self) -> bool;

    /// Whether nothing but the end of the open transaction is accepted, because a statement was refused.
    fn has_failed(&self) -> bool {
        false
    }

    /// Whether the next statement may see older rows than those that were committed last.
    fn sees_the_past(&self) -> bool {
        false
    }

    /// Says whether the next statement is to wait for other transactions, as opposed to being refused soon.
    fn be_patient(&mut self, patient: bool) {
        let _ = patient;
    }

    /// What the database says about the last refusal, for the report of a failure.
    fn complaint(&self) -> String;
}

/// Which of the two databases an outside program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that Highwater serves.
    Served,
    /// One that gets the same statements and that Highwater never touches: what differs between the two is Highwater's doing.
    Shadow,
}

/// A copy of the whole database in an earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup(pub usize);

/// A throw-away database with the server side that belongs to it.
pub trait Lab {
    /// Which SQL the generators may use.
    fn flavour(&self) -> &'static Flavour;

    /// Creates tables in both databases, before Highwater sees either. Panics if the database refuses.
    fn create(&mut self, ddl: &[String]);

    /// A program of the given number. Programs of different numbers behave differently where the database knows such
    /// differences (settings of a session); programs of one number behave alike on both databases.
    fn outside(&self, which: Which, number: usize) -> Box<dyn Outside>;

    /// The rows of a `SELECT` in the last committed state.
    fn rows(&self, which: Which, sql: &str) -> Vec<Vec<Cell>>;

    /// Starts (or restarts) the server side: tracks every table and serves it. What served before is dropped first.
    fn open(&mut self) -> Arc<dyn Transport>;

    /// Stops the server side.
    fn close(&mut self);

    /// Forgets all history up to now, as if the retention had passed.
    fn prune(&mut self);

    /// Copies both databases, whatever is going on in them.
    fn backup(&mut self) -> Backup;

    /// Replaces both databases by an earlier copy. The server side may be open if [`Lab::restores_while_open`]; no outside
    /// program may be.
    fn restore(&mut self, backup: Backup);

    /// Whether [`Lab::restore`] is possible while the server side is open.
    fn restores_while_open(&self) -> bool;

    /// Whether the database crashes whenever the server side is opened again, which may end links to states that were seen shortly before.
    fn crashes(&self) -> bool {
        false
    }

    /// Whether the restored database is the same one, so that links from before the backup live on, as opposed to a copy, where no
    /// link does.
    fn restores_itself(&self) -> bool;
}
