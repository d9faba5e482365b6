//! Wake-ups against real servers. What a commit does is what capture does: an undo record, then the gate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use highwater_core::Wake;
use highwater_throwaway::{Cluster, Options, Session, Stop};
use tokio::time::timeout;

use super::session::{Means, Why};
use super::{Wakeups, ddl};
use crate::connect::Access;

/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for the gate to be armed, for notifications to arrive, and for several looks.
const QUIET: Duration = Duration::from_millis(400);
/// No look comes by itself: what notifications miss is missed.
const NEVER: Duration = Duration::from_secs(3600);

/// A cluster where capture may notify.
fn cluster() -> Cluster {
    Cluster::start(&Options::new().set("max_prepared_transactions", "0")).expect("a cluster")
}

fn set_up(session: &mut Session) {
    let check = ddl::CHECK;
    let sql = format!(
        "CREATE SCHEMA highwater;
         {}
         CREATE TABLE t(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, writer int, v int);
         CREATE TABLE highwater.history(seq bigint GENERATED ALWAYS AS IDENTITY, xid bigint);
         CREATE TABLE untracked(v int);
         CREATE FUNCTION highwater.capture() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             INSERT INTO highwater.history(xid) VALUES (pg_current_xact_id()::text::bigint);
             {check}
             RETURN NULL;
         END $$;
         CREATE TRIGGER highwater_t AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION highwater.capture();",
        ddl::OBJECTS
    );
    session.run(&sql).expect("the setup is valid SQL");
}

fn node(url: &str) -> Wakeups {
    Wakeups::with_safety(Access::parse(url).expect("a URL"), NEVER)
}

impl Wakeups {
    async fn woken(&self, after: Wake) -> Wake {
        let waited = timeout(PATIENCE, self.wait(after)).await;
        waited.expect("a wake-up").expect("it can wait")
    }

    /// Waits until nothing is left to be noticed, and the gate is armed.
    async fn settled(&self, mut wake: Wake) -> Wake {
        while let Ok(next) = timeout(QUIET, self.wait(wake)).await {
            wake = next.expect("it can wait");
        }
        wake
    }

    fn means(&self) -> Option<Means> {
        *self.shared.told.lock().expect("no panic")
    }
}

/// Does something on another thread while the runtime goes on.
async fn meanwhile<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// The runtimes that a test needs: several threads, so that writers do not hold up those who wait.
fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

#[test]
fn one_node_alone() {
    let cluster = Arc::new(cluster());
    run(async {
        let mut outside = cluster.session("postgres").expect("a session");
        set_up(&mut outside);
        let node = node(&cluster.url("postgres"));
        let wake = node.woken(Wake::default()).await;
        let mut wake = node.settled(wake).await;
        assert_eq!(node.means(), Some(Means::Notifications));

        // What is no commit of a tracked table wakes nobody.
        for statement in [
            "SELECT * FROM t",
            "BEGIN; INSERT INTO t(v) VALUES (1); ROLLBACK",
            "INSERT INTO untracked VALUES (1)",
        ] {
            outside.run(statement).expect(statement);
            assert!(
                timeout(QUIET, node.wait(wake)).await.is_err(),
                "{statement}"
            );
        }

        // Every kind of commit does, and soon.
        let mut delays = Vec::new();
        for statement in [
            "INSERT INTO t(v) VALUES (1)",
            "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; UPDATE t SET v = 2; COMMIT",
            "BEGIN; SAVEPOINT a; INSERT INTO t(v) VALUES (3); ROLLBACK TO a; UPDATE t SET v = 4; COMMIT",
            "BEGIN; SAVEPOINT a; INSERT INTO t(v) VALUES (5); RELEASE a; COMMIT",
            "BEGIN; INSERT INTO t(v) VALUES (6); SAVEPOINT a; UPDATE t SET v = 7; ROLLBACK TO a; COMMIT",
            "DELETE FROM t",
        ] {
            let cluster = Arc::clone(&cluster);
            let writing = meanwhile(move || {
                let mut outside = cluster.session("postgres").expect("a session");
                outside.run(statement).expect(statement);
                Instant::now()
            });
            let (next, committed) = tokio::join!(node.woken(wake), writing);
            delays.push(Instant::now().saturating_duration_since(committed));
            wake = node.settled(next).await;
        }
        assert!(delays.iter().all(|delay| *delay < QUIET), "{delays:?}");

        // A transaction that looked at the gate before it was armed.
        for statement in ["COMMIT", "ROLLBACK"] {
            wake = node.settled(wake).await;
            disarm(&mut outside);
            outside
                .run("BEGIN; INSERT INTO t(v) VALUES (8)")
                .expect("valid");
            // Anybody's notification makes the node disarm and arm again.
            let mut other = cluster.session("postgres").expect("a session");
            other.run("NOTIFY highwater, '5'").expect("valid");
            wake = node.settled(wake).await;
            outside.run(statement).expect("valid");
            let woken = timeout(QUIET, node.wait(wake)).await;
            wake = woken.expect("it was seen to end").expect("it can wait");
            wake = node.settled(wake).await;
        }

        // What is notified on the channel by others does no harm.
        outside
            .run("NOTIFY highwater; NOTIFY highwater, 'x'")
            .expect("valid");
        assert!(timeout(QUIET, node.wait(wake)).await.is_err());

        // The session goes with the node.
        drop(node);
        let sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'highwater'";
        let begin = Instant::now();
        while !outside.run(sessions).expect("valid").rows.is_empty() {
            assert!(begin.elapsed() < PATIENCE);
            tokio::task::yield_now().await;
        }
    });
}

fn disarm(session: &mut Session) {
    let sql = "SELECT setval('highwater.wake', -abs(last_value)) FROM highwater.wake";
    session.run(sql).expect("valid");
}

#[test]
fn several_nodes_hear_of_every_commit_though_many_write() {
    const WRITERS: u64 = 6;
    const COMMITS: u64 = 60;
    let cluster = Arc::new(cluster());
    run(async {
        let mut outside = cluster.session("postgres").expect("a session");
        set_up(&mut outside);
        let seen: Arc<[AtomicU64; 2]> = Arc::default();
        let followers: Vec<_> = (0..2)
            .map(|number| {
                let (cluster, seen) = (Arc::clone(&cluster), Arc::clone(&seen));
                tokio::spawn(async move {
                    let node = node(&cluster.url("postgres"));
                    let mut outside = cluster.session("postgres").expect("a session");
                    let (mut wake, mut calls) = (Wake::default(), 0);
                    while seen[number].load(Ordering::SeqCst) < WRITERS * COMMITS {
                        // Leaving early must lose nothing.
                        calls += 1;
                        let patience = match calls % 3 {
                            0 => Duration::from_millis(calls * 31 % 23),
                            _ => PATIENCE,
                        };
                        if let Ok(next) = timeout(patience, node.wait(wake)).await {
                            wake = next.expect("it can wait");
                            let count = outside.run("SELECT count(*) FROM t").expect("valid");
                            let count = count.rows[0][0].as_deref().and_then(|n| n.parse().ok());
                            seen[number].store(count.expect("a number"), Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let cluster = Arc::clone(&cluster);
                meanwhile(move || {
                    let mut session = cluster.session("postgres").expect("a session");
                    for n in 0..COMMITS {
                        let random = (writer * 7919 + n * 104_729) % 1000;
                        let pause = random as f64 / 40_000.0;
                        let sql = match random % 4 {
                            0 => format!("INSERT INTO t(writer) VALUES ({writer})"),
                            // It looks at the gate long before it commits.
                            1 => format!("BEGIN; INSERT INTO t(writer) VALUES ({writer}); SELECT pg_sleep({pause}); COMMIT"),
                            2 => format!("BEGIN; INSERT INTO t(writer) VALUES (1); ROLLBACK; SELECT pg_sleep({pause}); INSERT INTO t(writer) VALUES ({writer})"),
                            _ => format!("BEGIN; SELECT pg_sleep({pause}); INSERT INTO t(writer) VALUES ({writer}); SAVEPOINT a; UPDATE t SET v = 1 WHERE id < 0; ROLLBACK TO a; COMMIT"),
                        };
                        session.run(&sql).expect("valid");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await;
        }
        // The last commit too: without a look that comes by itself, only a wake-up lets a follower see it.
        for follower in followers {
            let ended = timeout(PATIENCE, follower).await;
            let counts: Vec<_> = seen.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            ended
                .unwrap_or_else(|_| panic!("seen {counts:?}"))
                .expect("no panic");
        }
    });
}

#[test]
fn a_restart_of_the_server_wakes_and_waiting_goes_on() {
    let cluster = Arc::new(cluster());
    run(async {
        set_up(&mut cluster.session("postgres").expect("a session"));
        let node = node(&cluster.url("postgres"));
        let mut wake = node.settled(node.woken(Wake::default()).await).await;
        for stop in [Stop::Fast, Stop::Immediate] {
            let restarted = Arc::clone(&cluster);
            let restarting = meanwhile(move || {
                restarted.stop(stop).expect("it stops");
                restarted.start_again().expect("it starts");
            });
            let (next, ()) = tokio::join!(node.woken(wake), restarting);
            wake = node.settled(next).await;
            let mut outside = cluster.session("postgres").expect("a session");
            outside.run("INSERT INTO t(v) VALUES (1)").expect("valid");
            wake = node.woken(wake).await;
            wake = node.settled(wake).await;
        }
        // One session ends, as a fire wall does it.
        let mut outside = cluster.session("postgres").expect("a session");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'highwater'";
        outside.run(cut).expect("valid");
        wake = node.woken(wake).await;
        wake = node.settled(wake).await;
        outside.run("INSERT INTO t(v) VALUES (1)").expect("valid");
        node.woken(wake).await;
    });
}

#[test]
fn without_notifications_it_looks() {
    // Transactions can be prepared here.
    let database = Cluster::shared().database().expect("a database");
    let mut outside = database.session().expect("a session");
    set_up(&mut outside);
    run(async {
        let node = node(&database.url());
        let mut wake = node.woken(Wake::default()).await;
        for statements in [
            "INSERT INTO t(v) VALUES (1)",
            "BEGIN; INSERT INTO t(v) VALUES (1); PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'",
        ] {
            // Others use the cluster too, so there is no silence to wait for.
            for statement in statements.split(';') {
                outside.run(statement).expect(statement);
            }
            wake = node.woken(wake).await;
        }
        assert_eq!(node.means(), Some(Means::Looks(Why::PreparedTransactions)));
    });
}

#[test]
fn behind_a_pooler_it_looks() {
    let cluster = cluster();
    let pooler = cluster.pooler().expect("PgBouncer");
    let mut outside = cluster.session("postgres").expect("a session");
    set_up(&mut outside);
    run(async {
        let node = node(&pooler.url("postgres"));
        let mut wake = node.settled(Wake::default()).await;
        assert_eq!(node.means(), Some(Means::Looks(Why::Pooler)));
        for _ in 0..3 {
            outside.run("INSERT INTO t(v) VALUES (1)").expect("valid");
            wake = node.woken(wake).await;
        }
    });
}

#[test]
fn a_role_without_rights_and_a_standby_look() {
    let cluster = cluster();
    let standby: OnceLock<Cluster> = OnceLock::new();
    run(async {
        let mut outside = cluster.session("postgres").expect("a session");
        set_up(&mut outside);
        outside
            .run("CREATE ROLE reader LOGIN; CREATE TABLE highwater.tick(id bigint); GRANT USAGE ON SCHEMA highwater TO reader; GRANT SELECT ON highwater.tick TO reader")
            .expect("valid");
        let reader = |cluster: &Cluster| cluster.url("postgres").replace("postgres@", "reader@");
        let node_of_reader = node(&reader(&cluster));
        let wake = node_of_reader.settled(Wake::default()).await;
        assert_eq!(node_of_reader.means(), Some(Means::Looks(Why::Rights)));
        outside.run("INSERT INTO t(v) VALUES (1)").expect("valid");
        node_of_reader.woken(wake).await;
        let standby = standby.get_or_init(|| cluster.standby(&Options::new()).expect("a standby"));
        let follower = node(&reader(standby));
        let wake = follower.settled(Wake::default()).await;
        assert_eq!(follower.means(), Some(Means::Looks(Why::Standby)));
        // Only what a tick shows can be read there.
        outside.run("INSERT INTO t(v) VALUES (1)").expect("valid");
        assert!(timeout(QUIET, follower.wait(wake)).await.is_err());
        outside
            .run("INSERT INTO highwater.tick VALUES (1)")
            .expect("valid");
        follower.woken(wake).await;
    });
}
