//! One page of a query at a snapshot: of a first round, or of an answer that is not tracked (DESIGN section 4).
//!
//! What must hold: everything on the page (the count, related rows and what filters look at included) is read in one transaction and
//! as of one snapshot; the cursor names the last row that was shown, and the next page begins behind it.

use std::sync::Arc;

use futures_util::{StreamExt as _, pin_mut};
use highwater_core::link::{Reader, put_uint};
use highwater_core::store::{PageLimit, ReadParams, RowSink, recycle};
use highwater_core::{Cursor, Error, Gone, Query, RemovedReason, Row, Snapshot};
use highwater_odata::ValueRef;
use highwater_sql::Param;
use highwater_sql::postgres::{self, Driver, PageSpec, Postgres, Visible};
use tokio_postgres::{Client, RowStream};
use xxhash_rust::xxh3::xxh3_64;

use crate::bind::{Statement, decode_cursor, encode_cursor};
use crate::error::Fault;
use crate::expand::{Reader as Expander, Rows, collect};
use crate::guard::{self, Question, Seen, View};
use crate::pool::Pool;
use crate::row::{RowShape, Scratch};
use crate::schema::Schema;
use crate::snapshot::Position;

/// The rest of an answer that nobody reads may be so long; if it is longer, another connection is cheaper.
const REST_MAX_BYTES: usize = 1024 * 1024;

/// What a page was.
pub(crate) struct PageRead {
    pub(crate) hi: Option<Snapshot>,
    pub(crate) next: Option<Cursor>,
    pub(crate) count: Option<u64>,
}

/// Memory that is used again for every row of one level.
#[derive(Default)]
pub(crate) struct Memory {
    scratch: Scratch,
    values: Vec<ValueRef<'static>>,
    hashed: Vec<u8>,
}

/// Reads a page into the sink.
///
/// # Errors
///
/// [`Error::Gone`] if the snapshot can no longer be answered, [`Error::SchemaChanged`], and whatever PostgreSQL says.
pub(crate) async fn read(
    pool: &Arc<Pool>,
    schema: &Schema,
    params: &ReadParams,
    sink: &mut dyn RowSink,
) -> Result<PageRead, Fault> {
    let query = &*params.query;
    let is_tracked = schema.facts[query.table].tracked.is_some();
    let hi = match &params.hi {
        Some(hi) if is_tracked => Some(Position::decode(hi)?),
        _ => None,
    };
    let question = Question {
        schema,
        table: query.table,
        tables: query.tables(&schema.catalog),
        lo: None,
        hi: hi.as_ref(),
    };
    let page = Page::of(schema, params, is_tracked)?;
    // Nearly always a page shows what its transaction sees, so it need not wait for the guard to say so. A standby's first page does not.
    let is_now = hi.is_some() || !schema.in_recovery;
    let along = match is_now && !(query.count && page.is_first) && page.rows_max > 0 {
        true => {
            let since = hi.as_ref().map(|hi| &hi.visible);
            Some(page.statement(&flavour(schema, None), Driver::Recent, since)?)
        }
        false => None,
    };
    let View {
        session,
        mut seen,
        rows,
    } = guard::open_with(pool, &question, along.as_ref()).await?;
    if !is_tracked {
        // The current rows, whatever else there is.
        seen = Seen::default();
    }
    let mut read = page.read(&session, &seen, rows, sink).await;
    if read.is_ok()
        && let Err(fault) = question.confirm(&session).await
    {
        read = Err(fault);
    }
    match read {
        Ok(PageEnd {
            is_rest_long: true, ..
        }) if !question.has_partitions() => drop(session),
        _ => session.commit().await,
    }
    let PageEnd { next, count, .. } = match read {
        Err(fault) if seen.as_of.is_some() => {
            return Err(guard::explain(pool, &question, fault).await);
        }
        read => read?,
    };
    Ok(PageRead {
        hi: seen.hi.as_ref().map(Position::encode),
        next,
        count,
    })
}

/// A page that is about to be read.
struct Page<'q> {
    schema: &'q Schema,
    query: &'q Query,
    limit: PageLimit,
    place: Place,
    /// Whether to count, if the query asks for it.
    is_first: bool,
    /// Rows that the whole answer has at most.
    top: u64,
    /// Rows that the page has at most.
    rows_max: u64,
    shape: RowShape,
    /// Positions of the key columns in the statement's row.
    key: Vec<usize>,
    /// What cursors end with ([`trackings`]).
    trackings: Vec<u8>,
}

/// A page that was read.
#[derive(Default)]
struct PageEnd {
    next: Option<Cursor>,
    count: Option<u64>,
    /// Whether the answer of the database has much more, which nobody will read.
    is_rest_long: bool,
}

impl<'q> Page<'q> {
    fn of(schema: &'q Schema, params: &'q ReadParams, is_tracked: bool) -> Result<Page<'q>, Fault> {
        let query = &*params.query;
        let trackings = match is_tracked {
            true => trackings(schema, query),
            false => Vec::new(),
        };
        let after = match &params.after {
            Some(cursor) => Some(cursor.0.strip_suffix(&*trackings).ok_or(Gone::Recreated)?),
            None => None,
        };
        let relations = query.expand.iter().map(|expand| expand.relation);
        let shape = RowShape::new(
            &schema.catalog,
            &schema.layouts,
            query.table,
            &query.columns,
            relations,
            query.etag,
        );
        let key = schema.catalog.tables[query.table].key.iter();
        let top = query.top.unwrap_or(u64::MAX);
        Ok(Page {
            schema,
            query,
            limit: params.limit,
            place: Place::of(schema, query, after)?,
            is_first: params.after.is_none(),
            top,
            rows_max: params.limit.rows.min(top),
            key: key
                .map(|column| query.order.len() + shape.position(*column))
                .collect(),
            shape,
            trackings,
        })
    }

    fn statement(
        &self,
        flavour: &Postgres<'_>,
        driver: Driver,
        unless_changed_since: Option<&Visible>,
    ) -> Result<Statement, Fault> {
        let columns = self.shape.columns();
        let spec = PageSpec {
            query: self.query,
            columns: &columns,
            driver,
            after: self.place.after.as_deref(),
            offset: self.place.offset,
            // One more tells whether there is a next page.
            limit: self
                .rows_max
                .saturating_add(u64::from(self.rows_max < self.top)),
            unless_changed_since,
        };
        Ok(Statement::new(postgres::page(flavour, &spec)?))
    }

    /// Reads the page. `rows` is the answer to its statement, if that was sent already, for a page of what the transaction sees.
    async fn read(
        &self,
        client: &Client,
        seen: &Seen,
        rows: Option<Result<RowStream, tokio_postgres::Error>>,
        sink: &mut dyn RowSink,
    ) -> Result<PageEnd, Fault> {
        let flavour = flavour(self.schema, seen.as_of.as_ref());
        let count = if self.query.count && self.is_first {
            let statement = Statement::new(postgres::count(&flavour, self.query)?);
            Some(count(client, &statement).await?)
        } else {
            None
        };
        sink.begin(count);
        if self.rows_max == 0 {
            return Ok(PageEnd {
                count,
                ..PageEnd::default()
            });
        }
        let rows = match rows.transpose()? {
            Some(rows) if seen.as_of.is_none() => rows,
            _ => {
                let driver = match seen.has_many_later {
                    true => Driver::Keys,
                    false => Driver::Recent,
                };
                self.statement(&flavour, driver, None)?.rows(client).await?
            }
        };
        let end = if self.query.expand.is_empty() {
            self.stream(rows, sink).await?
        } else {
            let next = self.nest(client, &flavour, rows, sink).await?;
            PageEnd {
                next,
                ..PageEnd::default()
            }
        };
        Ok(PageEnd { count, ..end })
    }

    /// Hands rows to the sink as they come.
    async fn stream(&self, rows: RowStream, sink: &mut dyn RowSink) -> Result<PageEnd, Fault> {
        pin_mut!(rows);
        let first = self.query.order.len();
        let mut memory = Memory::default();
        let mut shown = 0;
        let mut cursor = None;
        while let Some(row) = rows.next().await {
            let row = row?;
            if shown == 0 {
                self.shape.check(&row, first)?;
            }
            if cursor.is_some() {
                let bytes_each = sink.bytes() / usize::try_from(shown).unwrap_or(1);
                let rest = usize::try_from(self.rows_max - shown).unwrap_or(usize::MAX);
                return Ok(PageEnd {
                    next: cursor,
                    count: None,
                    is_rest_long: rest.saturating_mul(bytes_each) > REST_MAX_BYTES,
                });
            }
            memory.entity(&row, &self.shape, first, sink)?;
            sink.end_entity();
            shown += 1;
            if shown == self.top {
                break;
            }
            if shown == self.rows_max || sink.bytes() >= self.limit.bytes {
                cursor = Some(self.cursor(&row, shown)?);
            }
        }
        Ok(PageEnd::default())
    }

    /// Collects the rows, reads what is nested in them, and hands both to the sink.
    async fn nest(
        &self,
        client: &Client,
        flavour: &Postgres<'_>,
        rows: RowStream,
        sink: &mut dyn RowSink,
    ) -> Result<Option<Cursor>, Fault> {
        let first = self.query.order.len();
        let Rows { mut rows, is_cut } = collect(rows, self.limit.bytes).await?;
        if let Some(row) = rows.first() {
            self.shape.check(row, first)?;
        }
        let found = rows.len();
        let rows_max = usize::try_from(self.rows_max).unwrap_or(usize::MAX);
        rows.truncate(rows_max.min(found - usize::from(is_cut)));
        let expander = Expander {
            client,
            schema: self.schema,
            flavour,
            limit: self.limit,
        };
        let mut expansions = expander.read(self.query, &self.shape, first, &rows).await?;
        rows.truncate(expansions.parents());
        let mut memory = Memory::default();
        for (position, row) in rows.iter().enumerate() {
            memory.entity(row, &self.shape, first, sink)?;
            expansions.emit(position, sink, self.limit)?;
            sink.end_entity();
            let shown = position + 1;
            if shown as u64 == self.top || shown == found {
                return Ok(None);
            }
            if shown == rows.len() || sink.bytes() >= self.limit.bytes {
                return Ok(Some(self.cursor(row, shown as u64)?));
            }
        }
        Ok(None)
    }

    fn cursor(&self, row: &tokio_postgres::Row, shown: u64) -> Result<Cursor, Fault> {
        let mut cursor = Vec::new();
        if self.key.is_empty() {
            put_uint(&mut cursor, self.place.offset + shown);
        } else {
            let order = 0..self.query.order.len();
            cursor = encode_cursor(row, order.chain(self.key.iter().copied()))?;
        }
        cursor.extend_from_slice(&self.trackings);
        Ok(Cursor(cursor))
    }
}

impl Memory {
    /// Begins the entity of a row.
    pub(crate) fn entity(
        &mut self,
        row: &tokio_postgres::Row,
        shape: &RowShape,
        first: usize,
        sink: &mut dyn RowSink,
    ) -> Result<(), Fault> {
        let values = std::mem::take(&mut self.values);
        let values = shape.values(row, first, None, &mut self.scratch, values)?;
        sink.entity(&Row {
            values: &values,
            etag: shape.etag(&values, &mut self.hashed),
        });
        self.values = recycle(values);
        Ok(())
    }

    /// Reports an entity that left the answer.
    pub(crate) fn removed(
        &mut self,
        row: &tokio_postgres::Row,
        shape: &RowShape,
        (first, key): (usize, &[usize]),
        reason: RemovedReason,
        sink: &mut dyn RowSink,
    ) -> Result<(), Fault> {
        let values = std::mem::take(&mut self.values);
        let values = shape.values(row, first, Some(key), &mut self.scratch, values)?;
        let row = Row {
            values: &values,
            etag: None,
        };
        sink.removed(&row, reason);
        self.values = recycle(values);
        Ok(())
    }
}

/// Where a page begins.
struct Place {
    /// Behind the row with these order terms.
    after: Option<Vec<Param>>,
    /// Behind so many rows.
    offset: u64,
}

impl Place {
    fn of(schema: &Schema, query: &Query, cursor: Option<&[u8]>) -> Result<Place, Gone> {
        let Some(cursor) = cursor else {
            return Ok(Place {
                after: None,
                offset: query.skip,
            });
        };
        let key = &schema.catalog.tables[query.table].key;
        if key.is_empty() {
            // Rows without a key have no other place than their number.
            let mut reader = Reader(cursor);
            let offset = reader.uint().filter(|_| reader.0.is_empty());
            return Ok(Place {
                after: None,
                offset: offset.ok_or(Gone::Format)?,
            });
        }
        let after = decode_cursor(cursor, query.order.len() + key.len())?;
        Ok(Place {
            after: Some(after),
            offset: 0,
        })
    }
}

/// Tells the trackings of related tables from others. A link names that of its own table only; if another one began anew between two pages,
/// its history does not reach back to the snapshot. Empty if there are no related tables.
fn trackings(schema: &Schema, query: &Query) -> Vec<u8> {
    let mut related = query.tables(&schema.catalog);
    related.remove(&query.table);
    if related.is_empty() {
        return Vec::new();
    }
    let tracked = related
        .iter()
        .filter_map(|table| schema.facts[*table].tracked.as_ref());
    let mut incarnations: Vec<[u8; 8]> = tracked.map(|t| t.incarnation.to_be_bytes()).collect();
    incarnations.sort_unstable();
    xxh3_64(incarnations.as_flattened()).to_be_bytes().to_vec()
}

/// Writes SQL over the state at a snapshot (`None`: what the transaction sees).
pub(crate) fn flavour<'s>(schema: &'s Schema, as_of: Option<&'s Visible>) -> Postgres<'s> {
    Postgres {
        catalog: &schema.catalog,
        layouts: &schema.layouts,
        as_of,
        letters: schema.letters.as_deref(),
    }
}

async fn count(client: &Client, statement: &Statement) -> Result<u64, Fault> {
    let rows = statement.rows(client).await?;
    pin_mut!(rows);
    let mut count = None;
    while let Some(row) = rows.next().await {
        count = Some(row?.try_get::<_, i64>(0)?.unsigned_abs());
    }
    count.ok_or_else(|| Error::Internal("a count without a result".into()).into())
}
