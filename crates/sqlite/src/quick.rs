//! Whether anything happened at all: the answer to most polls, without a task and without waiting.
//!
//! `PRAGMA data_version` changes whenever another connection commits. As long as it does not, what was read before is still true, so
//! a poll costs one look at the file's identity and one at this number.
//!
//! What must hold: this never blocks. It takes a connection only if one is free at once, and the connection gives up at once when
//! the database is locked. On any doubt it says nothing, and the caller asks in the ordinary way.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use highwater_core::Snapshot;
use rusqlite::Connection;

use crate::facts::history_table;
use crate::pool::{Access, FileId, Role, Session};
use crate::schema::Schema;
use crate::snapshot::{Position, clock, schema_version};

/// Connections of their own, one for every thread that asks at the same time.
pub(crate) struct Quick {
    observers: Box<[Mutex<Option<Observer>>]>,
}

/// A connection and what it saw last.
struct Observer {
    session: Session,
    seen: Option<Seen>,
}

/// A state of the database.
struct Seen {
    data_version: i64,
    schema_version: i64,
    /// Version of the newest record, and the epoch; `None` if nothing is tracked.
    clock: Option<(i64, i64)>,
    /// The newest record of each table that was asked for: id of the history, version, nonce.
    newest: Vec<(i64, i64, i64)>,
}

impl Quick {
    pub(crate) fn new(observers: usize) -> Quick {
        Quick {
            observers: (0..observers).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Opens the connections anew. Blocks: not for the path of a request.
    pub(crate) fn open(&self, access: &Access) {
        let access = Access {
            busy_timeout: Duration::ZERO,
            ..access.clone()
        };
        for observer in &self.observers {
            let session = access.open(Role::Read).ok();
            let opened = session.map(|session| Observer {
                session,
                seen: None,
            });
            *observer.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        }
    }

    /// Whether the connections look at this file.
    pub(crate) fn looks_at(&self, file: FileId) -> bool {
        let observer = self.observers[0]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        observer
            .as_ref()
            .is_some_and(|observer| observer.session.file == file)
    }

    /// Whether the schema is still the one that was read; `None` if that cannot be told.
    pub(crate) fn is_current(&self, access: &Access, schema: &Schema) -> Option<bool> {
        let mut guard = self.free()?;
        let observer = guard.as_mut()?;
        let seen = observer.look(access, schema)?;
        Some(u64::try_from(seen.schema_version) == Ok(schema.catalog.version) && seen.knows(schema))
    }

    /// Whether `lo` is still the newest snapshot of a table; `None` if that cannot be told.
    pub(crate) fn unchanged_since(
        &self,
        access: &Access,
        schema: &Schema,
        table: usize,
        lo: &Snapshot,
    ) -> Option<bool> {
        let history = schema.layouts.get(table)?.history?;
        let lo = Position::decode(lo).ok()?;
        let mut guard = self.free()?;
        let observer = guard.as_mut()?;
        let seen = observer.look(access, schema)?;
        if u64::try_from(seen.schema_version) != Ok(schema.catalog.version) || !seen.knows(schema) {
            return None;
        }
        let (clock, _) = seen.clock?;
        let (version, anchor) = observer.newest(history)?;
        if version > lo.version {
            return Some(false);
        }
        // Where only other tables changed, the round is empty too, but its end is a later snapshot.
        (clock == lo.version && anchor == lo.anchor).then_some(true)
    }

    fn free(&self) -> Option<MutexGuard<'_, Option<Observer>>> {
        self.observers
            .iter()
            .find_map(|observer| match observer.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            })
    }
}

impl Seen {
    /// Whether this is the database that the schema was read from.
    fn knows(&self, schema: &Schema) -> bool {
        match (&schema.meta, self.clock) {
            (Some(meta), Some((_, epoch))) => epoch as u64 == meta.epoch.0,
            (None, None) => true,
            _ => false,
        }
    }
}

impl Observer {
    /// The current state. Everything in it is at least as new as its `data_version`.
    fn look(&mut self, access: &Access, schema: &Schema) -> Option<&Seen> {
        if self.session.file != schema.file || access.file().ok() != Some(self.session.file) {
            return None;
        }
        let connection = &self.session.connection;
        let data_version = data_version(connection).ok()?;
        if self
            .seen
            .as_ref()
            .is_none_or(|seen| seen.data_version != data_version)
        {
            self.seen = None;
            self.seen = Some(Seen {
                data_version,
                schema_version: schema_version(connection).ok()?,
                clock: clock(connection).ok(),
                newest: Vec::new(),
            });
        }
        self.seen.as_ref()
    }

    fn newest(&mut self, history: i64) -> Option<(i64, i64)> {
        let seen = self.seen.as_mut()?;
        if let Some((_, version, anchor)) = seen.newest.iter().find(|(id, ..)| *id == history) {
            return Some((*version, *anchor));
        }
        let sql = format!(
            "SELECT version, nonce FROM {} ORDER BY version DESC LIMIT 1",
            history_table(history)
        );
        let mut statement = self.session.connection.prepare_cached(&sql).ok()?;
        let mut rows = statement.raw_query();
        let (version, anchor) = match rows.next().ok()? {
            Some(row) => (row.get(0).ok()?, row.get(1).ok()?),
            None => (0, 0),
        };
        seen.newest.push((history, version, anchor));
        Some((version, anchor))
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}
