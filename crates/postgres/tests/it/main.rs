//! Tests of the PostgreSQL store against real clusters.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a panic is the report of a test, and so is what it prints"
)]

mod administration;
mod capture;
mod faults;
mod maintain;
mod read;
mod write;
