//! What is forgotten, and what is not.

use highwater_core::{Error, Gone};

use super::served::{Follower, Served};

#[tokio::test]
async fn a_link_lives_as_long_as_the_retention_and_then_it_is_gone() {
    let mut served = Served::alone();
    let node = served.node().await;
    let early = Follower::new(&node).await;
    served.sql("INSERT INTO t(v) SELECT n FROM generate_series(1, 12000) AS n");
    let late = Follower::new(&node).await;
    served.sql("UPDATE t SET v = v + 1");
    node.maintain_once().await.unwrap();

    // Not yet.
    served.age("6 days 23 hours");
    node.maintain_once().await.unwrap();
    assert_eq!(served.history(), 24_000);
    early.clone().follow(&node).await.unwrap();

    served.age("2 hours");
    node.maintain_once().await.unwrap();
    // More than one step's worth.
    assert_eq!(served.history(), 0);
    for mut follower in [early, late] {
        let gone = follower.follow(&node).await;
        assert!(matches!(gone, Err(Error::Gone(Gone::Pruned))), "{gone:?}");
    }
    Follower::new(&node).await.assert_shows(&mut served);
}

#[tokio::test]
async fn a_transaction_that_stays_open_makes_no_link_end_early() {
    let mut served = Served::alone();
    let node = served.node().await;
    let mut open = served.session();
    open.run("BEGIN; INSERT INTO t(v) VALUES (1)").unwrap();
    served.sql("INSERT INTO t(v) VALUES (2)");
    node.maintain_once().await.unwrap();
    served.age("10 days");
    // The transaction is older than everything that is kept, but not known to the follower.
    let mut follower = Follower::new(&node).await;
    for _ in 0..3 {
        served.sql("INSERT INTO t(v) VALUES (3)");
        node.maintain_once().await.unwrap();
        served.age("2 days");
        node.maintain_once().await.unwrap();
        follower.clone().follow(&node).await.unwrap();
    }
    open.run("UPDATE t SET v = 4 WHERE v = 1; COMMIT").unwrap();
    assert_eq!(follower.follow(&node).await.unwrap(), 4);
    follower.assert_shows(&mut served);
    // Now that it has ended, its records grow old like all others.
    node.maintain_once().await.unwrap();
    served.age("8 days");
    node.maintain_once().await.unwrap();
    assert_eq!(served.history(), 0);
}

#[tokio::test]
async fn the_link_of_a_quiet_table_lives_as_long_as_somebody_polls() {
    let mut served = Served::alone();
    served.sql("CREATE TABLE busy(id bigint PRIMARY KEY)");
    let node = served.node().await;
    served.sql("INSERT INTO t(v) VALUES (1)");
    let mut follower = Follower::new(&node).await;
    for day in 0..20 {
        served.sql(&format!("INSERT INTO busy VALUES ({day})"));
        node.maintain_once().await.unwrap();
        served.age("1 day");
        node.maintain_once().await.unwrap();
        assert_eq!(follower.follow(&node).await.unwrap(), 0, "day {day}");
    }
    assert!(served.ticks() < 40, "old ticks go");
    served.sql("UPDATE t SET v = 2");
    assert_eq!(follower.follow(&node).await.unwrap(), 1);
    follower.assert_shows(&mut served);
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_forgets_nothing_early() {
    let mut served = Served::alone();
    let node = served.node().await;
    served.sql("INSERT INTO t(v) VALUES (1)");
    node.maintain_once().await.unwrap();
    let mut follower = Follower::new(&node).await;
    // A day ago, the clock went wrong by years for some ticks.
    served.age("1 day");
    for years in [-30, 30] {
        served.sql("INSERT INTO t(v) VALUES (2)");
        node.maintain_once().await.unwrap();
        served.sql(&format!(
            "UPDATE highwater.tick SET at = at + interval '{years} years' WHERE id = (SELECT max(id) FROM highwater.tick)"
        ));
    }
    served.sql("INSERT INTO t(v) VALUES (2)");
    node.maintain_once().await.unwrap();
    assert_eq!(follower.clone().follow(&node).await.unwrap(), 3);
    // Nor is anything kept for years because of it.
    served.sql("UPDATE highwater.tick SET at = at - interval '8 days' WHERE at < now() + interval '1 year'");
    node.maintain_once().await.unwrap();
    assert_eq!(served.history(), 0);
    assert!(follower.follow(&node).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_it_is_pruned_under_load() {
    const WRITERS: u64 = 4;
    const ROUNDS: u64 = 60;
    let mut served = Served::alone();
    let nodes = [served.node().await, served.node().await];
    // Much that is old.
    served.sql("INSERT INTO t(v) SELECT n FROM generate_series(1, 30000) AS n");
    nodes[0].maintain_once().await.unwrap();
    served.age("8 days");
    let mut follower = Follower::new(&nodes[1]).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mut session = served.session();
            tokio::task::spawn_blocking(move || {
                for round in 0..ROUNDS {
                    let id = (writer * ROUNDS + round) * 97 % 30_000;
                    let sql = match round % 3 {
                        0 => format!("UPDATE t SET v = -v WHERE id = {id}"),
                        1 => format!("DELETE FROM t WHERE id = {id}"),
                        _ => "INSERT INTO t(v) VALUES (0)".to_owned(),
                    };
                    session.run(&sql).expect("no writer is ever refused");
                }
            })
        })
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let (first, second) = tokio::join!(nodes[0].maintain_once(), nodes[1].maintain_once());
        first.unwrap();
        second.unwrap();
        follower.follow(&nodes[0]).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    nodes[0].maintain_once().await.unwrap();
    follower.follow(&nodes[1]).await.unwrap();
    follower.assert_shows(&mut served);
    assert!(served.history() <= i64::try_from(WRITERS * ROUNDS).unwrap());
}
