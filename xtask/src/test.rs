//! `cargo xtask test`: the one command that runs every test.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::cargo;
use crate::install::{self, Needed};
use crate::postgres;

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

/// Runs the tests of the store on another version of PostgreSQL than the installed one.
pub(crate) fn run_on(root: &Path, version: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let folder = postgres::fetch(root, version)?;
    install::ensure(&[Needed::PgBouncer])?;
    println!(
        "!!! Not tested on PostgreSQL {version}: dumps, archives, and the program 'highwater'. The package has neither pg_dump nor psql."
    );
    let command = |arguments: &[&str]| {
        let mut command = cargo();
        command.args(arguments).env(postgres::FOLDER, &folder);
        command
    };
    if has_nextest() {
        let selected = "package(highwater-postgres) | package(highwater-throwaway) \
             | (package(highwater-testkit) & binary(postgres))";
        let selected = format!("({selected}) & not test(/dump|archive/)");
        // With everything built as for all tests, nothing is built twice.
        return call(command(&["nextest", "run", "--workspace", "-E", &selected]).args(arguments));
    }
    let store = [
        "-p",
        "highwater-postgres",
        "-p",
        "highwater-throwaway",
        "--lib",
        "--tests",
    ];
    for selected in [
        &store[..],
        &["-p", "highwater-testkit", "--test", "postgres"],
    ] {
        call(
            command(&["test"])
                .args(selected)
                .args(["--", "--skip", "dump", "--skip", "archive"])
                .args(arguments),
        )?;
    }
    Ok(())
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
