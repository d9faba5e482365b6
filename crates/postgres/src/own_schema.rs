//! The schema `highwater`: everything that Highwater keeps in a database, except the triggers on tracked tables.
//!
//! ```text
//! meta            one row: format, epoch, identity of the database, id of the current key
//! seal_key        the keys that links are sealed with; never deleted, only succeeded
//! tick            snapshots by time, each with a nonce; the first one of each run of the server tells of a crash before
//! registered      what is tracked; everybody else reads it through the view tracked_table
//! lost            marks of transactions that could not be captured: each ends the older links of a table
//! doubt           marks of changes in partitions that nobody knew yet
//! sentinel        UNLOGGED: a crash empties it, together with the application's UNLOGGED tables
//! history_<id>    undo records, one table for each tracked table
//! ```
//!
//! What must hold: a program that knows [`FORMAT`] can work with tables whose `readable_by` is not greater, also while other nodes run another
//! version; every change of the format happens in one transaction under [`LOCK`], which nobody who writes these tables runs beside. What is
//! deliberately absent: what depends on a single table ([`crate::capture`]).

use highwater_core::Error;
use tokio_postgres::Transaction;

use crate::error::Fault;
use crate::schema::quote;
use crate::{maintain, wake};

/// A change of the tables, from one format to the next.
pub(crate) struct Upgrade {
    /// The oldest format that a program must know to work with the result.
    pub(crate) readable_by: i32,
    /// The statements. They run while older nodes serve, so they must not rewrite or empty a table that is read by a snapshot: a request whose
    /// snapshot is older would find nothing in it. And they must leave alone what `highwater.layout()` says, or note what it says now in
    /// `highwater.registered`, or all links end. Functions are replaced afterwards.
    pub(crate) sql: &'static str,
}

/// The first one leads from format 1 to format 2, and so on. What was released is not changed any more. A new schema is made in the newest
/// format at once (`tables.sql`), which must come to the same.
pub(crate) const UPGRADES: &[Upgrade] = &[];

/// The format of the tables that this program writes.
pub(crate) const FORMAT: i32 = newest(UPGRADES);

const fn newest(upgrades: &[Upgrade]) -> i32 {
    1 + upgrades.len() as i32
}

/// What a program that knows these changes writes into a schema that it has brought up to date.
const fn readable_by(upgrades: &[Upgrade]) -> i32 {
    match upgrades.last() {
        Some(last) => last.readable_by,
        None => 1,
    }
}

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
    format!("{TABLES}\n{}", functions_script())
}

/// The statements that make the functions what this program expects, whatever they were.
fn functions_script() -> String {
    let functions = FUNCTIONS
        .replace("$LOCKS", &maintain::LOCKS.to_string())
        .replace("$TICK", &(maintain::Step::Tick as i32).to_string());
    format!("{functions}\n{}", wake::ddl::OBJECTS)
}

/// The statements that bring a schema of an older format up to date.
pub(crate) fn upgrade_script(format: i32, upgrades: &[Upgrade]) -> Result<String, Fault> {
    let missing = usize::try_from(format - 1)
        .ok()
        .and_then(|known| upgrades.get(known..))
        .ok_or_else(|| {
            Error::Corrupt(format!(
                "Highwater's table highwater.meta says that the format is {format}, which does not exist. Restore it from a backup."
            ))
        })?;
    let mut script: String = missing
        .iter()
        .map(|upgrade| format!("{};\n", upgrade.sql))
        .collect();
    script.push_str(&functions_script());
    script.push_str(&format!(
        "UPDATE highwater.meta SET format = {}, readable_by = {}",
        newest(upgrades),
        readable_by(upgrades)
    ));
    Ok(script)
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
    state_for(client, FORMAT).await
}

/// As [`state`], for a program that knows this format.
async fn state_for(client: &Transaction<'_>, known: i32) -> Result<State, Fault> {
    match shape(client).await? {
        Shape::Absent => return Ok(State::Absent),
        Shape::Foreign => return Err(foreign().into()),
        Shape::Damaged => return Err(damaged("the table highwater.meta is missing").into()),
        Shape::Whole => {}
    }
    let sql = "SELECT format, readable_by FROM highwater.meta";
    let Some(row) = client.query_typed_opt(sql, &[]).await? else {
        return Err(damaged("the table highwater.meta is empty").into());
    };
    let (format, readable_by): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if readable_by > known {
        return Err(newer(format, known).into());
    }
    Ok(if format < known {
        State::Older(format)
    } else {
        State::Current
    })
}

/// What the schema looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Absent,
    /// Somebody else's.
    Foreign,
    /// Ours, without what says its format.
    Damaged,
    Whole,
}

async fn shape(client: &Transaction<'_>) -> Result<Shape, Fault> {
    // Not to_regnamespace(): a session that has waited for another one may still remember that there was none. One column suffices that no
    // format will do without, and nobody else thinks of.
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'highwater'), \
         coalesce(bool_or(c.relname = 'meta' AND a.attname = 'readable_by'), false), \
         coalesce(bool_or(c.relname = 'registered' AND a.attname = 'incarnation'), false) \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid \
         WHERE n.nspname = 'highwater' AND c.relname IN ('meta', 'registered')";
    let row = client.query_typed_one(sql, &[]).await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
        (false, _, _) => Shape::Absent,
        (true, true, _) => Shape::Whole,
        (true, false, true) => Shape::Damaged,
        (true, false, false) => Shape::Foreign,
    })
}

fn foreign() -> Error {
    Error::Unsupported(
        "The database has a schema highwater that is not Highwater's; rename it to have tables tracked.".into(),
    )
}

pub(crate) fn damaged(what: &str) -> Error {
    Error::Corrupt(format!(
        "Highwater's own schema in the database is damaged: {what}. Restore it from a backup, or remove it with `highwater untrack DATABASE \
         --all` and track again (old links end)."
    ))
}

/// Whether a fault may mean that something in the schema is missing or not as Highwater made it.
pub(crate) fn is_damage(fault: &Fault) -> bool {
    match fault {
        Fault::Told(error) => matches!(error, Error::Corrupt(_)),
        // Undefined or other columns, functions, tables, types.
        Fault::Postgres(error) => error.code().is_some_and(|code| {
            matches!(
                code.code(),
                "42703" | "42883" | "42P01" | "42704" | "42804" | "42809" | "42846"
            )
        }),
    }
}

/// Removes the schema in whatever state it is, with the triggers that call its functions. The caller's transaction holds [`LOCK`].
///
/// # Errors
///
/// [`Error::Unsupported`] if it is somebody else's, else what PostgreSQL reports.
pub(crate) async fn remove(write: &Transaction<'_>) -> Result<(), Fault> {
    match shape(write).await? {
        Shape::Absent => Ok(()),
        Shape::Foreign => Err(foreign().into()),
        Shape::Damaged | Shape::Whole => {
            Ok(write.batch_execute("DROP SCHEMA highwater CASCADE").await?)
        }
    }
}

/// Whether tables can be read as they are.
///
/// # Errors
///
/// [`Error::Unavailable`] if they are older or newer than this program.
pub(crate) fn check_format(format: i32, readable_by: i32) -> Result<(), Error> {
    if readable_by > FORMAT {
        return Err(newer(format, FORMAT));
    }
    if format < FORMAT {
        return Err(older(format, FORMAT));
    }
    Ok(())
}

fn newer(format: i32, known: i32) -> Error {
    Error::Unavailable(format!(
        "The database is tracked by a newer version of Highwater (format {format}, this program knows {known}); use that version."
    ))
}

fn older(format: i32, known: i32) -> Error {
    Error::Unavailable(format!(
        "The database is tracked by an older version of Highwater (format {format}, this program needs {known}); run highwater track with \
         this version on the primary, as the owner of the schema highwater."
    ))
}

/// Makes the schema, or brings an older one up to date. The caller's transaction holds [`LOCK`].
///
/// # Errors
///
/// As [`state`], and [`Error::Unavailable`] if this role may not do that.
pub(crate) async fn bring_up_to_date(
    write: &Transaction<'_>,
    upgrades: &[Upgrade],
) -> Result<(), Fault> {
    match state_for(write, newest(upgrades)).await? {
        State::Current => Ok(()),
        State::Absent => create(write).await,
        State::Older(format) => {
            let sql = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'highwater'";
            let is_owner: bool = write.query_typed_one(sql, &[]).await?.try_get(0)?;
            if !is_owner {
                return Err(older(format, newest(upgrades)).into());
            }
            write
                .batch_execute(&upgrade_script(format, upgrades)?)
                .await?;
            tracing::info!(
                from = format,
                to = newest(upgrades),
                "Highwater's own tables were upgraded"
            );
            Ok(())
        }
    }
}

/// Makes the schema, with a new identity and a first key.
async fn create(write: &Transaction<'_>) -> Result<(), Fault> {
    write.batch_execute(&create_script()).await?;
    write.batch_execute(&fill_script()).await?;
    let sql = format!("SELECT {PUBLICATIONS}");
    let names: Option<String> = write.query_typed_one(&sql, &[]).await?.try_get(0)?;
    if let Some(names) = names {
        tracing::warn!("{}", published(&names));
    }
    Ok(())
}

/// SQL for the names of the publications that have a table of ours: by its name, by its schema, or because they have all.
pub(crate) const PUBLICATIONS: &str = "(SELECT string_agg(DISTINCT quote_ident(p.pubname), ', ' ORDER BY quote_ident(p.pubname)) \
     FROM pg_catalog.pg_publication_tables AS p WHERE p.schemaname = 'highwater')";

/// What these publications do.
pub(crate) fn published(names: &str) -> String {
    format!(
        "Publications ({names}) publish Highwater's own tables: a subscriber that does not have those stops with an error, and one that has \
         them gets old rows and the keys of links. Publish other tables or schemas by name."
    )
}

/// The statements that give a new schema its identity, its first key and its first tick.
pub(crate) fn fill_script() -> String {
    // The secret is made in the database so that it is in no script: 244 random bits of two UUIDs.
    let secret = "decode(replace(concat(gen_random_uuid(), gen_random_uuid()), '-', ''), 'hex')";
    format!(
        "INSERT INTO highwater.seal_key(id, secret) VALUES ((random() * 2147483647)::integer, {secret});
INSERT INTO highwater.meta(format, readable_by, epoch, identity, current_key)
SELECT {FORMAT}, {}, {RANDOM}, '', k.id FROM highwater.seal_key AS k;
UPDATE highwater.meta SET identity = highwater.identity();
SELECT highwater.settle();",
        readable_by(UPGRADES)
    )
}

/// SQL for a random number below 2^62, so that a little can be added.
pub(crate) const RANDOM: &str = "(('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint & 4611686018427387903)";

#[cfg(test)]
mod tests;
