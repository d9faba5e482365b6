//! A plain connection, for the commands that look after a database without serving it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use highwater::core::store::StoreStatus;
use highwater::core::{Gone, Snapshot};
use highwater::sqlite::failure::Failure;
use highwater::sqlite::meta::Meta;
use highwater::sqlite::tracking::{Ensured, Policy};
use highwater::sqlite::{introspect, meta, status, tracking};
use rusqlite::{Connection, OpenFlags};

/// How long to wait for other programs that write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A SQLite file that exists.
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the database for commands that change nothing.
    pub(super) fn open_to_read(database: &str) -> anyhow::Result<Database> {
        let opened = Database::open(database)?;
        opened.explained(|connection| Ok(connection.pragma_update(None, "query_only", true)?))?;
        Ok(opened)
    }

    /// Opens the database.
    pub(super) fn open(database: &str) -> anyhow::Result<Database> {
        let path = super::existing_sqlite_path(database)?;
        // Readers of a database in WAL mode need write access too.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // Reads the file's header for the first time: is it a database at all?
            connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
            Ok(connection)
        };
        match connect() {
            Ok(connection) => Ok(Database { path, connection }),
            Err(e) => Err(anyhow!(Failure::from(e).tell(&path))),
        }
    }

    /// Why a link that holds these snapshots of the table with this incarnation is answered 410 Gone; `None` if it is answered.
    pub(super) fn gone(
        &self,
        incarnation: u64,
        snapshots: &[&Snapshot],
    ) -> anyhow::Result<Option<Gone>> {
        self.explained(|connection| highwater::sqlite::gone(connection, incarnation, snapshots))
    }

    /// Identity and keys; `None` if nothing was ever tracked.
    pub(super) fn meta(&self) -> anyhow::Result<Option<Meta>> {
        self.explained(meta::load)
    }

    /// What an operator wants to know of each table.
    pub(super) fn status(&self) -> anyhow::Result<StoreStatus> {
        self.explained(|connection| status::load(connection, &introspect::load(connection)?))
    }

    /// Tracks tables.
    pub(super) fn track(&mut self, policy: &Policy) -> anyhow::Result<Ensured> {
        let tracked = tracking::ensure(&mut self.connection, policy);
        tracked.map_err(|e| anyhow!(e.tell(&self.path)))
    }

    /// Ends the tracking of the named tables, or of all, and returns their names.
    pub(super) fn untrack(&mut self, tables: Option<&[String]>) -> anyhow::Result<Vec<String>> {
        // No trace means that neither old rows nor keys can be read from the pages that become free.
        self.explained(|connection| Ok(connection.pragma_update(None, "secure_delete", true)?))?;
        let untracked = tracking::untrack(&mut self.connection, tables);
        untracked.map_err(|e| anyhow!(e.tell(&self.path)))
    }

    fn explained<T>(
        &self,
        task: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> anyhow::Result<T> {
        task(&self.connection).map_err(|e| anyhow!(e.tell(&self.path)))
    }
}
