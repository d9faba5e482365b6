//! `cargo xtask test`: the one command that runs every test.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::cargo;
use crate::install::{self, Needed};
use crate::postgres;

/// The tests that need PostgreSQL and nothing that comes with its larger distributions only, such as `pg_basebackup`.
const ON_POSTGRES: &str = "(package(highwater-postgres) | package(highwater-throwaway) \
     | (package(highwater-testkit) & binary(postgres))) & not test(/standby|dump/)";

/// Runs the tests with cargo-nextest if it is installed, else with `cargo test`; then the examples in the documentation, which nextest
/// does not run.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    install::ensure(&install::ALL)?;
    if has_nextest() {
        call(
            cargo()
                .args(["nextest", "run", "--workspace"])
                .args(arguments),
        )?;
    } else {
        println!(
            "cargo-nextest is not installed, so 'cargo test' runs the tests; it runs the same ones, slower"
        );
        call(
            cargo()
                .args(["test", "--workspace", "--lib", "--bins", "--tests"])
                .args(arguments),
        )?;
    }
    // Arguments select tests; whoever selects some does not wait for the examples.
    if arguments.is_empty() {
        call(cargo().args(["test", "--workspace", "--doc"]))?;
    }
    Ok(())
}

/// Runs the tests that need PostgreSQL on another version of it than the installed one.
pub(crate) fn run_on(root: &Path, version: &str, arguments: &[&str]) -> anyhow::Result<()> {
    if !has_nextest() {
        bail!("cargo-nextest selects these tests: 'cargo install cargo-nextest --locked'");
    }
    let folder = postgres::fetch(root, version)?;
    install::ensure(&[Needed::PgBouncer])?;
    call(
        cargo()
            .args(["nextest", "run", "--workspace", "-E", ON_POSTGRES])
            .args(arguments)
            .env(postgres::FOLDER, folder),
    )
}

fn has_nextest() -> bool {
    let mut version = cargo();
    version
        .args(["nextest", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

fn call(command: &mut Command) -> anyhow::Result<()> {
    let text = format!("{command:?}").replace('"', "");
    println!("+ {text}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {text}"))?;
    if !status.success() {
        bail!("{text} failed ({status})");
    }
    Ok(())
}
