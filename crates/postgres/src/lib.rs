//! The PostgreSQL store: capture by triggers, exact rounds under concurrent writers, writes, retention.

#[expect(dead_code, reason = "what uses it comes next")]
mod snapshot;
