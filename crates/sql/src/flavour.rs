//! What differs between the databases when an expression becomes SQL.
//!
//! The walk over an expression, the rows in scope and the sub-queries are the same everywhere ([`Compiler`]); how two values are
//! compared and how a function is spelled is not, because one database knows the type of a value when it runs a statement and the
//! other when it parses it.
//!
//! What is deliberately absent: statements. How a page or a round is read depends on how a store keeps its history, so each
//! flavour writes its own statements around the compiled expressions.

use highwater_core::query::{Comparison, Scope};
use highwater_core::{Error, Expr};
use highwater_odata::Value;

use crate::expr::Compiler;
use crate::text::{Param, Sql};

/// A database's dialect of SQL.
pub trait Flavour: Sized {
    /// What a placeholder begins with; its number follows.
    const PLACEHOLDER: char;
    /// Parameters of one statement at most.
    const PARAMS_MAX: usize;
    /// The comparison that treats `NULL` as a value.
    const SAME: &'static str;
    /// A condition that never holds.
    const FALSE: &'static str;

    /// An empty statement.
    fn sql(&self) -> Sql {
        Sql::limited(Self::PLACEHOLDER, Self::PARAMS_MAX)
    }

    /// Writes something that can stand behind `FROM` and has the entities of a table at the snapshot being read as rows, and
    /// the table's columns under their own names.
    fn relation(&self, sql: &mut Sql, table: usize);

    /// Writes a reference to a column.
    fn column(&self, sql: &mut Sql, row: RowRef, column: usize);

    /// Writes that a column of the row where a path begins and one of the related row have the same value. `inner_decides` tells
    /// whose collation the foreign key compares by.
    fn related(
        &self,
        sql: &mut Sql,
        outer: (RowRef, usize),
        inner: (RowRef, usize),
        inner_decides: bool,
    );

    /// Writes the value of a column, a constant, the opposite of a value, an arithmetic expression or a call.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compute it exactly.
    fn scalar(to: &mut Compiler<'_, Self>, sql: &mut Sql, expr: &Expr) -> Result<(), Error>;

    /// Writes a comparison. If `only_truth`, `NULL` is as good as false; otherwise the comparison is never `NULL`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compare the values exactly.
    fn compare(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        comparison: (Comparison, &Expr, &Expr),
        only_truth: bool,
    ) -> Result<(), Error>;

    /// Writes whether a value is one of some constants (`null` may be among them), as [`Self::compare`] with `eq`.
    ///
    /// # Errors
    ///
    /// As [`Self::compare`].
    fn is_in(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error>;

    /// Writes what to order by, so that the order is OData's.
    ///
    /// # Errors
    ///
    /// As [`Self::scalar`].
    fn order_value(to: &mut Compiler<'_, Self>, sql: &mut Sql, expr: &Expr) -> Result<(), Error>;

    /// Writes a value that [`Self::order_value`] had in another row.
    ///
    /// # Errors
    ///
    /// As [`Self::scalar`].
    fn order_bound(
        to: &mut Compiler<'_, Self>,
        sql: &mut Sql,
        expr: &Expr,
        value: Param,
    ) -> Result<(), Error>;

    /// Writes a column of the key so that its order is the order of pages.
    fn key_column(&self, sql: &mut Sql, row: RowRef, column: usize);

    /// Writes a value that a column of the key had in another row.
    fn key_bound(&self, sql: &mut Sql, table: usize, column: usize, value: Param);

    /// The schema, as SQL, in which the operators are that compare a column, if they have to be named with it.
    fn operators(&self, _table: usize, _column: usize) -> Option<&str> {
        None
    }
}

/// A row that an expression can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRef {
    /// Position of its table in the catalog.
    pub table: usize,
    /// Its name in the statement.
    pub alias: Alias,
    /// Where its columns are.
    pub image: RowImage,
}

/// The name of a row in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// A name that the statement chose.
    Named(&'static str),
    /// The name of a row that a navigation introduced.
    Scope(Scope),
}

/// Which form of a row is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowImage {
    /// The columns have the names of the table.
    Table,
    /// An old image in the history.
    History,
}

impl Alias {
    /// Appends the alias.
    pub fn write(self, sql: &mut Sql) {
        match self {
            Alias::Named(name) => sql.push(name),
            Alias::Scope(Scope(number)) => {
                sql.push("s");
                sql.push_number(i64::from(number));
            }
        }
    }
}

/// Whether an expression is the constant `null`.
pub(crate) fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(Value::Null))
}

/// The other operand, if one is the constant `null`.
pub(crate) fn beside_null<'e>(left: &'e Expr, right: &'e Expr) -> Option<&'e Expr> {
    if is_null(right) {
        Some(left)
    } else if is_null(left) {
        Some(right)
    } else {
        None
    }
}
