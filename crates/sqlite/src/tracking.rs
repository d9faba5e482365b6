//! Begins, renews and ends the tracking of tables.
//!
//! What must hold: each function is one transaction; it writes nothing if everything is as wanted, so that a read-only database that is
//! tracked already works; whatever Highwater created is gone after the last table is untracked. A table whose schema, unique
//! indexes or triggers changed begins anew with another incarnation and an empty history, which ends its links.
//!
//! What application programs notice of tracking (tested in `tests/it/alter.rs`):
//!
//! - `ALTER TABLE … ADD COLUMN`, `RENAME COLUMN`, `RENAME TO` and `DROP TABLE` work; the tracking begins anew.
//! - `ALTER TABLE … DROP COLUMN` is refused by SQLite with `error in trigger highwater_…: no such column: …`, as with any trigger that
//!   names the column. Untrack the table first and track it afterwards, or re-create the table in the way that SQLite's
//!   documentation describes.

pub use highwater_core::tracking::{Ensured, Policy};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use crate::capture::ddl;
use crate::facts::quote;
use crate::failure::Failure;
use crate::meta;
use crate::survey::{Health, Survey, Surveyed, fingerprint};

/// Brings the tracking of all tables in order.
///
/// # Errors
///
/// [`Failure::Refused`] if a named table cannot be tracked or a newer version of Highwater tracks the database, else what SQLite
/// reports.
pub fn ensure(connection: &mut Connection, policy: &Policy) -> Result<Ensured, Failure> {
    ensure_after(connection, policy, None)
}

/// [`ensure`] for a database that was in order when its schema had the version that the caller has seen.
pub(crate) fn ensure_after(
    connection: &mut Connection,
    policy: &Policy,
    seen: Option<u64>,
) -> Result<Ensured, Failure> {
    let read = connection.transaction()?;
    let survey = Survey::after(&read, seen)?;
    let in_order = todo(&survey, policy)?.is_empty();
    read.commit()?;
    if in_order && survey.is_noted {
        return Ok(Ensured::default());
    }
    let write = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        // A note can wait until the next change of the schema.
        Err(error) if in_order && is_busy(&error) => return Ok(Ensured::default()),
        other => other?,
    };
    // Somebody else may have changed the schema in between.
    let survey = Survey::after(&write, seen)?;
    let todo = todo(&survey, policy)?;
    let ensured = carry_out(&write, &survey, &todo)?;
    write.commit()?;
    Ok(ensured)
}

/// Ends the tracking of the named tables, or of all. Returns the names of those that were tracked.
///
/// # Errors
///
/// [`Failure::Refused`] if a named table does not exist or a newer version of Highwater tracks the database, else what SQLite reports.
pub fn untrack(
    connection: &mut Connection,
    tables: Option<&[String]>,
) -> Result<Vec<String>, Failure> {
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let survey = Survey::of(&write)?;
    for name in tables.unwrap_or_default() {
        find(&survey, name)?;
    }
    let chosen = |name: &str| {
        tables.is_none_or(|tables| tables.iter().any(|t| t.eq_ignore_ascii_case(name)))
    };
    let mut untracked = Vec::new();
    for surveyed in &survey.tables {
        let (Health::Sound { id, .. } | Health::Doubtful { id, .. }) = surveyed.health else {
            continue;
        };
        if chosen(&surveyed.raw.name) {
            if let Ok(shape) = &surveyed.shape {
                for object in ddl::objects(shape, id).iter().rev() {
                    drop_object(&write, &object.name, object_type(object.kind))?;
                }
            }
            forget(&write, id)?;
            untracked.push(surveyed.raw.name.clone());
        } else if matches!(surveyed.health, Health::Doubtful { .. }) {
            renew(&write, id)?;
        }
    }
    // Capture that is out of order is of no use to anybody, so it goes in any case.
    drop_leftovers(&write, &survey)?;
    for registered in &survey.unsound {
        forget(&write, registered.id)?;
        if chosen(&registered.name) {
            untracked.push(registered.name.clone());
        }
    }
    finish(&write)?;
    write.commit()?;
    untracked.sort();
    Ok(untracked)
}

/// What is not in order.
#[derive(Default)]
struct Todo {
    /// Positions in [`Survey::tables`] of the tables to track (anew).
    track: Vec<usize>,
    /// Positions in [`Survey::tables`] of the tables whose capture can stay, with another incarnation.
    renew: Vec<usize>,
    /// Whether there are remains to clear away.
    clear: bool,
}

impl Todo {
    fn is_empty(&self) -> bool {
        self.track.is_empty() && self.renew.is_empty() && !self.clear
    }
}

fn todo(survey: &Survey, policy: &Policy) -> Result<Todo, Failure> {
    if let Policy::Only(names) = policy {
        for name in names {
            let surveyed = find(survey, name)?;
            if let Err(reason) = &surveyed.shape {
                return Err(Failure::Refused(format!(
                    "{} cannot be tracked. {reason}",
                    quote(name)
                )));
            }
        }
    }
    let named = |names: &[String], name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let wanted = |surveyed: &Surveyed| {
        let name = &surveyed.raw.name;
        survey.unsound.iter().any(|r| r.name == *name)
            || match policy {
                Policy::All => true,
                Policy::Only(names) => named(names, name),
                Policy::Except(names) => !named(names, name),
            }
    };
    let renew = survey
        .tables
        .iter()
        .enumerate()
        .filter(|(_, surveyed)| matches!(surveyed.health, Health::Doubtful { .. }));
    let track = survey.tables.iter().enumerate().filter(|(_, surveyed)| {
        surveyed.shape.is_ok()
            && matches!(surveyed.health, Health::Absent { .. })
            && wanted(surveyed)
    });
    Ok(Todo {
        track: track.map(|(position, _)| position).collect(),
        renew: renew.map(|(position, _)| position).collect(),
        clear: !survey.unsound.is_empty() || !survey.leftovers.is_empty(),
    })
}

fn find<'a>(survey: &'a Survey, name: &str) -> Result<&'a Surveyed, Failure> {
    let tables = &survey.tables;
    let exact = tables.iter().find(|t| t.raw.name == name);
    exact
        .or_else(|| {
            tables
                .iter()
                .find(|t| t.raw.name.eq_ignore_ascii_case(name))
        })
        .ok_or_else(|| {
            let names: Vec<_> = tables.iter().map(|t| quote(&t.raw.name)).collect();
            Failure::Refused(format!(
                "There is no table {}; the database has {}.",
                quote(name),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            ))
        })
}

fn carry_out(write: &Transaction<'_>, survey: &Survey, todo: &Todo) -> Result<Ensured, Failure> {
    let mut ensured = Ensured::default();
    drop_leftovers(write, survey)?;
    for registered in &survey.unsound {
        forget(write, registered.id)?;
        let again = todo
            .track
            .iter()
            .any(|p| survey.tables[*p].raw.name == registered.name);
        let list = if again {
            &mut ensured.renewed
        } else {
            &mut ensured.forgotten
        };
        list.push(registered.name.clone());
    }
    if !todo.track.is_empty() && !survey.has_meta {
        // They may be there without their content, if somebody deleted it.
        if meta::exists(write)? {
            drop_meta(write)?;
        }
        meta::create(write)?;
    }
    for position in &todo.track {
        let surveyed = &survey.tables[*position];
        track(write, surveyed)?;
        if !survey.unsound.iter().any(|r| r.name == surveyed.raw.name) {
            ensured.tracked.push(surveyed.raw.name.clone());
        }
    }
    for position in &todo.renew {
        let surveyed = &survey.tables[*position];
        if let Health::Doubtful { id, .. } = surveyed.health {
            renew(write, id)?;
            ensured.renewed.push(surveyed.raw.name.clone());
        }
    }
    finish(write)?;
    Ok(ensured)
}

/// The capture stays; links from before this moment end.
fn renew(write: &Transaction<'_>, id: i64) -> Result<(), Failure> {
    write.execute(
        "UPDATE highwater_table SET incarnation = ?2, horizon = (SELECT version FROM highwater_clock) WHERE id = ?1",
        params![id, meta::random(write)?],
    )?;
    Ok(())
}

/// The end of every transaction that brings something in order.
fn finish(write: &Transaction<'_>) -> Result<(), Failure> {
    drop_meta_if_unused(write)?;
    if meta::exists(write)? {
        meta::note_inspected(write)?;
    }
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn track(write: &Transaction<'_>, surveyed: &Surveyed) -> Result<(), Failure> {
    let Ok(shape) = &surveyed.shape else {
        return Ok(());
    };
    let now: i64 = write.query_row("SELECT unixepoch()", [], |row| row.get(0))?;
    // So that it is known when the oldest snapshot of this tracking was the current one.
    meta::tick_within(write, now)?;
    let id: i64 = write.query_row(
        "SELECT coalesce(max(id), 0) + 1 FROM highwater_table",
        [],
        |row| row.get(0),
    )?;
    let objects = ddl::objects(shape, id);
    for object in &objects {
        write.execute_batch(&object.sql)?;
    }
    write.execute(
        "INSERT INTO highwater_table SELECT ?1, ?2, ?3, ?4, version FROM highwater_clock",
        params![
            id,
            surveyed.raw.name,
            meta::random(write)?,
            fingerprint(&surveyed.raw, &objects)
        ],
    )?;
    Ok(())
}

fn forget(write: &Transaction<'_>, id: i64) -> Result<(), Failure> {
    write.execute("DELETE FROM highwater_table WHERE id = ?1", [id])?;
    Ok(())
}

fn drop_leftovers(write: &Transaction<'_>, survey: &Survey) -> Result<(), Failure> {
    // Triggers first: they name the histories.
    for kind in ["trigger", "index", "table"] {
        for object in survey.leftovers.iter().filter(|o| o.kind == kind) {
            drop_object(write, &object.name, kind)?;
        }
    }
    Ok(())
}

fn drop_meta_if_unused(write: &Transaction<'_>) -> Result<(), Failure> {
    if !meta::exists(write)?
        || write.query_row("SELECT count(*) FROM highwater_table", [], |row| {
            row.get::<_, i64>(0)
        })? > 0
    {
        return Ok(());
    }
    drop_meta(write)
}

fn drop_meta(write: &Transaction<'_>) -> Result<(), Failure> {
    for (name, _) in meta::TABLES {
        drop_object(write, name, "table")?;
    }
    Ok(())
}

fn drop_object(write: &Transaction<'_>, name: &str, kind: &str) -> Result<(), Failure> {
    write.execute_batch(&format!("DROP {kind} IF EXISTS main.{}", quote(name)))?;
    Ok(())
}

fn object_type(kind: ddl::ObjectKind) -> &'static str {
    match kind {
        ddl::ObjectKind::Table => "table",
        ddl::ObjectKind::Index => "index",
        ddl::ObjectKind::Trigger => "trigger",
    }
}
