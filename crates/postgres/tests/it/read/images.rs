//! Old images: texts that are read back as they were written, or say that they cannot be.

use super::serving::{Served, limit};

/// What PostgreSQL computes has other bits than what it reads from a text.
#[tokio::test]
async fn not_a_number_is_no_change() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, f float8, r float4, z float8, v int);
         INSERT INTO t VALUES (1, 'inf'::float8 - 'inf', ('inf'::float8 - 'inf')::float4, '-0', 1);",
    )
    .await;
    let mut query = served.query("t").await;
    let (whole, lo) = served.read_all(&query, 9, || {}).await;
    assert_eq!(whole, ["1,NaN,NaN,-0.0,1"]);
    query.columns = vec![0, 1, 2, 3];
    let lo = lo.unwrap();
    served.sql("UPDATE t SET v = 2");
    assert_eq!(served.changes_all(&query, &lo, 9, || {}).await.0, [""; 0]);
    served.sql("UPDATE t SET z = 0");
    let (changed, _) = served.changes_all(&query, &lo, 9, || {}).await;
    assert_eq!(changed, ["1,NaN,NaN,0.0,-"]);
}

#[tokio::test]
async fn settings_for_what_is_read_do_not_matter() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, a text[], v int); INSERT INTO t VALUES (1, '{NULL}', 1), (2, '{NULL}', 1);
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET array_nulls = off', current_database()); END $$",
    )
    .await;
    let mut query = served.query("t").await;
    query.columns = vec![0, 1];
    let (page, hi, next) = served.read(&query, None, None, limit(1)).await.unwrap();
    assert_eq!(page.lines, ["1,'{NULL}',-"]);
    let lo = hi.clone().unwrap();
    served.sql("UPDATE t SET v = 2");
    let (page, _, _) = served.read(&query, hi, next, limit(1)).await.unwrap();
    assert_eq!(page.lines, ["2,'{NULL}',-"]);
    assert_eq!(served.changes_all(&query, &lo, 9, || {}).await.0, [""; 0]);
}
