//! Wake-ups through the store, with real capture.

use std::time::{Duration, Instant};

use highwater_core::{Store as _, Wake};
use highwater_postgres::Access;
use highwater_throwaway::{Cluster, Options};
use tokio::sync::mpsc::unbounded_channel;
use tokio_postgres::AsyncMessage;

use super::served::Served;

const PATIENCE: Duration = Duration::from_secs(20);

/// On a cluster where capture may notify.
fn served() -> Served {
    let options = Options::new().set("max_prepared_transactions", "0");
    Served::on(Box::leak(Box::new(
        Cluster::start(&options).expect("a cluster"),
    )))
}

#[tokio::test]
async fn every_kind_of_change_notifies_once_while_somebody_waits() {
    let mut served = served();
    served.sql(
        "CREATE TABLE parent(id bigint PRIMARY KEY, v bigint);
         CREATE TABLE child(id bigint PRIMARY KEY, parent bigint REFERENCES parent ON DELETE CASCADE);
         CREATE TABLE parted(id bigint PRIMARY KEY, v bigint) PARTITION BY RANGE (id);
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
         CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
         CREATE TABLE base(id bigint PRIMARY KEY);
         CREATE TABLE derived(w bigint, PRIMARY KEY (id)) INHERITS (base);
         CREATE UNLOGGED TABLE fleeting(id bigint PRIMARY KEY)",
    );
    let _node = served.node().await;
    let (tell, mut heard) = unbounded_channel();
    let access = Access::parse(&served.database.url()).unwrap();
    let listener = access
        .connect_listening(move |message| {
            if let AsyncMessage::Notification(notification) = message {
                let _ = tell.send(notification.payload().to_owned());
            }
        })
        .await
        .unwrap();
    listener.batch_execute("LISTEN highwater").await.unwrap();
    let arming = "4102444800000";
    served.sql(&format!("SELECT setval('highwater.wake', {arming})"));
    for statements in [
        "INSERT INTO t(v) SELECT n FROM generate_series(1, 100) AS n",
        "UPDATE t SET v = v + 1",
        "DELETE FROM t WHERE v = 3",
        "TRUNCATE t",
        "INSERT INTO parent VALUES (1, 1), (2, 2)",
        "INSERT INTO child VALUES (1, 1), (2, 1)",
        "DELETE FROM parent WHERE id = 1",
        "INSERT INTO parent VALUES (2, 2) ON CONFLICT (id) DO UPDATE SET v = 3",
        "INSERT INTO parted VALUES (1, 1), (11, 1)",
        "UPDATE parted SET id = id + 9 WHERE id = 1",
        "DELETE FROM parted_2 WHERE id = 10",
        "TRUNCATE parted",
        "INSERT INTO base VALUES (1)",
        "INSERT INTO derived VALUES (2)",
        "UPDATE base SET id = id + 10",
        "INSERT INTO fleeting VALUES (1)",
        "SET session_replication_role = replica; INSERT INTO t(v) VALUES (1); RESET session_replication_role",
        "SET session_replication_role = replica; TRUNCATE t; RESET session_replication_role",
        "BEGIN; INSERT INTO t(v) VALUES (1); UPDATE t SET v = 2; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; COMMIT",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; UPDATE t SET v = 3; COMMIT",
    ] {
        served.sql(statements);
        let payload = tokio::time::timeout(PATIENCE, heard.recv()).await;
        let payload = payload.unwrap_or_else(|_| panic!("not heard: {statements}"));
        assert_eq!(payload.as_deref(), Some(arming), "{statements}");
    }
    // One for each transaction: the next thing that is heard is this.
    served.sql("NOTIFY highwater, 'end'");
    assert_eq!(heard.recv().await.as_deref(), Some("end"));
    // Nobody waits: nobody is told.
    served.sql("SELECT setval('highwater.wake', -4102444800000); UPDATE t SET v = 4; NOTIFY highwater, 'silence'");
    assert_eq!(heard.recv().await.as_deref(), Some("silence"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_wakes_soon_after_a_commit() {
    let served = served();
    let node = served.node().await;
    let mut wake = node.wake(Wake::default()).await.unwrap();
    let mut delays = Vec::new();
    for _ in 0..20 {
        // Until all is quiet and the gate is armed.
        while let Ok(next) = tokio::time::timeout(Duration::from_millis(150), node.wake(wake)).await
        {
            wake = next.unwrap();
        }
        let mut writer = served.session();
        let writing = tokio::task::spawn_blocking(move || {
            writer.run("INSERT INTO t(v) VALUES (1)").unwrap();
            Instant::now()
        });
        let woken = tokio::time::timeout(PATIENCE, node.wake(wake)).await;
        wake = woken.expect("a wake-up").unwrap();
        let now = Instant::now();
        delays.push(now.saturating_duration_since(writing.await.unwrap()));
    }
    delays.sort();
    let median = delays[delays.len() / 2];
    assert!(median < Duration::from_millis(100), "{delays:?}");
}
