//! SQLite: where its rows and their old images are, and how it spells things.
//!
//! A snapshot that is not the current state is read as a relation: the current rows of the keys that have no undo record after it,
//! and for the others the image in the first one (DESIGN section 3). The history of a table with the id 7 is
//! `highwater_history_7(version, nonce, present, c0, c1, …)` with the index `highwater_history_7_key (key…, version)`; `c3` is the column
//! at position 3 of the catalog. Functions named `highwater_…` are registered by the store.

mod compare;
mod delta;
mod function;
mod number;
mod page;

pub use compare::Collation;
pub use delta::{DeltaSpec, delta};
pub use function::pattern;
pub use number::exact_number;
pub use page::{Driver, PageSpec, count, last_key, page};

use highwater_core::query::Comparison;
use highwater_core::{Catalog, Error, Expr};

use self::compare::Kind;
use crate::expr::Compiler;
use crate::flavour::{Flavour, RowImage, RowRef};
use crate::text::{Param, Sql};

/// What must be known of a table beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLayout {
    /// Id of its history; `None` if it is not tracked.
    pub history: Option<i64>,
    /// How each column compares text.
    pub collations: Vec<Collation>,
    /// Columns of the key in which old tables may contain `NULL`; rows that do are no entities.
    pub nullable_key: Vec<usize>,
}

/// Writes SQL for SQLite.
#[derive(Clone, Copy, Debug)]
pub struct Sqlite<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// One for each table of the catalog.
    pub layouts: &'a [TableLayout],
    /// The snapshot to read, if it is not the current state.
    pub as_of: Option<i64>,
}

impl Sqlite<'_> {
    /// The suffix that makes text compare byte by byte.
    const COLLATE_BINARY: &'static str = " COLLATE BINARY";

    /// The history to look into for a table, and the version to look from.
    fn history(&self, table: usize) -> Option<(i64, i64)> {
        Some((self.layouts[table].history?, self.as_of?))
    }

    /// Writes that a current row has the key of an old image. Keys are the same byte by byte only; where the index of the key compares
    /// otherwise, the comparison is written twice, so that the index can be used.
    fn same_key(&self, sql: &mut Sql, current: RowRef, image: RowRef) {
        for (position, &column) in self.catalog.tables[current.table].key.iter().enumerate() {
            if position > 0 {
                sql.push(" AND ");
            }
            if let Collation::Coarser(index) = self.collation(current, column) {
                self.column(sql, current, column);
                sql.push(" COLLATE ");
                sql.push(index);
                sql.push(" = ");
                self.column(sql, image, column);
                sql.push(" AND ");
            }
            self.column(sql, current, column);
            if self.collation(current, column) != Collation::Binary {
                sql.push(Self::COLLATE_BINARY);
            }
            sql.push(" = ");
            self.column(sql, image, column);
        }
    }

    /// Writes ` AND key column IS NOT NULL` where that is not certain.
    fn has_key(&self, sql: &mut Sql, row: RowRef) {
        for &column in &self.layouts[row.table].nullable_key {
            sql.push(" AND ");
            self.column(sql, row, column);
            sql.push(" IS NOT NULL");
        }
    }

    /// Writes that the key of a row has an undo record after a version (and before the row's own version, if it is a record).
    fn touched(&self, sql: &mut Sql, row: RowRef, history: i64, after: i64, before: bool) {
        let earlier = RowRef {
            table: row.table,
            alias: crate::flavour::Alias::Named("e"),
            image: RowImage::History,
        };
        sql.push("EXISTS (SELECT 1 FROM ");
        history_name(sql, history);
        sql.push(" AS e WHERE ");
        self.same_key_in_history(sql, earlier, row);
        sql.push(" AND e.version > ");
        sql.bind_integer(after);
        if before {
            sql.push(" AND e.version < ");
            row.alias.write(sql);
            sql.push(".version");
        }
        sql.push(")");
    }

    /// As [`Self::same_key`] where the index of the history answers: always byte by byte.
    fn same_key_in_history(&self, sql: &mut Sql, history: RowRef, row: RowRef) {
        for (position, &column) in self.catalog.tables[row.table].key.iter().enumerate() {
            if position > 0 {
                sql.push(" AND ");
            }
            self.column(sql, history, column);
            sql.push(" = ");
            self.column(sql, row, column);
            if self.collation(row, column) != Collation::Binary {
                sql.push(Self::COLLATE_BINARY);
            }
        }
    }
}

fn history_name(sql: &mut Sql, history: i64) {
    sql.push("highwater_history_");
    sql.push_number(history);
}

impl Flavour for Sqlite<'_> {
    const PLACEHOLDER: char = '?';
    const PARAMS_MAX: usize = 32_766;
    const SAME: &'static str = "IS";
    const FALSE: &'static str = "0";

    fn relation(&self, sql: &mut Sql, table: usize) {
        let name = &self.catalog.tables[table].name;
        let Some((history, version)) = self.history(table) else {
            if self.layouts[table].nullable_key.is_empty() {
                sql.name(name);
                return;
            }
            sql.push("(SELECT * FROM ");
            sql.name(name);
            sql.push(" AS t WHERE 1");
            self.has_key(sql, page::current(table));
            sql.push(")");
            return;
        };
        let columns: Vec<usize> = (0..self.catalog.tables[table].columns.len()).collect();
        sql.push("(SELECT ");
        self.named_columns(sql, page::current(table), &columns);
        sql.push(" FROM ");
        sql.name(name);
        sql.push(" AS t WHERE NOT ");
        self.touched(sql, page::current(table), history, version, false);
        self.has_key(sql, page::current(table));
        sql.push(" UNION ALL SELECT ");
        self.named_columns(sql, page::old(table), &columns);
        sql.push(" FROM ");
        history_name(sql, history);
        sql.push(" AS h WHERE ");
        page::is_image(self, sql, page::old(table), history, version);
        self.has_key(sql, page::old(table));
        sql.push(")");
    }

    fn column(&self, sql: &mut Sql, row: RowRef, column: usize) {
        row.alias.write(sql);
        sql.push(".");
        match row.image {
            RowImage::Table => sql.name(&self.catalog.tables[row.table].columns[column].name),
            RowImage::History => {
                sql.push("c");
                sql.push_number(column as i64);
            }
        }
    }

    fn related(
        &self,
        sql: &mut Sql,
        (outer, here): (RowRef, usize),
        (inner, there): (RowRef, usize),
        inner_decides: bool,
    ) {
        // The collation of the left side decides.
        if inner_decides {
            self.column(sql, inner, there);
            sql.push(" = ");
            self.column(sql, outer, here);
        } else {
            self.column(sql, outer, here);
            sql.push(" = ");
            self.column(sql, inner, there);
        }
    }

    fn scalar(to: &mut Compiler<'_, Self>, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        to.compute(sql, expr)
    }

    fn compare(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        (operator, left, right): (Comparison, &Expr, &Expr),
        only_truth: bool,
    ) -> Result<(), Error> {
        to.compare_values(sql, operator, left, right, only_truth)
    }

    fn is_in(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error> {
        to.is_in_list(sql, operand, list, only_truth)
    }

    fn order_value(to: &mut Compiler<'_, Self>, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        to.operand(sql, expr, Kind::of(expr.ty()), true)?;
        if to.needs_collation(expr) {
            sql.push(Self::COLLATE_BINARY);
        }
        Ok(())
    }

    fn order_bound(
        _: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        _: &Expr,
        value: Param,
    ) -> Result<(), Error> {
        sql.bind(value);
        Ok(())
    }

    fn key_column(&self, sql: &mut Sql, row: RowRef, column: usize) {
        self.column(sql, row, column);
        if self.collation(row, column) != Collation::Binary {
            sql.push(Self::COLLATE_BINARY);
        }
    }

    fn key_bound(&self, sql: &mut Sql, _: usize, _: usize, value: Param) {
        sql.bind(value);
    }
}
