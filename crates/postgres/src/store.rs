//! [`PostgresStore`]: the verbs of a store on one PostgreSQL database, on any number of nodes at the same time.
//!
//! What must hold: nothing that another node may change is believed without a look at the database in the transaction that uses it; a
//! verb that meets another schema than its caller knows says so. What is deliberately absent: how a page is read or a row is written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use highwater_core::store::{
    ChangesParams, ChangesResult, ReadParams, ReadResult, StoreFuture, StoreStatus, Wake,
    WriteParams, WriteResult,
};
use highwater_core::tracking::{Ensured, Policy};
use highwater_core::{Catalog, Epoch, Error, KeyRing, RowSink, SealKey, Snapshot, Store, Tracking};
use tokio_postgres::Client;

use crate::changes::changes;
use crate::connect::Access;
use crate::error::{Fault, is_connection_lost, translate};
use crate::introspect::{self, Signature};
use crate::meta::Meta;
use crate::pool::{Pool, Session};
use crate::read::read;
use crate::schema::{Schema, TableFacts};
use crate::tracking::{Effort, Outcome};
use crate::wake::Wakeups;
use crate::write::write;
use crate::{maintain, status, tracking};

/// How a database is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tables are tracked.
    pub tracking: Policy,
    /// How long the history is kept.
    pub retention: Duration,
    /// Connections that work at the same time, besides one that listens.
    pub connections: usize,
    /// How long one statement of a request may take.
    pub statement_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tracking: Policy::All,
            retention: Duration::from_secs(7 * 24 * 3600),
            connections: 10,
            statement_timeout: Duration::from_secs(30),
        }
    }
}

/// A PostgreSQL database with its history.
pub struct PostgresStore {
    pub(crate) inner: Arc<Inner>,
}

/// What the store's tasks share.
pub(crate) struct Inner {
    pub(crate) pool: Arc<Pool>,
    pub(crate) retention: Duration,
    pub(crate) wakeups: Wakeups,
    tracking: Policy,
    schema: RwLock<Arc<Schema>>,
    keys: RwLock<Arc<KeyRing>>,
    looked: Mutex<Looked>,
    /// Held while the schema is read anew.
    reading: tokio::sync::Mutex<()>,
    /// Seals links where nothing is tracked and nothing can be written: for the life of this process.
    own_key: SealKey,
}

/// What the last look at the schema found.
struct Looked {
    /// `None` if a verb has met another schema since.
    at: Option<Instant>,
    signature: Signature,
    /// When the tracking is to be brought in order, if the application was in the way.
    again: Option<Again>,
}

/// Another effort, after one that did not succeed.
#[derive(Clone, Copy)]
struct Again {
    at: Instant,
    waited: Duration,
}

/// The time between two efforts, which doubles from one to the other: each one holds up requests and the table's writers for a moment.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);

impl Again {
    fn after(effort: Effort, last: Option<Again>) -> Again {
        let waited = match last {
            Some(last) if effort == Effort::Again => (last.waited * 2).min(AGAIN_MAX),
            _ => AGAIN_MIN,
        };
        Again {
            at: Instant::now() + waited,
            waited,
        }
    }
}

impl PostgresStore {
    /// Opens the database at a `postgres://` URL, and begins to track what the options say. A database that cannot be written (a
    /// standby, or a role that may only read) is served as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if it cannot be reached, [`Error::Unsupported`] if the URL or the options cannot be followed.
    pub async fn open(url: &str, options: Options) -> Result<PostgresStore, Error> {
        let access = Access::parse(url)?;
        let pool = Arc::new(Pool::new(
            access.clone(),
            options.connections.max(1),
            options.statement_timeout,
        ));
        let own_key = SealKey::generate();
        let (schema, is_incomplete) = load(&pool, &options.tracking, Effort::Thorough).await?;
        let keys = key_ring(schema.meta.as_ref(), &own_key).ok_or_else(no_key)?;
        Ok(PostgresStore {
            inner: Arc::new(Inner {
                wakeups: Wakeups::new(access),
                pool,
                retention: options.retention,
                tracking: options.tracking,
                looked: Mutex::new(Looked {
                    at: Some(Instant::now()),
                    signature: schema.signature.clone(),
                    again: is_incomplete.then(|| Again::after(Effort::Thorough, None)),
                }),
                schema: RwLock::new(Arc::new(schema)),
                keys: RwLock::new(Arc::new(keys)),
                reading: tokio::sync::Mutex::new(()),
                own_key,
            }),
        })
    }

    /// Records which snapshot is the current one, deletes history that is older than the retention, in small steps, and rotates the
    /// key that seals links. On one node at a time, whichever comes first. Spawn it: it ends when the store is dropped.
    pub async fn maintain(store: Weak<PostgresStore>) {
        maintain::run(store).await;
    }
}

impl Store for PostgresStore {
    fn catalog(&self) -> StoreFuture<'_, Arc<Catalog>> {
        Box::pin(async move { Ok(Arc::clone(&self.inner.current().await?.catalog)) })
    }

    fn epoch(&self) -> StoreFuture<'_, Epoch> {
        Box::pin(async move {
            let schema = self.inner.schema();
            Ok(schema.meta.as_ref().map_or(Epoch(0), |meta| meta.epoch))
        })
    }

    fn key_ring(&self, refresh: bool) -> StoreFuture<'_, Arc<KeyRing>> {
        Box::pin(async move {
            if refresh {
                self.inner.refresh_keys().await?;
            }
            let keys = self.inner.keys.read();
            Ok(Arc::clone(&keys.unwrap_or_else(PoisonError::into_inner)))
        })
    }

    fn read(&self, params: ReadParams, mut sink: Box<dyn RowSink>) -> StoreFuture<'_, ReadResult> {
        Box::pin(async move {
            let inner = &self.inner;
            let schema = inner.schema_of(&params.catalog)?;
            let page = read(&inner.pool, &schema, &params, &mut *sink).await;
            let page = page.map_err(|fault| inner.tell(fault.tell()))?;
            Ok(ReadResult {
                hi: page.hi,
                next: page.next,
                count: page.count,
                sink,
            })
        })
    }

    fn changes(
        &self,
        params: ChangesParams,
        mut sink: Box<dyn RowSink>,
    ) -> StoreFuture<'_, ChangesResult> {
        Box::pin(async move {
            let inner = &self.inner;
            let schema = inner.schema_of(&params.catalog)?;
            let page = changes(&inner.pool, &schema, &params, &mut *sink).await;
            let page = page.map_err(|fault| inner.tell(fault.tell()))?;
            Ok(ChangesResult {
                hi: page.hi,
                next: page.next,
                sink,
            })
        })
    }

    /// Never known without asking the database: other nodes and programs write to it.
    fn unchanged_since(&self, _: &Catalog, _: usize, _: &Snapshot) -> Option<bool> {
        None
    }

    fn wake(&self, after: Wake) -> StoreFuture<'_, Wake> {
        Box::pin(self.inner.wakeups.wait(after))
    }

    fn write(&self, params: WriteParams) -> StoreFuture<'_, WriteResult> {
        Box::pin(async move {
            let inner = &self.inner;
            let schema = inner.schema_of(&params.catalog)?;
            let written = write(&inner.pool, &schema, &params).await;
            written.map_err(|error| inner.tell(error))
        })
    }

    fn status(&self) -> StoreFuture<'_, StoreStatus> {
        Box::pin(async move {
            let mut session = self.inner.pool.session().await?;
            let status = status::load(&mut session).await?;
            session.done();
            Ok(status)
        })
    }
}

impl Inner {
    /// The schema as it was read last.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The schema that a query was bound to.
    fn schema_of(&self, catalog: &Arc<Catalog>) -> Result<Arc<Schema>, Error> {
        let schema = self.schema();
        if Arc::ptr_eq(catalog, &schema.catalog) {
            Ok(schema)
        } else {
            Err(Error::SchemaChanged)
        }
    }

    /// Remembers that the schema has to be read anew, if that is what an error says.
    pub(crate) fn tell(&self, error: Error) -> Error {
        if matches!(error, Error::SchemaChanged) {
            self.looked().at = None;
        }
        error
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schema as the database has it now: of a look that began after the call. Who calls at the same time shares it.
    pub(crate) async fn current(&self) -> Result<Arc<Schema>, Error> {
        let asked = Instant::now();
        // One task looks; the others, who wait here, find that it has. They must get the same catalog: one that is read again is
        // another, and queries that were bound to the first would have to be bound again.
        let _reading = self.reading.lock().await;
        let is_looked_at = self.looked().at.is_some_and(|at| at >= asked);
        if self.looked().again.is_some_and(|again| again.at <= asked) {
            self.reload(Effort::Again).await?;
        } else if !is_looked_at && !self.is_unchanged().await? {
            self.reload(Effort::Short).await?;
        }
        Ok(self.schema())
    }

    /// Asks the database whether the schema is still that of the last look. The caller holds [`Self::reading`].
    async fn is_unchanged(&self) -> Result<bool, Error> {
        let (met_another, last) = {
            let looked = self.looked();
            (looked.at.is_none(), looked.signature.clone())
        };
        if met_another {
            return Ok(false);
        }
        loop {
            let session = self.pool.session().await?;
            let now = Instant::now();
            match introspect::signature(&*session, &last).await {
                Ok(signature) => {
                    session.done();
                    let is_unchanged = signature == last;
                    if is_unchanged {
                        let mut looked = self.looked();
                        looked.at = Some(now);
                        looked.signature = signature;
                    }
                    return Ok(is_unchanged);
                }
                Err(error) if !is_connection_lost(&error) => {
                    session.done();
                    tracing::debug!(%error, "the schema is read anew");
                    return Ok(false);
                }
                Err(_) if session.is_reused() => self.pool.forget_idle(),
                Err(error) => return Err(translate(&error)),
            }
        }
    }

    /// Reads the schema anew. The caller holds [`Self::reading`].
    async fn reload(&self, effort: Effort) -> Result<(), Error> {
        let now = Instant::now();
        let (schema, is_incomplete) = load(&self.pool, &self.tracking, effort).await?;
        self.set_keys(key_ring(schema.meta.as_ref(), &self.own_key))?;
        {
            let mut looked = self.looked();
            looked.at = Some(now);
            looked.signature = schema.signature.clone();
            looked.again = is_incomplete.then(|| Again::after(effort, looked.again));
        }
        // A catalog with the same version says the same; whoever was bound to it need not be bound again.
        let last = self.schema();
        if schema.catalog.version != last.catalog.version {
            tracing::info!("the schema of the database has changed");
            tell_paused(&schema);
            if schema.in_recovery != last.in_recovery {
                // The idle connections may lead to the other server still.
                self.pool.forget_idle();
            }
            *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schema);
        }
        Ok(())
    }

    /// Learns of keys that another node has made.
    pub(crate) async fn refresh_keys(&self) -> Result<(), Error> {
        if self.schema().meta.is_none() {
            return Ok(());
        }
        // Else keys that were read before a reload could replace those that it found.
        let _reading = self.reading.lock().await;
        let session = self.pool.live_session().await?;
        let keys = read_keys(&session).await.map_err(Fault::tell)?;
        session.done();
        self.set_keys(keys)
    }

    fn set_keys(&self, keys: Option<KeyRing>) -> Result<(), Error> {
        let keys = Arc::new(keys.ok_or_else(no_key)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Brings the tracking in order and reads the schema. Most of the time there is nothing to do, and nothing is written. Tells also whether
/// another effort is needed.
async fn load(pool: &Arc<Pool>, policy: &Policy, effort: Effort) -> Result<(Schema, bool), Error> {
    let mut session: Session = pool.live_session().await?;
    let outcome = match tracking::ensure(&mut session, policy, effort).await {
        Ok(outcome) => outcome,
        Err(error @ Error::ReadOnly(_)) => excused(
            &error,
            effort,
            "nothing can be tracked; serving what is there",
        ),
        // The options were right once; what is there may be another schema now.
        Err(error @ Error::Unsupported(_)) if effort != Effort::Thorough => {
            excused(&error, effort, "the tracking is left as it is")
        }
        Err(error) => return Err(error),
    };
    tell(&outcome.ensured);
    let schema = match outcome.schema {
        Some(schema) => schema,
        None => introspect::load(&mut session).await?,
    };
    session.done();
    // A store that tracks nothing is opened to have a look at the database; the one that is opened then says it.
    let is_look = matches!(policy, Policy::Only(tables) if tables.is_empty());
    if effort == Effort::Thorough && !is_look {
        warn(&schema, policy);
    }
    Ok((schema, outcome.is_incomplete))
}

/// What comes of an effort that could do nothing: another one. Once is enough for everybody but who looks for more.
fn excused(error: &Error, effort: Effort, what: &str) -> Outcome {
    match effort {
        Effort::Thorough | Effort::Short => tracing::warn!(%error, "{what}"),
        Effort::Again | Effort::Glance => tracing::debug!(%error, "{what}"),
    }
    Outcome {
        is_incomplete: true,
        ..Outcome::default()
    }
}

/// Tells what is not served, and what is not tracked although it should be.
fn warn(schema: &Schema, policy: &Policy) {
    for left_out in &schema.left_out {
        tracing::warn!(
            schema = left_out.schema,
            name = left_out.name,
            "not served: {}",
            left_out.reason
        );
    }
    let untracked: Vec<String> = schema
        .facts
        .iter()
        .filter(|facts| {
            facts.obstacle.is_none()
                && facts.tracked.is_none()
                && tracking::is_wanted(facts, policy)
        })
        .map(TableFacts::label)
        .collect();
    if !untracked.is_empty() {
        tracing::warn!(
            tables = untracked.join(", "),
            "served without delta links, because this role cannot track them (or something has locked them); highwater status tells more"
        );
    }
}

/// Tells which links are answered 503, and until when.
fn tell_paused(schema: &Schema) {
    for (table, facts) in schema.catalog.tables.iter().zip(&schema.facts) {
        if let Tracking::Paused { reason, .. } = &table.tracking {
            tracing::warn!(
                table = facts.label(),
                "its links are answered 503 for now. {reason}"
            );
        }
    }
}

fn key_ring(meta: Option<&Meta>, own_key: &SealKey) -> Option<KeyRing> {
    match meta {
        Some(meta) => meta.key_ring(),
        None => KeyRing::new(own_key.id, [own_key.clone()]),
    }
}

/// The keys as they are now.
async fn read_keys(client: &Client) -> Result<Option<KeyRing>, Fault> {
    let sql = "SELECT m.current_key, k.id, k.secret FROM highwater.meta AS m CROSS JOIN highwater.seal_key AS k ORDER BY k.id";
    let rows = client.query_typed(sql, &[]).await?;
    let mut keys = Vec::with_capacity(rows.len());
    let mut current = 0;
    for row in &rows {
        current = row.try_get::<_, i32>(0)?.cast_unsigned();
        keys.push(SealKey {
            id: row.try_get::<_, i32>(1)?.cast_unsigned(),
            secret: row.try_get::<_, &[u8]>(2)?.try_into().unwrap_or_default(),
        });
    }
    Ok(KeyRing::new(current, keys))
}

fn no_key() -> Error {
    Error::Corrupt(
        "The key that seals links is missing from highwater.seal_key. Restore it, or untrack the database and track it again (old links end)."
            .into(),
    )
}

fn tell(ensured: &Ensured) {
    for (tables, what) in [
        (&ensured.tracked, "tracking began"),
        (
            &ensured.renewed,
            "the schema has changed; tracking began anew",
        ),
        (
            &ensured.extended,
            "new partitions are tracked too; links go on",
        ),
        (&ensured.forgotten, "tracking ended"),
    ] {
        for table in tables {
            tracing::info!(table, "{what}");
        }
    }
}
