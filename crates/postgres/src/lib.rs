//! The PostgreSQL store: capture by triggers, exact rounds under concurrent writers, writes, retention.

#[allow(dead_code, reason = "what uses it comes next")]
mod connect;
#[allow(dead_code, reason = "what uses it comes next")]
mod error;
#[allow(dead_code, reason = "what uses it comes next")]
mod row;
#[expect(dead_code, reason = "what uses it comes next")]
mod snapshot;
#[allow(dead_code, reason = "what uses it comes next")]
mod pool;
#[allow(dead_code, reason = "what uses it comes next")]
mod bind;
#[allow(dead_code, reason = "what uses it comes next")]
mod meta;
#[allow(dead_code, reason = "what uses it comes next")]
mod schema;
#[allow(dead_code, reason = "what uses it comes next")]
mod wake;

pub use connect::Access;
#[allow(dead_code, reason = "what uses it comes next")]
mod introspect;
#[allow(dead_code, reason = "what uses it comes next")]
mod status;
#[allow(dead_code, reason = "what uses it comes next")]
mod own_schema;
#[allow(dead_code, reason = "what uses it comes next")]
mod capture;
#[allow(dead_code, reason = "what uses it comes next")]
mod tracking;
