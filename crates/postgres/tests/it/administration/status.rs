use highwater_throwaway::{Cluster, Options};

use super::{commands, status, table, tracked};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tracked_at_first() {
    let database = Cluster::shared().database().unwrap();
    database
        .sql("CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA s; CREATE VIEW s.v AS TABLE a")
        .unwrap();
    let status = status(&database).await;
    assert_eq!(status.epoch, None);
    assert!(status.warnings.is_empty());
    let a = table(&status, "a");
    assert!(
        a.untracked_because
            .as_ref()
            .unwrap()
            .contains("not switched on")
    );
    assert_eq!(
        (a.history_rows, a.history_bytes, a.oldest_snapshot_unix_s),
        (0, 0, None)
    );
    assert!(table(&status, "s.v").is_view);
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_counted() {
    let database = Cluster::shared().database().unwrap();
    tracked(
        &database,
        "CREATE TABLE a (id int PRIMARY KEY, x text); CREATE UNLOGGED TABLE b (id int PRIMARY KEY); CREATE TABLE c (x int)",
    )
    .await;
    database
        .sql("INSERT INTO a SELECT i, 'x' FROM generate_series(1, 100) AS i; UPDATE a SET x = 'y' WHERE id < 50")
        .unwrap();
    let status = status(&database).await;
    assert!(status.epoch.is_some());
    let told = |w: &&String| !w.starts_with("Autovacuum is switched off,");
    assert_eq!(status.warnings.iter().find(told), None);
    let a = table(&status, "a");
    assert_eq!(a.untracked_because, None);
    assert_eq!(a.history_rows, 149);
    assert!(a.history_bytes > 8192);
    assert!(a.warnings.is_empty(), "{:?}", a.warnings);
    let b = table(&status, "b");
    assert_eq!(b.history_rows, 0);
    assert!(b.warnings.iter().any(|w| w.contains("UNLOGGED")));
    assert!(
        table(&status, "c")
            .untracked_because
            .as_ref()
            .unwrap()
            .contains("no primary key")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_snapshot_is_that_of_the_first_tick_at_the_horizon() {
    let database = Cluster::shared().database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY)").await;
    database
        .sql(
            "INSERT INTO highwater.tick (at, snapshot, nonce) VALUES
                ('2024-01-01 01:00Z', '100:100:', 1), ('2024-01-01 02:00Z', '200:300:200', 1), ('2024-01-01 03:00Z', '300:400:300', 1)",
        )
        .unwrap();
    for (horizon, expected) in [
        (50, Some(1_704_070_800)),
        (100, Some(1_704_070_800)),
        (101, Some(1_704_074_400)),
        (250, Some(1_704_078_000)),
        (4_000_000_000_i64, None),
    ] {
        database
            .sql(&format!(
                "UPDATE highwater.registered SET horizon = {horizon}"
            ))
            .unwrap();
        let found = status(&database).await;
        assert_eq!(
            table(&found, "a").oldest_snapshot_unix_s,
            expected,
            "{horizon}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told() {
    let cluster = Cluster::start(
        &Options::new()
            .set("autovacuum", "off")
            .set("max_prepared_transactions", "5"),
    )
    .unwrap();
    let database = cluster.database().unwrap();
    let columns: String = (0..800).map(|n| format!(", c{n} int")).collect();
    tracked(
        &database,
        &format!(
            "CREATE PUBLICATION \"All\" FOR ALL TABLES; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE wide (id int PRIMARY KEY{columns})"
        ),
    )
    .await;
    database
        .sql(
            "UPDATE highwater.tick SET at = at - interval '5 hours';
             ALTER TABLE highwater.history_1 SET (autovacuum_enabled = false);
             CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public, highwater TO reader; GRANT USAGE ON SCHEMA highwater TO reader",
        )
        .unwrap();
    // A transaction that is older than a tick of two hours ago.
    let mut session = database.session().unwrap();
    session.run("BEGIN").unwrap();
    session.run("SELECT pg_current_xact_id()").unwrap();
    database.sql("SELECT pg_current_xact_id()").unwrap();
    database
        .sql(
            "INSERT INTO highwater.tick (at, snapshot, nonce) VALUES (now() - interval '2 hours', pg_current_snapshot(), 1)",
        )
        .unwrap();
    let found = status(&database).await;
    let told = |part: &str, warnings: &[String]| warnings.iter().any(|w| w.contains(part));
    assert!(
        told("Nobody has maintained the history for 2 h", &found.warnings),
        "{:?}",
        found.warnings
    );
    assert!(
        told(
            "A transaction that writes has been open for about 2 h",
            &found.warnings
        ),
        "{:?}",
        found.warnings
    );
    assert!(told("Autovacuum is switched off,", &found.warnings));
    assert!(told("(\"All\") publish Highwater's", &found.warnings));
    database
        .sql("DROP PUBLICATION \"All\"; CREATE PUBLICATION key FOR TABLE highwater.seal_key, a; CREATE PUBLICATION other FOR TABLE a;
             DO $$ BEGIN IF current_setting('server_version_num')::int >= 150000 THEN
                 EXECUTE 'CREATE PUBLICATION whole FOR TABLES IN SCHEMA highwater';
             ELSE CREATE PUBLICATION whole FOR TABLE highwater.tick; END IF; END $$")
        .unwrap();
    assert!(told(
        "(key, whole) publish Highwater's",
        &super::status(&database).await.warnings
    ));
    let reason = table(&found, "wide").untracked_because.clone();
    assert!(reason.unwrap_or_default().starts_with("It has 801 columns"));
    assert!(told(
        "Autovacuum is switched off for the history",
        &table(&found, "a").warnings
    ));
    let url = database.url().replace("postgres@", "reader@");
    let found = commands::status(&url).await.unwrap();
    assert!(
        told("lacks the right to prune", &found.warnings),
        "{:?}",
        found.warnings
    );
    assert_eq!(table(&found, "a").untracked_because, None);
    session.run("PREPARE TRANSACTION 'forgotten'").unwrap();
    // It was prepared just now, so it is the transaction that is told.
    assert!(told(
        "A transaction that writes",
        &status(&database).await.warnings
    ));
    session.run("ROLLBACK PREPARED 'forgotten'").unwrap();
    assert!(!told("transaction", &status(&database).await.warnings));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_shows_what_it_has() {
    let primary = Cluster::start(&Options::new()).unwrap();
    let database = primary.database().unwrap();
    tracked(
        &database,
        "CREATE TABLE a (id int PRIMARY KEY); CREATE UNLOGGED TABLE b (id int PRIMARY KEY);
         CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE UNLOGGED TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
    )
    .await;
    database.sql("INSERT INTO a VALUES (1)").unwrap();
    let on_primary = status(&database).await;
    let standby = primary.standby(&Options::new()).unwrap();
    standby.catch_up(&primary).unwrap();
    let url = standby.url(database.name());
    let found = commands::status(&url).await.unwrap();
    assert_eq!(found.epoch, on_primary.epoch);
    assert_eq!(table(&found, "a"), table(&on_primary, "a"));
    for name in ["b", "p"] {
        let because = table(&found, name).untracked_because.as_ref().unwrap();
        assert!(
            because.contains("a standby does not have its rows"),
            "{because}"
        );
    }
    assert!(
        commands::track(&url, &highwater_core::tracking::Policy::All)
            .await
            .unwrap()
            .tracked
            .is_empty()
    );
    // Once it is promoted, the tracking does not count any more.
    standby.promote().unwrap();
    let found = commands::status(&url).await.unwrap();
    assert!(
        found
            .warnings
            .iter()
            .any(|w| w.contains("restored, copied or promoted")),
        "{:?}",
        found.warnings
    );
}
