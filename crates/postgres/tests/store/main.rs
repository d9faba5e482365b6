//! The reading side of the PostgreSQL store, against real clusters.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod connect;
mod encryption;
mod faults;
mod paging;
mod pooler;
mod serving;
mod standby;
mod types;
