//! Keys whose values are easily taken for others: composite ones with a `NULL` inside.

use highwater_core::query::Comparison;
use highwater_core::{Expr, Store as _};
use highwater_odata::Value;

use super::serving::{Served, cmp, column, limit};

#[tokio::test]
async fn a_part_of_a_key_may_be_null() {
    let served = Served::new(
        "CREATE TYPE pair AS (a int, b int);
         CREATE TABLE t (k pair PRIMARY KEY, v int);
         INSERT INTO t VALUES (ROW(3, NULL), 1), (ROW(NULL, NULL), 1), (ROW(1, 2), 1);",
    )
    .await;
    let query = served.query("t").await;
    let (rows, lo) = served.read_all(&query, 1, || {}).await;
    assert_eq!(rows, ["'(1,2)',1", "'(3,)',1", "'(,)',1"]);
    let lo = lo.unwrap();
    served.sql("UPDATE t SET v = 2");
    let (changed, _) = served.changes_all(&query, &lo, 1, || {}).await;
    assert_eq!(changed, ["'(,)',2", "'(1,2)',2", "'(3,)',2"]);
    // Also while the round ends before what the transaction sees.
    let (page, hi, next) = served
        .changes(&query, &lo, None, None, limit(1))
        .await
        .unwrap();
    let mut all = page.lines;
    served.sql("INSERT INTO t VALUES (ROW(7, NULL), 1)");
    let (page, _, _) = served
        .changes(&query, &lo, Some(hi), next, limit(9))
        .await
        .unwrap();
    all.extend(page.lines);
    all.sort();
    assert_eq!(all, ["'(,)',2", "'(1,2)',2", "'(3,)',2"]);
    // No value of the key is null, whatever its parts are.
    let catalog = served.store.catalog().await.unwrap();
    let mut query = query.clone();
    for (operator, count) in [(Comparison::Eq, 0), (Comparison::Ne, 4)] {
        let key = column(&catalog, "t", "k");
        query.filter = Some(cmp(key, operator, Expr::Literal(Value::Null)));
        assert_eq!(served.read_all(&query, 9, || {}).await.0.len(), count);
    }
}

/// To a client, 1 and 1.0 may be one key: in whatever order the records come, it ends up with the entity.
#[tokio::test]
async fn a_number_is_spelled_otherwise_by_another_transaction() {
    for (ty, before, after) in [("numeric", "1", "1.0"), ("float8", "'-0'", "0")] {
        let served = Served::new(&format!(
            "CREATE TABLE t (k {ty} PRIMARY KEY, v int); INSERT INTO t VALUES ({before}, 1), (2, 1)"
        ))
        .await;
        let query = served.query("t").await;
        let (_, lo) = served.read_all(&query, 9, || {}).await;
        let mut other = served.database.session().unwrap();
        other.run("BEGIN; SELECT pg_current_xact_id()").unwrap();
        served.sql(&format!("UPDATE t SET k = 5 WHERE k = {before}"));
        other
            .run(&format!("INSERT INTO t VALUES ({after}, 7); COMMIT"))
            .unwrap();
        let lo = lo.unwrap();
        let (page, _, next) = served
            .changes(&query, &lo, None, None, limit(9))
            .await
            .unwrap();
        assert!(next.is_none());
        let lines: Vec<&str> = page.lines.iter().map(String::as_str).collect();
        let removal = lines.iter().position(|line| line.starts_with("-deleted"));
        let (before, after) = lines.split_at(removal.unwrap() + 1);
        for part in [before, after] {
            assert!(part.iter().any(|line| line.ends_with(",7")), "{lines:?}");
        }
        let (by_one, _) = served.changes_all(&query, &lo, 2, || {}).await;
        assert_eq!(by_one.len(), lines.len(), "{by_one:?}");
    }
}
