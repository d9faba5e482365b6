//! `highwater init`: a database to play with.

use std::io::Write as _;

use super::database::Place;
use crate::args::Init;
use crate::templates;

pub(crate) fn run(args: &Init) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let place = Place::parse(&args.database)?;
    templates::create(&place, args.template, args.rows)?;
    let mut out = std::io::stdout();
    match place {
        Place::Sqlite(_) => writeln!(out, "created {place}; now run: highwater serve {place}")?,
        // In quotes, because a shell changes '?' and '&'.
        Place::Postgres { .. } => {
            writeln!(out, "filled {place}; now run: highwater serve '{place}'")?;
        }
    }
    Ok(())
}
