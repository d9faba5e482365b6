//! The connection of those who wait: what it can be used for, and what is asked through it.
//!
//! What must hold: nothing is left behind in the server's session but the `LISTEN`, and that only where the session is ours alone.

use std::fmt;
use std::time::Duration;

use highwater_core::Error;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, SimpleQueryMessage, SimpleQueryRow};

use super::follow::Covered;
use crate::connect::Access;
use crate::error::Fault;
use crate::snapshot::{Anchor, Position};

/// The channel that capture notifies.
const CHANNEL: &str = "highwater";
/// Nodes arm and disarm one at a time (transaction-level advisory lock).
const GATE_LOCK: i64 = 0x6877_6761_7465; // "hwgate"
/// How long an arming lasts if it is not renewed: so long may writers pay for a node that died.
const LEASE: Duration = Duration::from_secs(30);
/// Nothing that is asked here takes so long unless the connection is dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a notification of our own may take to be taken for lost.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// How commits are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// Capture notifies.
    Notifications,
    /// The newest snapshot is looked at, again and again.
    Looks(Why),
}

/// Why notifications cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Hot standbys notify nobody. Their newest snapshot is the newest tick that they know.
    Standby,
    /// `PREPARE TRANSACTION` refuses transactions with notifications.
    PreparedTransactions,
    /// The role may not arm the gate, or nothing is tracked.
    Rights,
    /// A connection pooler stands between.
    Pooler,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Means::Notifications => "by notifications of the database",
            Means::Looks(Why::Standby) => {
                "by looking now and then, because the database is a standby"
            }
            Means::Looks(Why::PreparedTransactions) => {
                "by looking now and then, because max_prepared_transactions is not 0"
            }
            Means::Looks(Why::Rights) => {
                "by looking now and then, because the sequence highwater.wake does not exist or the role lacks SELECT and UPDATE on it"
            }
            Means::Looks(Why::Pooler) => {
                "by looking now and then, because notifications do not arrive through the connection pooler"
            }
        })
    }
}

/// A connection and what arrives on it.
pub(super) struct Session {
    client: Client,
    heard: UnboundedReceiver<String>,
    pub(super) means: Means,
    has_ticks: bool,
}

impl Session {
    /// Connects, and finds out what the connection can be used for.
    pub(super) async fn open(access: &Access) -> Result<Session, Fault> {
        let (tell, heard) = unbounded_channel();
        let client = access
            .connect_listening(move |message| {
                if let AsyncMessage::Notification(notification) = message
                    && notification.channel() == CHANNEL
                {
                    // Nobody hears it if the session is just being closed.
                    let _ = tell.send(notification.payload().to_owned());
                }
            })
            .await?;
        let mut session = Session {
            client,
            heard,
            means: Means::Notifications,
            has_ticks: false,
        };
        session.means = session.find_means(access).await?;
        Ok(session)
    }

    async fn find_means(&mut self, access: &Access) -> Result<Means, Fault> {
        // A role may look at the sequence without a right on its schema only through an oid, hence the joins.
        let facts = self
            .ask(
                "SELECT pg_catalog.pg_is_in_recovery(), \
                 pg_catalog.current_setting('max_prepared_transactions') = '0', \
                 EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                   WHERE n.nspname = 'highwater' AND c.relname = 'wake' AND c.relkind = 'S' \
                   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                   AND CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') \
                     AND pg_catalog.has_sequence_privilege(c.oid, 'UPDATE') END) \
                 AND pg_catalog.current_setting('transaction_read_only') = 'off', \
                 EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                   WHERE n.nspname = 'highwater' AND c.relname = 'tick' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                   AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))",
            )
            .await?;
        let facts = row(&facts)?;
        let holds = |column| facts.get(column) == Some("t");
        self.has_ticks = holds(3);
        Ok(if holds(0) {
            Means::Looks(Why::Standby)
        } else if !holds(1) {
            Means::Looks(Why::PreparedTransactions)
        } else if !holds(2) {
            Means::Looks(Why::Rights)
        } else if self.listen(access).await? {
            Means::Notifications
        } else {
            Means::Looks(Why::Pooler)
        })
    }

    /// Listens, and says whether that works: behind a connection pooler, the session that listens is soon somebody else's.
    async fn listen(&mut self, access: &Access) -> Result<bool, Fault> {
        const BACKEND: &str = "SELECT pg_catalog.pg_backend_pid()";
        let other = access.connect().await?;
        let mine = self.ask(BACKEND).await?;
        let others = ask(&other, BACKEND).await?;
        if row(&mine)?.get(0) == row(&others)?.get(0) {
            return Ok(false);
        }
        self.ask(&format!("LISTEN {CHANNEL}")).await?;
        // Through another connection, while nothing happens on ours.
        let echo = "SELECT word, pg_catalog.pg_notify('highwater', word) \
            FROM (SELECT 'echo ' || pg_catalog.gen_random_uuid()::text AS word) AS words";
        let asked = ask(&other, echo).await?;
        let word = row(&asked)?.get(0).unwrap_or_default();
        let heard = async {
            while let Some(payload) = self.heard.recv().await {
                if payload == word {
                    return true;
                }
            }
            false
        };
        if tokio::time::timeout(ECHO_TIMEOUT, heard).await == Ok(true) {
            return Ok(true);
        }
        // Whose session it is now, is unknown; more often than not, it is the one that listens.
        self.ask("UNLISTEN *").await?;
        Ok(false)
    }

    /// The payload of the next notification.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub(super) async fn hear(&mut self) -> Result<String, Fault> {
        let lost = "The connection that waits for changes was lost. It is opened again.";
        let heard = self.heard.recv().await;
        heard.ok_or_else(|| Fault::Told(Error::Unavailable(lost.into())))
    }

    /// Forgets the notifications that have arrived.
    pub(super) fn overhear(&mut self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// Arms the gate, so that every commit from now on notifies unless its transaction is in progress in the snapshot that is
    /// returned.
    ///
    /// A transaction that did not find the gate armed took its id before the sequence was set. So the id that is taken after
    /// that is greater, and once it has ended, the other one cannot be missing from a snapshot's list.
    pub(super) async fn arm(&self) -> Result<Covered, Fault> {
        let lease_ms = LEASE.as_millis();
        let answer = self
            .ask(&format!(
                "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '5s'; \
                 SELECT pg_catalog.pg_advisory_xact_lock({GATE_LOCK}); \
                 WITH before AS MATERIALIZED (SELECT coalesce(pg_catalog.pg_sequence_last_value('highwater.wake'::pg_catalog.regclass), 0) AS value) \
                 SELECT pg_catalog.setval('highwater.wake'::pg_catalog.regclass, greatest(pg_catalog.abs(value) + 1, \
                 pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::bigint * 1000 + {lease_ms})) FROM before; \
                 SELECT pg_catalog.pg_current_xact_id(); \
                 COMMIT; \
                 SELECT pg_catalog.pg_current_xact_id(); \
                 SELECT pg_catalog.pg_current_snapshot()"
            ))
            .await?;
        covered(&answer)
    }

    /// Disarms the gate if it still stands as it did when the notification was sent.
    pub(super) async fn disarm(&self, armed: i64) -> Result<Covered, Fault> {
        let answer = self
            .ask(&format!(
                "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '5s'; \
                 SELECT pg_catalog.pg_advisory_xact_lock({GATE_LOCK}); \
                 WITH before AS MATERIALIZED (SELECT pg_catalog.pg_sequence_last_value('highwater.wake'::pg_catalog.regclass) AS value) \
                 SELECT pg_catalog.setval('highwater.wake'::pg_catalog.regclass, -value) FROM before WHERE value = {armed}; \
                 SELECT pg_catalog.pg_current_xact_id_if_assigned(); \
                 COMMIT; \
                 SELECT pg_catalog.pg_current_snapshot()"
            ))
            .await?;
        covered(&answer)
    }

    /// The newest snapshot.
    pub(super) async fn look(&self) -> Result<Covered, Fault> {
        covered(&self.ask("SELECT pg_catalog.pg_current_snapshot()").await?)
    }

    /// Something that is another text whenever something that can be read is new.
    pub(super) async fn mark(&self) -> Result<String, Fault> {
        let sql = match self.means {
            Means::Looks(Why::Standby) if self.has_ticks => {
                "SELECT pg_catalog.concat(pg_catalog.pg_is_in_recovery(), ' ', max(id)) FROM highwater.tick"
            }
            _ => "SELECT pg_catalog.pg_current_snapshot()",
        };
        let answer = self.ask(sql).await?;
        Ok(row(&answer)?.get(0).unwrap_or_default().to_owned())
    }

    async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Fault> {
        ask(&self.client, sql).await
    }
}

async fn ask(client: &Client, sql: &str) -> Result<Vec<SimpleQueryMessage>, Fault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, client.simple_query(sql)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Told(Error::Unavailable(
            "The database does not answer. Check its load and the network.".into(),
        ))),
    }
}

fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

fn row(answer: &[SimpleQueryMessage]) -> Result<&SimpleQueryRow, Fault> {
    rows(answer).next().ok_or_else(unexpected)
}

/// The snapshot in the last row, and the ids of our own transactions in those before.
fn covered(answer: &[SimpleQueryMessage]) -> Result<Covered, Fault> {
    let mut own = Vec::new();
    let mut last = None;
    for row in rows(answer) {
        let text = row.get(0).unwrap_or_default();
        own.extend(text.parse::<i64>());
        last = Some(text);
    }
    let snapshot = last.and_then(|text| Position::parse(text, Anchor::default()));
    let snapshot = snapshot.ok_or_else(unexpected)?;
    Ok(Covered { snapshot, own })
}

fn unexpected() -> Fault {
    Fault::Told(Error::Internal(
        "the database answered something else than was asked".into(),
    ))
}
