//! Tests of the SQLite store against databases that other programs write.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod oracle;
mod serving;

mod administration;
mod alter;
mod capture;
mod changes;
mod conflicts;
mod filters;
mod introspect;
mod random;
mod read;
mod trouble;
mod wake;
mod write;
