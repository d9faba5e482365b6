//! The `highwater` binary as its users meet it: arguments in, text, files, HTTP and exit codes out.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod admin;
mod config;
mod demo;
mod help;
mod init;
mod postgres;
mod serve;
mod support;
mod usage;
