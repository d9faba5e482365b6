//! A SQLite file that operators look after: a plain connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use highwater::core::store::{StoreStatus, TableStatus};
use highwater::core::tracking::{Ensured, Policy};
use highwater::core::{Gone, Snapshot};
use highwater::sqlite::failure::Failure;
use highwater::sqlite::{introspect, meta, status, tracking};
use rusqlite::{Connection, OpenFlags};

use super::{Administration, Seal};
use crate::failure::Usage;

/// How long to wait for other programs that write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A SQLite file that exists.
pub(super) struct Sqlite {
    path: PathBuf,
    connection: Connection,
}

impl Sqlite {
    /// Opens the file for commands that change nothing.
    pub(super) fn open_to_read(path: &Path) -> anyhow::Result<Sqlite> {
        let opened = Sqlite::open(path)?;
        opened.explained(|connection| Ok(connection.pragma_update(None, "query_only", true)?))?;
        Ok(opened)
    }

    /// Opens the file.
    pub(super) fn open(path: &Path) -> anyhow::Result<Sqlite> {
        // Readers of a database in WAL mode need write access too.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // Reads the file's header for the first time: is it a database at all?
            connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
            Ok(connection)
        };
        match connect() {
            Ok(connection) => Ok(Sqlite {
                path: path.to_owned(),
                connection,
            }),
            Err(e) => Err(anyhow!(Failure::from(e).tell(path))),
        }
    }

    fn explained<T>(
        &self,
        task: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> anyhow::Result<T> {
        task(&self.connection).map_err(|e| anyhow!(e.tell(&self.path)))
    }
}

impl Administration for Sqlite {
    fn status(&mut self) -> anyhow::Result<StoreStatus> {
        self.explained(|connection| status::load(connection, &introspect::load(connection)?))
    }

    fn tables(&mut self) -> anyhow::Result<Vec<TableStatus>> {
        Ok(self.status()?.tables)
    }

    fn track(&mut self, policy: &Policy) -> anyhow::Result<Ensured> {
        let tracked = tracking::ensure(&mut self.connection, policy);
        tracked.map_err(|e| anyhow!(e.tell(&self.path)))
    }

    fn print_sql(&mut self, _: &Policy, _: Option<&str>) -> anyhow::Result<String> {
        Err(Usage(
            "--print-sql is for PostgreSQL, where another role may have to run the script; a SQLite file has no roles, so leave it out"
                .into(),
        )
        .into())
    }

    fn untrack(&mut self, tables: Option<&[String]>) -> anyhow::Result<Vec<String>> {
        // No trace means that neither old rows nor keys can be read from the pages that become free.
        self.explained(|connection| Ok(connection.pragma_update(None, "secure_delete", true)?))?;
        let untracked = tracking::untrack(&mut self.connection, tables);
        untracked.map_err(|e| anyhow!(e.tell(&self.path)))
    }

    fn seal(&mut self) -> anyhow::Result<Option<Seal>> {
        let Some(meta) = self.explained(meta::load)? else {
            return Ok(None);
        };
        let keys = meta.key_ring().ok_or_else(|| {
            anyhow!(
                "the keys in {} are damaged; restore it from a backup",
                self.path.display()
            )
        })?;
        let epoch = meta.epoch;
        Ok(Some(Seal { epoch, keys }))
    }

    fn gone(&mut self, incarnation: u64, snapshots: &[&Snapshot]) -> anyhow::Result<Option<Gone>> {
        self.explained(|connection| highwater::sqlite::gone(connection, incarnation, snapshots))
    }

    fn describe(&self, snapshot: &Snapshot) -> Option<String> {
        highwater::sqlite::describe_snapshot(snapshot)
    }
}
