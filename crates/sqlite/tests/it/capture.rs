//! What every kind of statement leaves in the history. See [`crate::oracle`] for what is demanded of each case.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::oracle::{Oracle, check};

const ITEMS: &str = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, price NUMERIC, raw BLOB, any); \
     INSERT INTO item VALUES (1, 'Ant', 1.5, x'00ff', 1), (2, 'Bee', '7', NULL, 'two'), (3, 'Cat', 'cheap', x'', 3.0);";

#[test]
fn plain_statements() {
    check(
        "insert, update, delete",
        ITEMS,
        &[
            "INSERT INTO item VALUES (4, 'Dog', 4, NULL, NULL)",
            "INSERT INTO item(name) VALUES ('Eel'), ('Fox'), ('Gnu')",
            "INSERT INTO item(name, price) SELECT name || '!', price * 2 FROM item",
            "UPDATE item SET name = upper(name)",
            "UPDATE item SET name = name",
            "UPDATE item SET price = '12', any = price WHERE id < 3",
            "UPDATE item SET any = 1.0 WHERE id = 1",
            "UPDATE item SET any = x'31' WHERE id = 1",
            "UPDATE item SET id = id + 100 WHERE id > 5",
            "UPDATE item SET id = -id",
            "DELETE FROM item WHERE id % 2 = 0",
            "INSERT INTO item(id) VALUES (9223372036854775807), (-9223372036854775808)",
            "DELETE FROM item WHERE id > 1000",
            "INSERT INTO item DEFAULT VALUES",
            "DELETE FROM item",
            "INSERT INTO item(name) VALUES ('again')",
            "DELETE FROM item WHERE 0",
        ],
    );
    check(
        "update from, returning, limits of a subquery",
        ITEMS,
        &[
            "UPDATE item SET name = o.name || item.id FROM item AS o WHERE o.id = item.id + 1",
            "INSERT INTO item(name) VALUES ('r') RETURNING id, name",
            "UPDATE item SET price = 0 WHERE id = 2 RETURNING *",
            "DELETE FROM item WHERE id IN (SELECT max(id) FROM item) RETURNING id",
            "WITH c(n) AS (VALUES (10) UNION ALL SELECT n + 1 FROM c WHERE n < 30) INSERT INTO item(id) SELECT n FROM c",
            "UPDATE item SET id = id + 1000 WHERE id IN (SELECT id FROM item ORDER BY id LIMIT 4)",
            "REPLACE INTO item SELECT * FROM item ORDER BY id DESC",
        ],
    );
    check(
        "transactions and savepoints",
        ITEMS,
        &[
            "BEGIN; INSERT INTO item(id) VALUES (4); UPDATE item SET name = 'x' WHERE id = 4; DELETE FROM item WHERE id = 4; COMMIT",
            "BEGIN; DELETE FROM item WHERE id = 1; INSERT INTO item VALUES (1, 'back', 0, NULL, NULL); COMMIT",
            "BEGIN; UPDATE item SET name = 'lost'; ROLLBACK",
            "BEGIN IMMEDIATE; INSERT INTO item(id) VALUES (5); SAVEPOINT a; DELETE FROM item; SAVEPOINT b; INSERT INTO item(id) VALUES (6); ROLLBACK TO a; INSERT INTO item(id) VALUES (7); RELEASE a; COMMIT",
            "BEGIN; UPDATE item SET id = 50 WHERE id = 1; UPDATE item SET id = 51 WHERE id = 50; UPDATE item SET id = 1 WHERE id = 51; COMMIT",
            "BEGIN; UPDATE item SET id = 60 WHERE id = 2; INSERT INTO item(id) VALUES (2); COMMIT",
            "SAVEPOINT s; DELETE FROM item WHERE id = 3; RELEASE s",
        ],
    );
}

#[test]
fn upserts() {
    check(
        "on conflict",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT UNIQUE, n INT DEFAULT 0); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2);",
        &[
            "INSERT INTO t(k) VALUES ('a') ON CONFLICT DO NOTHING",
            "INSERT INTO t(k) VALUES ('a'), ('c'), ('c') ON CONFLICT (k) DO UPDATE SET n = n + 1",
            "INSERT INTO t(id, k) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET id = 10, k = excluded.k || n",
            "INSERT INTO t(id, k) VALUES (2, 'c') ON CONFLICT (id) DO UPDATE SET n = 99 WHERE n > 1000",
            "INSERT INTO t(id, k) VALUES (2, 'c') ON CONFLICT (id) DO UPDATE SET k = 'zz'",
            "INSERT INTO t(id, k) VALUES (2, 'c') ON CONFLICT (id) DO UPDATE SET k = 'c'",
            "INSERT OR REPLACE INTO t(id, k) VALUES (2, 'c') ON CONFLICT (id) DO UPDATE SET k = 'c'",
            "INSERT OR REPLACE INTO t(id, k) VALUES (77, 'c') ON CONFLICT (id) DO NOTHING",
            "INSERT INTO t SELECT id, k || 'x', 5 FROM t WHERE true ON CONFLICT (id) DO UPDATE SET k = excluded.k",
            "INSERT INTO t(id, k) VALUES (2, 'q') ON CONFLICT (k) DO NOTHING ON CONFLICT (id) DO UPDATE SET n = 7",
        ],
    );
    check(
        "on conflict of a text key",
        "CREATE TABLE t(k TEXT PRIMARY KEY, n) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b', 2);",
        &[
            "INSERT INTO t VALUES ('a', 1), ('n', 2) ON CONFLICT (k) DO UPDATE SET n = n + excluded.n",
            "INSERT INTO t VALUES ('a', 1) ON CONFLICT (k) DO UPDATE SET k = 'A'",
            "INSERT INTO t VALUES ('b', 1) ON CONFLICT (k) DO UPDATE SET k = 'n'",
        ],
    );
}

const FAMILY: &str = "CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE); \
     CREATE TABLE child(id INTEGER PRIMARY KEY, p INT REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, \
        n INT DEFAULT 1 REFERENCES parent ON DELETE SET NULL ON UPDATE SET NULL, \
        d INT DEFAULT 1 REFERENCES parent ON DELETE SET DEFAULT ON UPDATE SET DEFAULT, \
        c TEXT REFERENCES parent(code) ON DELETE CASCADE ON UPDATE CASCADE); \
     CREATE TABLE tree(id TEXT PRIMARY KEY, up TEXT REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE); \
     CREATE TABLE leaf(up TEXT PRIMARY KEY REFERENCES tree ON UPDATE CASCADE ON DELETE CASCADE, v) WITHOUT ROWID; \
     INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'); \
     INSERT INTO child VALUES (1, 2, 2, 2, 'b'), (2, 2, 3, 3, 'c'), (3, 4, 3, 2, 'a'), (4, NULL, 4, 4, NULL); \
     INSERT INTO tree VALUES ('root', 'root'), ('x', 'root'), ('y', 'x'), ('z', 'y'); INSERT INTO leaf VALUES ('z', 1), ('y', 2);";

#[test]
fn foreign_key_actions() {
    for recursive in [false, true] {
        let setup =
            format!("PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = {recursive}; {FAMILY}");
        for case in [
            &["DELETE FROM parent WHERE id = 2"][..],
            &[
                "UPDATE parent SET id = 20 WHERE id = 2",
                "UPDATE parent SET code = code || '!'",
            ],
            &["DELETE FROM parent WHERE id > 1"],
            &[
                "REPLACE INTO parent VALUES (2, 'b')",
                "REPLACE INTO parent VALUES (9, 'c')",
            ],
            &["UPDATE OR REPLACE parent SET code = 'b' WHERE id = 3"],
            &[
                "UPDATE tree SET id = 'new' WHERE id = 'root'",
                "UPDATE tree SET id = id || '2'",
            ],
            &[
                "UPDATE tree SET id = 'w' WHERE id = 'y'",
                "DELETE FROM tree WHERE id = 'x'",
            ],
            &["DELETE FROM tree WHERE id = 'root'"],
            &[
                "REPLACE INTO tree VALUES ('x', NULL)",
                "REPLACE INTO tree VALUES ('root', 'root')",
            ],
            &[
                "BEGIN",
                "PRAGMA defer_foreign_keys = ON",
                "DELETE FROM parent WHERE id = 1",
                "INSERT INTO parent VALUES (1, 'back')",
                "COMMIT",
            ],
            &["DELETE FROM parent WHERE id = 1"],
        ] {
            check("foreign keys", &setup, case);
        }
    }
    // With `recursive_triggers` on, SQLite refuses this statement as soon as the table has any delete trigger.
    check(
        "replaced by its own parent",
        &format!("PRAGMA foreign_keys = ON; {FAMILY}"),
        &["UPDATE OR REPLACE tree SET id = 'y' WHERE id = 'x'"],
    );
    check(
        "foreign keys off",
        &format!("PRAGMA foreign_keys = OFF; {FAMILY}"),
        &["DELETE FROM parent", "DELETE FROM tree WHERE id = 'x'"],
    );
}

/// Triggers of the application: they change the row that fired them, other rows, and refuse or ignore statements.
#[test]
fn triggers_of_the_application() {
    let tables = "CREATE TABLE t(id INTEGER PRIMARY KEY, v, n INT DEFAULT 0); CREATE TABLE k(a TEXT, b INT, v, PRIMARY KEY (a, b)); \
        CREATE TABLE audit(id INTEGER PRIMARY KEY, what); \
        INSERT INTO t(id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO k VALUES ('a', 1, 1), ('b', 2, 2);";
    let statements = [
        "INSERT INTO t(v) VALUES ('new')",
        "INSERT INTO t(id, v) VALUES (10, 'ten'), (11, 'eleven')",
        "INSERT OR REPLACE INTO t(id, v) VALUES (1, 'replaced')",
        "INSERT OR IGNORE INTO t(id, v) VALUES (1, 'ignored'), (12, 'twelve')",
        "UPDATE t SET v = v || '!'",
        "UPDATE t SET id = id + 100 WHERE id < 3",
        "INSERT INTO k VALUES ('n', 9, 9)",
        "INSERT OR REPLACE INTO k VALUES ('a', 1, 7)",
        "UPDATE k SET a = a || 'x'",
        "UPDATE k SET v = 0",
        "DELETE FROM t WHERE id > 11",
        "DELETE FROM k",
        "DELETE FROM t",
    ];
    for trigger in [
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END;",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET v = v WHERE id = NEW.id; END;",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET id = id + 50 WHERE id = NEW.id; END;",
        "CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.n = 0 BEGIN DELETE FROM t WHERE id = NEW.id; INSERT INTO t VALUES (NEW.id, NEW.v, 1); END;",
        "CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.id < 200 BEGIN INSERT INTO t(id, v) VALUES (NEW.id + 200, 'twin'); END;",
        "CREATE TRIGGER x BEFORE INSERT ON t WHEN NEW.v <> 'first' BEGIN INSERT INTO t(v) VALUES ('first'); END;",
        "CREATE TRIGGER x BEFORE INSERT ON t BEGIN INSERT INTO audit(id, what) SELECT coalesce(max(id), 0) + 7, NEW.v FROM audit; END;",
        "CREATE TRIGGER x BEFORE INSERT ON t BEGIN UPDATE t SET n = n + 1; DELETE FROM t WHERE id = 2; END;",
        "CREATE TRIGGER x BEFORE INSERT ON t WHEN NEW.id = 12 BEGIN SELECT raise(IGNORE); END;",
        "CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.id = 11 BEGIN SELECT raise(IGNORE); END;",
        "CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.id = 11 BEGIN SELECT raise(FAIL, 'no eleven'); END;",
        "CREATE TRIGGER x AFTER UPDATE ON t WHEN NEW.n < 3 BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END;",
        "CREATE TRIGGER x AFTER UPDATE OF id ON t BEGIN UPDATE t SET v = 'moved' WHERE id = NEW.id; INSERT INTO t(id) VALUES (OLD.id); END;",
        "CREATE TRIGGER x BEFORE UPDATE ON t BEGIN UPDATE t SET n = 5 WHERE id = OLD.id + 1; DELETE FROM k; END;",
        "CREATE TRIGGER x AFTER UPDATE ON k BEGIN INSERT INTO k VALUES (OLD.a, OLD.b, 'ghost'); END;",
        "CREATE TRIGGER x AFTER UPDATE ON k BEGIN UPDATE k SET v = 'after' WHERE a = NEW.a AND b = NEW.b; END;",
        "CREATE TRIGGER x AFTER INSERT ON k BEGIN UPDATE k SET a = upper(a) WHERE a = NEW.a AND b = NEW.b; END;",
        "CREATE TRIGGER x BEFORE DELETE ON t BEGIN INSERT INTO audit(what) VALUES (OLD.v); UPDATE t SET v = 'doomed' WHERE id = OLD.id; END;",
        "CREATE TRIGGER x AFTER DELETE ON t WHEN OLD.id < 1000 BEGIN INSERT INTO t(id, v) VALUES (OLD.id + 1000, 'reborn'); END;",
        "CREATE VIEW w AS SELECT * FROM t; CREATE TRIGGER x INSTEAD OF DELETE ON w BEGIN DELETE FROM t WHERE id = OLD.id; END; CREATE TRIGGER y AFTER INSERT ON t WHEN NEW.id > 10 BEGIN DELETE FROM w WHERE id = NEW.id; END;",
    ] {
        for recursive in [false, true] {
            let setup = format!("PRAGMA recursive_triggers = {recursive}; {tables} {trigger}");
            check(trigger, &setup, &statements);
        }
    }
}

/// SQLite fires the youngest trigger first; this is what makes a trigger that was created after ours a reason to begin anew.
#[test]
fn the_youngest_trigger_fires_first() {
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch(
            "CREATE TABLE t(a); CREATE TABLE log(who); \
             CREATE TRIGGER older AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('older'); END; \
             CREATE TRIGGER younger AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('younger'); END; \
             INSERT INTO t VALUES (1);",
        )
        .unwrap();
    let order: String = database
        .query_row("SELECT group_concat(who) FROM log", [], |row| row.get(0))
        .unwrap();
    assert_eq!(order, "younger,older");
}

/// A key expression in `VALUES` is computed twice, and the triggers see the other value. Where a row may have vanished unseen, the
/// horizon moves and the links before it end; where the key was announced, nothing of the kind happens.
#[test]
fn keys_that_the_triggers_cannot_foresee() {
    let setup = "CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 9) INSERT INTO t SELECT i, i FROM n;";
    let mut oracle = Oracle::new("unforeseen", setup);
    for sql in [
        "INSERT INTO t(v) VALUES ('auto')",
        "INSERT INTO t VALUES (NULL, 'auto')",
        "INSERT OR IGNORE INTO t VALUES (5, 'ignored')",
        "INSERT INTO t(v) VALUES ('auto')",
        "INSERT INTO t VALUES (-1, 'explicit')",
        "INSERT OR REPLACE INTO t VALUES (-1, 'explicit')",
        "INSERT INTO t(v) VALUES ('auto')",
        "INSERT OR IGNORE INTO t VALUES (5, 'ignored'), (NULL, 'auto'), (5, 'ignored')",
        "INSERT INTO t(v) SELECT 'auto'",
        "INSERT OR REPLACE INTO t VALUES (abs(-3), 'stable'), (4, 'stable')",
        "INSERT INTO t VALUES ((SELECT max(id) + 1 FROM t), 'stable')",
        "DELETE FROM t WHERE id = 5",
        "INSERT OR IGNORE INTO t SELECT NULL, v FROM t",
    ] {
        oracle.run(sql);
        oracle.verify();
        assert_eq!(oracle.horizon("t"), 0, "{sql}");
    }

    let oracle = Oracle::new("unforeseen", setup);
    let calls = AtomicI64::new(7);
    oracle
        .database
        .create_scalar_function("next_number", 0, FunctionFlags::SQLITE_UTF8, move |_| {
            Ok(calls.fetch_add(1, Ordering::Relaxed) + 1)
        })
        .unwrap();
    // The trigger sees 8, the table stores 9.
    oracle
        .database
        .execute(
            "INSERT OR REPLACE INTO t VALUES (next_number(), 'random')",
            [],
        )
        .unwrap();
    let replaced: String = oracle
        .database
        .query_row("SELECT v FROM t WHERE id = 9", [], |row| row.get(0))
        .unwrap();
    assert_eq!(replaced, "random");
    assert!(
        oracle.horizon("t") > 0,
        "the row 9 vanished unseen, so older links must end"
    );
}

/// `REPLACE` puts a default in the place of `NULL`, and this one is another whenever it is computed.
#[test]
fn a_random_default_of_the_key() {
    for options in ["", "WITHOUT ROWID"] {
        let setup = format!(
            "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL DEFAULT (hex(randomblob(8))), u UNIQUE) {options}; INSERT INTO t VALUES ('a', 1), ('b', 2);"
        );
        let mut oracle = Oracle::new("random default", &setup);
        oracle.leave_twin();
        for sql in [
            "INSERT OR REPLACE INTO t VALUES (NULL, 1)",
            "INSERT INTO t(u) VALUES (5), (6)",
            "UPDATE OR REPLACE t SET k = NULL WHERE u = 2",
            "UPDATE OR REPLACE t SET k = NULL, u = u + 1",
            "UPDATE OR REPLACE t SET k = NULL, u = 6",
        ] {
            oracle.run(sql);
        }
        oracle.verify();
    }
}

#[test]
fn attached_and_vacuumed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a 'file'.db");
    let mut oracle = Oracle::on("attached", ITEMS, Connection::open(&path).unwrap());
    let other = Connection::open_in_memory().unwrap();
    other
        .execute_batch(
            "CREATE TABLE item(id, note); CREATE TABLE highwater_clock(version); INSERT INTO highwater_clock VALUES (1000);",
        )
        .unwrap();
    other
        .execute("ATTACH ?1 AS side", [path.to_str().unwrap()])
        .unwrap();
    for sql in [
        "INSERT INTO side.item(name) VALUES ('from outside')",
        "REPLACE INTO side.item(id, name) VALUES (1, 'from outside')",
        "UPDATE side.item SET name = 'u' WHERE id = 2",
        "DELETE FROM side.item WHERE id = 3",
        "BEGIN; INSERT INTO item VALUES (1, 'own'); INSERT INTO side.item(id) VALUES (99); COMMIT",
    ] {
        other.execute_batch(sql).unwrap();
        // The twin gets the same, in its own name space.
        oracle
            .twin()
            .execute_batch(
                &sql.replace("INSERT INTO item VALUES (1, 'own');", "")
                    .replace("side.", ""),
            )
            .unwrap();
        oracle.remember();
    }
    other.execute_batch("DETACH side").unwrap();
    for sql in [
        "VACUUM",
        "UPDATE item SET name = 'after vacuum'",
        "PRAGMA journal_mode = WAL",
        "DELETE FROM item",
    ] {
        oracle.run(sql);
    }
    oracle.verify();
    assert!(oracle.versions() > 5);
}

#[test]
fn awkward_names() {
    check(
        "awkward names",
        "CREATE TABLE \"select \"\"from\"\" 'x'; --\"(\"group\" TEXT PRIMARY KEY, [order by] INT UNIQUE, `wéird\"col` REAL, \"NEW\" INT, version, present, nonce, c0, k, r); \
         CREATE UNIQUE INDEX \"in\"\"dex\" ON \"select \"\"from\"\" 'x'; --\"(\"NEW\" + 1, version, `wéird\"col`); \
         INSERT INTO \"select \"\"from\"\" 'x'; --\" VALUES ('a', 1, 1, 1, 1, 1, 1, 1, 1, 1), ('b', 2, 2, 2, 2, 2, 2, 2, 2, 2);",
        &[
            "INSERT OR REPLACE INTO \"select \"\"from\"\" 'x'; --\"(\"group\", [order by]) VALUES ('c', 1)",
            "INSERT OR REPLACE INTO \"select \"\"from\"\" 'x'; --\"(\"group\", \"NEW\", version, `wéird\"col`) VALUES ('d', 2, 2, 2)",
            "UPDATE OR REPLACE \"select \"\"from\"\" 'x'; --\" SET \"NEW\" = 5, \"group\" = 'e', version = 2",
            "DELETE FROM \"select \"\"from\"\" 'x'; --\"",
        ],
    );
}

/// More columns than the 32 that SQLite tracks one by one in a trigger.
#[test]
fn many_columns() {
    let columns: Vec<_> = (0..70).map(|i| format!("x{i} INT DEFAULT {i}")).collect();
    let setup = format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, {}, g AS (x0 + x68) UNIQUE); INSERT INTO t(id) VALUES (1); INSERT INTO t(id, x0) VALUES (2, 5);",
        columns.join(", ")
    );
    check(
        "many columns",
        &setup,
        &[
            "UPDATE t SET x3 = 7 WHERE id = 1",
            "UPDATE OR REPLACE t SET x0 = 5 WHERE id = 1",
            "INSERT OR REPLACE INTO t(id, x0) VALUES (3, 5)",
            "UPDATE t SET x69 = 'last'",
            "DELETE FROM t",
        ],
    );
}
