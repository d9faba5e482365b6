//! Maintenance: ticks, pruning, keys and tracking, by any number of nodes on one database.

mod keys;
mod nodes;
mod prune;
mod served;
mod ticks;
mod wakes;
