//! The schema `highwater`: everything that Highwater keeps in a database, except the triggers on tracked tables.
//!
//! ```text
//! meta            one row: format, epoch, identity of the database, id of the current key
//! seal_key        the keys that links are sealed with; never deleted, only succeeded
//! tick            snapshots by time, each with a nonce; the first one of each run of the server tells of a crash before
//! registered      what is tracked; everybody else reads it through the view tracked_table
//! lost            marks of transactions that could not be captured: each ends the older links of a table
//! doubt           marks of changes in partitions that nobody knew yet
//! sentinel        UNLOGGED: a crash empties it, together with the UNLOGGED histories
//! history_<id>    undo records, one table for each tracked table
//! ```
//!
//! What must hold: a program that knows [`FORMAT`] can work with tables whose `readable_by` is not greater, also while other nodes run another
//! version; every change of the format happens in one transaction under [`LOCK`]. What is deliberately absent: what depends on a
//! single table ([`crate::capture`]).

use highwater_core::Error;
use tokio_postgres::Transaction;

use crate::error::Fault;
use crate::schema::quote;
use crate::{maintain, wake};

/// The format of the tables that this program writes. Grows with every change that an older program would not understand.
pub(crate) const FORMAT: i32 = 1;

/// The advisory lock of everybody who changes the tracking (`highwater` in ASCII, shortened).
pub(crate) const LOCK: i64 = 0x6869_6768_7761_7465;

const TABLES: &str = include_str!("own_schema/tables.sql");
const FUNCTIONS: &str = include_str!("own_schema/functions.sql");

/// The rights on the schema that a role needs to serve: to read, and to do the maintenance.
pub(crate) fn grants(role: &str) -> String {
    include_str!("own_schema/grants.sql").replace("$ROLE", &quote(role))
}

/// The statements that make the schema and all of its functions, without identity and keys.
pub(crate) fn create_script() -> String {
    let functions = FUNCTIONS
        .replace("$LOCKS", &maintain::LOCKS.to_string())
        .replace("$TICK", &(maintain::Step::Tick as i32).to_string());
    format!("{TABLES}\n{functions}\n{}", wake::ddl::OBJECTS)
}

/// What there is of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Absent,
    /// Tables of a format that this program can work with.
    Current,
    /// Tables of an older format.
    Older(i32),
}

/// Looks what there is. The caller's transaction holds [`LOCK`] or only wants to know.
///
/// # Errors
///
/// [`Error::Unavailable`] if a newer version of Highwater made the tables, [`Error::Unsupported`] if the schema is something else, else
/// what PostgreSQL reports.
pub(crate) async fn state(client: &Transaction<'_>) -> Result<State, Fault> {
    // Not to_regnamespace(): a session that has waited for another one may still remember that there was none.
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'highwater'), \
         EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'highwater' AND c.relname = 'meta')";
    let row = client.query_typed_one(sql, &[]).await?;
    match (row.try_get(0)?, row.try_get(1)?) {
        (false, _) => return Ok(State::Absent),
        (true, false) => {
            return Err(Error::Unsupported(
                "The database has a schema highwater that is not Highwater's; rename it to have tables tracked.".into(),
            )
            .into());
        }
        (true, true) => {}
    }
    let sql = "SELECT format, readable_by FROM highwater.meta";
    let Some(row) = client.query_typed_opt(sql, &[]).await? else {
        return Err(Error::Unsupported(
            "Highwater's table highwater.meta is empty. Untrack the database and track it again (old links end).".into(),
        )
        .into());
    };
    let (format, readable_by): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if readable_by > FORMAT {
        return Err(Error::Unavailable(format!(
            "The database is tracked by a newer version of Highwater (format {format}, this program knows {FORMAT}); use that version."
        ))
        .into());
    }
    Ok(if format < FORMAT {
        State::Older(format)
    } else {
        State::Current
    })
}

/// Makes the schema, with a new identity and a first key. The caller's transaction holds [`LOCK`].
pub(crate) async fn create(write: &Transaction<'_>) -> Result<(), Fault> {
    write.batch_execute(&create_script()).await?;
    write.batch_execute(&fill_script()).await?;
    Ok(())
}

/// The statements that give a new schema its identity, its first key and its first tick.
pub(crate) fn fill_script() -> String {
    // The secret is made in the database so that it is in no script: 244 random bits of two UUIDs.
    let secret = "decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex')";
    format!(
        "INSERT INTO highwater.seal_key(id, secret) VALUES ((random() * 2147483647)::integer, {secret});
INSERT INTO highwater.meta(format, readable_by, epoch, identity, current_key)
SELECT {FORMAT}, {FORMAT}, {RANDOM}, '', k.id FROM highwater.seal_key AS k;
UPDATE highwater.meta SET identity = highwater.identity();
SELECT highwater.settle();"
    )
}

/// Brings tables of an older format to [`FORMAT`]. The caller's transaction holds [`LOCK`].
pub(crate) async fn upgrade(_write: &Transaction<'_>, format: i32) -> Result<(), Fault> {
    // There is no older format yet; each new one adds its step here, and its own `readable_by`.
    Err(Error::Corrupt(format!(
        "The format {format} of Highwater's tables does not exist."
    ))
    .into())
}

/// SQL for a random number below 2^62, so that a little can be added.
pub(crate) const RANDOM: &str = "(('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint & 4611686018427387903)";
