//! Pages of a query: order, continuation, one snapshot, related rows.

use highwater_core::query::{Comparison, ExpandMode, Quantifier, Scope};
use highwater_core::store::PageLimit;
use highwater_core::{Error, Expr, Gone, Query, Snapshot};
use highwater_odata::{PrimitiveType as T, Value};

use crate::serving::{Served, asc, cmp, desc, int, lex, lit, rows, text};

/// However small the pages, the answer is the same.
fn check_pages(served: &Served, query: &Query, expected: &[&str]) {
    // Nested rows are limited like pages.
    let smallest = if query.expand.is_empty() { 1 } else { 2 };
    for page in [smallest, 2, 3, 4, 5, 100] {
        let (found, _) = served.read_all(query, page, || {});
        assert_eq!(found, expected, "{page} rows a page");
    }
}

#[test]
fn pages_in_key_order() {
    let served = Served::new(
        "CREATE TABLE i (id INTEGER PRIMARY KEY, v);
         INSERT INTO i VALUES (3,'c'),(-1,'m'),(1,'a'),(2,'b'),(9223372036854775807,'z');
         CREATE TABLE c (a TEXT, b INTEGER, v, PRIMARY KEY (b, a)) WITHOUT ROWID;
         INSERT INTO c VALUES ('x',1,1),('y',1,2),('x',0,3),('a''/%',1,4),('',2,5),('é',1,6);
         CREATE TABLE n (k TEXT PRIMARY KEY COLLATE NOCASE, v);
         INSERT INTO n VALUES ('b',1),('A',2),('C',3),('a ',4),(NULL,5),('ä',6);
         CREATE TABLE m (k PRIMARY KEY, v);
         INSERT INTO m VALUES ('10',1),(10,2),(9.5,3),(x'31',4),('',5),(NULL,6);",
    );
    check_pages(
        &served,
        &served.query("i"),
        &[
            "-1,'m'",
            "1,'a'",
            "2,'b'",
            "3,'c'",
            "9223372036854775807,'z'",
        ],
    );
    check_pages(
        &served,
        &served.query("c"),
        &[
            "'x',0,3",
            "'a'/%',1,4",
            "'x',1,1",
            "'y',1,2",
            "'é',1,6",
            "'',2,5",
        ],
    );
    check_pages(
        &served,
        &served.query("n"),
        &["'A',2", "'C',3", "'a ',4", "'b',1", "'ä',6"],
    );
    check_pages(
        &served,
        &served.query("m"),
        &["9.5,3", "10,2", "'',5", "'10',1", "x[31],4"],
    );
}

#[test]
fn order_top_skip_count() {
    let served = Served::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n, d TEXT);
         INSERT INTO t VALUES (1,'b',NULL),(2,NULL,NULL),(3,'a',NULL),(4,'b',NULL),(5,NULL,NULL),(6,1,NULL);",
    );
    let mut query = served.query("t");
    query.columns = vec![0];
    query.order = vec![asc(served.column("t", "n"))];
    check_pages(
        &served,
        &query,
        &["2,-,-", "5,-,-", "6,-,-", "3,-,-", "1,-,-", "4,-,-"],
    );
    query.order = vec![desc(served.column("t", "n"))];
    check_pages(
        &served,
        &query,
        &["1,-,-", "4,-,-", "3,-,-", "6,-,-", "2,-,-", "5,-,-"],
    );
    query.order = vec![
        desc(served.column("t", "n")),
        desc(served.column("t", "id")),
    ];
    check_pages(
        &served,
        &query,
        &["4,-,-", "1,-,-", "3,-,-", "6,-,-", "5,-,-", "2,-,-"],
    );
    query.order = vec![asc(cmp(
        served.column("t", "n"),
        Comparison::Eq,
        lit(Value::Null),
    ))];
    check_pages(
        &served,
        &query,
        &["1,-,-", "3,-,-", "4,-,-", "6,-,-", "2,-,-", "5,-,-"],
    );
    query.order.clear();
    query.top = Some(4);
    check_pages(&served, &query, &["1,-,-", "2,-,-", "3,-,-", "4,-,-"]);
    query.top = Some(0);
    check_pages(&served, &query, &[]);
    query.top = None;

    query.skip = 4;
    query.count = true;
    let (page, hi, next) = served.read(&query, None, None, rows(1)).unwrap();
    assert_eq!(page.lines, ["5,-,-"]);
    assert_eq!(page.count, Some(6));
    query.skip = 0;
    let (page, _, next) = served.read(&query, hi, next, rows(1)).unwrap();
    assert_eq!(page.lines, ["6,-,-"]);
    assert_eq!(page.count, None);
    assert_eq!(next, None);
}

#[test]
fn rows_without_a_key_are_read_by_number() {
    let served = Served::new(
        "CREATE TABLE t (a, b);
         INSERT INTO t VALUES (1,'x'),(1,'x'),(2,NULL),(NULL,NULL);
         CREATE VIEW v AS SELECT a, count(*) AS n FROM t GROUP BY a;",
    );
    check_pages(
        &served,
        &served.query("t"),
        &["1,'x'", "1,'x'", "2,-", "-,-"],
    );
    let (_, hi) = served.read_all(&served.query("t"), 2, || {});
    assert_eq!(hi, None, "not tracked");
    let mut query = served.query("v");
    check_pages(&served, &query, &["-,1", "1,2", "2,1"]);
    query.order = vec![desc(served.column("v", "n"))];
    query.skip = 1;
    let (page, _, next) = served.read(&query, None, None, rows(1)).unwrap();
    assert_eq!(page.lines.len(), 1);
    query.skip = 0;
    let (page, _, next) = served.read(&query, None, next, rows(1)).unwrap();
    assert_eq!(page.lines.len(), 1);
    assert_eq!(next, None);
}

#[test]
fn a_page_holds_so_many_bytes() {
    let served = Served::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v);
         INSERT INTO t VALUES (1,'aaaaaaaaaa'),(2,'bbbbbbbbbb'),(3,'c');",
    );
    let limit = PageLimit { rows: 10, bytes: 1 };
    let mut after = None;
    for expected in ["1,'aaaaaaaaaa'", "2,'bbbbbbbbbb'", "3,'c'"] {
        let (page, _, next) = served.read(&served.query("t"), None, after, limit).unwrap();
        assert_eq!(page.lines, [expected]);
        after = next;
    }
    assert_eq!(after, None);
}

#[test]
fn stored_values_as_values() {
    let served = Served::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b BOOLEAN, d DATE, s DATETIME, g UNIQUEIDENTIFIER, n DECIMAL(10,2), x);
         INSERT INTO t VALUES (1, 1, '2024-05-01', '2024-05-01 10:20:30', '0A000000-0000-0000-0000-00000000000F', 12.50, x'00ff');
         INSERT INTO t VALUES (2, 'yes', 'soon', 1714558830, 'no', 'many', 1.5);
         INSERT INTO t VALUES (3, 0, NULL, '2024-05-01T10:20:30.5+02:00', NULL, 7, CAST(x'ff' AS TEXT));",
    );
    check_pages(
        &served,
        &served.query("t"),
        &[
            "1,true,Date:2024-05-01,DateTimeOffset:2024-05-01T10:20:30Z,Guid:0A000000-0000-0000-0000-00000000000F,12.5,x[00, ff]",
            "2,'yes','soon',1714558830,'no','many',1.5",
            "3,false,-,DateTimeOffset:2024-05-01T10:20:30.5+02:00,-,7,x[ff]",
        ],
    );
}

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer (id), total REAL);
    CREATE TABLE line (purchase INTEGER REFERENCES purchase (id), nr INTEGER, what TEXT, PRIMARY KEY (purchase, nr));
    CREATE INDEX purchase_customer ON purchase (customer);
    INSERT INTO customer VALUES (1,'Ann'),(2,'Bob'),(3,'Cy');
    INSERT INTO purchase VALUES (10,1,5.0),(11,1,7.5),(12,2,1.0),(13,NULL,9.0);
    INSERT INTO line VALUES (10,1,'a'),(10,2,'b'),(11,1,'c'),(12,1,'a');";

#[test]
fn related_rows_are_nested() {
    let served = Served::new(SHOP);
    let mut query = served.query("customer");
    query.expand = vec![served.expand("customer", "purchase")];
    check_pages(
        &served,
        &query,
        &[
            "1,'Ann' 0[(10,1,5.0)(11,1,7.5)]",
            "2,'Bob' 0[(12,2,1.0)]",
            "3,'Cy' 0[]",
        ],
    );
    // One level more, ordered, limited and counted.
    query.expand[0].query.expand = vec![served.expand("purchase", "line")];
    query.expand[0].query.order = vec![desc(served.column("purchase", "total"))];
    query.expand[0].query.top = Some(1);
    query.expand[0].query.count = true;
    query.expand[0].query.columns = vec![0];
    check_pages(
        &served,
        &query,
        &[
            "1,'Ann' 0#2[(11,-,- 0[(11,1,'c')])]",
            "2,'Bob' 0#1[(12,-,- 0[(12,1,'a')])]",
            "3,'Cy' 0#0[]",
        ],
    );
    let mut query = served.query("purchase");
    query.expand = vec![served.expand("purchase", "customer")];
    query.expand[0].query.filter = Some(cmp(
        served.column("customer", "name"),
        Comparison::Ne,
        text("Bob"),
    ));
    check_pages(
        &served,
        &query,
        &[
            "10,1,5.0 0[(1,'Ann')]",
            "11,1,7.5 0[(1,'Ann')]",
            "12,2,1.0 0[]",
            "13,-,9.0 0[]",
        ],
    );
    query.expand = vec![served.expand("purchase", "line")];
    query.expand[0].mode = ExpandMode::Count;
    query.expand[0].query.filter = Some(cmp(
        served.column("line", "what"),
        Comparison::Eq,
        text("a"),
    ));
    check_pages(
        &served,
        &query,
        &[
            "10,1,5.0 0#1[]",
            "11,1,7.5 0#0[]",
            "12,2,1.0 0#1[]",
            "13,-,9.0 0#0[]",
        ],
    );
}

#[test]
fn nested_rows_are_limited_like_pages() {
    let served = Served::new(SHOP);
    let mut query = served.query("customer");
    query.expand = vec![served.expand("customer", "purchase")];
    let (page, _, _) = served.read(&query, None, None, rows(1)).unwrap();
    assert_eq!(page.lines, ["1,'Ann' 0[(10,1,5.0)…1]"]);
    query.expand[0].query.skip = 1;
    let (page, _, _) = served.read(&query, None, None, rows(1)).unwrap();
    assert_eq!(page.lines, ["1,'Ann' 0[(11,1,7.5)]"]);
}

#[test]
fn filters_over_related_rows() {
    let served = Served::new(SHOP);
    let line = |column| served.column_in(Scope(2), "line", column);
    let bought_a = Expr::Collection {
        quantifier: Quantifier::Any,
        from: Scope(1),
        table: served.query("purchase").table,
        relation: served.relation("purchase", "line"),
        scope: Scope(2),
        predicate: Some(Box::new(cmp(line("what"), Comparison::Eq, text("a")))),
    };
    let over_purchases = |quantifier, predicate| Expr::Collection {
        quantifier,
        from: Scope::ROOT,
        table: served.query("customer").table,
        relation: served.relation("customer", "purchase"),
        scope: Scope(1),
        predicate: Some(Box::new(predicate)),
    };
    let check = |filter: Expr, expected: &[&str]| {
        let mut query = served.query("customer");
        query.filter = Some(filter);
        check_pages(&served, &query, expected);
    };
    check(
        over_purchases(Quantifier::Any, bought_a.clone()),
        &["1,'Ann'", "2,'Bob'"],
    );
    check(
        over_purchases(Quantifier::All, bought_a.clone()),
        &["2,'Bob'", "3,'Cy'"],
    );
    check(
        cmp(
            over_purchases(Quantifier::Count, bought_a),
            Comparison::Eq,
            int(0),
        ),
        &["3,'Cy'"],
    );
    let mut query = served.query("purchase");
    query.columns = vec![0];
    let name = Expr::Related {
        from: Scope::ROOT,
        table: query.table,
        relation: served.relation("purchase", "customer"),
        scope: Scope(1),
        then: Box::new(served.column_in(Scope(1), "customer", "name")),
    };
    query.filter = Some(cmp(name.clone(), Comparison::Eq, lit(Value::Null)));
    check_pages(&served, &query, &["13,-,-"]);
    query.filter = Some(cmp(name.clone(), Comparison::Ne, text("Ann")));
    query.order = vec![desc(name)];
    check_pages(&served, &query, &["12,-,-", "13,-,-"]);
}

/// The pages of a first round show one snapshot, whatever is written in between.
#[test]
fn a_first_round_is_one_snapshot() {
    for (later_changes, order) in [(1, false), (1, true), (12_000, false)] {
        let served = Served::new(SHOP);
        served.sql(
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 130)
             INSERT INTO customer SELECT i, 'c' || i FROM n",
        );
        let mut query = served.query("customer");
        query.expand = vec![served.expand("customer", "purchase")];
        if order {
            query.order = vec![desc(served.column("customer", "name"))];
        }
        let (expected, hi) = served.read_all(&query, 1000, || {});
        let mut step = 0;
        let (found, same) = served.read_all(&query, 3, || {
            step += 1;
            served.sql(&format!(
                "UPDATE customer SET name = 'changed' WHERE id = 100 + {step};
                 DELETE FROM customer WHERE id = 130 - {step};
                 UPDATE purchase SET customer = 3 WHERE id = 11;
                 DELETE FROM line; DELETE FROM purchase WHERE id = 12;
                 INSERT INTO customer VALUES (200 + {step}, 'new'), (-{step}, 'new');
                 UPDATE customer SET id = id + 1000 WHERE id = 115 + {step};
                 UPDATE customer SET name = name || '!' WHERE id = 1;"
            ));
            if step == 1 && later_changes > 1 {
                served.sql(&format!(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {later_changes})
                     INSERT INTO customer SELECT 10000 + i, 'late' FROM n"
                ));
            }
        });
        assert_eq!(found, expected, "{later_changes} {order}");
        assert_eq!(same, hi);
    }
}

#[test]
fn a_snapshot_that_cannot_be_answered() {
    let served = Served::new(SHOP);
    let query = served.query("customer");
    let limit = rows(1);
    let (_, hi, next) = served.read(&query, None, None, limit).unwrap();
    let check = |hi: Vec<u8>, expected: Gone| {
        let error = served
            .read(&query, Some(Snapshot(hi)), next.clone(), limit)
            .unwrap_err();
        assert!(
            matches!(error, Error::Gone(gone) if gone == expected),
            "{error:?}"
        );
    };
    let known = hi.unwrap().0;
    let mut later = known.clone();
    later[0] += 1;
    check(later, Gone::Restored);
    let mut elsewhere = known.clone();
    *elsewhere.last_mut().unwrap() ^= 1;
    check(elsewhere, Gone::Restored);
    check(known[1..].to_vec(), Gone::Format);
    served.sql("UPDATE highwater_clock SET version = 5; UPDATE highwater_table SET horizon = 5");
    check(known, Gone::Pruned);
}

#[test]
fn a_changed_schema_is_noticed() {
    let served = Served::new(SHOP);
    let query = served.query("customer");
    let catalog = served.catalog();
    served.sql("ALTER TABLE customer ADD COLUMN mail TEXT");
    let params = highwater_core::store::ReadParams {
        catalog: catalog.clone(),
        query: std::sync::Arc::new(query),
        hi: None,
        after: None,
        limit: rows(1),
    };
    let sink = Box::new(crate::serving::Lines::default());
    let result = served.block_on(highwater_core::Store::read(&served.store, params, sink));
    assert!(matches!(result, Err(Error::SchemaChanged)));
    let now = served.catalog();
    assert_ne!(now.version, catalog.version);
    let (found, _) = served.read_all(&served.query("customer"), 10, || {});
    assert_eq!(found[0], "1,'Ann',-");
}

/// Filters over one table with a value of every kind in a column.
#[test]
fn filters() {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    use highwater_core::query::{Arithmetic, Function, Logical};
    let served = Served::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, s TEXT, c TEXT COLLATE NOCASE, b BOOLEAN, w DATETIME, d DATE,
                         g UNIQUEIDENTIFIER, r REAL);
         INSERT INTO t VALUES
           (1, 5,    'Émile',  'Abc', 1,    '2024-05-01 10:00:00',       '2024-05-01', '0A000000-0000-0000-0000-00000000000F', 2.5),
           (2, 5.5,  'émile',  'abc', 0,    '2024-05-01T12:00:00+02:00', '2024-05-02', '0a000000-0000-0000-0000-00000000000f', -2.5),
           (3, NULL, NULL,     NULL,  NULL, NULL,                        NULL,         NULL,                                   NULL),
           (4, 'x',  '100%',   'abd', 2,    'soon',                      'soon',       'soon',                                 0.5),
           (5, -3,   'a_b',    'ABC', 1,    1714557600,                  '2023-12-31', '1a000000-0000-0000-0000-00000000000f', 1e300);",
    );
    let c = |name: &str| served.column("t", name);
    let not = |e: Expr| Expr::Not(Box::new(e));
    let call = |function, arguments, ty| Expr::Call(function, arguments, ty);
    let math =
        |l: Expr, op: Arithmetic, r: Expr, ty| Expr::Arithmetic(op, Box::new(l), Box::new(r), ty);
    let check = |title: &str, filter: Expr, expected: &[i64]| {
        let mut query = served.query("t");
        query.columns = vec![];
        query.filter = Some(filter);
        let (found, _) = served.read_all(&query, 2, || {});
        let found: Vec<i64> = found
            .iter()
            .map(|line| line.split(',').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(found, expected, "{title}");
    };
    check("n gt 4", cmp(c("n"), Gt, int(4)), &[1, 2]);
    check("not (n gt 4)", not(cmp(c("n"), Gt, int(4))), &[3, 4, 5]);
    check("n le 5", cmp(c("n"), Le, int(5)), &[1, 5]);
    check("n eq 5.0", cmp(c("n"), Eq, lex(T::Decimal, "5.0")), &[1]);
    check("n ne 5", cmp(c("n"), Ne, int(5)), &[2, 3, 4, 5]);
    check("not (n eq 5)", not(cmp(c("n"), Eq, int(5))), &[2, 3, 4, 5]);
    check("n eq null", cmp(c("n"), Eq, lit(Value::Null)), &[3]);
    check("n lt null", cmp(c("n"), Lt, lit(Value::Null)), &[]);
    check("c eq 'abc'", cmp(c("c"), Eq, text("abc")), &[2]);
    check("c ne 'abc'", cmp(c("c"), Ne, text("abc")), &[1, 3, 4, 5]);
    check("c gt 'Abc'", cmp(c("c"), Gt, text("Abc")), &[2, 4]);
    check(
        "c in",
        Expr::In(Box::new(c("c")), vec![text("ABC"), text("abd")]),
        &[4, 5],
    );
    check(
        "not (c in with null)",
        not(Expr::In(
            Box::new(c("c")),
            vec![text("ABC"), lit(Value::Null)],
        )),
        &[1, 2, 4],
    );
    check("b", c("b"), &[1, 5]);
    check("not b", not(c("b")), &[2, 4]);
    check(
        "b eq false",
        cmp(c("b"), Eq, lit(Value::Boolean(false))),
        &[2],
    );
    check(
        "b ne true",
        cmp(c("b"), Ne, lit(Value::Boolean(true))),
        &[2, 3, 4],
    );
    let ten = || lex(T::DateTimeOffset, "2024-05-01T11:00:00+01:00");
    check("w eq", cmp(c("w"), Eq, ten()), &[1, 2]);
    check("w ne", cmp(c("w"), Ne, ten()), &[3, 4, 5]);
    check("w ge", cmp(c("w"), Ge, ten()), &[1, 2]);
    check("w gt", cmp(c("w"), Gt, ten()), &[]);
    check("w in", Expr::In(Box::new(c("w")), vec![ten()]), &[1, 2]);
    check("d lt", cmp(c("d"), Lt, lex(T::Date, "2024-05-02")), &[1, 5]);
    let guid = || lex(T::Guid, "0A000000-0000-0000-0000-00000000000f");
    check("g eq", cmp(c("g"), Eq, guid()), &[1, 2]);
    check("g ne", cmp(c("g"), Ne, guid()), &[3, 4, 5]);
    let lower = |e| call(Function::ToLower, vec![e], T::String);
    check("tolower", cmp(lower(c("s")), Eq, text("émile")), &[1, 2]);
    let two = |f, a, b| call(f, vec![a, b], T::Boolean);
    check(
        "contains '%'",
        two(Function::Contains, c("s"), text("%")),
        &[4],
    );
    check(
        "contains '_'",
        two(Function::Contains, c("s"), text("_")),
        &[5],
    );
    check(
        "startswith",
        two(Function::StartsWith, c("s"), text("É")),
        &[1],
    );
    check(
        "endswith",
        two(Function::EndsWith, c("s"), text("mile")),
        &[1, 2],
    );
    check(
        "search",
        two(Function::SearchMatches, c("s"), text("ÉMI")),
        &[1, 2],
    );
    check(
        "matches",
        two(Function::MatchesPattern, c("s"), text("^.m.*e$")),
        &[1, 2],
    );
    let number = |f, a: Vec<Expr>| call(f, a, T::Int32);
    check(
        "length",
        cmp(number(Function::Length, vec![c("s")]), Eq, int(5)),
        &[1, 2],
    );
    check(
        "indexof",
        cmp(
            number(Function::IndexOf, vec![c("s"), text("mile")]),
            Eq,
            int(1),
        ),
        &[1, 2],
    );
    check(
        "substring",
        cmp(
            call(Function::Substring, vec![c("s"), int(1), int(2)], T::String),
            Eq,
            text("mi"),
        ),
        &[1, 2],
    );
    check(
        "concat, trim",
        cmp(
            call(
                Function::Trim,
                vec![call(Function::Concat, vec![text(" "), c("c")], T::String)],
                T::String,
            ),
            Eq,
            text("Abc"),
        ),
        &[1],
    );
    check(
        "year",
        cmp(number(Function::Year, vec![c("d")]), Eq, int(2024)),
        &[1, 2],
    );
    check(
        "hour",
        cmp(number(Function::Hour, vec![c("w")]), Eq, int(12)),
        &[2],
    );
    check(
        "date(w)",
        cmp(
            call(Function::Date, vec![c("w")], T::Date),
            Eq,
            lex(T::Date, "2024-05-01"),
        ),
        &[1, 2],
    );
    check(
        "totaloffsetminutes",
        cmp(
            number(Function::TotalOffsetMinutes, vec![c("w")]),
            Eq,
            int(120),
        ),
        &[2],
    );
    check(
        "w add PT1H gt",
        cmp(
            math(
                c("w"),
                Arithmetic::Add,
                lex(T::Duration, "PT1H"),
                T::DateTimeOffset,
            ),
            Eq,
            lex(T::DateTimeOffset, "2024-05-01T11:00:00Z"),
        ),
        &[1, 2],
    );
    check(
        "d sub d",
        cmp(
            math(
                c("d"),
                Arithmetic::Sub,
                lex(T::Date, "2024-05-01"),
                T::Duration,
            ),
            Ge,
            lex(T::Duration, "P1D"),
        ),
        &[2],
    );
    let real = |f| call(f, vec![c("r")], T::Double);
    check(
        "round half away",
        cmp(real(Function::Round), Eq, int(-3)),
        &[2],
    );
    check("round 0.5", cmp(real(Function::Round), Eq, int(1)), &[4]);
    check("floor", cmp(real(Function::Floor), Eq, int(-3)), &[2]);
    check("ceiling", cmp(real(Function::Ceiling), Eq, int(3)), &[1]);
    check(
        "div of whole numbers",
        cmp(math(c("id"), Arithmetic::Div, int(2), T::Int64), Eq, int(2)),
        &[4, 5],
    );
    check(
        "divby",
        cmp(
            math(c("id"), Arithmetic::DivBy, int(2), T::Decimal),
            Eq,
            lex(T::Decimal, "2.5"),
        ),
        &[5],
    );
    check(
        "mod",
        cmp(math(c("id"), Arithmetic::Mod, int(2), T::Int64), Eq, int(1)),
        &[1, 3, 5],
    );
    check(
        "negate",
        cmp(Expr::Negate(Box::new(c("n"))), Eq, int(3)),
        &[5],
    );
    check(
        "cast to string",
        cmp(
            call(Function::Cast, vec![c("r")], T::String),
            Eq,
            text("2.5"),
        ),
        &[1],
    );
    check(
        "case",
        cmp(
            call(
                Function::Case,
                vec![c("b"), int(1), lit(Value::Boolean(true)), int(2)],
                T::Int64,
            ),
            Eq,
            int(1),
        ),
        &[1, 5],
    );
    let chain = (0..3000).fold(cmp(c("id"), Eq, int(5)), |chain, n| {
        let next = cmp(c("id"), Eq, int(100 + n));
        Expr::Logical(Logical::Or, Box::new(chain), Box::new(next))
    });
    check("a long chain", chain, &[5]);
    let list = (0..10_000).map(|n| int(3 * n)).collect();
    check("a long list", Expr::In(Box::new(c("id")), list), &[3]);
}
