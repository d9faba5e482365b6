//! The SQLite store: capture by triggers, exact rounds, writes, retention.
//!
//! One half of the crate looks after the database: [`introspect`] reads the schema, [`tracking`] installs and removes capture,
//! [`meta`], [`retention`] and [`status`] administer it. They block and work on a plain connection.
//!
//! The other half is the [`SqliteStore`]: a pool of connections, pages of a query at a snapshot, pages of the difference between two, and
//! writes. Every verb is one blocking task on one connection, in one transaction.

mod bind;
mod capture;
mod changes;
mod constraint;
mod error;
mod expand;
pub mod facts;
pub mod failure;
mod functions;
mod input;
pub mod introspect;
pub mod meta;
#[cfg(test)]
mod plans;
mod pool;
mod quick;
mod read;
pub mod retention;
mod row;
mod schema;
mod snapshot;
pub mod status;
mod store;
mod survey;
mod temporal;
pub mod tracking;
mod wake;
mod write;

pub use snapshot::{describe_snapshot, gone};
pub use store::{Options, SqliteStore};
