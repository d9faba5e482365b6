//! The service over a real store, request by request.
//!
//! Numbers in names and comments are those of the requirements in the project's protocol reference.

#![allow(clippy::unwrap_used, reason = "the panic is the report")]

mod conformance;
mod faulty;
mod lab;
mod network;
mod protocol;
mod reading;
mod relating;
mod tracking;
mod trouble;
mod write;
mod writing;
