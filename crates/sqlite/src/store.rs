//! [`SqliteStore`]: the verbs of a store on one SQLite file.
//!
//! What must hold: the async threads never wait for SQLite; a verb that meets another schema or another file than its caller knows says
//! so and touches nothing. What is deliberately absent: how a page is read or a row is written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use highwater_core::store::{
    ChangesParams, ChangesResult, ReadParams, ReadResult, StoreFuture, StoreStatus, WriteParams,
    WriteResult,
};
use highwater_core::{Catalog, Epoch, Error, KeyRing, RowSink, SealKey, Snapshot, Store, Wake};
use rusqlite::ErrorCode;

use crate::changes::changes;
use crate::facts::LeftOut;
use crate::failure::Failure;
use crate::pool::{Access, Pool};
use crate::quick::Quick;
use crate::read::read;
use crate::schema::Schema;
use crate::tracking::Policy;
use crate::wake::Wakeups;
use crate::write::write;
use crate::{introspect, meta, retention, status, tracking};

/// Undo records that one step of pruning deletes, so that writers never wait long for it.
const PRUNED_PER_STEP_MAX: u64 = 1_000;
/// How often the time of the current snapshot is noted and old history looked for.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a key seals new links until another one succeeds it. What it has sealed can be opened for ever.
const KEY_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Reading connections at least.
const READERS_MIN: usize = 2;

/// How a database is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tables are tracked.
    pub tracking: Policy,
    /// How long the history is kept.
    pub retention: Duration,
    /// Connections that read at the same time; the number of processors if 0.
    pub readers: usize,
    /// How long to wait for another program that holds the database locked.
    pub busy_timeout: Duration,
    /// How long one request may work on the database.
    pub statement_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tracking: Policy::All,
            retention: Duration::from_secs(7 * 24 * 3600),
            readers: 0,
            busy_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// A SQLite database with its history.
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Arc<Pool>,
    quick: Quick,
    wakeups: Arc<Wakeups>,
    tracking: Policy,
    retention: Duration,
    schema: RwLock<Arc<Schema>>,
    /// Held while the schema is read anew.
    reading: tokio::sync::Mutex<()>,
    keys: RwLock<Arc<KeyRing>>,
    /// Seals links where nothing is tracked and nothing can be written: for the life of this process.
    own_key: SealKey,
}

impl SqliteStore {
    /// Opens a database that exists, and begins to track what the options say. A database that cannot be written is served as it
    /// is.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], [`Error::Corrupt`] or [`Error::Busy`] if it cannot be opened, [`Error::Unsupported`] if the options
    /// name a table that cannot be tracked.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<SqliteStore, Error> {
        let access = Access {
            path: absolute(path.as_ref())?,
            busy_timeout: options.busy_timeout,
            statement_timeout: options.statement_timeout,
        };
        let processors = std::thread::available_parallelism().map_or(READERS_MIN, usize::from);
        let readers = match options.readers {
            0 => processors,
            readers => readers,
        };
        let pool = Arc::new(Pool::new(access, readers.max(READERS_MIN)));
        let own_key = SealKey::generate();
        let (schema, keys) = load(&pool, &options.tracking, &own_key, None).await?;
        let inner = Arc::new(Inner {
            wakeups: Wakeups::new(&pool.access),
            pool,
            quick: Quick::new(processors.max(READERS_MIN)),
            tracking: options.tracking,
            retention: options.retention,
            schema: RwLock::new(Arc::new(schema)),
            reading: tokio::sync::Mutex::new(()),
            keys: RwLock::new(Arc::new(keys)),
            own_key,
        });
        inner.reopen_quick().await;
        Ok(SqliteStore { inner })
    }

    /// Notes which snapshot is the current one, minute by minute, deletes history that is older than the retention, in small
    /// steps, and rotates the key that seals links every 30 days. Spawn it: it ends when the store is dropped.
    pub async fn maintain(store: Weak<SqliteStore>) {
        let mut interval = tokio::time::interval(MAINTENANCE_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let Some(store) = store.upgrade() else { return };
            if let Err(error) = store.maintain_once().await {
                tracing::warn!(%error, "the history cannot be maintained now; trying again later");
            }
        }
    }

    /// One round of [`Self::maintain`].
    ///
    /// # Errors
    ///
    /// Whatever the database says; nothing is lost, and the next round does what this one could not.
    pub async fn maintain_once(&self) -> Result<(), Error> {
        let inner = &self.inner;
        inner.reopen_quick().await;
        // Also without a request, so that the schema never changes often without being looked at.
        if inner.schema().pending || inner.current().await?.is_none() {
            let _reading = inner.reading.lock().await;
            inner.reload().await?;
        }
        if inner.schema().meta.is_none() {
            return Ok(());
        }
        let now = unix_s();
        let oldest =
            now.saturating_sub(i64::try_from(inner.retention.as_secs()).unwrap_or(i64::MAX));
        let tick = inner
            .pool
            .write(move |session| Ok(meta::tick(&mut session.connection, now)?))
            .await;
        match tick {
            // A database that cannot be written has no new history either.
            Err(Error::ReadOnly(_)) => return Ok(()),
            other => other?,
        }
        inner.rotate_key(now).await?;
        loop {
            let more = inner
                .pool
                .write(move |session| {
                    let connection = &mut session.connection;
                    match retention::horizon_for(connection, oldest)? {
                        Some(horizon) => Ok(retention::prune_step(
                            connection,
                            horizon,
                            PRUNED_PER_STEP_MAX,
                        )?),
                        None => Ok(false),
                    }
                })
                .await?;
            if !more {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Store for SqliteStore {
    fn catalog(&self) -> StoreFuture<'_, Arc<Catalog>> {
        Box::pin(async move {
            let inner = &self.inner;
            if let Some(schema) = inner.current().await? {
                return Ok(Arc::clone(&schema.catalog));
            }
            // One task reads the schema; the others, who wait here, find it read. They must get the same catalog: a catalog that
            // is read again is another one, and queries that were bound to the first would have to be bound again.
            let _reading = inner.reading.lock().await;
            if let Some(schema) = inner.current().await? {
                return Ok(Arc::clone(&schema.catalog));
            }
            inner.reload().await?;
            Ok(Arc::clone(&inner.schema().catalog))
        })
    }

    fn epoch(&self) -> StoreFuture<'_, Epoch> {
        Box::pin(async move {
            let schema = self.inner.schema();
            Ok(schema.meta.as_ref().map_or(Epoch(0), |meta| meta.epoch))
        })
    }

    fn key_ring(&self, refresh: bool) -> StoreFuture<'_, Arc<KeyRing>> {
        Box::pin(async move {
            let inner = &self.inner;
            if refresh && inner.schema().meta.is_some() {
                inner.refresh_keys().await?;
            }
            Ok(Arc::clone(
                &inner.keys.read().unwrap_or_else(PoisonError::into_inner),
            ))
        })
    }

    fn read(&self, params: ReadParams, mut sink: Box<dyn RowSink>) -> StoreFuture<'_, ReadResult> {
        Box::pin(async move {
            let schema = self.inner.schema();
            self.inner
                .pool
                .read(move |session| {
                    let page = read(session, &schema, &params, &mut *sink)?;
                    Ok(ReadResult {
                        hi: page.hi,
                        next: page.next,
                        count: page.count,
                        sink,
                    })
                })
                .await
        })
    }

    fn changes(
        &self,
        params: ChangesParams,
        mut sink: Box<dyn RowSink>,
    ) -> StoreFuture<'_, ChangesResult> {
        Box::pin(async move {
            let schema = self.inner.schema();
            self.inner
                .pool
                .read(move |session| {
                    let page = changes(session, &schema, &params, &mut *sink)?;
                    Ok(ChangesResult {
                        hi: page.hi,
                        next: page.next,
                        sink,
                    })
                })
                .await
        })
    }

    fn unchanged_since(&self, catalog: &Catalog, table: usize, lo: &Snapshot) -> Option<bool> {
        let schema = self.inner.schema();
        if !std::ptr::eq(catalog, &*schema.catalog) {
            return None;
        }
        self.inner
            .quick
            .unchanged_since(&self.inner.pool.access, &schema, table, lo)
    }

    fn wake(&self, after: Wake) -> StoreFuture<'_, Wake> {
        Box::pin(self.inner.wakeups.wait(after))
    }

    fn write(&self, params: WriteParams) -> StoreFuture<'_, WriteResult> {
        Box::pin(async move {
            let schema = self.inner.schema();
            // Announced by the task, which commits even if nobody waits for it any more.
            let wakeups = Arc::clone(&self.inner.wakeups);
            self.inner
                .pool
                .write(move |session| {
                    let written = write(session, &schema, &params)?;
                    wakeups.announce();
                    Ok(written)
                })
                .await
        })
    }

    fn status(&self) -> StoreFuture<'_, StoreStatus> {
        Box::pin(async move {
            self.inner
                .pool
                .read(|session| {
                    let transaction = session.connection.unchecked_transaction()?;
                    let loaded = introspect::load(&transaction)?;
                    Ok(status::load(&transaction, &loaded)?)
                })
                .await
        })
    }
}

impl Inner {
    fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a new key seal if the current one is too old, and learns of a key that another process has made.
    async fn rotate_key(&self, now_unix_s: i64) -> Result<(), Error> {
        let age_max_s = KEY_AGE_MAX.as_secs().cast_signed();
        let rotated = self
            .pool
            .write(move |session| {
                let connection = &mut session.connection;
                Ok(meta::rotate_old_key(connection, now_unix_s, age_max_s)?)
            })
            .await?;
        if rotated {
            tracing::info!("a new key seals links from now on; older links stay valid");
        }
        self.refresh_keys().await
    }

    async fn refresh_keys(&self) -> Result<(), Error> {
        // Else keys that were read before a reload could replace those of the file that it found.
        let _reading = self.reading.lock().await;
        let meta = self
            .pool
            .read(|session| Ok(meta::load(&session.connection)?))
            .await?;
        let keys = key_ring(meta.as_ref(), &self.own_key)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Reads the schema anew. The caller holds [`Self::reading`].
    async fn reload(self: &Arc<Self>) -> Result<(), Error> {
        let before = self.schema();
        let (schema, keys) = load(&self.pool, &self.tracking, &self.own_key, Some(before)).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schema);
        self.reopen_quick().await;
        Ok(())
    }

    /// The schema, if the database still has it.
    async fn current(&self) -> Result<Option<Arc<Schema>>, Error> {
        let schema = self.schema();
        if self.quick.is_current(&self.pool.access, &schema) == Some(true) {
            return Ok(Some(schema));
        }
        let checked = Arc::clone(&schema);
        let result = self
            .pool
            .read(move |session| checked.view(session, &checked.catalog).map(|_| ()))
            .await;
        match result {
            Ok(()) => Ok(Some(schema)),
            Err(Error::SchemaChanged) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the quick connections back after the file was replaced or could not be opened.
    async fn reopen_quick(self: &Arc<Self>) {
        let inner = Arc::clone(self);
        // Not for the result: without these connections the store is only slower.
        let _ = tokio::task::spawn_blocking(move || {
            if !inner.quick.looks_at(inner.schema().file) {
                inner.quick.open(&inner.pool.access);
            }
        })
        .await;
    }
}

/// Brings the tracking in order and reads the schema. Most of the time there is nothing to do, and nothing is written.
async fn load(
    pool: &Arc<Pool>,
    policy: &Policy,
    own_key: &SealKey,
    before: Option<Arc<Schema>>,
) -> Result<(Schema, KeyRing), Error> {
    let policy = policy.clone();
    let own_key = own_key.clone();
    pool.write(move |session| {
        let seen = before.filter(|schema| !schema.pending && schema.file == session.file);
        let seen = seen.map(|schema| schema.catalog.version);
        let pending = match tracking::ensure_after(&mut session.connection, &policy, seen) {
            Ok(ensured) => {
                tell(&ensured);
                false
            }
            Err(Failure::Sqlite(error)) if cannot_be_written(&error) => {
                tracing::warn!(%error, "the database cannot be written; serving what is there");
                true
            }
            Err(failure) => return Err(failure.into()),
        };
        let transaction = session.connection.unchecked_transaction()?;
        let loaded = introspect::load(&transaction)?;
        for LeftOut { name, error, .. } in &loaded.left_out {
            tracing::warn!(name, error, "not served, because SQLite cannot read it");
        }
        let meta = meta::load(&transaction)?;
        let keys = key_ring(meta.as_ref(), &own_key)?;
        Ok((Schema::new(loaded, meta, session.file, pending), keys))
    })
    .await
}

fn key_ring(meta: Option<&meta::Meta>, own_key: &SealKey) -> Result<KeyRing, Error> {
    let ring = match meta {
        Some(meta) => meta.key_ring(),
        None => KeyRing::new(own_key.id, [own_key.clone()]),
    };
    ring.ok_or_else(|| {
        Error::Corrupt(
            "The key that seals links is missing from highwater_key. Restore it, or untrack the database and track it again (old links end)."
                .into(),
        )
    })
}

fn tell(ensured: &tracking::Ensured) {
    for (tables, what) in [
        (&ensured.tracked, "tracking began"),
        (
            &ensured.renewed,
            "the schema has changed; tracking began anew",
        ),
        (&ensured.forgotten, "the table is gone; tracking ended"),
    ] {
        for table in tables {
            tracing::info!(table, "{what}");
        }
    }
}

fn cannot_be_written(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::DiskFull)
    )
}

/// SQLite takes a path that begins with `file:` for a URI; an absolute one never does.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| {
        Error::Unavailable(format!(
            "The path {} cannot be used: {error}.",
            path.display()
        ))
    })
}

fn unix_s() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
}
