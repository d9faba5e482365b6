//! What other sessions do in the middle of a page, between two of its statements.

use std::time::Duration;

use highwater_core::{Error, Gone, Query, Snapshot, Store as _};
use highwater_throwaway::Session;

use super::serving::{Lines, Served, expand, limit};

/// Keeps the first statement that looks into the histories from being planned. It has its snapshot by then.
fn hold_looks(served: &Served, session: &mut Session) {
    session.run("BEGIN").unwrap();
    let indexes = served
        .database
        .sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid::regclass::text LIKE 'highwater.history%'")
        .unwrap();
    for index in indexes.into_iter().flatten().flatten() {
        session.run(&format!("REINDEX INDEX {index}")).unwrap();
    }
}

async fn wait_for_lock(served: &Served) {
    let mut watch = served.database.session().unwrap();
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while watch.run(waits).unwrap().count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads a page, a first round's or that of a round since a snapshot; another session does something when the snapshot of the page is fixed.
async fn page(
    served: &Served,
    query: &Query,
    lo: Option<&Snapshot>,
    change: &str,
) -> Result<Lines, Error> {
    // What has to be done about earlier changes is done before.
    served.store.catalog().await?;
    let mut holder = served.database.session().unwrap();
    hold_looks(served, &mut holder);
    let page = async {
        Ok(match lo {
            None => served.read(query, None, None, limit(9)).await?.0,
            Some(lo) => served.changes(query, lo, None, None, limit(9)).await?.0,
        })
    };
    let others = async {
        wait_for_lock(served).await;
        served.sql(change);
        holder.run("COMMIT").unwrap();
    };
    futures_util::future::join(page, others).await.0
}

/// Otherwise a page would show rows of which no later round could tell.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_between_the_statements_of_a_page() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
         CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
         CREATE TABLE t2 (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
         CREATE TABLE t3 PARTITION OF t2 FOR VALUES FROM (10) TO (20);
         INSERT INTO t VALUES (1, 1); INSERT INTO t2 VALUES (11, 1);",
    )
    .await;
    const ATTACH: &str = "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20)";
    const DETACH: &str = "ALTER TABLE t DETACH PARTITION t2";
    let mut query = served.query("t").await;
    for count in [false, true] {
        query.count = count;
        let page = page(&served, &query, None, ATTACH).await;
        assert!(matches!(page, Err(Error::SchemaChanged)), "{page:?}");
        served.sql(DETACH);
    }
    let (rows, lo) = served.read_all(&query, 9, || {}).await;
    assert_eq!(rows, ["1,1"]);
    served.sql("UPDATE t SET v = 2");
    let page = page(&served, &query, lo.as_ref(), ATTACH).await;
    assert!(matches!(page, Err(Error::SchemaChanged)), "{page:?}");
    served.sql(DETACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_inherit_between_the_statements_of_a_page() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1);
         CREATE TABLE c (id int NOT NULL, v int); INSERT INTO c VALUES (11, 1);",
    )
    .await;
    let mut query = served.query("t").await;
    query.count = true;
    let page = page(&served, &query, None, "ALTER TABLE c INHERIT t")
        .await
        .unwrap();
    assert_eq!((page.count, page.lines), (Some(1), vec!["1,1".to_owned()]));
}

/// A link names the tracking of its own table only, but the page needs the history of all of its tables.
#[tokio::test]
async fn a_related_table_is_tracked_anew_between_two_pages() {
    let served = Served::new(
        "CREATE TABLE o (id int PRIMARY KEY); INSERT INTO o VALUES (1), (2);
         CREATE TABLE l (id int PRIMARY KEY, o int REFERENCES o, v int); INSERT INTO l VALUES (1, 1, 1), (2, 2, 1);",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let mut query = served.query("o").await;
    query.expand = vec![expand(&catalog, "o", "l")];
    let (page, hi, next) = served.read(&query, None, None, limit(1)).await.unwrap();
    assert_eq!(page.lines, ["1 0[(1,1,1)]"]);
    served.sql("UPDATE l SET v = 2");
    let (page, _, _) = served
        .read(&query, hi.clone(), next.clone(), limit(1))
        .await
        .unwrap();
    assert_eq!(page.lines, ["2 0[(2,2,1)]"]);
    served.sql("ALTER TABLE l ADD c int; ALTER TABLE l DROP c");
    let page = served.read(&query, hi, next, limit(1)).await;
    assert!(
        matches!(page, Err(Error::Gone(Gone::Recreated))),
        "{page:?}"
    );
}
