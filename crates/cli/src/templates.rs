//! Databases to play with: a schema each, and rows made by a formula.
//!
//! What must hold: the same template and number of rows always make the same rows, so that tests and measurements can be repeated; an
//! existing file is never touched; a file that could not be completed is removed again.
//! What is deliberately absent: random numbers and the current time.

mod business_central;
mod dataverse;
mod graph;
mod mixer;
mod sample;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags, Transaction};

use crate::args::TemplateName;

struct Template {
    schema: &'static str,
    /// Inserts the rows; the number is that of the main table.
    fill: fn(&Transaction<'_>, i64) -> rusqlite::Result<()>,
}

/// Creates a database file with a template's tables and rows.
pub(crate) fn create(path: &Path, name: TemplateName, rows: i64) -> anyhow::Result<()> {
    let template = match name {
        TemplateName::Sample => sample::TEMPLATE,
        TemplateName::Graph => graph::TEMPLATE,
        TemplateName::Dataverse => dataverse::TEMPLATE,
        TemplateName::BusinessCentral => business_central::TEMPLATE,
    };
    // Creating it here, not in SQLite, makes "does it exist" and "create it" one step.
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => bail!(
            "{} exists already and is left as it is; choose another name or delete it first",
            path.display()
        ),
        Err(e) => return Err(e).context(format!("cannot create {}", path.display())),
    }
    fill(path, &template, rows).inspect_err(|_| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(path);
    })
}

fn fill(path: &Path, template: &Template, rows: i64) -> anyhow::Result<()> {
    let write = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        // Nothing to protect yet: after a crash the half-made file is not worth keeping. Foreign keys hold by construction, and
        // checking them row by row would double the time.
        db.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;",
        )?;
        let transaction = db.transaction()?;
        transaction.execute_batch(template.schema)?;
        (template.fill)(&transaction, rows)?;
        transaction.commit()?;
        // Readers and a writer at the same time.
        db.execute_batch("PRAGMA journal_mode = WAL;")
    };
    write().with_context(|| format!("cannot fill {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;

    #[test]
    fn every_template_is_consistent_and_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        for name in TemplateName::value_variants() {
            for rows in [0, 1, 250] {
                let dumps: Vec<String> = ["a", "b"]
                    .iter()
                    .map(|copy| {
                        let path = folder.path().join(format!("{name:?}-{rows}-{copy}.sqlite"));
                        create(&path, *name, rows).unwrap();
                        dump(&Connection::open(&path).unwrap())
                    })
                    .collect();
                assert_eq!(dumps[0], dumps[1], "{name:?} {rows}");
            }
        }
    }

    /// The rows of all tables, after checking what SQLite can check.
    fn dump(db: &Connection) -> String {
        let broken: i64 = db
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(broken, 0);
        let intact: String = db
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(intact, "ok");
        let mut names = db
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut dump = String::new();
        for name in names {
            let mut rows = db
                .prepare(&format!("SELECT * FROM \"{name}\" ORDER BY 1, 2"))
                .unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..columns {
                    dump.push_str(&format!("{:?} ", row.get_ref(column).unwrap()));
                }
                dump.push('\n');
            }
        }
        dump
    }

    #[test]
    fn the_main_table_has_exactly_the_rows_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for (name, table) in [
            (TemplateName::Sample, "Orders"),
            (TemplateName::Graph, "users"),
            (TemplateName::Dataverse, "contacts"),
            (TemplateName::BusinessCentral, "salesOrders"),
        ] {
            let path = folder.path().join(table);
            create(&path, name, 123).unwrap();
            let count: i64 = Connection::open(&path)
                .unwrap()
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert_eq!(count, 123, "{table}");
        }
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.txt");
        std::fs::write(&path, "precious").unwrap();
        let error = create(&path, TemplateName::Sample, 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
