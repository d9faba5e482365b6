//! Tests of the SQLite store against databases that other programs write.

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
mod write;
