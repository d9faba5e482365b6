//! One page of a query at a snapshot.
//!
//! If the snapshot is what the transaction sees, the page is read from the table, in the order of an index where there is one.
//! Otherwise, by [`Driver`]:
//!
//! - [`Driver::Recent`]: the merge of two parts, the rows that have not changed since and the old images of those that have. The
//!   second part costs in proportion to *all* records after the snapshot, so this is for few of them, and for orders that no index of
//!   the history could answer anyway.
//! - [`Driver::Keys`]: the table is walked in key order and each row is looked up in the history, so a page costs in proportion to the
//!   page even if every row has changed since. What this walk cannot meet are rows that no longer exist; they are found by the keys of
//!   records of removed rows (`gone`), bounded by the last key of the walk. The history is ordered by the *text* of keys, which for most
//!   types is another order than the table's, so this search tests the key of each such record after the snapshot: the one thing that
//!   is not in proportion to the page.
//!
//! Both give the same rows in the same order, so a page can be read by either.

use highwater_core::query::{OrderBy, Scope};
use highwater_core::{Error, Expr, Query};

use super::history::{KeyOf, any_after, current, image};
use super::{Family, Postgres, Visible};
use crate::expr::Compiler;
use crate::flavour::{Flavour as _, RowRef};
use crate::keyset;
use crate::text::{Param, Sql};

/// Which rows of an answer to read.
#[derive(Clone, Copy, Debug)]
pub struct PageSpec<'a> {
    /// The query.
    pub query: &'a Query,
    /// Columns to read, the key among them. The statement returns the order terms of the query as text, then these: columns of
    /// [`Family::Other`] as text, all others in their own type.
    pub columns: &'a [usize],
    /// The text of the order terms ([`Postgres::terms`]) in the row before.
    pub after: Option<&'a [Param]>,
    /// Rows to leave out.
    pub offset: u64,
    /// Rows at most.
    pub limit: u64,
    /// How to find what has changed since the snapshot, if the page is of another than the transaction sees.
    pub driver: Driver,
    /// For a page of what the transaction sees: no rows at all, at next to no cost, if a table of the query has changed since this
    /// snapshot. So a page can be asked for before it is known whether it has to be read as of that.
    pub unless_changed_since: Option<&'a Visible>,
}

/// How to find what has changed since the snapshot of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Through all records after the snapshot: good if they are few.
    Recent,
    /// Through the rows of the page: good if the page is in key order and there are many records. A query with another order is read
    /// as by [`Driver::Recent`].
    Keys,
}

/// What a statement gives of each row: the order terms of the query, as text, and the columns.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) query: &'a Query,
    pub(super) columns: &'a [usize],
}

impl<'a> PageSpec<'a> {
    fn shown(&self) -> Shown<'a> {
        Shown {
            query: self.query,
            columns: self.columns,
        }
    }
}

/// The statement that reads a page.
///
/// # Errors
///
/// [`Error::Unsupported`] or [`Error::TooComplex`], see [`Compiler`] and [`Sql::finish`].
pub fn page(flavour: &Postgres<'_>, spec: &PageSpec<'_>) -> Result<(String, Vec<Param>), Error> {
    let mut sql = flavour.sql();
    match flavour.history(spec.query.table) {
        None => flavour.current_page(&mut sql, spec)?,
        Some((history, after))
            if spec.driver == Driver::Keys
                && spec.query.order.is_empty()
                && !flavour.catalog.tables[spec.query.table].key.is_empty() =>
        {
            flavour.page_by_keys(&mut sql, spec, history, after)?;
        }
        Some((history, after)) => flavour.merged_page(&mut sql, spec, history, after)?,
    }
    sql.finish()
}

/// The statement that counts the rows of an answer, whatever its position, `top` and `skip`.
///
/// # Errors
///
/// As [`page`].
pub fn count(flavour: &Postgres<'_>, query: &Query) -> Result<(String, Vec<Param>), Error> {
    let mut sql = flavour.sql();
    sql.push("SELECT count(*) FROM ");
    flavour.state(&mut sql, query.table);
    sql.push(" AS t");
    if let Some(filter) = &query.filter {
        sql.push(" WHERE ");
        Compiler::new(flavour, flavour.catalog, current(query.table))
            .predicate(&mut sql, filter)?;
    }
    sql.finish()
}

impl Postgres<'_> {
    /// What the transaction sees.
    fn current_page(&self, sql: &mut Sql, spec: &PageSpec<'_>) -> Result<(), Error> {
        let table = spec.query.table;
        let row = current(table);
        let mut compiler = Compiler::new(self, self.catalog, row);
        sql.push("SELECT ");
        let mark = sql.mark();
        for item in &spec.query.order {
            sql.push("(");
            compiler.order_value(sql, &item.expr)?;
            sql.push(")::text, ");
        }
        for (position, &column) in spec.columns.iter().enumerate() {
            sql.push(if position == 0 { "" } else { ", " });
            self.shown(sql, row, column);
        }
        sql.push(" FROM ");
        self.rows(sql, table);
        sql.push(" AS t WHERE true");
        if let Some(since) = spec.unless_changed_since {
            let tables = spec.query.tables(self.catalog);
            for history in tables.iter().filter_map(|t| self.layouts[*t].history) {
                sql.push(" AND NOT ");
                sql.push(&any_after(history, since));
            }
        }
        self.conditions(sql, spec, row)?;
        let mut separator = " ORDER BY ";
        let end = sql.repeat_from(mark);
        for item in &spec.query.order {
            sql.push(std::mem::replace(&mut separator, ", "));
            compiler.order_value(sql, &item.expr)?;
            self.direction(sql, table, item);
        }
        sql.resume(end);
        for &column in &self.catalog.tables[table].key {
            sql.push(std::mem::replace(&mut separator, ", "));
            self.key_column(sql, row, column);
        }
        self.window(sql, spec.limit, spec.offset);
        Ok(())
    }

    /// [`Driver::Recent`]
    fn merged_page(
        &self,
        sql: &mut Sql,
        spec: &PageSpec<'_>,
        history: i64,
        after: &Visible,
    ) -> Result<(), Error> {
        let table = spec.query.table;
        let rows_max = spec.offset.saturating_add(spec.limit);
        self.outputs(sql, spec.shown(), "p.", "SELECT ");
        sql.push(" FROM ((");
        let selection = sql.mark();
        self.part(sql, spec.shown(), current(table))?;
        sql.push(" FROM ");
        self.rows(sql, table);
        sql.push(" AS t WHERE NOT ");
        let key = KeyOf::Row(current(table));
        self.touched(sql, (table, history), key, after);
        let conditions = sql.mark();
        self.conditions(sql, spec, current(table))?;
        // Each part is cut where the page could end at the latest, so that none is read further, whatever it is thought to have.
        self.order_of_part(sql, spec);
        self.window(sql, rows_max, 0);
        sql.push(") UNION ALL (");
        let end = sql.repeat_from(selection);
        self.part(sql, spec.shown(), image(table, "h"))?;
        sql.resume(end);
        sql.push(" FROM ");
        self.images(sql, table, history, after);
        sql.push(" AS h WHERE true");
        let end = sql.repeat_from(conditions);
        self.conditions(sql, spec, image(table, "h"))?;
        sql.resume(end);
        self.order_of_part(sql, spec);
        self.window(sql, rows_max, 0);
        sql.push(")) AS p");
        self.order_of_outputs(sql, spec);
        self.window(sql, spec.limit, spec.offset);
        Ok(())
    }

    /// [`Driver::Keys`]
    fn page_by_keys(
        &self,
        sql: &mut Sql,
        spec: &PageSpec<'_>,
        history: i64,
        after: &Visible,
    ) -> Result<(), Error> {
        let table = spec.query.table;
        let rows_max = spec.offset.saturating_add(spec.limit);
        sql.push("WITH p AS MATERIALIZED (");
        self.part(sql, spec.shown(), current(table))?;
        sql.push(" FROM ");
        self.rows_as_they_were(sql, (table, history), after);
        sql.push(" AS t WHERE true");
        let conditions = sql.mark();
        self.conditions(sql, spec, current(table))?;
        self.order_of_part(sql, spec);
        self.window(sql, rows_max, 0);
        sql.push(") ");
        self.outputs(sql, spec.shown(), "p.", "SELECT ");
        sql.push(" FROM (SELECT * FROM p UNION ALL ");
        self.part(sql, spec.shown(), image(table, "h"))?;
        sql.push(" FROM (SELECT i.r FROM (SELECT DISTINCT ");
        let key = &self.catalog.tables[table].key;
        for position in 0..key.len() {
            sql.push(if position == 0 { "g.k" } else { ", g.k" });
            sql.push_number(position as i64);
        }
        sql.push(" FROM ");
        self.recent(sql, history, after, "w.gone AND ");
        sql.push(" AS g WHERE ");
        // Where the order of a key depends on a collation, only the image knows it.
        let by_text = key.iter().all(|&column| {
            !matches!(
                self.layout(table, column).family,
                Family::Text | Family::Other
            )
        });
        if by_text {
            self.behind_position(sql, spec, table);
            self.up_to_last(sql, spec, rows_max, |sql, position| {
                self.typed_key(sql, table, "g", position);
            });
            sql.push(" AND ");
        }
        // It may be there again.
        sql.push("(SELECT true FROM ");
        self.rows(sql, table);
        sql.push(" AS t WHERE ");
        self.same_key(sql, current(table), "g");
        sql.push(" LIMIT 1) IS NULL) AS g CROSS JOIN LATERAL ");
        self.first(sql, (table, history), KeyOf::Record("g"), after, "");
        sql.push(" AS f CROSS JOIN LATERAL ");
        self.parsed(sql, table, "f.old");
        sql.push(" AS i WHERE f.old IS NOT NULL) AS h WHERE true");
        if !by_text {
            sql.push(" AND ");
            self.up_to_last(sql, spec, rows_max, |sql, position| {
                self.column(sql, image(table, "h"), key[position]);
            });
        }
        let end = sql.repeat_from(conditions);
        self.conditions(sql, spec, image(table, "h"))?;
        sql.resume(end);
        sql.push(") AS p");
        self.order_of_outputs(sql, spec);
        self.window(sql, spec.limit, spec.offset);
        Ok(())
    }

    /// Writes a sub-query with the current rows that existed at the snapshot, as they were there.
    fn rows_as_they_were(&self, sql: &mut Sql, (table, history): (usize, i64), after: &Visible) {
        let key = &self.catalog.tables[table].key;
        sql.push("(SELECT ");
        for (position, column) in self.catalog.tables[table].columns.iter().enumerate() {
            sql.push(if position == 0 { "" } else { ", " });
            if key.contains(&position) {
                self.column(sql, current(table), position);
            } else {
                sql.push("CASE WHEN f.seq IS NULL THEN ");
                self.column(sql, current(table), position);
                sql.push(" ELSE ");
                self.column(sql, image(table, "i"), position);
                sql.push(" END");
            }
            sql.push(" AS ");
            sql.name(&column.name);
        }
        sql.push(" FROM ");
        self.rows(sql, table);
        sql.push(" AS t LEFT JOIN LATERAL ");
        let key = KeyOf::Row(current(table));
        self.first(sql, (table, history), key, after, "");
        sql.push(" AS f ON true LEFT JOIN LATERAL ");
        self.parsed(sql, table, "f.old");
        sql.push(" AS i ON true WHERE f.seq IS NULL OR f.old IS NOT NULL)");
    }

    /// Writes that the key of the record `g` is behind the position of the page, and ` AND `.
    fn behind_position(&self, sql: &mut Sql, spec: &PageSpec<'_>, table: usize) {
        let Some(after) = spec.after else {
            return;
        };
        let key = &self.catalog.tables[table].key;
        let left = |sql: &mut Sql, position| self.typed_key(sql, table, "g", position);
        let right = |sql: &mut Sql, position: usize| {
            self.key_bound(sql, table, key[position], after[position].clone());
        };
        keyset::compare(sql, self, (table, key), (left, ">", right));
        sql.push(" AND ");
    }

    /// Writes that a key is not behind the last one that the walk of the rows has met, if that has filled the page.
    fn up_to_last(
        &self,
        sql: &mut Sql,
        spec: &PageSpec<'_>,
        rows_max: u64,
        write: impl Fn(&mut Sql, usize),
    ) {
        let table = spec.query.table;
        let key = &self.catalog.tables[table].key;
        sql.push("((SELECT count(*) FROM p) < ");
        self.bind_count(sql, rows_max);
        sql.push(" OR ");
        let last = |sql: &mut Sql, position: usize| {
            sql.push("(SELECT p.c");
            sql.push_number(key[position] as i64);
            sql.push(" FROM p");
            self.order_of_outputs(sql, spec);
            self.window(sql, 1, rows_max.saturating_sub(1));
            sql.push(")");
        };
        keyset::compare(sql, self, (table, key), (write, "<=", last));
        sql.push(")");
    }

    /// Writes `SELECT` and what a part of a page gives: order terms `o0 …` and columns `c3 …`, which tell their position in the catalog.
    pub(super) fn part(&self, sql: &mut Sql, shown: Shown<'_>, row: RowRef) -> Result<(), Error> {
        sql.push("SELECT ");
        let mut compiler = Compiler::new(self, self.catalog, row);
        for (position, item) in shown.query.order.iter().enumerate() {
            compiler.order_value(sql, &item.expr)?;
            sql.push(" AS o");
            sql.push_number(position as i64);
            sql.push(", ");
        }
        let key = &self.catalog.tables[row.table].key;
        let mut columns = [shown.columns, key].concat();
        columns.sort_unstable();
        columns.dedup();
        for (position, &column) in columns.iter().enumerate() {
            sql.push(if position == 0 { "" } else { ", " });
            self.column(sql, row, column);
            sql.push(" AS c");
            sql.push_number(column as i64);
        }
        Ok(())
    }

    /// Writes what a statement gives, from parts with an alias (`p.`), behind `before`.
    pub(super) fn outputs(&self, sql: &mut Sql, shown: Shown<'_>, alias: &str, before: &str) {
        let mut separator = before;
        let mut output = |letter: &str, number: usize, as_text: bool| {
            sql.push(std::mem::replace(&mut separator, ", "));
            sql.push(if as_text { "(" } else { "" });
            sql.push(alias);
            sql.push(letter);
            sql.push_number(number as i64);
            sql.push(if as_text { ")::text" } else { "" });
        };
        for position in 0..shown.query.order.len() {
            output("o", position, true);
        }
        for &column in shown.columns {
            let family = self.layout(shown.query.table, column).family;
            output("c", column, family == Family::Other);
        }
    }

    fn order_of_outputs(&self, sql: &mut Sql, spec: &PageSpec<'_>) {
        self.order_of(sql, spec.query, "p.", " ORDER BY ");
    }

    fn order_of_part(&self, sql: &mut Sql, spec: &PageSpec<'_>) {
        self.order_of(sql, spec.query, "", " ORDER BY ");
    }

    /// Writes an order by what [`Self::part`] gives.
    pub(super) fn order_of(&self, sql: &mut Sql, query: &Query, alias: &str, before: &str) {
        let mut separator = before;
        for (position, item) in query.order.iter().enumerate() {
            sql.push(std::mem::replace(&mut separator, ", "));
            sql.push(alias);
            sql.push("o");
            sql.push_number(position as i64);
            self.direction(sql, query.table, item);
        }
        for &column in &self.catalog.tables[query.table].key {
            sql.push(std::mem::replace(&mut separator, ", "));
            sql.push(alias);
            sql.push("c");
            sql.push_number(column as i64);
        }
    }

    /// Writes which rows of the query belong to the page, each condition behind ` AND `.
    pub(super) fn conditions(
        &self,
        sql: &mut Sql,
        spec: &PageSpec<'_>,
        row: RowRef,
    ) -> Result<(), Error> {
        if let Some(after) = spec.after {
            let terms = self.terms(spec.query.table, &spec.query.order);
            sql.push(" AND ");
            keyset::behind(sql, self, self.catalog, row, &terms, after)?;
        }
        if let Some(filter) = &spec.query.filter {
            sql.push(" AND ");
            Compiler::new(self, self.catalog, row).predicate(sql, filter)?;
        }
        Ok(())
    }

    /// Writes the direction of an order, in which `NULL` is the smallest value. Where there is none, PostgreSQL's own direction lets
    /// an index answer.
    pub(super) fn direction(&self, sql: &mut Sql, table: usize, item: &OrderBy) {
        let nullable = match &item.expr {
            Expr::Column { scope, column, .. } if *scope == Scope::ROOT => {
                self.catalog.tables[table].columns[*column].nullable
            }
            _ => true,
        };
        sql.push(match (item.descending, nullable) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, false) => " DESC",
            (true, true) => " DESC NULLS LAST",
        });
    }

    pub(super) fn bind_count(&self, sql: &mut Sql, count: u64) {
        self.bind_number(sql, i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn window(&self, sql: &mut Sql, limit: u64, offset: u64) {
        sql.push(" LIMIT ");
        self.bind_count(sql, limit);
        if offset > 0 {
            sql.push(" OFFSET ");
            self.bind_count(sql, offset);
        }
    }
}
