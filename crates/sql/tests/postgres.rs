//! The SQL that the compiler writes for PostgreSQL, as reviewed snapshots. What it answers is tested in the crate of the store, where there
//! is a database to ask.

use std::fmt::Write as _;

use highwater_core::query::{Arithmetic, Comparison, Function, Quantifier, Scope};
use highwater_core::{Catalog, Column, Expr, OrderBy, Query, Relation, Table, Tracking};
use highwater_odata::{PrimitiveType as T, Value};
use highwater_sql::postgres::{
    ColumnLayout, DeltaSpec, Driver, Family, PageSpec, Postgres, RelatedSpec, TableLayout, Visible,
    count, delta, page, related, related_count,
};
use highwater_sql::{Alias, Compiler, Flavour as _, Param, RowImage, RowRef};

const ORDERS: usize = 0;
const LINES: usize = 1;

type ColumnOf = (&'static str, T, &'static str, Family, bool);

const ORDER_COLUMNS: &[ColumnOf] = &[
    ("id", T::Int64, "int8", Family::Integer, false),
    ("na\"me", T::String, "text", Family::Text, false),
    ("total", T::Decimal, "numeric", Family::Numeric, true),
    ("weight", T::Single, "float4", Family::Float, false),
    ("rate", T::Double, "float8", Family::Float, false),
    ("paid", T::Boolean, "bool", Family::Boolean, false),
    ("ref", T::Guid, "uuid", Family::Uuid, false),
    ("due", T::Date, "date", Family::Date, false),
    (
        "placed",
        T::DateTimeOffset,
        "timestamptz",
        Family::TimestampTz,
        false,
    ),
    (
        "local",
        T::DateTimeOffset,
        "timestamp",
        Family::Timestamp,
        false,
    ),
    ("took", T::Duration, "interval", Family::Interval, false),
    ("mood", T::String, "mood", Family::Other, false),
    ("code", T::String, "citext", Family::Other, true),
    ("loose", T::String, "text", Family::Text, true),
    ("scan", T::Binary, "bytea", Family::Bytea, false),
];

const LINE_COLUMNS: &[ColumnOf] = &[
    ("order", T::Int64, "int8", Family::Integer, false),
    ("nr", T::String, "text", Family::Text, false),
    ("qty", T::Int32, "int4", Family::Integer, false),
];

fn table(name: &str, columns: &[ColumnOf], key: Vec<usize>, relation: Relation) -> Table {
    let columns = columns
        .iter()
        .enumerate()
        .map(|(position, column)| Column {
            name: column.0.into(),
            ty: column.1,
            nullable: !key.contains(&position),
            computed: false,
            has_default: false,
            scale: None,
        })
        .collect();
    Table {
        schema: Some("s".into()),
        name: name.into(),
        is_view: false,
        columns,
        key,
        relations: vec![relation],
        tracking: Tracking::Tracked { incarnation: 1 },
    }
}

fn catalog() -> Catalog {
    let to_lines = Relation {
        target: LINES,
        columns: vec![(0, 0)],
        many: true,
        inverse: 0,
        owns_key: false,
    };
    let to_order = Relation {
        target: ORDERS,
        columns: vec![(0, 0)],
        many: false,
        inverse: 0,
        owns_key: true,
    };
    Catalog {
        version: 1,
        tables: vec![
            table("Orders", ORDER_COLUMNS, vec![0], to_lines),
            table("lines", LINE_COLUMNS, vec![0, 1], to_order),
        ],
    }
}

fn layouts() -> Vec<TableLayout> {
    let layout = |history, only, columns: &[ColumnOf]| TableLayout {
        history: Some(history),
        only,
        columns: columns
            .iter()
            .map(|column| ColumnLayout {
                ty: format!("\"pg_catalog\".\"{}\"", column.2),
                family: column.3,
                coarse: column.4,
                operators: None,
            })
            .collect(),
    };
    vec![
        layout(7, false, ORDER_COLUMNS),
        layout(8, true, LINE_COLUMNS),
    ]
}

fn col(name: &str) -> Expr {
    in_scope(Scope::ROOT, ORDERS, name)
}

fn in_scope(scope: Scope, table: usize, name: &str) -> Expr {
    let table = &catalog().tables[table];
    let column = table.column(name).expect("the column exists");
    Expr::Column {
        scope,
        column,
        ty: table.columns[column].ty,
    }
}

fn lit(value: Value) -> Expr {
    Expr::Literal(value)
}

fn int(value: i64) -> Expr {
    lit(Value::Integer(value))
}

fn float(value: f64) -> Expr {
    lit(Value::Double(value))
}

fn text(value: &str) -> Expr {
    lit(Value::String(value.into()))
}

fn lex(ty: T, value: &str) -> Expr {
    lit(Value::Lexical(ty, value.into()))
}

fn cmp(left: Expr, operator: Comparison, right: Expr) -> Expr {
    Expr::Compare(operator, Box::new(left), Box::new(right))
}

fn eq(left: Expr, right: Expr) -> Expr {
    cmp(left, Comparison::Eq, right)
}

fn not(operand: Expr) -> Expr {
    Expr::Not(Box::new(operand))
}

fn is_in(operand: Expr, list: Vec<Expr>) -> Expr {
    Expr::In(Box::new(operand), list)
}

fn call(function: Function, arguments: Vec<Expr>, ty: T) -> Expr {
    Expr::Call(function, arguments, ty)
}

fn math(left: Expr, operator: Arithmetic, right: Expr, ty: T) -> Expr {
    Expr::Arithmetic(operator, Box::new(left), Box::new(right), ty)
}

fn over_lines(quantifier: Quantifier, predicate: Option<Expr>) -> Expr {
    Expr::Collection {
        quantifier,
        from: Scope::ROOT,
        table: ORDERS,
        relation: 0,
        scope: Scope(1),
        predicate: predicate.map(Box::new),
    }
}

fn query(table: usize, filter: Option<Expr>) -> Query {
    Query {
        table,
        columns: vec![],
        filter,
        order: vec![],
        skip: 0,
        top: None,
        expand: vec![],
        count: false,
        etag: false,
        volatile: false,
    }
}

fn predicate(expr: &Expr, image: RowImage) -> Result<String, String> {
    let catalog = catalog();
    let layouts = layouts();
    let flavour = Postgres {
        catalog: &catalog,
        layouts: &layouts,
        as_of: None,
        letters: None,
    };
    let row = RowRef {
        table: ORDERS,
        alias: Alias::Named("t"),
        image,
    };
    let mut sql = flavour.sql();
    Compiler::new(&flavour, &catalog, row)
        .predicate(&mut sql, expr)
        .map_err(|error| error.to_string())?;
    let (text, params) = sql.finish().map_err(|error| error.to_string())?;
    Ok(show(&text, &params))
}

/// The statement and its parameters. Parameters are sent as text of unknown type, so each has a cast: PostgreSQL would guess.
fn show(text: &str, params: &[Param]) -> String {
    for (at, _) in text.match_indices('$') {
        let rest = &text[at + 1..];
        let is_placeholder = rest.starts_with(|c: char| c.is_ascii_digit());
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        assert!(!is_placeholder || rest.starts_with("::"), "{text}");
    }
    let shown = params.iter().map(|param| match param {
        Param::Value(Value::Null) => "NULL".to_owned(),
        Param::Value(Value::Integer(number)) => number.to_string(),
        Param::Value(Value::String(text)) => format!("'{text}'"),
        other => format!("! {other:?}"),
    });
    let shown: Vec<String> = shown.collect();
    format!("{text}\n    {}", shown.join(" · "))
}

#[test]
fn comparisons() {
    use Comparison::{Ge, Gt, Le, Lt, Ne};
    let mut out = String::new();
    let mut check = |title: &str, expr: Expr| {
        let sql = predicate(&expr, RowImage::Table).unwrap_or_else(|error| format!("! {error}"));
        writeln!(out, "{title}\n    {sql}").unwrap();
    };
    let name = || col("na\"me");
    check("name eq 'O''Neil'", eq(name(), text("O'Neil")));
    check("not (name eq 'x')", not(eq(name(), text("x"))));
    check("name eq null", eq(name(), lit(Value::Null)));
    check("name ne 'x'", cmp(name(), Ne, text("x")));
    check("name gt 'x'", cmp(name(), Gt, text("x")));
    check("name eq mood", eq(name(), col("mood")));
    check("mood eq 'sad'", eq(col("mood"), text("sad")));
    check("code eq 'x' (citext)", eq(col("code"), text("x")));
    check("not (code eq 'x')", not(eq(col("code"), text("x"))));
    check("loose eq 'x'", eq(col("loose"), text("x")));
    check("not (loose eq 'x')", not(eq(col("loose"), text("x"))));
    check("id eq 5", eq(col("id"), int(5)));
    check("5 lt id", cmp(int(5), Lt, col("id")));
    check("id eq 5.0", eq(col("id"), lex(T::Decimal, "5.0")));
    check("id lt 5.5", cmp(col("id"), Lt, lex(T::Decimal, "5.5")));
    check("id lt INF", cmp(col("id"), Lt, float(f64::INFINITY)));
    check("id eq NaN", eq(col("id"), float(f64::NAN)));
    check("id ne NaN", cmp(col("id"), Ne, float(f64::NAN)));
    check("id le null", cmp(col("id"), Le, lit(Value::Null)));
    check(
        "total gt 19.99",
        cmp(col("total"), Gt, lex(T::Decimal, "19.99")),
    );
    check("not (total ge 5)", not(cmp(col("total"), Ge, int(5))));
    check("total lt rate", cmp(col("total"), Lt, col("rate")));
    check("rate eq rate", eq(col("rate"), col("rate")));
    check(
        "rate lt 9007199254740993",
        cmp(col("rate"), Lt, int(9_007_199_254_740_993)),
    );
    check("weight eq 0.1", eq(col("weight"), float(0.1)));
    check("paid", col("paid"));
    check("not paid", not(col("paid")));
    check("paid eq true", eq(col("paid"), lit(Value::Boolean(true))));
    check(
        "ref eq 0A…",
        eq(
            col("ref"),
            lex(T::Guid, "0A000000-0000-0000-0000-00000000000F"),
        ),
    );
    let instant = |text| lex(T::DateTimeOffset, text);
    check(
        "placed ge 2024-05-01T10:00:00+02:00",
        cmp(col("placed"), Ge, instant("2024-05-01T10:00:00+02:00")),
    );
    check(
        "local eq 2024-05-01T10:00:00Z",
        eq(col("local"), instant("2024-05-01T10:00:00Z")),
    );
    check(
        "placed lt 2024-05-01T10:00:00.1234567Z",
        cmp(col("placed"), Lt, instant("2024-05-01T10:00:00.1234567Z")),
    );
    check(
        "placed eq 2024-05-01T10:00:00.1234567Z",
        eq(col("placed"), instant("2024-05-01T10:00:00.1234567Z")),
    );
    check("placed gt local", cmp(col("placed"), Gt, col("local")));
    check(
        "due gt 9999999-01-01",
        cmp(col("due"), Gt, lex(T::Date, "9999999-01-01")),
    );
    check("took gt P1D", cmp(col("took"), Gt, lex(T::Duration, "P1D")));
    check(
        "took gt P9999999999D",
        cmp(col("took"), Gt, lex(T::Duration, "P9999999999D")),
    );
    check(
        "scan eq 00ff",
        eq(col("scan"), lit(Value::Binary(vec![0, 255]))),
    );
    check(
        "id in (1,2.5,3)",
        is_in(col("id"), vec![int(1), lex(T::Decimal, "2.5"), int(3)]),
    );
    check(
        "not (name in ('a',null))",
        not(is_in(name(), vec![text("a"), lit(Value::Null)])),
    );
    check("id in (null)", is_in(col("id"), vec![lit(Value::Null)]));
    check("id in (1,id)", is_in(col("id"), vec![int(1), col("id")]));
    insta::assert_snapshot!(out);
}

#[test]
fn computations() {
    use Comparison::{Ge, Gt};
    let mut out = String::new();
    let mut check = |title: &str, expr: Expr| {
        let sql = predicate(&expr, RowImage::History).unwrap_or_else(|error| format!("! {error}"));
        writeln!(out, "{title}\n    {sql}").unwrap();
    };
    let name = || col("na\"me");
    check(
        "id add 1 eq 4",
        eq(math(col("id"), Arithmetic::Add, int(1), T::Int64), int(4)),
    );
    check(
        "id div 3 eq id mod 3",
        eq(
            math(col("id"), Arithmetic::Div, int(3), T::Int64),
            math(col("id"), Arithmetic::Mod, int(3), T::Int64),
        ),
    );
    check(
        "total divby rate gt 1",
        cmp(
            math(col("total"), Arithmetic::DivBy, col("rate"), T::Double),
            Gt,
            int(1),
        ),
    );
    check(
        "placed add duration'PT1H' gt local",
        cmp(
            math(
                col("placed"),
                Arithmetic::Add,
                lex(T::Duration, "PT1H"),
                T::DateTimeOffset,
            ),
            Gt,
            col("local"),
        ),
    );
    check(
        "due sub due eq duration'P1D'",
        eq(
            math(col("due"), Arithmetic::Sub, col("due"), T::Duration),
            lex(T::Duration, "P1D"),
        ),
    );
    check(
        "name add 1",
        eq(math(name(), Arithmetic::Add, int(1), T::Duration), int(1)),
    );
    let on_name = |function, argument| call(function, vec![name(), argument], T::Boolean);
    check("contains(name,'é')", on_name(Function::Contains, text("é")));
    check(
        "startswith(name,'é')",
        on_name(Function::StartsWith, text("é")),
    );
    check("endswith(name,'é')", on_name(Function::EndsWith, text("é")));
    check("$search=é", on_name(Function::SearchMatches, text("é")));
    check(
        "matchesPattern(name,'^a+\\.?$')",
        on_name(Function::MatchesPattern, text("^a+\\.?$")),
    );
    check(
        "matchesPattern(name,'(?=a)')",
        on_name(Function::MatchesPattern, text("(?=a)")),
    );
    check(
        "matchesPattern(name,name)",
        on_name(Function::MatchesPattern, name()),
    );
    check(
        "substring(mood,1) eq 'x'",
        eq(
            call(Function::Substring, vec![col("mood"), int(1)], T::String),
            text("x"),
        ),
    );
    check(
        "year(placed) eq 2024",
        eq(
            call(Function::Year, vec![col("placed")], T::Int32),
            int(2024),
        ),
    );
    check(
        "round(rate) eq 2",
        eq(call(Function::Round, vec![col("rate")], T::Double), int(2)),
    );
    check(
        "cast(name,Edm.Int32) eq 1",
        eq(call(Function::Cast, vec![name()], T::Int32), int(1)),
    );
    check(
        "cast(name,Edm.Date) eq 2024-01-01",
        eq(
            call(Function::Cast, vec![name()], T::Date),
            lex(T::Date, "2024-01-01"),
        ),
    );
    check(
        "case(paid:1,true:total) eq 2",
        eq(
            call(
                Function::Case,
                vec![col("paid"), int(1), lit(Value::Boolean(true)), col("total")],
                T::Decimal,
            ),
            int(2),
        ),
    );
    check(
        "lines/any(l:l/qty gt 3)",
        over_lines(
            Quantifier::Any,
            Some(cmp(in_scope(Scope(1), LINES, "qty"), Gt, int(3))),
        ),
    );
    check(
        "lines/all(l:l/qty gt 3)",
        over_lines(
            Quantifier::All,
            Some(cmp(in_scope(Scope(1), LINES, "qty"), Gt, int(3))),
        ),
    );
    check(
        "lines/$count ge 2",
        cmp(over_lines(Quantifier::Count, None), Ge, int(2)),
    );
    insta::assert_snapshot!(out);
}

#[test]
fn statements() {
    let catalog = catalog();
    let layouts = layouts();
    let mut out = String::new();
    let mut check = |title: &str, statement: Result<(String, Vec<Param>), _>| {
        let (text, params) = statement
            .map_err(|e: highwater_core::Error| e.to_string())
            .unwrap();
        writeln!(out, "{title}\n    {}", show(&text, &params)).unwrap();
    };
    let quiet = Visible {
        xmax: 100,
        xip: vec![],
    };
    let busy = Visible {
        xmax: 120,
        xip: vec![90, 105],
    };
    let flavour = |as_of| Postgres {
        catalog: &catalog,
        layouts: &layouts,
        as_of,
        letters: None,
    };
    let plain = query(ORDERS, Some(eq(col("na\"me"), text("x"))));
    let after = [Param::Value(Value::String("5".into()))];
    let spec = PageSpec {
        query: &plain,
        columns: &[0, 1, 11],
        after: Some(&after),
        offset: 0,
        limit: 3,
        driver: Driver::Recent,
        unless_changed_since: None,
    };
    check("page", page(&flavour(None), &spec));
    let hasty = PageSpec {
        unless_changed_since: Some(&busy),
        ..spec
    };
    check("page, unless changed", page(&flavour(None), &hasty));
    check(
        "page, few later changes",
        page(&flavour(Some(&quiet)), &spec),
    );
    check(
        "page, few later changes, transactions in progress",
        page(&flavour(Some(&busy)), &spec),
    );
    let by_keys = PageSpec {
        driver: Driver::Keys,
        ..spec
    };
    check(
        "page, many later changes",
        page(&flavour(Some(&quiet)), &by_keys),
    );
    let mut ordered = plain.clone();
    ordered.order = vec![
        OrderBy {
            expr: col("placed"),
            descending: true,
        },
        OrderBy {
            expr: col("mood"),
            descending: false,
        },
    ];
    let place = [
        Param::Value(Value::String("2024-05-01 10:00:00+00".into())),
        Param::Value(Value::Null),
        Param::Value(Value::String("5".into())),
    ];
    let in_order = PageSpec {
        query: &ordered,
        after: Some(&place),
        offset: 10,
        ..spec
    };
    check("$orderby", page(&flavour(None), &in_order));
    check(
        "$orderby, later changes",
        page(&flavour(Some(&quiet)), &in_order),
    );
    let lines = query(LINES, None);
    let place = ["5", "a"].map(|text| Param::Value(Value::String(text.into())));
    check(
        "composite key, text, many later changes",
        page(
            &flavour(Some(&quiet)),
            &PageSpec {
                query: &lines,
                columns: &[0, 1, 2],
                after: Some(&place),
                ..by_keys
            },
        ),
    );
    check("count", count(&flavour(None), &plain));
    check(
        "count, later changes",
        count(&flavour(Some(&quiet)), &lines),
    );
    let parents = [vec![Some("1".to_owned()), None, Some("3".to_owned())]];
    let nested = RelatedSpec {
        query: &lines,
        columns: &[0, 1, 2],
        relation: &catalog.tables[ORDERS].relations[0],
        parents: &parents,
        offset: 2,
        limit: 3,
    };
    check("related rows", related(&flavour(None), &nested));
    check(
        "number of related rows",
        related_count(&flavour(None), &nested),
    );
    check(
        "related rows, later changes",
        related(&flavour(Some(&quiet)), &nested),
    );
    check(
        "number of related rows, later changes",
        related_count(&flavour(Some(&quiet)), &nested),
    );
    let changes = DeltaSpec {
        query: &plain,
        columns: &[0, 11],
        lo: &quiet,
        hi: &busy,
        after: None,
        limit: 1000,
    };
    check("changes up to now", delta(&flavour(None), &changes));
    check(
        "changes up to a snapshot, next page",
        delta(
            &flavour(Some(&busy)),
            &DeltaSpec {
                after: Some((110, 7)),
                ..changes
            },
        ),
    );
    let late = Visible {
        xmax: 130,
        xip: vec![],
    };
    check(
        "changes of transactions that were in progress",
        delta(
            &flavour(None),
            &DeltaSpec {
                query: &lines,
                columns: &[0, 1],
                lo: &busy,
                hi: &late,
                ..changes
            },
        ),
    );
    check(
        "nothing",
        delta(
            &flavour(None),
            &DeltaSpec {
                hi: &quiet,
                ..changes
            },
        ),
    );
    insta::assert_snapshot!(out);
}

#[test]
fn too_many_values_are_refused() {
    let list = (0..70_000).map(int).collect();
    let error = predicate(&is_in(col("id"), list), RowImage::Table).unwrap_err();
    assert!(error.contains("at most 65535"), "{error}");
}
