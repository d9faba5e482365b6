//! What SQLite knows of a table beyond the catalog: how its rows are stored and compared.
//!
//! What must hold: the facts of a table stand at the same position as the table in the [`Catalog`], and the facts of a column at
//! the position of the column in [`highwater_core::Table::columns`].

use highwater_core::Catalog;

/// The schema as one read transaction saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What every store tells. [`Catalog::version`] is `PRAGMA schema_version`.
    pub catalog: Catalog,
    /// What only this store needs, one for each table of the catalog.
    pub tables: Vec<TableFacts>,
    /// What is in the schema, but not in the catalog.
    pub left_out: Vec<LeftOut>,
}

/// A table or view that SQLite cannot read, for example a view of a table that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name as the schema spells it.
    pub name: String,
    /// Whether it is a view.
    pub is_view: bool,
    /// What SQLite says.
    pub error: String,
}

/// How the rows of a table are stored and compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// The id of the table in `highwater_table` and in the name of its history; `None` if it is not tracked.
    pub history_id: Option<i64>,
    /// One for each column.
    pub columns: Vec<ColumnFacts>,
    /// One for each key column, in key order.
    pub key: Vec<KeyFacts>,
    /// The column that is another name of the rowid (`INTEGER PRIMARY KEY`).
    pub rowid_alias: Option<usize>,
    /// A name by which SQL can address the rowid: absent for views, virtual and `WITHOUT ROWID` tables, and where columns
    /// take all three names.
    pub rowid_name: Option<&'static str>,
    /// Whether the primary key is the place where the rows are.
    pub without_rowid: bool,
    /// Whether values must have the declared type.
    pub strict: bool,
    /// Whether it is a virtual table.
    pub is_virtual: bool,
}

/// How the values of a column are stored and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Which conversion a value undergoes when it is stored.
    pub affinity: Affinity,
    /// The declared collation, for example `BINARY` or `NOCASE`.
    pub collation: String,
    /// Whether the column has a `NOT NULL` constraint (or cannot be `NULL` for another reason).
    pub not_null: bool,
}

/// How a column of the key is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The collation of the column in the index of the key: the comparison must name it to find rows by the index.
    pub collation: String,
    /// Whether rows with `NULL` here may exist. They are not part of the entity set.
    pub nullable: bool,
}

/// The type affinity of a column (<https://sqlite.org/datatype3.html#type_affinity>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// No conversion.
    Blob,
    /// Numbers become text.
    Text,
    /// Text that looks like a number becomes one.
    Numeric,
    /// As `Numeric`, and whole reals become integers.
    Integer,
    /// As `Numeric`, and integers become reals.
    Real,
}

impl Affinity {
    /// A declared type that has this affinity.
    pub fn type_name(self) -> &'static str {
        match self {
            Affinity::Blob => "BLOB",
            Affinity::Text => "TEXT",
            Affinity::Numeric => "NUMERIC",
            Affinity::Integer => "INTEGER",
            Affinity::Real => "REAL",
        }
    }
}

/// The name of a history table.
pub fn history_table(id: i64) -> String {
    format!("highwater_history_{id}")
}

/// Quotes an identifier for SQL.
pub fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
