//! What can go wrong in a store, by what the caller can do about it.
//!
//! What must hold: every text is a full sentence for a person, says what to do, and never contains a password or SQL that
//! Highwater made. What is deliberately absent: status codes (the server maps kinds to them).

use std::fmt;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query was bound to an older catalog. Bind it again to the new one.
    #[error("the schema of the database has changed; ask again")]
    SchemaChanged,
    /// The round can no longer be answered: start again with a first round.
    #[error("{0}")]
    Gone(#[from] Gone),
    /// Another program holds the database locked. Try again later.
    #[error("{0}")]
    Busy(String),
    /// The database cannot be reached, opened or read at the moment. Try again later.
    #[error("{0}")]
    Unavailable(String),
    /// The database, the table or this column cannot be written.
    #[error("{0}")]
    ReadOnly(String),
    /// The disk or the database is full.
    #[error("{0}")]
    Full(String),
    /// The file is damaged or is not a database.
    #[error("{0}")]
    Corrupt(String),
    /// The row to change does not exist (or is outside the caller's scope).
    #[error("there is no such entity")]
    NotFound,
    /// `If-Match` or `If-None-Match` does not hold. Nothing was changed.
    #[error("the entity does not have the expected state")]
    PreconditionFailed,
    /// A constraint of the database refused the change. Nothing was changed.
    #[error("{0}")]
    Constraint(Box<ConstraintViolation>),
    /// The store cannot do this.
    #[error("{0}")]
    Unsupported(String),
    /// A value in the query means nothing, which only the store can tell.
    #[error("{0}")]
    InvalidQuery(String),
    /// The query is larger or deeper than the store can compute, on whatever data.
    #[error("{0}")]
    TooComplex(String),
    /// The request used more time or memory than it may.
    #[error("{0}")]
    LimitExceeded(String),
    /// A defect of Highwater or of the environment; the text is for the log, not for the caller.
    #[error("{0}")]
    Internal(String),
}

/// Why a round can no longer be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The link's own life has ended.
    Expired,
    /// The history that it needs was pruned.
    Pruned,
    /// The database is not the one (or not in the line of states) that the link was made for: restored, copied or created anew.
    Restored,
    /// The table was dropped, created anew, renamed or changed its columns, or its tracking was ended.
    Recreated,
    /// The rows or columns that the caller may see are no longer those that the link was made for.
    ScopeChanged,
    /// The link was made by an incompatible version of Highwater.
    Format,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gone::Expired => "the link has expired",
            Gone::Pruned => "the changes since the link was issued are no longer kept",
            Gone::Restored => "the database was restored or replaced after the link was issued",
            Gone::Recreated => "the table was changed or created anew after the link was issued",
            Gone::ScopeChanged => {
                "what this service shows of the entity set has changed after the link was issued"
            }
            Gone::Format => "the link was issued by an incompatible version of this service",
        })
    }
}

impl std::error::Error for Gone {}

/// A change that the database refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintViolation {
    /// Which kind of constraint.
    pub kind: ConstraintKind,
    /// The step of the write that was refused.
    pub step: usize,
    /// The table, as the database spells it.
    pub table: String,
    /// The columns concerned, as the database spells them, where it tells.
    pub columns: Vec<String>,
    /// What the database said.
    pub message: String,
}

/// The kinds of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// Primary key or unique index: another row has this value.
    Unique,
    /// A value is required.
    NotNull,
    /// The referenced row does not exist, or this row is still referenced.
    ForeignKey,
    /// A `CHECK` constraint.
    Check,
    /// The value does not have the declared type, or cannot be stored exactly.
    Type,
    /// The changed row would be outside the caller's scope.
    Scope,
    /// A trigger of the application refused the change.
    Trigger,
}

impl fmt::Display for ConstraintViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
