//! Which SQL the generators may use on a kind of database.
//!
//! What must hold: the generators ask a [`Flavour`] and never the name of a product, so that a new store needs a new value
//! here and no new generator. What is deliberately absent: anything that all databases share.

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
    /// Universally unique ids.
    Guid,
    /// A mixture of everything.
    Any,
}

/// A type that a column can be declared with.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// As in `CREATE TABLE`; may be empty where a database allows that.
    pub sql: &'static str,
    /// What the column is filled with.
    pub kind: Kind,
    /// Whether a table of the strict sort may use it.
    pub strict: bool,
}

const fn declared(sql: &'static str, kind: Kind) -> Declared {
    Declared {
        sql,
        kind,
        strict: false,
    }
}

const fn strict(sql: &'static str, kind: Kind) -> Declared {
    Declared {
        sql,
        kind,
        strict: true,
    }
}

/// One kind of database, as far as the generators care.
#[derive(Debug)]
pub struct Flavour {
    /// Types of columns.
    pub types: &'static [Declared],
    /// Whether a column may hold values of another type than declared, and tables may be declared `STRICT`.
    pub loose: bool,
    /// Whether a primary key may be `NULL` unless forbidden, and tables may be `WITHOUT ROWID`.
    pub rowid_tables: bool,
    /// Words between `INSERT` or `UPDATE` and the table, each ending in a space, that say what to do about conflicts; the
    /// empty word is one of them.
    pub conflict_clauses: &'static [&'static str],
    /// Clauses after a `UNIQUE`, `PRIMARY KEY` or `NOT NULL` constraint that say the same; the empty one is one of them.
    pub constraint_clauses: &'static [&'static str],
    /// Collations for text, as they follow the type.
    pub collations: &'static [&'static str],
    /// Refusals that the database is known to forget sometimes, for reasons that have nothing to do with the data.
    pub overlooked: &'static [i64],
    /// Whether a column cannot be dropped while a trigger names it.
    pub triggers_pin_columns: bool,
    /// Whether application triggers are written in SQLite's form.
    pub inline_triggers: bool,
    /// How to begin a transaction.
    pub begin: &'static [&'static str],
    /// How to begin a transaction that will write, when others do so at the same time.
    pub begin_write: &'static str,
    /// Statements that reorganise the database without changing a row.
    pub maintenance: &'static [&'static str],
    /// How to write `position of the second text in the first, from one, zero if absent`.
    pub position_function: &'static str,
    /// Appended to a text comparison so that every difference counts.
    pub exact_collation: &'static str,
    /// A further condition, with `{}` for the column, under which a value in a column of numbers is a number at all; empty
    /// where every value is. What is no number is neither larger nor smaller than one.
    pub number_condition: &'static str,
    /// The same for texts, which are all that `$search` looks at.
    pub text_condition: &'static str,
    /// A column as an argument of text functions, with `{0}` for the column: `NULL` where the value is no text.
    pub text_argument: &'static str,
    /// A random number from 1 to 12, another one whenever it is computed.
    pub random_number: &'static str,
    /// How many programs use the database.
    pub outside_programs: usize,
}

/// SQLite.
pub static SQLITE: Flavour = Flavour {
    types: &[
        strict("INTEGER", Kind::Int),
        strict("INT", Kind::Int),
        declared("BIGINT", Kind::Int),
        declared("smallint", Kind::Int),
        strict("REAL", Kind::Real),
        declared("DOUBLE PRECISION", Kind::Real),
        declared("float", Kind::Real),
        strict("TEXT", Kind::Text),
        strict("TEXT", Kind::Text),
        declared("VARCHAR(20)", Kind::Text),
        declared("nvarchar(160)", Kind::Text),
        declared("CLOB", Kind::Text),
        strict("BLOB", Kind::Blob),
        declared("NUMERIC", Kind::Decimal),
        declared("NUMERIC(10,2)", Kind::Decimal),
        declared("DECIMAL(9,4)", Kind::Decimal),
        declared("BOOLEAN", Kind::Bool),
        declared("DATE", Kind::Date),
        declared("DATETIME", Kind::Timestamp),
        declared("TIMESTAMP", Kind::Timestamp),
        declared("TIME", Kind::Time),
        declared("UUID", Kind::Guid),
        declared("STRING", Kind::Any),
        declared("", Kind::Any),
        Declared {
            sql: "ANY",
            kind: Kind::Any,
            strict: true,
        },
    ],
    loose: true,
    rowid_tables: true,
    conflict_clauses: &[
        "",
        "",
        "",
        "OR REPLACE ",
        "OR REPLACE ",
        "OR IGNORE ",
        "OR ABORT ",
        "OR FAIL ",
        "OR ROLLBACK ",
    ],
    constraint_clauses: &[
        "",
        "",
        "",
        "",
        " ON CONFLICT REPLACE",
        " ON CONFLICT IGNORE",
        " ON CONFLICT FAIL",
        " ON CONFLICT ROLLBACK",
    ],
    collations: &["", "", "", " COLLATE NOCASE", " COLLATE RTRIM"],
    // SQLITE_CONSTRAINT_FOREIGNKEY: SQLite (3.54) stores a reference of a table to itself that has no parent, in an upsert or a
    // REPLACE, unless triggers make it take another way.
    overlooked: &[787],
    triggers_pin_columns: true,
    inline_triggers: true,
    // Without a write-ahead log, `BEGIN EXCLUSIVE` would lock readers out; with one, it is `BEGIN IMMEDIATE`.
    begin: &["BEGIN", "BEGIN IMMEDIATE"],
    begin_write: "BEGIN IMMEDIATE",
    maintenance: &[
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "ANALYZE",
        "REINDEX",
        "PRAGMA optimize",
    ],
    position_function: "instr",
    exact_collation: " COLLATE BINARY",
    number_condition: " AND typeof({}) IN ('integer', 'real')",
    text_condition: " AND typeof({}) = 'text'",
    text_argument: "iif(typeof({0}) = 'text', {0}, NULL)",
    random_number: "(1 + abs(random() % 12))",
    outside_programs: 5,
};
