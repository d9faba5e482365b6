//! The story that the demo tells: a first round, changes by another program, a delta, and the check that nothing is missing.
//!
//! What must hold: nothing is staged. The rows come over TCP, the changes go past the service into the file, and the last step compares the copy that was
//! kept by following links with a new read of the query.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;

use super::client::{Client, MAX_VERSION, TRACK};
use super::copy::{Copy, Entry};
use crate::output::{Style, layout_json};

/// Customers in Germany, so that a row can leave the answer without being deleted.
pub(super) const QUERY: &str =
    "/odata/Customers?$filter=Country eq 'Germany'&$select=CustomerID,CompanyName,City,Balance";
const KEY: &str = "CustomerID";

const FIRST: [&str; 2] = [MAX_VERSION, TRACK];
const LATER: [&str; 1] = [MAX_VERSION];

/// What another program does between two polls, and why it is interesting.
const CHANGES: [(&str, &str); 8] = [
    (
        "INSERT INTO Customers VALUES ('C0100', 'Becker Books', 'Ada Becker', 'Hamburg', 'Germany', 10, '2025-01-01')",
        "a new row that the query selects",
    ),
    (
        "UPDATE Customers SET Balance = Balance + 100 WHERE CustomerID = 'C0001'",
        "a row changes,",
    ),
    (
        "UPDATE Customers SET Balance = Balance + 100 WHERE CustomerID = 'C0001'",
        "and changes again",
    ),
    (
        "UPDATE Customers SET City = 'Wien', Country = 'Austria' WHERE CustomerID = 'C0012'",
        "a row leaves the filter, but still exists",
    ),
    (
        "DELETE FROM Customers WHERE CustomerID = 'C0009'",
        "a row is deleted",
    ),
    (
        "UPDATE Customers SET ContactName = 'N.N.' WHERE CustomerID = 'C0004'",
        "a column that the query does not select",
    ),
    (
        "INSERT INTO Customers VALUES ('C0101', 'Ghost & Co', NULL, 'Berlin', 'Germany', 0, '2025-01-01')",
        "a row is created,",
    ),
    (
        "DELETE FROM Customers WHERE CustomerID = 'C0101'",
        "and deleted before anybody looks",
    ),
];

/// What the delta must say about these changes, and nothing else.
const EXPECTED: [(&str, Option<&str>, &str); 4] = [
    ("C0100", None, "is new: reported whole."),
    ("C0001", None, "changed twice: reported once, as it is now."),
    (
        "C0012",
        Some("changed"),
        "moved to Austria: removed with reason 'changed'. A poll for rows changed since a time never says this.",
    ),
    (
        "C0009",
        Some("deleted"),
        "was deleted: removed with reason 'deleted'. There is no row left that a poll could find.",
    ),
];

const NOT_REPORTED: &str = "\
C0004 changed only where the query does not look, and C0101 came and went between two polls. A delta is the difference
between two states of the query, so neither is in it.";

/// How the story ended.
pub(super) struct Outcome {
    /// Whether the delta and the copy were what they must be.
    pub(super) exact: bool,
    /// Where the next round begins.
    pub(super) delta_link: String,
}

/// Tells the story.
pub(super) async fn tell(
    out: &mut impl Write,
    style: Style,
    client: &mut Client,
    database: &Path,
) -> anyhow::Result<Outcome> {
    let target = QUERY.replace(' ', "%20");
    let mut copy = Copy::default();

    writeln!(
        out,
        "\n{}\n",
        style.heading("1. A client reads a query once, and asks for change tracking")
    )?;
    show_request(out, style, QUERY, &FIRST)?;
    let body = client.get(&target, &FIRST).await?;
    show_answer(out, &body)?;
    let page = copy.apply(&body, KEY)?;
    let delta_link = page
        .delta_link
        .context("the first round ended without a delta link")?;
    writeln!(
        out,
        "\n{}",
        style.note("The client stores the rows and the delta link. The link is all that it has to remember; the server remembers nothing.")
    )?;

    writeln!(
        out,
        "\n{}\n",
        style.heading(
            "2. Another program changes the database with plain SQL, behind the server's back"
        )
    )?;
    change(out, style, database).await?;

    writeln!(
        out,
        "\n{}\n",
        style.heading("3. The client follows its delta link")
    )?;
    show_request(out, style, &delta_link, &LATER)?;
    let body = client.get(&delta_link, &LATER).await?;
    show_answer(out, &body)?;
    let page = copy.apply(&body, KEY)?;
    let next_delta_link = page
        .delta_link
        .context("the delta ended without a delta link")?;
    let (changes, entries) = (CHANGES.len(), EXPECTED.len());
    writeln!(out, "\n{changes} statements, {entries} entries:")?;
    for (key, _, why) in EXPECTED {
        writeln!(out, "  {key} {why}")?;
    }
    writeln!(out, "{}", style.note(NOT_REPORTED))?;
    let reported_as_expected = is_expected(&page.entries);

    writeln!(
        out,
        "\n{}\n",
        style.heading("4. It follows the new delta link: nothing has changed since")
    )?;
    show_request(out, style, &next_delta_link, &LATER)?;
    let body = client.get(&next_delta_link, &LATER).await?;
    show_answer(out, &body)?;
    let page = copy.apply(&body, KEY)?;
    writeln!(
        out,
        "\n{}",
        style.note("This costs almost nothing, and all followers get the same bytes, so any HTTP cache can answer a thousand of them.")
    )?;
    let nothing_new = page.entries.is_empty();
    let last_delta_link = page
        .delta_link
        .context("the empty delta ended without a delta link")?;

    writeln!(out, "\n{}\n", style.heading("5. Is the copy exact?"))?;
    let mut fresh = Copy::default();
    fresh.apply(&client.get(&target, &LATER).await?, KEY)?;
    let exact = reported_as_expected && nothing_new && copy == fresh;
    let verdict = if exact {
        let rows = copy.len();
        style.good(&format!(
            "Yes: the copy of {rows} rows, kept by following links, equals the query read anew."
        ))
    } else {
        style.bad("No: the copy, kept by following links, is not what the query returns. This is a defect of highwater; please report it.")
    };
    writeln!(out, "{verdict}")?;
    Ok(Outcome {
        exact,
        delta_link: last_delta_link,
    })
}

/// Changes rows as any program would: a connection of its own, one transaction a statement.
async fn change(out: &mut impl Write, style: Style, database: &Path) -> anyhow::Result<()> {
    let database = database.to_owned();
    let write = move || -> rusqlite::Result<()> {
        let db = Connection::open(database)?;
        CHANGES
            .iter()
            .try_for_each(|(sql, _)| db.execute(sql, []).map(drop))
    };
    tokio::task::spawn_blocking(write)
        .await?
        .context("cannot change the sample database")?;
    for (sql, why) in CHANGES {
        writeln!(
            out,
            "{}\n{}",
            style.note(&format!("-- {why}")),
            style.sql(&format!("{sql};"))
        )?;
    }
    Ok(())
}

fn is_expected(entries: &[Entry]) -> bool {
    let expected = EXPECTED.map(|(key, removed, _)| Entry {
        key: key.to_owned(),
        removed: removed.map(str::to_owned),
    });
    entries.len() == expected.len() && expected.iter().all(|entry| entries.contains(entry))
}

fn show_request(
    out: &mut impl Write,
    style: Style,
    target: &str,
    headers: &[&str],
) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}",
        style.request(&format!("GET {}", shorten(target)))
    )?;
    for line in headers {
        writeln!(out, "{}", style.note(line))?;
    }
    writeln!(out)?;
    Ok(())
}

/// Down to one entity a line.
fn show_answer(out: &mut impl Write, body: &str) -> anyhow::Result<()> {
    writeln!(out, "{}", shorten(&layout_json(body, 2)))?;
    Ok(())
}

/// Links are longer than they are interesting: shows the beginning of their tokens.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 12;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split("token=");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let token_len = part.bytes().take_while(|byte| is_token(*byte)).count();
        let (token, rest) = part.split_at(token_len);
        out.push_str("token=");
        match token.get(..SHOWN) {
            Some(start) if token_len > SHOWN => out.extend([start, "…"]),
            _ => out.push_str(token),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_are_shortened() {
        for (text, expected) in [
            ("no link", "no link"),
            ("\"x?$deltatoken=short\",", "\"x?$deltatoken=short\","),
            (
                "\"x?$deltatoken=0123456789abcdef-_\",",
                "\"x?$deltatoken=0123456789ab…\",",
            ),
            (
                "token=0123456789abc&token=0123456789abcd",
                "token=0123456789ab…&token=0123456789ab…",
            ),
        ] {
            assert_eq!(shorten(text), expected);
        }
    }
}
