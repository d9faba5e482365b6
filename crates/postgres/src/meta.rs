//! Identity and keys of a database.
//!
//! What must hold: `identity` is what `highwater.identity()` says of this database. If it says something else on a primary, the database was
//! restored, copied, loaded from a dump, or promoted: transaction numbers mean something else now, so there is a new epoch and all
//! tracking begins anew. The keys stay, so that older links can be read and answered with *gone* instead of *invalid*.

use highwater_core::{Epoch, KeyRing, SealKey};
use tokio_postgres::Transaction;

use crate::error::Fault;
use crate::own_schema::RANDOM;

/// Identity and keys of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Of Highwater's tables.
    pub(crate) format: i32,
    /// Identity of the database.
    pub(crate) epoch: Epoch,
    /// What the database must compute for the epoch to hold.
    pub(crate) identity: String,
    /// Id of the key that seals.
    pub(crate) current_key: u32,
    /// Every key.
    pub(crate) keys: Vec<SealKey>,
}

impl Meta {
    /// The keys, ready for use; `None` if the current one is missing, which only a damaged database can cause.
    pub(crate) fn key_ring(&self) -> Option<KeyRing> {
        KeyRing::new(self.current_key, self.keys.iter().cloned())
    }
}

/// Whether the database is still the one that its identity was noted of.
pub(crate) async fn is_identified(client: &Transaction<'_>) -> Result<bool, Fault> {
    let sql = "SELECT identity = highwater.identity() FROM highwater.meta";
    Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)
}

/// Begins a new epoch: nothing that was captured counts any more. The caller's transaction holds [`crate::own_schema::LOCK`].
pub(crate) async fn identify(write: &Transaction<'_>) -> Result<(), Fault> {
    // In a copy, the tables may have other numbers; no table has one as small as those of registrations.
    write
        .batch_execute(&format!(
            "UPDATE highwater.meta SET epoch = {RANDOM}, identity = highwater.identity();
             UPDATE highwater.registered SET layout = '', relation = id;
             DELETE FROM highwater.tick; DELETE FROM highwater.lost; DELETE FROM highwater.doubt; DELETE FROM highwater.sentinel;
             SELECT highwater.settle();"
        ))
        .await?;
    Ok(())
}
