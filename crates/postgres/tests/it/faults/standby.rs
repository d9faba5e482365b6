//! A primary with a streaming standby, and fail-over to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use highwater_postgres::Options;
use highwater_throwaway::{Cluster, Options as ClusterOptions, Stop};

use super::node::{Copy, Node, Refused};
use super::world::{SETUP, Writers, rows, rows_at, value};

const DATABASE: &str = "postgres";

/// A primary and its standby, which end together.
struct Pair {
    standby: &'static Cluster,
    primary: &'static Cluster,
}

impl Pair {
    fn new(setup: &str, standby: &ClusterOptions) -> Pair {
        let primary = Cluster::start(&ClusterOptions::new()).unwrap();
        primary.sql(DATABASE, SETUP).unwrap();
        primary.sql(DATABASE, setup).unwrap();
        let standby = primary.standby(standby).unwrap();
        // They end with the process, which writers in other threads may need.
        Pair {
            standby: Box::leak(Box::new(standby)),
            primary: Box::leak(Box::new(primary)),
        }
    }

    async fn nodes(&self) -> [Node; 2] {
        let primary = Node::new(&self.primary.url(DATABASE)).await;
        primary.tick().await;
        self.standby.catch_up(self.primary).unwrap();
        [primary, Node::new(&self.standby.url(DATABASE)).await]
    }
}

/// Clients go from node to node with their links, while others write; and a transaction stays open for long.
#[tokio::test(flavor = "multi_thread")]
async fn rounds_of_a_standby_are_as_exact_as_those_of_the_primary() {
    const ROUNDS: usize = 8;
    let pair = Pair::new(
        "CREATE UNLOGGED TABLE volatile (id int PRIMARY KEY)",
        &ClusterOptions::new(),
    );
    let nodes = pair.nodes().await;
    let [primary, standby] = &nodes;
    let ticks = tokio::spawn({
        let store = Arc::clone(&primary.store);
        async move {
            loop {
                store.maintain_once().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let writers = Writers::start(pair.primary, DATABASE, 3);
    let mut long = pair.primary.session(DATABASE).unwrap();
    // Each client's nodes, in turns.
    let mut clients = [
        (vec![standby], Copy::new(9)),
        (vec![primary, standby], Copy::new(1000)),
        (vec![standby, standby, primary], Copy::new(20)),
    ];
    let mut on_standby = 0;
    for round in 0..ROUNDS {
        match round {
            1 => drop(long.run("BEGIN; INSERT INTO t VALUES (501, 1) ON CONFLICT (id) DO UPDATE SET v = t.v + 1").unwrap()),
            6 => drop(long.run("COMMIT").unwrap()),
            _ => {}
        }
        writers.more(3).await;
        for (nodes, copy) in &mut clients {
            let turn = round % nodes.len();
            // Every page from another node.
            let mut page = 0;
            loop {
                let node = nodes[(turn + page) % nodes.len()];
                match copy.step(node).await {
                    Ok(is_done) => {
                        page += 1;
                        on_standby += usize::from(std::ptr::eq(node, standby));
                        if is_done {
                            break;
                        }
                    }
                    Err(Refused::Later(_)) => {}
                    Err(gone) => panic!("{gone:?}"),
                }
            }
            let snapshot = copy.snapshot(primary).await;
            assert_eq!(
                copy.rows,
                rows_at(pair.primary, DATABASE, &snapshot),
                "{snapshot}"
            );
        }
    }
    assert!(on_standby > ROUNDS, "{on_standby}");
    writers.stop();
    ticks.abort();
    primary.tick().await;
    pair.standby.catch_up(pair.primary).unwrap();
    let expected = rows(pair.primary, DATABASE);
    for (_, copy) in &mut clients {
        // The newest tick may be younger than a second, so that the standby does not have the last changes yet.
        let begin = Instant::now();
        while copy.rows != expected {
            assert!(begin.elapsed() < Duration::from_secs(20));
            primary.tick().await;
            copy.insist(standby).await.unwrap();
        }
    }
    // What has no rows on a standby is not served there, instead of empty.
    assert!(primary.get("/odata/volatile", 9).await.is_ok());
    let catalog = highwater_core::Store::catalog(&*standby.store)
        .await
        .unwrap();
    assert_eq!(catalog.table(Some("public"), "volatile"), None);
}

/// A link that names what the standby has not received is answered as soon as it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_ahead_of_the_standby_waits_for_a_moment() {
    let pair = Pair::new("", &ClusterOptions::new());
    let [primary, standby] = pair.nodes().await;
    let mut old = Copy::of(&standby).await;
    pair.standby
        .sql(DATABASE, "SELECT pg_wal_replay_pause()")
        .unwrap();
    // Version 13 cannot be asked; there, nothing is replayed from the next record on.
    if pair.standby.binaries().version().unwrap() > 13 {
        let paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'";
        while value(pair.standby, DATABASE, paused) != "t" {}
    }
    pair.primary
        .sql(DATABASE, "INSERT INTO t VALUES (1000, 1)")
        .unwrap();
    let mut copy = Copy::of(&primary).await;
    primary.tick().await;
    let begin = Instant::now();
    let outcome = copy.round(&standby).await;
    assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(8));
    // Others are not held up.
    old.round(&standby).await.unwrap();
    assert!(!old.rows.contains_key(&1000));
    let resumed = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        pair.standby
            .sql(DATABASE, "SELECT pg_wal_replay_resume()")
            .unwrap();
    };
    let (outcome, ()) = futures_util::future::join(copy.round(&standby), resumed).await;
    outcome.unwrap();
    assert_eq!(copy.rows, rows(pair.primary, DATABASE));
    old.round(&standby).await.unwrap();
    assert_eq!(old.rows, copy.rows);
}

/// Changes of the primary that stop the reading of the standby make nothing wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_with_recovery_is_no_wrong_page() {
    let options = ClusterOptions::new().set("max_standby_streaming_delay", "0");
    let pair = Pair::new(
        "INSERT INTO t SELECT n, 0 FROM generate_series(100, 3000) AS n",
        &options,
    );
    let [primary, standby] = pair.nodes().await;
    let conflicts =
        "SELECT sum(confl_lock + confl_snapshot + confl_bufferpin) FROM pg_stat_database_conflicts";
    let begin = Instant::now();
    let (mut exact, mut refused) = (0, 0);
    let reading = async {
        // PostgreSQL counts conflicts a little later than it causes them.
        while refused == 0 || exact == 0 || value(pair.standby, DATABASE, conflicts) == "0" {
            assert!(
                begin.elapsed() < Duration::from_secs(25),
                "{exact} {refused}"
            );
            let mut copy = Copy::new(5000);
            match copy.round(&standby).await {
                Ok(()) => {
                    let snapshot = copy.snapshot(&primary).await;
                    assert_eq!(copy.rows, rows_at(pair.primary, DATABASE, &snapshot));
                    exact += 1;
                }
                Err(Refused::Later(_)) => refused += 1,
                Err(gone) => panic!("{gone:?}"),
            }
        }
    };
    // To cut off empty pages takes a lock that readers do not suffer.
    let vacuum = Repeat::start(
        pair.primary,
        const {
            &[
                "UPDATE t SET v = v + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id > 2000",
                "VACUUM t",
                "INSERT INTO t SELECT n, 0 FROM generate_series(2001, 3000) AS n",
            ]
        },
    );
    reading.await;
    drop(vacuum);
}

/// Runs statements again and again until it is dropped.
struct Repeat(Arc<AtomicBool>);

impl Repeat {
    fn start(cluster: &'static Cluster, statements: &'static [&'static str]) -> Repeat {
        let stop = Arc::new(AtomicBool::new(false));
        let repeat = Repeat(Arc::clone(&stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for statement in statements {
                    // The cluster may end first.
                    let _ = cluster.sql(DATABASE, statement);
                }
            }
        });
        repeat
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The primary is lost and its standby takes over.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_fail_over_old_links_are_gone_and_new_rounds_work() {
    let pair = Pair::new("", &ClusterOptions::new());
    let [primary, standby] = pair.nodes().await;
    let ports = [pair.primary.port(), pair.standby.port()].map(|port| format!("127.0.0.1:{port}"));
    let both = format!(
        "postgres://postgres@{}/{DATABASE}?target_session_attrs=read-write",
        ports.join(",")
    );
    let anywhere = Node::with(
        &both,
        Options {
            connections: 2,
            ..Options::default()
        },
    )
    .await;
    let mut copies = [
        Copy::of(&primary).await,
        Copy::of(&standby).await,
        Copy::of(&anywhere).await,
    ];
    let mut on_the_way = Copy::new(3);
    on_the_way.step(&primary).await.unwrap();
    // What the standby never receives.
    pair.standby
        .sql(DATABASE, "SELECT pg_wal_replay_pause()")
        .unwrap();
    let mut session = pair.primary.session(DATABASE).unwrap();
    session
        .run("SET synchronous_commit = local; INSERT INTO t VALUES (1000, 1)")
        .unwrap();
    copies[0].round(&primary).await.unwrap();
    pair.primary.stop(Stop::Immediate).unwrap();
    let outcome = copies[2].round(&anywhere).await;
    assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    pair.standby
        .sql(DATABASE, "SELECT pg_wal_replay_resume()")
        .unwrap();
    pair.standby.promote().unwrap();
    pair.standby
        .sql(DATABASE, "INSERT INTO t VALUES (1001, 1)")
        .unwrap();
    for node in [&standby, &anywhere] {
        for copy in copies.iter().chain([&on_the_way]) {
            let outcome = copy.clone().round(node).await;
            assert!(matches!(outcome, Err(Refused::Gone(_))), "{outcome:?}");
        }
        let mut copy = Copy::of(node).await;
        pair.standby
            .sql(DATABASE, "UPDATE t SET v = v + 1")
            .unwrap();
        copy.round(node).await.unwrap();
        assert_eq!(copy.rows, rows(pair.standby, DATABASE));
        node.tick().await;
    }
}
