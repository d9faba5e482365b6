//! `highwater demo`: the whole idea in one command.

mod client;
mod copy;
mod story;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use highwater::Settings;
use tokio::sync::oneshot;

use self::client::{Client, MAX_VERSION};
use super::database::Place;
use crate::args::{Demo, TemplateName};
use crate::output::Style;
use crate::templates;

/// Enough for a story that fits a screen, and for customers without orders, who can be deleted.
const SAMPLE_ORDERS: i64 = 12;

const WHY: &str = "\
A program keeps a copy of somebody else's data, and asks again and again: what has changed since last time? Timestamps
miss deleted rows and late commits; reading everything again is slow. Watch it get the exact answer, while another
program changes the data and tells nobody.";

pub(crate) fn run(args: &Demo) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let folder = tempfile::Builder::new()
        .prefix("highwater-demo-")
        .tempdir()
        .context(
            "cannot create a temporary directory; set TMPDIR to a directory that can be written",
        )?;
    let database = folder.path().join("demo.sqlite");
    templates::create(
        &Place::Sqlite(database.clone()),
        TemplateName::Sample,
        SAMPLE_ORDERS,
    )?;
    super::runtime()?.block_on(tell_and_serve(args, &database))
}

async fn tell_and_serve(args: &Demo, database: &Path) -> anyhow::Result<()> {
    let style = Style::stdout();
    let end = super::interrupted()?;
    let listener = super::bind(args.listen).await?;
    let address = listener.local_addr()?;
    let service = highwater::open(database, Settings::default()).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(highwater::serve(listener, service, async {
        // The sender is dropped if the story fails; that ends the service as well.
        let _ = stopped.await;
    }));

    let mut out = std::io::stdout();
    writeln!(
        out,
        "{}",
        style.heading("Highwater demo: delta links on a SQLite file")
    )?;
    writeln!(out, "\n{WHY}")?;
    writeln!(
        out,
        "\nA sample database is served on http://{address}/odata/\n{}",
        style.note(&database.display().to_string())
    )?;
    let outcome = {
        let mut client = Client::connect(address).await?;
        story::tell(&mut out, style, &mut client, database).await?
    };
    if !outcome.exact {
        bail!("the delta was not exact; please report this with the output above");
    }
    if !args.once {
        invite(&mut out, style, address, database, &outcome.delta_link)?;
        end.await;
    }
    drop(stop);
    server.await??;
    Ok(())
}

/// Commands to try while the demo serves on.
fn invite(
    out: &mut std::io::Stdout,
    style: Style,
    address: SocketAddr,
    database: &Path,
    delta_link: &str,
) -> anyhow::Result<()> {
    let root = format!("http://{address}/odata");
    let program =
        std::env::current_exe().map_or("highwater".into(), |path| path.display().to_string());
    let database = database.display();
    let query = story::QUERY.replace(' ', "%20").replace('$', "\\$");
    writeln!(
        out,
        "\n{}\n",
        style.heading("Now you. In another terminal:")
    )?;
    for (what, line) in [
        ("what is served", format!("curl '{root}/'")),
        (
            "the query, with a delta link at the end",
            format!(
                "curl -H '{MAX_VERSION}' -H 'Prefer: track-changes' \"http://{address}{query}\""
            ),
        ),
        (
            "change a row through the API (204 means done)",
            format!(
                "curl -i -X PATCH -H 'Content-Type: application/json' -d '{{\"Balance\": 1}}' \"{root}/Customers('C0004')\""
            ),
        ),
        (
            "or add one",
            format!(
                "curl -H 'Content-Type: application/json' -d '{{\"CustomerID\": \"C0200\", \"CompanyName\": \"Mine\", \"City\": \"Bonn\", \"Country\": \"Germany\", \"CustomerSince\": \"2025-06-01\"}}' {root}/Customers"
            ),
        ),
        (
            "or change the file with any program, for instance sqlite3",
            format!(
                "sqlite3 '{database}' \"UPDATE Customers SET Balance = 2 WHERE CustomerID = 'C0017'\""
            ),
        ),
        (
            "all of that, and nothing else, by the delta link with which the story ended",
            format!("curl -H '{MAX_VERSION}' '{delta_link}'"),
        ),
        (
            "what is inside a delta link",
            format!("{program} inspect '{delta_link}' --database '{database}'"),
        ),
    ] {
        writeln!(out, "{}\n{line}\n", style.note(&format!("# {what}")))?;
    }
    writeln!(
        out,
        "Press Ctrl-C to end; the sample database is deleted then."
    )?;
    out.flush()?;
    Ok(())
}
