//! `cargo xtask install`: what the tests need beside a Rust toolchain, from the packages of the distribution.
//!
//! What must hold: what is there already is left alone, and what cannot be installed is an error that says what to do. What is
//! deliberately absent: distributions without `apt-get`; there, the error says what to install by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use highwater_throwaway::Binaries;

/// A program of others that tests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needed {
    /// The server.
    Postgres,
    /// The connection pooler.
    PgBouncer,
}

/// Everything.
pub(crate) const ALL: [Needed; 2] = [Needed::Postgres, Needed::PgBouncer];

impl Needed {
    /// The package of Debian, Ubuntu and what derives from them.
    fn package(self) -> &'static str {
        match self {
            Needed::Postgres => "postgresql",
            Needed::PgBouncer => "pgbouncer",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Needed::Postgres => Binaries::find().is_ok(),
            Needed::PgBouncer => program("pgbouncer").is_some(),
        }
    }
}

/// Installs what is not there.
pub(crate) fn ensure(needed: &[Needed]) -> anyhow::Result<()> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|needed| !needed.is_there())
        .map(|needed| needed.package())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("not installed yet: {}", missing.join(", "));
    if program("apt-get").is_none() {
        bail!(
            "This system has no apt-get, so install by hand: {}. If PostgreSQL is somewhere unusual, name the folder of initdb in HIGHWATER_POSTGRES_BIN.",
            missing.join(", ")
        );
    }
    let by_hand = format!("apt-get update && apt-get install {}", missing.join(" "));
    apt_get(&["update"], &by_hand)?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &missing].concat(), &by_hand)?;
    for needed in needed {
        if !needed.is_there() {
            bail!(
                "apt-get installed {}, but it is not to be found",
                needed.package()
            );
        }
    }
    Ok(())
}

/// Runs `apt-get` as root; if that cannot be, tells what to do by hand.
fn apt_get(arguments: &[&str], by_hand: &str) -> anyhow::Result<()> {
    let mut command = match (is_root()?, program("sudo")) {
        (true, _) => Command::new("apt-get"),
        (false, Some(sudo)) => {
            let mut command = Command::new(sudo);
            // It must not wait for a password that nobody types.
            command.args(["--non-interactive", "apt-get"]);
            command
        }
        (false, None) => {
            bail!("Only root can install packages, and there is no sudo. Run as root: {by_hand}")
        }
    };
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    println!("+ {}", format!("{command:?}").replace('"', ""));
    let status = command.status().context("cannot start apt-get")?;
    if !status.success() {
        bail!("apt-get failed ({status}). Run as root: {by_hand}");
    }
    Ok(())
}

pub(crate) fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id").arg("-u").output();
    Ok(output.context("cannot run 'id -u'")?.stdout.trim_ascii() == b"0")
}

/// Where a program is. Some are in folders that only root has in `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path))
}
