//! Related rows, nested in the row that they belong to.
//!
//! One statement a level, executed for every parent row: SQLite runs in this process, so many small statements cost no more than a
//! large join, and the page stays bounded however many rows are related.

use highwater_core::query::ExpandMode;
use highwater_core::store::{PageLimit, RowSink};
use highwater_core::{Error, Query, Relation};
use highwater_sql::Param;
use highwater_sql::sqlite::{self, Driver, PageSpec, Sqlite};
use rusqlite::types::ValueRef as Stored;
use rusqlite::{CachedStatement, Connection};

use crate::bind::{bind, bind_parent};
use crate::error::Fault;
use crate::pool::bound_growth;
use crate::read::{Memory, emit, one};
use crate::row::RowShape;
use crate::schema::Schema;

/// A level of expansion, ready to be executed for every parent row.
pub(crate) struct Expansion<'c, 'q> {
    index: usize,
    query: &'q Query,
    many: bool,
    /// Related rows that are shown at most.
    rows_max: u64,
    rows: Option<Prepared<'c>>,
    count: Option<Prepared<'c>>,
    shape: RowShape,
    memory: Memory,
    children: Vec<Expansion<'c, 'q>>,
}

struct Prepared<'c> {
    statement: CachedStatement<'c>,
    params: Vec<Param>,
}

impl<'c> Prepared<'c> {
    fn new(
        connection: &'c Connection,
        (sql, params): (String, Vec<Param>),
    ) -> Result<Prepared<'c>, Fault> {
        bound_growth(connection, &sql)?;
        let mut statement = connection.prepare_cached(&sql)?;
        bind(&mut statement, &params)?;
        Ok(Prepared { statement, params })
    }
}

/// Prepares all levels below a query.
///
/// # Errors
///
/// As [`sqlite::page`], and whatever SQLite says.
pub(crate) fn prepare<'c, 'q>(
    connection: &'c Connection,
    schema: &Schema,
    flavour: &Sqlite<'_>,
    query: &'q Query,
    limit: PageLimit,
) -> Result<Vec<Expansion<'c, 'q>>, Fault> {
    let mut expansions = Vec::with_capacity(query.expand.len());
    for (index, expand) in query.expand.iter().enumerate() {
        let relation: &Relation = &schema.catalog.tables[query.table].relations[expand.relation];
        let child = &expand.query;
        let relations = child.expand.iter().map(|expand| expand.relation);
        let shape = RowShape::new(
            &schema.catalog,
            child.table,
            &child.columns,
            relations,
            child.etag,
        );
        let top = child.top.unwrap_or(u64::MAX);
        let rows_max = limit.rows.min(top);
        let rows = if expand.mode == ExpandMode::Count {
            None
        } else {
            let columns = shape.columns();
            let spec = PageSpec {
                query: child,
                columns: &columns,
                parent: Some(relation),
                after: None,
                upto: None,
                offset: child.skip,
                limit: rows_max.saturating_add(u64::from(rows_max < top && relation.many)),
                driver: driver(schema, child.table, relation),
            };
            Some(Prepared::new(connection, sqlite::page(flavour, &spec)?)?)
        };
        let count = if child.count || expand.mode == ExpandMode::Count {
            let statement = sqlite::count(flavour, child, Some(relation))?;
            Some(Prepared::new(connection, statement)?)
        } else {
            None
        };
        expansions.push(Expansion {
            index,
            query: child,
            many: relation.many,
            rows_max,
            rows,
            count,
            shape,
            memory: Memory::default(),
            children: prepare(connection, schema, flavour, child, limit)?,
        });
    }
    Ok(expansions)
}

/// How to find the old images of related rows: the history has an index of the key and none of foreign keys.
pub(crate) fn driver(schema: &Schema, table: usize, relation: &Relation) -> Driver {
    let first = schema.catalog.tables[table].key.first();
    let by_key = relation
        .columns
        .iter()
        .any(|(_, there)| first == Some(there));
    if by_key { Driver::Any } else { Driver::Recent }
}

/// Hands the related rows of one parent row to the sink.
///
/// # Errors
///
/// Whatever SQLite says.
pub(crate) fn expand<'r>(
    expansion: &mut Expansion<'_, '_>,
    parent: &dyn Fn(usize) -> rusqlite::Result<Stored<'r>>,
    sink: &mut dyn RowSink,
    limit: PageLimit,
) -> Result<(), Fault> {
    let count = match &mut expansion.count {
        Some(count) => {
            bind_parent(&mut count.statement, &count.params, parent)?;
            let number = one(&mut count.statement)?;
            Some(u64::try_from(number).map_err(|_| Error::Internal("a negative count".into()))?)
        }
        None => None,
    };
    sink.begin_expand(expansion.index, count);
    let mut more = None;
    if let Some(prepared) = &mut expansion.rows {
        bind_parent(&mut prepared.statement, &prepared.params, parent)?;
        let mut shown = 0;
        let mut rows = prepared.statement.raw_query();
        while let Some(row) = rows.next()? {
            let full = shown == expansion.rows_max || (shown > 0 && sink.bytes() >= limit.bytes);
            if expansion.many && full {
                more = Some(expansion.query.skip + shown);
                break;
            }
            emit(
                row,
                &expansion.shape,
                expansion.query.order.len(),
                &mut expansion.memory,
                &mut expansion.children,
                sink,
                limit,
            )?;
            shown += 1;
        }
    }
    sink.end_expand(expansion.index, more);
    Ok(())
}
