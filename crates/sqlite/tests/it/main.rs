//! Tests of the SQLite store against databases that other programs write.

mod oracle;
mod serving;

mod administration;
mod alter;
mod capture;
mod conflicts;
mod introspect;
mod random;
mod read;
mod changes;
mod trouble;
mod write;
