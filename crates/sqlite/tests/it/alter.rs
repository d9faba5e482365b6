//! What `ALTER TABLE` and other schema changes do to a tracked table: never a broken application write that is not announced, never a
//! change that is lost in silence.

use highwater_core::Tracking;
use highwater_sqlite::tracking::{Ensured, Policy, ensure};
use highwater_sqlite::{introspect, meta};
use rusqlite::Connection;

fn tracked(setup: &str) -> Connection {
    let mut database = Connection::open_in_memory().unwrap();
    database.execute_batch(setup).unwrap();
    ensure(&mut database, &Policy::All).unwrap();
    database
}

fn incarnation(database: &Connection, table: &str) -> Option<u64> {
    let catalog = introspect::load(database).unwrap().catalog;
    match catalog.tables[catalog.table(None, table)?].tracking {
        Tracking::Tracked { incarnation } => Some(incarnation),
        Tracking::Paused { .. } | Tracking::Untracked { .. } => None,
    }
}

const ITEMS: &str = "PRAGMA foreign_keys = OFF; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, code TEXT UNIQUE, note); \
     CREATE UNIQUE INDEX lowered ON item(lower(name)) WHERE price > 1; INSERT INTO item VALUES (1, 'a', 2, 'x', NULL); \
     CREATE TABLE other(id INTEGER PRIMARY KEY, item REFERENCES item); INSERT INTO other VALUES (1, 1);";

/// After the change: does the catalog know at once that the tracking is void, do the writes of the application go on, does `ensure` begin
/// anew, and does the new tracking work?
#[test]
fn a_changed_schema_begins_anew_and_breaks_no_write() {
    for (change, write) in [
        (
            "ALTER TABLE item ADD COLUMN extra INT DEFAULT 7",
            "INSERT INTO item(id, extra) VALUES (2, 1)",
        ),
        (
            "ALTER TABLE item RENAME COLUMN name TO title",
            "INSERT INTO item(id, title, price) VALUES (2, 'b', 9)",
        ),
        (
            "ALTER TABLE item RENAME COLUMN id TO nr",
            "INSERT OR REPLACE INTO item(nr, name) VALUES (1, 'b')",
        ),
        (
            "CREATE UNIQUE INDEX more ON item(note)",
            "INSERT INTO item(id, note) VALUES (2, 'b')",
        ),
        (
            "DROP INDEX lowered",
            "INSERT OR REPLACE INTO item(id, name) VALUES (2, 'A')",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON item BEGIN UPDATE item SET note = 't' WHERE id = NEW.id; END",
            "INSERT INTO item(name) VALUES ('b')",
        ),
        (
            "DROP TABLE item; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT)",
            "INSERT INTO item VALUES (1, 'b')",
        ),
        (
            "DROP TRIGGER highwater_1_update",
            "UPDATE item SET name = 'b'",
        ),
        (
            "DROP TABLE highwater_history_1; CREATE TABLE highwater_history_1(version INTEGER PRIMARY KEY, nonce INTEGER DEFAULT 1, present, c0, c1, c2, c3, c4)",
            "UPDATE item SET name = 'b'",
        ),
        (
            "CREATE TABLE fresh(id INTEGER PRIMARY KEY, name TEXT, price REAL); INSERT INTO fresh SELECT id, name, price FROM item; DROP TABLE item; ALTER TABLE fresh RENAME TO item",
            "UPDATE item SET name = 'b'",
        ),
    ] {
        let mut database = tracked(ITEMS);
        let before = incarnation(&database, "item").unwrap();
        let other = incarnation(&database, "other").unwrap();
        database
            .execute_batch(change)
            .unwrap_or_else(|e| panic!("{change}: {e}"));
        assert_eq!(incarnation(&database, "item"), None, "{change}");
        database
            .execute_batch(write)
            .unwrap_or_else(|e| panic!("{change}: {e}"));
        let done = ensure(&mut database, &Policy::All).unwrap();
        assert_eq!(done.renewed, ["item"], "{change}");
        let after = incarnation(&database, "item").unwrap();
        assert_ne!(after, before, "{change}");
        assert_eq!(incarnation(&database, "other"), Some(other), "{change}");
        let clock = meta::clock(&database).unwrap();
        database.execute("DELETE FROM item", []).unwrap();
        assert!(meta::clock(&database).unwrap() > clock, "{change}");
        assert_eq!(
            ensure(&mut database, &Policy::All).unwrap(),
            Ensured::default(),
            "{change}"
        );
    }
}

#[test]
fn a_renamed_table_is_another_table() {
    let mut database = tracked(ITEMS);
    database
        .execute_batch("ALTER TABLE item RENAME TO \"new name\"")
        .unwrap();
    assert_eq!(incarnation(&database, "new name"), None);
    database
        .execute_batch("INSERT OR REPLACE INTO \"new name\"(id, name, price) VALUES (2, 'A', 5)")
        .unwrap();
    let done = ensure(&mut database, &Policy::All).unwrap();
    assert_eq!(done.tracked, ["new name"]);
    assert_eq!(done.forgotten, ["item"]);
    // The foreign key in the other table was rewritten by SQLite, so its schema is another one too.
    assert_eq!(done.renewed, ["other"]);
    let triggers: i64 = database
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'new name'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(triggers, 7);
}

/// Without triggers of ours in the way, renaming through all steps of a migration keeps the application working.
#[test]
fn migrations_in_one_transaction() {
    for migration in [
        "BEGIN; ALTER TABLE item RENAME TO old_item; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item SELECT id, name FROM old_item; DROP TABLE old_item; COMMIT",
        "PRAGMA legacy_alter_table = ON; BEGIN; ALTER TABLE item RENAME TO old_item; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item SELECT id, name FROM old_item; DROP TABLE old_item; COMMIT",
        "BEGIN; CREATE TEMP TABLE copy AS SELECT * FROM item; DROP TABLE item; CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT) STRICT; INSERT INTO item SELECT id, name FROM copy; DROP TABLE copy; COMMIT",
        "VACUUM",
        "REINDEX; ANALYZE",
    ] {
        let mut database = tracked(ITEMS);
        database
            .execute_batch(migration)
            .unwrap_or_else(|e| panic!("{migration}: {e}"));
        database
            .execute_batch("UPDATE item SET name = 'after'")
            .unwrap();
        ensure(&mut database, &Policy::All).unwrap();
        assert!(incarnation(&database, "item").is_some(), "{migration}");
        assert_eq!(
            ensure(&mut database, &Policy::All).unwrap(),
            Ensured::default()
        );
    }
}

#[test]
fn vacuum_keeps_the_tracking() {
    let database = tracked(ITEMS);
    let before = incarnation(&database, "item");
    database.execute_batch("VACUUM").unwrap();
    assert_eq!(incarnation(&database, "item"), before);
}

/// The one change that SQLite refuses, as with any trigger that names the column. Documented in `highwater_sqlite::tracking`.
#[test]
fn dropping_a_column_needs_untracking_first() {
    let mut database = tracked(ITEMS);
    let error = database
        .execute_batch("ALTER TABLE item DROP COLUMN note")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "error in trigger highwater_1_update after drop column: no such column: OLD.note"
    );
    database
        .execute_batch("UPDATE item SET note = 'still works'")
        .unwrap();
    highwater_sqlite::tracking::untrack(&mut database, Some(&["item".to_owned()])).unwrap();
    database
        .execute_batch("ALTER TABLE item DROP COLUMN note")
        .unwrap();
    assert_eq!(
        ensure(&mut database, &Policy::All).unwrap().tracked,
        ["item"]
    );
}

#[test]
fn a_dropped_table_is_forgotten() {
    let mut database =
        tracked("CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY);");
    database.execute_batch("DROP TABLE a").unwrap();
    assert_eq!(
        ensure(&mut database, &Policy::All).unwrap().forgotten,
        ["a"]
    );
    let histories: i64 = database
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'highwater_history_*'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(histories, 1);
}

#[test]
fn a_table_that_loses_its_key_is_forgotten() {
    let mut database = tracked(
        "CREATE TABLE a(id INT NOT NULL); CREATE UNIQUE INDEX i ON a(id); CREATE TABLE b(id INTEGER PRIMARY KEY);",
    );
    assert!(incarnation(&database, "a").is_some());
    database
        .execute_batch("DROP INDEX i; INSERT INTO a VALUES (1), (1)")
        .unwrap();
    assert_eq!(
        ensure(&mut database, &Policy::All).unwrap().forgotten,
        ["a"]
    );
    database.execute_batch("DELETE FROM a").unwrap();
}

/// Changes of the schema that leave no trace in it, with writes in between of which no trigger could know everything.
#[test]
fn a_change_of_the_schema_that_was_undone_ends_the_links() {
    let same_triggers = |database: &Connection, table: &str| -> String {
        let sql = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 ORDER BY rowid)";
        database.query_row(sql, [table], |r| r.get(0)).unwrap()
    };
    for change in [
        "CREATE UNIQUE INDEX u ON item(note); INSERT OR REPLACE INTO item VALUES (9, 'n'); DROP INDEX u",
        "BEGIN; CREATE TABLE fresh(x); DROP TABLE fresh; CREATE UNIQUE INDEX u ON item(note); UPDATE OR REPLACE item SET note = 'm' WHERE id = 1; DROP INDEX u; COMMIT",
        // What migration tools do: they save the triggers and create them again.
        "CREATE TABLE fresh(id INTEGER PRIMARY KEY, note); INSERT INTO fresh SELECT id, note || '!' FROM item; DROP TABLE item; ALTER TABLE fresh RENAME TO item; $triggers",
        "CREATE TEMP TABLE copy AS SELECT * FROM item; DROP TABLE item; CREATE TABLE \"item\"(id INTEGER PRIMARY KEY, note); INSERT INTO item SELECT id, note || '!' FROM copy; $triggers",
    ] {
        let mut database = tracked(
            "CREATE TABLE \"item\"(id INTEGER PRIMARY KEY, note); INSERT INTO item VALUES (1, 'n'), (2, 'm'); \
             CREATE TABLE other(id INTEGER PRIMARY KEY);",
        );
        let before = incarnation(&database, "item").unwrap();
        let other = incarnation(&database, "other").unwrap();
        let change = change.replace("$triggers", &same_triggers(&database, "item"));
        database
            .execute_batch(&change)
            .unwrap_or_else(|e| panic!("{change}: {e}"));
        assert_eq!(incarnation(&database, "item"), None, "{change}");
        let done = ensure(&mut database, &Policy::All).unwrap();
        assert_eq!(done.renewed, ["item"], "{change}");
        assert_ne!(incarnation(&database, "item").unwrap(), before, "{change}");
        assert_eq!(incarnation(&database, "other"), Some(other), "{change}");
        let again = ensure(&mut database, &Policy::All).unwrap();
        assert_eq!(again, Ensured::default(), "{change}");
    }
}

/// What programs do around a bulk load: nothing of what is written meanwhile leaves a record.
#[test]
fn triggers_that_were_away_for_a_while_end_the_links() {
    let mut database = tracked(ITEMS);
    let before = incarnation(&database, "item").unwrap();
    let triggers: Vec<(String, String)> = database
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'item' ORDER BY rowid")
        .unwrap()
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (name, _) in &triggers {
        database
            .execute_batch(&format!("DROP TRIGGER {name}"))
            .unwrap();
    }
    database.execute("UPDATE item SET note = 'n'", []).unwrap();
    for (_, sql) in &triggers {
        database.execute_batch(sql).unwrap();
    }
    assert_eq!(incarnation(&database, "item"), None);
    ensure(&mut database, &Policy::All).unwrap();
    assert_ne!(incarnation(&database, "item").unwrap(), before);
}

/// The number of triggers that a doubt takes for granted.
#[test]
fn every_tracked_table_has_at_least_five_triggers() {
    let database = tracked(
        "CREATE TABLE t(k TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE i(id INTEGER PRIMARY KEY);",
    );
    for table in ["t", "i"] {
        let triggers: i64 = database
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1",
                [table],
                |r| r.get(0),
            )
            .unwrap();
        assert!(triggers >= 5, "{table} has {triggers}");
    }
}

#[test]
fn links_outlive_changes_of_the_schema_that_cannot_have_hidden_anything() {
    let mut database = tracked(ITEMS);
    let before = incarnation(&database, "item");
    let look = |database: &mut Connection, change: &str| {
        database.execute_batch(change).unwrap();
        assert_eq!(incarnation(database, "item"), before, "{change}");
        let done = ensure(database, &Policy::All).unwrap();
        assert_eq!(done.renewed, Vec::<String>::new(), "{change}");
    };
    // One at a time, each of them is seen.
    look(
        &mut database,
        "UPDATE item SET note = 1; CREATE TABLE scratch(x)",
    );
    look(
        &mut database,
        "UPDATE item SET note = 2; DROP TABLE scratch",
    );
    look(&mut database, "UPDATE item SET note = 3; VACUUM");
    // Several, and nothing was written.
    look(
        &mut database,
        "CREATE VIEW v AS SELECT 1; DROP VIEW v; VACUUM; CREATE VIEW v AS SELECT 2",
    );
    // Several, and what was written was written before the last look.
    database.execute_batch("UPDATE item SET note = 4").unwrap();
    meta::tick(&mut database, 1_000).unwrap();
    look(&mut database, "DROP VIEW v; CREATE VIEW v AS SELECT 3");
    // A copy that SQLite's backup makes has a schema version of its own.
    look(
        &mut database,
        "UPDATE item SET note = 4; PRAGMA schema_version = 1",
    );
    // Untracking another table looks as well, and so does not cast doubt on this one.
    database.execute_batch("UPDATE item SET note = 5").unwrap();
    highwater_sqlite::tracking::untrack(&mut database, Some(&["other".to_owned()])).unwrap();
    look(&mut database, "UPDATE item SET note = 6");
}
