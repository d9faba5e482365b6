//! What operators do with a database, each on a connection of its own.
//!
//! What must hold: nothing here needs a running service, and a running service notices what was done without being told.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use highwater_core::store::{StoreStatus, TableStatus};
use highwater_core::tracking::{Ensured, Policy};
use highwater_core::{Epoch, Error, Gone, SealKey, Snapshot, Table, Tracking};

use crate::connect::Access;
use crate::error::Fault;
use crate::guard::{self, Question};
use crate::pool::Pool;
use crate::schema::Schema;
use crate::snapshot::Position;
use crate::tracking::Effort;
use crate::{introspect, status, tracking};

/// How long a check of a link may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// Identity of a database and the keys that its links are sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity of the database.
    pub epoch: Epoch,
    /// Id of the key that seals.
    pub current_key: u32,
    /// Every key.
    pub keys: Vec<SealKey>,
}

/// Brings the tracking in order: begins it where the policy says so, and begins it anew where it was damaged.
///
/// # Errors
///
/// [`Error::Unsupported`] if the URL or the policy cannot be followed, [`Error::Unavailable`] if the database cannot be reached, and what
/// it refuses.
pub async fn track(url: &str, policy: &Policy) -> Result<Ensured, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    let outcome = tracking::ensure(&mut client, policy, Effort::Thorough).await?;
    Ok(outcome.ensured)
}

/// Ends the tracking of some tables, or removes every trace of Highwater. Returns the tables that were tracked.
///
/// # Errors
///
/// As [`track`].
pub async fn untrack(url: &str, tables: Option<&[String]>) -> Result<Vec<String>, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    tracking::untrack(&mut client, tables).await
}

/// The statements with which an owner of the tables would bring the tracking in order, and what to grant to a role that only serves.
///
/// # Errors
///
/// As [`track`].
pub async fn print_sql(url: &str, policy: &Policy, role: Option<&str>) -> Result<String, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    tracking::print_sql(&mut client, policy, role).await
}

/// What an operator wants to know of each table's history.
///
/// # Errors
///
/// As [`track`].
pub async fn status(url: &str) -> Result<StoreStatus, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    status::load(&mut client).await
}

/// Each table, with the reason if it is not tracked; nothing is said of the histories.
///
/// # Errors
///
/// As [`track`].
pub async fn tables(url: &str) -> Result<Vec<TableStatus>, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    let schema = introspect::load(&mut client).await?;
    Ok(status::tables(&schema, &HashMap::new()))
}

/// Identity and keys; `None` if nothing in the database was ever tracked.
///
/// # Errors
///
/// As [`track`].
pub async fn meta(url: &str) -> Result<Option<Meta>, Error> {
    let mut client = Access::parse(url)?.connect().await?;
    let meta = introspect::load(&mut client).await?.meta;
    Ok(meta.map(|meta| Meta {
        epoch: meta.epoch,
        current_key: meta.current_key,
        keys: meta.keys,
    }))
}

/// Why the snapshots that a link holds cannot be answered, for an operator who inspects it: the incarnation is that of the link's table.
/// `None` if they can.
///
/// # Errors
///
/// As [`track`].
pub async fn gone(
    url: &str,
    incarnation: u64,
    snapshots: &[&Snapshot],
) -> Result<Option<Gone>, Error> {
    let pool = Arc::new(Pool::new(Access::parse(url)?, 1, CHECK_TIMEOUT));
    let mut session = pool.session().await?;
    let schema = introspect::load(&mut session).await?;
    session.done();
    let paused = |table: &&Table| matches!(table.tracking, Tracking::Paused { incarnation: paused, .. } if paused == incarnation);
    if let Some(table) = schema.catalog.tables.iter().find(paused) {
        let reason = table.tracking.obstacle().unwrap_or_default();
        return Err(Error::Unavailable(reason.to_owned()));
    }
    let Some(table) = position(&schema, incarnation) else {
        return Ok(Some(Gone::Recreated));
    };
    for snapshot in snapshots {
        let lo = match Position::decode(snapshot) {
            Ok(position) => position,
            Err(gone) => return Ok(Some(gone)),
        };
        let question = Question {
            schema: &schema,
            table,
            tables: BTreeSet::from([table]),
            lo: Some(&lo),
            hi: None,
        };
        match guard::open(&pool, &question).await {
            Ok(_) => {}
            Err(Fault::Told(Error::Gone(gone))) => return Ok(Some(gone)),
            Err(fault) => return Err(fault.tell()),
        }
    }
    Ok(None)
}

fn position(schema: &Schema, incarnation: u64) -> Option<usize> {
    schema.facts.iter().position(|facts| {
        facts
            .tracked
            .as_ref()
            .is_some_and(|tracked| tracked.incarnation.cast_unsigned() == incarnation)
    })
}

/// What a snapshot says to a person.
pub fn describe_snapshot(snapshot: &Snapshot) -> String {
    match Position::decode(snapshot) {
        Ok(position) => describe(&position),
        Err(gone) => gone.to_string(),
    }
}

fn describe(position: &Position) -> String {
    let xip: Vec<String> = position.visible.xip.iter().map(i64::to_string).collect();
    let in_progress = if xip.is_empty() {
        String::new()
    } else {
        format!(" except {}", xip.join(", "))
    };
    format!(
        "transactions before {}{in_progress}, anchored at tick {} ({:08x})",
        position.visible.xmax, position.anchor.tick, position.anchor.nonce
    )
}

#[cfg(test)]
mod tests {
    use highwater_throwaway::{Cluster, Database};

    use super::*;
    use crate::snapshot::Anchor;

    fn number(database: &Database<'_>, sql: &str) -> i64 {
        let rows = database.sql(sql).unwrap();
        rows[0][0].as_deref().unwrap().parse().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn why_a_link_is_gone() {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        database
            .sql("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
            .unwrap();
        track(&url, &Policy::All).await.unwrap();
        let incarnation = || {
            number(
                &database,
                "SELECT incarnation FROM highwater.tracked_table WHERE table_name = 'a'",
            )
            .cast_unsigned()
        };
        let tick = number(&database, "SELECT max(id) FROM highwater.tick").cast_unsigned();
        let nonce = number(
            &database,
            &format!("SELECT nonce FROM highwater.tick WHERE id = {tick}"),
        );
        let nonce = u32::try_from(nonce).unwrap();
        let rows = database.sql("SELECT pg_current_snapshot()").unwrap();
        let text = rows[0][0].clone().unwrap();
        let snapshot = |nonce| {
            Position::parse(&text, Anchor { tick, nonce })
                .unwrap()
                .encode()
        };
        let (good, other) = (snapshot(nonce), snapshot(nonce ^ 1));
        let check = async |incarnation, snapshots: &[&Snapshot], expected| {
            assert_eq!(gone(&url, incarnation, snapshots).await.unwrap(), expected);
        };
        check(incarnation(), &[&good], None).await;
        check(incarnation(), &[&good, &good], None).await;
        check(incarnation(), &[&good, &other], Some(Gone::Restored)).await;
        check(incarnation(), &[&Snapshot(vec![1])], Some(Gone::Format)).await;
        check(incarnation() + 1, &[&good], Some(Gone::Recreated)).await;
        database
            .sql("UPDATE highwater.registered SET horizon = 4000000000")
            .unwrap();
        check(incarnation(), &[&good], Some(Gone::Pruned)).await;
        database.sql("ALTER TABLE a ADD x int").unwrap();
        check(incarnation(), &[&good], Some(Gone::Recreated)).await;
    }

    #[test]
    fn snapshots_are_described() {
        let anchor = Anchor {
            tick: 7,
            nonce: 0xab,
        };
        for (text, expected) in [
            (
                "5:5:",
                "transactions before 5, anchored at tick 7 (000000ab)",
            ),
            (
                "5:9:5,7",
                "transactions before 9 except 5, 7, anchored at tick 7 (000000ab)",
            ),
        ] {
            let snapshot = Position::parse(text, anchor).unwrap().encode();
            assert_eq!(describe_snapshot(&snapshot), expected);
        }
    }
}
