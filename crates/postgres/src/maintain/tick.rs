//! Ticks: the snapshot of the moment, with its time and a random number.
//!
//! What must hold: of two ticks, the one with the greater id shows everything that the other one shows. A tick stays as long as
//! a link may name it. What is deliberately absent: ticks while nothing is written, but for one a minute.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::Error;
use highwater_sql::postgres::any_after;
use tokio_postgres::Row;

use super::{Step, step};
use crate::error::Fault;
use crate::pool::Pool;
use crate::snapshot::{Anchor, Position};

/// One tick a minute tells the time, whatever happens.
const AGE_MAX_S: f64 = 60.0;

/// The last snapshot in which nothing tracked had been written since the newest tick, as PostgreSQL writes it: while it is the current
/// one, no history needs to be looked at.
#[derive(Default)]
pub(super) struct Quiet(Option<String>);

/// What there is now.
struct Found {
    snapshot: String,
    newest: Option<Newest>,
    histories: Vec<i32>,
}

/// The newest tick.
struct Newest {
    id: i64,
    snapshot: String,
    /// Negative if the clock was set back since.
    age_s: f64,
}

/// Records a tick, if one is due and the newest one is at least so old.
///
/// # Errors
///
/// Whatever the database says.
pub(super) async fn record(
    pool: &Arc<Pool>,
    spacing: Duration,
    quiet: &mut Quiet,
) -> Result<(), Error> {
    let session = pool.live_session().await?;
    let due = async {
        let row = session.query_typed_one(LOOK, &[]).await?;
        let found = Found::read(&row)?;
        let newest = match &found.newest {
            None => return Ok(Some(0)),
            Some(newest) if !(0.0..AGE_MAX_S).contains(&newest.age_s) => {
                return Ok(Some(newest.id));
            }
            Some(newest) => newest,
        };
        if newest.age_s < spacing.as_secs_f64() || quiet.0.as_ref() == Some(&found.snapshot) {
            return Ok(None);
        }
        let sql = any_written_since(&newest.snapshot, &found.histories)?;
        let is_written = session.query_typed_one(&sql, &[]).await?.try_get(0)?;
        if is_written {
            return Ok(Some(newest.id));
        }
        quiet.0 = Some(found.snapshot);
        Ok::<_, Fault>(None)
    };
    let due = due.await.map_err(Fault::tell)?;
    session.done();
    if let Some(newest) = due {
        // The lock comes first, then the snapshot, so that ticks are recorded in the order of their ids.
        step(pool, Step::Tick, async |write| {
            // A tick makes links safe from a crash once it is on the disk itself. And the newest one that survived a crash has to be known
            // before there is another one.
            write
                .batch_execute("SET LOCAL synchronous_commit = local; SELECT highwater.settle()")
                .await?;
            let sql = format!(
                "INSERT INTO highwater.tick(snapshot, nonce) SELECT pg_catalog.pg_current_snapshot(), (pg_catalog.random() * 4294967295)::bigint \
                 WHERE coalesce((SELECT max(id) FROM highwater.tick), 0) = {newest}"
            );
            Ok(write.execute_typed(&sql, &[]).await?)
        })
        .await?;
    }
    Ok(())
}

const LOOK: &str = "SELECT pg_catalog.pg_current_snapshot()::text, \
    ARRAY(SELECT id FROM highwater.registered ORDER BY id), \
    t.id, t.snapshot::text, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - t.at) \
    FROM (SELECT) AS one LEFT JOIN (SELECT id, at, snapshot FROM highwater.tick ORDER BY id DESC LIMIT 1) AS t ON true";

impl Found {
    fn read(row: &Row) -> Result<Found, Fault> {
        let newest = match row.try_get::<_, Option<i64>>(2)? {
            None => None,
            Some(id) => Some(Newest {
                id,
                snapshot: row.try_get(3)?,
                age_s: row.try_get(4)?,
            }),
        };
        Ok(Found {
            snapshot: row.try_get(0)?,
            histories: row.try_get(1)?,
            newest,
        })
    }
}

/// A statement that says whether any of the histories has a record that a snapshot does not show.
fn any_written_since(snapshot: &str, histories: &[i32]) -> Result<String, Fault> {
    let position = Position::parse(snapshot, Anchor::default()).ok_or_else(|| {
        Error::Internal(format!(
            "highwater.tick has the snapshot {snapshot}, which is none"
        ))
    })?;
    let mut sql = String::from("SELECT false");
    for history in histories {
        sql.push_str(" OR ");
        sql.push_str(&any_after(i64::from(*history), &position.visible));
    }
    Ok(sql)
}
