//! `highwater status`: what is tracked, what is not and why, and how far back the history reaches.

use std::io::Write as _;

use highwater::core::store::{StoreStatus, TableStatus};
use serde::Serialize;

use super::database::Place;
use crate::args::Status;
use crate::output::{Align, bytes, instant, table};

pub(crate) fn run(args: &Status) -> anyhow::Result<()> {
    super::log_to_stderr("warn")?;
    let place = Place::existing(&args.database)?;
    let status = place.look_at()?.status()?;
    let text = if args.json {
        serde_json::to_string_pretty(&Report::new(place.to_string(), &status))? + "\n"
    } else {
        text(&status)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The machine-readable form. Its names are an interface: add, never change.
#[derive(Serialize)]
struct Report<'a> {
    database: String,
    epoch: Option<String>,
    warnings: &'a [String],
    tables: Vec<TableReport<'a>>,
}

#[derive(Serialize)]
struct TableReport<'a> {
    name: &'a str,
    view: bool,
    tracked: bool,
    untracked_because: Option<&'a str>,
    warnings: &'a [String],
    history_rows: u64,
    history_bytes: u64,
    oldest_snapshot: Option<String>,
}

impl<'a> Report<'a> {
    fn new(database: String, status: &'a StoreStatus) -> Report<'a> {
        let tables = status.tables.iter().map(|table| TableReport {
            name: &table.name,
            view: table.is_view,
            tracked: table.untracked_because.is_none(),
            untracked_because: table.untracked_because.as_deref(),
            warnings: &table.warnings,
            history_rows: table.history_rows,
            history_bytes: table.history_bytes,
            oldest_snapshot: table.oldest_snapshot_unix_s.map(instant),
        });
        Report {
            database,
            epoch: status.epoch.map(super::epoch_text),
            warnings: &status.warnings,
            tables: tables.collect(),
        }
    }
}

/// What a warning that concerns no single table is about.
const DATABASE: &str = "(database)";

fn text(status: &StoreStatus) -> String {
    if status.tables.is_empty() {
        return "the database has no tables\n".into();
    }
    let columns = [
        ("TABLE", Align::Left),
        ("TRACKED", Align::Left),
        ("HISTORY ROWS", Align::Right),
        ("HISTORY SIZE", Align::Right),
        ("OLDEST SNAPSHOT", Align::Left),
    ];
    let rows: Vec<Vec<String>> = status.tables.iter().map(row).collect();
    let mut text = table(&columns, &rows);
    let untracked = status
        .tables
        .iter()
        .filter_map(|table| Some((&*table.name, &**table.untracked_because.as_ref()?)));
    section(&mut text, "Not tracked:", untracked);
    let of_database = status.warnings.iter().map(|warning| (DATABASE, &**warning));
    let of_tables = status.tables.iter().flat_map(|table| {
        table
            .warnings
            .iter()
            .map(|warning| (&*table.name, &**warning))
    });
    section(&mut text, "Warnings:", of_database.chain(of_tables));
    text
}

fn row(table: &TableStatus) -> Vec<String> {
    let name = if table.is_view {
        format!("{} (view)", table.name)
    } else {
        table.name.clone()
    };
    if table.untracked_because.is_some() {
        return vec![name, "no".into(), "-".into(), "-".into(), "-".into()];
    }
    let oldest = table
        .oldest_snapshot_unix_s
        .map_or("not known yet".into(), instant);
    vec![
        name,
        "yes".into(),
        table.history_rows.to_string(),
        bytes(table.history_bytes),
        oldest,
    ]
}

/// What is true of several tables is said once.
fn section<'a>(text: &mut String, heading: &str, lines: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, sentence) in lines {
        match groups.iter_mut().find(|(known, _)| *known == sentence) {
            Some((_, names)) => names.push(name),
            None => groups.push((sentence, vec![name])),
        }
    }
    if !groups.is_empty() {
        text.extend(["\n", heading, "\n"]);
    }
    for (sentence, names) in groups {
        text.extend(["  ", &names.join(", "), ": ", sentence, "\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater::core::Epoch;

    fn status() -> StoreStatus {
        let table = TableStatus {
            name: "Orders".into(),
            is_view: false,
            untracked_because: None,
            warnings: vec![],
            history_rows: 1200,
            history_bytes: 65_536,
            oldest_snapshot_unix_s: Some(1_700_000_000),
        };
        StoreStatus {
            epoch: Some(Epoch(10)),
            warnings: vec!["Readers wait.".into()],
            tables: vec![
                table.clone(),
                TableStatus {
                    name: "Order Details".into(),
                    warnings: vec!["2 rows have NULL in the key and are not served.".into()],
                    history_rows: 0,
                    history_bytes: 0,
                    oldest_snapshot_unix_s: None,
                    ..table.clone()
                },
                TableStatus {
                    name: "Totals".into(),
                    is_view: true,
                    untracked_because: Some("A view has no rows of its own.".into()),
                    ..table.clone()
                },
                TableStatus {
                    name: "Years".into(),
                    is_view: true,
                    untracked_because: Some("A view has no rows of its own.".into()),
                    ..table
                },
            ],
        }
    }

    #[test]
    fn people_get_a_table_and_reasons() {
        let expected = "\
TABLE          TRACKED  HISTORY ROWS  HISTORY SIZE  OLDEST SNAPSHOT
Orders         yes              1200      64.0 KiB  2023-11-14T22:13:20Z
Order Details  yes                 0           0 B  not known yet
Totals (view)  no                  -             -  -
Years (view)   no                  -             -  -

Not tracked:
  Totals, Years: A view has no rows of its own.

Warnings:
  (database): Readers wait.
  Order Details: 2 rows have NULL in the key and are not served.
";
        assert_eq!(text(&status()), expected);
        let empty = StoreStatus {
            epoch: None,
            warnings: vec![],
            tables: vec![],
        };
        assert_eq!(text(&empty), "the database has no tables\n");
    }

    #[test]
    fn programs_get_json() {
        let json = serde_json::to_value(Report::new("a.sqlite".into(), &status())).unwrap();
        assert_eq!(json["epoch"], "000000000000000a");
        assert_eq!(json["tables"][0]["oldest_snapshot"], "2023-11-14T22:13:20Z");
        assert_eq!(
            json["tables"][1]["oldest_snapshot"],
            serde_json::Value::Null
        );
        assert_eq!(json["tables"][2]["tracked"], false);
        assert_eq!(
            json["tables"][2]["untracked_because"],
            "A view has no rows of its own."
        );
    }
}
