//! Forgets old history, in small steps.
//!
//! What must hold: the horizon of a table moves before any of its records goes, in an earlier transaction, and never back; every
//! snapshot that was current within the retention stays answerable, because the oldest transaction that it does not show is not older
//! than that of an earlier tick. A step locks nothing that a writer needs, and is short, so that the clean-up of deleted rows is not held
//! up either. What is deliberately absent: the time of a record; ticks have times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::{Step, step};
use crate::error::Fault;
use crate::pool::Pool;

/// Rows that one step deletes at most.
const ROWS_PER_STEP_MAX: u32 = 5_000;
/// So much longer is everything kept: what a standby serves is older than the link that it issues.
const GRACE: Duration = Duration::from_secs(300);
/// A hundred years: more than that is for ever.
const RETENTION_MAX_S: f64 = 100.0 * 365.25 * 24.0 * 3600.0;

/// Up to where the history of each table (by the number in its name) is known to be empty: the next step need not pass over records that
/// are deleted but not cleaned up yet. Transaction and number of the last record of a step; others may have the same.
#[derive(Default)]
pub(super) struct Pruned(HashMap<i32, (i64, i64)>);

/// Everything before may be forgotten.
#[derive(Clone, Copy)]
struct Horizon {
    tick: i64,
    xid: i64,
}

/// Deletes what is older than the retention.
///
/// # Errors
///
/// Whatever the database says; what was deleted stays deleted.
pub(super) async fn prune(
    pool: &Arc<Pool>,
    retention: Duration,
    pruned: &mut Pruned,
) -> Result<(), Error> {
    let kept_s = (retention.saturating_add(GRACE).as_secs_f64()).min(RETENTION_MAX_S);
    let moved = step(pool, Step::Prune, async |write| {
        let Some(row) = write
            .query_typed_opt(HORIZON, &[(&kept_s, Type::FLOAT8)])
            .await?
        else {
            return Ok(None);
        };
        let horizon = Horizon {
            tick: row.try_get(0)?,
            xid: row.try_get(1)?,
        };
        let sql = "UPDATE highwater.registered SET horizon = $1 WHERE horizon < $1";
        write
            .execute_typed(sql, &[(&horizon.xid, Type::INT8)])
            .await?;
        let histories = write
            .query_typed("SELECT id FROM highwater.registered ORDER BY id", &[])
            .await?;
        let histories = histories.iter().map(|row| row.try_get(0));
        let histories = histories.collect::<Result<Vec<i32>, _>>()?;
        Ok(Some((horizon, histories)))
    });
    let Some(Some((horizon, histories))) = moved.await? else {
        // Nothing is old enough, or another node is at it.
        return Ok(());
    };
    pruned.0.retain(|history, _| histories.contains(history));
    for history in histories {
        while prune_history(pool, history, horizon, pruned).await? {}
    }
    while prune_ticks(pool, horizon).await? {}
    Ok(())
}

/// The newest tick that is older than what is kept. Only up to the first younger tick: if the clock was set back for a while, later ticks
/// may have earlier times. (Ticks from the future were recorded when the clock was wrong, and say nothing.)
const HORIZON: &str = "SELECT id, pg_catalog.pg_snapshot_xmin(snapshot)::text::bigint FROM highwater.tick \
    WHERE at <= pg_catalog.clock_timestamp() - $1 * interval '1 second' \
    AND id < coalesce((SELECT id FROM highwater.tick \
      WHERE at > pg_catalog.clock_timestamp() - $1 * interval '1 second' AND at <= pg_catalog.clock_timestamp() \
      ORDER BY id LIMIT 1), 9223372036854775807) \
    ORDER BY id DESC LIMIT 1";

/// Deletes some records of a table. Returns whether there may be more.
async fn prune_history(
    pool: &Arc<Pool>,
    history: i32,
    horizon: Horizon,
    pruned: &mut Pruned,
) -> Result<bool, Error> {
    let xid = horizon.xid;
    let beyond = match pruned.0.get(&history) {
        Some((xid, seq)) => format!("AND (xid, seq) >= ({xid}, {seq})"),
        None => String::new(),
    };
    // By their place: no record is ever changed, so it does not move.
    let sql = format!(
        "WITH gone AS (DELETE FROM highwater.history_{history} WHERE ctid = ANY (ARRAY( \
           SELECT ctid FROM highwater.history_{history} WHERE xid < {xid} {beyond} ORDER BY xid, seq LIMIT {ROWS_PER_STEP_MAX})) \
         RETURNING xid, seq) \
         SELECT xid, seq, count(*) OVER () FROM gone ORDER BY xid DESC, seq DESC LIMIT 1"
    );
    let deleted = step(pool, Step::Prune, async |write| {
        let row = match write.query_typed_opt(&sql, &[]).await {
            // Its tracking has just ended.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(None),
            row => row?,
        };
        let Some(row) = row else { return Ok(None) };
        let last: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Some((last, row.try_get::<_, i64>(2)?)))
    });
    let Some(Some((last, count))) = deleted.await? else {
        return Ok(false);
    };
    pruned.0.insert(history, last);
    Ok(count >= i64::from(ROWS_PER_STEP_MAX))
}

/// Deletes some ticks that no link can name any more. Returns whether there may be more.
async fn prune_ticks(pool: &Arc<Pool>, horizon: Horizon) -> Result<bool, Error> {
    let tick = horizon.tick;
    let sql = format!(
        "DELETE FROM highwater.tick WHERE id = ANY (ARRAY( \
         SELECT id FROM highwater.tick WHERE id < {tick} ORDER BY id LIMIT {ROWS_PER_STEP_MAX}))"
    );
    let deleted = step(pool, Step::Prune, async |write| {
        Ok::<_, Fault>(write.execute_typed(&sql, &[]).await?)
    });
    Ok(deleted.await? >= Some(u64::from(ROWS_PER_STEP_MAX)))
}
