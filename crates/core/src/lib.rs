//! What a delta round *is*: the difference between two snapshots of one query.
//!
//! This crate names the ideas (snapshot, defining query, round, link) and the verbs that a [`Store`] must implement.
//! What must hold: nothing here depends on how a store keeps its history or on which dialect asks.
//! What is deliberately absent: I/O, HTTP and SQL text.

pub mod catalog;
pub mod error;
pub mod etag;
pub mod link;
pub mod query;
pub mod seal;
pub mod snapshot;
pub mod store;
pub mod tracking;

pub use catalog::{Catalog, Column, Relation, Table, Tracking};
pub use error::{ConstraintKind, ConstraintViolation, Error, Gone};
pub use link::{Link, LinkError};
pub use query::{Expand, ExpandMode, Expr, Function, OrderBy, Query};
pub use seal::{KeyRing, SealKey};
pub use snapshot::{Cursor, Epoch, Snapshot};
pub use store::{RemovedReason, Row, RowSink, Store, Wake};
