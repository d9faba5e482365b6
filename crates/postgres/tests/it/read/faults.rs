//! What happens when the database is slow, busy, restarted or changed in the middle of things.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::store::{ReadParams, RowSink};
use highwater_core::{Error, Gone, RemovedReason, Row, Store as _};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Stop};
use tokio::sync::oneshot;

use super::serving::{Lines, Served, changes, limit, query, read};

/// Runs something at the first row.
struct AtFirstRow<F> {
    lines: Lines,
    action: Option<F>,
}

impl<F: FnOnce() + Send + 'static> RowSink for AtFirstRow<F> {
    fn begin(&mut self, count: Option<u64>) {
        self.lines.begin(count);
    }
    fn entity(&mut self, row: &Row<'_>) {
        if let Some(action) = self.action.take() {
            action();
        }
        self.lines.entity(row);
    }
    fn begin_expand(&mut self, expansion: usize, count: Option<u64>) {
        self.lines.begin_expand(expansion, count);
    }
    fn end_expand(&mut self, expansion: usize, more: Option<u64>) {
        self.lines.end_expand(expansion, more);
    }
    fn end_entity(&mut self) {
        self.lines.end_entity();
    }
    fn removed(&mut self, row: &Row<'_>, reason: RemovedReason) {
        self.lines.removed(row, reason);
    }
    fn bytes(&self) -> usize {
        self.lines.bytes()
    }
}

/// Reads all rows of a table, and does something in between.
async fn read_with(
    store: &PostgresStore,
    table: &str,
    action: impl FnOnce() + Send + 'static,
) -> Result<(), Error> {
    let catalog = store.catalog().await?;
    let params = ReadParams {
        query: Arc::new(query(&catalog, table)),
        catalog,
        hi: None,
        after: None,
        limit: limit(1_000_000),
    };
    let sink = Box::new(AtFirstRow {
        lines: Lines::default(),
        action: Some(action),
    });
    store.read(params, sink).await.map(|_| ())
}

const BIG: &str = "CREATE TABLE big (id integer PRIMARY KEY, v text);
     INSERT INTO big SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) AS n;
     CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);
     CREATE VIEW slow AS SELECT id, pg_sleep(60)::text AS s FROM t;";

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_in_mid_page_is_replaced() {
    let served = Served::new(BIG).await;
    let (database, cluster) = (served.database.name().to_owned(), served.database.cluster());
    let error = read_with(&served.store, "big", move || {
        cluster.sql(&database, TERMINATE).unwrap();
    })
    .await
    .unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    // All of them were cut; nobody notices that.
    let (rows, _) = served.read_all(&served.query("t").await, 1, || {}).await;
    assert_eq!(rows, ["1"]);
    served.sql(TERMINATE);
    let (rows, _) = served.read_all(&served.query("t").await, 1, || {}).await;
    assert_eq!(rows, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_stopped() {
    let served = Served::with(
        BIG,
        Options {
            statement_timeout: Duration::from_millis(300),
            ..Options::default()
        },
    )
    .await;
    let slow = served.query("slow").await;
    let error = served.read(&slow, None, None, limit(1)).await.unwrap_err();
    assert!(matches!(error, Error::LimitExceeded(_)), "{error:?}");
    // A lock that the application holds is waited for, and not for ever.
    let mut other = served.database.session().unwrap();
    let query = served.query("t").await;
    other
        .run("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let error = served.read(&query, None, None, limit(1)).await.unwrap_err();
    assert!(
        matches!(error, Error::Busy(_) | Error::LimitExceeded(_)),
        "{error:?}"
    );
    other.run("COMMIT").unwrap();
    let (rows, _) = served.read_all(&query, 1, || {}).await;
    assert_eq!(rows, ["1"]);
    // Nobody waits for the end of a transaction that only read.
    let mut watch = served.database.session().unwrap();
    let open = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
    while watch.run(open).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A client that goes away leaves nothing behind, neither a busy server nor an open transaction for the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_waits_for_is_cancelled() {
    let served = Served::with(
        BIG,
        Options {
            connections: 1,
            ..Options::default()
        },
    )
    .await;
    let slow = served.query("slow").await;
    let waited = tokio::time::timeout(
        Duration::from_millis(300),
        served.read(&slow, None, None, limit(1)),
    );
    assert!(waited.await.is_err());
    let query = served.query("t").await;
    let (rows, _) = served.read_all(&query, 1, || {}).await;
    assert_eq!(rows, ["1"]);
    let mut watch = served.database.session().unwrap();
    let busy = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%slow%' AND state = 'active' AND pid <> pg_backend_pid()";
    while watch.run(busy).unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_in_use_is_an_answer() {
    let served = Arc::new(
        Served::with(
            BIG,
            Options {
                connections: 1,
                ..Options::default()
            },
        )
        .await,
    );
    let query = served.query("t").await;
    let (begun, has_begun) = oneshot::channel();
    let (end, ended) = std::sync::mpsc::channel();
    let reading = tokio::spawn({
        let served = Arc::clone(&served);
        async move {
            read_with(&served.store, "big", move || {
                begun.send(()).unwrap();
                tokio::task::block_in_place(|| ended.recv().unwrap());
            })
            .await
        }
    });
    has_begun.await.unwrap();
    let error = read(&served.store, &query, None, None, limit(1))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("in use"), "{error}");
    end.send(()).unwrap();
    reading.await.unwrap().unwrap();
    let (rows, _) = served.read_all(&query, 1, || {}).await;
    assert_eq!(rows, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_may_restart() {
    let cluster = Cluster::start(&highwater_throwaway::Options::new()).unwrap();
    cluster
        .sql(
            "postgres",
            "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)",
        )
        .unwrap();
    let store = PostgresStore::open(&cluster.url("postgres"), Options::default())
        .await
        .unwrap();
    let all = query(&store.catalog().await.unwrap(), "t");
    let (page, hi, _) = read(&store, &all, None, None, limit(9)).await.unwrap();
    assert_eq!(page.lines, ["1"]);
    for stop in [Stop::Fast, Stop::Immediate] {
        cluster.stop(stop).unwrap();
        let error = read(&store, &all, hi.clone(), None, limit(9))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        cluster.start_again().unwrap();
        let (page, _, _) = read(&store, &all, hi.clone(), None, limit(9))
            .await
            .unwrap();
        assert_eq!(page.lines, ["1"], "{stop:?}");
    }
}

/// A crash may undo what was seen, and give the numbers of those transactions to others. Links that show only what was on disk live on.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_ends_the_links_that_it_may_have_made_wrong() {
    let cluster = Cluster::start(&highwater_throwaway::Options::new()).unwrap();
    let sql = |sql: &str| cluster.sql("postgres", sql).unwrap();
    sql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)");
    let url = cluster.url("postgres");
    let store = PostgresStore::open(&url, Options::default()).await.unwrap();
    let t = query(&store.catalog().await.unwrap(), "t");
    let (_, old, _) = read(&store, &t, None, None, limit(9)).await.unwrap();
    let old = old.unwrap();
    sql("INSERT INTO t VALUES (2)");
    store.maintain_once().await.unwrap();
    sql("INSERT INTO t VALUES (3)");
    let (_, young, _) = changes(&store, &t, &old, None, None, limit(9))
        .await
        .unwrap();
    cluster.restart(Stop::Immediate).unwrap();
    let (page, _, _) = changes(&store, &t, &old, None, None, limit(9))
        .await
        .unwrap();
    assert_eq!(page.lines, ["2", "3"]);
    let gone = changes(&store, &t, &young, None, None, limit(9)).await;
    assert!(matches!(gone, Err(Error::Gone(Gone::Restored))), "{gone:?}");
    // An ordinary restart undoes nothing.
    let (_, now, _) = changes(&store, &t, &old, None, None, limit(9))
        .await
        .unwrap();
    cluster.restart(Stop::Fast).unwrap();
    let (page, _, _) = changes(&store, &t, &now, None, None, limit(9))
        .await
        .unwrap();
    assert_eq!(page.lines, [""; 0]);
}

/// A schema that changes ends nothing but what depends on it, and is noticed at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_verb_notices_a_change_of_its_own_tables() {
    let served = Served::new(
        "CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (1, 1);
         CREATE TABLE u (id integer PRIMARY KEY); INSERT INTO u VALUES (1);",
    )
    .await;
    let catalog = served.store.catalog().await.unwrap();
    let (t, u) = (query(&catalog, "t"), query(&catalog, "u"));
    let params = |query: &highwater_core::Query| ReadParams {
        catalog: Arc::clone(&catalog),
        query: Arc::new(query.clone()),
        hi: None,
        after: None,
        limit: limit(9),
    };
    for change in [
        "ALTER TABLE t ADD COLUMN w text",
        "ALTER TABLE t ALTER COLUMN v TYPE text",
        "ALTER TABLE t RENAME COLUMN v TO x",
        "DROP TABLE t",
        // It cannot be locked.
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id",
    ] {
        served.sql(change);
        let result = served
            .store
            .read(params(&t), Box::new(Lines::default()))
            .await;
        assert!(matches!(result, Err(Error::SchemaChanged)), "{change}");
        if change.contains("ADD COLUMN") {
            let result = served
                .store
                .read(params(&u), Box::new(Lines::default()))
                .await;
            assert!(result.is_ok(), "another table");
        }
    }
    served.sql("DROP MATERIALIZED VIEW t");
    let now = served.store.catalog().await.unwrap();
    assert_eq!(now.table(Some("public"), "t"), None);
}

/// Such a database takes any bytes for text, and the client is not to blame for that.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf_8_is_an_error_of_the_database() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    let name = format!("{}_ascii", database.name());
    cluster
        .sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"),
        )
        .unwrap();
    cluster
        .sql(&name, "CREATE TABLE a (id int PRIMARY KEY, v text)")
        .unwrap();
    let store = PostgresStore::open(&cluster.url(&name), Options::default())
        .await
        .unwrap();
    let catalog = store.catalog().await.unwrap();
    let query = query(&catalog, "a");
    let (_, hi, _) = read(&store, &query, None, None, limit(10)).await.unwrap();
    cluster
        .sql(
            &name,
            r"INSERT INTO a VALUES (1, convert_from('\xff', 'SQL_ASCII'))",
        )
        .unwrap();
    let whole = read(&store, &query, None, None, limit(10)).await.err();
    let lo = hi.unwrap();
    let round = changes(&store, &query, &lo, None, None, limit(10))
        .await
        .err();
    for refused in [whole, round] {
        assert!(
            matches!(&refused, Some(Error::Corrupt(text)) if text.contains("SQL_ASCII")),
            "{refused:?}"
        );
    }
    cluster.sql(&name, "UPDATE a SET v = 'corrected'").unwrap();
    let round = changes(&store, &query, &lo, None, None, limit(10)).await;
    assert_eq!(round.unwrap().0.lines.len(), 1);
    drop(store);
    cluster
        .sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))
        .unwrap();
}
