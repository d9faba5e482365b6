//! Databases that cannot be used: clear words, nothing lost, and recovery without a restart.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::query::Comparison;
use highwater_core::store::{Input, ReadParams, WriteStep, WriteVerb};
use highwater_core::{Error, Expr, Function, Store as _};
use highwater_odata::{PrimitiveType, Value};
use highwater_sqlite::{Options, SqliteStore};

use crate::serving::{Lines, Served, rows};

const SETUP: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1,'a'),(2,'b');";

fn impatient() -> Options {
    Options {
        busy_timeout: Duration::ZERO,
        ..Options::default()
    }
}

fn insert(served: &Served, id: i64) -> WriteStep {
    WriteStep {
        table: served.query("t").table,
        verb: WriteVerb::Insert {
            values: vec![(0, Input::Value(Value::Integer(id)))],
        },
        scope: None,
    }
}

fn open(path: &std::path::Path) -> Result<SqliteStore, Error> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(SqliteStore::open(path, Options::default()))
}

#[test]
fn files_that_are_no_databases() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    let message = |result: Result<SqliteStore, Error>| match result {
        Ok(_) => panic!("it opened"),
        Err(error) => error
            .to_string()
            .replace(&directory.path().display().to_string(), "…"),
    };
    assert_eq!(
        message(open(&path)),
        "There is no file …/x.sqlite. Create the database first, or check the path."
    );
    assert!(!path.exists(), "opening creates nothing");
    assert_eq!(
        message(open(directory.path())),
        "… is a directory, not a database."
    );
    std::fs::write(
        &path,
        "this is certainly no database, but it is long enough to have a header".repeat(20),
    )
    .unwrap();
    assert_eq!(
        message(open(&path)),
        "The file …/x.sqlite is not a SQLite database (or is encrypted)."
    );
    std::fs::write(&path, "").unwrap();
    assert!(open(&path).is_ok(), "an empty file is an empty database");
}

#[test]
fn a_locked_database_is_busy_until_it_is_not() {
    let served = Served::with(SETUP, impatient());
    let step = insert(&served, 3);
    served.sql("BEGIN IMMEDIATE");
    let refused = served.write(vec![step.clone()]);
    assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
    // Readers do not care.
    assert_eq!(served.read_all(&served.query("t"), 10, || {}).0.len(), 2);
    served.sql("COMMIT");
    served.write(vec![step]).unwrap();
    assert_eq!(served.read_all(&served.query("t"), 10, || {}).0.len(), 3);
}

/// A file format that is newer for writing than for reading may be read only, whoever asks. (Permissions do not stop the
/// superuser, who runs tests in containers.)
#[test]
fn a_read_only_database_is_served_as_it_is() {
    let mut served = Served::new(&format!("PRAGMA journal_mode = DELETE; {SETUP}"));
    let query = served.query("t");
    let (_, lo) = served.read_all(&query, 10, || {});
    served.sql("INSERT INTO t VALUES (3, 'c')");
    patch(&served.path, 18, 3);
    served.reopen(impatient()).expect("it can be read");
    let (found, _) = served.changes_all(&query, &lo.expect("it is tracked"), 10, || {});
    assert_eq!(found, ["3,'c'"]);
    let step = insert(&served, 4);
    let refused = served.write(vec![step.clone()]);
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    served
        .block_on(served.store.maintain_once())
        .expect("nothing to do");
    // The cause goes away; no restart is needed.
    patch(&served.path, 18, 1);
    served.write(vec![step]).expect("it can be written now");
}

#[test]
fn a_read_only_database_without_history_is_not_tracked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sqlite");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch(SETUP)
        .unwrap();
    patch(&path, 18, 3);
    let store = open(&path).expect("it can be read");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let catalog = runtime.block_on(store.catalog()).unwrap();
    assert!(!catalog.tables[0].is_tracked());
    assert!(
        runtime.block_on(store.key_ring(true)).is_ok(),
        "links to pages can be sealed"
    );
}

#[test]
fn a_damaged_database_is_told_and_can_be_restored() {
    let served = Served::new(&format!("PRAGMA journal_mode = DELETE; {SETUP}"));
    let query = served.query("t");
    assert_eq!(served.read_all(&query, 10, || {}).0.len(), 2);
    let whole = std::fs::read(&served.path).expect("the file");
    let page: i64 = served
        .outside
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 't'",
            [],
            |row| row.get(0),
        )
        .expect("the table has a place");
    let mut damaged = whole.clone();
    let begin = (page as usize - 1) * 4096;
    damaged[begin..begin + 4096].fill(0x55);
    // Changed behind SQLite's back, so its memory of the file has to go, too.
    damaged[27] = damaged[27].wrapping_add(1);
    std::fs::write(&served.path, &damaged).expect("written");
    let refused = served.read(&query, None, None, rows(10));
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    std::fs::write(&served.path, &whole).expect("written");
    let (page, _, _) = served.read(&query, None, None, rows(10)).expect("restored");
    assert_eq!(page.lines.len(), 2);
}

fn patch(path: &std::path::Path, position: usize, byte: u8) {
    let mut bytes = std::fs::read(path).expect("the file");
    bytes[position] = byte;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_file_that_is_replaced_is_another_database() {
    let served = Served::new(SETUP);
    let query = served.query("t");
    let (_, lo) = served.read_all(&query, 10, || {});
    let epoch = served.block_on(served.store.epoch()).unwrap();
    let catalog = served.catalog();
    let other = served.path.with_extension("other");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (7,'new')")
        .unwrap();
    drop(connection);
    for suffix in ["-wal", "-shm"] {
        let mut name = served.path.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    std::fs::rename(&other, &served.path).unwrap();
    let asked = served
        .store
        .unchanged_since(&catalog, query.table, &lo.unwrap());
    assert_eq!(asked, None);
    assert_eq!(
        served.read_all(&served.query("t"), 10, || {}).0,
        ["7,'new'"]
    );
    assert_ne!(served.block_on(served.store.epoch()).unwrap(), epoch);
}

#[test]
fn a_missing_file_may_come_back() {
    let served = Served::new(SETUP);
    let query = served.query("t");
    let away = served.path.with_extension("away");
    served.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::rename(&served.path, &away).unwrap();
    let catalog = served.block_on(served.store.catalog());
    assert!(matches!(catalog, Err(Error::Unavailable(_))), "{catalog:?}");
    std::fs::rename(&away, &served.path).unwrap();
    let (page, _, _) = served.read(&query, None, None, rows(10)).unwrap();
    assert_eq!(page.lines, ["1,'a'", "2,'b'"]);
}

#[test]
fn a_statement_that_takes_too_long_is_stopped() {
    let served = Served::with(
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0;",
        Options {
            statement_timeout: Duration::from_millis(50),
            ..Options::default()
        },
    );
    let refused = served.read(&served.query("endless"), None, None, rows(1));
    assert!(
        matches!(refused, Err(Error::LimitExceeded(_))),
        "{refused:?}"
    );
}

#[test]
fn a_read_that_nobody_waits_for_is_stopped() {
    let served = Served::with(
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0;
         CREATE TABLE t (id INTEGER PRIMARY KEY);",
        Options {
            readers: 2,
            statement_timeout: Duration::from_secs(3600),
            ..Options::default()
        },
    );
    let endless = served.query("endless");
    for _ in 0..3 {
        let params = ReadParams {
            catalog: served.catalog(),
            query: Arc::new(endless.clone()),
            hi: None,
            after: None,
            limit: rows(1),
        };
        let reading = served.store.read(params, Box::<Lines>::default());
        served.block_on(async {
            let waited = tokio::time::timeout(Duration::from_millis(20), reading).await;
            assert!(waited.is_err(), "the view has an end");
        });
    }
    // All connections were busy, and all are free again.
    let page = served.read(&served.query("t"), None, None, rows(1));
    assert!(page.is_ok(), "{:?}", page.err());
}

#[test]
fn a_request_cannot_make_values_of_any_size() {
    let served = Served::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);");
    served.sql("INSERT INTO t VALUES (1, CAST(zeroblob(40000000) AS TEXT))");
    served.sql("INSERT INTO t VALUES (2, CAST(zeroblob(70000000) AS TEXT))");
    let mut query = served.query("t");
    query.columns = vec![0];
    query.etag = true;
    let value = served.column("t", "v");
    query.filter = Some(Expr::Compare(
        Comparison::Eq,
        Box::new(Expr::Call(
            Function::Concat,
            vec![value.clone(), value],
            PrimitiveType::String,
        )),
        Box::new(Expr::Literal(Value::String("x".into()))),
    ));
    let refused = served.read(&query, None, None, rows(1));
    assert!(
        matches!(refused, Err(Error::LimitExceeded(_))),
        "{refused:?}"
    );
    // What is stored can be read, whatever was asked before.
    query.filter = None;
    let (page, _, _) = served.read(&query, None, None, rows(10)).unwrap();
    assert_eq!(page.lines.len(), 2);
}

#[test]
fn a_restart_changes_nothing() {
    let mut served = Served::new(SETUP);
    let query = served.query("t");
    let (_, lo) = served.read_all(&query, 10, || {});
    served.sql("INSERT INTO t VALUES (3,'c')");
    let epoch = served.block_on(served.store.epoch()).unwrap();
    served.reopen(Options::default()).unwrap();
    assert_eq!(served.block_on(served.store.epoch()).unwrap(), epoch);
    let (found, _) = served.changes_all(&query, &lo.unwrap(), 10, || {});
    assert_eq!(found, ["3,'c'"]);
    served.block_on(served.store.maintain_once()).unwrap();
    let status = served.block_on(served.store.status()).unwrap();
    assert_eq!(status.epoch, Some(epoch));
    assert_eq!(status.tables.len(), 1);
}

/// Two processes serve one file. Whoever looks first makes the new key; the other one learns of it, and old links stay valid.
#[test]
fn an_old_key_is_rotated_and_every_process_notices() {
    let served = Served::new(SETUP);
    let other = open(&served.path).unwrap();
    let ring = |store: &SqliteStore, refresh| served.block_on(store.key_ring(refresh)).unwrap();
    let old = ring(&served.store, false).seal(b"link");
    let maintain = || {
        served.block_on(served.store.maintain_once()).unwrap();
        served.block_on(other.maintain_once()).unwrap();
    };
    let keys = || -> i64 {
        let count = "SELECT count(*) FROM highwater_key";
        let keys = served.outside.query_row(count, [], |row| row.get(0));
        keys.unwrap()
    };
    maintain();
    assert_eq!(keys(), 1, "the key is young");
    assert_eq!(ring(&served.store, false).seal(b"link"), old);

    served.sql("UPDATE highwater_key SET created_unix_s = created_unix_s - 31 * 86400");
    served.block_on(served.store.maintain_once()).unwrap();
    let new = ring(&served.store, false).seal(b"link");
    assert_ne!(new, old);
    // Before its own maintenance, the other process finds the key when it meets a link.
    assert!(ring(&other, false).open(&new).is_err());
    assert_eq!(ring(&other, true).open(&new).unwrap(), b"link");
    maintain();
    assert_eq!(keys(), 2, "one of them rotates");
    for store in [&served.store, &other] {
        assert_eq!(ring(store, false).seal(b"link"), new);
        assert_eq!(ring(store, false).open(&old).unwrap(), b"link");
    }
}
