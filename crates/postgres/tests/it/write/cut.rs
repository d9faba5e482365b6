//! Connections that are cut and requests that are given up: nothing is half-written, and nobody is told what is not known.

use std::sync::Arc;

use highwater_throwaway::{Cluster, Options};

use super::serving::{Served, WAITING, tell};
use super::step::{insert, int, update};

const SETUP: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v int);
    INSERT INTO t VALUES (1, 0), (2, 0);
    CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
    CREATE TABLE slow (id int PRIMARY KEY);";

async fn serve() -> Arc<Served> {
    Arc::new(Served::new(SETUP).await)
}

fn two_updates() -> Vec<super::step::Step> {
    vec![
        update("t", &[int(1)]).set("v", int(1)),
        update("t", &[int(2)]).set("v", int(1)),
    ]
}

#[tokio::test]
async fn a_cut_in_the_middle_changes_nothing() {
    let served = serve().await;
    let other = served.connect().await;
    other
        .batch_execute("BEGIN; SELECT 1 FROM t WHERE id = 2 FOR UPDATE")
        .await
        .unwrap();
    let write = served.start(two_updates());
    served
        .until(&format!("(SELECT count(*) {WAITING}) = 1"))
        .await;
    other
        .query(&format!("SELECT pg_terminate_backend(pid) {WAITING}"), &[])
        .await
        .unwrap();
    let error = write.await.unwrap().unwrap_err();
    assert_eq!(
        tell(&error),
        "Unavailable: The database closed the connection (terminating connection due to administrator command). Nothing was changed. Try again in a moment."
    );
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(served.content("t"), ["(1,0)", "(2,0)"]);
    // And the next write has another connection.
    served.write(two_updates()).await.unwrap();
    assert_eq!(served.content("t"), ["(1,1)", "(2,1)"]);
}

#[tokio::test]
async fn connections_that_were_cut_while_nobody_used_them_are_replaced() {
    let served = serve().await;
    let writes: Vec<_> = (10..14)
        .map(|id| served.start(vec![insert("t").set("id", int(id))]))
        .collect();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    served.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'highwater'",
    );
    for id in 20..24 {
        assert_eq!(
            served.done(insert("t").set("id", int(id))).await,
            format!("Created {id}")
        );
    }
}

#[tokio::test]
async fn deferred_triggers_have_their_turn_before_the_commit() {
    let served = serve().await;
    served.sql("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()");
    let other = served.connect().await;
    other
        .batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    let write = served.start(vec![
        update("t", &[int(1)]).set("v", int(1)),
        insert("slow").set("id", int(1)),
    ]);
    served
        .until(&format!("(SELECT count(*) {WAITING}) = 1"))
        .await;
    other
        .query(&format!("SELECT pg_terminate_backend(pid) {WAITING}"), &[])
        .await
        .unwrap();
    let error = tell(&write.await.unwrap().unwrap_err());
    assert!(error.contains("Nothing was changed."), "{error}");
    assert_eq!(served.content("t"), ["(1,0)", "(2,0)"]);
    assert!(served.content("slow").is_empty());
}

/// The commit waits for a standby that never comes. It has happened already, but nobody says so.
#[tokio::test]
async fn what_is_told_as_unknown_may_have_happened() {
    let cluster: &'static Cluster = Box::leak(Box::new(
        Cluster::start(&Options::new()).unwrap_or_else(|error| panic!("{error}")),
    ));
    let database = cluster.database().unwrap();
    database.sql(SETUP).unwrap();
    let url = database.url();
    let served = Arc::new(Served::at(database, &url, 2).await);
    assert_eq!(
        served.done(insert("slow").set("id", int(1))).await,
        "Created 1"
    );
    served.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster.reload().unwrap();
    served
        .until("current_setting('synchronous_standby_names') = 'nobody'")
        .await;
    let write = served.start(two_updates());
    let waiting =
        "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'highwater'";
    served
        .until(&format!("(SELECT count(*) {waiting}) = 1"))
        .await;
    let other = served.connect().await;
    other
        .query(&format!("SELECT pg_terminate_backend(pid) {waiting}"), &[])
        .await
        .unwrap();
    let error = tell(&write.await.unwrap().unwrap_err());
    // Without this the database could not even be dropped.
    served.sql("ALTER SYSTEM RESET synchronous_standby_names");
    cluster.reload().unwrap();
    assert!(
        error.starts_with("Unavailable: The connection to the database was lost while the change was being committed (")
            && error.ends_with("so it is not known whether it was made. Look before you try again."),
        "{error}"
    );
    assert_eq!(served.content("t"), ["(1,1)", "(2,1)"]);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing() {
    let served = serve().await;
    let other = served.connect().await;
    other
        .batch_execute("BEGIN; SELECT 1 FROM t WHERE id = 2 FOR UPDATE")
        .await
        .unwrap();
    let write = served.start(two_updates());
    let waiting = format!("(SELECT count(*) {WAITING})");
    served.until(&format!("{waiting} = 1")).await;
    write.abort();
    // The server stops, although the lock is still held.
    served.until(&format!("{waiting} = 0")).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(served.content("t"), ["(1,0)", "(2,0)"]);
    served.write(two_updates()).await.unwrap();
}
