//! The `highwater` command: demo, init, serve, track, untrack, status, inspect (DESIGN section 9).
//!
//! What must hold: data goes to stdout, logs and errors to stderr; an error is one line that begins with `highwater:` and says
//! what to do; the exit code is 0 for success, 1 for failure, 2 for wrong usage.
//! What is deliberately absent: logic that a user of the library `highwater` would miss.

mod args;
mod commands;
mod config;
mod failure;
mod output;
mod password;
mod templates;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => commands::run(cli.command),
        Err(e) => return failure::report_usage(&e),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failure::report(&e),
    }
}
