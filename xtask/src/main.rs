//! The project's own chores: `cargo xtask test | install | postgres | fetch | tidy | licences`.
//!
//! What must hold: everything here works with a Rust toolchain and what it installs itself, and a check that could not run is an
//! error, never silence.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers prints"
)]

mod install;
mod licences;
mod postgres;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--postgres VERSION] [ARGUMENTS]
                      install what the tests need, run all of them, then the examples in the documentation; with a VERSION
                      (13 to 18), run those that need PostgreSQL on that one. ARGUMENTS go to the test runner
  install             install PostgreSQL and PgBouncer from the packages of the distribution, unless they are there
  postgres [VERSION]  start a PostgreSQL that is gone afterwards
  fetch VERSION       fetch another version of PostgreSQL with npm, and print the folder of its programs
  tidy                check what the compiler does not: length of files, module documentation, links, left-overs
  licences            check that every dependency may be used under a licence on the list";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["test", "--postgres", version, ref rest @ ..] => test::run_on(&root(), version, rest),
        ["test", ref rest @ ..] => test::run(rest),
        ["install"] => install::ensure(&install::ALL),
        ["postgres"] => postgres::run(&root(), None),
        ["postgres", version] => postgres::run(&root(), Some(version)),
        ["fetch", version] => {
            postgres::fetch(&root(), version).map(|folder| println!("{}", folder.display()))
        }
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
