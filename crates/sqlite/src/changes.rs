//! One page of the difference between two snapshots of a query (DESIGN sections 1 and 4).
//!
//! What must hold: every key that has an undo record in the round is judged once, by its states at `lo` and `hi`; the cursor is the
//! version of the last record that was examined, and every record before it has been dealt with. A page costs in proportion to itself:
//! it may be short, or empty, and still have a successor.

use std::time::Instant;

use highwater_core::link::{Reader, put_uint};
use highwater_core::store::{ChangesParams, RowSink, recycle};
use highwater_core::{Cursor, Gone, RemovedReason, Row, Snapshot};
use highwater_sql::sqlite::{self, DeltaSpec};
use rusqlite::Connection;

use crate::bind::bind;
use crate::error::Fault;
use crate::pool::{Session, bound_growth};
use crate::read::Memory;
use crate::row::RowShape;
use crate::schema::Schema;
use crate::snapshot::Position;

/// Records that a page examines at least, however few rows it may hold.
const EXAMINED_MIN: u64 = 10_000;
/// Records that a page examines for every row that it may hold.
const EXAMINED_PER_ROW: u64 = 20;
/// Records between two looks at the clock.
const RECORDS_PER_CHECK: u64 = 256;

/// Columns of the statement before the images.
const VERSION: usize = 0;
const SUPERSEDED: usize = 1;
const IN_BEFORE: usize = 2;
const EXISTS_AFTER: usize = 3;
const IN_AFTER: usize = 4;
const IMAGES: usize = 5;

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
    /// The entity left the answer.
    Removed(RemovedReason),
}

/// Reads a page into the sink.
///
/// # Errors
///
/// [`highwater_core::Error::Gone`] if one of the snapshots can no longer be answered,
/// [`highwater_core::Error::SchemaChanged`], and whatever SQLite says.
pub(crate) fn changes(
    session: &mut Session,
    schema: &Schema,
    params: &ChangesParams,
    sink: &mut dyn RowSink,
) -> Result<ChangesRead, Fault> {
    let soon = Instant::now() + session.patience();
    let view = schema.view(session, &params.catalog)?;
    let connection: &Connection = &view.transaction;
    // A link whose table is no longer tracked was made for another schema.
    let history = schema.layouts[params.query.table]
        .history
        .ok_or(Gone::Recreated)?;
    let lo = Position::decode(&params.lo)?;
    lo.check(connection, history, view.clock)?;
    let hi = match &params.hi {
        None => Position::now(connection, history, view.clock)?,
        Some(hi) => {
            let hi = Position::decode(hi)?;
            hi.check(connection, history, view.clock)?;
            hi
        }
    };
    let after = match &params.after {
        None => lo.version,
        Some(cursor) => decode(cursor)?,
    };
    sink.begin(None);
    let next = page(connection, schema, params, (lo, hi), after, soon, sink)?;
    Ok(ChangesRead {
        hi: hi.encode(),
        next: next.map(encode),
    })
}

fn page(
    connection: &Connection,
    schema: &Schema,
    params: &ChangesParams,
    (lo, hi): (Position, Position),
    after: i64,
    soon: Instant,
    sink: &mut dyn RowSink,
) -> Result<Option<i64>, Fault> {
    if after >= hi.version {
        return Ok(None);
    }
    let query = &*params.query;
    let shape = RowShape::new(
        &schema.catalog,
        query.table,
        &query.columns,
        std::iter::empty(),
        query.etag,
    );
    let columns = shape.columns();
    let compared: Vec<usize> = query.columns.iter().map(|c| shape.position(*c)).collect();
    let key = &schema.catalog.tables[query.table].key;
    let flavour = schema.flavour(schema.as_of(connection, query, hi.version)?);
    let spec = DeltaSpec {
        query,
        columns: &columns,
        lo: lo.version,
        hi: hi.version,
        after,
    };
    let (sql, values) = sqlite::delta(&flavour, &spec)?;
    bound_growth(connection, &sql)?;
    let mut statement = connection.prepare_cached(&sql)?;
    bind(&mut statement, &values)?;
    let examined_max = params
        .limit
        .rows
        .saturating_mul(EXAMINED_PER_ROW)
        .max(EXAMINED_MIN);

    let mut memory = Memory::default();
    let mut shown = 0;
    let mut examined = 0;
    let mut last = after;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let is_late =
            examined % RECORDS_PER_CHECK == RECORDS_PER_CHECK - 1 && Instant::now() > soon;
        if examined == examined_max || is_late {
            return Ok(Some(last));
        }
        examined += 1;
        let version = row.get(VERSION)?;
        let verdict = judge(row, &shape, &compared)?;
        if !matches!(verdict, Verdict::Same)
            && (shown == params.limit.rows || (shown > 0 && sink.bytes() >= params.limit.bytes))
        {
            return Ok(Some(last));
        }
        last = version;
        let values = std::mem::take(&mut memory.values);
        let values = match verdict {
            Verdict::Same => {
                memory.values = values;
                continue;
            }
            Verdict::Changed(first) => {
                let values = shape.values(row, first, None, &mut memory.scratch, values)?;
                sink.entity(&Row {
                    values: &values,
                    etag: shape.etag(&values, &mut memory.hashed),
                });
                sink.end_entity();
                values
            }
            Verdict::Removed(reason) => {
                let values = shape.values(row, IMAGES, Some(key), &mut memory.scratch, values)?;
                sink.removed(
                    &Row {
                        values: &values,
                        etag: None,
                    },
                    reason,
                );
                values
            }
        };
        memory.values = recycle(values);
        shown += 1;
    }
    Ok(None)
}

/// The table of DESIGN section 1.
fn judge(
    row: &rusqlite::Row<'_>,
    shape: &RowShape,
    compared: &[usize],
) -> rusqlite::Result<Verdict> {
    if truth(row, SUPERSEDED)? {
        return Ok(Verdict::Same);
    }
    let after = IMAGES + shape.len();
    Ok(match (truth(row, IN_BEFORE)?, truth(row, IN_AFTER)?) {
        (false, false) => Verdict::Same,
        (false, true) => Verdict::Changed(after),
        (true, true) => {
            for position in compared {
                let (before, now) = (
                    row.get_ref(IMAGES + position)?,
                    row.get_ref(after + position)?,
                );
                if !shape.looks_same(*position, before, now) {
                    return Ok(Verdict::Changed(after));
                }
            }
            Verdict::Same
        }
        (true, false) if truth(row, EXISTS_AFTER)? => Verdict::Removed(RemovedReason::Changed),
        (true, false) => Verdict::Removed(RemovedReason::Deleted),
    })
}

/// A condition that is `NULL` does not hold.
fn truth(row: &rusqlite::Row<'_>, position: usize) -> rusqlite::Result<bool> {
    Ok(row.get::<_, Option<bool>>(position)?.unwrap_or(false))
}

fn encode(version: i64) -> Cursor {
    let mut bytes = Vec::new();
    put_uint(&mut bytes, version.unsigned_abs());
    Cursor(bytes)
}

fn decode(cursor: &Cursor) -> Result<i64, Gone> {
    let mut reader = Reader(&cursor.0);
    let version = reader
        .uint()
        .and_then(|version| i64::try_from(version).ok());
    version.filter(|_| reader.0.is_empty()).ok_or(Gone::Format)
}
