//! Capture and tracking against a real server: whatever writers do, undo records must give back every state that ever was.
//!
//! `HIGHWATER_SEED=…` repeats one run of a random test, `HIGHWATER_ORACLE_RUNS=…` does another number of them.

mod capture;
mod oracle;
mod random;
mod seeds;
mod tracking;
mod writers;
