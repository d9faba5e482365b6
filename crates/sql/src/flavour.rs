//! What differs between the databases when an expression becomes SQL.
//!
//! What is deliberately absent: statements. How a page or a round is read depends on how a store keeps its history, so each
//! flavour writes its own statements around the compiled expressions.

use highwater_core::Error;
use highwater_core::query::{Arithmetic, Function, Scope};
use highwater_odata::{PrimitiveType, Value};

use crate::text::Sql;

/// A database's dialect of SQL.
pub trait Flavour {
    /// What a placeholder begins with; its number follows.
    const PLACEHOLDER: char;
    /// The comparison that treats `NULL` as a value.
    const SAME: &'static str;
    /// Its negation.
    const DIFFERENT: &'static str;
    /// The suffix that makes text compare byte by byte.
    const COLLATE_BINARY: &'static str;

    /// Writes something that can stand behind `FROM` and has the entities of a table at the snapshot being read as rows, and
    /// the table's columns under their own names.
    fn relation(&self, sql: &mut Sql, table: usize);

    /// Writes a reference to a column.
    fn column(&self, sql: &mut Sql, row: RowRef, column: usize);

    /// How the database compares the text of a column if nothing is said.
    fn collation(&self, row: RowRef, column: usize) -> Collation;

    /// The value to bind for a literal.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compare with it exactly.
    fn literal(&self, value: &Value, kind: Kind) -> Result<Value, Error>;

    /// The function that turns stored values of a kind into values that SQL compares correctly, and anything else into `NULL`;
    /// `None` if SQL compares stored values correctly as they are.
    fn comparable(&self, kind: Kind) -> Option<&'static str>;

    /// A condition on a numeric column that is false for stored values that are no numbers and would compare as larger
    /// than any number; empty if there are none.
    fn is_number(&self) -> &'static str;

    /// How a function is spelled.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if there is no such function for these types, or a pattern is not valid.
    fn function(
        &self,
        function: Function,
        arguments: &[highwater_core::Expr],
        result: PrimitiveType,
    ) -> Result<Spelling, Error>;

    /// How an arithmetic operator is spelled.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if it is not available for these types.
    fn arithmetic(
        &self,
        operator: Arithmetic,
        left: PrimitiveType,
        right: PrimitiveType,
        result: PrimitiveType,
    ) -> Result<Spelling, Error>;
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

/// How a column's text is compared by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collation {
    /// Byte by byte, as OData demands.
    Binary,
    /// Another way, in which some different texts are equal (and equal texts are). The name is the collation of the index
    /// that can find one text; what it finds has to be compared byte by byte again.
    Coarser(&'static str),
    /// Unknown here; the database may not even be able to use it.
    Foreign,
}

/// How values compare, by their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers, Booleans, bytes.
    Plain,
    /// Text, or values of unknown type.
    Text,
    /// `Edm.DateTimeOffset`
    Instant,
    /// `Edm.Date`
    Date,
    /// `Edm.TimeOfDay`
    Time,
    /// `Edm.Duration`
    Duration,
    /// `Edm.Guid`
    Guid,
}

impl Kind {
    /// How values of a type compare with each other.
    pub fn of(ty: PrimitiveType) -> Kind {
        match ty {
            PrimitiveType::String | PrimitiveType::Any => Kind::Text,
            PrimitiveType::DateTimeOffset => Kind::Instant,
            PrimitiveType::Date => Kind::Date,
            PrimitiveType::TimeOfDay => Kind::Time,
            PrimitiveType::Duration => Kind::Duration,
            PrimitiveType::Guid => Kind::Guid,
            _ => Kind::Plain,
        }
    }

    /// How values of two types compare with each other: a type that says more than the other decides.
    pub fn of_pair(left: PrimitiveType, right: PrimitiveType) -> Kind {
        match (Kind::of(left), Kind::of(right)) {
            (a, b) if a == b => a,
            (Kind::Date, Kind::Instant) | (Kind::Instant, Kind::Date) => Kind::Instant,
            (Kind::Text, other) | (other, Kind::Text) => other,
            _ => Kind::Plain,
        }
    }
}

/// How an operator or a function is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Spelling {
    /// `name(arguments…)`, with a further constant argument if there is one.
    Call(&'static str, Option<Value>),
    /// `a name b`
    Infix(&'static str),
    /// `CAST(a AS REAL) name b`
    InfixReal(&'static str),
    /// A constant.
    Constant(Value),
}
