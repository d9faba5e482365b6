//! What an operator wants to know of each table's history, and of what the database does to it.
//!
//! What must hold: every role that may read the history gets an answer; what it may not see of other sessions is not told. The records
//! of a large history are estimated, and a warning says so; everything else is exact.

mod trouble;

use std::collections::HashMap;

use highwater_core::Error;
use highwater_core::store::{StoreStatus, TableStatus};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient, IsolationLevel};

use crate::error::Fault;
use crate::introspect;
use crate::schema::{LeftOut, Schema, TableFacts, Tracked, label};
use highwater_core::Table;

/// The records of a history whose table is larger are not counted.
const COUNTED_BYTES_MAX: i64 = 256 << 20;
/// So many histories are counted by one statement.
const COUNTED_AT_ONCE_MAX: usize = 100;
/// PostgreSQL's page size, from which it is never built to deviate in practice; only an estimate depends on it.
const PAGE_BYTES: f64 = 8192.0;
/// What a record of a history that nobody has analysed may need.
const RECORD_BYTES: f64 = 100.0;

/// What an operator wants to know of each table.
///
/// # Errors
///
/// What PostgreSQL reports.
pub(crate) async fn load(client: &mut Client) -> Result<StoreStatus, Error> {
    load_alone(client).await.map_err(Fault::tell_own)
}

async fn load_alone(client: &mut Client) -> Result<StoreStatus, Fault> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let schema = introspect::load_in(&transaction).await?;
    let status = status(&transaction, &schema).await?;
    transaction.commit().await?;
    Ok(status)
}

async fn status<C: GenericClient + Sync>(
    client: &C,
    schema: &Schema,
) -> Result<StoreStatus, Fault> {
    let (histories, mut warnings) = if schema.meta.is_some() {
        (
            read_histories(client, schema).await?,
            trouble::warnings(client, schema).await?,
        )
    } else {
        (HashMap::new(), Vec::new())
    };
    let could_be_tracked = |facts: &TableFacts| facts.obstacle.is_none() && facts.tracked.is_none();
    if schema.facts.iter().any(could_be_tracked) {
        warnings.extend(trouble::event_triggers(client).await?);
    }
    Ok(StoreStatus {
        epoch: schema.meta.as_ref().map(|meta| meta.epoch),
        warnings,
        tables: tables(schema, &histories),
    })
}

/// What there is to say of each table, as far as these histories tell it.
pub(crate) fn tables(schema: &Schema, histories: &HashMap<i64, History>) -> Vec<TableStatus> {
    let tables = schema.catalog.tables.iter().zip(&schema.facts);
    let mut tables: Vec<TableStatus> = tables
        .map(|(table, facts)| {
            let history = facts
                .tracked
                .as_ref()
                .and_then(|tracked| histories.get(&tracked.id));
            table_status(table, facts, history)
        })
        .collect();
    tables.extend(schema.left_out.iter().map(left_out_status));
    tables
}

fn table_status(table: &Table, facts: &TableFacts, history: Option<&History>) -> TableStatus {
    TableStatus {
        name: facts.label(),
        is_view: table.is_view,
        untracked_because: table.tracking.obstacle().map(str::to_owned),
        warnings: history.map_or_else(Vec::new, |history| history.warnings(facts)),
        history_rows: history.map_or(0, |history| history.rows),
        history_bytes: history.map_or(0, |history| history.bytes),
        oldest_snapshot_unix_s: history.and_then(|history| history.oldest_unix_s),
    }
}

fn left_out_status(left_out: &LeftOut) -> TableStatus {
    TableStatus {
        name: label(&left_out.schema, &left_out.name),
        is_view: left_out.is_view,
        untracked_because: Some(format!("It is not even served. {}", left_out.reason)),
        warnings: Vec::new(),
        history_rows: 0,
        history_bytes: 0,
        oldest_snapshot_unix_s: None,
    }
}

/// A table's history.
#[derive(Debug, Default)]
pub(crate) struct History {
    rows: u64,
    is_estimated: bool,
    /// With indexes and everything.
    bytes: u64,
    oldest_unix_s: Option<i64>,
    is_vacuumed: bool,
}

impl History {
    fn warnings(&self, facts: &TableFacts) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_estimated {
            warnings.push(format!(
                "The history is large: about {} records (estimated). A shorter retention keeps it smaller.",
                self.rows
            ));
        }
        if !self.is_vacuumed {
            warnings.push(
                "Autovacuum is switched off for the history, so that pruned records keep their space; remove autovacuum_enabled = false from it."
                    .into(),
            );
        }
        if facts.unlogged {
            warnings.push(
                "The table is UNLOGGED: a crash of the database empties it and ends all links to it.".into(),
            );
        }
        warnings
    }
}

/// The histories of tracked tables, by id.
async fn read_histories<C: GenericClient + Sync>(
    client: &C,
    schema: &Schema,
) -> Result<HashMap<i64, History>, Fault> {
    let tracked: Vec<&Tracked> = schema
        .facts
        .iter()
        .filter_map(|facts| facts.tracked.as_ref())
        .collect();
    let ids: Vec<i64> = tracked.iter().map(|tracked| tracked.id).collect();
    // The first tick at the horizon or after it was surely the current state then.
    let sql = "
        WITH ticks AS MATERIALIZED (
            SELECT extract(epoch FROM k.at)::int8 AS at, pg_snapshot_xmin(k.snapshot)::text::int8 AS xmin FROM highwater.tick AS k),
        horizons AS MATERIALIZED (
            SELECT h.horizon, (SELECT min(k.at) FROM ticks AS k WHERE k.xmin >= h.horizon) AS at
            FROM (SELECT DISTINCT t.horizon FROM highwater.tracked_table AS t) AS h)
        SELECT t.id::int8, c.reltuples::float8, c.relpages::float8, pg_relation_size(c.oid), pg_total_relation_size(c.oid), h.at,
            NOT coalesce('autovacuum_enabled=false' = ANY (c.reloptions), false)
        FROM unnest($1::int8[]) AS i (id) JOIN highwater.tracked_table AS t ON t.id = i.id JOIN horizons AS h USING (horizon)
            JOIN pg_class AS c ON c.relname = 'history_' || t.id AND c.relnamespace = 'highwater'::regnamespace";
    let rows = client.query_typed(sql, &[(&ids, Type::INT8_ARRAY)]).await?;
    let (mut histories, mut to_count) = (HashMap::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let id: i64 = row.try_get(0)?;
        let bytes: i64 = row.try_get(3)?;
        let is_estimated = bytes > COUNTED_BYTES_MAX;
        if !is_estimated {
            to_count.push(id);
        }
        let history = History {
            rows: estimate(row.try_get(1)?, row.try_get(2)?, bytes),
            is_estimated,
            bytes: row.try_get::<_, i64>(4)?.unsigned_abs(),
            oldest_unix_s: row.try_get(5)?,
            is_vacuumed: row.try_get(6)?,
        };
        histories.insert(id, history);
    }
    for ids in to_count.chunks(COUNTED_AT_ONCE_MAX) {
        for (id, rows) in count(client, ids).await? {
            if let Some(history) = histories.get_mut(&id) {
                history.rows = rows;
            }
        }
    }
    Ok(histories)
}

/// As PostgreSQL's planner estimates: the density that the last vacuum or analyze found, in all the pages that there are now.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate"
)]
fn estimate(reltuples: f64, relpages: f64, bytes: i64) -> u64 {
    let record_bytes = if reltuples > 0.0 && relpages > 0.0 {
        relpages * PAGE_BYTES / reltuples
    } else {
        RECORD_BYTES
    };
    (bytes as f64 / record_bytes).round() as u64
}

async fn count<C: GenericClient + Sync>(client: &C, ids: &[i64]) -> Result<Vec<(i64, u64)>, Fault> {
    let counts: Vec<String> = ids
        .iter()
        .map(|id| format!("SELECT {id}::int8, count(*) FROM highwater.history_{id}"))
        .collect();
    let rows = client.query_typed(&counts.join(" UNION ALL "), &[]).await?;
    let counts = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs())));
    Ok(counts.collect::<Result<_, tokio_postgres::Error>>()?)
}
