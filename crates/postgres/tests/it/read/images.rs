//! Old images: texts that are read back as they were written, or say that they cannot be.

use highwater_core::query::{Arithmetic, Comparison};
use highwater_core::{Error, Expr, Gone, Store as _};
use highwater_odata::{PrimitiveType, Value};

use super::serving::{Served, cmp, column, int, limit};

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

/// Such a link can never be answered again, but nothing else ends, and a new round works.
#[tokio::test]
async fn images_that_a_type_refuses_by_now() {
    let served = Served::new(
        "CREATE DOMAIN positive AS int;
         CREATE TABLE limits (top int); INSERT INTO limits VALUES (9);
         CREATE FUNCTION is_low(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 <= (SELECT top FROM limits); END';
         CREATE DOMAIN low AS int CHECK (is_low(VALUE));
         CREATE TABLE p (id int PRIMARY KEY, v positive); INSERT INTO p VALUES (1, -1), (2, 2), (3, 3);
         CREATE TABLE l (id int PRIMARY KEY, v low); INSERT INTO l VALUES (1, 1), (2, 2), (3, 3);
         ALTER DOMAIN positive ADD CHECK (VALUE > 0) NOT VALID;",
    )
    .await;
    for table in ["p", "l"] {
        let query = served.query(table).await;
        let (page, hi, next) = served.read(&query, None, None, limit(1)).await.unwrap();
        assert_eq!(page.lines.len(), 1);
        let lo = hi.clone().unwrap();
        assert_eq!(served.changes_all(&query, &lo, 9, || {}).await.0, [""; 0]);
        served.sql(&format!("UPDATE {table} SET v = 4 WHERE id = 1"));
        let page = served.read(&query, hi, next, limit(1)).await;
        assert!(
            matches!(page, Err(Error::Gone(Gone::Recreated))),
            "{table}: {page:?}"
        );
        let round = served.changes(&query, &lo, None, None, limit(9)).await;
        assert!(
            matches!(round, Err(Error::Gone(Gone::Recreated))),
            "{table}: {round:?}"
        );
        let (rows, lo) = served.read_all(&query, 9, || {}).await;
        assert_eq!(rows, ["1,4", "2,2", "3,3"]);
        served.changes_all(&query, &lo.unwrap(), 9, || {}).await;
    }
}

/// That the query cannot be computed for a row is no reason to end its link.
#[tokio::test]
async fn what_a_query_cannot_compute_is_its_own_fault() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, v float8); INSERT INTO t VALUES (1, 0), (2, 0);",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("t").await;
    let product = Expr::Arithmetic(
        Arithmetic::Mul,
        Box::new(Expr::Literal(Value::Double(1e308))),
        Box::new(column(&catalog, "t", "v")),
        PrimitiveType::Double,
    );
    query.filter = Some(cmp(product, Comparison::Ge, int(0)));
    let (_, lo) = served.read_all(&query, 9, || {}).await;
    served.sql("UPDATE t SET v = 1e10 WHERE id = 1");
    let round = served
        .changes(&query, &lo.unwrap(), None, None, limit(9))
        .await;
    assert!(matches!(round, Err(Error::InvalidQuery(_))), "{round:?}");
}
