//! The reading side of the PostgreSQL store, against real clusters.

mod connect;
mod encryption;
mod faults;
mod images;
mod keys;
mod middle;
mod paging;
mod pooler;
mod serving;
mod standby;
mod types;
