//! `highwater track` and `highwater untrack`.

use std::io::Write as _;

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
    let ensured = place.administer()?.track(&policy)?;
    for (names, what) in [
        (&ensured.tracked, "tracked from now on"),
        (
            &ensured.renewed,
            "tracked anew, because the table or the database is not what it was: older links are answered 410 Gone",
        ),
        (
            &ensured.forgotten,
            "not there any more: its history was removed",
        ),
    ] {
        for name in names {
            writeln!(out, "{name}: {what}")?;
        }
    }
    if ensured.tracked.is_empty() && ensured.renewed.is_empty() && ensured.forgotten.is_empty() {
        writeln!(
            out,
            "nothing to do: what was asked for, and this user can track, is tracked already (`highwater status` tells of each table)"
        )?;
    }
    Ok(())
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
