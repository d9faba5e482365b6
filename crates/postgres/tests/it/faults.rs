//! What a database server can suffer: crashes that undo commits, standbys, fail-overs, copies, and whatever else keeps a request from being
//! answered. Every answer is exact, or 503, or 410 where a link has lost its ground; never a round with something missing.

mod copies;
mod crash;
mod disk;
mod node;
mod standby;
mod trouble;
mod world;
