//! What is compared on PostgreSQL, in throw-away clusters.

use std::io::Read as _;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use highwater_throwaway::{Cluster, Database, Options};
use postgres::{Client as Session, NoTls};

use crate::database::id;
use crate::http::occurrences;
use crate::measure::{Comparison, Line, compare, seconds};
use crate::server::{PEOPLE, Server, delta_link_from_now, follow, track};

/// Every comparison, by the name that selects it.
pub const ALL: &[Comparison] = &[
    ("postgres-read", first_round),
    ("postgres-delta", delta_by_table_size),
    ("postgres-long", beside_long_transaction),
    ("postgres-poll", empty_poll),
    ("postgres-writes", tracked_writes),
    ("postgres-history", history_size),
];

const SCHEMA: &str = "CREATE TABLE people (
    id uuid PRIMARY KEY,
    number bigint NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    city text NOT NULL,
    balance numeric NOT NULL,
    modified timestamptz NOT NULL
)";

/// A cluster whose writes wait for the disk, or not.
fn cluster(fsync: bool) -> Result<Cluster> {
    let mode = if fsync { "on" } else { "off" };
    let options = Options::new()
        .set("fsync", mode)
        .set("synchronous_commit", mode)
        .set("shared_buffers", "1GB")
        .set("max_wal_size", "4GB")
        // What runs beside a measurement is noise.
        .set("autovacuum", "off");
    Ok(Cluster::start(&options)?)
}

/// The table that everything is measured on, with rows 0 to `rows`.
fn create(database: &Database<'_>, rows: u32) -> Result<Session> {
    let mut session = Session::connect(&database.url(), NoTls)?;
    session.batch_execute(SCHEMA)?;
    insert(&mut session, 0, rows)?;
    session.batch_execute("VACUUM ANALYZE people")?;
    Ok(session)
}

/// Inserts rows in one statement. Their ids are those of [`id`].
fn insert(session: &mut Session, first: u32, count: u32) -> Result<()> {
    let ids: Vec<String> = (first..first + count).map(id).collect();
    session.execute(
        "INSERT INTO people
         SELECT r.id::uuid, n, 'Ada Lovelace the ' || n || 'th', 'ada.lovelace.' || n || '@analytical-engine.example',
                (ARRAY['London', 'Paris', 'København', 'Zürich'])[n % 4 + 1], n + 0.25, '2026-11-21T10:20:30Z'
         FROM unnest($1::text[]) WITH ORDINALITY AS r(id, place), LATERAL (SELECT $2::int8 + r.place - 1 AS n) AS s",
        &[&ids, &i64::from(first)],
    )?;
    Ok(())
}

/// Changes `count` rows spread over a table of `rows`, in one statement.
fn change(session: &mut Session, rows: u32, count: u32) -> Result<()> {
    let step = u64::from(rows) / u64::from(count);
    let ids: Vec<String> = (0..u64::from(count))
        .map(|n| id((n * step) as u32))
        .collect();
    let changed = session.execute(
        "UPDATE people SET balance = balance + 1 WHERE id = ANY($1::text[]::uuid[])",
        &[&ids],
    )?;
    ensure!(changed == u64::from(count), "{changed} rows were changed");
    Ok(())
}

fn first_round() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    let cluster = cluster(false)?;
    let database = cluster.database()?;
    let mut session = create(&database, ROWS)?;
    let server = Server::start(database.url())?;
    let mut client = server.client()?;
    let mut over_http = |page_size| {
        seconds(|| {
            let mut rows = 0;
            follow(&mut client, PEOPLE, page_size, |page| {
                rows += occurrences(page, "\"email\":")
            })?;
            ensure!(rows == ROWS as usize, "{rows} rows were read");
            Ok(())
        })
    };
    let mut copy = || {
        seconds(|| {
            let mut bytes = Vec::new();
            session
                .copy_out("COPY people TO STDOUT")?
                .read_to_end(&mut bytes)?;
            let rows = memchr::memchr_iter(b'\n', &bytes).count();
            ensure!(rows == ROWS as usize, "{rows} rows were copied");
            Ok(())
        })
    };
    let rate = |s: f64| format!("{:.0} k rows/s", f64::from(ROWS) / s / 1000.0);
    [1000, 10_000]
        .map(|page_size| {
            let (ratio, of_copy, of_http) = compare(&mut copy, || over_http(page_size))?;
            Ok(Line {
                what: format!(
                    "{ROWS} rows over HTTP, {page_size} a page, against COPY TO STDOUT of the same rows"
                ),
                measured: format!("{ratio:.2} ({} against {})", rate(of_http), rate(of_copy)),
                aim: "≥ 0.5",
            })
        })
        .into_iter()
        .collect()
}

const CHANGES: u32 = 1000;

/// The time of a delta of 1,000 changes.
fn delta(server: &Server, session: &mut Session, rows: u32) -> Result<f64> {
    let mut client = server.client()?;
    let link = delta_link_from_now(&mut client)?;
    change(session, rows, CHANGES)?;
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
}

fn delta_by_table_size() -> Result<Vec<Line>> {
    let cluster = cluster(false)?;
    let (large, small) = (cluster.database()?, cluster.database()?);
    let mut in_large = create(&large, 1_000_000)?;
    let mut in_small = create(&small, 10_000)?;
    let (of_large, of_small) = (Server::start(large.url())?, Server::start(small.url())?);
    let (ratio, a, b) = compare(
        || delta(&of_large, &mut in_large, 1_000_000),
        || delta(&of_small, &mut in_small, 10_000),
    )?;
    Ok(vec![Line {
        what: "a delta of 1,000 changes in 1,000,000 rows against one in 10,000".into(),
        measured: format!("{ratio:.2} ({:.2} ms against {:.2} ms)", a * 1e3, b * 1e3),
        aim: "≤ 1.3",
    }])
}

/// What a transaction costs others that stays open while 200,000 changes are committed, and then throughout.
fn beside_long_transaction() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    const POLLS: usize = 500;
    let (slow, fast) = (cluster(false)?, cluster(false)?);
    let (beside, alone) = (slow.database()?, fast.database()?);
    let prepare = |database: &Database<'_>, open: bool| -> Result<(Server, Session, Session)> {
        let mut session = create(database, ROWS)?;
        session.batch_execute("CREATE TABLE other (id int PRIMARY KEY)")?;
        let server = Server::start(database.url())?;
        let mut long = Session::connect(&database.url(), NoTls)?;
        if open {
            long.batch_execute("BEGIN; INSERT INTO other VALUES (1)")?;
        }
        for _ in 0..20 {
            change(&mut session, ROWS, 10_000)?;
        }
        Ok((server, session, long))
    };
    let (with, mut in_with, mut long) = prepare(&beside, true)?;
    let (without, mut in_without, _) = prepare(&alone, false)?;
    let mut lines = Vec::new();
    let mut add = |what: &str, (ratio, a, b): (f64, f64, f64)| {
        lines.push(Line {
            what: format!(
                "{what} beside a transaction that has been open for 200,000 changes, against the same without it"
            ),
            measured: format!("{ratio:.2} ({:.2} ms against {:.2} ms)", a * 1e3, b * 1e3),
            aim: "-",
        });
    };
    add(
        "a delta of 1,000 changes",
        compare(
            || delta(&with, &mut in_with, ROWS),
            || delta(&without, &mut in_without, ROWS),
        )?,
    );
    let round = |server: &Server| -> Result<f64> {
        let mut client = server.client()?;
        seconds(|| follow(&mut client, PEOPLE, 1000, |_| {}).map(drop))
    };
    add(
        "100,000 rows over HTTP",
        compare(|| round(&with), || round(&without))?,
    );
    let polls = |server: &Server| -> Result<f64> {
        let mut client = server.client()?;
        let link = delta_link_from_now(&mut client)?;
        seconds(|| {
            for _ in 0..POLLS {
                client.get(&link, &track(1000))?;
            }
            Ok(())
        })
    };
    add(
        &format!("{POLLS} polls with nothing new"),
        compare(|| polls(&with), || polls(&without))?,
    );
    add(
        "10,000 updates in one statement",
        compare(
            || seconds(|| change(&mut in_with, ROWS, 10_000)),
            || seconds(|| change(&mut in_without, ROWS, 10_000)),
        )?,
    );
    long.batch_execute("COMMIT")?;
    Ok(lines)
}

fn empty_poll() -> Result<Vec<Line>> {
    const CONNECTIONS: usize = 16;
    const POLLS: usize = 500;
    let cluster = cluster(false)?;
    let database = cluster.database()?;
    create(&database, 100_000)?;
    let server = Server::start(database.url())?;
    let link = delta_link_from_now(&mut server.client()?)?;
    let polls = || {
        seconds(|| {
            in_parallel(CONNECTIONS, || {
                let mut client = server.client()?;
                for _ in 0..POLLS {
                    client.get(&link, &track(1000))?;
                }
                Ok(())
            })
        })
    };
    let snapshots = || {
        seconds(|| {
            in_parallel(CONNECTIONS, || {
                let mut session = Session::connect(&database.url(), NoTls)?;
                let statement = session.prepare("SELECT pg_current_snapshot()::text")?;
                for _ in 0..POLLS {
                    session.query(&statement, &[])?;
                }
                Ok(())
            })
        })
    };
    let (ratio, of_snapshots, of_polls) = compare(snapshots, polls)?;
    let rate = |s: f64| format!("{:.1} k/s", (CONNECTIONS * POLLS) as f64 / s / 1000.0);
    Ok(vec![Line {
        what: "polls with nothing new, 16 connections, against asking PostgreSQL for its snapshot"
            .into(),
        measured: format!(
            "{ratio:.2} ({} against {})",
            rate(of_polls),
            rate(of_snapshots)
        ),
        aim: "-",
    }])
}

fn in_parallel(count: usize, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}

fn tracked_writes() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    let mut lines = Vec::new();
    for (fsync, named) in [(false, "fsync off"), (true, "fsync on")] {
        let cluster = cluster(fsync)?;
        let (tracked, plain) = (cluster.database()?, cluster.database()?);
        let mut in_tracked = create(&tracked, ROWS)?;
        let mut in_plain = create(&plain, ROWS)?;
        // Serving installs the triggers; they stay when the server is gone.
        drop(Server::start(tracked.url())?);
        let triggers: i64 = in_tracked
            .query_one(
                "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people'::regclass AND NOT tgisinternal",
                &[],
            )?
            .get(0);
        ensure!(triggers > 0, "the table is not tracked");
        let mut add =
            |what: &str, aim, measure: &dyn Fn(&mut Session) -> Result<f64>| -> Result<()> {
                let (ratio, a, b) =
                    compare(|| measure(&mut in_tracked), || measure(&mut in_plain))?;
                lines.push(Line {
                    what: format!("tracked against untracked, {named}: {what}"),
                    measured: format!("{ratio:.2} ({:.1} ms against {:.1} ms)", a * 1e3, b * 1e3),
                    aim,
                });
                Ok(())
            };
        let single = if fsync { 200 } else { 4000 };
        let aim = |aim| if fsync { "-" } else { aim };
        add(
            &format!("{single} updates, one a transaction"),
            aim("≤ 1.8"),
            &|session| {
                let update = session
                    .prepare("UPDATE people SET balance = balance + 1 WHERE id = $1::text::uuid")?;
                seconds(|| {
                    for n in 0..single {
                        session.execute(&update, &[&id(n * 17)])?;
                    }
                    Ok(())
                })
            },
        )?;
        add(
            &format!("{single} inserts, one a transaction"),
            aim("≤ 1.8"),
            &|session| {
                let first = next_number(session)?;
                let insert = session.prepare(
                "INSERT INTO people VALUES ($1::text::uuid, $2, 'Ada', 'ada@analytical-engine.example', 'London', 1.25, now())",
            )?;
                seconds(|| {
                    for n in first..first + single {
                        session.execute(&insert, &[&id(n), &i64::from(n)])?;
                    }
                    Ok(())
                })
            },
        )?;
        add(
            &format!("{single} deletes, one a transaction"),
            aim("≤ 1.8"),
            &|session| {
                let end = next_number(session)?;
                let delete = session.prepare("DELETE FROM people WHERE id = $1::text::uuid")?;
                seconds(|| {
                    for n in end - single..end {
                        session.execute(&delete, &[&id(n)])?;
                    }
                    Ok(())
                })
            },
        )?;
        add(
            "50,000 updates in one statement",
            aim("≤ 2.5"),
            &|session| seconds(|| change(session, ROWS, 50_000)),
        )?;
        add(
            "50,000 inserts in one statement",
            aim("≤ 2.5"),
            &|session| {
                let first = next_number(session)?;
                seconds(|| insert(session, first, 50_000))
            },
        )?;
        add(
            "50,000 deletes in one statement",
            aim("≤ 2.5"),
            &|session| {
                let end = next_number(session)?;
                let ids: Vec<String> = (end - 50_000..end).map(id).collect();
                seconds(|| {
                    let sql = "DELETE FROM people WHERE id = ANY($1::text[]::uuid[])";
                    let deleted = session.execute(sql, &[&ids])?;
                    ensure!(deleted == 50_000, "{deleted} rows were deleted");
                    Ok(())
                })
            },
        )?;
    }
    Ok(lines)
}

fn next_number(session: &mut Session) -> Result<u32> {
    let next: i64 = session
        .query_one("SELECT max(number) + 1 FROM people", &[])?
        .get(0);
    u32::try_from(next).context("a number of a row")
}

fn history_size() -> Result<Vec<Line>> {
    const ROWS: u32 = 100_000;
    let cluster = cluster(false)?;
    let database = cluster.database()?;
    let mut session = create(&database, ROWS)?;
    drop(Server::start(database.url())?);
    let mut size = || -> Result<i64> {
        let row = session.query_one(
            "SELECT sum(pg_total_relation_size(oid))::int8 FROM pg_class
             WHERE relnamespace = 'highwater'::regnamespace AND relname LIKE 'history%' AND relkind = 'r'",
            &[],
        )?;
        Ok(row.get(0))
    };
    let before = size()?;
    let mut writer = Session::connect(&database.url(), NoTls)?;
    change(&mut writer, ROWS, 100_000)?;
    let updated = size()?;
    insert(&mut writer, ROWS, 100_000)?;
    let inserted = size()?;
    writer.execute("DELETE FROM people WHERE number >= $1", &[&i64::from(ROWS)])?;
    let deleted = size()?;
    let row: i64 = writer
        .query_one("SELECT avg(pg_column_size(p.*))::int8 FROM people p", &[])?
        .get(0);
    let per_change = |bytes: i64| format!("{} bytes", bytes / 100_000);
    Ok(vec![
        Line {
            what: format!("history of an updated row of {row} bytes, indexes included"),
            measured: per_change(updated - before),
            aim: "-",
        },
        Line {
            what: "history of an inserted row, indexes included".into(),
            measured: per_change(inserted - updated),
            aim: "-",
        },
        Line {
            what: "history of a deleted row, indexes included".into(),
            measured: per_change(deleted - inserted),
            aim: "-",
        },
    ])
}
