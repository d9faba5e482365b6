//! Forgets old history, in small steps.
//!
//! What must hold: the horizon moves in the same transaction as the records go, and never back; every snapshot at the horizon or
//! after it stays answerable; the newest record at or before the horizon stays, because the anchor of such snapshots is its nonce.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::facts::history_table;
use crate::failure::Failure;
use crate::meta;

/// The version that may become the horizon, so that every snapshot that was current at the given time (seconds since 1970) or later
/// stays answerable. `None` if nothing is old enough.
///
/// # Errors
///
/// What SQLite reports.
pub fn horizon_for(
    connection: &Connection,
    older_than_unix_s: i64,
) -> Result<Option<i64>, Failure> {
    if !meta::exists(connection)? {
        return Ok(None);
    }
    // Only up to the first younger tick: if the system's clock was set back, a later version may have an earlier time.
    let horizon = connection.query_row(
        "SELECT max(version) FROM main.highwater_tick WHERE version < \
         coalesce((SELECT min(version) FROM main.highwater_tick WHERE unix_s > ?1), 9223372036854775807)",
        [older_than_unix_s],
        |row| row.get(0),
    )?;
    Ok(horizon)
}

/// Moves the horizon of every table to the given version and deletes up to `rows_max` records and ticks that this makes superfluous, in one
/// short write transaction. Returns whether there is more to delete. Writes nothing if there is nothing to do.
///
/// # Errors
///
/// What SQLite reports.
pub fn prune_step(
    connection: &mut Connection,
    horizon: i64,
    rows_max: u64,
) -> Result<bool, Failure> {
    if !meta::exists(connection)? || !has_work(connection, horizon)? {
        return Ok(false);
    }
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !meta::exists(&write)? {
        return Ok(false);
    }
    let horizon = horizon.min(meta::clock(&write)?);
    write.execute(
        "UPDATE main.highwater_table SET horizon = ?1 WHERE horizon < ?1",
        [horizon],
    )?;
    let mut left = i64::try_from(rows_max).unwrap_or(i64::MAX);
    for table in histories(&write)? {
        left -= delete_before_anchor(&write, &table, horizon, left)?;
    }
    left -= delete_before_anchor(&write, "highwater_tick", horizon, left)?;
    write.commit()?;
    Ok(left <= 0 && has_work(connection, horizon)?)
}

fn histories(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT id FROM main.highwater_table ORDER BY id")?
        .query_map([], |row| Ok(history_table(row.get(0)?)))?
        .collect()
}

fn has_work(connection: &Connection, horizon: i64) -> rusqlite::Result<bool> {
    let behind: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM main.highwater_table, main.highwater_clock AS clock \
         WHERE horizon < min(?1, clock.version))",
        [horizon],
        |row| row.get(0),
    )?;
    if behind {
        return Ok(true);
    }
    for table in histories(connection)?
        .iter()
        .map(String::as_str)
        .chain(["highwater_tick"])
    {
        let superfluous = connection.query_row(
            &format!(
                "SELECT EXISTS (SELECT 1 FROM main.{table} WHERE version < \
                 (SELECT max(version) FROM main.{table} WHERE version <= ?1))"
            ),
            [horizon],
            |row| row.get(0),
        )?;
        if superfluous {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the oldest rows before the newest one at or before the horizon. Returns how many.
fn delete_before_anchor(
    write: &Connection,
    table: &str,
    horizon: i64,
    rows_max: i64,
) -> rusqlite::Result<i64> {
    let deleted = write.execute(
        &format!(
            "DELETE FROM main.{table} WHERE version IN (SELECT version FROM main.{table} WHERE version < \
             (SELECT max(version) FROM main.{table} WHERE version <= ?1) ORDER BY version LIMIT ?2)"
        ),
        params![horizon, rows_max.max(0)],
    )?;
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
