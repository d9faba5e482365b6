//! The oracle suite: random schemas, writers that know nothing of Highwater, clients that follow links, and a check of every round.
//!
//! A store joins by implementing [`Lab`]; everything else is the same for all stores. What must hold: a run is repeated by its seed;
//! nothing that is checked was computed with the product's own code. What is deliberately absent: tests of single functions.
//!
//! Environment: `HIGHWATER_SEED` runs one seed only, `HIGHWATER_ORACLE_RUNS` changes how many seeds are tried (from that one on, or from 1), and
//! `HIGHWATER_TRACE` keeps every line of the report of a failure instead of the last ones, `HIGHWATER_KEEP` keeps the databases;
//! `HIGHWATER_MONEY_SECONDS` is how long money moves on PostgreSQL at least (see `money`, `kill`).

pub mod client;
pub mod flavour;
pub mod follower;
mod gate;
pub mod history;
pub mod http;
pub mod in_process;
pub mod key;
pub mod kill;
pub mod lab;
pub mod model;
pub mod money;
pub mod nodes;
pub mod oracle;
pub mod page;
pub mod postgres_lab;
pub mod query;
pub mod render;
pub mod restore;
pub mod rng;
pub mod roundabout;
pub mod schema;
pub mod seeds;
pub mod serving;
pub mod sqlite_lab;
mod statement;
pub mod trace;
mod values;
pub mod writer;

pub use flavour::Flavour;
pub use http::{Request, Response, Transport};
pub use in_process::InProcess;
pub use lab::{Backup, Cell, Lab, Outcome, Outside, Which};
pub use postgres_lab::PostgresLab;
pub use rng::Rng;
pub use sqlite_lab::SqliteLab;
pub use trace::Trace;
