//! PostgreSQL: where its rows and their old images are, and how it spells things.
//!
//! The history of a table with the id 7 is `highwater.history_7(xid, seq, gone, k0, k1, …, old)` with the indexes `(xid, seq)`,
//! `(k0, k1, …, xid, seq)` and `(xid) WHERE gone`: the top-level transaction that made a change, a number that orders the records of a key,
//! whether the change removed the row, the key as text, and the row before the change in PostgreSQL's text form of a row (`NULL`: there
//! was none). The first record of a key in a transaction says what was before the transaction. Two records of a transaction have the same
//! number only if they say nothing but that their keys are gone.
//!
//! What must hold:
//!
//! - Every parameter is sent as text, and every placeholder has a cast, so that no type is guessed.
//! - A literal is bound in the type of what it is compared with, so that indexes can be used. Where that type has no such value (a
//!   finer fraction, a later year), the comparison is rewritten so that its truth stays exact.
//! - Old images are parsed once a record (`OFFSET 0` keeps PostgreSQL from repeating the cast for every column).
//! - Statements are written for one plan, whatever the statistics say: a history is fresh, or has grown by a million rows since it
//!   was analysed. Each look-up is a `LATERAL` sub-query or a scalar one with `LIMIT 1`, which PostgreSQL can only execute row by row, and
//!   looks into the history by comparing whole rows in the order of the key's index, which only that index can answer.
//!
//! What is deliberately absent: functions in the database. Everything is built-in.

mod compare;
mod delta;
mod function;
mod history;
mod literal;
mod page;
mod pattern;
mod related;
mod temporal;
mod value;

pub use delta::{DeltaSpec, delta};
pub use history::{any_after, any_after_xids, old_images, records_of};
pub use page::{Driver, PageSpec, count, page};
pub use related::{RelatedSpec, related, related_count};

use highwater_core::query::{Comparison, OrderBy};
use highwater_core::{Catalog, Error, Expr};

use crate::expr::Compiler;
use crate::flavour::{Flavour, RowImage, RowRef};
use crate::keyset::{self, Term, push_operator};
use crate::text::{Param, Sql};

/// What must be known of a table beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLayout {
    /// Id of its history; `None` if it is not tracked.
    pub history: Option<i64>,
    /// Whether it is read with `ONLY`: a table that is not partitioned, because the rows of tables that inherit from it are not its own. It
    /// may get such tables at any time, also between two statements of one transaction.
    pub only: bool,
    /// One for each column of the catalog.
    pub columns: Vec<ColumnLayout>,
}

/// What must be known of a column beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Its type, or the type below it if that is a domain, as SQL that can stand behind `::`: qualified, quoted, without modifiers.
    pub ty: String,
    /// How its values behave.
    pub family: Family,
    /// Whether values with different texts can be equal for the type (`numeric`, `citext`, non-deterministic collations …), so that what an
    /// index finds has to be compared as text again.
    pub coarse: bool,
    /// The schema of the operators that compare its values, quoted, if it is not `pg_catalog`, which is the search path of statements: the
    /// index of a key has the order of these, and without them the type would be compared as text, or not at all.
    pub operators: Option<String>,
}

impl ColumnLayout {
    /// What stands around a value of a key to give its text, as the history spells it. The type's own output, whatever casts there are:
    /// whoever owns a type can make a cast from it to `text`, at any time. (The output of `bpchar` shows the padding, which does not
    /// count.)
    pub fn key_text(&self) -> (&'static str, &'static str) {
        match self.ty.as_str() {
            r#""pg_catalog"."bpchar""# => ("rtrim(concat(", "), ' ')"),
            _ => ("concat(", ")"),
        }
    }

    /// Whether the type is `real`.
    pub fn is_real(&self) -> bool {
        self.family == Family::Float && self.ty.ends_with("\"float4\"")
    }
}

/// How values of a type behave, and in which form they leave the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `boolean`
    Boolean,
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `numeric`
    Numeric,
    /// `real`, `double precision`
    Float,
    /// `text`, `varchar` and `name`
    Text,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`, taken as UTC
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `bytea`
    Bytea,
    /// Everything else: leaves the database as text, and compares as text.
    Other,
}

/// Which transactions are visible in a snapshot: those below `xmax` that are not in `xip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// The first transaction that had not begun.
    pub xmax: i64,
    /// Those below `xmax` that had not ended, ascending.
    pub xip: Vec<i64>,
}

/// Writes SQL for PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct Postgres<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// One for each table of the catalog.
    pub layouts: &'a [TableLayout],
    /// The snapshot to read, if it is not what the transaction sees.
    ///
    /// Every look-up of a key tries each transaction of [`Visible::xip`], so those that have no records in the tables of the query are
    /// better left out.
    pub as_of: Option<&'a Visible>,
    /// The collation, as SQL behind `COLLATE`, that says what upper and lower case is; `None` for the database's own.
    pub letters: Option<&'a str>,
}

impl<'a> Postgres<'a> {
    /// What a page of a query is ordered by.
    pub fn terms(&self, table: usize, order: &[OrderBy]) -> Vec<Term> {
        keyset::terms(self.catalog, table, order)
    }

    fn layout(&self, table: usize, column: usize) -> &'a ColumnLayout {
        &self.layouts[table].columns[column]
    }

    /// Writes `"schema"."table"`, which is also the name of its row type.
    fn name(&self, sql: &mut Sql, table: usize) {
        let table = &self.catalog.tables[table];
        if let Some(schema) = &table.schema {
            sql.name(schema);
            sql.push(".");
        }
        sql.name(&table.name);
    }

    /// Writes what stands behind `FROM` to read the current rows.
    fn rows(&self, sql: &mut Sql, table: usize) {
        if self.layouts[table].only {
            sql.push("ONLY ");
        }
        self.name(sql, table);
    }

    /// Writes a column in the form in which it leaves the database.
    fn shown(&self, sql: &mut Sql, row: RowRef, column: usize) {
        if self.layout(row.table, column).family == Family::Other {
            sql.push("(");
            self.column(sql, row, column);
            sql.push(")::text");
        } else {
            self.column(sql, row, column);
        }
    }

    /// Writes a placeholder for a value and the type it is to be.
    fn bind(&self, sql: &mut Sql, param: Param, ty: &str) {
        sql.bind(param);
        sql.push("::");
        sql.push(ty);
    }

    /// Writes a placeholder for a whole number.
    fn bind_number(&self, sql: &mut Sql, number: i64) {
        sql.bind_integer(number);
        sql.push("::bigint");
    }
}

impl Flavour for Postgres<'_> {
    const PLACEHOLDER: char = '$';
    const PARAMS_MAX: usize = 65_535;
    const SAME: &'static str = "IS NOT DISTINCT FROM";
    const FALSE: &'static str = "false";

    fn relation(&self, sql: &mut Sql, table: usize) {
        self.state(sql, table);
    }

    fn column(&self, sql: &mut Sql, row: RowRef, column: usize) {
        match row.image {
            RowImage::Table => {
                row.alias.write(sql);
                sql.push(".");
            }
            RowImage::History => {
                sql.push("(");
                row.alias.write(sql);
                sql.push(".r).");
            }
        }
        sql.name(&self.catalog.tables[row.table].columns[column].name);
    }

    fn related(
        &self,
        sql: &mut Sql,
        (outer, here): (RowRef, usize),
        (inner, there): (RowRef, usize),
        _: bool,
    ) {
        // Columns of a foreign key have one collation.
        self.column(sql, inner, there);
        let (one, other) = (
            self.layout(inner.table, there),
            self.layout(outer.table, here),
        );
        let of_both = one.operators.as_deref().filter(|_| one.ty == other.ty);
        push_operator(sql, "=", of_both);
        self.column(sql, outer, here);
    }

    fn scalar(to: &mut Compiler<'_, Self>, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        to.scalar_value(sql, expr)
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
        to.ordered_value(sql, expr)
    }

    fn order_bound(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        expr: &Expr,
        value: Param,
    ) -> Result<(), Error> {
        let ty = to.repr(expr).ty();
        to.flavour.bind(sql, value, ty);
        Ok(())
    }

    fn key_column(&self, sql: &mut Sql, row: RowRef, column: usize) {
        self.column(sql, row, column);
    }

    fn key_bound(&self, sql: &mut Sql, table: usize, column: usize, value: Param) {
        self.bind(sql, value, &self.layout(table, column).ty);
    }

    fn operators(&self, table: usize, column: usize) -> Option<&str> {
        self.layout(table, column).operators.as_deref()
    }
}
