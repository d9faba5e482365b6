//! Pages of a query: order, continuation, one snapshot, related rows; and rounds after it.

use highwater_core::query::{Comparison, ExpandMode};
use highwater_core::store::PageLimit;
use highwater_core::{Error, Gone, Query, Snapshot, Store as _};

use super::serving::{Served, cmp, column, expand, int, limit, ordered};

/// However small the pages, the answer is the same.
async fn check_pages(served: &Served, query: &Query, expected: &[&str]) {
    // Nested rows are limited like pages.
    let smallest = if query.expand.is_empty() { 1 } else { 2 };
    for page in [smallest, 2, 3, 4, 5, 100] {
        let (found, _) = served.read_all(query, page, || {}).await;
        assert_eq!(found, expected, "{page} rows a page");
    }
}

#[tokio::test]
async fn pages_in_key_order() {
    let served = Served::new(
        "CREATE TABLE i (id integer PRIMARY KEY, v text);
         INSERT INTO i VALUES (3,'c'),(-1,'m'),(1,'a'),(2,'b'),(2147483647,'z');
         CREATE TABLE c (a text, b integer, v integer, PRIMARY KEY (b, a));
         INSERT INTO c VALUES ('x',1,1),('y',1,2),('x',0,3),('a''/%',1,4),('',2,5),('\u{e9}',1,6);
         CREATE TABLE \"Mixed Case\" (\"Key \"\"One\" uuid PRIMARY KEY, \"select\" text);
         INSERT INTO \"Mixed Case\" SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, n FROM generate_series(1, 3) AS n;",
    )
    .await;
    check_pages(
        &served,
        &served.query("i").await,
        &["-1,'m'", "1,'a'", "2,'b'", "3,'c'", "2147483647,'z'"],
    )
    .await;
    let (found, _) = served.read_all(&served.query("c").await, 2, || {}).await;
    assert_eq!(found.len(), 6);
    assert_eq!(found[0], "'x',0,3");
    assert_eq!(found[5], "'',2,5");
    let (found, _) = served
        .read_all(&served.query("Mixed Case").await, 1, || {})
        .await;
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn order_top_skip_count() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, n text, d timestamptz);
         INSERT INTO t VALUES (1,'b',NULL),(2,NULL,NULL),(3,'a',NULL),(4,'b',NULL),(5,NULL,NULL),(6,'1','2024-01-01');",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("t").await;
    query.columns = vec![0];
    query.order = vec![ordered(column(&catalog, "t", "n"), false)];
    let ascending = ["2,-,-", "5,-,-", "6,-,-", "3,-,-", "1,-,-", "4,-,-"];
    check_pages(&served, &query, &ascending).await;
    query.order = vec![ordered(column(&catalog, "t", "n"), true)];
    let descending = ["1,-,-", "4,-,-", "3,-,-", "6,-,-", "2,-,-", "5,-,-"];
    check_pages(&served, &query, &descending).await;
    query.order = vec![
        ordered(column(&catalog, "t", "d"), true),
        ordered(column(&catalog, "t", "id"), true),
    ];
    let both = ["6,-,-", "5,-,-", "4,-,-", "3,-,-", "2,-,-", "1,-,-"];
    check_pages(&served, &query, &both).await;
    query.order.clear();
    query.top = Some(4);
    check_pages(&served, &query, &["1,-,-", "2,-,-", "3,-,-", "4,-,-"]).await;
    query.top = Some(0);
    check_pages(&served, &query, &[]).await;
    query.top = None;
    query.skip = 4;
    query.count = true;
    let (page, hi, next) = served.read(&query, None, None, limit(1)).await.unwrap();
    assert_eq!(page.lines, ["5,-,-"]);
    assert_eq!(page.count, Some(6));
    query.skip = 0;
    let (page, _, next) = served.read(&query, hi, next, limit(1)).await.unwrap();
    assert_eq!(
        (page.lines, page.count, next),
        (vec!["6,-,-".to_owned()], None, None)
    );
}

#[tokio::test]
async fn a_page_ends_with_its_bytes() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v text);
         INSERT INTO t SELECT n, repeat('x', 100000) FROM generate_series(1, 100) AS n;",
    )
    .await;
    let query = served.query("t").await;
    let small = PageLimit {
        rows: 1000,
        bytes: 250_000,
    };
    let (page, hi, next) = served.read(&query, None, None, small).await.unwrap();
    assert_eq!(page.lines.len(), 3);
    let (page, _, _) = served.read(&query, hi.clone(), next, small).await.unwrap();
    assert!(page.lines[0].starts_with("4,"));
    served.sql("UPDATE t SET v = v || 'y'");
    let (page, hi, next) = served
        .changes(&query, &hi.unwrap(), None, None, small)
        .await
        .unwrap();
    assert_eq!(page.lines.len(), 3);
    assert!(next.is_some());
    let (none, _) = served.changes_all(&query, &hi, 10, || {}).await;
    assert_eq!(none, [""; 0]);
}

#[tokio::test]
async fn views_and_tables_without_a_key() {
    let served = Served::new(
        "CREATE TABLE t (a integer, b text);
         INSERT INTO t VALUES (1,'x'),(1,'x'),(2,NULL),(NULL,NULL);
         CREATE VIEW v AS SELECT b, count(*) AS n FROM t GROUP BY b;
         CREATE MATERIALIZED VIEW m AS SELECT 7 AS seven;",
    )
    .await;
    let query = served.query("t").await;
    for rows in [1, 2, 100] {
        let (found, hi) = served.read_all(&query, rows, || {}).await;
        assert_eq!(found, ["1,'x'", "1,'x'", "2,-", "-,-"]);
        assert_eq!(hi, None, "not tracked");
    }
    let (mut found, _) = served.read_all(&served.query("v").await, 1, || {}).await;
    found.sort();
    assert_eq!(found, ["'x',2", "-,2"]);
    let (found, _) = served.read_all(&served.query("m").await, 1, || {}).await;
    assert_eq!(found, ["7"]);
}

const SHOP: &str = "CREATE TABLE customer (id integer PRIMARY KEY, name text);
     CREATE TABLE orders (id integer PRIMARY KEY, customer integer REFERENCES customer, total numeric);
     CREATE TABLE line (orders integer REFERENCES orders, n integer, PRIMARY KEY (orders, n));
     INSERT INTO customer SELECT n, 'c' || n FROM generate_series(1, 3) AS n;
     INSERT INTO orders VALUES (10, 1, 1.5), (11, 1, 2), (12, 1, 3), (20, 2, 4), (99, NULL, 5);
     INSERT INTO line VALUES (10, 1), (10, 2), (20, 1), (99, 1);";

#[tokio::test]
async fn related_rows_are_nested() {
    let served = Served::new(SHOP).await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("customer").await;
    let mut orders = expand(&catalog, "customer", "orders");
    orders.query.columns = vec![0];
    orders.query.expand = vec![expand(&catalog, "orders", "line")];
    query.expand = vec![orders.clone()];
    let all = [
        "1,'c1' 0[(10,-,- 0[(10,1)(10,2)])(11,-,- 0[])(12,-,- 0[])]",
        "2,'c2' 0[(20,-,- 0[(20,1)])]",
        "3,'c3' 0[]",
    ];
    for rows in [3, 100] {
        assert_eq!(served.read_all(&query, rows, || {}).await.0, all);
    }
    let smaller = [
        "1,'c1' 0[(10,-,- 0[(10,1)(10,2)])(11,-,- 0[])…2]",
        all[1],
        all[2],
    ];
    assert_eq!(served.read_all(&query, 2, || {}).await.0, smaller);

    // Order, skip, top, filter and count of what is nested; twice the same relation.
    orders.query.expand.clear();
    orders.query.order = vec![ordered(column(&catalog, "orders", "total"), true)];
    orders.query.skip = 1;
    orders.query.count = true;
    let mut other = orders.clone();
    orders.query.top = Some(1);
    other.query.skip = 0;
    let id = column(&catalog, "orders", "id");
    other.query.filter = Some(cmp(id, Comparison::Gt, int(11)));
    query.expand = vec![orders, other];
    assert_eq!(
        served.read_all(&query, 100, || {}).await.0,
        [
            "1,'c1' 0#3[(11,-,-)] 1#1[(12,-,-)]",
            "2,'c2' 0#1[] 1#1[(20,-,-)]",
            "3,'c3' 0#0[] 1#0[]",
        ]
    );

    // The other direction, and only the number.
    let mut query = served.query("orders").await;
    let mut lines = expand(&catalog, "orders", "line");
    lines.mode = ExpandMode::Count;
    query.expand = vec![expand(&catalog, "orders", "customer"), lines];
    let expected = [
        "10,1,Decimal:1.5 0[(1,'c1')] 1#2[]",
        "11,1,Decimal:2 0[(1,'c1')] 1#0[]",
        "12,1,Decimal:3 0[(1,'c1')] 1#0[]",
        "20,2,Decimal:4 0[(2,'c2')] 1#1[]",
        "99,-,Decimal:5 0[] 1#1[]",
    ];
    check_pages(&served, &query, &expected).await;
}

/// Whatever does not fit ends the page at a row whose nested rows are complete, or says that there are more.
#[tokio::test]
async fn nested_rows_that_do_not_fit_end_the_page() {
    let served = Served::new(
        "CREATE TABLE p (id integer PRIMARY KEY);
         CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p, v text);
         INSERT INTO p SELECT n FROM generate_series(1, 4) AS n;
         INSERT INTO c SELECT 10 * p + n, p, repeat('x', 1000) FROM generate_series(1, 3) AS p, generate_series(1, p) AS n;",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("p").await;
    let mut children = expand(&catalog, "p", "c");
    children.query.columns = vec![0, 2];
    query.expand = vec![children];
    for (bytes, expected) in [
        (1, &["1 0[11]", "2 0[21…1]", "3 0[31…1]", "4 0[]"][..]),
        (1500, &["1 0[11]", "2 0[21…1]", "3 0[31 32…2]", "4 0[]"]),
        (10_000, &["1 0[11]", "2 0[21 22]", "3 0[31 32 33]", "4 0[]"]),
    ] {
        let (mut hi, mut after) = (None, None);
        let mut all = Vec::new();
        loop {
            let limit = PageLimit { rows: 100, bytes };
            let page = served.read(&query, hi, after, limit).await.unwrap();
            let lines = page.0.lines.iter().map(|line| {
                line.replace(&format!(",-,'{}'", "x".repeat(1000)), "")
                    .replace(")(", " ")
                    .replace(['(', ')'], "")
            });
            all.extend(lines);
            (hi, after) = (page.1, page.2);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, expected, "{bytes} bytes a page");
    }
}

/// Every page shows the same state, whatever happens meanwhile; and the round that follows is the difference.
#[tokio::test]
async fn a_round_is_one_state_while_others_write() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v text);
         CREATE TABLE other (id integer PRIMARY KEY, v text);
         INSERT INTO t SELECT n, 'a' FROM generate_series(1, 20) AS n;",
    )
    .await;
    let query = served.query("t").await;
    let mut open = served.database.session().unwrap();
    open.run("BEGIN; UPDATE t SET v = 'open' WHERE id = 5")
        .unwrap();
    let mut step = 0;
    let (first, lo) = served
        .read_all(&query, 3, || {
            step += 1;
            served.sql(&format!(
                "UPDATE t SET v = 'b{step}' WHERE id % 4 = 0; DELETE FROM t WHERE id = 18; DELETE FROM t WHERE id = 2;
                 INSERT INTO t VALUES (101 + 4 * {step}, 'new'); UPDATE t SET id = 50 WHERE id = 17; DELETE FROM t WHERE id = 105;"
            ));
        })
        .await;
    let expected: Vec<String> = (1..=20).map(|id| format!("{id},'a'")).collect();
    assert_eq!(first, expected);
    let lo = lo.unwrap();
    let (changed, lo) = served
        .changes_all(&query, &lo, 3, || {
            served.sql("UPDATE t SET v = 'later' WHERE id <> 5")
        })
        .await;
    let steps = step;
    let mut expected: Vec<String> = [4, 8, 12, 16, 20]
        .map(|id| format!("{id},'b{steps}'"))
        .into();
    expected.extend((2..=steps).map(|step| format!("{},'new'", 101 + 4 * step)));
    expected.extend([2, 17, 18].map(|id| format!("-deleted {id},-")));
    expected.push("50,'a'".into());
    expected.sort();
    assert_eq!(changed, expected);

    // The transaction that was open all the time is in no round before it ends, and in the next one then. It waits for nobody.
    let (changed, lo) = served.changes_all(&query, &lo, 100, || {}).await;
    assert!(changed.iter().all(|line| line.ends_with(",'later'")));
    open.run("COMMIT").unwrap();
    let (changed, lo) = served.changes_all(&query, &lo, 100, || {}).await;
    assert_eq!(changed, ["5,'open'"]);
    // Tables and rows that do not matter change nothing.
    served.sql("INSERT INTO other VALUES (1, 'x'); UPDATE t SET v = v");
    let (changed, _) = served.changes_all(&query, &lo, 100, || {}).await;
    assert_eq!(changed, [""; 0]);
}

#[tokio::test]
async fn a_filtered_round_says_what_left() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v integer, w integer);
         INSERT INTO t SELECT n, n, n FROM generate_series(1, 6) AS n;",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("t").await;
    query.columns = vec![0, 1];
    query.filter = Some(cmp(column(&catalog, "t", "v"), Comparison::Le, int(3)));
    let (first, lo) = served.read_all(&query, 2, || {}).await;
    assert_eq!(first, ["1,1,-", "2,2,-", "3,3,-"]);
    served.sql(
        "UPDATE t SET v = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; UPDATE t SET w = 0 WHERE id = 3; UPDATE t SET v = 3 WHERE id = 4;
         UPDATE t SET v = 8 WHERE id = 5; DELETE FROM t WHERE id = 6; INSERT INTO t VALUES (7, 1, 1), (8, 10, 1)",
    );
    let (changed, _) = served.changes_all(&query, &lo.unwrap(), 1, || {}).await;
    assert_eq!(
        changed,
        ["-changed 1,-,-", "-deleted 2,-,-", "4,3,-", "7,1,-"]
    );
}

/// A page examines a bounded number of records, so it may be empty and not the last.
#[tokio::test]
async fn a_page_may_be_empty_and_have_a_successor() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v integer);
         INSERT INTO t SELECT n, 0 FROM generate_series(1, 25000) AS n;",
    )
    .await;
    let query = served.query("t").await;
    let (page, hi, _) = served.read(&query, None, None, limit(1)).await.unwrap();
    assert_eq!(page.lines.len(), 1);
    let lo = hi.unwrap();
    served.sql("UPDATE t SET v = v; UPDATE t SET v = 1 WHERE id = 20000");
    let (page, hi, next) = served
        .changes(&query, &lo, None, None, limit(5))
        .await
        .unwrap();
    assert_eq!(page.lines, [""; 0]);
    assert!(next.is_some());
    let (page, hi, next) = served
        .changes(&query, &lo, Some(hi), next, limit(5))
        .await
        .unwrap();
    assert_eq!(page.lines, ["20000,1"]);
    assert!(next.is_some());
    let (page, _, next) = served
        .changes(&query, &lo, Some(hi), next, limit(5))
        .await
        .unwrap();
    assert_eq!((page.lines.len(), next.is_some()), (0, false));
}

/// Many records after the snapshot: the pages are bounded by key, and rows that are gone are found by theirs.
#[tokio::test]
async fn pages_are_the_same_however_much_has_changed_since() {
    for table in [
        "(id bigint PRIMARY KEY, v integer)",
        "(id text PRIMARY KEY, v integer)",
        // Captured row by row.
        "(id bigint PRIMARY KEY, v integer) PARTITION BY HASH (id); CREATE TABLE p PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    ] {
        let served = Served::new(&format!(
            "CREATE TABLE t {table}; INSERT INTO t SELECT n * 2, n FROM generate_series(1, 4000) AS n"
        ))
        .await;
        let query = served.query("t").await;
        let (before, hi) = served.read_all(&query, 20_000, || {}).await;
        served.sql(
            "BEGIN; UPDATE t SET v = -v; DELETE FROM t WHERE v % 3 = 0; COMMIT;
             UPDATE t SET id = id::bigint + 1 WHERE v % 5 = 0;
             BEGIN; INSERT INTO t VALUES (6, 0), (12, 0); UPDATE t SET v = 1 WHERE v = 0; DELETE FROM t WHERE v = 1; COMMIT;
             INSERT INTO t VALUES (18, 0)",
        );
        for rows in [3000, 700] {
            let mut all = Vec::new();
            let mut after = None;
            loop {
                let page = served.read(&query, hi.clone(), after, limit(rows)).await;
                let (page, _, next) = page.unwrap();
                all.extend(page.lines);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert!(all == before, "{table}, {rows} rows a page");
        }
    }
}

/// Like `citext` (with the cast that hides what is wrong) and `ltree` (without): the operators are not where statements look for them.
#[tokio::test]
async fn keys_of_a_type_that_brings_its_own_operators() {
    for cast in ["WITHOUT FUNCTION AS IMPLICIT", "WITHOUT FUNCTION"] {
        let mut setup = format!(
            "CREATE SCHEMA \"own types\"; SET search_path = \"own types\", public;
             CREATE TYPE folded;
             CREATE FUNCTION folded_in(cstring) RETURNS folded LANGUAGE internal IMMUTABLE STRICT AS 'textin';
             CREATE FUNCTION folded_out(folded) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
             CREATE TYPE folded (INPUT = folded_in, OUTPUT = folded_out, LIKE = text);
             CREATE CAST (folded AS text) {cast};
             CREATE FUNCTION folded_cmp(folded, folded) RETURNS integer LANGUAGE sql IMMUTABLE STRICT
                 AS 'SELECT bttextcmp(lower($1::text) COLLATE \"C\", lower($2::text) COLLATE \"C\")';"
        );
        for (name, operator) in [
            ("lt", "<"),
            ("le", "<="),
            ("eq", "="),
            ("ge", ">="),
            ("gt", ">"),
        ] {
            setup.push_str(&format!(
                "CREATE FUNCTION folded_{name}(folded, folded) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT
                     AS 'SELECT \"own types\".folded_cmp($1, $2) {operator} 0';
                 CREATE OPERATOR {operator} (LEFTARG = folded, RIGHTARG = folded, FUNCTION = folded_{name});"
            ));
        }
        setup.push_str(
            "CREATE OPERATOR CLASS folded_ops DEFAULT FOR TYPE folded USING btree AS
                 OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 folded_cmp(folded, folded);
             CREATE TABLE public.one (k folded PRIMARY KEY, v integer);
             INSERT INTO public.one VALUES ('b', 1), ('A', 1), ('D', 1), ('c', 1), ('F', 1), ('e', 1);
             CREATE TABLE public.two (k folded REFERENCES public.one, n integer, v integer, PRIMARY KEY (k, n));
             INSERT INTO public.two SELECT k, n, 1 FROM public.one, generate_series(1, 2) AS n ORDER BY k;",
        );
        let served = Served::new(&setup).await;
        let catalog = served.store.catalog().await.unwrap();
        let mut nested = served.query("one").await;
        nested.expand = vec![expand(&catalog, "one", "two")];
        let nested = served.read_all(&nested, 100, || {}).await.0;
        assert_eq!(nested[0], "'A',1 0[('A',1,1)('A',2,1)]");
        for table in ["two", "one"] {
            let query = served.query(table).await;
            let (before, _) = served.read_all(&query, 100, || {}).await;
            let (paged, lo) = served
                .read_all(&query, 1, || {
                    served.sql(&format!("UPDATE {table} SET v = v + 1"))
                })
                .await;
            assert_eq!(paged, before);
            served.sql(&format!(
                "DELETE FROM {table} WHERE k::text IN ('b', 'F'); UPDATE {table} SET v = 0 WHERE k::text = 'A'",
            ));
            let (changed, lo) = served.changes_all(&query, &lo.unwrap(), 1, || {}).await;
            assert_eq!(changed.len(), before.len());
            assert_eq!(served.changes_all(&query, &lo, 1, || {}).await.0, [""; 0]);
        }
        // Many records later: the pages are bounded by key.
        served.sql("DELETE FROM two; INSERT INTO one SELECT ('k' || n)::text::\"own types\".folded, 0 FROM generate_series(1, 3000) AS n");
        let query = served.query("one").await;
        let (before, hi) = served.read_all(&query, 10_000, || {}).await;
        served.sql("UPDATE one SET v = 1; DELETE FROM one WHERE right(k::text, 1) = '7'");
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = served.read(&query, hi.clone(), after, limit(1300)).await;
            let (page, _, next) = page.unwrap();
            all.extend(page.lines);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert!(all == before, "{cast}");
    }
}

/// A page may end after any record of a statement, and after any record of a transaction.
#[tokio::test]
async fn the_records_of_a_statement_on_many_pages() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t SELECT n, 0 FROM generate_series(1, 40) AS n;",
    )
    .await;
    let query = served.query("t").await;
    let (_, hi) = served.read_all(&query, 100, || {}).await;
    let lo = hi.unwrap();
    served.sql(
        "BEGIN; UPDATE t SET v = id; UPDATE t SET id = id + 100 WHERE id > 30; DELETE FROM t WHERE id <= 10;
         INSERT INTO t SELECT n, n FROM generate_series(5, 15) AS n ON CONFLICT (id) DO UPDATE SET v = -t.v; TRUNCATE t;
         INSERT INTO t SELECT n, n FROM generate_series(21, 50) AS n; COMMIT;",
    );
    let mut expected: Vec<String> = (21..=50).map(|id| format!("{id},{id}")).collect();
    expected.extend((1..=20).map(|id| format!("-deleted {id},-")));
    expected.sort();
    for rows in [1, 7, 100] {
        let (changed, _) = served.changes_all(&query, &lo, rows, || {}).await;
        assert_eq!(changed, expected, "{rows} rows a page");
    }
}

/// Numbers of records order the changes of one key, whatever the order of the transactions' own numbers.
#[tokio::test]
async fn a_transaction_that_began_early_and_changes_a_row_late() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'first'), (2, 'first');
         CREATE UNLOGGED TABLE u (id integer PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'first'), (2, 'first');",
    )
    .await;
    for table in ["t", "u"] {
        let query = served.query(table).await;
        let (first, hi) = served.read_all(&query, 10, || {}).await;
        let lo = hi.unwrap();
        let mut early = served.database.session().unwrap();
        early.run("BEGIN; SELECT pg_current_xact_id()").unwrap();
        served.sql(&format!(
            "BEGIN; {} COMMIT",
            format!("UPDATE {table} SET v = v || ' late' WHERE id = 1;").repeat(100)
        ));
        early
            .run(&format!(
                "UPDATE {table} SET v = 'early'; DELETE FROM {table} WHERE id = 2; COMMIT"
            ))
            .unwrap();
        let (as_of, _, _) = served
            .read(&query, Some(lo.clone()), None, limit(10))
            .await
            .unwrap();
        assert_eq!(as_of.lines, first, "{table}");
        let (changed, _) = served.changes_all(&query, &lo, 10, || {}).await;
        assert_eq!(changed, ["-deleted 2,-", "1,'early'"], "{table}");
    }
}

#[tokio::test]
async fn snapshots_of_another_kind_or_time_are_gone() {
    let served = Served::new("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let query = served.query("t").await;
    let check = async |lo: Snapshot, expected: Gone| {
        let error = served
            .changes(&query, &lo, None, None, limit(1))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Gone(gone) if gone == expected),
            "{error:?}"
        );
    };
    check(Snapshot(vec![1, 2, 3]), Gone::Format).await;
    let (_, hi) = served.read_all(&query, 1, || {}).await;
    let Snapshot(mut bytes) = hi.unwrap();
    // The nonce of the anchor stands behind its number, which is one byte here.
    bytes[2] ^= 1;
    check(Snapshot(bytes), Gone::Restored).await;
}
