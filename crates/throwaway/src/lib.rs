//! Throw-away PostgreSQL clusters for tests and benchmarks.
//!
//! [`Cluster::shared`] is the cluster that all tests of a run share, also those in other processes, so that a test costs a database
//! and no more ([`Cluster::database`]). [`Cluster::start`] gives a test a cluster of its own, which it may stop, kill, promote and follow with
//! a standby.
//!
//! What must hold: a cluster is gone soon after the last process that uses it, also if that was killed, because a watchdog beside
//! it (`watchdog.sh`) waits for a lock that only living processes hold; it works as root, whom PostgreSQL refuses to serve, and as
//! anybody else; no port is fixed. What is deliberately absent: durability (`fsync` is off, so a cluster survives the death
//! of its processes but not of the machine), a client of PostgreSQL beyond [`Session`], and systems without `flock`.
//!
//! Environment: `HIGHWATER_POSTGRES_BIN` names the folder of the programs (`initdb`, `postgres`, …) of the version to use.

mod backup;
mod binaries;
mod cluster;
mod database;
mod directory;
mod error;
mod options;
mod owner;
mod pooler;
mod session;
mod shared;
mod standby;

pub use binaries::Binaries;
pub use cluster::{Cluster, Stop};
pub use database::Database;
pub use error::Error;
pub use options::Options;
pub use pooler::Pooler;
pub use session::{Answer, Refusal, Row, Session, State};
