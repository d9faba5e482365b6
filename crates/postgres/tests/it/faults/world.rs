//! A table that programs write to, and what it contained at any snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use highwater_throwaway::{Cluster, Session};

/// The table `t`, and a log of it that only a test reads: which transaction gave a row which value (`NULL`: deleted it).
pub(crate) const SETUP: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, v bigint NOT NULL);
    CREATE TABLE log (seq bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL, id bigint NOT NULL, v bigint);
    CREATE FUNCTION log_t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO log(xid, id, v) VALUES (pg_current_xact_id(), CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END, CASE TG_OP WHEN 'DELETE' THEN NULL ELSE NEW.v END);
        RETURN NULL;
    END $$;
    CREATE TRIGGER log_t AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION log_t();
    INSERT INTO t SELECT n, 0 FROM generate_series(1, 40) AS n;";

/// The rows of `t` now.
pub(crate) fn rows(cluster: &Cluster, database: &str) -> BTreeMap<i64, i64> {
    pairs(cluster, database, "SELECT id, v FROM t")
}

/// The rows of `t` at a snapshot, from the log.
pub(crate) fn rows_at(cluster: &Cluster, database: &str, snapshot: &str) -> BTreeMap<i64, i64> {
    let sql = format!(
        "SELECT id, v FROM (SELECT DISTINCT ON (id) id, v FROM log \
         WHERE pg_visible_in_snapshot(xid, '{snapshot}') ORDER BY id, seq DESC) AS l WHERE v IS NOT NULL"
    );
    pairs(cluster, database, &sql)
}

fn pairs(cluster: &Cluster, database: &str, sql: &str) -> BTreeMap<i64, i64> {
    let number = |value: &Option<String>| value.as_deref().unwrap().parse::<i64>().unwrap();
    let rows = cluster.sql(database, sql).unwrap();
    rows.iter()
        .map(|row| (number(&row[0]), number(&row[1])))
        .collect()
}

/// The only value of a query.
pub(crate) fn value(cluster: &Cluster, database: &str, sql: &str) -> String {
    let rows = cluster.sql(database, sql).unwrap();
    rows[0][0].clone().unwrap_or_default()
}

/// Programs that write to `t` until they are told to stop. They connect again when they are cut.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// On the socket in this directory.
    pub(crate) fn start(cluster: &'static Cluster, database: &str, count: u64) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let commits = Arc::new(AtomicU64::new(0));
        let threads = (0..count).map(|number| {
            let (stop, commits, database) = (stop.clone(), commits.clone(), database.to_owned());
            std::thread::spawn(move || {
                let mut session: Option<Session> = None;
                let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1);
                while !stop.load(Ordering::Relaxed) {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let Some(open) = &mut session else {
                        session = cluster.session(&database).ok();
                        continue;
                    };
                    match open.run(&transaction(random >> 20)) {
                        Ok(_) => drop(commits.fetch_add(1, Ordering::Relaxed)),
                        Err(refusal) if refusal.code == "40P01" => {}
                        Err(_) => session = None,
                    }
                    std::thread::yield_now();
                }
            })
        });
        Writers {
            threads: threads.collect(),
            stop,
            commits,
        }
    }

    /// Waits until so many more transactions have committed.
    pub(crate) async fn more(&self, count: u64) {
        let until = self.commits.load(Ordering::Relaxed) + count;
        while self.commits.load(Ordering::Relaxed) < until {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn transaction(random: u64) -> String {
    let (a, b, kind) = (1 + random % 40, 1 + (random >> 8) % 40, (random >> 16) % 6);
    match kind {
        0 => format!("DELETE FROM t WHERE id = {a}"),
        1 => format!("INSERT INTO t VALUES ({a}, 1) ON CONFLICT (id) DO UPDATE SET v = t.v + 1"),
        2 => format!(
            "BEGIN; UPDATE t SET v = v + 1 WHERE id = {a}; SAVEPOINT s; DELETE FROM t WHERE id = {b}; ROLLBACK TO s; COMMIT"
        ),
        3 => format!("BEGIN; UPDATE t SET v = v + 1 WHERE id = {a}; ROLLBACK"),
        4 => "UPDATE t SET v = v + 1 WHERE id % 7 = 3".to_owned(),
        _ => format!(
            "BEGIN; UPDATE t SET v = v + 1 WHERE id = {a}; INSERT INTO t VALUES ({b}, 7) ON CONFLICT DO NOTHING; COMMIT"
        ),
    }
}
