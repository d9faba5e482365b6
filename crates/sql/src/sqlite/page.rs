//! One page of a query at a snapshot.
//!
//! If the snapshot is not the current state, the page is a merge of two parts that are each in page order: the rows that
//! have not changed since, and the old images of those that have. The position of the page before and the filter stand in both parts, so each
//! begins at the right place of its index.

use highwater_core::query::OrderBy;
use highwater_core::{Error, Query, Relation};

use super::Collation;
use super::{Sqlite, history_name};
use crate::expr::Compiler;
use crate::flavour::{Alias, Flavour, RowImage, RowRef};
use crate::keyset::{self, Term};
use crate::text::{Param, Sql};

/// Which rows of an answer to read.
#[derive(Clone, Copy, Debug)]
pub struct PageSpec<'a> {
    /// The query.
    pub query: &'a Query,
    /// Columns to read, the key among them. The statement returns the values of the non-key order terms first, then these.
    pub columns: &'a [usize],
    /// The relation that leads here, if these are the related rows of a [`Param::Parent`].
    pub parent: Option<&'a Relation>,
    /// Values of the order terms ([`Sqlite::terms`]) in the row before.
    pub after: Option<&'a [Param]>,
    /// The last key that belongs to the page, if the page is in key order.
    pub upto: Option<&'a [Param]>,
    /// Rows to leave out.
    pub offset: u64,
    /// Rows at most.
    pub limit: u64,
    /// How to find the old images that belong to the page.
    pub driver: Driver,
}

/// How to find the old images that belong to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// As the database thinks best.
    Any,
    /// Through all undo records after the snapshot: good if they are few.
    Recent,
    /// Through the undo records of the keys of the page: good if the page is bounded by a key ([`PageSpec::upto`]).
    Keys,
}

/// The current row in a statement.
pub(super) fn current(table: usize) -> RowRef {
    RowRef {
        table,
        alias: Alias::Named("t"),
        image: RowImage::Table,
    }
}

/// The old image in a statement.
pub(super) fn old(table: usize) -> RowRef {
    RowRef {
        table,
        alias: Alias::Named("h"),
        image: RowImage::History,
    }
}

impl Sqlite<'_> {
    /// What a page of a query is ordered by.
    pub fn terms(&self, table: usize, order: &[OrderBy]) -> Vec<Term> {
        keyset::terms(self.catalog, table, order)
    }

    fn columns(&self, sql: &mut Sql, row: RowRef, columns: &[usize]) {
        for (position, &column) in columns.iter().enumerate() {
            if position > 0 {
                sql.push(", ");
            }
            self.column(sql, row, column);
            // `ORDER BY` refers to the position, and so to this collation.
            if self.collation(row, column) != Collation::Binary
                && self.catalog.tables[row.table].key.contains(&column)
            {
                sql.push(Self::COLLATE_BINARY);
            }
        }
    }

    pub(super) fn named_columns(&self, sql: &mut Sql, row: RowRef, columns: &[usize]) {
        for (position, &column) in columns.iter().enumerate() {
            if position > 0 {
                sql.push(", ");
            }
            self.column(sql, row, column);
            sql.push(" AS ");
            sql.name(&self.catalog.tables[row.table].columns[column].name);
        }
    }

    /// What both parts of a page have in common: what is selected, and which rows.
    fn conditions(&self, sql: &mut Sql, spec: &PageSpec<'_>, row: RowRef) -> Result<(), Error> {
        self.has_key(sql, row);
        if let Some(relation) = spec.parent {
            for &(here, there) in &relation.columns {
                sql.push(" AND ");
                self.column(sql, row, there);
                sql.push(" = ");
                sql.bind(Param::Parent(here));
            }
        }
        let terms = self.terms(spec.query.table, &spec.query.order);
        if let Some(after) = spec.after {
            sql.push(" AND ");
            keyset::behind(sql, self, self.catalog, row, &terms, after)?;
        }
        if let Some(upto) = spec.upto {
            let key: Vec<Term> = terms.into_iter().filter(|term| term.is_key).collect();
            sql.push(" AND ");
            keyset::key_compare(sql, self, row, &key, "<=", upto);
        }
        if let Some(filter) = &spec.query.filter {
            sql.push(" AND ");
            Compiler::new(self, self.catalog, row).predicate(sql, filter)?;
        }
        Ok(())
    }

    fn selection(&self, sql: &mut Sql, spec: &PageSpec<'_>, row: RowRef) -> Result<(), Error> {
        sql.push("SELECT ");
        let mut compiler = Compiler::new(self, self.catalog, row);
        for item in &spec.query.order {
            compiler.order_value(sql, &item.expr)?;
            sql.push(", ");
        }
        self.columns(sql, row, spec.columns);
        Ok(())
    }
}

/// The statement that reads a page.
///
/// # Errors
///
/// [`Error::Unsupported`] or [`Error::TooComplex`], see [`Compiler`] and [`Sql::finish`].
pub fn page(flavour: &Sqlite<'_>, spec: &PageSpec<'_>) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let mut sql = flavour.sql();
    let selection = sql.mark();
    flavour.selection(&mut sql, spec, current(table))?;
    let history = flavour.history(table);
    sql.push(" FROM ");
    sql.name(&flavour.catalog.tables[table].name);
    sql.push(" AS t WHERE ");
    match history {
        Some((history, version)) => {
            sql.push("NOT ");
            flavour.touched(&mut sql, current(table), history, version, false);
        }
        None => sql.push("1"),
    }
    let conditions = sql.mark();
    flavour.conditions(&mut sql, spec, current(table))?;
    if let Some((history, version)) = history {
        sql.push(" UNION ALL ");
        let end = sql.repeat_from(selection);
        flavour.selection(&mut sql, spec, old(table))?;
        sql.resume(end);
        sql.push(" FROM ");
        history_name(&mut sql, history);
        sql.push(" AS h ");
        match spec.driver {
            Driver::Any => {}
            Driver::Recent => sql.push("NOT INDEXED "),
            Driver::Keys => {
                sql.push("INDEXED BY ");
                history_name(&mut sql, history);
                sql.push("_key ");
            }
        }
        sql.push("WHERE ");
        is_image(flavour, &mut sql, old(table), history, version);
        let end = sql.repeat_from(conditions);
        flavour.conditions(&mut sql, spec, old(table))?;
        sql.resume(end);
    }
    order_by(flavour, &mut sql, spec);
    sql.push(" LIMIT ");
    sql.bind_integer(i64::try_from(spec.limit).unwrap_or(i64::MAX));
    if spec.offset > 0 {
        sql.push(" OFFSET ");
        sql.bind_integer(i64::try_from(spec.offset).unwrap_or(i64::MAX));
    }
    sql.finish()
}

/// The statement that finds the key of the last unchanged row of a page in key order. Its result bounds the search for the old
/// images that belong to the page, so that a page never walks through the whole history.
///
/// # Errors
///
/// As [`page`].
pub fn last_key(flavour: &Sqlite<'_>, spec: &PageSpec<'_>) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let row = current(table);
    let mut sql = flavour.sql();
    sql.push("SELECT ");
    flavour.columns(&mut sql, row, &flavour.catalog.tables[table].key);
    sql.push(" FROM ");
    sql.name(&flavour.catalog.tables[table].name);
    sql.push(" AS t WHERE ");
    match flavour.history(table) {
        Some((history, version)) => {
            sql.push("NOT ");
            flavour.touched(&mut sql, row, history, version, false);
        }
        None => sql.push("1"),
    }
    flavour.conditions(&mut sql, spec, row)?;
    sql.push(" ORDER BY ");
    for position in 1..=flavour.catalog.tables[table].key.len() {
        sql.push(if position == 1 { "" } else { ", " });
        sql.push_number(position as i64);
    }
    sql.push(" LIMIT 1 OFFSET ");
    let last = spec.offset.saturating_add(spec.limit).saturating_sub(1);
    sql.bind_integer(i64::try_from(last).unwrap_or(i64::MAX));
    sql.finish()
}

/// The statement that counts the rows of an answer, whatever its position, `top` and `skip`.
///
/// # Errors
///
/// As [`page`].
pub fn count(
    flavour: &Sqlite<'_>,
    query: &Query,
    parent: Option<&Relation>,
) -> Result<(String, Vec<Param>), Error> {
    let row = current(query.table);
    let mut sql = flavour.sql();
    sql.push("SELECT count(*) FROM ");
    flavour.relation(&mut sql, query.table);
    sql.push(" AS t WHERE 1");
    let spec = PageSpec {
        query,
        columns: &[],
        parent,
        after: None,
        upto: None,
        offset: 0,
        limit: 0,
        driver: Driver::Any,
    };
    flavour.conditions(&mut sql, &spec, row)?;
    sql.finish()
}

/// Writes that an undo record is the first of its key after the snapshot and holds a row.
pub(super) fn is_image(
    flavour: &Sqlite<'_>,
    sql: &mut Sql,
    row: RowRef,
    history: i64,
    version: i64,
) {
    row.alias.write(sql);
    sql.push(".version > ");
    sql.bind_integer(version);
    sql.push(" AND ");
    row.alias.write(sql);
    sql.push(".present = 1 AND NOT ");
    flavour.touched(sql, row, history, version, true);
}

fn order_by(flavour: &Sqlite<'_>, sql: &mut Sql, spec: &PageSpec<'_>) {
    let key = &flavour.catalog.tables[spec.query.table].key;
    // At most one row can be at the other end of such a relation.
    let single = spec.parent.is_some_and(|relation| !relation.many);
    if single || (spec.query.order.is_empty() && key.is_empty()) {
        return;
    }
    let mut separator = " ORDER BY ";
    let order = spec.query.order.iter();
    for (position, item) in order.enumerate() {
        sql.push(separator);
        separator = ", ";
        sql.push_number(position as i64 + 1);
        if item.descending {
            sql.push(" DESC");
        }
    }
    for column in key {
        let place = spec.columns.iter().position(|c| c == column);
        let place = place.expect("the key is among the columns that are read");
        sql.push(separator);
        separator = ", ";
        sql.push_number((spec.query.order.len() + place) as i64 + 1);
    }
}
