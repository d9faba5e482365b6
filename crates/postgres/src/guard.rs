//! The first message of every verb that reads: it opens the transaction, and tells whether what the caller knows still holds.
//!
//! What must hold: the tables are locked (against being changed, not against being written) before the snapshot of the transaction
//! exists, so that nobody can rewrite or empty one between the check and the reading of its rows; and the check sees the same snapshot
//! as the rows. What is deliberately absent: the rows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, pin_mut};
use highwater_core::{Error, Gone};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::bind::Bound;
use crate::error::{Fault, is_connection_lost};
use crate::pool::{Pool, Session};
use crate::row::{cell, text};
use crate::schema::{Schema, Tracked};
use crate::snapshot::{Anchor, Position};

/// What the identity of the database is, as the database computes it. TODO A
const IDENTITY: &str = "''::text";
const FORMAT: i32 = 1;
fn same_identity(_: &str, _: &str) -> bool { true }

/// How long a request waits for a standby that has not yet seen what its link names.
const STANDBY_PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks again.
const STANDBY_INTERVAL: Duration = Duration::from_millis(50);

/// What a verb needs to know before it reads.
#[derive(Clone, Debug)]
pub(crate) struct Question<'q> {
    /// What the caller's query was bound to.
    pub(crate) schema: &'q Schema,
    /// The table of the query.
    pub(crate) table: usize,
    /// Every table whose rows the answer depends on.
    pub(crate) tables: BTreeSet<usize>,
    /// The snapshot that the caller has.
    pub(crate) lo: Option<&'q Position>,
    /// The snapshot that an earlier page fixed.
    pub(crate) hi: Option<&'q Position>,
}

/// An open transaction, and what it sees.
pub(crate) struct View {
    pub(crate) session: Session,
    /// The snapshot to show; `None` if nothing in the database is tracked.
    pub(crate) hi: Option<Position>,
    /// Whether current rows may be newer than `hi`, so that they have to be read as of it.
    pub(crate) is_past: bool,
    /// Whether there may be changes of the table of the query after `lo`.
    pub(crate) is_news: bool,
}

/// What the guard's statement found.
#[derive(Debug, Default)]
struct Found {
    snapshot: String,
    in_recovery: bool,
    meta: Option<FoundMeta>,
    newest: Option<(Anchor, String)>,
    /// Nonces of the ticks that the links were anchored at, for `lo` and `hi`.
    anchors: Vec<Option<u32>>,
    /// One for each tracked table of the query.
    tables: Vec<FoundTable>,
    is_news: bool,
}

#[derive(Debug)]
struct FoundMeta {
    readable_by: i32,
    epoch: i64,
    stored_identity: String,
    identity: String,
}

#[derive(Clone, Copy, Debug)]
struct FoundTable {
    /// `None` if its tracking is not the one that the schema describes.
    horizon: Option<i64>,
    /// Whether it has records after `hi`.
    is_superseded: bool,
}

/// Opens a transaction for a verb.
///
/// # Errors
///
/// [`Error::SchemaChanged`] if the schema holds no more, [`Gone`] if a snapshot cannot be answered any more, [`Error::Unavailable`] if a
/// standby has not seen it yet, and whatever PostgreSQL says.
pub(crate) async fn open(pool: &Arc<Pool>, question: &Question<'_>) -> Result<View, Fault> {
    let begin = question.begin(pool.settings());
    let look = question.look();
    let deadline = Instant::now() + STANDBY_PATIENCE;
    loop {
        let session = pool.session().await?;
        let found = match ask(&session, &begin, &look, question).await {
            Ok(found) => found,
            Err(Fault::Postgres(error)) if session.is_reused() && is_connection_lost(&error) => {
                // It was cut while nobody used it; so were the others, probably.
                pool.forget_idle();
                continue;
            }
            Err(fault) => return Err(fault),
        };
        match question.judge(&found)? {
            Verdict::Ready {
                hi,
                is_past,
                is_news,
            } => {
                return Ok(View {
                    session,
                    hi,
                    is_past,
                    is_news,
                });
            }
            Verdict::Ahead if Instant::now() < deadline => {
                session.batch_execute("COMMIT").await?;
                session.done();
                tokio::time::sleep(STANDBY_INTERVAL).await;
            }
            Verdict::Ahead => {
                return Err(Error::Unavailable(
                    "The link is newer than what this standby has received from the primary. Try again in a moment, or ask the primary."
                        .into(),
                )
                .into());
            }
        }
    }
}

/// Sends both messages at once and reads both answers.
async fn ask(
    client: &Client,
    begin: &str,
    look: &str,
    question: &Question<'_>,
) -> Result<Found, Fault> {
    let looked = async {
        let no_params: [(Bound<'_>, Type); 0] = [];
        let rows = client.query_typed_raw(look, no_params).await?;
        pin_mut!(rows);
        let row = rows.next().await.ok_or_else(|| {
            Fault::Told(Error::Internal("the database told nothing of itself".into()))
        })??;
        let found = question.read(&row)?;
        while rows.next().await.transpose()?.is_some() {}
        Ok::<_, Fault>(found)
    };
    let (begun, looked) = futures_util::future::join(client.batch_execute(begin), looked).await;
    // If the transaction did not begin, that is why the rest failed as well.
    begun?;
    looked
}

impl Question<'_> {
    fn begin(&self, settings: &str) -> String {
        let mut sql = String::with_capacity(1024);
        sql.push_str("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;");
        sql.push_str(settings);
        let schema = self.schema;
        // Better an error than rows left out in silence; except where a policy is why the table is not tracked.
        if !self.tables.iter().any(|t| schema.facts[*t].row_security) {
            sql.push_str("SET LOCAL row_security = off;");
        }
        // A function that a view calls may need the path that its author had.
        if self.tables.iter().all(|t| schema.facts[*t].has_rows()) {
            sql.push_str("SET LOCAL search_path = pg_catalog, pg_temp;");
        }
        let mut names: Vec<String> = self
            .tables
            .iter()
            .filter(|table| schema.facts[**table].has_rows())
            .map(|table| {
                let only = if schema.layouts[*table].only { "ONLY " } else { "" };
                format!("{only}{}", schema.facts[*table].qualified())
            })
            .collect();
        // In one order everywhere, so that requests never wait for each other in a circle.
        names.sort_unstable();
        if !names.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(sql, "LOCK TABLE {} IN ACCESS SHARE MODE;", names.join(","));
        }
        sql
    }

    fn tracked(&self) -> impl Iterator<Item = (u32, &Tracked)> {
        let facts = self.tables.iter().map(|table| &self.schema.facts[*table]);
        facts.filter_map(|facts| Some((facts.relation, facts.tracked.as_ref()?)))
    }

    fn positions(&self) -> impl Iterator<Item = &Position> {
        self.lo.into_iter().chain(self.hi)
    }

    /// The statement whose only row [`Self::read`] reads.
    fn look(&self) -> String {
        let mut sql = String::with_capacity(2048);
        sql.push_str(
            "SELECT pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_is_in_recovery()",
        );
        if self.schema.meta.is_none() {
            return sql;
        }
        let _ = write!(sql, ", m.readable_by, m.epoch, m.identity, {IDENTITY}");
        sql.push_str(", t.id, t.nonce, t.snapshot::text");
        for position in self.positions() {
            let _ = write!(
                sql,
                ", (SELECT nonce FROM highwater.tick WHERE id = {})",
                position.anchor.tick
            );
        }
        for (relation, tracked) in self.tracked() {
            let _ = write!(
                sql,
                ", (SELECT horizon FROM highwater.tracked_table WHERE id = {} AND incarnation = {} AND relation = {relation} \
                 AND layout = highwater.layout(relation)), ",
                tracked.id, tracked.incarnation
            );
            match self.hi {
                Some(hi) => push_any_after(&mut sql, tracked.id, hi),
                None => sql.push_str("false"),
            }
        }
        sql.push_str(", ");
        match (self.lo, &self.schema.facts[self.table].tracked) {
            (Some(lo), Some(tracked)) => push_any_after(&mut sql, tracked.id, lo),
            _ => sql.push_str("true"),
        }
        sql.push_str(
            " FROM highwater.meta AS m LEFT JOIN \
             (SELECT id, nonce, snapshot FROM highwater.tick ORDER BY id DESC LIMIT 1) AS t ON true",
        );
        sql
    }

    fn read(&self, row: &Row) -> Result<Found, Fault> {
        let mut found = Found {
            snapshot: text(row, 0)?.unwrap_or_default().to_owned(),
            in_recovery: row.try_get(1)?,
            ..Found::default()
        };
        if self.schema.meta.is_none() {
            return Ok(found);
        }
        found.meta = Some(FoundMeta {
            readable_by: row.try_get(2)?,
            epoch: row.try_get(3)?,
            stored_identity: text(row, 4)?.unwrap_or_default().to_owned(),
            identity: text(row, 5)?.unwrap_or_default().to_owned(),
        });
        if cell(row, 6)?.is_some() {
            let anchor = Anchor {
                tick: row.try_get::<_, i64>(6)?.unsigned_abs(),
                nonce: nonce(row.try_get(7)?),
            };
            found.newest = Some((anchor, text(row, 8)?.unwrap_or_default().to_owned()));
        }
        let mut at = 9;
        for _ in self.positions() {
            found.anchors.push(row.try_get::<_, Option<i64>>(at)?.map(nonce));
            at += 1;
        }
        for _ in self.tracked() {
            found.tables.push(FoundTable {
                horizon: row.try_get(at)?,
                is_superseded: row.try_get(at + 1)?,
            });
            at += 2;
        }
        found.is_news = row.try_get(at)?;
        Ok(found)
    }

    /// Whether the verb can go on.
    fn judge(&self, found: &Found) -> Result<Verdict, Fault> {
        let Some(known) = &self.schema.meta else {
            return Ok(Verdict::Ready {
                hi: None,
                is_past: false,
                is_news: true,
            });
        };
        let meta = found.meta.as_ref().ok_or(Error::SchemaChanged)?;
        if meta.readable_by > FORMAT {
            return Err(Error::Unsupported(
                "A newer version of Highwater has changed its tables in the database. Upgrade this service.".into(),
            )
            .into());
        }
        if meta.epoch != known.epoch.0.cast_signed()
            || !same_identity(&meta.stored_identity, &meta.identity)
            || found.in_recovery != self.schema.in_recovery
            || found.tables.iter().any(|table| table.horizon.is_none())
        {
            return Err(Error::SchemaChanged.into());
        }
        let now = self.now(found)?;
        if found.in_recovery && self.positions().any(|position| !now.contains(position)) {
            return Ok(Verdict::Ahead);
        }
        let horizon = found.tables.iter().filter_map(|t| t.horizon).max();
        for (position, nonce) in self.positions().zip(&found.anchors) {
            if horizon.is_some_and(|horizon| position.xmin() < horizon) {
                return Err(Gone::Pruned.into());
            }
            let anchored = position.anchor == Anchor::default()
                || *nonce == Some(position.anchor.nonce);
            if !anchored || position.visible.xmax > now.visible.xmax {
                return Err(Gone::Restored.into());
            }
        }
        Ok(Verdict::Ready {
            is_past: found.in_recovery || found.tables.iter().any(|table| table.is_superseded),
            is_news: found.is_news,
            hi: Some(self.hi.cloned().unwrap_or(now)),
        })
    }

    /// The newest snapshot that can be served.
    fn now(&self, found: &Found) -> Result<Position, Fault> {
        let (anchor, snapshot) = match (&found.newest, found.in_recovery) {
            // A standby does not know which transactions are in progress on the primary; the tick does.
            (Some((anchor, snapshot)), true) => (*anchor, snapshot),
            (Some((anchor, _)), false) => (*anchor, &found.snapshot),
            (None, false) => (Anchor::default(), &found.snapshot),
            (None, true) => {
                return Err(Error::Unavailable(
                    "The standby has not received anything that can be served. Check that highwater serve runs on the primary, and try again."
                        .into(),
                )
                .into());
            }
        };
        Position::parse(snapshot, anchor).ok_or_else(|| {
            Error::Internal(format!("PostgreSQL sent the snapshot {snapshot}, which is none")).into()
        })
    }
}

enum Verdict {
    Ready {
        hi: Option<Position>,
        is_past: bool,
        is_news: bool,
    },
    /// The standby has not seen what a link names.
    Ahead,
}

/// Appends a condition: a table has a record that is not visible in a snapshot. Two ranges of an index, so that a transaction that
/// stays open costs nothing.
fn push_any_after(sql: &mut String, history: i64, position: &Position) {
    let visible = &position.visible;
    let _ = write!(
        sql,
        "(EXISTS (SELECT FROM highwater.history_{history} WHERE xid >= {})",
        visible.xmax
    );
    if !visible.xip.is_empty() {
        let xip: Vec<String> = visible.xip.iter().map(i64::to_string).collect();
        let _ = write!(
            sql,
            " OR EXISTS (SELECT FROM highwater.history_{history} WHERE xid = ANY ('{{{}}}'::bigint[]))",
            xip.join(",")
        );
    }
    sql.push(')');
}

/// The nonce of a tick has 32 bits, in a wider column.
fn nonce(stored: i64) -> u32 {
    stored as u32
}
