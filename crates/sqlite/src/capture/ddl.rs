//! The history table of a tracked table and the triggers that fill it.
//!
//! Every trigger writes records in the same way: it moves `highwater_clock` on by one and inserts a row with that version. What
//! differs is which key and which image:
//!
//! | trigger | logs |
//! | --- | --- |
//! | `delete`, `update` (before) | the row under its old key |
//! | `rekey` (before an update of the key) | what is stored under the new key: a row that `UPDATE OR REPLACE` will remove, or nothing |
//! | `insert_conflict`, `update_conflict` (before) | the rows that `REPLACE` will remove |
//! | `inserted` (after) | that there was nothing under the key |
//! | `updated` (after an update of the key) | that there was nothing under the new key, where `rekey` could not know it |
//!
//! *Why before and not after:* foreign key actions and the application's triggers may change the same row in nested statements,
//! which log it as well; the first record of a key in a transaction must be the committed state. Only `inserted` has to come after, because
//! SQLite may choose the key; hence these triggers must be the youngest of the table, which SQLite fires first.
//!
//! *Why not only where something changes:* a comparison of the old with the new row would need every collation and every storage class
//! right; the reader compares anyway.
//!
//! *A rowid in `VALUES` is computed twice*, so `INSERT OR REPLACE INTO t VALUES (abs(random()) % 9, …)` shows the triggers before the
//! insert one key and stores another. Hence `announce` notes in `highwater_clock` which key they saw. If `inserted` finds another key
//! announced for its table, a row may have been removed unseen: it notes its own version as `lost`, which ends all older links of the
//! database.
//!
//! *Why many triggers and not few:* SQLite prepares the whole of a trigger for each row, so what is rarely needed stands apart from what
//! always is. For the same reason triggers on updates name the columns: an update of others does not even call them.
//!
//! What must hold: nothing in a trigger can violate a constraint, because the conflict clause of the application's statement replaces
//! ours; raw expressions of the schema are evaluated where no other table's columns are in scope; the names of columns appear
//! quoted and qualified everywhere else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::shape::{Shape, UniqueKey, UniqueTerm};
use crate::facts::{history_table, quote};

/// An object to create, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    /// As SQLite stores it in `sqlite_schema`.
    pub(crate) sql: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Table,
    Index,
    Trigger,
}

/// Everything that captures the changes of one table.
pub(crate) fn objects(shape: &Shape, id: i64) -> Vec<Object> {
    let writer = Writer {
        shape,
        id,
        table: quote(&shape.table),
        history: history_table(id),
    };
    let mut objects = vec![
        writer.history(),
        writer.history_key(),
        writer.update(),
        writer.delete(),
        writer.rekey(),
    ];
    if shape.key_is_rowid {
        objects.push(writer.announce());
    }
    if shape
        .key
        .iter()
        .any(|k| shape.columns[k.column].new.unstable)
    {
        objects.push(writer.updated());
    }
    objects.push(writer.insert_conflict());
    objects.extend(writer.update_conflict());
    objects.push(writer.inserted());
    objects
}

/// Moves the clock on. Several records of one trigger have several versions.
const TICK: &str = "UPDATE highwater_clock SET version = version + 1";

/// The version of the record that is being written.
const VERSION: &str = "(SELECT version FROM highwater_clock)";

struct Writer<'a> {
    shape: &'a Shape,
    id: i64,
    table: String,
    history: String,
}

impl Writer<'_> {
    fn history(&self) -> Object {
        let mut columns = String::new();
        for (i, column) in self.shape.columns.iter().enumerate() {
            let _ = write!(columns, ", c{i} {}", column.affinity.type_name());
        }
        let name = self.history.clone();
        let sql = format!(
            "CREATE TABLE {name}(version INTEGER PRIMARY KEY, nonce INTEGER DEFAULT (random()), present INTEGER{columns})"
        );
        Object {
            kind: ObjectKind::Table,
            name,
            sql,
        }
    }

    /// SQLite appends the version, which is the rowid, to every entry by itself.
    fn history_key(&self) -> Object {
        let name = format!("{}_key", self.history);
        let columns = join(
            ", ",
            self.shape.key.iter().map(|k| format!("c{}", k.column)),
        );
        let sql = format!("CREATE INDEX {name} ON {}({columns})", self.history);
        Object {
            kind: ObjectKind::Index,
            name,
            sql,
        }
    }

    fn update(&self) -> Object {
        self.trigger(
            "update",
            "BEFORE UPDATE",
            self.key_not_null("OLD."),
            &self.old_image(),
        )
    }

    fn delete(&self) -> Object {
        self.trigger(
            "delete",
            "BEFORE DELETE",
            self.key_not_null("OLD."),
            &self.old_image(),
        )
    }

    fn rekey(&self) -> Object {
        let event = self.update_of(Some(self.key_sources()));
        let when = conjunction([Some(self.key_changes()), self.new_key_not_null()]);
        let body = format!("{TICK}; {};", self.stored_under_new_key());
        self.trigger("rekey", &format!("BEFORE {event}"), when, &body)
    }

    fn updated(&self) -> Object {
        let event = self.update_of(Some(self.key_sources()));
        let changes = any((0..self.shape.key.len()).map(|k| {
            let name = self.key_name(k);
            format!("NEW.{name} IS NOT OLD.{name} COLLATE BINARY")
        }));
        let body = format!("{TICK}; {};", self.nothing_under_new_key());
        let when = conjunction([Some(changes), self.key_not_null("NEW.")]);
        self.trigger("updated", &format!("AFTER {event}"), when, &body)
    }

    /// After −1 nothing is announced: SQLite may choose any key. The same if an earlier insert announced a key and then failed.
    fn announce(&self) -> Object {
        let id = self.id;
        let key = self.key_name(0);
        let when = format!("NEW.{key} <> -1 OR (SELECT announced_in FROM highwater_clock) = {id}");
        let body = format!(
            "UPDATE highwater_clock SET announced = NEW.{key}, announced_in = CASE WHEN NEW.{key} <> -1 THEN {id} END;"
        );
        self.trigger("announce", "BEFORE INSERT", Some(when), &body)
    }

    fn inserted(&self) -> Object {
        let id = self.id;
        let key = self.key_name(0);
        let note = if self.shape.key_is_rowid {
            format!(
                ", lost = CASE WHEN announced_in = {id} AND announced <> NEW.{key} THEN version + 1 ELSE lost END, announced_in = NULL"
            )
        } else {
            String::new()
        };
        let body = format!("{TICK}{note}; {};", self.nothing_under_new_key());
        self.trigger("inserted", "AFTER INSERT", self.key_not_null("NEW."), &body)
    }

    fn insert_conflict(&self) -> Object {
        let probes = self.shape.unique.iter().map(|unique| self.probe(unique));
        self.conflict(
            "insert_conflict",
            "BEFORE INSERT",
            &probes.collect::<Vec<_>>(),
        )
    }

    /// The key itself is left to `rekey`.
    fn update_conflict(&self) -> Option<Object> {
        let unique: Vec<_> = self.shape.unique.iter().filter(|u| !u.is_key).collect();
        if unique.is_empty() {
            return None;
        }
        let itself = join(
            " AND ",
            (0..self.shape.key.len()).map(|k| {
                let name = self.key_name(k);
                format!("r.{name} IS OLD.{name} COLLATE BINARY")
            }),
        );
        let probes = unique.iter().map(|unique| {
            let probe = format!("{} AND NOT ({itself})", self.probe(unique));
            match self.changes(unique) {
                Some(changes) => format!("({changes}) AND {probe}"),
                None => probe,
            }
        });
        let columns = unique.iter().map(|unique| unique.columns.clone());
        let columns = columns
            .collect::<Option<Vec<_>>>()
            .map(|sets| sets.into_iter().flatten().collect());
        let event = format!("BEFORE {}", self.update_of(columns));
        Some(self.conflict("update_conflict", &event, &probes.collect::<Vec<_>>()))
    }

    fn conflict(&self, name: &str, event: &str, probes: &[String]) -> Object {
        let found =
            |probe: &String| format!("EXISTS (SELECT 1 FROM {} AS r WHERE {probe})", self.table);
        let stored = join(
            ", ",
            self.shape
                .columns
                .iter()
                .map(|c| format!("r.{}", quote(&c.name))),
        );
        // A single probe has found its row if the trigger fires at all.
        let guard = |probe: &String| match probes {
            [_] => String::new(),
            _ => format!(" WHERE {}", found(probe)),
        };
        let body = join(
            " ",
            probes.iter().map(|probe| {
                format!(
                    "{TICK}{}; {} SELECT {VERSION}, 1, {stored} FROM {} AS r WHERE {probe};",
                    guard(probe),
                    self.insert_all(),
                    self.table
                )
            }),
        );
        self.trigger(name, event, Some(any(probes.iter().map(found))), &body)
    }

    /// The stored columns that the key depends on.
    fn key_sources(&self) -> BTreeSet<usize> {
        let news = self
            .shape
            .key
            .iter()
            .map(|k| &self.shape.columns[k.column].new);
        news.flat_map(|new| new.columns.iter().copied()).collect()
    }

    /// `UPDATE OF` these columns and of the rowid under any name, or `UPDATE` of anything. (SQLite compares the names with those in the
    /// statement, whatever they mean.)
    fn update_of(&self, columns: Option<BTreeSet<usize>>) -> String {
        let Some(columns) = columns else {
            return "UPDATE".to_owned();
        };
        let names = columns.iter().map(|c| quote(&self.shape.columns[*c].name));
        let rowid = ["rowid", "_rowid_", "oid"].map(str::to_owned);
        let rowid = rowid.into_iter().filter(|_| self.shape.has_rowid);
        let names = join(", ", names.chain(rowid));
        // A unique index may be over a constant.
        if names.is_empty() {
            return "UPDATE".to_owned();
        }
        format!("UPDATE OF {names}")
    }

    /// Condition on a stored row `r` to be in conflict with the new row.
    fn probe(&self, unique: &UniqueKey) -> String {
        let terms = unique.terms.iter().map(|term| match term {
            UniqueTerm::Column {
                column,
                new,
                collation,
            } => {
                let name = quote(&self.shape.columns[*column].name);
                format!("r.{name} = {new} COLLATE {}", quote(collation))
            }
            // The sign takes the affinity of the new row's value away, so that it is converted as on being stored.
            UniqueTerm::Expression {
                stored,
                new,
                collation,
            } => {
                format!("{stored} = +{new} COLLATE {}", quote(collation))
            }
            UniqueTerm::Rowid(name) => format!("r.{name} = NEW.{name}"),
        });
        let terms = join(" AND ", unique.filter.iter().cloned().chain(terms));
        match self.key_not_null("r.") {
            Some(not_null) => format!("{terms} AND {not_null}"),
            None => terms,
        }
    }

    /// Condition for an update to be able to make a conflict, where that is cheaper to tell than the conflict itself.
    fn changes(&self, unique: &UniqueKey) -> Option<String> {
        if unique.filter.is_some() {
            return None;
        }
        let terms = unique.terms.iter().map(|term| match term {
            UniqueTerm::Column { column, new, .. } => {
                let name = quote(&self.shape.columns[*column].name);
                Some(format!("{new} IS NOT OLD.{name} COLLATE BINARY"))
            }
            UniqueTerm::Rowid(name) => Some(format!("NEW.{name} IS NOT OLD.{name}")),
            UniqueTerm::Expression { .. } => None,
        });
        Some(any(terms.collect::<Option<Vec<_>>>()?.into_iter()))
    }

    fn trigger(&self, name: &str, event: &str, when: Option<String>, body: &str) -> Object {
        let name = format!("highwater_{}_{name}", self.id);
        let when = when.map_or_else(String::new, |when| format!(" WHEN {when}"));
        let table = &self.table;
        let sql = format!("CREATE TRIGGER {name} {event} ON {table}{when} BEGIN {body} END");
        Object {
            kind: ObjectKind::Trigger,
            name,
            sql,
        }
    }

    /// The row as it is before the statement.
    fn old_image(&self) -> String {
        let old = join(
            ", ",
            self.shape
                .columns
                .iter()
                .map(|c| format!("OLD.{}", quote(&c.name))),
        );
        format!(
            "{TICK}; {} VALUES ({VERSION}, 1, {old});",
            self.insert_all()
        )
    }

    /// The row that has the new key, or that there is none.
    fn stored_under_new_key(&self) -> String {
        let key = &self.shape.key;
        let is_key = |column: usize| key.iter().any(|k| k.column == column);
        let values = self.shape.columns.iter().enumerate().map(|(i, column)| {
            let stored = format!("r.{}", quote(&column.name));
            match is_key(i) {
                true if self.shape.key_is_rowid => column.new.sql.clone(),
                // 1 and 1.0 are one key: the record has what is stored.
                true => format!("coalesce({stored}, {})", column.new.sql),
                false => stored,
            }
        });
        let same = key.iter().enumerate().map(|(k, part)| {
            let name = self.key_name(k);
            let new = &self.shape.columns[part.column].new.sql;
            let collation = &part.facts.collation;
            if self.shape.key_is_rowid {
                format!("r.{name} = {new}")
            } else if collation.eq_ignore_ascii_case("BINARY") {
                format!("r.{name} = {new} COLLATE BINARY")
            } else {
                // The first finds the row by the index, the second is what makes a key the same key.
                let collation = quote(collation);
                format!("r.{name} = {new} COLLATE {collation} AND r.{name} = {new} COLLATE BINARY")
            }
        });
        format!(
            "{} SELECT k.version, r.{} IS NOT NULL, {} FROM highwater_clock AS k LEFT JOIN {} AS r ON {}",
            self.insert_all(),
            self.key_name(0),
            join(", ", values),
            self.table,
            join(" AND ", same)
        )
    }

    /// For `AFTER` triggers, where the new row is what is stored.
    fn nothing_under_new_key(&self) -> String {
        let columns = join(
            ", ",
            self.shape.key.iter().map(|k| format!("c{}", k.column)),
        );
        let values = (0..self.shape.key.len()).map(|k| format!("NEW.{}", self.key_name(k)));
        format!(
            "INSERT INTO {}(version, present, {columns}) VALUES ({VERSION}, 0, {})",
            self.history,
            join(", ", values)
        )
    }

    fn insert_all(&self) -> String {
        let columns = join(", ", (0..self.shape.columns.len()).map(|i| format!("c{i}")));
        format!("INSERT INTO {}(version, present, {columns})", self.history)
    }

    fn key_changes(&self) -> String {
        any(self.shape.key.iter().enumerate().map(|(k, part)| {
            let new = &self.shape.columns[part.column].new.sql;
            format!("{new} IS NOT OLD.{} COLLATE BINARY", self.key_name(k))
        }))
    }

    /// Rows whose key contains `NULL` are not part of the entity set and are not logged.
    fn key_not_null(&self, row: &str) -> Option<String> {
        let nullable = self
            .shape
            .key
            .iter()
            .enumerate()
            .filter(|(_, part)| part.facts.nullable);
        conjunction(nullable.map(|(k, _)| Some(format!("{row}{} IS NOT NULL", self.key_name(k)))))
    }

    /// Even where the key is `NOT NULL`: `OR IGNORE` passes over such a row only after the `BEFORE` triggers ran.
    fn new_key_not_null(&self) -> Option<String> {
        let parts = self.shape.key.iter().filter(|_| !self.shape.key_is_rowid);
        conjunction(parts.map(|part| {
            Some(format!(
                "{} IS NOT NULL",
                self.shape.columns[part.column].new.sql
            ))
        }))
    }

    fn key_name(&self, position: usize) -> String {
        quote(&self.shape.columns[self.shape.key[position].column].name)
    }
}

fn join(separator: &str, parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

/// Parts joined by `OR`, in parentheses if there are several.
fn any(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    match &parts[..] {
        [only] => only.clone(),
        _ => format!("({})", parts.join(" OR ")),
    }
}

/// Parts joined by `AND`; `None` if there are none.
fn conjunction(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}
