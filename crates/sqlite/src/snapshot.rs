//! Snapshots of a SQLite database, and whether they can still be answered.
//!
//! A snapshot is the version of the newest undo record at that time, and an *anchor*: the random number that the newest record of the
//! table carried. Version numbers repeat when a database is restored from a backup and continued; anchors do not.

use highwater_core::link::{Reader, put_uint};
use highwater_core::{Error, Gone, Snapshot};
use rusqlite::{Connection, OptionalExtension as _};

use crate::error::Fault;
use crate::facts::history_table;
use crate::failure::Failure;

/// A decoded snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) version: i64,
    /// 0 if the table had no record.
    pub(crate) anchor: i64,
}

impl Position {
    pub(crate) fn encode(self) -> Snapshot {
        let mut bytes = Vec::with_capacity(16);
        put_uint(&mut bytes, self.version.unsigned_abs());
        bytes.extend_from_slice(&self.anchor.to_be_bytes());
        Snapshot(bytes)
    }

    /// # Errors
    ///
    /// [`Gone::Format`] if this is no snapshot of SQLite.
    pub(crate) fn decode(snapshot: &Snapshot) -> Result<Position, Gone> {
        let mut reader = Reader(&snapshot.0);
        let version = reader
            .uint()
            .and_then(|version| i64::try_from(version).ok());
        match (version, reader.u64(), reader.0) {
            (Some(version), Some(anchor), []) => Ok(Position {
                version,
                anchor: anchor as i64,
            }),
            _ => Err(Gone::Format),
        }
    }

    /// The current snapshot for a table, in the transaction that is open.
    pub(crate) fn now(
        connection: &Connection,
        history: i64,
        clock: i64,
    ) -> rusqlite::Result<Position> {
        Ok(Position {
            version: clock,
            anchor: anchor(connection, history, clock)?,
        })
    }

    /// Whether the database still knows the state that the snapshot names, in the transaction that is open.
    ///
    /// # Errors
    ///
    /// [`Gone`] if it does not.
    pub(crate) fn check(
        self,
        connection: &Connection,
        history: i64,
        clock: i64,
    ) -> Result<(), Fault> {
        if self.version > clock {
            return Err(Gone::Restored.into());
        }
        if self.version < horizon(connection, history)? {
            return Err(Gone::Pruned.into());
        }
        if self.anchor != anchor(connection, history, self.version)? {
            return Err(Gone::Restored.into());
        }
        Ok(())
    }
}

/// A snapshot as an operator reads it: how many undo records had been written, and the anchor. `None` if it is no snapshot of SQLite.
pub fn describe_snapshot(snapshot: &Snapshot) -> Option<String> {
    let position = Position::decode(snapshot).ok()?;
    Some(format!(
        "version {}, anchor {:016x}",
        position.version, position.anchor
    ))
}

/// Why the snapshots that a link holds cannot be answered, for an operator who inspects it: the incarnation is that of the link's table.
/// `None` if they can. Something must be tracked.
///
/// # Errors
///
/// What SQLite reports.
pub fn gone(
    connection: &Connection,
    incarnation: u64,
    snapshots: &[&Snapshot],
) -> Result<Option<Gone>, Failure> {
    let transaction = connection.unchecked_transaction()?;
    let history = transaction
        .query_row(
            "SELECT id FROM main.highwater_table WHERE incarnation = ?1",
            [incarnation.cast_signed()],
            |row| row.get(0),
        )
        .optional()?;
    let Some(history) = history else {
        return Ok(Some(Gone::Recreated));
    };
    let (clock, _) = clock(&transaction)?;
    for snapshot in snapshots {
        let position = match Position::decode(snapshot) {
            Ok(position) => position,
            Err(gone) => return Ok(Some(gone)),
        };
        match position.check(&transaction, history, clock) {
            Ok(()) => {}
            Err(Fault::Told(Error::Gone(gone))) => return Ok(Some(gone)),
            Err(Fault::Told(other)) => return Err(Failure::Refused(other.to_string())),
            Err(Fault::Sqlite(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Records up to this version may be missing.
pub(crate) fn horizon(connection: &Connection, history: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT max(t.horizon, coalesce(c.lost, 0)) FROM highwater_table AS t, highwater_clock AS c WHERE t.id = ?1",
        )?
        .query_row([history], |row| row.get(0))
}

/// The version of the newest record of a table; 0 if there is none.
pub(crate) fn newest(connection: &Connection, history: i64) -> rusqlite::Result<i64> {
    let sql = format!("SELECT max(version) FROM {}", history_table(history));
    let newest: Option<i64> = connection
        .prepare_cached(&sql)?
        .query_row([], |row| row.get(0))?;
    Ok(newest.unwrap_or(0))
}

fn anchor(connection: &Connection, history: i64, version: i64) -> rusqlite::Result<i64> {
    let sql = format!(
        "SELECT nonce FROM {} WHERE version <= ?1 ORDER BY version DESC LIMIT 1",
        history_table(history)
    );
    let nonce = connection
        .prepare_cached(&sql)?
        .query_row([version], |row| row.get(0))
        .optional()?;
    Ok(nonce.unwrap_or(0))
}

/// The version of the newest undo record, and the identity of the database. Something must be tracked.
pub(crate) fn clock(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached("SELECT c.version, m.epoch FROM highwater_clock AS c, highwater_meta AS m")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Changes with every change of the schema, whoever makes it.
pub(crate) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA schema_version")?
        .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_survive_their_encoding_and_nothing_else_decodes() {
        for (version, anchor) in [(0, 0), (1, -1), (300, i64::MIN), (i64::MAX, i64::MAX)] {
            let position = Position { version, anchor };
            let snapshot = position.encode();
            assert_eq!(Position::decode(&snapshot), Ok(position));
            let mut longer = snapshot.clone();
            longer.0.push(0);
            assert_eq!(Position::decode(&longer), Err(Gone::Format));
            let shorter = Snapshot(snapshot.0[..snapshot.0.len() - 1].to_vec());
            assert_eq!(Position::decode(&shorter), Err(Gone::Format));
        }
        assert_eq!(Position::decode(&Snapshot(vec![])), Err(Gone::Format));
    }
}
