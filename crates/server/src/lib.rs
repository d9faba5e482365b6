//! The HTTP service: dialects, binding of requests to queries, links, limits.
//!
//! What must hold: nothing here knows how a store keeps its rows or its history. What is deliberately absent: SQL.
//!
//! A request goes through [`service`] to its dialect (`dialect/*`), which binds it to a query (`bind`, with the names of [`model`]),
//! asks the store, and writes the page while the rows come; `links` makes what leads to the next one, `http` reads and writes
//! headers. [`listen`] is one way to bring requests here; a program that has its own server mounts [`Service`] there.

mod bind;
mod dialect;
mod failure;
mod http;
mod links;
pub mod listen;
pub mod model;
pub mod service;
pub mod settings;

pub use service::{PrepareError, Service};
pub use settings::{Limits, Profile, Settings, TableSettings};
