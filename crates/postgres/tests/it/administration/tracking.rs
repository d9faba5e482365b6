use std::time::{Duration, Instant};

use highwater_core::tracking::{Ensured, Policy};
use highwater_core::{Error, Snapshot, Store as _, Tracking};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::Cluster;

use super::{commands, status, table, tracked};

#[tokio::test(flavor = "multi_thread")]
async fn tracking_begins_and_ends() {
    let database = Cluster::shared().database().unwrap();
    let url = database.url();
    database
        .sql("CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA s; CREATE TABLE s.b (id int PRIMARY KEY); CREATE TABLE c (x int)")
        .unwrap();
    let ensured = commands::track(&url, &Policy::Only(vec!["s.b".into()]))
        .await
        .unwrap();
    assert_eq!(ensured.tracked, ["s.b"]);
    let refused = commands::track(&url, &Policy::Only(vec!["c".into()])).await;
    assert!(
        matches!(&refused, Err(Error::Unsupported(text)) if text.contains("no primary key")),
        "{refused:?}"
    );
    assert_eq!(
        commands::track(&url, &Policy::All).await.unwrap().tracked,
        ["a"]
    );
    assert_eq!(
        commands::track(&url, &Policy::All).await.unwrap(),
        Ensured::default()
    );
    let meta = commands::meta(&url).await.unwrap().unwrap();
    assert_eq!(Some(meta.epoch), status(&database).await.epoch);
    assert!(meta.keys.iter().any(|key| key.id == meta.current_key));
    assert_eq!(
        commands::untrack(&url, Some(&["a".to_owned()]))
            .await
            .unwrap(),
        ["a"]
    );
    assert!(
        table(&status(&database).await, "a")
            .untracked_because
            .is_some()
    );
    assert_eq!(commands::untrack(&url, None).await.unwrap(), ["s.b"]);
    assert_eq!(commands::meta(&url).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_table_is_told_until_its_tracking_begins_anew() {
    let database = Cluster::shared().database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY, x int)").await;
    for (sql, is_altered) in [
        ("INSERT INTO a VALUES (1, 1); ANALYZE a", false),
        ("ALTER TABLE a RENAME x TO y; ALTER TABLE a RENAME y TO x", true),
        ("ALTER TABLE a ADD z int", true),
        ("DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE a DISABLE TRIGGER %I', tgname) FROM pg_trigger
            WHERE tgrelid = 'a'::regclass AND tgname LIKE 'highwater%' ORDER BY 1 LIMIT 1); END $$", true),
    ] {
        database.sql(sql).unwrap();
        let found = status(&database).await;
        let because = table(&found, "a").untracked_because.as_deref();
        assert_eq!(because.is_some_and(|b| b.contains("were changed after tracking began")), is_altered, "{sql}: {because:?}");
        let ensured = commands::track(&database.url(), &Policy::All).await.unwrap();
        assert_eq!(ensured.renewed.len(), usize::from(is_altered), "{sql}");
        assert_eq!(table(&status(&database).await, "a").untracked_because, None);
    }
}

/// The application is in the way at first, and nothing else happens that would let anybody look again.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_locked_when_it_was_noticed_is_tracked_soon() {
    let database = Cluster::shared().database().unwrap();
    database.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b () INHERITS (a); ALTER TABLE b ADD PRIMARY KEY (id)").unwrap();
    let store = PostgresStore::open(&database.url(), Options::default())
        .await
        .unwrap();
    database.sql("ALTER TABLE a RENAME TO c").unwrap();
    let mut application = database.session().unwrap();
    application.run("BEGIN; UPDATE c SET id = id").unwrap();
    let is_tracked = async || {
        let catalog = store.catalog().await.unwrap();
        let table = catalog.table(Some("public"), "c").unwrap();
        matches!(catalog.tables[table].tracking, Tracking::Tracked { .. })
    };
    let begin = Instant::now();
    assert!(!is_tracked().await);
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "requests for other tables waited"
    );
    application.run("COMMIT").unwrap();
    while !is_tracked().await {
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}

/// What ends for the partition is a change for the partitioned table.
#[tokio::test(flavor = "multi_thread")]
async fn a_tracked_table_is_attached_while_a_service_runs() {
    let database = Cluster::shared().database().unwrap();
    database
        .sql(
            "CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
             CREATE TABLE t2 (id int PRIMARY KEY, v text)",
        )
        .unwrap();
    let store = PostgresStore::open(&database.url(), Options::default())
        .await
        .unwrap();
    database
        .sql("ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20)")
        .unwrap();
    let catalog = store.catalog().await.unwrap();
    let table = catalog.table(Some("public"), "t").unwrap();
    assert!(matches!(
        catalog.tables[table].tracking,
        Tracking::Tracked { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_none_says_so() {
    let text = commands::describe_snapshot(&Snapshot(vec![1, 2]));
    assert!(text.contains("incompatible"), "{text}");
    let database = Cluster::shared().database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY)").await;
    let gone = commands::gone(&database.url(), 1, &[]).await.unwrap();
    assert_eq!(gone, Some(highwater_core::Gone::Recreated));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_made_is_not_touched() {
    let database = Cluster::shared().database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY)").await;
    database
        .sql("UPDATE highwater.meta SET format = 99, readable_by = 99")
        .unwrap();
    for refused in [
        commands::status(&database.url()).await.err(),
        commands::meta(&database.url()).await.err(),
        commands::track(&database.url(), &Policy::All).await.err(),
    ] {
        assert!(
            matches!(&refused, Some(Error::Unavailable(text)) if text.contains("newer version")),
            "{refused:?}"
        );
    }
}
