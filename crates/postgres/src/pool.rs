//! A bounded number of connections, which come back by themselves after the database was away.
//!
//! What must hold: a connection is used again only if whoever had it said that its transaction has ended ([`Session::done`]). One that
//! is dropped for any other reason (a client that went away, an error) is closed, and what the server still does on it is cancelled.
//! Nothing here keeps state in a session of the server, so a pooler may stand between. What is deliberately absent: SQL.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use highwater_core::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Client;

use crate::connect::{self, Access};

/// How long a request waits for a lock of the application, such as that of `ALTER TABLE`.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// A transaction in which nothing happens for so long has lost its owner.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request waits for a connection while all are in use.
const PATIENCE: Duration = Duration::from_secs(5);

/// All connections of a store, but for those that listen.
pub(crate) struct Pool {
    access: Access,
    connections: usize,
    permits: Arc<Semaphore>,
    /// The one that was used last is used first, so that a quiet service leaves most of them alone.
    idle: Mutex<Vec<Client>>,
    settings: String,
}

/// A connection that nobody else uses.
pub(crate) struct Session {
    /// `None` only while it is being dropped.
    client: Option<Client>,
    reused: bool,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of so many connections at most; none is opened yet.
    pub(crate) fn new(access: Access, connections: usize, statement_timeout: Duration) -> Pool {
        // To compile a statement takes longer than to run it, and no statement runs twice.
        let mut settings = String::from("SET LOCAL jit = off;");
        for (name, value) in connect::settings() {
            settings.push_str(&format!("SET LOCAL {name} = '{value}';"));
        }
        for (name, timeout) in [
            ("statement_timeout", statement_timeout),
            ("lock_timeout", LOCK_TIMEOUT.min(statement_timeout)),
            (
                "idle_in_transaction_session_timeout",
                IDLE_IN_TRANSACTION_TIMEOUT,
            ),
        ] {
            let milliseconds = timeout.as_millis().clamp(1, i32::MAX as u128);
            settings.push_str(&format!("SET LOCAL {name} = {milliseconds};"));
        }
        Pool {
            access,
            connections,
            permits: Arc::new(Semaphore::new(connections)),
            idle: Mutex::default(),
            settings,
        }
    }

    /// The settings that every transaction begins with, as statements that each end with a semicolon.
    pub(crate) fn settings(&self) -> &str {
        &self.settings
    }

    /// A connection, as soon as one is free.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if none becomes free in time, or if the database cannot be reached.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Session, Error> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return Err(Error::Unavailable(format!(
                "All {} connections to the database are in use. Try again later, or raise the number of connections.",
                self.connections
            )));
        };
        let kept = self.take_idle();
        let reused = kept.is_some();
        let client = match kept {
            Some(client) => client,
            None => self.access.open(|_| {}).await?,
        };
        Ok(Session {
            client: Some(client),
            reused,
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    /// A connection that answers: for work that cannot simply be begun again when an idle connection turns out to have been cut.
    ///
    /// # Errors
    ///
    /// As [`Self::session`].
    pub(crate) async fn live_session(self: &Arc<Self>) -> Result<Session, Error> {
        loop {
            let session = self.session().await?;
            if !session.is_reused() || session.batch_execute("").await.is_ok() {
                return Ok(session);
            }
            self.forget_idle();
        }
    }

    /// Closes the connections that nobody uses: if one of them was cut, the others probably were too.
    pub(crate) fn forget_idle(&self) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn take_idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let client = idle.pop()?;
            if !client.is_closed() {
                return Some(client);
            }
        }
    }
}

impl Session {
    /// Whether the connection was open before, and may have been cut since without anybody noticing.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Ends a transaction that only read, whether it went well or not, and gives the connection back. Nobody waits for the answer: whoever
    /// uses the connection next comes behind it.
    pub(crate) async fn commit(self) {
        // What was sent stays sent when the future is dropped.
        let _ = self.batch_execute("COMMIT").now_or_never();
        // The task of the connection is to write it before anything else happens on this thread.
        tokio::task::yield_now().await;
        self.done();
    }

    /// Gives the connection back. No transaction is open on it.
    pub(crate) fn done(mut self) {
        if let Some(client) = self.client.take()
            && !client.is_closed()
        {
            self.pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(client);
        }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
            .as_ref()
            .expect("only dropping a session takes its client")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        self.client
            .as_mut()
            .expect("only dropping a session takes its client")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        if client.is_closed() {
            return;
        }
        // The server would work on until it wants to send something.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let token = client.cancel_token();
            let pool = Arc::clone(&self.pool);
            runtime.spawn(async move { pool.access.cancel(token).await });
        }
    }
}
