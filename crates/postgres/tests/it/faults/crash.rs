//! Crashes that undo what was visible, and seen by clients, already.

use std::process::Command;

use highwater_throwaway::{Cluster, Options, Stop};

use super::node::{Copy, Node, Refused};
use super::world::{SETUP, rows, value};

const DATABASE: &str = "postgres";
/// How often a crash is tried again because the database had saved just in time what it was to lose.
const ATTEMPTS_MAX: usize = 5;

/// A cluster that saves nothing by itself.
fn forgetful() -> Cluster {
    let options = Options::new()
        .set("synchronous_commit", "off")
        .set("wal_writer_delay", "10s")
        .set("bgwriter_lru_maxpages", "0")
        .set("restart_after_crash", "on");
    let cluster = Cluster::start(&options).unwrap();
    cluster.sql(DATABASE, SETUP).unwrap();
    cluster
}

/// How a server ends.
#[derive(Clone, Copy, Debug)]
enum Crash {
    /// All of it is killed.
    Kill,
    /// It is told to stop at once.
    Immediate,
    /// One of its processes is killed, so that it begins anew by itself.
    Backend,
}

fn crash(cluster: &Cluster, how: Crash) {
    match how {
        Crash::Kill => {
            cluster.kill().unwrap();
            cluster.start_again().unwrap();
        }
        Crash::Immediate => cluster.restart(Stop::Immediate).unwrap(),
        Crash::Backend => {
            let [mut session, mut bystander] = [0, 1].map(|_| cluster.session(DATABASE).unwrap());
            let process = session.run("SELECT pg_backend_pid()").unwrap().rows[0][0].clone();
            let status = Command::new("kill")
                .arg("-9")
                .arg(process.unwrap())
                .status();
            assert!(status.unwrap().success());
            // It lives until the server has noticed, and from then on nobody is let in until it has begun anew.
            while bystander.run("SELECT 1").is_ok() {}
            while cluster.sql(DATABASE, "SELECT 1").is_err() {}
        }
    }
}

/// The transaction id that an insertion gets.
fn insert(cluster: &Cluster, id: i64) -> String {
    let sql = format!("WITH one AS (INSERT INTO t VALUES ({id}, 1)) SELECT pg_current_xact_id()");
    value(cluster, DATABASE, &sql)
}

/// Makes the service overlook crashes.
const BLIND: &str = "CREATE OR REPLACE FUNCTION highwater.is_settled() RETURNS boolean LANGUAGE sql AS 'SELECT true'";

/// A commit that was served is lost, and its transaction id becomes that of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_shows_what_a_crash_has_undone_is_gone() {
    let cluster = forgetful();
    let node = Node::new(&cluster.url(DATABASE)).await;
    let mut number = 1000;
    for (how, is_noticed) in [
        (Crash::Kill, true),
        (Crash::Immediate, true),
        (Crash::Backend, true),
        // What happens if nobody looks, which shows that the others are worth something.
        (Crash::Kill, false),
    ] {
        if !is_noticed {
            cluster.sql(DATABASE, BLIND).unwrap();
        }
        let mut attempts = 0;
        loop {
            number += 10;
            node.tick().await;
            let mut early = Copy::of(&node).await;
            let saved = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, '', '')";
            cluster.sql(DATABASE, saved).unwrap();
            let lost = insert(&cluster, number);
            let mut served = Copy::of(&node).await;
            assert!(served.rows.contains_key(&number));
            crash(&cluster, how);
            attempts += 1;
            let again = insert(&cluster, number + 1);
            if lost != again || rows(&cluster, DATABASE).contains_key(&number) {
                assert!(
                    attempts < ATTEMPTS_MAX,
                    "{how:?}: nothing is lost: {lost} {again}"
                );
                continue;
            }
            if !is_noticed {
                served.insist(&node).await.unwrap();
                assert_ne!(served.rows, rows(&cluster, DATABASE));
                break;
            }
            let outcome = served.insist(&node).await;
            assert!(
                matches!(outcome, Err(Refused::Gone(_))),
                "{how:?}: {outcome:?}"
            );
            early.insist(&node).await.unwrap();
            assert_eq!(early.rows, rows(&cluster, DATABASE), "{how:?}");
            served.anew(&node).await;
            assert_eq!(served.rows, rows(&cluster, DATABASE), "{how:?}");
            break;
        }
    }
}

/// Even where every commit is saved before anybody sees it, the end of what was rolled back is not.
#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_transaction_that_was_rolled_back_may_come_again() {
    let cluster = forgetful();
    cluster
        .sql(
            DATABASE,
            "ALTER DATABASE postgres SET synchronous_commit = on",
        )
        .unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    let mut was_reused = false;
    for number in (1000..).step_by(10).take(ATTEMPTS_MAX) {
        node.tick().await;
        let mut early = Copy::of(&node).await;
        insert(&cluster, number);
        let mut session = cluster.session(DATABASE).unwrap();
        let rolled_back =
            "BEGIN; INSERT INTO t VALUES (-1, 1); SELECT pg_current_xact_id(); ROLLBACK";
        let lost = session.run(rolled_back).unwrap().rows[0][0].clone();
        let mut served = Copy::of(&node).await;
        crash(&cluster, Crash::Kill);
        was_reused |= lost == Some(insert(&cluster, number + 1));
        for copy in [&mut served, &mut early] {
            if let Err(Refused::Gone(_)) = copy.insist(&node).await {
                copy.anew(&node).await;
            }
            assert_eq!(copy.rows, rows(&cluster, DATABASE));
        }
        if was_reused {
            return;
        }
    }
    panic!("no transaction id was used again");
}

/// Nothing is lost where nothing was written since the newest tick, so no client has to begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_table_survives_a_crash_and_restarts() {
    let cluster = Cluster::start(&Options::new()).unwrap();
    cluster.sql(DATABASE, SETUP).unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    node.tick().await;
    let mut copy = Copy::of(&node).await;
    for (step, how) in [Crash::Kill, Crash::Backend, Crash::Immediate]
        .into_iter()
        .enumerate()
    {
        // What others write does not matter.
        cluster
            .sql(
                DATABASE,
                "CREATE TABLE IF NOT EXISTS u (id bigint); INSERT INTO u VALUES (1)",
            )
            .unwrap();
        copy.round(&node).await.unwrap();
        crash(&cluster, how);
        insert(&cluster, 1000 + step as i64);
        copy.insist(&node).await.unwrap();
        assert_eq!(copy.rows, rows(&cluster, DATABASE), "{how:?}");
        cluster.restart(Stop::Fast).unwrap();
        copy.insist(&node).await.unwrap();
        node.tick().await;
        copy.insist(&node).await.unwrap();
    }
}

/// A table that was UNLOGGED when the server crashed is empty, also if it is LOGGED again before anybody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_unlogged_during_a_crash() {
    const UNLOGGED: &str = "ALTER TABLE t SET UNLOGGED";
    const LOGGED: &str = "ALTER TABLE t SET LOGGED";
    let cluster = Cluster::start(&Options::new()).unwrap();
    cluster.sql(DATABASE, SETUP).unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    for tick_at in 0..4 {
        let tick = async |at| {
            if at == tick_at {
                node.tick().await;
            }
        };
        insert(&cluster, 1000);
        // Else the crash alone would end the link.
        node.tick().await;
        let mut copy = Copy::of(&node).await;
        cluster.sql(DATABASE, UNLOGGED).unwrap();
        tick(0).await;
        cluster.restart(Stop::Fast).unwrap();
        tick(1).await;
        crash(&cluster, Crash::Kill);
        tick(2).await;
        cluster.sql(DATABASE, LOGGED).unwrap();
        tick(3).await;
        insert(&cluster, 2000);
        let outcome = copy.insist(&node).await;
        assert!(matches!(outcome, Err(Refused::Gone(_))), "{outcome:?}");
        copy.anew(&node).await;
        assert_eq!(copy.rows, rows(&cluster, DATABASE));
        // What else gives a table another file ends no links.
        for sql in ["VACUUM FULL t", "TRUNCATE t"] {
            cluster.sql(DATABASE, sql).unwrap();
            insert(&cluster, 3000);
            node.tick().await;
            crash(&cluster, Crash::Kill);
            copy.insist(&node).await.unwrap();
            assert_eq!(copy.rows, rows(&cluster, DATABASE));
            cluster.sql(DATABASE, "TRUNCATE t").unwrap();
            node.tick().await;
        }
    }
}

/// A node that may do nothing about a crash serves nothing until another node has done it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_rights_waits_for_another_after_a_crash() {
    let cluster = Cluster::start(&Options::new()).unwrap();
    cluster.sql(DATABASE, SETUP).unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    node.tick().await;
    cluster
        .sql(
            DATABASE,
            "CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader; GRANT USAGE ON SCHEMA highwater TO reader;
             GRANT SELECT ON ALL TABLES IN SCHEMA highwater TO reader; REVOKE EXECUTE ON FUNCTION highwater.settle() FROM public",
        )
        .unwrap();
    let reader = Node::new(&cluster.url(DATABASE).replace("postgres@", "reader@")).await;
    let mut copy = Copy::of(&reader).await;
    crash(&cluster, Crash::Kill);
    insert(&cluster, 1000);
    let outcome = copy.round(&reader).await;
    assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    Copy::of(&node).await;
    copy.round(&reader).await.unwrap();
    assert_eq!(copy.rows, rows(&cluster, DATABASE));
}
