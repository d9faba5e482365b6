//! The PostgreSQL store: capture by triggers, exact rounds under concurrent writers, writes, retention.

pub mod admin;
mod bind;
mod capture;
mod changes;
mod connect;
mod constraint;
mod error;
mod expand;
mod guard;
mod input;
mod introspect;
mod maintain;
mod meta;
mod own_schema;
mod pool;
mod read;
mod row;
mod schema;
mod snapshot;
mod status;
mod store;
mod tracking;
mod wake;
mod write;

pub use connect::Access;
pub use store::{Options, PostgresStore};
