//! What is compared on SQLite.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, ensure};
use highwater_odata::ValueRef;
use highwater_odata::payload::{PageEnd, PageWriter, Plan};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::http::{Client, occurrences, target};
use crate::measure::{Comparison, Line, compare, seconds};
use crate::server::{PEOPLE, Server, delta_link_from_now, follow, track};
use crate::{constant, database};

/// Every comparison, by the name that selects it.
pub const ALL: &[Comparison] = &[
    ("read", first_round),
    ("delta", delta_by_table_size),
    ("pages", first_and_last_page),
    ("poll", empty_poll),
    ("writes", tracked_writes),
    ("memory", memory_and_links),
];

fn first_round() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    let folder = TempDir::new()?;
    let path = folder.path().join("people.sqlite");
    let writer = database::create(&path, ROWS)?;
    let plan = Arc::new(database::plan()?);
    let server = Server::start(&path)?;
    let mut client = server.client()?;
    let over_http = || {
        seconds(|| {
            let mut rows = 0;
            follow(&mut client, PEOPLE, 1000, |page| {
                rows += occurrences(page, "\"email\":")
            })?;
            ensure!(rows == ROWS as usize, "{rows} rows were read");
            Ok(())
        })
    };
    let in_process = || seconds(|| rows_to_json(&writer, &plan, ROWS));
    let (ratio, http, local) = compare(in_process, over_http).map(|(r, a, b)| (r, b, a))?;
    let rate = |s: f64| format!("{:.0} k rows/s", f64::from(ROWS) / s / 1000.0);
    Ok(vec![Line {
        what: format!(
            "{ROWS} rows over HTTP, 1,000 a page, against the same rows to JSON in-process"
        ),
        measured: format!("{ratio:.2} ({} against {})", rate(http), rate(local)),
        aim: "≥ 0.6",
    }])
}

/// The ceiling: a prepared statement and the product's own page writer; no HTTP, no links, no etags, one page in memory.
fn rows_to_json(connection: &Connection, plan: &Arc<Plan>, expected: u32) -> Result<()> {
    let mut statement = connection.prepare("SELECT * FROM people ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut page = PageWriter::new(plan.clone());
    page.begin(None);
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if count > 0 && count % 1000 == 0 {
            let full = std::mem::replace(&mut page, PageWriter::new(plan.clone()));
            black_box(full.finish(PageEnd::Complete));
            page.begin(None);
        }
        let mut values = [ValueRef::Null; 7];
        for (column, value) in values.iter_mut().enumerate() {
            *value = match row.get_ref(column)? {
                rusqlite::types::ValueRef::Null => ValueRef::Null,
                rusqlite::types::ValueRef::Integer(v) => ValueRef::Integer(v),
                rusqlite::types::ValueRef::Real(v) => ValueRef::Double(v),
                rusqlite::types::ValueRef::Text(v) => ValueRef::String(std::str::from_utf8(v)?),
                rusqlite::types::ValueRef::Blob(v) => ValueRef::Binary(v),
            };
        }
        page.entity(&values, None);
        page.end_entity();
        count += 1;
    }
    black_box(page.finish(PageEnd::Complete));
    ensure!(count == expected, "{count} rows were read");
    Ok(())
}

fn delta_by_table_size() -> Result<Vec<Line>> {
    const CHANGES: u32 = 1000;
    let folder = TempDir::new()?;
    let prepare = |name: &str, rows: u32| -> Result<(Server, Connection)> {
        let path = folder.path().join(name);
        let writer = database::create(&path, rows)?;
        Ok((Server::start(&path)?, writer))
    };
    let (large, large_writer) = prepare("large.sqlite", 1_000_000)?;
    let (small, small_writer) = prepare("small.sqlite", 10_000)?;
    let delta = |server: &Server, writer: &Connection, rows: u32| -> Result<f64> {
        let mut client = server.client()?;
        let link = delta_link_from_now(&mut client)?;
        database::change(writer, rows, CHANGES)?;
        // The best of a few: the first one also pays for pages that the writer has just pushed out of the caches.
        let mut best = f64::MAX;
        for _ in 0..5 {
            let mut changed = 0;
            best = best.min(seconds(|| {
                follow(&mut client, &link, 1000, |page| {
                    changed += occurrences(page, "\"email\":")
                })?;
                Ok(())
            })?);
            ensure!(changed == CHANGES as usize, "{changed} changes were read");
        }
        Ok(best)
    };
    let delta = compare(
        || delta(&large, &large_writer, 1_000_000),
        || delta(&small, &small_writer, 10_000),
    )?;
    let row = |what: &str, (ratio, of_large, of_small): (f64, f64, f64), aim| Line {
        what: what.into(),
        measured: format!(
            "{ratio:.2} ({:.2} ms against {:.2} ms)",
            of_large * 1e3,
            of_small * 1e3
        ),
        aim,
    };
    // What a larger table costs SQLite itself.
    let look_up = |name: &str, rows: u32| -> Result<f64> {
        let reader = Connection::open(folder.path().join(name))?;
        reader.pragma_update(None, "cache_size", -16 * 1024)?;
        let mut statement = reader.prepare("SELECT * FROM people WHERE id = ?1")?;
        let mut best = f64::MAX;
        for _ in 0..5 {
            best = best.min(seconds(|| {
                reader.execute_batch("BEGIN")?;
                for n in 0..CHANGES {
                    let id = database::id(n * (rows / CHANGES));
                    let length = statement.query_row([id], |row| {
                        row.get_ref(3)?.as_str().map(str::len).map_err(Into::into)
                    })?;
                    black_box(length);
                }
                reader.execute_batch("COMMIT")?;
                Ok(())
            })?);
        }
        Ok(best)
    };
    let looked_up = compare(
        || look_up("large.sqlite", 1_000_000),
        || look_up("small.sqlite", 10_000),
    )?;
    Ok(vec![
        row(
            "a delta of 1,000 changes in 1,000,000 rows against one in 10,000",
            delta,
            "≤ 1.2",
        ),
        row(
            "for comparison, the same rows looked up by key in-process",
            looked_up,
            "-",
        ),
    ])
}

fn first_and_last_page() -> Result<Vec<Line>> {
    const CHANGES: u32 = 100_000;
    let folder = TempDir::new()?;
    let path = folder.path().join("people.sqlite");
    let writer = database::create(&path, CHANGES)?;
    let server = Server::start(&path)?;
    let mut client = server.client()?;
    let first = delta_link_from_now(&mut client)?;
    database::change(&writer, CHANGES, CHANGES)?;
    let headers = track(1000);
    let mut last = first.clone();
    let mut pages = 1;
    while let Some(next) = crate::http::member(client.get(&last, &headers)?, "@nextLink") {
        last = target(next).to_owned();
        pages += 1;
    }
    let client = std::cell::RefCell::new(client);
    let page = |link: &str| {
        seconds(|| {
            for _ in 0..20 {
                client.borrow_mut().get(link, &headers)?;
            }
            Ok(())
        })
    };
    let (ratio, of_last, of_first) = compare(|| page(&last), || page(&first))?;
    Ok(vec![Line {
        what: format!("last against first page of a round of 100,000 changes ({pages} pages)"),
        measured: format!(
            "{ratio:.2} ({:.2} ms against {:.2} ms)",
            of_last * 1e3 / 20.0,
            of_first * 1e3 / 20.0
        ),
        aim: "≤ 1.5",
    }])
}

fn empty_poll() -> Result<Vec<Line>> {
    const CONNECTIONS: usize = 16;
    const POLLS: usize = 2000;
    let folder = TempDir::new()?;
    let path = folder.path().join("people.sqlite");
    database::create(&path, 100_000)?;
    let server = Server::start(&path)?;
    let link = delta_link_from_now(&mut server.client()?)?;
    let body = server.client()?.get(&link, &track(1000))?.to_vec();
    let bare = constant::serve_bare(&body)?.to_string();
    let hyper = constant::serve_hyper(&body)?.to_string();
    let poll = |host: &str| {
        seconds(|| {
            let all: Result<Vec<()>> = thread::scope(|scope| {
                let workers: Vec<_> = (0..CONNECTIONS)
                    .map(|_| {
                        scope.spawn(|| -> Result<()> {
                            let mut client = Client::connect(host)?;
                            for _ in 0..POLLS {
                                client.get(&link, &track(1000))?;
                            }
                            Ok(())
                        })
                    })
                    .collect();
                workers
                    .into_iter()
                    .map(|w| w.join().expect("a worker does not panic"))
                    .collect()
            });
            all.map(|_| ())
        })
    };
    let rate = |s: f64| format!("{:.0} k/s", (CONNECTIONS * POLLS) as f64 / s / 1000.0);
    let mut lines = Vec::new();
    for (host, by, aim) in [
        (&bare, "a bare socket", "≥ 0.7"),
        (&hyper, "the same HTTP library", "-"),
    ] {
        let (ratio, of_constant, of_poll) = compare(|| poll(host), || poll(&server.host))?;
        lines.push(Line {
            what: format!(
                "empty polls against a constant response of {} bytes from {by}",
                body.len()
            ),
            measured: format!(
                "{ratio:.2} ({} against {})",
                rate(of_poll),
                rate(of_constant)
            ),
            aim,
        });
    }
    Ok(lines)
}

fn tracked_writes() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    let folder = TempDir::new()?;
    let prepare = |name: &str, track: bool| -> Result<Connection> {
        let path = folder.path().join(name);
        let writer = database::create(&path, ROWS)?;
        if track {
            // Serving installs the triggers; they stay when the server is gone.
            drop(Server::start(&path)?);
        }
        Ok(writer)
    };
    let (tracked, plain) = (
        prepare("tracked.sqlite", true)?,
        prepare("plain.sqlite", false)?,
    );
    let bulk_update = |c: &Connection| seconds(|| database::change(c, ROWS, 20_000));
    let bulk_insert = |c: &Connection| -> Result<f64> {
        let first: u32 = c.query_row("SELECT max(number) + 1 FROM people", [], |row| row.get(0))?;
        seconds(|| database::insert(c, first..first + 20_000))
    };
    let single = |c: &Connection| {
        seconds(|| {
            let sql = "UPDATE people SET balance = balance + 1 WHERE id = ?1";
            let mut update = c.prepare(sql)?;
            for n in 0..2000 {
                update.execute([database::id(n * 17)])?;
            }
            Ok(())
        })
    };
    let mut lines = Vec::new();
    let mut add = |what: &str, measure: &dyn Fn(&Connection) -> Result<f64>| -> Result<()> {
        let (ratio, _, _) = compare(|| measure(&tracked), || measure(&plain))?;
        let measured = format!("{ratio:.2}");
        lines.push(Line {
            what: format!("tracked against untracked: {what}"),
            measured,
            aim: "-",
        });
        Ok(())
    };
    add("2,000 updates, one a transaction", &single)?;
    add("20,000 updates in one transaction", &bulk_update)?;
    add("20,000 inserts in one transaction", &bulk_insert)?;
    Ok(lines)
}

fn memory_and_links() -> Result<Vec<Line>> {
    let folder = TempDir::new()?;
    let path = folder.path().join("people.sqlite");
    database::create(&path, 1_000_000)?;
    let server = Server::start(&path)?;
    let mut client = server.client()?;
    let mut longest = 0;
    let host = server.host.clone();
    let delta = follow(&mut client, PEOPLE, 1000, |page| {
        if let Some(link) = crate::http::member(page, "@nextLink") {
            longest = longest.max(link.len());
        }
    })?;
    let delta_length = "http://".len() + host.len() + delta.len();
    Ok(vec![
        Line {
            what: "peak resident memory of the server while 1,000,000 rows are read".into(),
            measured: format!("{:.1} MiB", server.peak_memory_kib()? as f64 / 1024.0),
            aim: "≤ 64 MiB",
        },
        Line {
            what: "length of a link of a plain query".into(),
            measured: format!("{delta_length} (delta link), {longest} (longest skip link)"),
            aim: "< 300",
        },
    ])
}
