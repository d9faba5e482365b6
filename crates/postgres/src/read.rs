//! One page of a query at a snapshot: of a first round, or of an answer that is not tracked (DESIGN section 4).
//!
//! What must hold: everything on the page (the count, related rows and what filters look at included) is read in one transaction and
//! as of one snapshot; the cursor names the last row that was shown, and the next page begins behind it.

use std::sync::Arc;

use futures_util::{StreamExt as _, pin_mut};
use highwater_core::link::{Reader, put_uint};
use highwater_core::store::{PageLimit, ReadParams, RowSink};
use highwater_core::{Cursor, Error, Gone, Query, RemovedReason, Row, Snapshot};
use highwater_odata::ValueRef;
use highwater_sql::Param;
use highwater_sql::postgres::{self, Driver, PageSpec, Postgres, Visible};
use tokio_postgres::Client;

use crate::bind::{bound, decode_cursor, encode_cursor};
use crate::error::Fault;
use crate::expand::{Reader as Expander, Rows, collect};
use crate::guard::{self, Question, Seen, View};
use crate::pool::{Pool, Session};
use crate::row::{RowShape, Scratch, recycle};
use crate::schema::Schema;
use crate::snapshot::Position;

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
    let View { session, mut seen } = guard::open(pool, &question).await?;
    if !is_tracked {
        // The current rows, whatever else there is.
        seen = Seen::default();
    }
    let flavour = flavour(schema, seen.as_of.as_ref());
    let count = if query.count && params.after.is_none() {
        let (sql, values) = postgres::count(&flavour, query)?;
        Some(count(&session, &sql, &values).await?)
    } else {
        None
    };
    sink.begin(count);
    let driver = if seen.has_many_later {
        Driver::Keys
    } else {
        Driver::Recent
    };
    let next = Page::of(schema, params, driver)?
        .read(session, &flavour, sink)
        .await?;
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
    driver: Driver,
    place: Place,
    /// Rows that the whole answer has at most.
    top: u64,
    /// Rows that the page has at most.
    rows_max: u64,
    shape: RowShape,
    /// Positions of the key columns in the statement's row.
    key: Vec<usize>,
}

impl<'q> Page<'q> {
    fn of(schema: &'q Schema, params: &'q ReadParams, driver: Driver) -> Result<Page<'q>, Fault> {
        let query = &*params.query;
        let relations = query.expand.iter().map(|expand| expand.relation);
        let shape = RowShape::new(
            &schema.catalog,
            &schema.layouts,
            query.table,
            &query.columns,
            relations,
            query.etag,
        );
        let key = &schema.catalog.tables[query.table].key;
        let key = key.iter();
        let top = query.top.unwrap_or(u64::MAX);
        Ok(Page {
            schema,
            query,
            limit: params.limit,
            driver,
            place: Place::of(schema, query, params.after.as_ref())?,
            top,
            rows_max: params.limit.rows.min(top),
            key: key
                .map(|column| query.order.len() + shape.position(*column))
                .collect(),
            shape,
        })
    }

    async fn read(
        &self,
        session: Session,
        flavour: &Postgres<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<Option<Cursor>, Fault> {
        if self.rows_max == 0 {
            session.commit().await?;
            return Ok(None);
        }
        let columns = self.shape.columns();
        let (sql, values) = postgres::page(
            flavour,
            &PageSpec {
                query: self.query,
                columns: &columns,
                // What a cursor needs is written from the columns.
                texts: &[],
                driver: self.driver,
                after: self.place.after.as_deref(),
                offset: self.place.offset,
                // One more tells whether there is a next page.
                limit: self
                    .rows_max
                    .saturating_add(u64::from(self.rows_max < self.top)),
            },
        )?;
        if self.query.expand.is_empty() {
            return session
                .finish(async |client| self.stream(client, &sql, &values, sink).await)
                .await;
        }
        let next = self.nest(&session, flavour, &sql, &values, sink).await?;
        session.commit().await?;
        Ok(next)
    }

    /// Hands rows to the sink as they come.
    async fn stream(
        &self,
        client: &Client,
        sql: &str,
        values: &[Param],
        sink: &mut dyn RowSink,
    ) -> Result<Option<Cursor>, Fault> {
        let rows = client.query_typed_raw(sql, bound(values)).await?;
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
                return Ok(cursor);
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
        Ok(None)
    }

    /// Collects the rows, reads what is nested in them, and hands both to the sink.
    async fn nest(
        &self,
        client: &Client,
        flavour: &Postgres<'_>,
        sql: &str,
        values: &[Param],
        sink: &mut dyn RowSink,
    ) -> Result<Option<Cursor>, Fault> {
        let first = self.query.order.len();
        let rows = client.query_typed_raw(sql, bound(values)).await?;
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
        if self.key.is_empty() {
            let mut cursor = Vec::new();
            put_uint(&mut cursor, self.place.offset + shown);
            return Ok(Cursor(cursor));
        }
        let order = 0..self.query.order.len();
        encode_cursor(row, order.chain(self.key.iter().copied()))
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
    fn of(schema: &Schema, query: &Query, cursor: Option<&Cursor>) -> Result<Place, Gone> {
        let Some(cursor) = cursor else {
            return Ok(Place {
                after: None,
                offset: query.skip,
            });
        };
        let key = &schema.catalog.tables[query.table].key;
        if key.is_empty() {
            // Rows without a key have no other place than their number.
            let mut reader = Reader(&cursor.0);
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

/// Writes SQL over the state at a snapshot (`None`: what the transaction sees).
pub(crate) fn flavour<'s>(schema: &'s Schema, as_of: Option<&'s Visible>) -> Postgres<'s> {
    Postgres {
        catalog: &schema.catalog,
        layouts: &schema.layouts,
        as_of,
        letters: schema.letters.as_deref(),
    }
}

async fn count(client: &Client, sql: &str, values: &[Param]) -> Result<u64, Fault> {
    let rows = client.query_typed_raw(sql, bound(values)).await?;
    pin_mut!(rows);
    let mut count = None;
    while let Some(row) = rows.next().await {
        count = Some(row?.try_get::<_, i64>(0)?.unsigned_abs());
    }
    count.ok_or_else(|| Error::Internal("a count without a result".into()).into())
}
