//! Where the programs of PostgreSQL are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// Names the folder to use before all others.
const VARIABLE: &str = "HIGHWATER_POSTGRES_BIN";

/// Where Debian keeps each version in a folder of its own.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The programs of one version of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The programs that `HIGHWATER_POSTGRES_BIN` names, else those in `PATH`, else the newest that Debian has installed.
    ///
    /// # Errors
    ///
    /// There are none, or the variable names a folder without them.
    pub fn find() -> Result<Binaries, Error> {
        if let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
            return complete(Path::new(&folder)).ok_or_else(|| {
                Error(format!(
                    "{VARIABLE} is {}, where initdb, pg_ctl or postgres is missing. Name the folder that contains them.",
                    folder.display()
                ))
            });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .find_map(|folder| complete(&folder))
            .or_else(|| versions().into_iter().find_map(|(_, folder)| complete(&folder)))
            .ok_or_else(|| {
                Error(format!(
                    "PostgreSQL is not installed. 'cargo xtask install' installs it; or name the folder of its programs in {VARIABLE}."
                ))
            })
    }

    /// The path of a program, whether it exists or not.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder that contains the programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The major version.
    ///
    /// # Errors
    ///
    /// The program `postgres` does not tell.
    pub fn version(&self) -> Result<u32, Error> {
        let program = self.program("postgres");
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|e| Error::io(program.display(), &e))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        major_version(&text)
            .ok_or_else(|| Error(format!("{} --version says {text:?}", program.display())))
    }
}

/// The folder, if it contains what a cluster needs. Links are followed: a folder in `PATH` may contain links to some programs only.
fn complete(folder: &Path) -> Option<Binaries> {
    let is_complete = ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|name| folder.join(name).is_file());
    if !is_complete {
        return None;
    }
    let initdb = folder.join("initdb").canonicalize().ok()?;
    Some(Binaries {
        folder: initdb.parent()?.to_owned(),
    })
}

/// The folders of Debian, the newest version first.
fn versions() -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(DEBIAN) else {
        return Vec::new();
    };
    let number = |name: &OsStr| name.to_str()?.parse::<u32>().ok();
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((number(&entry.file_name())?, entry.path().join("bin"))))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// From `postgres (PostgreSQL) 15.18 (Debian …)` or `… 18beta1`.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit());
    number[..digits.unwrap_or(number.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_number_before_the_point() {
        for (text, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 13", Some(13)),
            ("postgres", None),
            ("", None),
        ] {
            assert_eq!(major_version(text), expected, "{text}");
        }
    }
}
