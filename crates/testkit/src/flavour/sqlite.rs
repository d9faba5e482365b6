//! SQLite.

use super::{Alteration, Flavour, Form, KeyForm, Kind, TableForm, declared, strict};

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
        strict("ANY", Kind::Any),
    ],
    loose: true,
    rowid_tables: true,
    preamble: &[],
    schemas: &[""],
    keys: &[
        (2, KeyForm::Integer),
        (3, KeyForm::Single(Kind::Int)),
        (4, KeyForm::Single(Kind::Text)),
        (1, KeyForm::Single(Kind::Blob)),
        (4, KeyForm::Composite),
        (2, KeyForm::UniqueOnly),
        (1, KeyForm::Single(Kind::Any)),
        (1, KeyForm::Single(Kind::Real)),
        (2, KeyForm::Autoincrement),
        (1, KeyForm::DescendingInteger),
    ],
    tables: &[(1, TableForm::Plain)],
    statements: &[
        (14, Form::Insert),
        (12, Form::Update),
        (5, Form::Delete),
        (3, Form::InsertSelect),
        (3, Form::UpdateFrom),
        (2, Form::SwapKeys),
        (2, Form::SetRowid),
    ],
    alterations: &[
        Alteration::AddColumn,
        Alteration::RenameColumn,
        Alteration::RenameTable,
        Alteration::DropColumn,
    ],
    literals,
    between: |kind| match kind {
        Kind::Blob => "x'deadbeef'",
        Kind::Text => "'between'",
        _ => "-77",
    },
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
    chained_upserts: true,
    collations: &["", "", "", " COLLATE NOCASE", " COLLATE RTRIM"],
    // SQLITE_CONSTRAINT_FOREIGNKEY: SQLite (3.54) stores a reference of a table to itself that has no parent, in an upsert or a
    // REPLACE, unless triggers make it take another way.
    overlooked: &[787],
    fickle: &[],
    blocked: None,
    triggers_pin_columns: true,
    // SQLite rewrites the triggers of others, and counts changes of its schema without saying what changed.
    changes_spread: true,
    trigger_functions: false,
    many_writers: false,
    prepared_transactions: false,
    refusal_fails_transaction: false,
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
    text_argument: "iif(typeof({0}) = 'text', {0}, NULL)",
    random_number: "(1 + abs(random() % 12))",
    outside_programs: 5,
};

fn literals(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Real => &[
            "0.5", "1.5", "-2.25", "0.1", "3.0", "1e300", "4.25e-7", "9e999", "1e21",
        ],
        Kind::Decimal => &["1", "2", "1.5", "0.25", "19.99", "-3.75", "100", "0.1"],
        Kind::Bool => &["TRUE", "FALSE"],
        Kind::Blob => &["x''", "x'00'", "x'01ff'", "x'fbff'", "x'61'"],
        Kind::Date => &[
            "'2024-02-29'",
            "'1999-12-31'",
            "'2000-01-01'",
            "'0001-01-01'",
        ],
        Kind::Timestamp => &[
            "'2024-02-29T12:00:00Z'",
            "'2024-02-29 12:00:00'",
            "'1999-12-31T23:59:59.999Z'",
            "'2024-06-01T08:30:00+02:00'",
            "'2024-02-29'",
        ],
        Kind::Time => &["'08:30:00'", "'23:59:59'", "'12:00'"],
        Kind::Guid => &[
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "'00000000-0000-0000-0000-000000000000'",
            "'6f9619ff-8b86-d011-b42d-00c04fc96400'",
        ],
        Kind::Int
        | Kind::Text
        | Kind::Any
        | Kind::Interval
        | Kind::Enum
        | Kind::Json
        | Kind::Range
        | Kind::Array => &[],
    }
}
