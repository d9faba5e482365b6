//! `highwater init`: a database to play with.

use std::io::Write as _;

use crate::args::Init;
use crate::templates;

pub(crate) fn run(args: &Init) -> anyhow::Result<()> {
    let path = super::sqlite_path(&args.database)?;
    templates::create(&path, args.template, args.rows)?;
    let path = path.display();
    writeln!(
        std::io::stdout(),
        "created {path}; now run: highwater serve {path}"
    )?;
    Ok(())
}
