//! `highwater track` and `highwater untrack`.

use std::io::Write as _;

use anyhow::anyhow;
use highwater::core::tracking::Policy;

use super::database::Place;
use crate::args::{Track, Untrack};

pub(crate) fn track(args: &Track) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let policy = if args.tables.is_empty() {
        Policy::All
    } else {
        Policy::Only(args.tables.clone())
    };
    let place = Place::existing(&args.database)?;
    let mut out = std::io::stdout();
    if args.print_sql {
        let script = place.look_at()?.print_sql(&policy, args.role.as_deref())?;
        out.write_all(script.as_bytes())?;
        return Ok(());
    }
    let mut database = place.administer()?;
    let ensured = database.track(&policy)?;
    let mut has_changed = false;
    for (names, what) in [
        (&ensured.tracked, "tracked from now on"),
        (
            &ensured.renewed,
            "tracked anew, because the table or the database is not what it was: older links are answered 410 Gone",
        ),
        (
            &ensured.extended,
            "its new partitions are tracked from now on; links go on",
        ),
        (
            &ensured.forgotten,
            "gone, or not to be tracked any more: its history was removed",
        ),
    ] {
        for name in names {
            writeln!(out, "{name}: {what}")?;
            has_changed = true;
        }
    }
    let mut asked = database.tables()?;
    asked.retain(|table| !table.is_view && is_asked_for(&table.name, &args.tables));
    let is_any_tracked = asked.iter().any(|table| table.untracked_because.is_none());
    if asked.is_empty() && !has_changed {
        writeln!(out, "nothing to do: the database has no tables")?;
    } else if is_any_tracked && !has_changed {
        writeln!(
            out,
            "nothing to do: what was asked for and can be tracked is tracked already"
        )?;
    }
    for table in &asked {
        if let Some(reason) = &table.untracked_because {
            writeln!(out, "{}: not tracked. {reason}", table.name)?;
        }
    }
    if !asked.is_empty() && !is_any_tracked {
        return Err(anyhow!(
            "none of the tables is tracked; the reasons are above, and `highwater status` repeats them"
        ));
    }
    Ok(())
}

/// Whether a table is one of those that were named, if any were.
fn is_asked_for(name: &str, named: &[String]) -> bool {
    named.is_empty()
        || named
            .iter()
            .any(|named| named == name || named.strip_prefix("public.") == Some(name))
}

pub(crate) fn untrack(args: &Untrack) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let tables = (!args.all).then_some(args.tables.as_slice());
    let untracked = Place::existing(&args.database)?
        .administer()?
        .untrack(tables)?;
    let mut out = std::io::stdout();
    for name in &untracked {
        writeln!(out, "{name}: not tracked any more, history removed")?;
    }
    if untracked.is_empty() {
        let what = if args.all {
            "nothing is tracked"
        } else {
            "none of these tables is tracked"
        };
        writeln!(out, "nothing to do: {what}")?;
    }
    Ok(())
}
