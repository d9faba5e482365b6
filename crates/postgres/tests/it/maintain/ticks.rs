//! When ticks are recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater_postgres::PostgresStore;

use super::served::Served;

#[tokio::test]
async fn a_tick_is_recorded_if_something_tracked_was_written_or_a_minute_has_passed() {
    let mut served = Served::new();
    served.sql("CREATE TABLE untracked(v bigint)");
    let node = served.node().await;
    node.maintain_once().await.unwrap();
    let mut ticks = served.ticks();
    let gid = served.database.name().to_owned();
    for (statements, expected) in [
        ("SELECT 1", 0),
        ("INSERT INTO t(v) VALUES (1)", 1),
        ("INSERT INTO untracked VALUES (1)", 0),
        ("BEGIN; INSERT INTO t(v) VALUES (1); ROLLBACK", 0),
        (
            "BEGIN; INSERT INTO t(v) VALUES (2); PREPARE TRANSACTION 'GID'",
            0,
        ),
        ("COMMIT PREPARED 'GID'", 1),
        ("UPDATE highwater.tick SET at = at - interval '59 s'", 0),
        ("UPDATE highwater.tick SET at = at - interval '2 s'", 1),
        // The clock was set back.
        ("UPDATE highwater.tick SET at = at + interval '1 hour'", 1),
    ] {
        for statement in statements.split("; ") {
            served.sql(&statement.replace("GID", &gid));
        }
        for repetition in [expected, 0] {
            node.maintain_once().await.unwrap();
            let now = served.ticks();
            assert_eq!(now - ticks, repetition, "{statements}");
            ticks = now;
        }
    }
}

#[tokio::test]
async fn a_later_tick_shows_all_that_an_earlier_one_shows() {
    let mut served = Served::new();
    let nodes = [
        served.node().await,
        served.node().await,
        served.node().await,
    ];
    let mut open = served.session();
    for round in 0..10 {
        // Now and then something is open.
        let statement = if round % 2 == 0 {
            "BEGIN; INSERT INTO t(v) VALUES (1)"
        } else {
            "COMMIT"
        };
        open.run(statement).unwrap();
        served.sql("INSERT INTO t(v) VALUES (2)");
        for node in &nodes {
            node.maintain_once().await.unwrap();
        }
    }
    let wrong = "SELECT count(*) FROM highwater.tick AS a JOIN highwater.tick AS b ON b.id > a.id \
        CROSS JOIN LATERAL generate_series(pg_snapshot_xmin(a.snapshot)::text::bigint, pg_snapshot_xmax(a.snapshot)::text::bigint) AS x \
        WHERE pg_visible_in_snapshot(x::text::xid8, a.snapshot) AND NOT pg_visible_in_snapshot(x::text::xid8, b.snapshot)";
    assert_eq!(served.number(wrong), 0);
    assert!(served.ticks() > 10);
}

#[tokio::test]
async fn the_loop_records_ticks_soon_after_changes_and_ends_with_the_store() {
    let mut served = Served::new();
    let node = Arc::new(served.node().await);
    let maintenance = tokio::spawn(PostgresStore::maintain(Arc::downgrade(&node)));
    let ticks = served.ticks();
    served.sql("INSERT INTO t(v) VALUES (1)");
    let begin = Instant::now();
    while served.ticks() == ticks {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
    drop(node);
    tokio::time::timeout(Duration::from_secs(20), maintenance)
        .await
        .expect("it ends")
        .unwrap();
}
