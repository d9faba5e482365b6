//! Capture and tracking against a real server: whatever writers do, undo records must give back every state that ever was.
//!
//! `HIGHWATER_SEED=…` repeats one run of a random test, `HIGHWATER_ORACLE_RUNS=…` does another number of them.

mod hostile;
mod names;
mod nodes;
mod oracle;
mod partitions;
mod random;
mod rights;
mod seeds;
mod statements;
mod tracking;
mod unnoticed;
mod writers;
