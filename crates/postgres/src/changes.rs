//! One page of the difference between two snapshots of a query (DESIGN sections 1 and 4).
//!
//! What must hold: every key that has an undo record in the round is judged once, by its states at `lo` and `hi`; the cursor is the
//! last record that was examined, and every record before it has been dealt with. A page costs in proportion to itself: it may be
//! short, or empty, and still have a successor.

use std::sync::Arc;

use futures_util::{StreamExt as _, pin_mut};
use highwater_core::link::{Reader, put_uint};
use highwater_core::store::{ChangesParams, RowSink};
use highwater_core::{Cursor, Error, Gone, RemovedReason, Snapshot, Tracking};
use highwater_sql::postgres::{self, DeltaSpec};
use tokio_postgres::{Client, Row, RowStream};

use crate::bind::Statement;
use crate::error::Fault;
use crate::guard::{self, Question, Seen, View};
use crate::pool::Pool;
use crate::read::{Memory, flavour};
use crate::row::{RowShape, look_the_same, truth};
use crate::schema::Schema;
use crate::snapshot::Position;

/// Records that a page examines at least, however few rows it may hold.
const EXAMINED_MIN: u64 = 10_000;
/// Records that a page examines for every row that it may hold.
const EXAMINED_PER_ROW: u64 = 20;

/// How many times as many records are asked for next, if those were not enough for a page.
const LIMIT_GROWTH: u64 = 4;

/// Columns of the statement before the images.
const XID: usize = 0;
const SEQ: usize = 1;
const SUPERSEDED: usize = 2;
const IN_BEFORE: usize = 3;
const EXISTS_AFTER: usize = 4;
const IN_AFTER: usize = 5;
const IMAGES: usize = 6;

/// What a page was.
pub(crate) struct ChangesRead {
    pub(crate) hi: Snapshot,
    pub(crate) next: Option<Cursor>,
}

/// What a record says about its key.
enum Verdict {
    /// Nothing.
    Same,
    /// The entity is new or different; its columns begin here.
    Changed(usize),
    /// The entity left the answer. One that has the same key in other digits may be there instead; its columns begin here.
    Removed(RemovedReason, Option<usize>),
}

/// A record: the transaction that wrote it, and its number.
type Place = (i64, i64);

/// Reads a page into the sink.
///
/// # Errors
///
/// [`highwater_core::Error::Gone`] if one of the snapshots can no longer be answered,
/// [`highwater_core::Error::SchemaChanged`], and whatever PostgreSQL says.
pub(crate) async fn changes(
    pool: &Arc<Pool>,
    schema: &Schema,
    params: &ChangesParams,
    sink: &mut dyn RowSink,
) -> Result<ChangesRead, Fault> {
    let query = &*params.query;
    // A link whose table is no longer tracked was made for another schema.
    if schema.facts[query.table].tracked.is_none() {
        return Err(match schema.table(query.table).tracking {
            Tracking::Paused { .. } => Error::SchemaChanged.into(),
            _ => Gone::Recreated.into(),
        });
    }
    let lo = Position::decode(&params.lo)?;
    let hi = params.hi.as_ref().map(Position::decode).transpose()?;
    let after = params.after.as_ref().map(decode).transpose()?;
    let question = Question {
        schema,
        table: query.table,
        tables: query.tables(&schema.catalog),
        lo: Some(&lo),
        hi: hi.as_ref(),
    };
    let View { session, seen, .. } = guard::open(pool, &question).await?;
    let mut read = Page::new(schema, params)
        .read(&session, &seen, after, sink)
        .await;
    if read.is_ok()
        && let Err(fault) = question.confirm(&session).await
    {
        read = Err(fault);
    }
    session.commit().await;
    let next = match read {
        Err(fault) => return Err(guard::explain(pool, &question, fault).await),
        Ok(next) => next,
    };
    Ok(ChangesRead {
        next: next.map(encode),
        hi: seen.hi.as_ref().ok_or(Gone::Recreated)?.encode(),
    })
}

struct Page<'q> {
    schema: &'q Schema,
    params: &'q ChangesParams,
    shape: RowShape,
    key: &'q [usize],
    /// Positions in the shape of the columns whose changes count.
    compared: Vec<usize>,
    examined_max: u64,
}

/// What was found for a page so far.
#[derive(Default)]
struct Found {
    examined: u64,
    shown: u64,
    /// The last record that was examined.
    last: Option<Place>,
    memory: Memory,
}

impl<'q> Page<'q> {
    fn new(schema: &'q Schema, params: &'q ChangesParams) -> Page<'q> {
        let query = &*params.query;
        let shape = RowShape::new(
            &schema.catalog,
            &schema.layouts,
            query.table,
            &query.columns,
            std::iter::empty(),
            query.etag,
        );
        Page {
            schema,
            params,
            key: &schema.catalog.tables[query.table].key,
            compared: query.columns.iter().map(|c| shape.position(*c)).collect(),
            shape,
            examined_max: params
                .limit
                .rows
                .saturating_mul(EXAMINED_PER_ROW)
                .max(EXAMINED_MIN),
        }
    }

    /// Examines records until the page is full, or none are left, or enough were examined. How many there will be in a page is not known, and
    /// PostgreSQL computes all that a statement asks for, so it is asked for few at first.
    async fn read(
        &self,
        client: &Client,
        seen: &Seen,
        mut after: Option<Place>,
        sink: &mut dyn RowSink,
    ) -> Result<Option<Place>, Fault> {
        sink.begin(None);
        let (Some(lo), Some(hi)) = (&seen.since, &seen.hi) else {
            return Ok(None);
        };
        let flavour = flavour(self.schema, seen.as_of.as_ref());
        let columns = self.shape.columns();
        let mut found = Found::default();
        let mut limit = self.params.limit.rows.saturating_add(1);
        loop {
            limit = limit.min(self.examined_max - found.examined);
            let spec = DeltaSpec {
                query: &self.params.query,
                columns: &columns,
                lo,
                hi: &hi.visible,
                after,
                limit,
            };
            let statement = Statement::new(postgres::delta(&flavour, &spec)?);
            let rows = statement.rows(client).await?;
            let examined = found.examined;
            if self.examine(rows, &mut found, sink).await? || found.examined == self.examined_max {
                return Ok(found.last.or(after));
            }
            if found.examined - examined < limit {
                return Ok(None);
            }
            after = found.last;
            limit = limit.saturating_mul(LIMIT_GROWTH);
        }
    }

    /// Hands what records say to the sink. Returns whether the page is full, and there is more.
    async fn examine(
        &self,
        rows: RowStream,
        found: &mut Found,
        sink: &mut dyn RowSink,
    ) -> Result<bool, Fault> {
        let limit = self.params.limit;
        pin_mut!(rows);
        while let Some(row) = rows.next().await {
            let row = row?;
            if found.examined == 0 {
                self.shape.check(&row, IMAGES)?;
            }
            let verdict = self.judge(&row)?;
            let entries = match verdict {
                Verdict::Same => 0,
                Verdict::Removed(_, Some(_)) => 2,
                Verdict::Changed(_) | Verdict::Removed(_, None) => 1,
            };
            if entries > 0
                && found.shown > 0
                && (found.shown + entries > limit.rows || sink.bytes() >= limit.bytes)
            {
                return Ok(true);
            }
            found.examined += 1;
            found.last = Some((row.try_get(XID)?, row.try_get(SEQ)?));
            match verdict {
                Verdict::Same => continue,
                Verdict::Changed(first) => {
                    found.memory.entity(&row, &self.shape, first, sink)?;
                    sink.end_entity();
                }
                Verdict::Removed(reason, respelled) => {
                    let key = (IMAGES, self.key);
                    found.memory.removed(&row, &self.shape, key, reason, sink)?;
                    if let Some(first) = respelled {
                        found.memory.entity(&row, &self.shape, first, sink)?;
                        sink.end_entity();
                    }
                }
            }
            found.shown += entries;
        }
        Ok(false)
    }

    /// The table of DESIGN section 1.
    fn judge(&self, row: &Row) -> Result<Verdict, Fault> {
        if truth(row, SUPERSEDED)? {
            return Ok(Verdict::Same);
        }
        let after = IMAGES + self.shape.len();
        Ok(match (truth(row, IN_BEFORE)?, truth(row, IN_AFTER)?) {
            (false, false) => Verdict::Same,
            (false, true) => Verdict::Changed(after),
            (true, true) => {
                for position in &self.compared {
                    if !look_the_same(row, IMAGES + position, after + position)? {
                        return Ok(Verdict::Changed(after));
                    }
                }
                Verdict::Same
            }
            (true, false) if truth(row, EXISTS_AFTER)? => {
                Verdict::Removed(RemovedReason::Changed, None)
            }
            (true, false) => {
                let respelled = after + self.shape.len();
                let is_respelled = respelled < row.len() && truth(row, respelled)?;
                let first = is_respelled.then_some(respelled + 1);
                Verdict::Removed(RemovedReason::Deleted, first)
            }
        })
    }
}

fn encode((xid, seq): Place) -> Cursor {
    let mut bytes = Vec::new();
    put_uint(&mut bytes, xid.unsigned_abs());
    put_uint(&mut bytes, seq.unsigned_abs());
    Cursor(bytes)
}

fn decode(cursor: &Cursor) -> Result<Place, Gone> {
    let mut reader = Reader(&cursor.0);
    let mut number = || i64::try_from(reader.uint()?).ok();
    match (number(), number()) {
        (Some(xid), Some(seq)) if reader.0.is_empty() => Ok((xid, seq)),
        _ => Err(Gone::Format),
    }
}
