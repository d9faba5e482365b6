//! Refused changes: which constraint, of which table and columns.
//!
//! SQLite tells it in the text of the error only (`UNIQUE constraint failed: t.a, t.b`), and for foreign keys not at all; those
//! are looked for in the transaction that failed.

use highwater_core::{Catalog, ConstraintKind, ConstraintViolation, Error};
use rusqlite::{ErrorCode, ffi};

use crate::error::Fault;

/// What was being changed when the error came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) step: usize,
    pub(crate) table: usize,
}

impl Attempt<'_> {
    /// A violation of the table that is being changed.
    pub(crate) fn violation(
        self,
        kind: ConstraintKind,
        columns: Vec<String>,
        message: String,
    ) -> Fault {
        Fault::Told(Error::Constraint(Box::new(ConstraintViolation {
            kind,
            step: self.step,
            table: self.catalog.tables[self.table].name.clone(),
            columns,
            message,
        })))
    }

    /// An error of SQLite, as a refused change if it is one.
    pub(crate) fn explain(self, error: rusqlite::Error) -> Fault {
        let rusqlite::Error::SqliteFailure(cause, Some(said)) = &error else {
            return error.into();
        };
        match cause.code {
            ErrorCode::ConstraintViolation => self.refused(cause.extended_code, said),
            ErrorCode::TypeMismatch => {
                let table = &self.catalog.tables[self.table];
                let key = table
                    .key
                    .iter()
                    .map(|column| table.columns[*column].name.clone());
                let message = format!("The key of {} must be a whole number.", table.name);
                self.violation(ConstraintKind::Type, key.collect(), message)
            }
            _ => error.into(),
        }
    }

    fn refused(self, code: i32, said: &str) -> Fault {
        let own = &self.catalog.tables[self.table].name;
        // RAISE in a foreign key's own action looks like one in a trigger of the application.
        if said == "FOREIGN KEY constraint failed" {
            return self.violation(
                ConstraintKind::ForeignKey,
                Vec::new(),
                format!("A foreign key of {own}, or one that refers to it, does not allow this."),
            );
        }
        let (_, rest) = said.split_once("failed: ").unwrap_or(("", said));
        let (table, columns) = names(self.catalog, rest)
            .map(|(table, columns)| (table.to_owned(), columns))
            .unwrap_or((own.clone(), Vec::new()));
        let list = columns.join(", ");
        let (kind, message) = match code {
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID => (
                ConstraintKind::Unique,
                if columns.is_empty() {
                    format!("Another row of {table} has the same value in a unique index ({rest}).")
                } else {
                    format!("Another row of {table} has the same value of {list}.")
                },
            ),
            ffi::SQLITE_CONSTRAINT_NOTNULL => (
                ConstraintKind::NotNull,
                format!("{list} of {table} must have a value."),
            ),
            ffi::SQLITE_CONSTRAINT_CHECK => (
                ConstraintKind::Check,
                format!("A check constraint of {table} does not allow this: {rest}."),
            ),
            ffi::SQLITE_CONSTRAINT_DATATYPE => {
                let name = said.rsplit_once(" column ").map_or("", |(_, name)| name);
                let columns = names(self.catalog, name).map_or(Vec::new(), |(_, names)| names);
                let message = format!("The value does not have the type of the column: {said}.");
                return self.violation(ConstraintKind::Type, columns, message);
            }
            _ => (ConstraintKind::Trigger, said.to_owned()),
        };
        Fault::Told(Error::Constraint(Box::new(ConstraintViolation {
            kind,
            step: self.step,
            table,
            columns,
            message,
        })))
    }
}

/// Takes `t.a, t.b` apart. Names may contain dots and commas, so they are looked for rather than split.
fn names<'c>(catalog: &'c Catalog, text: &str) -> Option<(&'c str, Vec<String>)> {
    for table in &catalog.tables {
        let mut columns = Vec::new();
        let mut rest = text;
        while let Some(after) = rest
            .strip_prefix(table.name.as_str())
            .and_then(|rest| rest.strip_prefix('.'))
        {
            let found = table.columns.iter().find_map(|column| {
                let rest = after.strip_prefix(column.name.as_str())?;
                let next = rest.strip_prefix(", ").or(rest.is_empty().then_some(""))?;
                Some((column.name.clone(), next))
            });
            let Some((column, next)) = found else {
                break;
            };
            columns.push(column);
            rest = next;
        }
        if rest.is_empty() && !columns.is_empty() {
            return Some((&table.name, columns));
        }
    }
    None
}
