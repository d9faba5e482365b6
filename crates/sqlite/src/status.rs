//! What an operator wants to know of each table's history.
//!
//! What must hold: nothing is estimated. Counting reads every page of the histories, which is why nobody should ask every second.

use highwater_core::Table;
use highwater_core::store::{StoreStatus, TableStatus};
use rusqlite::{Connection, OptionalExtension as _};

use crate::facts::{Loaded, TableFacts, history_table, quote};
use crate::failure::Failure;
use crate::meta;

/// A history with more records is worth a warning.
const HISTORY_ROWS_WARN: u64 = 10_000_000;

/// What an operator wants to know of each table.
///
/// # Errors
///
/// What SQLite reports.
pub fn load(connection: &Connection, loaded: &Loaded) -> Result<StoreStatus, Failure> {
    let epoch = meta::load(connection)?.map(|meta| meta.epoch);
    let mut tables = Vec::with_capacity(loaded.tables.len());
    for (table, facts) in loaded.catalog.tables.iter().zip(&loaded.tables) {
        tables.push(table_status(connection, table, facts)?);
    }
    tables.extend(loaded.left_out.iter().map(|left_out| TableStatus {
        name: left_out.name.clone(),
        is_view: left_out.is_view,
        untracked_because: Some(format!(
            "It is not even served, because SQLite cannot read it ({}).",
            left_out.error
        )),
        warnings: Vec::new(),
        history_rows: 0,
        history_bytes: 0,
        oldest_snapshot_unix_s: None,
    }));
    // Who tracks nothing has nobody who waits.
    let is_tracked = tables.iter().any(|table| table.untracked_because.is_none());
    let journal = is_tracked
        .then(|| journal_warning(connection))
        .transpose()?;
    Ok(StoreStatus {
        epoch,
        warnings: journal.flatten().into_iter().collect(),
        tables,
    })
}

fn table_status(
    connection: &Connection,
    table: &Table,
    facts: &TableFacts,
) -> Result<TableStatus, Failure> {
    let mut status = TableStatus {
        name: table.name.clone(),
        is_view: table.is_view,
        untracked_because: table.tracking.obstacle().map(str::to_owned),
        warnings: Vec::new(),
        history_rows: 0,
        history_bytes: 0,
        oldest_snapshot_unix_s: None,
    };
    let Some(id) = facts.history_id else {
        return Ok(status);
    };
    let history = history_table(id);
    status.history_rows = count(connection, &format!("SELECT count(*) FROM main.{history}"))?;
    status.history_bytes = count(
        connection,
        &format!(
            "SELECT coalesce(sum(pgsize), 0) FROM dbstat('main', 1) WHERE name IN ('{history}', '{history}_key')"
        ),
    )?;
    // A snapshot at the horizon or after it was surely current at the first tick from there on.
    status.oldest_snapshot_unix_s = connection
        .query_row(
            "SELECT unix_s FROM main.highwater_tick WHERE version >= \
             (SELECT max(t.horizon, coalesce(c.lost, 0)) FROM main.highwater_table AS t, main.highwater_clock AS c WHERE t.id = ?1) ORDER BY version LIMIT 1",
            [id],
            |row| row.get(0),
        )
        .optional()?;
    status
        .warnings
        .extend(null_key_warning(connection, table, facts)?);
    if status.history_rows > HISTORY_ROWS_WARN {
        status.warnings.push(format!(
            "The history has {} records; a shorter retention keeps it smaller.",
            status.history_rows
        ));
    }
    Ok(status)
}

fn null_key_warning(
    connection: &Connection,
    table: &Table,
    facts: &TableFacts,
) -> Result<Option<String>, Failure> {
    let nullable: Vec<String> = table
        .key
        .iter()
        .zip(&facts.key)
        .filter(|(_, key)| key.nullable)
        .map(|(column, _)| format!("{} IS NULL", quote(&table.columns[*column].name)))
        .collect();
    if nullable.is_empty() {
        return Ok(None);
    }
    let rows = count(
        connection,
        &format!(
            "SELECT count(*) FROM main.{} WHERE {}",
            quote(&table.name),
            nullable.join(" OR ")
        ),
    )?;
    Ok((rows > 0).then(|| {
        format!("{rows} rows have NULL in the primary key and are not served; give them a key.")
    }))
}

fn journal_warning(connection: &Connection) -> Result<Option<String>, Failure> {
    let mode: String = connection.query_row("PRAGMA main.journal_mode", [], |row| row.get(0))?;
    Ok((!mode.eq_ignore_ascii_case("wal")).then(|| {
        format!(
            "The database uses journal mode {mode}, in which readers and writers wait for each other; `PRAGMA journal_mode = WAL` avoids that."
        )
    }))
}

fn count(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    connection
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .map(|n| n.unsigned_abs())
}
