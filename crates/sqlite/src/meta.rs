//! Highwater's own tables: identity, clock, keys, ticks, and the list of what is tracked.
//!
//! ```text
//! highwater_meta   one row: format of these tables, epoch, id of the current key; the schema at the last inspection ([`Inspected`])
//! highwater_clock  one row: version of the newest undo record; for `capture::ddl`, which key an insert has announced, and the version
//!                  at which a row may have been lost: nothing before it can be answered, in any table
//! highwater_key    the keys that links are sealed with; never deleted, only succeeded
//! highwater_tick   snapshot `version` was the current one at `unix_s`
//! highwater_table  id, name, incarnation, fingerprint and horizon of each tracked table
//! ```
//!
//! What must hold: the tables exist exactly as long as something is tracked; versions only grow in one epoch.

use highwater_core::{Epoch, KeyRing, SealKey};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::failure::Failure;

/// Grows with every incompatible change of the tables or of the history.
pub const FORMAT: i64 = 1;

/// The statements that make the tables, in the text that SQLite keeps of them.
pub(crate) const TABLES: [(&str, &str); 5] = [
    (
        "highwater_meta",
        "CREATE TABLE highwater_meta(one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER, epoch INTEGER, current_key INTEGER, schema_version INTEGER, inspected INTEGER)",
    ),
    (
        "highwater_clock",
        "CREATE TABLE highwater_clock(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER, announced INTEGER, announced_in INTEGER, lost INTEGER)",
    ),
    (
        "highwater_key",
        "CREATE TABLE highwater_key(id INTEGER PRIMARY KEY, secret BLOB, created_unix_s INTEGER)",
    ),
    (
        "highwater_tick",
        "CREATE TABLE highwater_tick(version INTEGER PRIMARY KEY, unix_s INTEGER)",
    ),
    (
        "highwater_table",
        "CREATE TABLE highwater_table(id INTEGER PRIMARY KEY, name TEXT UNIQUE, incarnation INTEGER, fingerprint TEXT, horizon INTEGER)",
    ),
];

/// Whether a table (its name in lower case) is one of Highwater's.
pub(crate) fn is_own_table(name: &str) -> bool {
    TABLES.iter().any(|(own, _)| *own == name)
        || name
            .strip_prefix("highwater_history_")
            .is_some_and(is_number)
}

/// Whether an index or a trigger (its name in lower case) is one of Highwater's.
pub(crate) fn is_own_part(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("highwater_") else {
        return false;
    };
    match rest.strip_prefix("history_") {
        Some(rest) => rest.strip_suffix("_key").is_some_and(is_number),
        None => rest.split_once('_').is_some_and(|(id, _)| is_number(id)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Identity and keys of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity of the database.
    pub epoch: Epoch,
    /// Id of the key that seals.
    pub current_key: u32,
    /// Every key.
    pub keys: Vec<SealKey>,
}

impl Meta {
    /// The keys, ready for use; `None` if the current one is missing, which only a damaged database can cause.
    pub fn key_ring(&self) -> Option<KeyRing> {
        KeyRing::new(self.current_key, self.keys.iter().cloned())
    }
}

/// Reads identity and keys; `None` if nothing in the database is tracked.
///
/// # Errors
///
/// [`Failure::Refused`] if a newer version of Highwater made the tables, else what SQLite reports.
pub fn load(connection: &Connection) -> Result<Option<Meta>, Failure> {
    if !exists(connection)? {
        return Ok(None);
    }
    let Some((format, epoch, current_key)) = connection
        .query_row(
            "SELECT format, epoch, current_key FROM main.highwater_meta",
            [],
            |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, u32>(2)?,
                ))
            },
        )
        .optional()?
    else {
        return Ok(None);
    };
    if format > FORMAT {
        return Err(Failure::Refused(format!(
            "The database is tracked by a newer version of Highwater (format {format}, this program knows {FORMAT}); use that version, or untrack the database with it."
        )));
    }
    // Without one of them, the others are of no use to anybody.
    for (name, _) in TABLES {
        let sql = "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
        if !connection.query_row(sql, [name], |row| row.get::<_, bool>(0))? {
            return Ok(None);
        }
    }
    let keys = connection
        .prepare("SELECT id, secret FROM main.highwater_key ORDER BY id")?
        .query_map([], |row| {
            Ok(SealKey {
                id: row.get(0)?,
                secret: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Some(Meta {
        epoch: Epoch(epoch.cast_unsigned()),
        current_key,
        keys,
    }))
}

/// Whether Highwater's tables are there. (Every format has the same `highwater_meta`.)
pub(crate) fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    let (name, sql) = TABLES[0];
    connection.query_row(
        "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 AND sql = ?2",
        [name, sql],
        |row| row.get(0),
    )
}

/// Creates the tables, with a new identity and a first key. The caller holds a write transaction.
pub(crate) fn create(connection: &Connection) -> Result<(), Failure> {
    for (name, _) in TABLES {
        let is_taken = connection.query_row(
            "SELECT count(*) FROM main.sqlite_schema WHERE name = ?1",
            [name],
            |row| row.get(0),
        )?;
        if is_taken {
            return Err(Failure::Refused(format!(
                "The database has something of its own with the name {name}; rename it to have tables tracked."
            )));
        }
    }
    for (_, sql) in TABLES {
        connection.execute_batch(sql)?;
    }
    let key = SealKey::generate();
    connection.execute(
        "INSERT INTO highwater_meta(one, format, epoch, current_key) VALUES (1, ?1, ?2, ?3)",
        params![FORMAT, random(connection)?, key.id],
    )?;
    connection.execute(
        "INSERT INTO highwater_clock(one, version) VALUES (1, 0)",
        [],
    )?;
    insert_key(connection, &key)?;
    Ok(())
}

fn insert_key(connection: &Connection, key: &SealKey) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO main.highwater_key VALUES (?1, ?2, unixepoch())",
        params![key.id, key.secret],
    )?;
    Ok(())
}

/// A random number that is not 0.
pub(crate) fn random(connection: &Connection) -> rusqlite::Result<i64> {
    loop {
        let number = connection.query_row("SELECT random()", [], |row| row.get(0))?;
        if number != 0 {
            return Ok(number);
        }
    }
}

/// The version of the newest undo record. The tables must exist.
///
/// # Errors
///
/// What SQLite reports.
pub fn clock(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT version FROM main.highwater_clock", [], |row| {
        row.get(0)
    })
}

/// When the schema was last found in order.
///
/// The text of the schema alone does not show that all was well in between: a unique index that came and went may have made `REPLACE`
/// delete rows of which no trigger could know. Therefore the version of the schema is noted, and up to which record it was that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// `PRAGMA schema_version`, which grows by one with every statement that changes the schema.
    pub(crate) schema_version: i64,
    /// The version of the newest record then: up to it, everything was in order.
    pub(crate) clock: i64,
}

/// The last inspection. The tables must exist.
pub(crate) fn inspected(connection: &Connection) -> rusqlite::Result<Option<Inspected>> {
    let sql = "SELECT schema_version, inspected FROM main.highwater_meta";
    connection.query_row(sql, [], |row| {
        let (schema_version, clock): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let at = schema_version.zip(clock);
        Ok(at.map(|(schema_version, clock)| Inspected {
            schema_version,
            clock,
        }))
    })
}

/// Notes that the schema is in order now. The caller holds a write transaction.
pub(crate) fn note_inspected(write: &Connection) -> rusqlite::Result<()> {
    write.execute(
        "UPDATE main.highwater_meta SET schema_version = ?1, inspected = (SELECT version FROM main.highwater_clock)",
        [crate::snapshot::schema_version(write)?],
    )?;
    Ok(())
}

/// Makes a new key the current one. Links that older keys sealed stay valid.
///
/// # Errors
///
/// [`Failure::Refused`] if nothing is tracked, else what SQLite reports.
pub fn rotate_key(connection: &mut Connection) -> Result<SealKey, Failure> {
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let key = rotate_key_within(&write)?;
    write.commit()?;
    Ok(key)
}

/// [`rotate_key`] if the current key is at least as old as `age_max_s` at the given time, in seconds since 1970. Of several processes that
/// find it too old, one rotates. Writes nothing if the key is younger, or if nothing is tracked.
///
/// # Errors
///
/// What SQLite reports.
pub fn rotate_old_key(
    connection: &mut Connection,
    now_unix_s: i64,
    age_max_s: i64,
) -> Result<bool, Failure> {
    if !exists(connection)? || !is_key_old(connection, now_unix_s, age_max_s)? {
        return Ok(false);
    }
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have rotated, or untracked everything, in the meantime.
    let rotates = exists(&write)? && is_key_old(&write, now_unix_s, age_max_s)?;
    if rotates {
        rotate_key_within(&write)?;
    }
    write.commit()?;
    Ok(rotates)
}

/// A key that is younger than now by as much was made while the system's clock was wrong; it is succeeded as well.
fn is_key_old(connection: &Connection, now_unix_s: i64, age_max_s: i64) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.highwater_meta JOIN main.highwater_key ON id = current_key \
         WHERE abs(?1 - created_unix_s) >= ?2)",
        [now_unix_s, age_max_s],
        |row| row.get(0),
    )
}

fn rotate_key_within(write: &Connection) -> Result<SealKey, Failure> {
    let meta = load(write)?.ok_or_else(|| {
        Failure::Refused(
            "Nothing in the database is tracked, so it has no keys; track a table first."
                .to_owned(),
        )
    })?;
    let key = loop {
        let key = SealKey::generate();
        if meta.keys.iter().all(|k| k.id != key.id) {
            break key;
        }
    };
    insert_key(write, &key)?;
    write.execute("UPDATE main.highwater_meta SET current_key = ?1", [key.id])?;
    Ok(key)
}

/// Notes that the current snapshot is the current one at the given time, in seconds since 1970. Writes nothing if the snapshot has
/// its tick already, or if nothing is tracked.
///
/// # Errors
///
/// What SQLite reports.
pub fn tick(connection: &mut Connection, now_unix_s: i64) -> Result<(), Failure> {
    if !exists(connection)? || is_ticked(connection, now_unix_s)? {
        return Ok(());
    }
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have untracked everything in the meantime.
    if exists(&write)? {
        tick_within(&write, now_unix_s)?;
    }
    write.commit()?;
    Ok(())
}

fn is_ticked(connection: &Connection, now_unix_s: i64) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.highwater_tick JOIN main.highwater_clock USING (version)) \
         AND NOT EXISTS (SELECT 1 FROM main.highwater_tick WHERE unix_s > ?1)",
        [now_unix_s],
        |row| row.get(0),
    )
}

/// [`tick`] inside a write transaction.
pub(crate) fn tick_within(connection: &Connection, now_unix_s: i64) -> rusqlite::Result<()> {
    // The system's clock was wrong then, or is now; such a tick would hold up retention until that time.
    connection.execute(
        "DELETE FROM main.highwater_tick WHERE unix_s > ?1",
        [now_unix_s],
    )?;
    connection.execute(
        "INSERT OR IGNORE INTO main.highwater_tick SELECT version, ?1 FROM main.highwater_clock",
        [now_unix_s],
    )?;
    connection.execute(
        "UPDATE main.highwater_meta SET inspected = (SELECT version FROM main.highwater_clock) WHERE schema_version = ?1",
        [crate::snapshot::schema_version(connection)?],
    )?;
    Ok(())
}
