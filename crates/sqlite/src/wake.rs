//! Wake-ups: who waits for a commit learns of it within milliseconds, whichever program made it.
//!
//! SQLite tells nobody that another process has committed, but `PRAGMA data_version` changes when one has, and asking for it costs
//! microseconds. So one thread asks every few milliseconds, for all that wait, and only as long as somebody does. Commits
//! through the store's own writing connection are announced at once.
//!
//! What must hold: the number is looked at in a connection of its own that never writes, so every commit changes it; what was seen last
//! outlives the thread, so a commit while nobody waited is noticed by the next who does. A look never waits for a lock.
//! What is deliberately absent: which table was changed. The first look at a file announces a commit, since there is nothing to compare
//! with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_core::{Error, Wake};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use crate::pool::{Access, Role, Session};

/// Between two looks at a database in WAL mode, where readers and writers never meet.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);
/// Between two looks at a database with a rollback journal: a look holds a shared lock for some microseconds, and a writer without a busy
/// timeout that commits just then would fail.
const LOCKING_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Between two attempts to open a file that is not there or is no database.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Those who wait for a commit, and what they wait with.
pub(crate) struct Wakeups {
    access: Access,
    /// How many commits were noticed, several at once counted as one. The receivers are those who wait.
    noticed: watch::Sender<u64>,
    watcher: Mutex<Watcher>,
}

/// Who looks at the database.
enum Watcher {
    /// A thread.
    Runs,
    /// Nobody; what the last thread left.
    Rests(Option<Observer>),
}

/// A connection and what it saw last.
struct Observer {
    session: Session,
    data_version: Option<i64>,
    interval: Duration,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Unchanged,
    Changed,
    /// The file was replaced, or the connection is of no use any more.
    Lost,
}

impl Wakeups {
    pub(crate) fn new(access: &Access) -> Arc<Wakeups> {
        Arc::new(Wakeups {
            access: Access {
                busy_timeout: Duration::ZERO,
                ..access.clone()
            },
            // Not 0, which is what the first call of a caller says.
            noticed: watch::Sender::new(1),
            watcher: Mutex::new(Watcher::Rests(None)),
        })
    }

    /// [`highwater_core::Store::wake`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if the system has no thread left.
    pub(crate) async fn wait(self: &Arc<Self>, after: Wake) -> Result<Wake, Error> {
        // Before the thread is looked for: a thread that ends sees this or is seen to have ended.
        let mut noticed = self.noticed.subscribe();
        if *noticed.borrow() == after.0 {
            self.watch()?;
        }
        // Another number than the newest one is older, or of another store: of neither can be told what it covers.
        match noticed.wait_for(|newest| *newest != after.0).await {
            Ok(newest) => Ok(Wake(*newest)),
            Err(_) => Err(Error::Internal("the sender is borrowed from self".into())),
        }
    }

    /// Wakes all that wait.
    pub(crate) fn announce(&self) {
        self.noticed.send_modify(|newest| *newest += 1);
    }

    fn watch(self: &Arc<Self>) -> Result<(), Error> {
        let mut watcher = self.lock();
        let Watcher::Rests(observer) = &mut *watcher else {
            return Ok(());
        };
        let observer = observer.take();
        let wakeups = Arc::clone(self);
        std::thread::Builder::new()
            .name("highwater-wake".to_owned())
            .spawn(move || wakeups.run(observer))
            .map_err(|error| {
                Error::Unavailable(format!(
                    "No thread can be started that waits for changes: {error}."
                ))
            })?;
        *watcher = Watcher::Runs;
        Ok(())
    }

    /// Looks until nobody waits any more.
    fn run(&self, mut observer: Option<Observer>) {
        loop {
            if observer.is_none() {
                observer = Observer::open(&self.access);
            }
            let mut pause = RETRY_INTERVAL;
            if let Some(opened) = &mut observer {
                match opened.look(&self.access) {
                    Look::Unchanged => pause = opened.interval,
                    Look::Changed => {
                        self.announce();
                        pause = opened.interval;
                    }
                    Look::Lost => observer = None,
                }
            }
            std::thread::park_timeout(pause);
            if self.noticed.receiver_count() == 0 {
                let mut watcher = self.lock();
                if self.noticed.receiver_count() == 0 {
                    *watcher = Watcher::Rests(observer);
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watcher> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer {
    fn open(access: &Access) -> Option<Observer> {
        Some(Observer {
            session: access.open(Role::Read).ok()?,
            data_version: None,
            interval: LOCKING_LOOK_INTERVAL,
        })
    }

    fn look(&mut self, access: &Access) -> Look {
        if access.file().ok() != Some(self.session.file) {
            return Look::Lost;
        }
        let connection = &self.session.connection;
        match data_version(connection) {
            Ok(version) if self.data_version == Some(version) => Look::Unchanged,
            Ok(version) => {
                self.data_version = Some(version);
                // Whoever changes the mode, which can happen at any time, commits.
                self.interval = match is_wal(connection) {
                    Ok(true) => LOOK_INTERVAL,
                    _ => LOCKING_LOOK_INTERVAL,
                };
                Look::Changed
            }
            // A writer is about to commit; the next look sees it.
            Err(error) if is_locked(&error) => Look::Unchanged,
            Err(_) => Look::Lost,
        }
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

fn is_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(mode: &str) -> (tempfile::TempDir, Connection, Access, Observer) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data.sqlite");
        let outside = Connection::open(&path).expect("a new database");
        outside
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, v)"
            ))
            .expect("valid SQL");
        let access = Access {
            path,
            busy_timeout: Duration::ZERO,
            statement_timeout: Duration::from_secs(30),
        };
        let observer = Observer::open(&access).expect("it opens");
        (directory, outside, access, observer)
    }

    #[test]
    fn a_look_finds_each_commit_once() {
        for (mode, interval) in [
            ("wal", LOOK_INTERVAL),
            ("delete", LOCKING_LOOK_INTERVAL),
            ("truncate", LOCKING_LOOK_INTERVAL),
        ] {
            let (_directory, outside, access, mut observer) = observed(mode);
            assert_eq!(observer.look(&access), Look::Changed, "{mode}: the first");
            assert_eq!(observer.interval, interval, "{mode}");
            for (statements, expected) in [
                ("SELECT * FROM t", Look::Unchanged),
                ("INSERT INTO t(v) VALUES (1)", Look::Changed),
                ("UPDATE t SET v = 2", Look::Changed),
                ("BEGIN; UPDATE t SET v = 3; ROLLBACK", Look::Unchanged),
                ("BEGIN; UPDATE t SET v = 4", Look::Unchanged),
                ("COMMIT", Look::Changed),
                ("ALTER TABLE t ADD w", Look::Changed),
                ("DELETE FROM t", Look::Changed),
            ] {
                outside.execute_batch(statements).expect(statements);
                assert_eq!(observer.look(&access), expected, "{mode}: {statements}");
                assert_eq!(observer.look(&access), Look::Unchanged, "{mode}");
            }
        }
    }

    #[test]
    fn a_locked_database_has_not_changed_yet() {
        let (_directory, outside, access, mut observer) = observed("delete");
        assert_eq!(observer.look(&access), Look::Changed);
        outside
            .execute_batch("BEGIN EXCLUSIVE; INSERT INTO t(v) VALUES (1)")
            .expect("nobody else has a lock");
        assert_eq!(observer.look(&access), Look::Unchanged);
        outside.execute_batch("COMMIT").expect("it commits");
        assert_eq!(observer.look(&access), Look::Changed);
    }

    #[test]
    fn a_change_of_the_journal_mode_is_noticed() {
        let (_directory, outside, access, mut observer) = observed("delete");
        assert_eq!(observer.look(&access), Look::Changed);
        outside
            .execute_batch("PRAGMA journal_mode = WAL; INSERT INTO t(v) VALUES (1)")
            .expect("nobody else has a lock");
        assert_eq!(observer.look(&access), Look::Changed);
        assert_eq!(observer.interval, LOOK_INTERVAL);
    }

    #[test]
    #[cfg(unix)]
    fn a_replaced_file_is_noticed() {
        let (directory, _outside, access, mut observer) = observed("wal");
        assert_eq!(observer.look(&access), Look::Changed);
        std::fs::rename(&access.path, directory.path().join("old.sqlite")).expect("it moves");
        assert_eq!(observer.look(&access), Look::Lost);
        assert!(Observer::open(&access).is_none());
    }

    #[tokio::test]
    async fn one_thread_looks_for_all_and_only_as_long_as_somebody_waits() {
        let (_directory, _outside, access, _) = observed("wal");
        let wakeups = Wakeups::new(&access);
        let rests = || matches!(*wakeups.lock(), Watcher::Rests(_));
        assert!(wakeups.wait(Wake::default()).await.is_ok());
        assert!(rests());
        {
            let mut waiting = [0; 3].map(|_| Box::pin(wakeups.wait(Wake(1))));
            for wait in &mut waiting {
                // The first look at the file wakes.
                assert_eq!(wait.await.ok(), Some(Wake(2)));
            }
            let mut waiting = [0; 3].map(|_| Box::pin(wakeups.wait(Wake(2))));
            for wait in &mut waiting {
                let short = tokio::time::timeout(Duration::from_millis(10), wait);
                assert!(short.await.is_err());
                assert!(!rests());
            }
        }
        while !rests() {
            tokio::task::yield_now().await;
        }
    }
}
