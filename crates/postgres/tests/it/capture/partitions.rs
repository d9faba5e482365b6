//! Partitions that come and go under a tracked table.

use highwater_core::tracking::Ensured;

use super::oracle::{Oracle, track};

const ROOT: &str = "CREATE TABLE t(id int PRIMARY KEY, v text, n int) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); \
    INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 9) AS i;";

/// What happens before the service looks again, and whether links live on.
fn check(changes: &str, is_kept: bool) {
    eprintln!("{changes}");
    let mut oracle = Oracle::new(ROOT);
    if !oracle.knows(changes) {
        return;
    }
    oracle.run("UPDATE t SET v = 'changed' WHERE id = 1");
    for change in changes.split(";; ") {
        oracle
            .session
            .run(change)
            .unwrap_or_else(|e| panic!("{change}: {e}"));
    }
    let ensured = track(&oracle.database);
    assert_eq!(
        ensured.tracked.is_empty() && ensured.renewed.is_empty(),
        is_kept,
        "{changes}: {ensured:?}"
    );
    assert_eq!(track(&oracle.database), Ensured::default(), "{changes}");
    oracle.survey();
    oracle.remember(changes);
    let rows = "SELECT count(*) FROM highwater.tracked_table WHERE table_name = 't' AND layout = highwater.layout(relation)";
    assert_eq!(
        oracle.session.run(rows).unwrap().rows[0][0].as_deref(),
        Some("1")
    );
    for write in [
        "INSERT INTO t SELECT i, 'n' || i, i FROM generate_series(0, 29) AS i ON CONFLICT DO NOTHING",
        "UPDATE t SET v = v || '!' WHERE id % 3 = 0",
        "UPDATE t SET id = id + 10 WHERE id IN (SELECT id FROM t EXCEPT SELECT id - 10 FROM t) AND id < 20",
        "DELETE FROM t WHERE id % 4 = 0",
        "TRUNCATE t1",
        "TRUNCATE t",
    ] {
        // There may be no partition for it.
        oracle.try_run(write);
    }
    let verified = oracle.verify();
    assert!(!is_kept || verified.void == 0, "{changes}: {verified:?}");
}

#[test]
fn partitions_that_come() {
    for (changes, is_kept) in [
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40)",
            true,
        ),
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40);; INSERT INTO t VALUES (10, 'x'), (11, 'y')",
            true,
        ),
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40);; INSERT INTO t2 VALUES (10, 'x');; TRUNCATE t2;; UPDATE t SET id = 15 WHERE id = 2",
            true,
        ),
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40);; BEGIN; INSERT INTO t VALUES (10, 'x'); UPDATE t SET v = 'y' WHERE id = 10; COMMIT",
            true,
        ),
        // It cannot be told whether the row was there before.
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40);; INSERT INTO t VALUES (10, 'x');; UPDATE t SET v = 'y' WHERE id = 10",
            false,
        ),
        (
            "CREATE TABLE t2(v text, n int, id int NOT NULL);; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40)",
            true,
        ),
        (
            "CREATE TABLE t2(v text, n int, id int NOT NULL);; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40);; INSERT INTO t VALUES (10, 'x')",
            false,
        ),
        (
            "BEGIN; CREATE TABLE t2(v text, n int, id int NOT NULL); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); COMMIT;; INSERT INTO t VALUES (10, 'x')",
            true,
        ),
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (10, 'loaded');; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40)",
            false,
        ),
        (
            "BEGIN; CREATE TABLE t2(id int NOT NULL, v text, n int); INSERT INTO t2 VALUES (10, 'loaded'); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); COMMIT",
            false,
        ),
        (
            "BEGIN; CREATE TABLE t2(id int NOT NULL, v text, n int); INSERT INTO t2 VALUES (10, 'loaded'); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); COMMIT;; DELETE FROM t WHERE id = 10",
            false,
        ),
        (
            "BEGIN; CREATE TABLE t2(id int NOT NULL, v text, n int); INSERT INTO t2 VALUES (10, 'loaded'); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); COMMIT;; UPDATE t SET v = 'x' WHERE id = 10",
            false,
        ),
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (10, 'loaded');; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40);; TRUNCATE t2",
            true,
        ),
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (10, 'loaded');; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40);; TRUNCATE t",
            false,
        ),
        // A partition for a while, which nobody changed meanwhile.
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (10, 'loaded');; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40);; ALTER TABLE t DETACH PARTITION t2;; DROP TABLE t2",
            true,
        ),
        // Rows that move out of a partition into one that is attached later.
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int);; WITH d AS (DELETE FROM t WHERE id = 3 RETURNING *) INSERT INTO t2 SELECT id + 10, v, n FROM d;; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40)",
            false,
        ),
        (
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (40) PARTITION BY RANGE (id);; CREATE TABLE t21 PARTITION OF t2 FOR VALUES FROM (10) TO (20);; CREATE TABLE t22 PARTITION OF t2 DEFAULT;; INSERT INTO t VALUES (12, 'x')",
            true,
        ),
        (
            "CREATE TABLE t2(id int NOT NULL, v text, n int) PARTITION BY RANGE (id);; CREATE TABLE t21 PARTITION OF t2 FOR VALUES FROM (10) TO (20);; INSERT INTO t2 VALUES (12, 'loaded');; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40)",
            false,
        ),
    ] {
        check(changes, is_kept);
    }
}

#[test]
fn partitions_that_go() {
    for changes in [
        "DROP TABLE t1",
        "ALTER TABLE t DETACH PARTITION t1",
        "ALTER TABLE t DETACH PARTITION t1;; DELETE FROM t1 WHERE id < 5;; ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE t DETACH PARTITION t1 CONCURRENTLY",
        "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (15, 'x', 1);; BEGIN; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); DELETE FROM t WHERE id = 15; ALTER TABLE t DETACH PARTITION t2; COMMIT",
        "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (15, 'x', 1);; BEGIN; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); TRUNCATE t; ALTER TABLE t DETACH PARTITION t2; COMMIT",
        "CREATE TABLE t2(id int NOT NULL, v text, n int);; INSERT INTO t2 VALUES (15, 'x', 1);; BEGIN; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (40); DELETE FROM t WHERE id = 15; ALTER TABLE t DETACH PARTITION t2; CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (10) TO (40); INSERT INTO t VALUES (15, 'x', 1); COMMIT",
        "ALTER TABLE t1 DISABLE TRIGGER ALL;; UPDATE t SET v = 'x'",
        "ALTER TABLE t1 DISABLE TRIGGER ALL;; UPDATE t SET v = 'x';; ALTER TABLE t1 ENABLE ALWAYS TRIGGER highwater_row_1",
    ] {
        check(changes, false);
    }
}

/// Statements on the root, on partitions of every level, and between them.
/// A table that was tracked on its own becomes a partition, as one that is loaded first and attached then.
#[test]
fn a_tracked_table_becomes_a_partition() {
    let mut oracle = Oracle::new(ROOT);
    oracle
        .session
        .run("CREATE TABLE t2 (LIKE t INCLUDING ALL); INSERT INTO t2 VALUES (10, 'x', 10); ALTER TABLE t DETACH PARTITION t1")
        .unwrap();
    track(&oracle.database);
    oracle
        .session
        .run("UPDATE t2 SET v = 'y'; DELETE FROM t1 WHERE id = 1")
        .unwrap();
    for step in [
        "ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (10)",
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (10) TO (20)",
        "UPDATE t SET v = 'both'",
        "TRUNCATE t2",
    ] {
        oracle
            .session
            .run(step)
            .unwrap_or_else(|e| panic!("{step}: {e}"));
    }
    track(&oracle.database);
    assert_eq!(track(&oracle.database), Ensured::default());
    oracle.survey();
    oracle.remember("attached");
    oracle.try_run("UPDATE t SET v = v || '!' WHERE id % 3 = 0");
    oracle.try_run("TRUNCATE t1");
    assert_eq!(oracle.verify().void, 0);
}

#[test]
fn rows_that_move() {
    let mut oracle = Oracle::new(
        "CREATE TABLE t(id int, k text, v text, n numeric, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
         CREATE TABLE a PARTITION OF t FOR VALUES IN ('a');
         CREATE TABLE b(n numeric, gone int, v text, k text NOT NULL, id int NOT NULL); ALTER TABLE b DROP gone; ALTER TABLE t ATTACH PARTITION b FOR VALUES IN ('b');
         CREATE TABLE r PARTITION OF t DEFAULT PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100); CREATE TABLE r2 PARTITION OF r DEFAULT;
         INSERT INTO t SELECT i, chr(97 + i % 4), 'v', i * 1.10 FROM generate_series(1, 20) AS i;",
    );
    for sql in [
        "UPDATE t SET k = 'b', v = 'to b' WHERE k = 'a' AND id < 12",
        "UPDATE t SET k = 'a' WHERE k = 'b' AND id % 3 = 0",
        "UPDATE t SET k = 'z', id = id + 200 WHERE id IN (1, 2, 3, 4)",
        "UPDATE b SET v = 'direct', n = NULL",
        "INSERT INTO b VALUES (1.0, 'direct', 'b', 50)",
        "INSERT INTO t VALUES (50, 'b', 'x', 2), (51, 'b', 'y', 3) ON CONFLICT (id, k) DO UPDATE SET v = 'conflict'",
        "MERGE INTO t USING (VALUES (50), (51), (52)) AS s(i) ON id = s.i WHEN MATCHED AND i = 50 THEN DELETE WHEN MATCHED THEN UPDATE SET k = 'a' WHEN NOT MATCHED THEN INSERT VALUES (s.i, 'b')",
        "DELETE FROM r WHERE id > 200",
        "BEGIN; UPDATE t SET k = 'a' WHERE k = 'b'; SAVEPOINT s; UPDATE t SET k = 'b' WHERE k = 'a'; RELEASE s; DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'b', 'back', 5); COMMIT",
        "TRUNCATE b",
        "TRUNCATE r",
        "INSERT INTO t SELECT i, chr(97 + i % 4), 'v', i * 1.10 FROM generate_series(1, 20) AS i ON CONFLICT DO NOTHING",
        "TRUNCATE t",
    ] {
        oracle.run(sql);
    }
    let verified = oracle.verify();
    assert_eq!(verified.void, 0, "{verified:?}");
}

/// The first version that does not lock the root itself to truncate a partition.
const FREE_OF_ROOT_SINCE: u32 = 14;

/// To truncate a partition on its own, nobody needs its root or other partitions, which others may have locked.
#[test]
fn a_partition_is_truncated_while_everything_around_it_is_locked() {
    let mut oracle = Oracle::new(&format!(
        "{ROOT} CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20); INSERT INTO t VALUES (10, 'other', 10)"
    ));
    let locked = match oracle.database.cluster().binaries().version().unwrap() {
        FREE_OF_ROOT_SINCE.. => "ONLY t, t2",
        _ => "t2",
    };
    let mut other = oracle.database.session().unwrap();
    other.run(&format!("BEGIN; LOCK TABLE {locked}")).unwrap();
    oracle
        .session
        .run("SET lock_timeout = '2s'; TRUNCATE t1; SET lock_timeout = 0")
        .unwrap();
    other.run("COMMIT").unwrap();
    let verified = oracle.verify();
    assert_eq!(verified.void, 0, "{verified:?}");
}
