//! Wake-ups: who waits for a commit learns of it within milliseconds, whichever program made it.
//!
//! `NOTIFY` tells, but it makes the commits of those who notify wait for each other, so writers must not pay for it while nobody waits,
//! and rarely while somebody does. Hence the gate ([`ddl`]): a node whose callers wait *arms* it; a writer that finds it armed notifies at its
//! commit; the node that hears that *disarms* it, wakes its callers, and arms it again only if they wait again, some milliseconds later.
//! However many write and wait, that are a few dozen notifications a second, and none while nobody waits.
//!
//! What must hold, so that no commit is missed: every number that is announced covers a snapshot that was taken **before** the
//! announcement, and every arming compares the snapshot after it with that one. A writer that looked at the gate just before it was armed
//! is in progress in the snapshot after the arming: until it ends, the snapshot is looked at again and again ([`follow`]).
//!
//! Where notifications do not work ([`session::Means`]), the node looks at the snapshot at short intervals while somebody waits.
//!
//! What is deliberately absent: which table was changed, and any use of the store's pool: who waits needs one connection, and only as
//! long as somebody waits.

pub(crate) mod ddl;
mod follow;
mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_core::{Error, Wake};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::session::{Means, Session};
use crate::connect::Access;
use crate::error::Fault;

/// The pauses between two attempts to connect grow between these.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// While somebody waits, the snapshot is looked at so often in any case, for commits that could not notify: the queue of notifications
/// was nearly full, or an old version's logical replication does not signal them.
const SAFETY: Duration = Duration::from_secs(1);

/// Those who wait for a commit, and what they wait with.
pub(crate) struct Wakeups {
    shared: Arc<Shared>,
    /// The task that learns of commits, while there is one.
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the task and those who wait have in common.
struct Shared {
    access: Access,
    /// How many commits were noticed, several at once counted as one. The receivers are those who wait.
    noticed: watch::Sender<u64>,
    /// Somebody has begun to wait.
    begun: Notify,
    /// How commits are noticed, as was last told to the log.
    told: Mutex<Option<Means>>,
    /// [`SAFETY`]; tests do without.
    safety: Duration,
}

impl Wakeups {
    pub(crate) fn new(access: Access) -> Wakeups {
        Wakeups::with_safety(access, SAFETY)
    }

    fn with_safety(access: Access, safety: Duration) -> Wakeups {
        Wakeups {
            shared: Arc::new(Shared {
                access,
                // Not 0, which is what the first call of a caller says.
                noticed: watch::Sender::new(1),
                begun: Notify::new(),
                told: Mutex::new(None),
                safety,
            }),
            task: Arc::default(),
        }
    }

    /// [`highwater_core::Store::wake`].
    ///
    /// # Errors
    ///
    /// None that can happen.
    pub(crate) async fn wait(&self, after: Wake) -> Result<Wake, Error> {
        // Before the task is looked for: a task that ends sees this or is seen to have ended.
        let mut noticed = self.shared.noticed.subscribe();
        if *noticed.borrow() == after.0 {
            self.begin();
        }
        // Another number than the newest one is older, or of another store: of neither can be told what it covers.
        match noticed.wait_for(|newest| *newest != after.0).await {
            Ok(newest) => Ok(Wake(*newest)),
            Err(_) => Err(Error::Internal("the sender is borrowed from self".into())),
        }
    }

    fn begin(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &*task {
            Some(running) if !running.is_finished() => self.shared.begun.notify_one(),
            _ => {
                let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&self.task));
                *task = Some(tokio::spawn(async move { shared.run(&own).await }));
            }
        }
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.abort();
        }
    }
}

impl Shared {
    /// Learns of commits for as long as somebody waits, and a while longer.
    async fn run(&self, own: &Mutex<Option<JoinHandle<()>>>) {
        let mut pause = RETRY_MIN;
        loop {
            match self.follow().await {
                Ok(()) => pause = RETRY_MIN,
                Err(fault) => {
                    let error = fault.tell();
                    tracing::debug!(%error, "changes cannot be waited for now; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.somebody_waits() {
                *own = None;
                return;
            }
        }
    }

    /// Learns of commits through one connection, until nobody has waited for a while. What was committed before is announced first.
    async fn follow(&self) -> Result<(), Fault> {
        let session = Session::open(&self.access).await?;
        self.tell(session.means);
        match session.means {
            Means::Notifications => follow::by_notifications(self, session).await,
            Means::Looks(_) => follow::by_looks(self, session).await,
        }
    }

    fn tell(&self, means: Means) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != Some(means) {
            *told = Some(means);
            tracing::info!("changes are noticed {means}");
        }
    }

    fn announce(&self) {
        self.noticed.send_modify(|newest| *newest += 1);
    }

    fn somebody_waits(&self) -> bool {
        self.noticed.receiver_count() > 0
    }
}
