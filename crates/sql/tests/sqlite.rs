//! The SQL that the compiler writes for SQLite, as reviewed snapshots. Whether SQLite finds its rows through indexes is tested in the
//! crate of the store, where there is a database to ask.

use std::fmt::Write as _;

use highwater_core::query::{Arithmetic, Comparison, Function, Logical, Quantifier, Scope};
use highwater_core::{Catalog, Column, Error, Expr, OrderBy, Query, Relation, Table, Tracking};
use highwater_odata::{PrimitiveType as T, Value};
use highwater_sql::sqlite::{
    DeltaSpec, Driver, PageSpec, Sqlite, TableLayout, count, delta, last_key, page,
};
use highwater_sql::{Alias, Collation, Compiler, Param, RowImage, RowRef, Sql};

const ORDERS: usize = 0;
const LINES: usize = 1;

fn column(name: &str, ty: T) -> Column {
    Column {
        name: name.into(),
        ty,
        nullable: true,
        computed: false,
        has_default: false,
        scale: None,
    }
}

fn catalog() -> Catalog {
    Catalog {
        version: 1,
        tables: vec![
            Table {
                schema: None,
                name: "order \"s\"".into(),
                is_view: false,
                columns: vec![
                    column("id", T::Int64),
                    column("name", T::String),
                    column("placed", T::DateTimeOffset),
                    column("total", T::Decimal),
                    column("paid", T::Boolean),
                    column("ref", T::Guid),
                    column("code", T::String),
                ],
                key: vec![0],
                relations: vec![Relation {
                    target: LINES,
                    columns: vec![(0, 0)],
                    many: true,
                    inverse: 0,
                    owns_key: false,
                }],
                tracking: Tracking::Tracked { incarnation: 1 },
            },
            Table {
                schema: None,
                name: "lines".into(),
                is_view: false,
                columns: vec![
                    column("order", T::Int64),
                    column("nr", T::String),
                    column("qty", T::Int32),
                    column("gid", T::Guid),
                ],
                key: vec![0, 1],
                relations: vec![Relation {
                    target: ORDERS,
                    columns: vec![(0, 0)],
                    many: false,
                    inverse: 0,
                    owns_key: true,
                }],
                tracking: Tracking::Tracked { incarnation: 1 },
            },
        ],
    }
}

fn layouts() -> Vec<TableLayout> {
    let mut orders = vec![Collation::Binary; 7];
    orders[6] = Collation::Coarser("NOCASE");
    vec![
        TableLayout {
            history: Some(7),
            collations: orders,
            nullable_key: vec![],
        },
        TableLayout {
            history: Some(8),
            collations: vec![
                Collation::Binary,
                Collation::Coarser("NOCASE"),
                Collation::Binary,
                Collation::Binary,
            ],
            nullable_key: vec![1],
        },
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

fn or(left: Expr, right: Expr) -> Expr {
    Expr::Logical(Logical::Or, Box::new(left), Box::new(right))
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

fn of_order(then: Expr) -> Expr {
    Expr::Related {
        from: Scope::ROOT,
        table: LINES,
        relation: 0,
        scope: Scope(3),
        then: Box::new(then),
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

fn predicate(table: usize, expr: &Expr, as_of: Option<i64>) -> Result<String, String> {
    let catalog = catalog();
    let layouts = layouts();
    let flavour = Sqlite {
        catalog: &catalog,
        layouts: &layouts,
        as_of,
    };
    let row = RowRef {
        table,
        alias: Alias::Named("t"),
        image: RowImage::Table,
    };
    let mut sql = Sql::new('?');
    Compiler::new(&flavour, &catalog, row)
        .predicate(&mut sql, expr)
        .map_err(|error| error.to_string())?;
    let (text, params) = sql.finish().map_err(|error| error.to_string())?;
    Ok(format!("{text}\n    {}", show(&params)))
}

fn show(params: &[Param]) -> String {
    let shown: Vec<String> = params.iter().map(|param| format!("{param:?}")).collect();
    shown.join(" · ")
}

#[test]
fn expressions() {
    use Comparison::{Ge, Gt, Le, Lt, Ne};
    let mut out = String::new();
    let mut check = |title: &str, expr: Expr| {
        let sql = predicate(ORDERS, &expr, None).unwrap_or_else(|error| format!("! {error}"));
        writeln!(out, "{title}\n    {sql}").unwrap();
    };
    check("name eq 'O''Neil'", eq(col("name"), text("O'Neil")));
    check("not (name eq 'x')", not(eq(col("name"), text("x"))));
    check("name eq null", eq(col("name"), lit(Value::Null)));
    check("null ne name", cmp(lit(Value::Null), Ne, col("name")));
    check("name ne 'x'", cmp(col("name"), Ne, text("x")));
    check("name eq code", eq(col("name"), col("code")));
    check("code eq 'x' (NOCASE)", eq(col("code"), text("x")));
    check("not (code eq 'x')", not(eq(col("code"), text("x"))));
    check("code lt 'x'", cmp(col("code"), Lt, text("x")));
    check(
        "total gt 19.99",
        cmp(col("total"), Gt, lex(T::Decimal, "19.99")),
    );
    check("not (total ge 5)", not(cmp(col("total"), Ge, int(5))));
    check("5 lt total", cmp(int(5), Lt, col("total")));
    check("total le null", cmp(col("total"), Le, lit(Value::Null)));
    check(
        "total eq 0.1234567890123456789",
        eq(col("total"), lex(T::Decimal, "0.1234567890123456789")),
    );
    check("id eq NaN", eq(col("id"), lit(Value::Double(f64::NAN))));
    check("paid", col("paid"));
    check("not paid", not(col("paid")));
    check("paid eq true", eq(col("paid"), lit(Value::Boolean(true))));
    check(
        "placed eq 2024-05-01T10:00:00Z",
        eq(
            col("placed"),
            lex(T::DateTimeOffset, "2024-05-01T10:00:00Z"),
        ),
    );
    check(
        "placed gt 2024-05-01T10:00:00+02:00",
        cmp(
            col("placed"),
            Gt,
            lex(T::DateTimeOffset, "2024-05-01T10:00:00+02:00"),
        ),
    );
    check(
        "placed lt 12024-05-01T10:00:00Z",
        cmp(
            col("placed"),
            Lt,
            lex(T::DateTimeOffset, "12024-05-01T10:00:00Z"),
        ),
    );
    check(
        "ref eq 0A…",
        eq(
            col("ref"),
            lex(T::Guid, "0A000000-0000-0000-0000-00000000000F"),
        ),
    );
    check(
        "id in (1,2,3)",
        Expr::In(Box::new(col("id")), vec![int(1), int(2), int(3)]),
    );
    check(
        "not (code in ('a',null))",
        not(Expr::In(
            Box::new(col("code")),
            vec![text("a"), lit(Value::Null)],
        )),
    );
    check(
        "id in (1,id)",
        Expr::In(Box::new(col("id")), vec![int(1), col("id")]),
    );
    check("id in ()", Expr::In(Box::new(col("id")), vec![]));
    check(
        "a or b or c or d or e",
        (1..5).fold(eq(col("id"), int(0)), |chain, n| {
            or(chain, eq(col("id"), int(n)))
        }),
    );
    check(
        "id add 1 mul 2 eq 4",
        eq(
            math(
                col("id"),
                Arithmetic::Add,
                math(int(1), Arithmetic::Mul, int(2), T::Int64),
                T::Int64,
            ),
            int(4),
        ),
    );
    check(
        "total div 3 gt id div 3",
        cmp(
            math(col("total"), Arithmetic::Div, int(3), T::Decimal),
            Gt,
            math(col("id"), Arithmetic::Div, int(3), T::Int64),
        ),
    );
    check(
        "total mod 3 eq id mod 3",
        eq(
            math(col("total"), Arithmetic::Mod, int(3), T::Decimal),
            math(col("id"), Arithmetic::Mod, int(3), T::Int64),
        ),
    );
    check(
        "placed add duration'PT1H' gt placed",
        cmp(
            math(
                col("placed"),
                Arithmetic::Add,
                lex(T::Duration, "PT1H"),
                T::DateTimeOffset,
            ),
            Gt,
            col("placed"),
        ),
    );
    check(
        "name add 1",
        eq(math(col("name"), Arithmetic::Add, int(1), T::Int64), int(1)),
    );
    check(
        "contains(tolower(name),'é')",
        call(
            Function::Contains,
            vec![
                call(Function::ToLower, vec![col("name")], T::String),
                text("é"),
            ],
            T::Boolean,
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
        "cast(id,Edm.String) eq '1'",
        eq(call(Function::Cast, vec![col("id")], T::String), text("1")),
    );
    check(
        "matchesPattern(name,'^a+$')",
        call(
            Function::MatchesPattern,
            vec![col("name"), text("^a+$")],
            T::Boolean,
        ),
    );
    check(
        "matchesPattern(name,'(?=a)')",
        call(
            Function::MatchesPattern,
            vec![col("name"), text("(?=a)")],
            T::Boolean,
        ),
    );
    for (pattern, is_supported) in [
        ("(", true),
        ("a{100}{100}{100}", true),
        (r"(a)\1", false),
        ("(?<!a)b", false),
    ] {
        let error = highwater_sql::sqlite::pattern(pattern).unwrap_err();
        let is_invalid = matches!(error, Error::InvalidQuery(_));
        assert_eq!(is_invalid, is_supported, "{pattern}: {error}");
    }
    check(
        "case(paid:1,true:2) eq 2",
        eq(
            call(
                Function::Case,
                vec![col("paid"), int(1), lit(Value::Boolean(true)), int(2)],
                T::Int64,
            ),
            int(2),
        ),
    );
    check("lines/any()", over_lines(Quantifier::Any, None));
    let qty = cmp(in_scope(Scope(1), LINES, "qty"), Gt, int(3));
    check(
        "lines/any(l:l/qty gt 3)",
        over_lines(Quantifier::Any, Some(qty.clone())),
    );
    check(
        "lines/all(l:l/qty gt 3)",
        over_lines(Quantifier::All, Some(qty)),
    );
    check(
        "lines/$count ge 2",
        cmp(over_lines(Quantifier::Count, None), Ge, int(2)),
    );
    insta::assert_snapshot!(out);
}

#[test]
fn related_rows_are_read_at_the_snapshot() {
    use Comparison::Gt;
    let mut out = String::new();
    let mut check = |title: &str, table, expr: Expr, as_of| {
        let sql = predicate(table, &expr, as_of).unwrap();
        writeln!(out, "{title}\n    {sql}").unwrap();
    };
    let total = || in_scope(Scope(3), ORDERS, "total");
    check(
        "lines: order/total gt 1",
        LINES,
        cmp(of_order(total()), Gt, int(1)),
        None,
    );
    check(
        "lines: order/(total gt 1)",
        LINES,
        of_order(cmp(total(), Gt, int(1))),
        Some(42),
    );
    check(
        "orders: lines/any(l:l/qty gt 3)",
        ORDERS,
        over_lines(
            Quantifier::Any,
            Some(cmp(in_scope(Scope(1), LINES, "qty"), Gt, int(3))),
        ),
        Some(42),
    );
    check(
        "lines: key by id",
        LINES,
        eq(
            in_scope(Scope::ROOT, LINES, "gid"),
            lex(T::Guid, "0A000000-0000-0000-0000-00000000000F"),
        ),
        None,
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
        writeln!(out, "{title}\n    {text}\n    {}", show(&params)).unwrap();
    };
    let flavour = |as_of| Sqlite {
        catalog: &catalog,
        layouts: &layouts,
        as_of,
    };
    let plain = query(ORDERS, Some(eq(col("name"), text("x"))));
    let spec = PageSpec {
        query: &plain,
        columns: &[0, 1, 6],
        parent: None,
        after: None,
        upto: None,
        offset: 0,
        limit: 3,
        driver: Driver::Any,
    };
    check("first page", page(&flavour(None), &spec));
    let after = [Param::Value(Value::Integer(5))];
    let next = PageSpec {
        after: Some(&after),
        ..spec
    };
    check("next page", page(&flavour(None), &next));
    check(
        "next page, few later changes",
        page(
            &flavour(Some(42)),
            &PageSpec {
                driver: Driver::Recent,
                ..next
            },
        ),
    );
    check(
        "bound of the next page",
        last_key(&flavour(Some(42)), &next),
    );
    let upto = [Param::Value(Value::Integer(9))];
    check(
        "next page, many later changes",
        page(
            &flavour(Some(42)),
            &PageSpec {
                driver: Driver::Keys,
                upto: Some(&upto),
                ..next
            },
        ),
    );
    let mut ordered = plain.clone();
    ordered.order = vec![
        OrderBy {
            expr: col("placed"),
            descending: true,
        },
        OrderBy {
            expr: col("code"),
            descending: false,
        },
    ];
    let after = [
        Param::Value(Value::String("2024".into())),
        Param::Value(Value::Null),
        Param::Value(Value::Integer(5)),
    ];
    check(
        "$orderby",
        page(
            &flavour(None),
            &PageSpec {
                query: &ordered,
                after: Some(&after),
                offset: 10,
                ..spec
            },
        ),
    );
    let lines = query(LINES, None);
    let after = [
        Param::Value(Value::Integer(5)),
        Param::Value(Value::String("a".into())),
    ];
    check(
        "composite key",
        page(
            &flavour(None),
            &PageSpec {
                query: &lines,
                columns: &[0, 1, 2],
                after: Some(&after),
                ..spec
            },
        ),
    );
    let to_lines = &catalog.tables[ORDERS].relations[0];
    let to_order = &catalog.tables[LINES].relations[0];
    check(
        "expansion, many",
        page(
            &flavour(None),
            &PageSpec {
                query: &lines,
                columns: &[0, 1, 2],
                parent: Some(to_lines),
                ..spec
            },
        ),
    );
    check(
        "expansion, one",
        page(
            &flavour(None),
            &PageSpec {
                parent: Some(to_order),
                limit: 1,
                ..spec
            },
        ),
    );
    check("count", count(&flavour(None), &plain, None));
    check(
        "count of an expansion",
        count(&flavour(Some(42)), &lines, Some(to_lines)),
    );
    let changes = DeltaSpec {
        query: &plain,
        columns: &[0, 1],
        lo: 10,
        hi: 42,
        after: 20,
    };
    check("changes up to now", delta(&flavour(None), &changes));
    check(
        "changes up to a snapshot",
        delta(&flavour(Some(42)), &changes),
    );
    check(
        "changes, composite key with NOCASE",
        delta(
            &flavour(None),
            &DeltaSpec {
                query: &lines,
                ..changes
            },
        ),
    );
    insta::assert_snapshot!(out);
}

#[test]
fn a_chain_of_any_length_is_shallow() {
    let chain = (1..5000).fold(eq(col("id"), int(0)), |chain, n| {
        or(chain, eq(col("id"), int(n)))
    });
    let sql = predicate(ORDERS, &chain, None).unwrap();
    let mut depth = 0i32;
    let mut deepest = 0;
    for byte in sql.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    assert!(deepest < 20, "{deepest}");
}

#[test]
fn too_many_values_are_refused() {
    let list = (0..40_000).map(int).collect();
    let error = predicate(ORDERS, &Expr::In(Box::new(col("id")), list), None).unwrap_err();
    assert!(error.contains("at most 32766"), "{error}");
}
