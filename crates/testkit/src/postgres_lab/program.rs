//! A program that uses PostgreSQL and knows nothing of Highwater.
//!
//! What must hold: it connects anew after it has lost its connection, as any program does.

use highwater_throwaway::{Answer, Cluster, Database, Refusal, Session, State};

use crate::flavour::code;
use crate::lab::{Outcome, Outside};

/// What a statement waits for others when nobody else can go on meanwhile.
const IMPATIENT: &str = "10ms";
/// What it waits at most otherwise.
const PATIENT: &str = "20s";

/// What all programs begin with: there is always an answer to what the last number was, and who waits in a circle is told soon.
const BEGIN: &str = "CREATE TEMPORARY SEQUENCE own_numbers; SELECT nextval('own_numbers'); \
     SET deadlock_timeout = '20ms'";

/// What each program sets before anything else. None of it may make a difference to Highwater.
const SETTINGS: [&str; 7] = [
    "",
    "SET default_transaction_isolation = 'repeatable read'; SET DateStyle = 'German'; \
     SET TimeZone = 'Asia/Kathmandu'; SET IntervalStyle = 'iso_8601'",
    "SET default_transaction_isolation = 'serializable'; SET DateStyle = 'SQL, MDY'; \
     SET TimeZone = 'America/New_York'; SET IntervalStyle = 'sql_standard'",
    "SET session_replication_role = 'replica'",
    "SET search_path = ''; SET extra_float_digits = -5; SET bytea_output = 'escape'; \
     SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off",
    // It has no rights on Highwater's own schema.
    "SET ROLE highwater_test_user",
    "SET DateStyle = 'Postgres, DMY'; SET IntervalStyle = 'postgres_verbose'; SET client_min_messages = 'error'",
];

/// Which programs read, unless told otherwise, what was committed before their transaction began.
const ISOLATED: [usize; 2] = [1, 2];

pub(super) struct Program {
    cluster: &'static Cluster,
    database: String,
    number: usize,
    session: Option<Session>,
    /// What `lock_timeout` is to be.
    patience: &'static str,
    /// What it is, as far as is known.
    lock_timeout: Option<&'static str>,
    /// Whether the open transaction sees what was committed before it began, and nothing later.
    sees_the_past: bool,
    complaint: String,
}

impl Program {
    pub(super) fn new(database: &Database<'static>, number: usize) -> Program {
        Program {
            cluster: database.cluster(),
            database: database.name().to_owned(),
            number: number % SETTINGS.len(),
            session: None,
            patience: IMPATIENT,
            lock_timeout: None,
            sees_the_past: false,
            complaint: String::new(),
        }
    }

    /// Executes a statement, on a new connection if need be.
    fn attempt(&mut self, sql: &str) -> Result<Answer, Refusal> {
        let sql = self.own_names(sql);
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                self.lock_timeout = None;
                let session = self.cluster.session(&self.database);
                let mut session = session.map_err(|error| Refusal {
                    code: "08006".to_owned(),
                    message: error.to_string(),
                })?;
                session.run(BEGIN)?;
                session.run(SETTINGS[self.number])?;
                self.session.insert(session)
            }
        };
        if self.lock_timeout != Some(self.patience) && session.state() != State::Failed {
            session.run(&format!("SET lock_timeout = '{}'", self.patience))?;
            self.lock_timeout = Some(self.patience);
        }
        match sql.split_once('\n') {
            Some((copy, input)) if copy.starts_with("COPY ") => session.copy(copy, input),
            _ => session.run(&sql),
        }
    }

    /// Prepared transactions have names in the whole cluster.
    fn own_names(&self, sql: &str) -> String {
        let mut sql = sql.to_owned();
        for words in ["PREPARE TRANSACTION '", "PREPARED '"] {
            sql = sql.replace(words, &format!("{words}{} ", self.database));
        }
        sql
    }

    /// The number that the database says it made last for this program.
    fn last_number(&mut self) -> i64 {
        let answer = match &mut self.session {
            Some(session) if session.state() == State::Idle => session.run("SELECT lastval()"),
            // An error would end the transaction.
            _ => return 0,
        };
        let value = answer.ok().and_then(|answer| answer.rows[0][0].clone());
        value.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn state(&self) -> State {
        self.session.as_ref().map_or(State::Idle, Session::state)
    }
}

impl Outside for Program {
    fn execute(&mut self, sql: &str) -> Outcome {
        let was_open = self.in_transaction();
        let outcome = self.attempt(sql);
        if self.state() == State::Lost {
            self.session = None;
        }
        if !self.in_transaction() {
            self.sees_the_past = false;
        } else if !was_open {
            self.sees_the_past = sql.contains("ISOLATION LEVEL") || ISOLATED.contains(&self.number);
        }
        // What was set may be as it was before.
        if (was_open && !self.in_transaction()) || sql.starts_with("ROLLBACK TO") {
            self.lock_timeout = None;
        }
        match outcome {
            Ok(answer) => Outcome::Done {
                rows: answer.count(),
                identity: match sql.starts_with("INSERT") {
                    true => self.last_number(),
                    false => 0,
                },
            },
            Err(refusal) => {
                self.complaint = refusal.to_string();
                Outcome::Refused(code(&refusal.code))
            }
        }
    }

    fn in_transaction(&self) -> bool {
        matches!(self.state(), State::Open | State::Failed)
    }

    fn has_failed(&self) -> bool {
        self.state() == State::Failed
    }

    fn sees_the_past(&self) -> bool {
        self.sees_the_past || (!self.in_transaction() && ISOLATED.contains(&self.number))
    }

    fn be_patient(&mut self, patient: bool) {
        self.patience = if patient { PATIENT } else { IMPATIENT };
    }

    fn complaint(&self) -> String {
        self.complaint.clone()
    }
}
