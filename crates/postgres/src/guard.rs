//! The first message of every verb that reads: it opens the transaction, and tells whether what the caller knows still holds.
//!
//! What must hold: the tables are locked (against being changed, not against being written) before the snapshot of the transaction
//! exists, so that nobody can rewrite or empty one between the check and the reading of its rows; and the check sees the same snapshot
//! as the rows. Which partitions a table has is not governed by that, so it is checked again at the end ([`Question::confirm`]). What is
//! deliberately absent: the rows.

mod images;
mod partitions;
mod records;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{OptionFuture, join3};
use futures_util::{StreamExt as _, pin_mut};
use highwater_core::{Error, Gone};
use highwater_sql::postgres::{Visible, any_after_xids};
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, IsolationLevel, Row, RowStream};

use crate::bind::Statement;
use crate::error::{Fault, is_connection_lost};
use crate::own_schema::FORMAT;
use crate::pool::{Pool, Session};
use crate::row::{text, truth};
use crate::schema::{Schema, Tracked};
use crate::snapshot::{Anchor, Position};

pub(crate) use images::explain;
use records::push_later;

/// How long a request waits for a standby that has not yet seen what its link names.
const STANDBY_PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks again.
const STANDBY_INTERVAL: Duration = Duration::from_millis(50);
/// Up to so many records after a snapshot, it is cheaper to look at all of them for every page than to look up every row of the page.
const RECENT_RECORDS_MAX: i64 = 1_000;

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
    pub(crate) seen: Seen,
    /// The answer to the statement that was sent along.
    pub(crate) rows: Option<Result<RowStream, tokio_postgres::Error>>,
}

/// What a verb has to read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The snapshot to show; `None` if nothing in the database is tracked.
    pub(crate) hi: Option<Position>,
    /// What `hi` sees, if current rows may be newer, so that they have to be read as of it. Of the transactions that were in progress, only
    /// those that changed tables of the query.
    pub(crate) as_of: Option<Visible>,
    /// What `lo` sees, likewise; `None` if nothing in the table of the query has changed since.
    pub(crate) since: Option<Visible>,
    /// Whether the table of the query has more than [`RECENT_RECORDS_MAX`] records after `hi`.
    pub(crate) has_many_later: bool,
}

/// What the guard's statement found.
#[derive(Debug, Default)]
struct Found {
    snapshot: String,
    in_recovery: bool,
    meta: Option<FoundMeta>,
    newest: Option<(Anchor, String)>,
    /// Whether the newest tick may be named by a link.
    is_settled: bool,
    /// For `lo` and `hi`: what the ticks say that they are anchored at.
    anchors: Vec<FoundAnchor>,
    /// One for each tracked table of the query.
    tables: Vec<FoundTable>,
    /// Records of the table of the query after `lo`.
    news: Later,
}

#[derive(Debug)]
struct FoundMeta {
    readable_by: i32,
    epoch: i64,
    /// Whether the database is the one that the epoch was made for.
    is_same_database: bool,
}

#[derive(Debug)]
struct FoundAnchor {
    /// `None` if there is no such tick.
    nonce: Option<u32>,
    /// What is certain to have survived the first crash after it.
    cut: Option<Position>,
    /// Whether there are ticks before it; they are deleted in the order of their ids.
    is_older_known: bool,
}

#[derive(Debug)]
struct FoundTable {
    /// `None` if its tracking is not the one that the schema describes.
    horizon: Option<i64>,
    /// Whether there are records that the newest tick does not show, if no earlier page fixed a snapshot.
    is_newer: bool,
    /// Its records after `hi`.
    later: Later,
}

/// Records of a table after a snapshot.
#[derive(Debug, Default)]
struct Later {
    /// How many were written by transactions that had not begun then, as far as it was counted.
    count: i64,
    /// Which transactions wrote some that were in progress then.
    xip: Vec<i64>,
    /// How many they wrote, as far as it was counted.
    count_of_xip: i64,
}

/// Opens a transaction for a verb.
///
/// # Errors
///
/// [`Error::SchemaChanged`] if the schema holds no more, [`Gone`] if a snapshot cannot be answered any more, [`Error::Unavailable`] if a
/// standby has not seen it yet, and whatever PostgreSQL says.
pub(crate) async fn open(pool: &Arc<Pool>, question: &Question<'_>) -> Result<View, Fault> {
    open_with(pool, question, None).await
}

/// As [`open`]; a statement that does not depend on the outcome is sent along, which saves a round trip.
///
/// # Errors
///
/// As [`open`].
pub(crate) async fn open_with(
    pool: &Arc<Pool>,
    question: &Question<'_>,
    along: Option<&Statement>,
) -> Result<View, Fault> {
    let begin = question.begin(pool.settings());
    let look = Statement::new((question.look(), Vec::new()));
    let deadline = Instant::now() + STANDBY_PATIENCE;
    loop {
        let session = pool.session().await?;
        let asked = ask(&session, &begin, &look, along, question).await;
        if let Err(Fault::Postgres(error)) = &asked
            && session.is_reused()
            && is_connection_lost(error)
        {
            // It was cut while nobody used it; so were the others, probably.
            pool.forget_idle();
            continue;
        }
        let judged = asked.and_then(|(found, rows)| Ok((question.judge(&found)?, rows)));
        match judged {
            Ok((Verdict::Ready(seen), rows)) => {
                return Ok(View {
                    session,
                    seen,
                    rows,
                });
            }
            Ok((Verdict::Unsettled, _)) if Instant::now() <= deadline => {
                session.commit().await;
                settle(pool).await?;
                continue;
            }
            Ok((Verdict::Unsettled, _)) => {
                session.commit().await;
                return Err(Error::Unavailable(
                    "The database has been restarted. Try again.".into(),
                )
                .into());
            }
            Ok((Verdict::Ahead, _)) => session.commit().await,
            Err(fault) => {
                session.commit().await;
                return Err(fault);
            }
        }
        if Instant::now() > deadline {
            return Err(Error::Unavailable(
                "The link is newer than what this standby has received from the primary. Try again in a moment, or ask the primary."
                    .into(),
            )
            .into());
        }
        tokio::time::sleep(STANDBY_INTERVAL).await;
    }
}

/// Records what a restart of the server may have undone, before anything is served.
async fn settle(pool: &Arc<Pool>) -> Result<(), Fault> {
    let mut session = pool.live_session().await?;
    let transaction = session
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?;
    transaction.batch_execute(pool.settings()).await?;
    transaction
        .batch_execute("SELECT highwater.settle()")
        .await?;
    transaction.commit().await?;
    session.done();
    Ok(())
}

type Answers = (Found, Option<Result<RowStream, tokio_postgres::Error>>);

/// Sends all messages at once and reads the answers.
async fn ask(
    client: &Client,
    begin: &str,
    look: &Statement,
    along: Option<&Statement>,
    question: &Question<'_>,
) -> Result<Answers, Fault> {
    let look = async {
        let rows = look.rows(client).await?;
        pin_mut!(rows);
        let row = rows.next().await.ok_or_else(|| {
            Fault::Told(Error::Internal(
                "the database told nothing of itself".into(),
            ))
        })??;
        let found = question.read(&row)?;
        while rows.next().await.transpose()?.is_some() {}
        Ok::<_, Fault>(found)
    };
    let along = OptionFuture::from(along.map(|statement| statement.rows(client)));
    let (begun, looked, rows) = join3(client.batch_execute(begin), look, along).await;
    // If the transaction did not begin, that is why the rest failed as well.
    begun?;
    Ok((looked?, rows))
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
                let only = if schema.layouts[*table].only {
                    "ONLY "
                } else {
                    ""
                };
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
        sql.push_str(
            ", l.readable_by, l.epoch, l.is_same_database, l.is_settled, l.tick, l.nonce, l.snapshot::text, \
             l.nonces, l.cuts, l.are_older_known, l.horizons",
        );
        for (_, tracked) in self.tracked() {
            sql.push_str(", ");
            let later = self.hi.map(|hi| (tracked.id, hi));
            push_later(&mut sql, later, RECENT_RECORDS_MAX + 1);
            if self.hi.is_none() {
                sql.push_str(", ");
                sql.push_str(&any_after_xids(tracked.id, "l.xmax", Some("l.xip")));
            }
        }
        sql.push_str(", ");
        let tracked = self.schema.facts[self.table].tracked.as_ref();
        push_later(
            &mut sql,
            tracked.and_then(|tracked| Some((tracked.id, self.lo?))),
            1,
        );
        let _ = write!(
            sql,
            " FROM highwater.look('{{{}}}', '{{{}}}', '{{{}}}', '{{{}}}') AS l",
            list(self.positions().map(|position| position.anchor.tick)),
            list(self.tracked().map(|(_, tracked)| tracked.id)),
            list(self.tracked().map(|(relation, _)| relation)),
            list(self.tracked().map(|(_, tracked)| tracked.incarnation)),
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
        if let Some(readable_by) = row.try_get(2)? {
            found.meta = Some(FoundMeta {
                readable_by,
                epoch: row.try_get(3)?,
                is_same_database: truth(row, 4)?,
            });
        }
        found.is_settled = truth(row, 5)?;
        if let Some(tick) = row.try_get::<_, Option<i64>>(6)? {
            let anchor = Anchor {
                tick: tick.unsigned_abs(),
                nonce: nonce(row.try_get(7)?),
            };
            found.newest = Some((anchor, text(row, 8)?.unwrap_or_default().to_owned()));
        }
        let nonces: Vec<Option<i64>> = items(row, 9)?;
        let cuts: Vec<Option<&str>> = items(row, 10)?;
        let are_older_known: Vec<bool> = items(row, 11)?;
        for ((stored, cut), is_older_known) in nonces.into_iter().zip(cuts).zip(are_older_known) {
            found.anchors.push(FoundAnchor {
                nonce: stored.map(nonce),
                cut: cut.map(|cut| parse(cut, Anchor::default())).transpose()?,
                is_older_known,
            });
        }
        let horizons: Vec<Option<i64>> = items(row, 12)?;
        let mut at = 13;
        for horizon in horizons {
            found.tables.push(FoundTable {
                horizon,
                later: Later::read(row, at)?,
                is_newer: self.hi.is_none() && truth(row, at + Later::COLUMNS)?,
            });
            at += Later::COLUMNS + usize::from(self.hi.is_none());
        }
        found.news = Later::read(row, at)?;
        Ok(found)
    }

    /// Whether the verb can go on.
    fn judge(&self, found: &Found) -> Result<Verdict, Fault> {
        let Some(known) = &self.schema.meta else {
            return Ok(Verdict::Ready(Seen::default()));
        };
        let meta = found.meta.as_ref().ok_or(Error::SchemaChanged)?;
        if meta.readable_by > FORMAT {
            return Err(Error::Unavailable(
                "A newer version of Highwater has changed its tables in the database. Upgrade this service.".into(),
            )
            .into());
        }
        if meta.epoch != known.epoch.0.cast_signed()
            || !meta.is_same_database
            || found.in_recovery != self.schema.in_recovery
            || found.tables.iter().any(|table| table.horizon.is_none())
        {
            return Err(Error::SchemaChanged.into());
        }
        if !found.is_settled {
            return Ok(Verdict::Unsettled);
        }
        let now = self.now(found)?;
        if found.in_recovery && self.positions().any(|position| !now.contains(position)) {
            return Ok(Verdict::Ahead);
        }
        let horizon = found.tables.iter().filter_map(|t| t.horizon).max();
        for (position, anchor) in self.positions().zip(&found.anchors) {
            let is_forgotten = anchor.nonce.is_none() && !anchor.is_older_known;
            if is_forgotten || horizon.is_some_and(|horizon| position.xmin() < horizon) {
                return Err(Gone::Pruned.into());
            }
            if anchor.nonce != Some(position.anchor.nonce)
                || anchor
                    .cut
                    .as_ref()
                    .is_some_and(|cut| !cut.contains(position))
                || position.visible.xmax > now.visible.xmax
            {
                return Err(Gone::Restored.into());
            }
        }
        let later = found.tables.iter().map(|table| &table.later);
        let as_of = match self.hi {
            Some(hi) => narrowed(hi, later.clone()),
            // What the transaction sees is newer than the tick.
            None => found.in_recovery.then(|| now.visible.clone()),
        };
        Ok(Verdict::Ready(Seen {
            as_of,
            since: self
                .lo
                .and_then(|lo| narrowed(lo, std::iter::once(&found.news))),
            has_many_later: later.map(Later::total).max() > Some(RECENT_RECORDS_MAX),
            hi: Some(match self.hi {
                Some(hi) => hi.clone(),
                None => self.steady(found)?.unwrap_or(now),
            }),
        }))
    }

    /// The newest tick, if it shows the same rows as the transaction does: unlike that, it is sure to survive a crash, and the same for everybody.
    fn steady(&self, found: &Found) -> Result<Option<Position>, Fault> {
        let Some((anchor, snapshot)) = &found.newest else {
            return Ok(None);
        };
        let tick = parse(snapshot, *anchor)?;
        let is_newer = found.tables.iter().any(|table| table.is_newer);
        Ok((!is_newer && self.lo.is_none_or(|lo| tick.contains(lo))).then_some(tick))
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
        parse(snapshot, anchor)
    }
}

/// What an array holds; an empty one may be `NULL`.
fn items<'r, T: FromSql<'r>>(row: &'r Row, position: usize) -> Result<Vec<T>, Fault> {
    Ok(row
        .try_get::<_, Option<Vec<T>>>(position)?
        .unwrap_or_default())
}

/// Numbers as PostgreSQL writes them in an array.
fn list(numbers: impl Iterator<Item = impl ToString>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    numbers.join(",")
}

fn parse(snapshot: &str, anchor: Anchor) -> Result<Position, Fault> {
    Position::parse(snapshot, anchor).ok_or_else(|| {
        Error::Internal(format!(
            "PostgreSQL sent the snapshot {snapshot}, which is none"
        ))
        .into()
    })
}

enum Verdict {
    Ready(Seen),
    /// The server was started since the newest tick.
    Unsettled,
    /// The standby has not seen what a link names.
    Ahead,
}

/// What a snapshot sees, without those transactions in progress that wrote nothing of interest; `None` if there are no later records.
fn narrowed<'f>(position: &Position, later: impl Iterator<Item = &'f Later>) -> Option<Visible> {
    let mut total = 0;
    let mut xip = BTreeSet::new();
    for later in later {
        total += later.total();
        xip.extend(later.xip.iter().copied());
    }
    (total > 0).then(|| Visible {
        xmax: position.visible.xmax,
        xip: xip.into_iter().collect(),
    })
}

impl Later {
    const COLUMNS: usize = 3;

    fn read(row: &Row, at: usize) -> Result<Later, Fault> {
        let xip = text(row, at + 1)?.unwrap_or_default();
        let xip = xip.split(',').filter(|xid| !xid.is_empty());
        Ok(Later {
            count: row.try_get(at)?,
            xip: xip
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| Error::Internal("a transaction id that is no number".into()))?,
            count_of_xip: row.try_get(at + 2)?,
        })
    }

    fn total(&self) -> i64 {
        self.count + self.count_of_xip
    }
}

/// The nonce of a tick has 32 bits, in a wider column.
fn nonce(stored: i64) -> u32 {
    stored as u32
}
