//! Which SQL the generators may use on a kind of database.
//!
//! What must hold: the generators ask a [`Flavour`] and never the name of a product, so that a new store needs a new value
//! here and no new generator. What is deliberately absent: anything that all databases share.

mod postgres;
mod sqlite;

pub(crate) use postgres::code;
pub use postgres::{POSTGRES, POSTGRES_LOGGED, POSTGRES_WITHOUT_MERGE};
pub use sqlite::SQLITE;

/// What values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Floating-point numbers.
    Real,
    /// Decimal numbers.
    Decimal,
    /// Truth values.
    Bool,
    /// Text.
    Text,
    /// Bytes.
    Blob,
    /// Calendar days.
    Date,
    /// Points in time.
    Timestamp,
    /// Times of day.
    Time,
    /// Lengths of time.
    Interval,
    /// Universally unique ids.
    Guid,
    /// One of a few words.
    Enum,
    /// Documents.
    Json,
    /// Ranges of whole numbers.
    Range,
    /// Lists of whole numbers.
    Array,
    /// A mixture of everything.
    Any,
}

/// A type that a column can be declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// As in `CREATE TABLE`; may be empty where a database allows that.
    pub sql: &'static str,
    /// What the column is filled with.
    pub kind: Kind,
    /// Whether a table of the strict sort may use it.
    pub strict: bool,
    /// Whether its values can be compared, so that the column can be a key, unique, or part of a condition.
    pub comparable: bool,
}

const fn declared(sql: &'static str, kind: Kind) -> Declared {
    Declared {
        sql,
        kind,
        strict: false,
        comparable: true,
    }
}

const fn strict(sql: &'static str, kind: Kind) -> Declared {
    Declared {
        sql,
        kind,
        strict: true,
        comparable: true,
    }
}

/// How the key of a table is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// `INTEGER PRIMARY KEY`
    Integer,
    /// A number that the database makes unless it is given.
    Autoincrement,
    /// A number that the database makes and that cannot be given.
    AlwaysMade,
    /// `INTEGER PRIMARY KEY DESC`
    DescendingInteger,
    /// One column of a kind.
    Single(Kind),
    /// One column of any type that can be compared.
    AnyType,
    /// Two columns.
    Composite,
    /// `NOT NULL UNIQUE` without a primary key.
    UniqueOnly,
}

/// What sort of table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableForm {
    /// The usual one.
    Plain,
    /// One that a crash empties.
    Unlogged,
    /// One whose rows are in other tables, by the value of a key column.
    Partitioned,
    /// One that has the columns of an earlier one, and whose rows are also the rows of that one.
    Inheriting,
}

/// A form of statement that changes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `INSERT … VALUES`, also as an upsert.
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `INSERT … SELECT`
    InsertSelect,
    /// `UPDATE … FROM`
    UpdateFrom,
    /// Two rows exchange their keys, in three statements.
    SwapKeys,
    /// A row gets the hidden number of another one.
    SetRowid,
    /// `MERGE`
    Merge,
    /// Statements that change rows within a `WITH`.
    With,
    /// `TRUNCATE`
    Truncate,
    /// `COPY … FROM STDIN`; the input follows the first line.
    Copy,
    /// Several statements in a block of the procedural language, some of which may fail unnoticed.
    Block,
    /// `UPDATE … WHERE CURRENT OF`
    Cursor,
}

/// A change of a table's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// `ADD COLUMN`
    AddColumn,
    /// `RENAME COLUMN`
    RenameColumn,
    /// `RENAME TO`
    RenameTable,
    /// `DROP COLUMN`
    DropColumn,
    /// A column of numbers becomes one of texts.
    ChangeType,
    /// The table is dropped, and a new one like it takes its place in the same transaction.
    Recreate,
    /// Two columns exchange their names.
    SwapNames,
}

/// One kind of database, as far as the generators care.
#[derive(Debug)]
pub struct Flavour {
    /// Types of columns.
    pub types: &'static [Declared],
    /// Whether a column may hold values of another type than declared, and tables may be declared `STRICT`. Where it may not, also
    /// expressions must have the type of the column.
    pub loose: bool,
    /// Whether a primary key may be `NULL` unless forbidden, and tables may be `WITHOUT ROWID`.
    pub rowid_tables: bool,
    /// Statements to execute before the first table is created.
    pub preamble: &'static [&'static str],
    /// Schemas that tables are created in; the empty one stands for a database without schemas.
    pub schemas: &'static [&'static str],
    /// Forms of keys, with their weights.
    pub keys: &'static [(usize, KeyForm)],
    /// Forms of tables, with their weights.
    pub tables: &'static [(usize, TableForm)],
    /// Forms of statements, with their weights.
    pub statements: &'static [(usize, Form)],
    /// Schema changes.
    pub alterations: &'static [Alteration],
    /// Literals for a column of a kind, other than whole numbers, texts and mixtures.
    pub literals: fn(Kind) -> &'static [&'static str],
    /// A literal for a key of a kind that no other statement uses.
    pub between: fn(Kind) -> &'static str,
    /// Words between `INSERT` or `UPDATE` and the table, each ending in a space, that say what to do about conflicts; the
    /// empty word is one of them.
    pub conflict_clauses: &'static [&'static str],
    /// Clauses after a `UNIQUE`, `PRIMARY KEY` or `NOT NULL` constraint that say the same; the empty one is one of them.
    pub constraint_clauses: &'static [&'static str],
    /// Whether an insert may have several upsert clauses.
    pub chained_upserts: bool,
    /// Collations for text, as they follow the type.
    pub collations: &'static [&'static str],
    /// Refusals that the database is known to forget sometimes, for reasons that have nothing to do with the data.
    pub overlooked: &'static [i64],
    /// Refusals that depend on more than the data, so that either of two databases may be the only one to refuse.
    pub fickle: &'static [i64],
    /// The refusal of a statement that would have to wait for another transaction.
    pub blocked: Option<i64>,
    /// Whether a column cannot be dropped while a trigger names it.
    pub triggers_pin_columns: bool,
    /// Whether a schema change can end the links of other tables, or of the same one if nothing came of it.
    pub changes_spread: bool,
    /// Whether application triggers call functions, as opposed to containing their statements.
    pub trigger_functions: bool,
    /// Whether several programs can have transactions open in which they have written.
    pub many_writers: bool,
    /// Whether a transaction can be prepared, and ended later by another program.
    pub prepared_transactions: bool,
    /// Whether a refused statement makes its transaction refuse everything but its end.
    pub refusal_fails_transaction: bool,
    /// How to begin a transaction.
    pub begin: &'static [&'static str],
    /// How to begin a transaction that will write, when others do so at the same time.
    pub begin_write: &'static str,
    /// Statements that reorganise the database, or a table `{}`, without changing a row.
    pub maintenance: &'static [&'static str],
    /// How to write `position of the second text in the first, from one, zero if absent`.
    pub position_function: &'static str,
    /// Appended to a text comparison so that every difference counts.
    pub exact_collation: &'static str,
    /// A further condition, with `{}` for the column, under which a value in a column of numbers is a number at all; empty
    /// where every value is. What is no number is neither larger nor smaller than one.
    pub number_condition: &'static str,
    /// A column as an argument of text functions, with `{0}` for the column: `NULL` where the value is no text.
    pub text_argument: &'static str,
    /// A random number from 1 to 12, another one whenever it is computed.
    pub random_number: &'static str,
    /// How many programs use the database.
    pub outside_programs: usize,
}
