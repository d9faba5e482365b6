//! Rounds: the difference between two snapshots of a query, whatever happens in between and meanwhile.

use std::collections::BTreeMap;

use highwater_core::query::Comparison;
use highwater_core::store::PageLimit;
use highwater_core::{Error, Expr, Gone, Query, Snapshot, Store as _};
use highwater_odata::Value;

use crate::serving::{Served, cmp, int, rows, text};

const SETUP: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT);
    INSERT INTO t VALUES (1,1,'a'),(2,2,'b'),(3,3,'c'),(4,4,'d'),(5,5,'e');";

fn snapshot(served: &Served, query: &Query) -> Snapshot {
    served
        .read_all(query, 1000, || {})
        .1
        .expect("the table is tracked")
}

/// The table of DESIGN section 1, and the cases around it.
#[test]
fn a_round_is_the_difference() {
    let check = |changes: &str, filter: bool, columns: &[usize], expected: &[&str]| {
        let served = Served::new(SETUP);
        let mut query = served.query("t");
        query.columns = columns.to_vec();
        if filter {
            query.filter = Some(cmp(served.column("t", "n"), Comparison::Ge, int(3)));
        }
        let lo = snapshot(&served, &query);
        served.sql(changes);
        for page in [1, 2, 100] {
            let (found, hi) = served.changes_all(&query, &lo, page, || {});
            assert_eq!(found, expected, "{changes} {page} rows a page");
            let (nothing, again) = served.changes_all(&query, &hi, page, || {});
            assert_eq!((nothing, again), (vec![], hi), "{changes}");
        }
    };
    let all = &[0, 1, 2][..];
    check("", false, all, &[]);
    check("INSERT INTO t VALUES (6,6,'f')", false, all, &["6,6,'f'"]);
    check(
        "UPDATE t SET s = 'x' WHERE id = 2",
        false,
        all,
        &["2,2,'x'"],
    );
    check("UPDATE t SET s = s", false, all, &[]);
    check(
        "UPDATE t SET s = 'x'; UPDATE t SET s = 'a' WHERE id = 1",
        false,
        all,
        &["2,2,'x'", "3,3,'x'", "4,4,'x'", "5,5,'x'"],
    );
    check(
        "DELETE FROM t WHERE id = 2",
        false,
        all,
        &["-deleted 2,-,-"],
    );
    check(
        "INSERT INTO t VALUES (6,6,'f'); DELETE FROM t WHERE id = 6",
        false,
        all,
        &[],
    );
    check(
        "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1,1,'a')",
        false,
        all,
        &[],
    );
    check(
        "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1,1,'z')",
        false,
        all,
        &["1,1,'z'"],
    );
    check(
        "UPDATE t SET id = 9 WHERE id = 3",
        false,
        all,
        &["9,3,'c'", "-deleted 3,-,-"],
    );
    check("REPLACE INTO t VALUES (3,3,'c')", false, all, &[]);
    // Only what is selected counts.
    check(
        "UPDATE t SET s = 'x' WHERE id < 3; UPDATE t SET n = 0 WHERE id = 3",
        false,
        &[1],
        &["3,0,-"],
    );
    check("UPDATE t SET s = 'x'", false, &[], &[]);
    check(
        "DELETE FROM t WHERE id = 1",
        false,
        &[],
        &["-deleted 1,-,-"],
    );
    // 1 and 1.0 or '1' are different values.
    check(
        "CREATE TABLE u (id INTEGER PRIMARY KEY); UPDATE t SET s = x'61' WHERE id = 1",
        false,
        all,
        &["1,1,x[61]"],
    );
    // Filters: entering, leaving, staying outside.
    check("UPDATE t SET n = 3 WHERE id = 1", true, all, &["1,3,'a'"]);
    check(
        "UPDATE t SET n = 0 WHERE id = 4",
        true,
        all,
        &["-changed 4,-,-"],
    );
    check(
        "UPDATE t SET n = NULL WHERE id = 4",
        true,
        all,
        &["-changed 4,-,-"],
    );
    check(
        "UPDATE t SET n = 0 WHERE id < 3; DELETE FROM t WHERE id = 2",
        true,
        all,
        &[],
    );
    check(
        "DELETE FROM t WHERE id > 1",
        true,
        all,
        &["-deleted 3,-,-", "-deleted 4,-,-", "-deleted 5,-,-"],
    );
    check(
        "UPDATE t SET n = 0 WHERE id = 4; UPDATE t SET n = 4 WHERE id = 4",
        true,
        all,
        &[],
    );
}

/// A deterministic stream of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn statement(&mut self) -> String {
        let (id, n, s) = (self.below(12), self.below(9), self.below(3));
        match self.below(8) {
            0 | 1 => format!("INSERT OR IGNORE INTO t VALUES ({id},{n},'{s}')"),
            2 => format!("REPLACE INTO t VALUES ({id},{n},'{s}')"),
            3 => format!("UPDATE t SET n = {n} WHERE id = {id}"),
            4 => format!("UPDATE t SET s = '{s}' WHERE id >= {id}"),
            5 => format!("DELETE FROM t WHERE id = {id}"),
            6 => format!("UPDATE OR REPLACE t SET id = {n} WHERE id = {id}"),
            _ => format!("INSERT INTO t VALUES ({id},{n},'{s}') ON CONFLICT DO UPDATE SET n = {n}"),
        }
    }
}

type Copy = BTreeMap<String, String>;

fn copy_of(served: &Served, query: &Query) -> Copy {
    let mut copy = Copy::new();
    apply(&mut copy, &served.read_all(query, 1000, || {}).0);
    copy
}

/// Applies a page as a client does. No entity may come twice in a round.
fn apply(copy: &mut Copy, lines: &[String]) {
    for line in lines {
        match line.strip_prefix('-') {
            Some(removed) => {
                let (_, row) = removed.split_once(' ').expect("a reason");
                let key = row.split(',').next().expect("a key");
                assert!(
                    copy.remove(key).is_some(),
                    "removed but never there: {line}"
                );
            }
            None => {
                let key = line.split(',').next().expect("a key");
                let before = copy.insert(key.to_owned(), line.clone());
                assert_ne!(before.as_ref(), Some(line), "superfluous");
            }
        }
    }
}

/// After every round a client's copy is the query at the round's snapshot, although other programs write between the pages.
#[test]
fn copies_follow_random_writers() {
    for seed in 0..12 {
        let served = Served::new(SETUP);
        let mut numbers = Numbers(seed);
        let mut plain = served.query("t");
        plain.columns = vec![1];
        let mut filtered = served.query("t");
        filtered.filter = Some(cmp(served.column("t", "n"), Comparison::Lt, int(5)));
        let mut clients: Vec<(Query, Copy, Snapshot)> = [served.query("t"), plain, filtered]
            .into_iter()
            .map(|query| {
                let copy = copy_of(&served, &query);
                let snapshot = snapshot(&served, &query);
                (query, copy, snapshot)
            })
            .collect();
        for _ in 0..40 {
            for _ in 0..numbers.below(6) {
                served.sql(&numbers.statement());
            }
            let (query, copy, lo) = &mut clients[numbers.below(3) as usize];
            let expected = copy_of(&served, query);
            let limit = rows(1 + numbers.below(4));
            let (mut hi, mut after) = (None, None);
            let mut seen = Vec::new();
            loop {
                let (page, now, next) =
                    served.changes(query, lo, hi, after, limit).expect("a page");
                apply(copy, &page.lines);
                seen.extend(page.lines.iter().map(|line| key_of(line)));
                served.sql(&numbers.statement());
                if next.is_none() {
                    *lo = now;
                    break;
                }
                (hi, after) = (Some(now), next);
            }
            assert_eq!(*copy, expected, "seed {seed}");
            let count = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), count, "an entity came twice, seed {seed}");
        }
    }
}

fn key_of(line: &str) -> String {
    let row = line.rsplit_once(' ').map_or(line, |(_, row)| row);
    row.split(',').next().expect("a key").to_owned()
}

#[test]
fn keys_of_every_kind() {
    let served = Served::new(
        "CREATE TABLE n (k TEXT PRIMARY KEY COLLATE NOCASE, v);
         CREATE TABLE c (a TEXT, b INTEGER, v, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE m (k PRIMARY KEY, v);
         INSERT INTO n VALUES ('a',1),('B',2); INSERT INTO c VALUES ('x',1,1); INSERT INTO m VALUES ('1',1),(1,2);",
    );
    let check = |table: &str, statement: &str, expected: &[&str]| {
        let query = served.query(table);
        let lo = snapshot(&served, &query);
        served.sql(statement);
        let (found, _) = served.changes_all(&query, &lo, 1, || {});
        assert_eq!(found, expected, "{statement}");
    };
    // Another case is another key, although the table lets only one of them in.
    check(
        "n",
        "UPDATE n SET k = 'A' WHERE k = 'a'",
        &["'A',1", "-deleted 'a',-"],
    );
    check(
        "n",
        "REPLACE INTO n VALUES ('b', 3)",
        &["-deleted 'B',-", "'b',3"],
    );
    check("c", "UPDATE c SET v = 2", &["'x',1,2"]);
    check(
        "c",
        "UPDATE c SET a = 'y'",
        &["'y',1,2", "-deleted 'x',1,-"],
    );
    check(
        "m",
        "UPDATE m SET v = 9 WHERE typeof(k) = 'integer'",
        &["1,9"],
    );
    check("m", "UPDATE m SET k = 1.0 WHERE k = 1", &["1.0,9"]);
    check("m", "DELETE FROM m", &["-deleted '1',-", "-deleted 1.0,-"]);
}

/// A page looks at a bounded number of records, so it may be empty and still have a successor.
#[test]
fn a_page_examines_a_bounded_number_of_records() {
    let served = Served::new(SETUP);
    let mut query = served.query("t");
    query.filter = Some(cmp(served.column("t", "s"), Comparison::Eq, text("wanted")));
    let lo = snapshot(&served, &query);
    served.sql(
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 25099)
         INSERT INTO t SELECT i, 0, 'other' FROM n;
         INSERT INTO t VALUES (99999, 0, 'wanted')",
    );
    let (mut pages, mut lines) = (0, Vec::new());
    let (mut hi, mut after) = (None, None);
    loop {
        let (page, now, next) = served.changes(&query, &lo, hi, after, rows(10)).unwrap();
        pages += 1;
        lines.extend(page.lines);
        hi = Some(now);
        if next.is_none() {
            break;
        }
        after = next;
    }
    assert_eq!(lines, ["99999,0,'wanted'"]);
    assert_eq!(pages, 3);
}

#[test]
fn a_page_holds_so_many_bytes() {
    let served = Served::new(SETUP);
    let query = served.query("t");
    let lo = snapshot(&served, &query);
    served.sql("UPDATE t SET s = 'long' || s WHERE id < 3");
    let limit = PageLimit { rows: 10, bytes: 1 };
    let (page, hi, next) = served.changes(&query, &lo, None, None, limit).unwrap();
    assert_eq!(page.lines, ["1,1,'longa'"]);
    let (page, _, next) = served.changes(&query, &lo, Some(hi), next, limit).unwrap();
    assert_eq!(page.lines, ["2,2,'longb'"]);
    assert_eq!(next, None, "nothing follows the last page");
}

#[test]
fn links_of_another_past() {
    let served = Served::new(SETUP);
    let query = served.query("t");
    let first = snapshot(&served, &query);
    served.sql("UPDATE t SET n = 0 WHERE id = 1");
    let backup = served.path.with_extension("backup");
    served.sql(&format!("VACUUM INTO '{}'", backup.display()));
    served.sql("UPDATE t SET n = 7 WHERE id = 2");
    let lost = snapshot(&served, &query);
    // Restored as SQLite's shell does it, and continued with as many changes as were lost.
    let mut outside = rusqlite::Connection::open(&served.path).unwrap();
    let old = rusqlite::Connection::open(&backup).unwrap();
    rusqlite::backup::Backup::new(&old, &mut outside)
        .unwrap()
        .run_to_completion(1000, std::time::Duration::ZERO, None)
        .unwrap();
    served.sql("UPDATE t SET n = 8 WHERE id = 2");
    let query = served.query("t");
    let refused = served.changes(&query, &lost, None, None, rows(10));
    assert!(matches!(refused, Err(Error::Gone(Gone::Restored))));
    assert_eq!(
        served
            .store
            .unchanged_since(&served.catalog(), query.table, &lost),
        None
    );
    let (found, _) = served.changes_all(&query, &first, 10, || {});
    assert_eq!(found, ["1,0,'a'", "2,8,'b'"]);
}

#[test]
fn whether_anything_happened() {
    for mode in ["WAL", "DELETE"] {
        let served = Served::new(&format!(
            "PRAGMA journal_mode = {mode}; {SETUP} CREATE TABLE other (id INTEGER PRIMARY KEY);"
        ));
        let query = served.query("t");
        let lo = snapshot(&served, &query);
        let ask = || {
            served
                .store
                .unchanged_since(&served.catalog(), query.table, &lo)
        };
        assert_eq!(ask(), Some(true));
        served.sql("INSERT INTO other VALUES (1)");
        assert_eq!(ask(), None, "the round is empty, but ends later");
        served.sql("UPDATE t SET n = 0 WHERE id = 1");
        assert_eq!(ask(), Some(false));
        let lo = snapshot(&served, &query);
        let catalog = served.catalog();
        served.sql("CREATE TABLE third (id)");
        assert_eq!(
            served.store.unchanged_since(&catalog, query.table, &lo),
            None
        );
        let _ = served.catalog();
        assert_eq!(
            served.store.unchanged_since(&catalog, query.table, &lo),
            None
        );
    }
}

#[test]
fn entity_tags_are_hashes_of_the_whole_row() {
    struct Tags(Vec<u64>);
    impl highwater_core::RowSink for Tags {
        fn begin(&mut self, _: Option<u64>) {}
        fn entity(&mut self, row: &highwater_core::Row<'_>) {
            self.0.push(row.etag.expect("a tag"));
        }
        fn begin_expand(&mut self, _: usize, _: Option<u64>) {}
        fn end_expand(&mut self, _: usize, _: Option<u64>) {}
        fn end_entity(&mut self) {}
        fn removed(&mut self, _: &highwater_core::Row<'_>, _: highwater_core::RemovedReason) {}
        fn bytes(&self) -> usize {
            0
        }
    }
    let served = Served::new(SETUP);
    let tag = |id: i64, columns: &[usize]| {
        let mut query = served.query("t");
        query.columns = columns.to_vec();
        query.etag = true;
        query.filter = Some(cmp(served.column("t", "id"), Comparison::Eq, int(id)));
        let params = highwater_core::store::ReadParams {
            catalog: served.catalog(),
            query: std::sync::Arc::new(query),
            hi: None,
            after: None,
            limit: rows(1),
        };
        let result = served
            .block_on(served.store.read(params, Box::new(Tags(vec![]))))
            .unwrap();
        let sink: Box<dyn std::any::Any> = result.sink;
        sink.downcast::<Tags>().unwrap().0[0]
    };
    let before = tag(1, &[0]);
    assert_eq!(before, tag(1, &[1]), "whatever is selected");
    assert_ne!(before, tag(2, &[0]));
    served.sql("UPDATE t SET s = 'x' WHERE id = 1");
    assert_ne!(before, tag(1, &[0]));
    served.sql("UPDATE t SET s = 'a' WHERE id = 1");
    assert_eq!(before, tag(1, &[0]));
}

#[test]
fn a_filter_means_the_same_at_both_ends() {
    let served = Served::new(
        "CREATE TABLE w (id INTEGER PRIMARY KEY, at DATETIME, name TEXT COLLATE NOCASE);
         INSERT INTO w VALUES (1,'2024-05-01 10:00:00','Abc'),(2,'2024-05-01T12:00:00+02:00','abc'),(3,NULL,NULL);",
    );
    let check = |filter: Expr, statement: &str, expected: &[&str]| {
        let mut query = served.query("w");
        query.filter = Some(filter);
        query.columns = vec![];
        let lo = snapshot(&served, &query);
        served.sql(statement);
        let (found, _) = served.changes_all(&query, &lo, 1, || {});
        assert_eq!(found, expected, "{statement}");
    };
    let name = || cmp(served.column("w", "name"), Comparison::Eq, text("abc"));
    check(
        name(),
        "UPDATE w SET name = 'ABC' WHERE id = 2",
        &["-changed 2,-,-"],
    );
    check(name(), "UPDATE w SET name = 'abc' WHERE id = 1", &["1,-,-"]);
    let at = || {
        let ten = Value::Lexical(
            highwater_odata::PrimitiveType::DateTimeOffset,
            "2024-05-01T10:00:00Z".into(),
        );
        cmp(served.column("w", "at"), Comparison::Eq, Expr::Literal(ten))
    };
    check(
        at(),
        "UPDATE w SET at = '2024-05-01 11:00:00+01:00' WHERE id = 1",
        &[],
    );
    check(
        at(),
        "UPDATE w SET at = '2024-05-01 11:00:00' WHERE id = 1",
        &["-changed 1,-,-"],
    );
    let no_name = || cmp(served.column("w", "name"), Comparison::Ne, text("abc"));
    check(
        no_name(),
        "UPDATE w SET name = NULL WHERE id = 1",
        &["1,-,-"],
    );
}

#[test]
fn two_spellings_of_a_point_in_time_are_two_keys() {
    let served = Served::new(
        "CREATE TABLE d (at DATETIME PRIMARY KEY, v); INSERT INTO d VALUES ('2024-05-01 10:00:00', 1), ('2024-05-01T10:00:00Z', 2);",
    );
    let query = served.query("d");
    let lo = snapshot(&served, &query);
    served.sql(
        "DELETE FROM d WHERE v = 2; UPDATE d SET at = '2024-05-01 10:00' WHERE v = 1; INSERT INTO d VALUES ('2024-05-01 10:00:00Z', 3)",
    );
    let (mut found, _) = served.changes_all(&query, &lo, 10, || {});
    found.sort();
    assert_eq!(
        found,
        [
            "'2024-05-01 10:00',1",
            "'2024-05-01 10:00:00Z',3",
            "-deleted '2024-05-01 10:00:00',-",
            "-deleted '2024-05-01T10:00:00Z',-",
        ]
    );
}

/// A delta link is only given where it can be followed: a round compares two images of a row in one result.
#[test]
fn the_widest_table_that_is_tracked_can_be_followed() {
    let columns = |count| (1..count).map(|i| format!(", c{i}")).collect::<String>();
    let served = Served::new(&format!(
        "CREATE TABLE wide (id INTEGER PRIMARY KEY{}); CREATE TABLE wider (id INTEGER PRIMARY KEY{}); INSERT INTO wide (id) VALUES (1);",
        columns(990),
        columns(991)
    ));
    let mut query = served.query("wide");
    query.columns = (0..990).collect();
    query.etag = true;
    let lo = snapshot(&served, &query);
    served.sql("UPDATE wide SET c989 = 5; INSERT INTO wider (id) VALUES (1)");
    let (found, _) = served.changes_all(&query, &lo, 10, || {});
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(",5"), "{found:?}");
    let catalog = served.catalog();
    let wider = &catalog.tables[catalog.table(None, "wider").unwrap()];
    assert!(!wider.is_tracked());
}
