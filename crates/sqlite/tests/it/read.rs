//! Pages of a query: order, continuation, one snapshot, related rows.

use highwater_core::query::{Comparison, ExpandMode, Quantifier, Scope};
use highwater_core::store::PageLimit;
use highwater_core::{Error, Expr, Gone, Query, Snapshot};
use highwater_odata::Value;

use crate::serving::{Served, asc, cmp, desc, int, lit, rows, text};

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
