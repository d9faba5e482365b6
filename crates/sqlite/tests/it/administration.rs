//! Tracking, untracking, identity and keys, retention, status.

use highwater_core::Tracking;
use highwater_sqlite::failure::Failure;
use highwater_sqlite::tracking::{Ensured, Policy, ensure, untrack};
use highwater_sqlite::{introspect, meta, retention, status};
use rusqlite::{Connection, OpenFlags};

const SCHEMA: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, v); \
     CREATE TABLE \"b c\"(k TEXT PRIMARY KEY, u UNIQUE, v) WITHOUT ROWID; \
     CREATE TABLE keyless(x, y); \
     CREATE TABLE highwater_marks(id INTEGER PRIMARY KEY AUTOINCREMENT, m); \
     CREATE VIEW w AS SELECT * FROM a; \
     CREATE TRIGGER mine AFTER INSERT ON a BEGIN UPDATE a SET v = NEW.v WHERE id = NEW.id; END; \
     INSERT INTO a VALUES (1, 1); INSERT INTO highwater_marks(m) VALUES (1);";

fn database() -> Connection {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(SCHEMA).unwrap();
    database
}

fn schema(database: &Connection) -> Vec<(String, String, Option<String>)> {
    let mut statement = database
        .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY rowid")
        .unwrap();
    let rows = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

fn tracked(database: &Connection) -> Vec<String> {
    let catalog = introspect::load(database).unwrap().catalog;
    catalog
        .tables
        .iter()
        .filter(|t| t.is_tracked())
        .map(|t| t.name.clone())
        .collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn untrack_leaves_no_trace() {
    let mut database = database();
    let before = schema(&database);
    let done = ensure(&mut database, &Policy::All).unwrap();
    assert_eq!(done.tracked, ["a", "b c", "highwater_marks"]);
    assert_eq!(tracked(&database), ["a", "b c", "highwater_marks"]);
    database
        .execute_batch("UPDATE a SET v = 2; ANALYZE")
        .unwrap();
    assert_eq!(
        untrack(&mut database, Some(&names(&["B c"]))).unwrap(),
        ["b c"]
    );
    assert_eq!(tracked(&database), ["a", "highwater_marks"]);
    assert_eq!(
        untrack(&mut database, Some(&names(&["b c"]))).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        untrack(&mut database, None).unwrap(),
        ["a", "highwater_marks"]
    );
    let after: Vec<_> = schema(&database)
        .into_iter()
        .filter(|(_, name, _)| !name.starts_with("sqlite_stat"))
        .collect();
    assert_eq!(after, before);
    let statistics: i64 = database
        .query_row(
            "SELECT count(*) FROM sqlite_stat1 WHERE tbl GLOB 'highwater_history_*'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(statistics, 0);
    assert_eq!(untrack(&mut database, None).unwrap(), Vec::<String>::new());
    assert!(meta::load(&database).unwrap().is_none());
}

#[test]
fn a_table_that_was_changed_is_untracked_completely_too() {
    let mut database = database();
    let before = schema(&database);
    ensure(&mut database, &Policy::All).unwrap();
    database
        .execute_batch("DROP TRIGGER highwater_1_update; ALTER TABLE \"b c\" RENAME TO c; DROP TABLE highwater_history_3; DROP TRIGGER mine")
        .unwrap();
    assert_eq!(
        untrack(&mut database, None).unwrap(),
        ["a", "b c", "highwater_marks"]
    );
    let after = schema(&database);
    assert_eq!(after.len(), before.len() - 1);
    assert!(
        after
            .iter()
            .all(|(_, name, _)| !name.starts_with("highwater_") || name == "highwater_marks")
    );
}

#[test]
fn policies() {
    for (policy, expected) in [
        (Policy::All, &["a", "b c", "highwater_marks"][..]),
        (Policy::Only(names(&["A"])), &["a"]),
        (Policy::Only(vec![]), &[]),
        (
            Policy::Except(names(&["a", "unknown"])),
            &["b c", "highwater_marks"],
        ),
    ] {
        let mut database = database();
        let before = schema(&database);
        assert_eq!(ensure(&mut database, &policy).unwrap().tracked, expected);
        assert_eq!(tracked(&database), expected);
        assert_eq!(schema(&database) == before, expected.is_empty());
        assert_eq!(ensure(&mut database, &policy).unwrap(), Ensured::default());
    }
    // What is tracked stays so.
    let mut database = database();
    ensure(&mut database, &Policy::Only(names(&["a"]))).unwrap();
    ensure(&mut database, &Policy::Only(names(&["b c"]))).unwrap();
    ensure(&mut database, &Policy::Except(names(&["a", "b c"]))).unwrap();
    assert_eq!(tracked(&database), ["a", "b c", "highwater_marks"]);

    let refused = |policy| refusal(ensure(&mut self::database(), &policy));
    assert_eq!(
        refused(Policy::Only(names(&["nowhere"]))),
        "There is no table \"nowhere\"; the database has \"a\", \"b c\", \"highwater_marks\", \"keyless\", \"w\"."
    );
    assert_eq!(
        refused(Policy::Only(names(&["keyless"]))),
        "\"keyless\" cannot be tracked. The table has no primary key and no unique index over columns that are NOT NULL; add one of them to have it tracked."
    );
}

#[test]
fn names_that_are_taken_and_content_that_is_gone() {
    let mut database = database();
    database
        .execute_batch("CREATE TABLE highwater_meta(mine)")
        .unwrap();
    assert_eq!(
        refusal(ensure(&mut database, &Policy::All)),
        "The database has something of its own with the name highwater_meta; rename it to have tables tracked."
    );
    database.execute_batch("DROP TABLE highwater_meta").unwrap();
    for damage in [
        "DELETE FROM highwater_meta",
        "DROP TABLE highwater_meta; DROP TABLE highwater_table; DROP TABLE highwater_key; DROP TABLE highwater_tick; DROP TABLE highwater_clock",
        "DELETE FROM highwater_table",
        "DROP TABLE highwater_clock",
        "DROP TABLE highwater_tick",
    ] {
        ensure(&mut database, &Policy::All).unwrap();
        database.execute_batch(damage).unwrap();
        assert_eq!(tracked(&database), Vec::<String>::new(), "{damage}");
        ensure(&mut database, &Policy::All).unwrap();
        assert_eq!(
            tracked(&database),
            ["a", "b c", "highwater_marks"],
            "{damage}"
        );
        database.execute("UPDATE a SET v = 3", []).unwrap();
    }
}

#[test]
fn nothing_is_written_if_everything_is_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let mut writer = Connection::open(&path).unwrap();
    writer.execute_batch(SCHEMA).unwrap();
    ensure(&mut writer, &Policy::All).unwrap();
    let watcher = Connection::open(&path).unwrap();
    let version = |c: &Connection| {
        c.query_row("PRAGMA data_version", [], |r| r.get::<_, i64>(0))
            .unwrap()
    };
    let before = version(&watcher);
    assert_eq!(
        ensure(&mut writer, &Policy::All).unwrap(),
        Ensured::default()
    );
    assert_eq!(version(&watcher), before);

    let mut reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    assert_eq!(
        ensure(&mut reader, &Policy::All).unwrap(),
        Ensured::default()
    );
    assert_eq!(tracked(&reader), ["a", "b c", "highwater_marks"]);
    writer.execute_batch("ALTER TABLE a ADD COLUMN x").unwrap();
    let failed = ensure(&mut reader, &Policy::All).unwrap_err();
    assert!(matches!(failed, Failure::Sqlite(_)), "{failed:?}");
    assert_eq!(tracked(&reader), ["b c", "highwater_marks"]);
}

/// The renewed table keeps neither its incarnation nor its history; another connection that had the same plan finds everything done.
#[test]
fn two_processes_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch(SCHEMA)
        .unwrap();
    let done: Vec<Ensured> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = Connection::open(&path).unwrap();
                    connection
                        .busy_timeout(std::time::Duration::from_secs(60))
                        .unwrap();
                    ensure(&mut connection, &Policy::All).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|d| !d.tracked.is_empty()).count(), 1);
}

#[test]
fn identity_and_keys() {
    let mut database = database();
    assert!(meta::load(&database).unwrap().is_none());
    refusal(meta::rotate_key(&mut database));
    ensure(&mut database, &Policy::All).unwrap();
    let first = meta::load(&database).unwrap().unwrap();
    assert_eq!(first.keys.len(), 1);
    let sealed = first.key_ring().unwrap().seal(b"link");
    let key = meta::rotate_key(&mut database).unwrap();
    let second = meta::load(&database).unwrap().unwrap();
    assert_eq!(second.epoch, first.epoch);
    assert_eq!(second.current_key, key.id);
    assert_eq!(second.keys.len(), 2);
    assert_eq!(second.key_ring().unwrap().open(&sealed).unwrap(), b"link");

    // A database that is tracked anew is another one.
    untrack(&mut database, None).unwrap();
    ensure(&mut database, &Policy::All).unwrap();
    assert_ne!(meta::load(&database).unwrap().unwrap().epoch, first.epoch);

    database
        .execute("UPDATE highwater_meta SET format = 99", [])
        .unwrap();
    let text = "The database is tracked by a newer version of Highwater (format 99, this program knows 1); use that version, or untrack the database with it.";
    assert_eq!(refusal(meta::load(&database)), text);
    assert_eq!(refusal(introspect::load(&database)), text);
    assert_eq!(refusal(ensure(&mut database, &Policy::All)), text);
    assert_eq!(refusal(untrack(&mut database, None)), text);
}

#[test]
fn a_key_is_succeeded_once_when_it_is_old() {
    const AGE_MAX_S: i64 = 100;
    let mut database = database();
    assert!(
        !meta::rotate_old_key(&mut database, 5_000, AGE_MAX_S).unwrap(),
        "nothing is tracked"
    );
    ensure(&mut database, &Policy::All).unwrap();
    let mut keys = 1;
    // A key of the future was made while the system's clock was wrong.
    for (created, now, expected) in [
        (5_000, 5_000, false),
        (5_000, 5_099, false),
        (5_000, 5_100, true),
        (5_000, 4_901, false),
        (9_000, 5_000, true),
    ] {
        database
            .execute("UPDATE highwater_key SET created_unix_s = ?1", [created])
            .unwrap();
        let before = meta::load(&database).unwrap().unwrap();
        let changes = database.total_changes();
        let rotated = meta::rotate_old_key(&mut database, now, AGE_MAX_S).unwrap();
        keys += usize::from(rotated);
        let after = meta::load(&database).unwrap().unwrap();
        assert_eq!(rotated, expected, "{created} {now}");
        assert_eq!(after.keys.len(), keys);
        assert_eq!(before.current_key != after.current_key, rotated);
        assert_eq!(database.total_changes() != changes, rotated);
        // The new key is young.
        let now = unix_s(&database);
        assert_eq!(
            !rotated,
            meta::rotate_old_key(&mut database, now, AGE_MAX_S).unwrap()
        );
        keys += usize::from(!rotated);
    }
}

fn unix_s(database: &Connection) -> i64 {
    database
        .query_row("SELECT unixepoch()", [], |r| r.get(0))
        .unwrap()
}

fn versions(database: &Connection, table: &str) -> Vec<i64> {
    let mut statement = database
        .prepare(&format!("SELECT version FROM {table} ORDER BY 1"))
        .unwrap();
    let rows = statement.query_map([], |r| r.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn retention_keeps_what_young_links_need() {
    let mut database = Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);",
        )
        .unwrap();
    assert_eq!(retention::horizon_for(&database, 0).unwrap(), None);
    assert!(!retention::prune_step(&mut database, 5, 10).unwrap());
    ensure(&mut database, &Policy::All).unwrap();
    database
        .execute_batch("DELETE FROM highwater_tick")
        .unwrap();
    // Versions 1 to 3 are a's, 4 to 6 b's, and so on.
    for minute in 0..6 {
        meta::tick(&mut database, 1_000 + minute * 60).unwrap();
        let table = if minute % 2 == 0 { "a" } else { "b" };
        for id in 0..3 {
            let id = minute * 10 + id;
            database
                .execute(&format!("INSERT INTO {table} VALUES (?1, 0)"), [id])
                .unwrap();
        }
    }
    assert_eq!(versions(&database, "highwater_tick"), [0, 3, 6, 9, 12, 15]);
    for (older_than, expected) in [
        (999, None),
        (1_000, Some(0)),
        (1_119, Some(3)),
        (1_120, Some(6)),
        (9_999, Some(15)),
    ] {
        assert_eq!(
            retention::horizon_for(&database, older_than).unwrap(),
            expected
        );
    }

    // Up to 9: of a, 1 to 3 and 7 to 9 are old, and 9 is the anchor; of b, 4 to 6, and 6 is the anchor.
    let mut steps = 0;
    while retention::prune_step(&mut database, 9, 2).unwrap() {
        steps += 1;
        assert!(steps < 20);
    }
    assert_eq!(steps, 4, "of two rows each");
    assert_eq!(versions(&database, "highwater_history_1"), [9, 13, 14, 15]);
    assert_eq!(
        versions(&database, "highwater_history_2"),
        [6, 10, 11, 12, 16, 17, 18]
    );
    assert_eq!(versions(&database, "highwater_tick"), [9, 12, 15]);
    let horizons = |d: &Connection| {
        d.query_row(
            "SELECT min(horizon), max(horizon) FROM highwater_table",
            [],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .unwrap()
    };
    assert_eq!(horizons(&database), (9, 9));

    // Never back, never beyond the clock, and nothing is written when nothing is to do.
    let changes = database.total_changes();
    assert!(!retention::prune_step(&mut database, 3, 100).unwrap());
    assert_eq!(database.total_changes(), changes);
    assert!(!retention::prune_step(&mut database, 1_000, 100).unwrap());
    assert_eq!(horizons(&database), (18, 18));
    assert_eq!(versions(&database, "highwater_history_1"), [15]);
    assert_eq!(versions(&database, "highwater_history_2"), [18]);
}

#[test]
fn ticks_of_a_wrong_clock_go() {
    let mut database = database();
    ensure(&mut database, &Policy::All).unwrap();
    database
        .execute_batch("DELETE FROM highwater_tick")
        .unwrap();
    meta::tick(&mut database, 5_000).unwrap();
    database.execute_batch("UPDATE a SET v = 1").unwrap();
    meta::tick(&mut database, 9_000_000).unwrap();
    let changes = database.total_changes();
    meta::tick(&mut database, 9_000_001).unwrap();
    assert_eq!(
        database.total_changes(),
        changes,
        "the snapshot has its tick"
    );
    meta::tick(&mut database, 6_000).unwrap();
    let ticks: Vec<(i64, i64)> = database
        .prepare("SELECT version, unix_s FROM highwater_tick")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ticks, [(0, 5_000), (1, 6_000)]);
}

#[test]
fn status_counts() {
    let mut database = Connection::open_in_memory().unwrap();
    database
        .execute_batch("CREATE TABLE a(k TEXT PRIMARY KEY, v); CREATE TABLE n(x); CREATE VIEW w AS SELECT * FROM a; CREATE VIEW broken AS SELECT * FROM gone; INSERT INTO a VALUES (NULL, 1), (NULL, 2);")
        .unwrap();
    let loaded = introspect::load(&database).unwrap();
    let found = status::load(&database, &loaded).unwrap();
    assert_eq!(found.epoch, None);
    assert!(
        found
            .tables
            .iter()
            .all(|t| t.untracked_because.is_some() && t.history_bytes == 0)
    );

    ensure(&mut database, &Policy::All).unwrap();
    database
        .execute_batch("DELETE FROM highwater_tick; INSERT INTO a VALUES ('x', zeroblob(9000))")
        .unwrap();
    meta::tick(&mut database, 77).unwrap();
    database
        .execute_batch("UPDATE a SET v = 1 WHERE k = 'x'")
        .unwrap();
    let loaded = introspect::load(&database).unwrap();
    let found = status::load(&database, &loaded).unwrap();
    assert!(found.epoch.is_some());
    let [a, n, w, broken] = &found.tables[..] else {
        panic!()
    };
    assert_eq!((a.name.as_str(), a.history_rows), ("a", 2));
    assert!(
        a.history_bytes > 9_000 && a.history_bytes < 40_000,
        "{}",
        a.history_bytes
    );
    assert_eq!(a.oldest_snapshot_unix_s, Some(77));
    assert_eq!(
        a.warnings,
        ["2 rows have NULL in the primary key and are not served; give them a key."]
    );
    assert_eq!(
        found.warnings,
        [
            "The database uses journal mode memory, in which readers and writers wait for each other; `PRAGMA journal_mode = WAL` avoids that."
        ]
    );
    assert!(n.untracked_because.is_some() && w.is_view && w.history_rows == 0);
    assert_eq!(
        (
            broken.name.as_str(),
            broken.is_view,
            broken.untracked_because.as_deref()
        ),
        (
            "broken",
            true,
            Some(
                "It is not even served, because SQLite cannot read it (no such table: main.gone)."
            )
        )
    );
}

#[test]
fn an_incarnation_is_never_zero_and_never_the_same() {
    let mut seen = std::collections::HashSet::new();
    let mut database = database();
    for _ in 0..5 {
        ensure(&mut database, &Policy::All).unwrap();
        for table in introspect::load(&database).unwrap().catalog.tables {
            if let Tracking::Tracked { incarnation } = table.tracking {
                assert!(incarnation != 0 && seen.insert(incarnation));
            }
        }
        untrack(&mut database, None).unwrap();
    }
}
