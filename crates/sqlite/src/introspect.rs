//! From SQLite's schema to a [`Catalog`].
//!
//! Everything in the schema `main` becomes a table of the catalog, except SQLite's and Highwater's own tables and the shadow tables
//! of virtual tables. Views and virtual tables are readable but not tracked, and so are tables without a usable key.
//!
//! What must hold: the catalog says *tracked* only if every trigger is there, unchanged, and belongs to exactly this schema of the
//! table; one damaged object never hides the others. What is deliberately absent: any write ([`crate::tracking`]).

pub(crate) mod raw;
mod relations;
pub(crate) mod types;

use highwater_core::{Catalog, Column, Table, Tracking};
use rusqlite::Connection;

use crate::capture::shape::{self, KeyColumn};
use crate::facts::{ColumnFacts, Loaded, TableFacts};
use crate::failure::Failure;
use crate::survey::{Health, Survey, Surveyed};
use raw::{RawKind, RawTable};

/// Reads the schema and what is tracked of it, in one read transaction (the caller's, if one is open).
///
/// # Errors
///
/// [`Failure::Refused`] if a newer version of Highwater tracks the database, else what SQLite reports.
pub fn load(connection: &Connection) -> Result<Loaded, Failure> {
    let transaction = if connection.is_autocommit() {
        Some(connection.unchecked_transaction()?)
    } else {
        None
    };
    let survey = Survey::of(connection)?;
    if let Some(transaction) = transaction {
        transaction.commit()?;
    }
    Ok(loaded(&survey))
}

fn loaded(survey: &Survey) -> Loaded {
    let (mut tables, facts) = survey
        .tables
        .iter()
        .map(table)
        .collect::<(Vec<_>, Vec<_>)>();
    let raw: Vec<_> = survey.tables.iter().map(|t| &t.raw).collect();
    relations::add(&mut tables, &raw);
    Loaded {
        catalog: Catalog {
            version: survey.version,
            tables,
        },
        tables: facts,
        left_out: survey.left_out.clone(),
    }
}

fn table(surveyed: &Surveyed) -> (Table, TableFacts) {
    let raw = &surveyed.raw;
    let key = surveyed.key.as_deref().unwrap_or_default();
    let tracked = match &surveyed.health {
        Health::Sound { id, incarnation } => Some((*id, *incarnation)),
        Health::Doubtful { .. } | Health::Absent { .. } => None,
    };
    let tracking = match &surveyed.health {
        Health::Sound { incarnation, .. } => Tracking::Tracked {
            incarnation: *incarnation,
        },
        Health::Doubtful { reason, .. } | Health::Absent { reason } => Tracking::Untracked {
            reason: reason.clone(),
        },
    };
    let table = Table {
        schema: None,
        name: raw.name.clone(),
        is_view: raw.kind == RawKind::View,
        columns: columns(raw, key),
        key: key.iter().map(|k| k.column).collect(),
        relations: Vec::new(),
        tracking,
    };
    (table, facts(raw, key, tracked.map(|(id, _)| id)))
}

fn columns(raw: &RawTable, key: &[KeyColumn]) -> Vec<Column> {
    let alias = raw.rowid_alias().map(|c| c.cid);
    let columns = raw.columns.iter().enumerate().map(|(position, column)| {
        let (mut ty, scale) = types::property_type(&column.declared);
        let key = key.iter().find(|k| k.column == position);
        if key.is_some() {
            ty = types::key_type(ty, types::affinity(&column.declared, raw.strict));
        }
        Column {
            name: column.name.clone(),
            ty,
            // Rows without a complete key are not entities, so a key is never null here.
            nullable: !column.not_null && key.is_none(),
            computed: column.generated,
            has_default: column.default.is_some() || alias == Some(column.cid),
            scale,
        }
    });
    columns.collect()
}

fn facts(raw: &RawTable, key: &[KeyColumn], history_id: Option<i64>) -> TableFacts {
    let alias = raw.rowid_alias().map(|c| c.cid);
    TableFacts {
        history_id,
        columns: raw
            .columns
            .iter()
            .map(|column| ColumnFacts {
                affinity: types::affinity(&column.declared, raw.strict),
                collation: column.collation.clone(),
                not_null: column.not_null || alias == Some(column.cid),
            })
            .collect(),
        key: key.iter().map(|k| k.facts.clone()).collect(),
        rowid_alias: raw.columns.iter().position(|c| alias == Some(c.cid)),
        rowid_name: shape::rowid_name(raw),
        without_rowid: raw.without_rowid,
        strict: raw.strict,
        is_virtual: raw.kind == RawKind::Virtual,
    }
}
