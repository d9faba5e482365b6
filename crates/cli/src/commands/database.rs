//! Databases as the command line names them, and what operators do to them.
//!
//! What must hold: a command knows no kind of database; what differs is behind [`Administration`]. A [`Place`] that is shown shows no
//! password.

mod postgres;
mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use highwater::core::store::{StoreStatus, TableStatus};
use highwater::core::tracking::{Ensured, Policy};
use highwater::core::{Epoch, Gone, KeyRing, Snapshot};
use highwater::postgres::Access;

use crate::failure::Usage;
use crate::password;

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// As it was typed.
        url: Secret,
        /// What it means.
        access: Box<Access>,
    },
}

/// A text that may hold a password.
#[derive(Clone)]
pub(crate) struct Secret(String);

/// What commands that look after a database, without serving it, want of it.
pub(super) trait Administration {
    /// What an operator wants to know of each table.
    fn status(&mut self) -> anyhow::Result<StoreStatus>;

    /// Each table, with the reason if it is not tracked. What is said of histories may be missing.
    fn tables(&mut self) -> anyhow::Result<Vec<TableStatus>>;

    /// Tracks tables.
    fn track(&mut self, policy: &Policy) -> anyhow::Result<Ensured>;

    /// The script that does what [`Self::track`] does, for somebody else to run, with the rights that `role` needs to serve.
    fn print_sql(&mut self, policy: &Policy, role: Option<&str>) -> anyhow::Result<String>;

    /// Ends the tracking of the named tables, or of all, and returns their names.
    fn untrack(&mut self, tables: Option<&[String]>) -> anyhow::Result<Vec<String>>;

    /// What links are sealed with; `None` if nothing was ever tracked.
    fn seal(&mut self) -> anyhow::Result<Option<Seal>>;

    /// Why a link that holds these snapshots of the table with this incarnation is answered 410 Gone; `None` if it is answered.
    fn gone(&mut self, incarnation: u64, snapshots: &[&Snapshot]) -> anyhow::Result<Option<Gone>>;

    /// A snapshot for people; `None` if it is none of this kind of database.
    fn describe(&self, snapshot: &Snapshot) -> Option<String>;
}

/// What makes links of a database open for it, and for no other.
pub(super) struct Seal {
    pub(super) epoch: Epoch,
    pub(super) keys: KeyRing,
}

impl Place {
    /// Understands what was typed.
    ///
    /// # Errors
    ///
    /// If it can be neither a path nor a URL that can be followed.
    pub(crate) fn parse(database: &str) -> anyhow::Result<Place> {
        if highwater::is_postgres_url(database) {
            let access = Box::new(Access::parse(database).map_err(|e| Usage(e.to_string()))?);
            if password::hidden(database) != database {
                tracing::warn!(
                    "the URL of the database holds a password, which other users of this machine can see in the list of processes; \
                     put it into PGPASSWORD or ~/.pgpass"
                );
            }
            let url = Secret(database.to_owned());
            return Ok(Place::Postgres { url, access });
        }
        // Not repeated either, as it may hold a password.
        if password::may_be_held_by(database) && !Path::new(database).exists() {
            return Err(Usage(
                "the database is neither the path of a file that exists nor a URL that highwater knows; name a SQLite file, or write \
                 postgres://USER@HOST:PORT/NAME with the password in PGPASSWORD or ~/.pgpass"
                    .into(),
            )
            .into());
        }
        let scheme = database.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            None if database.is_empty() => Err(Usage(
                "the path of the database is empty; name a SQLite file or a postgres:// URL".into(),
            )
            .into()),
            None => Ok(Place::Sqlite(PathBuf::from(database))),
            // The rest of the URL may hold a password, so it is not repeated.
            Some(scheme) => Err(Usage(format!(
                "{scheme}:// is not a kind of database that highwater knows; name the path of a SQLite file or a postgres:// URL"
            ))
            .into()),
        }
    }

    /// As [`Place::parse`], for something that exists: only `init` creates a file.
    ///
    /// # Errors
    ///
    /// Also if there is no such file.
    pub(crate) fn existing(database: &str) -> anyhow::Result<Place> {
        let place = Place::parse(database)?;
        if let Place::Sqlite(path) = &place {
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => {
                    return Err(anyhow!("{database} is a directory; name a SQLite file"));
                }
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Err(anyhow!(
                        "there is no file {database}; check the path, or create a database with 'highwater init'"
                    ));
                }
                Err(e) => return Err(e).context(format!("cannot open {database}")),
            }
        }
        Ok(place)
    }

    /// What [`highwater::open`] wants to be told.
    pub(crate) fn as_typed(&self) -> &std::ffi::OsStr {
        match self {
            Place::Sqlite(path) => path.as_os_str(),
            Place::Postgres { url, .. } => url.0.as_ref(),
        }
    }

    /// Opens the database for commands that change nothing.
    pub(super) fn look_at(&self) -> anyhow::Result<Box<dyn Administration>> {
        match self {
            Place::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open_to_read(path)?)),
            Place::Postgres { .. } => self.administer(),
        }
    }

    /// Opens the database for commands that change its tracking.
    pub(super) fn administer(&self) -> anyhow::Result<Box<dyn Administration>> {
        match self {
            Place::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path)?)),
            Place::Postgres { url, .. } => Ok(Box::new(postgres::Postgres::new(&url.0)?)),
        }
    }
}

/// As it was typed, without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(path) => path.display().fmt(f),
            Place::Postgres { url, .. } => f.write_str(&password::hidden(&url.0)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secret")
            .field(&password::hidden(&self.0))
            .finish()
    }
}
