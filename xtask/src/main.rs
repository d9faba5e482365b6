//! The project's own chores: `cargo xtask test | tidy | licences`.
//!
//! What must hold: everything here works with a Rust toolchain and nothing else, and a check that could not run is an error,
//! never silence.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers prints"
)]

mod licences;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [ARGUMENTS]  run all tests, then the examples in the documentation; ARGUMENTS go to the test runner
  tidy              check what the compiler does not: length of files, module documentation, links, left-overs
  licences          check that every dependency may be used under a licence on the list";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test", ref rest @ ..] => test::run(rest),
        ["tidy"] => tidy::run(&root()),
        ["licences"] => licences::run(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("xtask is a folder of the repository")
        .to_owned()
}

/// The cargo that runs this, so that `cargo +toolchain xtask` stays with its toolchain.
fn cargo() -> std::process::Command {
    std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
