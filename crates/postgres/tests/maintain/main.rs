//! Maintenance: ticks, pruning, keys and tracking, by any number of nodes on one database.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod keys;
mod nodes;
mod prune;
mod served;
mod ticks;
mod wakes;
