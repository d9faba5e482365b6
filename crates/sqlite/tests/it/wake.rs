//! Wake-ups: no commit is missed, whoever makes it and whoever waits.

use std::time::{Duration, Instant};

use highwater_core::store::{Input, WriteStep, WriteVerb};
use highwater_core::{Store as _, Wake};
use highwater_odata::Value;
use rusqlite::Connection;

use crate::serving::Served;

const SETUP: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, v)";
/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for several looks.
const QUIET: Duration = Duration::from_millis(60);

fn served(mode: &str) -> Served {
    Served::new(&format!("PRAGMA journal_mode = {mode}; {SETUP}"))
}

impl Served {
    fn wake(&self, after: Wake) -> Wake {
        self.wake_within(after, PATIENCE).expect("a wake-up")
    }

    fn wake_within(&self, after: Wake, patience: Duration) -> Option<Wake> {
        self.block_on(async {
            let wake = self.store.wake(after);
            let woken = tokio::time::timeout(patience, wake).await.ok()?;
            Some(woken.expect("it can wait"))
        })
    }

    /// Waits until nothing is left to be noticed.
    fn settle(&self) -> Wake {
        self.settle_after(Wake::default())
    }

    fn settle_after(&self, mut wake: Wake) -> Wake {
        while let Some(next) = self.wake_within(wake, QUIET) {
            wake = next;
        }
        wake
    }
}

#[test]
fn the_first_call_returns_at_once_and_then_only_a_commit_wakes() {
    for mode in ["wal", "delete"] {
        let served = served(mode);
        let first = served.wake(Wake::default());
        assert_ne!(first, Wake::default());
        let settled = served.settle();
        served.sql("SELECT * FROM t");
        served.sql("BEGIN; INSERT INTO t(v) VALUES (0); ROLLBACK");
        assert_eq!(served.wake_within(settled, QUIET), None, "{mode}");
    }
}

#[test]
fn a_commit_of_another_program_wakes_soon() {
    for mode in ["wal", "delete"] {
        let served = served(mode);
        let mut wake = served.settle();
        let mut delays = Vec::new();
        for n in 0..20 {
            let path = served.path.clone();
            let writer = std::thread::spawn(move || {
                let outside = Connection::open(path).unwrap();
                outside.busy_timeout(PATIENCE).unwrap();
                // While the store waits, at another point of its rhythm each time.
                std::thread::park_timeout(Duration::from_micros(10_000 + n * 730));
                outside.execute("INSERT INTO t(v) VALUES (1)", []).unwrap();
                Instant::now()
            });
            wake = served.wake(wake);
            let woken = Instant::now();
            delays.push(woken.saturating_duration_since(writer.join().unwrap()));
            wake = served.settle_after(wake);
        }
        delays.sort();
        let median = delays[delays.len() / 2];
        assert!(median < Duration::from_millis(250), "{mode}: {delays:?}");
    }
}

#[test]
fn no_commit_is_missed_by_a_follower_that_leaves_and_comes_back() {
    const ROWS: i64 = 300;
    for mode in ["wal", "delete"] {
        let served = served(mode);
        let path = served.path.clone();
        let writer = std::thread::spawn(move || {
            let outside = Connection::open(path).unwrap();
            outside.busy_timeout(PATIENCE).unwrap();
            outside.pragma_update(None, "synchronous", false).unwrap();
            for n in 0..ROWS {
                outside.execute("INSERT INTO t(v) VALUES (1)", []).unwrap();
                std::thread::park_timeout(Duration::from_micros(n.unsigned_abs() * 7919 % 9000));
            }
        });
        let begin = Instant::now();
        let (mut wake, mut seen, mut calls) = (Wake::default(), 0, 0);
        while seen < ROWS {
            assert!(begin.elapsed() < PATIENCE, "{mode}: {seen} of {ROWS}");
            let patience = Duration::from_millis(calls * 31 % 17);
            calls += 1;
            // Leaving early must lose nothing.
            if let Some(next) = served.wake_within(wake, patience) {
                wake = next;
                seen = served
                    .outside
                    .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                    .unwrap();
            }
        }
        writer.join().unwrap();
    }
}

#[test]
fn the_stores_own_writes_wake_at_once() {
    let served = served("wal");
    let wake = served.settle();
    served
        .write(vec![WriteStep {
            table: served.query("t").table,
            verb: WriteVerb::Insert {
                values: vec![(1, Input::Value(Value::Integer(1)))],
            },
            scope: None,
        }])
        .unwrap();
    // Not even a thread has to be started for it.
    assert!(served.wake_within(wake, Duration::ZERO).is_some());
}

#[test]
fn a_value_of_another_store_covers_nothing() {
    let served = served("wal");
    assert!(served.wake_within(Wake(u64::MAX), Duration::ZERO).is_some());
}

#[test]
fn many_wait_and_all_of_them_wake() {
    let served = served("wal");
    let wake = served.settle();
    served.block_on(async {
        let waiting: Vec<_> = (0..100).map(|_| served.store.wake(wake)).collect();
        let writer = async {
            served.sql("INSERT INTO t(v) VALUES (1)");
        };
        let all = async {
            for one in waiting {
                assert_ne!(one.await.unwrap(), wake);
            }
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(all, writer) })
            .await
            .unwrap();
    });
}

#[test]
#[cfg(unix)]
fn a_file_that_goes_and_comes_back_wakes() {
    let served = served("wal");
    let wake = served.settle();
    let away = served.path.with_extension("away");
    served.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let wake = served.settle_after(wake);
    std::fs::rename(&served.path, &away).unwrap();
    assert_eq!(served.wake_within(wake, QUIET), None);
    std::fs::copy(&away, &served.path).unwrap();
    served.wake(wake);
}
