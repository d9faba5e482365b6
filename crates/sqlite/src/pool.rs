//! Connections: several that read, one that writes.
//!
//! What must hold: a connection is used by one blocking task at a time and is never kept while a caller waits for anything
//! else; no transaction survives the task. A file that was replaced by another is noticed when a connection is taken, so the service goes on
//! with the new one without a restart. A read that nobody waits for any more is stopped: a client that asks and leaves cannot keep
//! connections busy. A write is never stopped for that reason.
//! What is deliberately absent: the async runtime's threads are never blocked by SQLite.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use highwater_core::Error;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::error::{Fault, spoils_connection};
use crate::functions;

/// Virtual machine instructions between two looks at the clock: well under a millisecond.
const INSTRUCTIONS_PER_CHECK: i32 = 5_000;
/// Statements that a connection keeps prepared.
const STATEMENTS_CACHED_MAX: usize = 128;

/// How connections are opened.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Duration,
    pub(crate) statement_timeout: Duration,
}

/// Pages that a reading connection keeps in memory, in KiB: a page of a round looks up rows all over its table.
const READER_CACHE_KIB: i64 = 16 * 1024;

/// Longest value that a statement with concatenations handles or makes: SQLite's own limit, a billion bytes, would let one request
/// take many gigabytes.
const CONCATENATED_MAX_BYTES: i32 = 64 * 1024 * 1024;

/// Lifts the limit on the length of values: whatever is stored can be read.
pub(crate) fn allow_long_values(connection: &Connection) -> rusqlite::Result<()> {
    // SQLite lowers it to what it was built for.
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
    Ok(())
}

/// Sets the limit on the length of values for the rest of the transaction if a statement could make them grow. Nothing else than
/// concatenation does.
pub(crate) fn bound_growth(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    if sql.contains("||") {
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, CONCATENATED_MAX_BYTES)?;
    }
    Ok(())
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read,
    Write,
}

/// A connection and what is known of it.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// The file that was opened, which may no longer be the file of that name.
    pub(crate) file: FileId,
    deadline: Arc<Deadline>,
    statement_timeout: Duration,
}

impl Session {
    /// How long a task that can stop early should go on.
    pub(crate) fn patience(&self) -> Duration {
        self.statement_timeout / 2
    }
}

/// Identity of a file, whatever its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// When the statement that runs must end.
struct Deadline {
    origin: Instant,
    /// Milliseconds after the origin.
    at_ms: AtomicU64,
    /// Whether the caller has left, for the task that runs.
    left: Mutex<Option<Arc<AtomicBool>>>,
}

/// Held by the caller of a task while it waits.
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Deadline {
    fn set(&self, timeout: Duration, left: Option<Arc<AtomicBool>>) {
        *self.lock_left() = left;
        let end = (self.origin.elapsed() + timeout).as_millis();
        self.at_ms
            .store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn clear(&self) {
        *self.lock_left() = None;
        self.at_ms.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let left = self.lock_left();
        left.as_ref()
            .is_some_and(|left| left.load(Ordering::Relaxed))
            || self.origin.elapsed().as_millis() > u128::from(self.at_ms.load(Ordering::Relaxed))
    }

    fn lock_left(&self) -> std::sync::MutexGuard<'_, Option<Arc<AtomicBool>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    /// Identity of the file of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if there is none.
    pub(crate) fn file(&self) -> Result<FileId, Error> {
        file_id(&self.path).map_err(|error| {
            let path = self.path.display();
            if error.kind() == std::io::ErrorKind::NotFound {
                Error::Unavailable(format!(
                    "There is no file {path}. Create the database first, or check the path."
                ))
            } else {
                Error::Unavailable(format!("The file {path} cannot be used: {error}."))
            }
        })
    }

    /// Opens a connection. Never creates a database.
    ///
    /// # Errors
    ///
    /// What [`Fault::tell`] makes of SQLite's error.
    pub(crate) fn open(&self, role: Role) -> Result<Session, Error> {
        let file = self.file()?;
        if self.path.is_dir() {
            return Err(Error::Unavailable(format!(
                "{} is a directory, not a database.",
                self.path.display()
            )));
        }
        let deadline = Arc::new(Deadline {
            origin: Instant::now(),
            at_ms: AtomicU64::new(u64::MAX),
            left: Mutex::new(None),
        });
        let connection = self
            .connect(role, Arc::clone(&deadline))
            .map_err(|error| Fault::from(error).tell(&self.path))?;
        Ok(Session {
            connection,
            file,
            deadline,
            statement_timeout: self.statement_timeout,
        })
    }

    fn connect(&self, role: Role, deadline: Arc<Deadline>) -> rusqlite::Result<Connection> {
        // SQLite itself falls back to read-only access where the file cannot be written. Readers need write access too: in WAL
        // mode they mark which state they read in a shared file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
        connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(move || deadline.is_over()))?;
        functions::register(&connection)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if role == Role::Read {
            connection.pragma_update(None, "query_only", true)?;
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        }
        // Reads the file's header for the first time: is it a database at all?
        connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> std::io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok(FileId(metadata.dev(), metadata.ino()))
}

/// Elsewhere an open file cannot be replaced.
#[cfg(not(unix))]
fn file_id(path: &Path) -> std::io::Result<FileId> {
    fs::metadata(path)?;
    Ok(FileId(0, 0))
}

/// The connections of a store.
pub(crate) struct Pool {
    pub(crate) access: Access,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
    writer: Arc<AsyncMutex<Option<Session>>>,
}

impl Pool {
    pub(crate) fn new(access: Access, readers: usize) -> Pool {
        Pool {
            access,
            idle: Mutex::new(Vec::with_capacity(readers)),
            permits: Arc::new(Semaphore::new(readers)),
            writer: Arc::new(AsyncMutex::new(None)),
        }
    }

    /// Runs a task with a reading connection, away from the async threads.
    ///
    /// # Errors
    ///
    /// Those of the task, and of opening a connection.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, task: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, Fault> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::Internal("the pool of connections is closed".into()))?;
        let pool = Arc::clone(self);
        let caller = Caller(Arc::default());
        let left = Arc::clone(&caller.0);
        blocking(move || {
            let session = pool.lock_idle().pop();
            let mut session = pool.current(session, Role::Read)?;
            let result = pool.timed(&mut session, Some(left), task);
            if !result.as_ref().is_err_and(spoils_connection) {
                pool.lock_idle().push(session);
            }
            drop(permit);
            result
        })
        .await
    }

    /// Runs a task with the writing connection, away from the async threads.
    ///
    /// # Errors
    ///
    /// Those of the task, and of opening the connection.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, task: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T, Fault> + Send + 'static,
    {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let pool = Arc::clone(self);
        blocking(move || {
            let mut session = pool.current(writer.take(), Role::Write)?;
            let result = pool.timed(&mut session, None, task);
            if !result.as_ref().is_err_and(spoils_connection) {
                *writer = Some(session);
            }
            result
        })
        .await
    }

    /// The connection, if its file is still the one of that name; else a new one.
    fn current(&self, session: Option<Session>, role: Role) -> Result<Session, Error> {
        let file = self.access.file()?;
        match session {
            Some(session) if session.file == file => Ok(session),
            _ => self.access.open(role),
        }
    }

    fn timed<T>(
        &self,
        session: &mut Session,
        left: Option<Arc<AtomicBool>>,
        task: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        session.deadline.set(self.access.statement_timeout, left);
        let result = task(session).map_err(|fault| fault.tell(&self.access.path));
        session.deadline.clear();
        result
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    task: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(task).await {
        Ok(result) => result,
        Err(error) => Err(Error::Internal(format!(
            "a database task ended early: {error}"
        ))),
    }
}
