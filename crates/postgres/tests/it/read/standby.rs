//! A real primary with a real streaming standby.

use std::sync::Arc;

use highwater_core::{Error, Gone, Store as _};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::Cluster;

use super::serving::{changes, limit, query, read};

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_serves_the_same_rounds_only_older() {
    let options = highwater_throwaway::Options::new();
    let primary = Cluster::start(&options).unwrap();
    primary
        .sql(
            "postgres",
            "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')",
        )
        .unwrap();
    let url = primary.url("postgres");
    let on_primary = PostgresStore::open(&url, Options::default()).await.unwrap();
    let replica = primary.standby(&options).unwrap();
    on_primary.maintain_once().await.unwrap();
    replica.catch_up(&primary).unwrap();
    let url = replica.url("postgres");
    let on_replica = Arc::new(PostgresStore::open(&url, Options::default()).await.unwrap());
    let t = query(&on_replica.catalog().await.unwrap(), "t");
    assert_eq!(
        on_replica.epoch().await.unwrap(),
        on_primary.epoch().await.unwrap()
    );

    // A transaction that is open on the primary does not count, although the standby cannot know that it exists.
    let mut open = primary.session("postgres").unwrap();
    open.run("BEGIN; UPDATE t SET v = 'open' WHERE id = 1")
        .unwrap();
    primary
        .sql("postgres", "UPDATE t SET v = 'b' WHERE id = 2")
        .unwrap();
    on_primary.maintain_once().await.unwrap();
    open.run("COMMIT").unwrap();
    primary
        .sql("postgres", "UPDATE t SET v = 'c' WHERE id = 3")
        .unwrap();
    replica.catch_up(&primary).unwrap();
    let (page, hi, next) = read(&on_replica, &t, None, None, limit(2)).await.unwrap();
    assert_eq!(page.lines, ["1,'a'", "2,'b'"]);
    let (page, hi, _) = read(&on_replica, &t, hi, next, limit(2)).await.unwrap();
    assert_eq!(page.lines, ["3,'a'"]);
    let lo = hi.unwrap();

    // Its link means the same on the primary.
    let (page, now, _) = changes(&on_primary, &t, &lo, None, None, limit(9))
        .await
        .unwrap();
    assert_eq!(page.lines, ["1,'open'", "3,'c'"]);
    // A link of the primary is ahead of what the standby may serve: it waits for the next tick.
    let waiting = tokio::spawn({
        let (on_replica, t, now) = (Arc::clone(&on_replica), t.clone(), now.clone());
        async move { changes(&on_replica, &t, &now, None, None, limit(9)).await }
    });
    primary
        .sql("postgres", "UPDATE t SET v = 'd' WHERE id = 2")
        .unwrap();
    on_primary.maintain_once().await.unwrap();
    let (page, _, _) = waiting
        .await
        .unwrap()
        .unwrap_or_else(|e| panic!("{e} {}", replica.log()));
    assert_eq!(page.lines, ["2,'d'"]);
    // Nobody ticks: it says so after a while.
    primary
        .sql("postgres", "UPDATE t SET v = 'e' WHERE id = 2")
        .unwrap();
    let (_, now, _) = changes(&on_primary, &t, &now, None, None, limit(9))
        .await
        .unwrap();
    let ahead = changes(&on_replica, &t, &now, None, None, limit(9)).await;
    assert!(matches!(ahead, Err(Error::Unavailable(_))), "{ahead:?}");

    // It takes over: another line of states, which no older link belongs to.
    let epoch = on_primary.epoch().await.unwrap();
    primary.stop(highwater_throwaway::Stop::Immediate).unwrap();
    replica.promote().unwrap();
    let refused = changes(&on_replica, &t, &lo, None, None, limit(9)).await;
    assert!(
        matches!(
            refused,
            Err(Error::SchemaChanged | Error::Gone(Gone::Restored | Gone::Pruned))
        ),
        "{refused:?}"
    );
    let catalog = on_replica.catalog().await.unwrap();
    assert_ne!(on_replica.epoch().await.unwrap(), epoch);
    let t = query(&catalog, "t");
    let (page, hi, _) = read(&on_replica, &t, None, None, limit(9)).await.unwrap();
    assert_eq!(page.lines, ["1,'open'", "2,'e'", "3,'c'"]);
    assert!(hi.is_some(), "tracked again");
}

/// A service that is given several hosts goes on with whichever lets it in, as long as that is the only one.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_goes_from_the_primary_to_a_standby_and_back() {
    let options = highwater_throwaway::Options::new();
    let primary = Cluster::start(&options).unwrap();
    primary
        .sql(
            "postgres",
            "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)",
        )
        .unwrap();
    let replica = primary.standby(&options).unwrap();
    let (one, other) = (primary.port(), replica.port());
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres");
    let store = PostgresStore::open(&url, Options::default()).await.unwrap();
    store.maintain_once().await.unwrap();
    let t = query(&store.catalog().await.unwrap(), "t");
    let (_, lo, _) = read(&store, &t, None, None, limit(2)).await.unwrap();
    let lo = lo.unwrap();
    primary.sql("postgres", "INSERT INTO t VALUES (2)").unwrap();
    store.maintain_once().await.unwrap();
    replica.catch_up(&primary).unwrap();
    primary.stop(highwater_throwaway::Stop::Fast).unwrap();
    let (page, _, _) = read(&store, &t, None, None, limit(2)).await.unwrap();
    assert_eq!(page.lines, ["1", "2"]);
    let (page, _, _) = changes(&store, &t, &lo, None, None, limit(2))
        .await
        .unwrap();
    assert_eq!(page.lines, ["2"]);
    primary.start_again().unwrap();
    replica.stop(highwater_throwaway::Stop::Fast).unwrap();
    primary.sql("postgres", "INSERT INTO t VALUES (3)").unwrap();
    let (page, _, _) = changes(&store, &t, &lo, None, None, limit(9))
        .await
        .unwrap();
    assert_eq!(page.lines, ["2", "3"]);
}
