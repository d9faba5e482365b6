//! PostgreSQL.

use super::{Alteration, Declared, Flavour, Form, KeyForm, Kind, TableForm, strict};

/// PostgreSQL 15 and later.
pub static POSTGRES: Flavour = FLAVOUR;

/// PostgreSQL before 15.
pub static POSTGRES_WITHOUT_MERGE: Flavour = Flavour {
    statements: &[
        (14, Form::Insert),
        (12, Form::Update),
        (5, Form::Delete),
        (3, Form::InsertSelect),
        (3, Form::UpdateFrom),
        (2, Form::SwapKeys),
        (4, Form::With),
        (1, Form::Truncate),
        (2, Form::Copy),
        (3, Form::Block),
        (1, Form::Cursor),
    ],
    ..FLAVOUR
};

/// The former without tables that a standby does not have.
pub static POSTGRES_LOGGED: Flavour = Flavour {
    tables: &[
        (10, TableForm::Plain),
        (4, TableForm::Partitioned),
        (3, TableForm::Inheriting),
    ],
    ..FLAVOUR
};

const FLAVOUR: Flavour = Flavour {
    types: &[
        strict("smallint", Kind::Int),
        strict("integer", Kind::Int),
        strict("integer", Kind::Int),
        strict("bigint", Kind::Int),
        strict("public.small", Kind::Int),
        strict("real", Kind::Real),
        strict("double precision", Kind::Real),
        strict("numeric", Kind::Decimal),
        strict("numeric(10,2)", Kind::Decimal),
        strict("boolean", Kind::Bool),
        strict("text", Kind::Text),
        strict("text", Kind::Text),
        strict("varchar(20)", Kind::Text),
        strict("public.word", Kind::Text),
        strict("bytea", Kind::Blob),
        strict("date", Kind::Date),
        strict("timestamp", Kind::Timestamp),
        strict("timestamptz", Kind::Timestamp),
        strict("timestamptz(3)", Kind::Timestamp),
        strict("time", Kind::Time),
        strict("interval", Kind::Interval),
        strict("uuid", Kind::Guid),
        strict("public.mood", Kind::Enum),
        strict("jsonb", Kind::Json),
        Declared {
            sql: "json",
            kind: Kind::Json,
            strict: true,
            comparable: false,
        },
        strict("int8range", Kind::Range),
        strict("integer[]", Kind::Array),
    ],
    loose: false,
    rowid_tables: false,
    preamble: &[
        "CREATE SCHEMA \"Other Schema\"",
        "CREATE TYPE public.mood AS ENUM ('sad', 'fine', 'Happy', 'very happy')",
        "CREATE DOMAIN public.small AS integer CHECK (VALUE < 1000)",
        "CREATE DOMAIN public.word AS text",
        "CREATE COLLATION public.alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    ],
    schemas: &["public", "public", "public", "Other Schema"],
    keys: &[
        (2, KeyForm::Integer),
        (3, KeyForm::Single(Kind::Int)),
        (3, KeyForm::Single(Kind::Text)),
        (2, KeyForm::Autoincrement),
        (1, KeyForm::AlwaysMade),
        (4, KeyForm::Composite),
        (2, KeyForm::UniqueOnly),
        (6, KeyForm::AnyType),
    ],
    tables: &[
        (10, TableForm::Plain),
        (2, TableForm::Unlogged),
        (4, TableForm::Partitioned),
        (3, TableForm::Inheriting),
    ],
    statements: &[
        (14, Form::Insert),
        (12, Form::Update),
        (5, Form::Delete),
        (3, Form::InsertSelect),
        (3, Form::UpdateFrom),
        (2, Form::SwapKeys),
        (4, Form::Merge),
        (4, Form::With),
        (1, Form::Truncate),
        (2, Form::Copy),
        (3, Form::Block),
        (1, Form::Cursor),
    ],
    alterations: &[
        Alteration::AddColumn,
        Alteration::RenameColumn,
        Alteration::RenameTable,
        Alteration::DropColumn,
        Alteration::ChangeType,
        Alteration::Recreate,
        Alteration::SwapNames,
    ],
    literals,
    between: |kind| match kind {
        Kind::Int | Kind::Real | Kind::Decimal => "-77",
        Kind::Bool => "TRUE",
        Kind::Text => "'between'",
        Kind::Blob => "'\\xdeadbeef'",
        Kind::Date | Kind::Timestamp => "'1970-01-01'",
        Kind::Time => "'01:01'",
        Kind::Interval => "'77 hours'",
        Kind::Guid => "'77777777-7777-7777-7777-777777777777'",
        Kind::Enum => "'very happy'",
        Kind::Json => "'\"between\"'",
        Kind::Range => "'[77,78)'",
        Kind::Array => "'{77}'",
        Kind::Any => "NULL",
    },
    conflict_clauses: &[""],
    constraint_clauses: &[""],
    chained_upserts: false,
    collations: &["", "", "", " COLLATE \"C\"", " COLLATE public.alike"],
    overlooked: &[],
    // serialization_failure: which of several transactions has to give way depends on what else they look at, so on capture too.
    fickle: &[code("40001")],
    // lock_not_available
    blocked: Some(code("55P03")),
    triggers_pin_columns: false,
    changes_spread: false,
    trigger_functions: true,
    many_writers: true,
    prepared_transactions: true,
    refusal_fails_transaction: true,
    begin: &[
        "BEGIN",
        "BEGIN",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
    ],
    begin_write: "BEGIN",
    maintenance: &[
        "VACUUM {}",
        "VACUUM FULL {}",
        "ANALYZE {}",
        "REINDEX TABLE {}",
        "CHECKPOINT",
    ],
    position_function: "strpos",
    exact_collation: " COLLATE \"C\"",
    // PostgreSQL puts NaN above all numbers; OData, as IEEE 754, nowhere.
    number_condition: " AND CAST({} AS text) <> 'NaN'",
    text_argument: "(CAST({0} AS text) COLLATE \"C\")",
    random_number: "(1 + floor(12 * random())::integer)",
    outside_programs: 7,
};

/// A number for a `SQLSTATE`.
pub(crate) const fn code(sqlstate: &str) -> i64 {
    let mut number = 0;
    let mut rest = sqlstate.as_bytes();
    while let [first, others @ ..] = rest {
        number = number << 8 | *first as i64;
        rest = others;
    }
    number
}

/// No two literals of a pool are equal and yet look different: numbers such as 1.5 and 1.50 are left to the tests of single types.
fn literals(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Real => &[
            "0.5",
            "1.5",
            "-2.25",
            "0.1",
            "3.0",
            "1e30",
            "4.25e-7",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
        ],
        Kind::Decimal => &[
            "1",
            "2",
            "1.5",
            "0.25",
            "19.99",
            "-3.75",
            "100",
            "'NaN'",
            "12345678.5",
        ],
        Kind::Bool => &["TRUE", "FALSE"],
        Kind::Blob => &["'\\x'", "'\\x00'", "'\\x01ff'", "'\\xfbff'", "'\\x61'"],
        Kind::Date => &[
            "'2024-02-29'",
            "'1999-12-31'",
            "'2000-01-01'",
            "'0001-01-01'",
            "'infinity'",
            "'0044-03-15 BC'",
            "'12024-01-01'",
        ],
        Kind::Timestamp => &[
            "'2024-02-29 12:00:00Z'",
            "'2024-02-29 12:00:00.25Z'",
            "'1999-12-31 23:59:59.999999Z'",
            "'2024-06-01 08:30:00+02:00'",
            "'2024-02-29'",
            "'-infinity'",
            "'0044-03-15 12:00:00Z BC'",
        ],
        Kind::Time => &["'08:30:00'", "'23:59:59.5'", "'12:00'", "'24:00:00'"],
        Kind::Interval => &[
            "'1 day 02:03:04.5'",
            "'26 hours'",
            "'-00:00:01'",
            "'1 month 2 days'",
            "'0'",
        ],
        Kind::Guid => &[
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "'00000000-0000-0000-0000-000000000000'",
            "'6f9619ff-8b86-d011-b42d-00c04fc96400'",
        ],
        Kind::Enum => &["'sad'", "'fine'", "'Happy'"],
        Kind::Json => &[
            "'1'",
            "'{\"a\": [1, \"x/y\"]}'",
            "'null'",
            "'[]'",
            "'\"日本\"'",
        ],
        Kind::Range => &["'[1,5)'", "'empty'", "'[3,)'", "'(,)'"],
        Kind::Array => &["'{}'", "'{1,2}'", "'{NULL}'", "'{{1,2},{3,4}}'"],
        Kind::Int | Kind::Text | Kind::Any => &[],
    }
}
