//! A template in a SQLite file of its own.
//!
//! What must hold: an existing file is never touched; a file that could not be completed is removed again.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use rusqlite::types::{Null, ToSqlOutput};
use rusqlite::{Connection, OpenFlags, ToSql, Transaction, params_from_iter};

use super::Template;
use super::rows::{Rows, Value};

/// Creates the file with the template's tables and rows.
pub(super) fn create(path: &Path, template: &Template, rows: i64) -> anyhow::Result<()> {
    // Creating it here, not in SQLite, makes "does it exist" and "create it" one step.
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => bail!(
            "{} exists already and is left as it is; choose another name or delete it first",
            path.display()
        ),
        Err(e) => return Err(e).context(format!("cannot create {}", path.display())),
    }
    fill(path, template, rows)
        .with_context(|| format!("cannot fill {}", path.display()))
        .inspect_err(|_| {
            // The first error is the one to report.
            let _ = std::fs::remove_file(path);
        })
}

fn fill(path: &Path, template: &Template, rows: i64) -> anyhow::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    // Nothing to protect yet: after a crash the half-made file is not worth keeping. Foreign keys hold by construction, and
    // checking them row by row would double the time.
    db.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
    )?;
    let transaction = db.transaction()?;
    transaction.execute_batch(template.sqlite)?;
    let mut inserts = Inserts {
        db: &transaction,
        statements: HashMap::new(),
    };
    (template.fill)(&mut inserts, rows)?;
    transaction.commit()?;
    // Readers and a writer at the same time.
    db.execute_batch("PRAGMA journal_mode = WAL;")?;
    Ok(())
}

/// Inserts row by row.
struct Inserts<'db> {
    db: &'db Transaction<'db>,
    /// By table.
    statements: HashMap<&'static str, String>,
}

impl Rows for Inserts<'_> {
    fn insert(&mut self, table: &'static str, row: &[Value]) -> anyhow::Result<()> {
        let statement = self.statements.entry(table).or_insert_with(|| {
            let places = vec!["?"; row.len()].join(", ");
            format!("INSERT INTO \"{table}\" VALUES ({places})")
        });
        self.db
            .prepare_cached(statement)?
            .execute(params_from_iter(row))?;
        Ok(())
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Value::Null => Ok(ToSqlOutput::from(Null)),
            Value::Boolean(value) => value.to_sql(),
            Value::Integer(value) => value.to_sql(),
            Value::Real(value) => value.to_sql(),
            Value::Text(value) => value.to_sql(),
        }
    }
}
