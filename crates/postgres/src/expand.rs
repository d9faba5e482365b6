//! Related rows, nested in the row that they belong to.
//!
//! One statement a level for all rows of the level above, because every statement costs a round trip. So a level is read completely
//! before it is shown, and what is held in memory is bounded for each level by the bytes that a page may have. If a level does not
//! fit, the page ends with the last row whose related rows are known.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use futures_util::{StreamExt as _, pin_mut};
use highwater_core::query::ExpandMode;
use highwater_core::store::{PageLimit, RowSink};
use highwater_core::{Error, Query};
use highwater_sql::postgres::{self, Postgres, RelatedSpec};
use tokio_postgres::{Client, Row, RowStream};

use crate::bind::{Statement, push_text};
use crate::error::Fault;
use crate::read::Memory;
use crate::row::{RowShape, cell};
use crate::schema::Schema;

/// Columns of the statement before the row.
const PARENT: usize = 0;
const TERMS: usize = 1;

/// What is nested in rows: one for each item of `$expand`.
pub(crate) struct Expansions {
    levels: Vec<Level>,
    /// So many of the rows have all their related rows here.
    parents: usize,
}

/// The related rows of all rows of the level above.
struct Level {
    many: bool,
    /// Of the query that is nested: how many related rows it leaves out at the beginning, and how many are shown at most.
    skip: u64,
    rows_max: u64,
    /// Position of the first column of the row in what the statement returns.
    first: usize,
    shape: RowShape,
    memory: Memory,
    rows: Vec<Row>,
    /// For each row of the level above, which rows are related.
    related: Vec<Range<usize>>,
    /// For each row of the level above, how many are related in all, if that was asked for.
    counts: Option<Vec<u64>>,
    nested: Expansions,
    /// Whether the last row of the level above has further related rows, which did not fit.
    is_cut: bool,
}

/// Rows that were read.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    /// Whether there are more, which would not fit. Then the last one is here only to tell what comes next.
    pub(crate) is_cut: bool,
}

/// What it takes to read all levels.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    pub(crate) client: &'r Client,
    pub(crate) schema: &'r Schema,
    pub(crate) flavour: &'r Postgres<'r>,
    pub(crate) limit: PageLimit,
}

impl<'r> Reader<'r> {
    /// Reads what is nested in rows of a query.
    ///
    /// # Errors
    ///
    /// Whatever PostgreSQL says.
    pub(crate) fn read<'f>(
        self,
        query: &'f Query,
        shape: &'f RowShape,
        first: usize,
        rows: &'f [Row],
    ) -> Pin<Box<dyn Future<Output = Result<Expansions, Fault>> + Send + 'f>>
    where
        'r: 'f,
    {
        Box::pin(async move {
            let mut expansions = Expansions {
                levels: Vec::with_capacity(query.expand.len()),
                parents: rows.len(),
            };
            for position in 0..query.expand.len() {
                let rows = &rows[..expansions.parents];
                let level = self.level(query, position, shape, first, rows).await?;
                expansions.parents = level.related.len();
                expansions.levels.push(level);
            }
            Ok(expansions)
        })
    }

    async fn level(
        self,
        query: &Query,
        position: usize,
        parent_shape: &RowShape,
        parent_first: usize,
        parents: &[Row],
    ) -> Result<Level, Fault> {
        let expand = &query.expand[position];
        let relation = &self.schema.catalog.tables[query.table].relations[expand.relation];
        let child = &expand.query;
        let shape = RowShape::new(
            &self.schema.catalog,
            &self.schema.layouts,
            child.table,
            &child.columns,
            child.expand.iter().map(|expand| expand.relation),
            child.etag,
        );
        let top = child.top.unwrap_or(u64::MAX);
        let rows_max = self.limit.rows.min(top);
        let keys = relation
            .columns
            .iter()
            .map(|(here, _)| column(parents, parent_first + parent_shape.position(*here)))
            .collect::<Result<Vec<_>, Fault>>()?;
        let columns = shape.columns();
        let spec = RelatedSpec {
            query: child,
            columns: &columns,
            relation,
            parents: &keys,
            offset: child.skip,
            limit: rows_max.saturating_add(u64::from(rows_max < top && relation.many)),
        };
        let counts = if child.count || expand.mode == ExpandMode::Count {
            let statement = Statement::new(postgres::related_count(self.flavour, &spec)?);
            Some(self.counts(&statement, parents.len()).await?)
        } else {
            None
        };
        let first = TERMS + child.order.len();
        let mut level = Level {
            many: relation.many,
            skip: child.skip,
            rows_max,
            first,
            shape,
            memory: Memory::default(),
            rows: Vec::new(),
            related: vec![0..0; parents.len()],
            counts,
            nested: Expansions {
                levels: Vec::new(),
                parents: 0,
            },
            is_cut: false,
        };
        if expand.mode == ExpandMode::Count {
            return Ok(level);
        }
        let statement = Statement::new(postgres::related(self.flavour, &spec)?);
        let rows = statement.rows(self.client).await?;
        let Rows { rows, is_cut } = collect(rows, self.limit.bytes).await?;
        if let Some(row) = rows.first() {
            level.shape.check(row, first)?;
        }
        level.rows = rows;
        level.assign()?;
        if is_cut {
            level.cut(level.rows.len() - 1)?;
        }
        let nested = self.read(child, &level.shape, first, &level.rows).await?;
        level.cut(nested.parents)?;
        level.nested = nested;
        Ok(level)
    }

    async fn counts(self, statement: &Statement, parents: usize) -> Result<Vec<u64>, Fault> {
        let mut counts = vec![0; parents];
        let rows = statement.rows(self.client).await?;
        pin_mut!(rows);
        while let Some(row) = rows.next().await {
            let row = row?;
            let count = counts.get_mut(parent(&row)?).ok_or_else(stray)?;
            *count = row.try_get::<_, i64>(1)?.unsigned_abs();
        }
        Ok(counts)
    }
}

impl Expansions {
    /// So many of the rows, from the first on, have all their related rows here.
    pub(crate) fn parents(&self) -> usize {
        self.parents
    }

    /// Hands to the sink what is nested in a row.
    pub(crate) fn emit(
        &mut self,
        row: usize,
        sink: &mut dyn RowSink,
        limit: PageLimit,
    ) -> Result<(), Fault> {
        for (position, level) in self.levels.iter_mut().enumerate() {
            let count = level.counts.as_ref().map(|counts| counts[row]);
            sink.begin_expand(position, count);
            let more = level.emit(row, sink, limit)?;
            sink.end_expand(position, more);
        }
        Ok(())
    }
}

impl Level {
    /// Finds out which rows belong to which row of the level above. They come in its order.
    fn assign(&mut self) -> Result<(), Fault> {
        let mut begin = 0;
        for (position, related) in self.related.iter_mut().enumerate() {
            let mut end = begin;
            while let Some(row) = self.rows.get(end)
                && parent(row)? == position
            {
                end += 1;
            }
            *related = begin..end;
            begin = end;
        }
        if begin == self.rows.len() {
            Ok(())
        } else {
            Err(stray())
        }
    }

    /// Leaves out this row and all that follow. The level above ends with the row that the last one left belongs to, or with the last
    /// that has no related row before this one.
    fn cut(&mut self, end: usize) -> Result<(), Fault> {
        let Some(next) = self.rows.get(end) else {
            return Ok(());
        };
        let parents = parent(next)?;
        self.is_cut = self.related[parents].start < end;
        if self.is_cut {
            self.related[parents].end = end;
        }
        self.related.truncate(parents + usize::from(self.is_cut));
        self.rows.truncate(end);
        Ok(())
    }

    /// Hands the related rows of a row to the sink. Returns how many were skipped and shown if there are more.
    fn emit(
        &mut self,
        parent: usize,
        sink: &mut dyn RowSink,
        limit: PageLimit,
    ) -> Result<Option<u64>, Fault> {
        let mut shown = 0;
        for position in self.related[parent].clone() {
            let is_full = shown == self.rows_max || (shown > 0 && sink.bytes() >= limit.bytes);
            if self.many && is_full {
                return Ok(Some(self.skip + shown));
            }
            let row = &self.rows[position];
            self.memory.entity(row, &self.shape, self.first, sink)?;
            self.nested.emit(position, sink, limit)?;
            sink.end_entity();
            shown += 1;
        }
        let is_cut = self.is_cut && parent + 1 == self.related.len();
        Ok((is_cut && self.many).then_some(self.skip + shown))
    }
}

/// Reads rows until they have so many bytes.
pub(crate) async fn collect(rows: RowStream, bytes_max: usize) -> Result<Rows, Fault> {
    pin_mut!(rows);
    let mut collected = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().await {
        let row = row?;
        let is_cut = bytes > bytes_max;
        for position in 0..row.len() {
            bytes += cell(&row, position)?.map_or(0, <[u8]>::len);
        }
        collected.push(row);
        if is_cut {
            return Ok(Rows {
                rows: collected,
                is_cut,
            });
        }
    }
    Ok(Rows {
        rows: collected,
        is_cut: false,
    })
}

/// The text of a column in all rows. Text that is not UTF-8 cannot be sent, and has no related rows.
fn column(rows: &[Row], position: usize) -> Result<Vec<Option<String>>, Fault> {
    let text = |row: &Row| {
        let Some(bytes) = cell(row, position)? else {
            return Ok(None);
        };
        let mut text = Vec::new();
        push_text(row.columns()[position].type_(), bytes, &mut text)?;
        Ok(String::from_utf8(text).ok())
    };
    rows.iter().map(text).collect()
}

/// Which row of the level above a row belongs to.
fn parent(row: &Row) -> Result<usize, Fault> {
    let number: i64 = row.try_get(PARENT)?;
    usize::try_from(number).map_err(|_| stray())
}

fn stray() -> Fault {
    Error::Internal("a related row came with a row that was not asked for".into()).into()
}
