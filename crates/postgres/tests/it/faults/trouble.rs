//! Trouble while clients read and programs write: every answer is exact or 503, and the same link works again by itself.

use std::sync::Arc;
use std::time::Duration;

use highwater_postgres::Options;
use highwater_throwaway::{Cluster, Options as ClusterOptions, Session, Stop};

use super::node::{Copy, Node, Refused};
use super::world::{SETUP, Writers, rows, rows_at};

const DATABASE: &str = "postgres";
const CONNECTIONS: u32 = 30;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    RestartFast,
    Terminate,
    LockedTable,
    NoConnectionLeft,
    RestartImmediate,
}

/// What keeps the trouble going, and how it ends.
#[derive(Default)]
struct Ongoing {
    sessions: Vec<Session>,
    is_stopped: bool,
}

impl Trouble {
    fn begin(self, cluster: &Cluster) -> Ongoing {
        let mut ongoing = Ongoing::default();
        match self {
            Trouble::RestartFast | Trouble::RestartImmediate => {
                cluster
                    .stop(match self {
                        Trouble::RestartFast => Stop::Fast,
                        _ => Stop::Immediate,
                    })
                    .unwrap();
                ongoing.is_stopped = true;
            }
            Trouble::Terminate => terminate(cluster),
            Trouble::LockedTable => {
                let mut session = cluster.session(DATABASE).unwrap();
                session
                    .run("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
                    .unwrap();
                ongoing.sessions.push(session);
            }
            Trouble::NoConnectionLeft => {
                // Whoever is connected is cut, and the places are taken before he is back.
                while let Ok(session) = cluster.session(DATABASE) {
                    ongoing.sessions.push(session);
                    if ongoing.sessions.len() == 1 {
                        ongoing.sessions[0].run(TERMINATE).unwrap();
                    }
                }
            }
        }
        ongoing
    }

    /// Whether nothing can be answered while it lasts.
    fn is_total(self) -> bool {
        !matches!(self, Trouble::Terminate)
    }
}

impl Ongoing {
    fn end(self, cluster: &Cluster) {
        drop(self.sessions);
        if self.is_stopped {
            cluster.start_again().unwrap();
        }
    }
}

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'highwater'";

fn terminate(cluster: &Cluster) {
    cluster.sql(DATABASE, TERMINATE).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_exact_or_503_and_links_go_on() {
    let options = ClusterOptions::new().set("max_connections", &CONNECTIONS.to_string());
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(&options).unwrap()));
    cluster.sql(DATABASE, SETUP).unwrap();
    let options = Options {
        connections: 3,
        statement_timeout: Duration::from_millis(1500),
        ..Options::default()
    };
    let node = Node::with(&cluster.url(DATABASE), options).await;
    node.tick().await;
    for trouble in [
        Trouble::RestartFast,
        Trouble::Terminate,
        Trouble::LockedTable,
        Trouble::NoConnectionLeft,
        Trouble::RestartImmediate,
    ] {
        let writers = Writers::start(cluster, DATABASE, 2);
        let mut copies = [Copy::of(&node).await, Copy::of(&node).await];
        copies[1].page_rows = 5;
        writers.more(20).await;
        // One is in the middle of a round.
        copies[1].step(&node).await.unwrap();
        if trouble == Trouble::NoConnectionLeft {
            // They would take the places for themselves.
            writers.stop();
            let ongoing = trouble.begin(cluster);
            check(trouble, ongoing, cluster, &node, &mut copies).await;
        } else {
            let ongoing = trouble.begin(cluster);
            check(trouble, ongoing, cluster, &node, &mut copies).await;
            writers.more(20).await;
            writers.stop();
        }
        for copy in &mut copies {
            copy.insist(&node).await.unwrap();
            assert_eq!(copy.rows, rows(cluster, DATABASE), "{trouble:?}");
        }
    }
}

async fn check(
    trouble: Trouble,
    ongoing: Ongoing,
    cluster: &Cluster,
    node: &Node,
    copies: &mut [Copy; 2],
) {
    if trouble.is_total() {
        for copy in copies.iter_mut() {
            let outcome = copy.step(node).await;
            assert!(
                matches!(outcome, Err(Refused::Later(_))),
                "{trouble:?}: {outcome:?}"
            );
        }
    }
    ongoing.end(cluster);
    for copy in copies {
        match copy.insist(node).await {
            Ok(()) => {}
            // A crash may undo what a link shows.
            Err(Refused::Gone(_)) if trouble == Trouble::RestartImmediate => copy.anew(node).await,
            Err(refused) => panic!("{trouble:?}: {refused:?}"),
        }
        let snapshot = copy.snapshot(node).await;
        assert_eq!(
            copy.rows,
            rows_at(cluster, DATABASE, &snapshot),
            "{trouble:?}"
        );
    }
}

/// Temporary files have no room: what needs them is refused, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_temporary_files_is_503() {
    let database = Cluster::shared().database().unwrap();
    database.sql(SETUP).unwrap();
    database
        .sql("INSERT INTO t SELECT n, n % 7 FROM generate_series(100, 30000) AS n")
        .unwrap();
    let node = Node::new(&database.url()).await;
    let sorted = "/odata/t?$orderby=v";
    let (name, limits) = (database.name(), ["temp_file_limit = 64", "work_mem = 64"]);
    for limit in limits {
        database
            .sql(&format!("ALTER DATABASE {name} SET {limit}"))
            .unwrap();
    }
    // Settings of a database are those of new sessions.
    database.sql(TERMINATE).unwrap();
    let outcome = node.get(sorted, 29_000).await;
    assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    Copy::of(&node).await;
    database
        .sql(&format!("ALTER DATABASE {name} RESET ALL"))
        .unwrap();
    database.sql(TERMINATE).unwrap();
    node.get(sorted, 29_000).await.unwrap();
}

/// Many requests that take too long, at the same time: each is stopped and told so, and those that are quick go on.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_take_too_long_are_stopped_and_told_so() {
    let database = Cluster::shared().database().unwrap();
    database.sql(SETUP).unwrap();
    // As an operator may have set it, which must not keep the service from anything.
    let own = format!(
        "ALTER DATABASE {} SET statement_timeout = '1min'",
        database.name()
    );
    database.sql(&own).unwrap();
    database
        .sql("CREATE VIEW slow AS SELECT id, v FROM t WHERE pg_sleep(0.05) IS NOT NULL")
        .unwrap();
    let options = Options {
        connections: 4,
        statement_timeout: Duration::from_millis(400),
        ..Options::default()
    };
    let node = Arc::new(Node::with(&database.url(), options).await);
    node.tick().await;
    let mut copy = Copy::of(&node).await;
    let slow: Vec<_> = (0..12)
        .map(|_| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.get("/odata/slow", 1000).await })
        })
        .collect();
    for value in 1..5 {
        database.sql(&format!("UPDATE t SET v = {value}")).unwrap();
        copy.insist(&node).await.unwrap();
        assert_eq!(copy.rows, rows(database.cluster(), database.name()));
    }
    for request in slow {
        let outcome = request.await.unwrap();
        assert!(
            matches!(&outcome, Err(Refused::Later(text)) if text.contains("too long")),
            "{outcome:?}"
        );
    }
    // Nothing is left of them.
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%slow%' AND state <> 'idle' \
         AND pid <> pg_backend_pid()";
    assert_eq!(database.sql(open).unwrap(), [[Some("0".to_owned())]]);
    copy.insist(&node).await.unwrap();
}

/// New partitions cannot be taken in while the application writes to the table; meanwhile its links wait, and then they go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_waits_to_be_taken_in() {
    let cluster = Cluster::start(&ClusterOptions::new()).unwrap();
    cluster
        .sql(
            DATABASE,
            "CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL) PARTITION BY RANGE (id);
             CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1, 1)",
        )
        .unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    let mut copy = Copy::of(&node).await;
    cluster
        .sql(
            DATABASE,
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
        )
        .unwrap();
    let mut writer = cluster.session(DATABASE).unwrap();
    writer.run("BEGIN; INSERT INTO t VALUES (11, 11)").unwrap();
    for _ in 0..2 {
        let outcome = copy.round(&node).await;
        assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    }
    // Who begins now gets no link yet.
    let page = node.get("/odata/t", 100).await.unwrap();
    assert_eq!(page["value"].as_array().unwrap().len(), 1);
    assert_eq!(page.get("@deltaLink"), None);
    writer.run("COMMIT").unwrap();
    copy.insist(&node).await.unwrap();
    assert_eq!(copy.rows, rows(&cluster, DATABASE));
    assert!(copy.rows.contains_key(&11));
}
