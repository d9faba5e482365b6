//! Which tables to track, and what changed when that was brought about.
//!
//! What is deliberately absent: how a store captures changes.

/// Which tables to track. Tables that are tracked already stay so whatever the policy says, until their tracking is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every table that can be tracked.
    All,
    /// These; a name that does not exist or cannot be tracked is an error. Where a database has several schemas, a name may be
    /// `schema.table`.
    Only(Vec<String>),
    /// Every table that can be tracked, without these.
    Except(Vec<String>),
}

/// What was changed to bring the tracking in order. All lists are empty if everything was in order already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensured {
    /// Tables whose tracking began.
    pub tracked: Vec<String>,
    /// Tables whose tracking began anew, because their schema or their triggers had changed: old links are void.
    pub renewed: Vec<String>,
    /// Partitioned tables whose new partitions were taken in: links hold.
    pub extended: Vec<String>,
    /// Tables whose tracking ended, because they are gone or cannot be tracked any more.
    pub forgotten: Vec<String>,
}
