//! `cargo xtask test`: the one command that runs every test.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::cargo;

/// Runs the tests with cargo-nextest if it is installed, else with `cargo test`; then the examples in the documentation, which nextest
/// does not run.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
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
