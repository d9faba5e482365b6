//! Metadata documents and payloads, written and read through the public interface.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod csdl;
mod delta_bodies;
mod edm;
mod fixture;
mod pages;
mod requests;
mod round_trip;
