//! Databases to play with: a schema each, and rows made by a formula.
//!
//! What must hold: the same template and number of rows always make the same rows, in every kind of database, so that tests and
//! measurements can be repeated; what exists already is never touched; what could not be completed leaves nothing behind.
//! What is deliberately absent: random numbers and the current time.

mod business_central;
mod dataverse;
mod graph;
mod mixer;
mod postgres;
mod rows;
mod sample;
mod sqlite;

use crate::args::TemplateName;
use crate::commands::database::Place;

/// What stands between the two parts of a schema for PostgreSQL: what is faster with the rows in place comes after them.
const AFTER_ROWS: &str = "-- After the rows\n";

struct Template {
    /// The schema for SQLite.
    sqlite: &'static str,
    /// The same schema for PostgreSQL, in two parts.
    postgres: &'static str,
    /// Inserts the rows; the number is that of the main table.
    fill: fn(&mut dyn rows::Rows, i64) -> anyhow::Result<()>,
}

/// Creates a template's tables and rows.
pub(crate) fn create(place: &Place, name: TemplateName, rows: i64) -> anyhow::Result<()> {
    let template = match name {
        TemplateName::Sample => sample::TEMPLATE,
        TemplateName::Graph => graph::TEMPLATE,
        TemplateName::Dataverse => dataverse::TEMPLATE,
        TemplateName::BusinessCentral => business_central::TEMPLATE,
    };
    match place {
        Place::Sqlite(path) => sqlite::create(path, &template, rows),
        Place::Postgres { access, .. } => {
            postgres::create(access, &place.to_string(), &template, rows)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use rusqlite::Connection;

    #[test]
    fn every_template_is_consistent_and_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        for name in TemplateName::value_variants() {
            for rows in [0, 1, 250] {
                let dumps: Vec<String> = ["a", "b"]
                    .iter()
                    .map(|copy| {
                        let path = folder.path().join(format!("{name:?}-{rows}-{copy}.sqlite"));
                        create(&Place::Sqlite(path.clone()), *name, rows).unwrap();
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
            create(&Place::Sqlite(path.clone()), name, 123).unwrap();
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
        let error = create(&Place::Sqlite(path.clone()), TemplateName::Sample, 1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
