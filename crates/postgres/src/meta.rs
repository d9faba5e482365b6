//! Highwater's own tables: identity and keys.

use highwater_core::{Epoch, SealKey};

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
