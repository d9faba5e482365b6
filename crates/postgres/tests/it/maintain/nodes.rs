//! Several nodes, some of which die, and nodes that may not maintain anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater_core::tracking::Policy;
use highwater_core::{Error, Store as _, Table, Tracking};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::Cluster;
use tokio::sync::Barrier;

use super::served::{Follower, Served};

const PATIENCE: Duration = Duration::from_secs(30);
/// Nodes that begin at the same moment.
const NODES: usize = 10;

#[tokio::test]
async fn of_many_nodes_one_does_each_step() {
    let mut served = Served::new();
    let mut nodes = Vec::new();
    for _ in 0..6 {
        nodes.push(served.node().await);
    }
    for _ in 0..5 {
        served.sql("INSERT INTO t(v) VALUES (1)");
        let before = served.ticks();
        let rounds = nodes.iter().map(PostgresStore::maintain_once);
        for round in futures_util::future::join_all(rounds).await {
            round.unwrap();
        }
        assert_eq!(served.ticks() - before, 1);
    }
}

#[tokio::test]
async fn another_node_goes_on_when_the_one_at_work_dies() {
    let mut served = Served::new();
    let node = served.node().await;
    node.maintain_once().await.unwrap();
    let before = served.ticks();
    served.sql("INSERT INTO t(v) VALUES (1)");
    // A node in the middle of a step.
    let mut working = served.session();
    let lock = "SELECT pg_advisory_xact_lock(x'68776d61'::int, 1)";
    working.run(&format!("BEGIN; {lock}")).unwrap();
    node.maintain_once().await.unwrap();
    assert_eq!(served.ticks(), before, "it is left to the other one");
    // The process is gone; the database notices.
    drop(working);
    let begin = Instant::now();
    while served.ticks() == before {
        assert!(begin.elapsed() < PATIENCE);
        node.maintain_once().await.unwrap();
    }
}

#[tokio::test]
async fn the_loop_survives_that_its_sessions_are_cut() {
    let mut served = Served::new();
    let node = Arc::new(served.node().await);
    let maintenance = tokio::spawn(PostgresStore::maintain(Arc::downgrade(&node)));
    for _ in 0..3 {
        served.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'highwater'",
        );
        let before = served.ticks();
        served.sql("INSERT INTO t(v) VALUES (1)");
        let begin = Instant::now();
        while served.ticks() == before {
            assert!(begin.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
    }
    assert!(!maintenance.is_finished());
    maintenance.abort();
}

#[tokio::test]
async fn a_new_table_is_tracked_without_a_request() {
    let mut served = Served::new();
    let node = served.node().await;
    node.maintain_once().await.unwrap();
    served.sql("CREATE TABLE u(id bigint PRIMARY KEY)");
    let tracked = "SELECT count(*) FROM highwater.tracked_table WHERE table_name = 'u'";
    let begin = Instant::now();
    // A look at the schema that was made a moment ago is taken for new enough.
    while served.number(tracked) == 0 {
        assert!(begin.elapsed() < PATIENCE);
        node.maintain_once().await.unwrap();
    }
}

#[tokio::test]
async fn a_role_that_may_only_read_serves_and_maintains_nothing() {
    let mut served = Served::new();
    let owner = served.node().await;
    owner.maintain_once().await.unwrap();
    let role = format!("reader_{}", served.database.name());
    served.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}; GRANT USAGE ON SCHEMA highwater TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA highwater TO {role}"
    ));
    let url = served
        .database
        .url()
        .replace("postgres@", &format!("{role}@"));
    // What it need not begin it may also name.
    for tracking in [Policy::All, Policy::Only(vec!["t".into()])] {
        let options = Options {
            tracking,
            ..Options::default()
        };
        let reader = PostgresStore::open(&url, options).await.unwrap();
        served.sql("INSERT INTO t(v) VALUES (1)");
        let before = served.ticks();
        reader.maintain_once().await.unwrap();
        assert_eq!(served.ticks(), before);
        let mut follower = Follower::new(&reader).await;
        follower.assert_shows(&mut served);
        served.sql("UPDATE t SET v = v + 1");
        follower.follow(&reader).await.unwrap();
        follower.assert_shows(&mut served);
        assert!(reader.key_ring(true).await.is_ok());
    }
    // What is not tracked, it cannot begin.
    served.sql(&format!(
        "CREATE TABLE u(id bigint PRIMARY KEY); GRANT SELECT ON u TO {role}"
    ));
    let options = Options {
        tracking: Policy::Only(vec!["t".into(), "u".into()]),
        ..Options::default()
    };
    let refused = PostgresStore::open(&url, options).await.err();
    assert!(
        matches!(&refused, Some(Error::Unsupported(text)) if text.contains("u cannot be tracked. Only its owner")),
        "{refused:?}"
    );
    drop(owner);
    served.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// On a database in which nothing is yet, each of them finds that it has to make everything.
#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_open_a_fresh_database_at_the_same_moment() {
    for tables in [0, 1, 3, 1, 3, 1, 3, 1] {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        let create: String = (0..tables)
            .map(|i| format!("CREATE TABLE t{i} (id int PRIMARY KEY, v int);"))
            .collect();
        database.sql(&create).unwrap();
        let start = Arc::new(Barrier::new(NODES));
        let nodes: Vec<_> = (0..NODES)
            .map(|_| {
                let (url, start) = (url.clone(), start.clone());
                tokio::spawn(async move {
                    start.wait().await;
                    let store = PostgresStore::open(&url, Options::default()).await?;
                    store.maintain_once().await?;
                    Ok::<_, Error>((store.epoch().await?, store.catalog().await?))
                })
            })
            .collect();
        let mut seen = Vec::new();
        for node in nodes {
            let (epoch, catalog) = node.await.unwrap().unwrap();
            let is_tracked = |table: &Table| matches!(table.tracking, Tracking::Tracked { .. });
            assert_eq!(catalog.tables.len(), tables);
            assert!(catalog.tables.iter().all(is_tracked), "{catalog:?}");
            seen.push((epoch, catalog.version));
        }
        assert!(seen.iter().all(|node| *node == seen[0]), "{seen:?}");
    }
}
