//! The schema as SQLite's pragmas tell it, before anything is concluded from it.
//!
//! What must hold: one damaged object never hides the others. What SQLite cannot describe (a view of a missing table, a table
//! with a function that only the application has) is left out and told.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::facts::{LeftOut, quote};

/// Everything in the schema `main` that can be read, by name.
pub(crate) struct RawSchema {
    /// `PRAGMA schema_version`.
    pub(crate) version: u64,
    pub(crate) tables: Vec<RawTable>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Every object that has an SQL text, ours included.
    pub(crate) objects: Vec<RawObject>,
    /// Names of the collations in use that this connection knows, in upper case.
    pub(crate) collations: HashSet<String>,
}

/// A row of `sqlite_schema`.
#[derive(Clone, Debug)]
pub(crate) struct RawObject {
    /// Grows in the order of creation.
    pub(crate) rowid: i64,
    /// `table`, `index`, `view` or `trigger`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The table that an index or a trigger belongs to.
    pub(crate) table: String,
    pub(crate) sql: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawKind {
    Table,
    View,
    Virtual,
}

pub(crate) struct RawTable {
    pub(crate) name: String,
    pub(crate) kind: RawKind,
    pub(crate) without_rowid: bool,
    pub(crate) strict: bool,
    /// The text of the `CREATE` statement.
    pub(crate) sql: String,
    pub(crate) columns: Vec<RawColumn>,
    pub(crate) indexes: Vec<RawIndex>,
    pub(crate) foreign_keys: Vec<RawForeignKey>,
}

pub(crate) struct RawColumn {
    /// Position in the table, hidden columns counted.
    pub(crate) cid: i64,
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) collation: String,
    pub(crate) not_null: bool,
    /// The text of the default.
    pub(crate) default: Option<String>,
    /// Position in the primary key from 1; 0 if it is not part of it.
    pub(crate) pk: i64,
    pub(crate) generated: bool,
}

pub(crate) struct RawIndex {
    pub(crate) name: String,
    pub(crate) unique: bool,
    pub(crate) origin: IndexOrigin,
    pub(crate) partial: bool,
    /// `CREATE INDEX`; absent for indexes that a constraint made.
    pub(crate) sql: Option<String>,
    /// The key columns in order.
    pub(crate) terms: Vec<RawTerm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexOrigin {
    Create,
    Unique,
    PrimaryKey,
}

pub(crate) struct RawTerm {
    /// [`RawColumn::cid`], −1 for the rowid, −2 for an expression.
    pub(crate) cid: i64,
    pub(crate) collation: String,
}

pub(crate) struct RawForeignKey {
    pub(crate) parent: String,
    /// Child column and parent column; the latter is absent if the parent's primary key is meant.
    pub(crate) columns: Vec<(String, Option<String>)>,
}

impl RawTable {
    /// The primary key's columns in key order.
    pub(crate) fn primary_key(&self) -> Vec<&RawColumn> {
        let mut key: Vec<_> = self.columns.iter().filter(|c| c.pk > 0).collect();
        key.sort_by_key(|c| c.pk);
        key
    }

    /// The column that is another name of the rowid. `INTEGER PRIMARY KEY DESC` looks like one, but has an index of its own.
    pub(crate) fn rowid_alias(&self) -> Option<&RawColumn> {
        let indexed = self
            .indexes
            .iter()
            .any(|i| i.origin == IndexOrigin::PrimaryKey);
        match self.primary_key()[..] {
            [column] if self.kind == RawKind::Table && !self.without_rowid && !indexed => {
                Some(column)
            }
            _ => None,
        }
    }
}

/// Reads the schema. The caller holds a transaction, so that all of it is of one moment.
pub(crate) fn read(connection: &Connection) -> rusqlite::Result<RawSchema> {
    let version =
        connection.query_row("PRAGMA main.schema_version", [], |row| row.get::<_, i64>(0))?;
    let objects = read_objects(connection)?;
    let listed = read_table_list(connection)?;
    let mut names: Vec<&RawObject> = objects
        .iter()
        .filter(|o| matches!(o.kind.as_str(), "table" | "view"))
        .filter(|o| !is_internal(&o.name))
        .collect();
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut tables, mut left_out) = (Vec::new(), Vec::new());
    for object in names {
        let Some(listed) = listed.get(&object.name) else {
            continue;
        };
        match read_table(connection, object, listed) {
            Ok(table) => tables.push(table),
            Err(error) => left_out.push(LeftOut {
                name: object.name.clone(),
                is_view: object.kind == "view",
                error: error.to_string(),
            }),
        }
    }
    Ok(RawSchema {
        version: version.cast_unsigned(),
        collations: known_collations(connection, &tables),
        tables,
        left_out,
        objects,
    })
}

/// Whether a table or view is SQLite's or Highwater's own. Only the exact names that Highwater uses are taken away from the user:
/// `highwater_marks` is a fine name for a table of a harbour.
fn is_internal(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("sqlite_") || crate::meta::is_own_table(&lower)
}

fn read_objects(connection: &Connection) -> rusqlite::Result<Vec<RawObject>> {
    connection
        .prepare(
            "SELECT rowid, type, name, tbl_name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
        )?
        .query_map([], |row| {
            // A text that is not UTF-8 must not hide the other objects; under the repaired name this one is not found and left out.
            let text = |i| -> rusqlite::Result<String> {
                let value = row.get_ref(i)?;
                Ok(String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned())
            };
            Ok(RawObject {
                rowid: row.get(0)?,
                kind: text(1)?,
                name: text(2)?,
                table: text(3)?,
                sql: text(4)?,
            })
        })?
        .collect()
}

/// The collations of all columns and indexes that this connection can compare with. (`PRAGMA collation_list` also has those that it
/// has only heard of.)
fn known_collations(connection: &Connection, tables: &[RawTable]) -> HashSet<String> {
    let of_columns = tables.iter().flat_map(|t| &t.columns).map(|c| &c.collation);
    let of_terms = tables
        .iter()
        .flat_map(|t| &t.indexes)
        .flat_map(|i| &i.terms)
        .map(|t| &t.collation);
    let named: HashSet<String> = of_columns
        .chain(of_terms)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let knows = |name: &String| {
        connection
            .prepare(&format!("SELECT '' = '' COLLATE {}", quote(name)))
            .is_ok()
    };
    named.into_iter().filter(knows).collect()
}

struct Listed {
    kind: RawKind,
    without_rowid: bool,
    strict: bool,
}

/// `PRAGMA table_list`, without the shadow tables of virtual tables.
fn read_table_list(connection: &Connection) -> rusqlite::Result<HashMap<String, Listed>> {
    let mut found = HashMap::new();
    let mut statement = connection.prepare("PRAGMA main.table_list")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let kind = match row.get_ref(2)?.as_str()? {
            "table" => RawKind::Table,
            "view" => RawKind::View,
            "virtual" => RawKind::Virtual,
            _ => continue,
        };
        let listed = Listed {
            kind,
            without_rowid: row.get(4)?,
            strict: row.get(5)?,
        };
        found.insert(row.get(1)?, listed);
    }
    Ok(found)
}

fn read_table(
    connection: &Connection,
    object: &RawObject,
    listed: &Listed,
) -> rusqlite::Result<RawTable> {
    let name = quote(&object.name);
    // Finds the views of missing tables and the columns with unknown functions, which the pragmas below do not.
    connection.prepare(&format!("SELECT * FROM main.{name}"))?;
    let is_table = listed.kind == RawKind::Table;
    Ok(RawTable {
        name: object.name.clone(),
        kind: listed.kind,
        without_rowid: listed.without_rowid,
        strict: listed.strict,
        sql: object.sql.clone(),
        columns: read_columns(connection, &object.name, listed.kind)?,
        indexes: if is_table {
            read_indexes(connection, &name)?
        } else {
            Vec::new()
        },
        foreign_keys: if is_table {
            read_foreign_keys(connection, &name)?
        } else {
            Vec::new()
        },
    })
}

fn read_columns(
    connection: &Connection,
    table: &str,
    kind: RawKind,
) -> rusqlite::Result<Vec<RawColumn>> {
    let mut columns = Vec::new();
    let mut statement =
        connection.prepare(&format!("PRAGMA main.table_xinfo({})", quote(table)))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let hidden: i64 = row.get(6)?;
        if hidden == 1 {
            continue;
        }
        let name: String = row.get(1)?;
        let collation = if kind == RawKind::Table {
            let (_, collation, ..) = connection.column_metadata(Some("main"), table, &name)?;
            collation.map(|c| c.to_string_lossy().into_owned())
        } else {
            None
        };
        columns.push(RawColumn {
            cid: row.get(0)?,
            name,
            declared: row.get(2)?,
            collation: collation.unwrap_or_else(|| "BINARY".to_owned()),
            not_null: row.get(3)?,
            default: row.get(4)?,
            pk: row.get(5)?,
            generated: hidden != 0,
        });
    }
    Ok(columns)
}

fn read_indexes(connection: &Connection, quoted: &str) -> rusqlite::Result<Vec<RawIndex>> {
    let mut indexes = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA main.index_list({quoted})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let origin = match row.get_ref(3)?.as_str()? {
            "pk" => IndexOrigin::PrimaryKey,
            "u" => IndexOrigin::Unique,
            _ => IndexOrigin::Create,
        };
        indexes.push(RawIndex {
            unique: row.get(2)?,
            origin,
            partial: row.get(4)?,
            // The primary key of a `WITHOUT ROWID` table is an index without a row in the schema.
            sql: connection
                .query_row(
                    "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?1",
                    params![name],
                    |row| row.get(0),
                )
                .optional()?
                .flatten(),
            terms: read_terms(connection, &name)?,
            name,
        });
    }
    // The list begins with the newest.
    indexes.reverse();
    Ok(indexes)
}

fn read_terms(connection: &Connection, index: &str) -> rusqlite::Result<Vec<RawTerm>> {
    let mut terms = Vec::new();
    let mut statement =
        connection.prepare(&format!("PRAGMA main.index_xinfo({})", quote(index)))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let is_key: bool = row.get(5)?;
        if is_key {
            terms.push(RawTerm {
                cid: row.get(1)?,
                collation: row.get(4)?,
            });
        }
    }
    Ok(terms)
}

fn read_foreign_keys(
    connection: &Connection,
    quoted: &str,
) -> rusqlite::Result<Vec<RawForeignKey>> {
    let mut keys: Vec<(i64, RawForeignKey)> = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA main.foreign_key_list({quoted})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let pair = (row.get(3)?, row.get(4)?);
        match keys.last_mut() {
            Some((last, key)) if *last == id => key.columns.push(pair),
            _ => keys.push((
                id,
                RawForeignKey {
                    parent: row.get(2)?,
                    columns: vec![pair],
                },
            )),
        }
    }
    // The list begins with the one declared last.
    Ok(keys.into_iter().rev().map(|(_, key)| key).collect())
}
