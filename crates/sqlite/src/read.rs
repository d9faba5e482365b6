//! One page of a query at a snapshot: of a first round, or of an answer that is not tracked (DESIGN section 4).
//!
//! What must hold: everything on the page (the count, related rows and what filters look at included) is read in one transaction and
//! as of one snapshot; the cursor names the last row that was shown, and the next page begins behind it.

use highwater_core::link::{Reader, put_uint};
use highwater_core::store::{PageLimit, ReadParams, RowSink, recycle};
use highwater_core::{Cursor, Error, Gone, Query, Row, Snapshot};
use highwater_odata::ValueRef;
use highwater_sql::Param;
use highwater_sql::sqlite::{self, Driver, PageSpec};
use rusqlite::Connection;

use crate::bind::{bind, decode_cursor, encode_cursor};
use crate::error::Fault;
use crate::expand::{Expansion, expand, prepare};
use crate::pool::{Session, bound_growth};
use crate::row::{RowShape, Scratch};
use crate::schema::{Schema, View};
use crate::snapshot::Position;

/// Up to so many records after the snapshot, it is cheaper to look at all of them for every page than to bound the page by key.
const RECENT_RECORDS_MAX: i64 = 10_000;

/// What a page was.
pub(crate) struct PageRead {
    pub(crate) hi: Option<Snapshot>,
    pub(crate) next: Option<Cursor>,
    pub(crate) count: Option<u64>,
}

/// Memory that is used again for every row of one level.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) scratch: Scratch,
    pub(crate) values: Vec<ValueRef<'static>>,
    pub(crate) hashed: Vec<u8>,
}

/// Reads a page into the sink.
///
/// # Errors
///
/// [`Error::Gone`] if the snapshot can no longer be answered, [`Error::SchemaChanged`], and whatever SQLite says.
pub(crate) fn read(
    session: &mut Session,
    schema: &Schema,
    params: &ReadParams,
    sink: &mut dyn RowSink,
) -> Result<PageRead, Fault> {
    let view = schema.view(session, &params.catalog)?;
    let query = &*params.query;
    let hi = snapshot(&view, schema, params)?;
    let as_of = match hi {
        Some(hi) if hi.version < view.clock => {
            schema.as_of(&view.transaction, query, hi.version)?
        }
        _ => None,
    };
    let count = if query.count && params.after.is_none() {
        let (sql, values) = sqlite::count(&schema.flavour(as_of), query, None)?;
        bound_growth(&view.transaction, &sql)?;
        let mut statement = view.transaction.prepare_cached(&sql)?;
        bind(&mut statement, &values)?;
        let count: i64 = one(&mut statement)?;
        Some(count.unsigned_abs())
    } else {
        None
    };
    sink.begin(count);
    let next = page(&view, schema, params, as_of, sink)?;
    Ok(PageRead {
        hi: hi.map(Position::encode),
        next,
        count,
    })
}

/// The snapshot that the page shows; `None` if the table is not tracked.
fn snapshot(
    view: &View<'_>,
    schema: &Schema,
    params: &ReadParams,
) -> Result<Option<Position>, Fault> {
    let Some(history) = schema.layouts[params.query.table].history else {
        return Ok(None);
    };
    let Some(hi) = &params.hi else {
        return Ok(Some(Position::now(&view.transaction, history, view.clock)?));
    };
    let hi = Position::decode(hi)?;
    hi.check(&view.transaction, history, view.clock)?;
    Ok(Some(hi))
}

fn page(
    view: &View<'_>,
    schema: &Schema,
    params: &ReadParams,
    as_of: Option<i64>,
    sink: &mut dyn RowSink,
) -> Result<Option<Cursor>, Fault> {
    let query = &*params.query;
    let limit = params.limit;
    let connection: &Connection = &view.transaction;
    let top = query.top.unwrap_or(u64::MAX);
    let rows_max = limit.rows.min(top);
    if rows_max == 0 {
        return Ok(None);
    }
    let flavour = schema.flavour(as_of);
    let relations = query.expand.iter().map(|expand| expand.relation);
    let shape = RowShape::new(
        &schema.catalog,
        query.table,
        &query.columns,
        relations,
        query.etag,
    );
    let columns = shape.columns();
    let place = Place::of(schema, query, params.after.as_ref())?;
    let mut spec = PageSpec {
        query,
        columns: &columns,
        parent: None,
        after: place.after.as_deref(),
        upto: None,
        offset: place.offset,
        // One more tells whether there is a next page.
        limit: rows_max.saturating_add(u64::from(rows_max < top)),
        driver: Driver::Any,
    };
    let bound;
    if let Some(version) = as_of
        && query.order.is_empty()
    {
        spec.driver = Driver::Recent;
        if view.clock - version > RECENT_RECORDS_MAX {
            spec.driver = Driver::Keys;
            bound = last_key(connection, schema, &flavour, &spec)?;
            spec.upto = bound.as_deref();
        }
    }
    let (sql, values) = sqlite::page(&flavour, &spec)?;
    bound_growth(connection, &sql)?;
    let mut statement = connection.prepare_cached(&sql)?;
    bind(&mut statement, &values)?;
    let mut expansions = prepare(connection, schema, &flavour, query, limit)?;
    let mut memory = Memory::default();
    let first = query.order.len();
    let key: Vec<usize> = schema.catalog.tables[query.table]
        .key
        .iter()
        .map(|column| first + shape.position(*column))
        .collect();

    let mut shown = 0;
    let mut cursor = Vec::new();
    let mut full = false;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if full {
            return Ok(Some(Cursor(cursor)));
        }
        emit(
            row,
            &shape,
            first,
            &mut memory,
            &mut expansions,
            sink,
            limit,
        )?;
        shown += 1;
        if shown == top {
            break;
        }
        if shown == rows_max || sink.bytes() >= limit.bytes {
            full = true;
            if key.is_empty() {
                put_uint(&mut cursor, place.offset + shown);
            } else {
                encode_cursor(row, (0..first).chain(key.iter().copied()), &mut cursor)??;
            }
        }
    }
    Ok(None)
}

/// Hands one row and what is nested in it to the sink.
pub(crate) fn emit(
    row: &rusqlite::Row<'_>,
    shape: &RowShape,
    first: usize,
    memory: &mut Memory,
    expansions: &mut [Expansion<'_, '_>],
    sink: &mut dyn RowSink,
    limit: PageLimit,
) -> Result<(), Fault> {
    let values = std::mem::take(&mut memory.values);
    let values = shape.values(row, first, None, &mut memory.scratch, values)?;
    sink.entity(&Row {
        values: &values,
        etag: shape.etag(&values, &mut memory.hashed),
    });
    memory.values = recycle(values);
    for expansion in expansions {
        let parent = |column| row.get_ref(first + shape.position(column));
        expand(expansion, &parent, sink, limit)?;
    }
    sink.end_entity();
    Ok(())
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

fn last_key(
    connection: &Connection,
    schema: &Schema,
    flavour: &sqlite::Sqlite<'_>,
    spec: &PageSpec<'_>,
) -> Result<Option<Vec<Param>>, Fault> {
    let (sql, values) = sqlite::last_key(flavour, spec)?;
    bound_growth(connection, &sql)?;
    let mut statement = connection.prepare_cached(&sql)?;
    bind(&mut statement, &values)?;
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let count = schema.catalog.tables[spec.query.table].key.len();
    let mut bytes = Vec::new();
    encode_cursor(row, 0..count, &mut bytes)??;
    Ok(Some(decode_cursor(&Cursor(bytes), count)?))
}

/// The only value of a statement's only row.
pub(crate) fn one(statement: &mut rusqlite::Statement<'_>) -> Result<i64, Fault> {
    match statement.raw_query().next()? {
        Some(row) => Ok(row.get(0)?),
        None => Err(Error::Internal("a count without a result".into()).into()),
    }
}
