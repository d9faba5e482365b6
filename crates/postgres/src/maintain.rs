//! What has to be done from time to time, on one node at a time.
//!
//! - Ticks ([`tick`]): the snapshot of the moment, with its time. Standbys serve the newest one that they know; links name one as their
//!   anchor; and they tell what is old enough to be forgotten.
//! - Pruning ([`prune`]): history that is older than the retention.
//! - Keys ([`keys`]): a new one seals from time to time.
//! - The schema is looked at, so that new and altered tables are tracked although nobody asks.
//!
//! What must hold: every step is one short transaction that first takes the lock and then looks whether the step is still to be done, and
//! whether the tables are still of a format that this program knows, so any number of nodes of any version may try, none depends on
//! another, and a pooler may stand between. Whoever dies leaves nothing behind.
//! What is deliberately absent: a leader that is elected. Where nothing may be written (a standby, a role without the rights), nothing is
//! done and nothing is complained of; a setting that forbids it is told.

mod keys;
mod prune;
mod tick;

use std::mem::Discriminant;
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_core::Error;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_postgres::{IsolationLevel, Transaction};

use crate::error::Fault;
use crate::own_schema::{self, State};
use crate::pool::{Pool, Session};
use crate::store::{Inner, PostgresStore};

/// The first half of the advisory locks of [`Step`].
pub(crate) const LOCKS: i32 = 0x6877_6d61; // "hwma"
/// How often it is looked whether a tick is due: so old may be what a standby serves.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the schema is looked at.
const SCHEMA_INTERVAL: Duration = Duration::from_secs(10);
/// How often everything else is done.
const ROUND_INTERVAL: Duration = Duration::from_secs(60);

/// [`PostgresStore::maintain`].
pub(crate) async fn run(store: Weak<PostgresStore>) {
    let mut interval = tokio::time::interval(TICK_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut maintenance = Maintenance::default();
    let mut troubles = Troubles::default();
    loop {
        interval.tick().await;
        let Some(store) = store.upgrade() else { return };
        let done = maintenance.go_on(&store.inner).await;
        troubles.tell(done);
    }
}

impl PostgresStore {
    /// One round of [`Self::maintain`], with everything that is due.
    ///
    /// # Errors
    ///
    /// Whatever the database says; nothing is lost, and the next round does what this one could not.
    pub async fn maintain_once(&self) -> Result<(), Error> {
        let mut maintenance = Maintenance {
            tick_spacing: Duration::ZERO,
            ..Maintenance::default()
        };
        maintenance.go_on(&self.inner).await
    }
}

/// What a node remembers of its own rounds.
struct Maintenance {
    /// Two ticks are at least so far apart.
    tick_spacing: Duration,
    quiet: tick::Quiet,
    pruned: prune::Pruned,
    /// Whether this role may maintain this database, as far as is known.
    is_able: bool,
    /// Whether it was told that a setting forbids the maintenance.
    is_forbidden: bool,
    schema_at: Instant,
    round_at: Instant,
}

impl Default for Maintenance {
    fn default() -> Self {
        let now = Instant::now();
        Maintenance {
            tick_spacing: TICK_INTERVAL,
            quiet: tick::Quiet::default(),
            pruned: prune::Pruned::default(),
            is_able: false,
            is_forbidden: false,
            schema_at: now,
            round_at: now,
        }
    }
}

impl Maintenance {
    /// Does what is due now.
    async fn go_on(&mut self, inner: &Inner) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.schema_at {
            self.schema_at = now + SCHEMA_INTERVAL;
            // Until it is known: a newer version may have changed everything.
            self.is_able = false;
            let schema = inner.current().await?;
            // Where nothing is tracked, there is nothing to look after.
            if schema.meta.is_some() {
                let ability = ability(&inner.pool).await?;
                self.is_able = ability == Ability::Able;
                self.tell_forbidden(ability == Ability::Forbidden);
            }
        }
        if self.is_able {
            tick::record(&inner.pool, self.tick_spacing, &mut self.quiet).await?;
        }
        if now >= self.round_at {
            self.round_at = now + ROUND_INTERVAL;
            if self.is_able {
                if keys::rotate(&inner.pool).await? {
                    tracing::info!("a new key seals links from now on; older links stay valid");
                }
                prune::prune(&inner.pool, inner.retention, &mut self.pruned).await?;
            }
            // Another node may have made it.
            inner.refresh_keys().await?;
        }
        Ok(())
    }

    /// Says it once.
    fn tell_forbidden(&mut self, is_forbidden: bool) {
        if is_forbidden && !self.is_forbidden {
            tracing::warn!(
                "default_transaction_read_only is on for this role, so this service does not maintain the history: it prunes nothing and \
                 records no tick; another service has to, or switch the setting off"
            );
        }
        self.is_forbidden = is_forbidden;
    }
}

/// Whether this role may maintain this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ability {
    Able,
    /// A standby, or a role without the rights: others are meant to.
    Unable,
    /// It has the rights, and a setting that forbids all writing. The database could be written all the same, but whoever set that
    /// wanted nothing to be written.
    Forbidden,
}

async fn ability(pool: &Arc<Pool>) -> Result<Ability, Error> {
    let session = pool.live_session().await?;
    let sql = "SELECT pg_catalog.current_setting('transaction_read_only') = 'off', NOT pg_catalog.pg_is_in_recovery() \
        AND pg_catalog.has_table_privilege('highwater.tick', 'INSERT') AND pg_catalog.has_table_privilege('highwater.tick', 'DELETE') \
        AND pg_catalog.has_table_privilege('highwater.seal_key', 'INSERT') AND pg_catalog.has_table_privilege('highwater.meta', 'UPDATE') \
        AND pg_catalog.has_table_privilege('highwater.registered', 'UPDATE')";
    let ability = async {
        let row = session.query_typed_one(sql, &[]).await?;
        Ok::<_, Fault>(match (row.try_get(0)?, row.try_get(1)?) {
            (true, true) => Ability::Able,
            (false, true) => Ability::Forbidden,
            (_, false) => Ability::Unable,
        })
    };
    let ability = ability.await.map_err(Fault::tell)?;
    session.done();
    Ok(ability)
}

/// The kinds of steps. Who does one holds its advisory lock until the end of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Also taken by `highwater.settle()`.
    Tick = 1,
    Key = 2,
    Prune = 3,
}

/// Does one step in a transaction of its own. `None` if another node is at it.
async fn step<T>(
    pool: &Arc<Pool>,
    step: Step,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Error> {
    let mut session = pool.live_session().await?;
    let result = step_in(&mut session, pool.settings(), step, work).await;
    if result.is_ok() {
        session.done();
    }
    result.map_err(Fault::tell)
}

async fn step_in<T>(
    session: &mut Session,
    settings: &str,
    step: Step,
    work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let transaction = session
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?;
    transaction.batch_execute(settings).await?;
    // Nor while somebody changes the tables: those who do hold the second lock alone.
    let lock = format!(
        "SELECT pg_catalog.pg_try_advisory_xact_lock({LOCKS}, {}) AND pg_catalog.pg_try_advisory_xact_lock_shared({})",
        step as i32,
        own_schema::LOCK
    );
    let is_ours: bool = transaction.query_typed_one(&lock, &[]).await?.try_get(0)?;
    let result = if is_ours && own_schema::state(&transaction).await? == State::Current {
        Some(work(&transaction).await?)
    } else {
        None
    };
    transaction.commit().await?;
    Ok(result)
}

/// Tells each kind of trouble once, until all is well again.
#[derive(Default)]
struct Troubles {
    told: Vec<Discriminant<Error>>,
}

impl Troubles {
    fn tell(&mut self, done: Result<(), Error>) {
        match done {
            Ok(()) => self.told.clear(),
            Err(error) => {
                let kind = std::mem::discriminant(&error);
                if self.told.contains(&kind) {
                    tracing::debug!(%error, "the history still cannot be maintained");
                } else {
                    self.told.push(kind);
                    tracing::warn!(%error, "the history cannot be maintained now; trying again later");
                }
            }
        }
    }
}
