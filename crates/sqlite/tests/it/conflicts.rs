//! Every conflict clause with every kind of unique key.

use crate::oracle::Oracle;

/// A kind of unique key: the table, and statements (without a verb) that collide with stored rows.
struct Kind {
    name: &'static str,
    schema: &'static str,
    /// Follow `INSERT`, `INSERT OR REPLACE` and so on.
    inserts: &'static [&'static str],
    /// Follow `UPDATE`, `UPDATE OR REPLACE` and so on.
    updates: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "rowid alias",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (-1, 'm'), (1, 'a'), (2, 'b'), (3, 'c');",
        inserts: &[
            "INTO t VALUES (1, 'x')",
            "INTO t VALUES ('2', 'x'), (NULL, 'y'), (3, 'z')",
            "INTO t(v) VALUES ('auto')",
            "INTO t VALUES (-1, 'x')",
            "INTO t(oid, v) VALUES (3, 'oid')",
            "INTO t SELECT id + 1, v FROM t WHERE id > 0 ORDER BY id DESC",
            "INTO t DEFAULT VALUES",
        ],
        updates: &[
            "t SET id = 2 WHERE id = 1",
            "t SET id = id + 1",
            "t SET rowid = 3, v = 'r' WHERE rowid = 1",
            "t SET id = -1 WHERE id = 2",
        ],
    },
    Kind {
        name: "autoincrement",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b');",
        inserts: &[
            "INTO t VALUES (1, 'x')",
            "INTO t(v) VALUES ('a')",
            "INTO t VALUES (1, 'b')",
        ],
        updates: &["t SET v = 'b'", "t SET id = 2, v = 'q' WHERE id = 1"],
    },
    Kind {
        name: "text primary key",
        schema: "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2), ('it''s/%é', 3), (NULL, 4), (NULL, 5);",
        inserts: &[
            "INTO t VALUES ('a', 10)",
            "INTO t VALUES ('it''s/%é', 11), (NULL, 12)",
            "INTO t(rowid, k, v) VALUES (2, 'new', 13)",
            "INTO t(rowid, k, v) VALUES (1, 'b', 13)",
        ],
        updates: &[
            "t SET k = 'b' WHERE k = 'a'",
            "t SET k = NULL WHERE k = 'b'",
            "t SET k = 'was null' WHERE v = 4",
            "t SET rowid = 1 WHERE rowid = 3",
        ],
    },
    Kind {
        name: "text primary key without rowid",
        schema: "CREATE TABLE t(k TEXT PRIMARY KEY, v, u UNIQUE) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1, 1), ('b', 2, 2), ('c', 3, NULL);",
        inserts: &[
            "INTO t VALUES ('a', 10, 9)",
            "INTO t VALUES ('n', 10, 2)",
            "INTO t VALUES ('a', 10, 2)",
            "INTO t VALUES (NULL, 1, 1)",
        ],
        updates: &[
            "t SET k = 'b' WHERE k = 'a'",
            "t SET u = 2 WHERE k = 'c'",
            "t SET k = 'b', u = 1 WHERE k = 'c'",
            "t SET u = 7",
        ],
    },
    Kind {
        name: "composite primary key",
        schema: "CREATE TABLE t(a INT, b TEXT, v, PRIMARY KEY (b, a)); INSERT INTO t VALUES (1, 'a', 1), (1, 'b', 2), (2, 'a', 3), (NULL, 'a', 4);",
        inserts: &[
            "INTO t VALUES (1, 'a', 10)",
            "INTO t VALUES ('1', 'b', 11), (NULL, 'a', 1)",
        ],
        updates: &[
            "t SET a = 1",
            "t SET b = 'a'",
            "t SET a = 1, b = 'b' WHERE v = 3",
        ],
    },
    Kind {
        name: "composite primary key without rowid, strict",
        schema: "CREATE TABLE t(a INT, b ANY, v REAL, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID; INSERT INTO t VALUES (1, 'a', 1), (1, 1, 2), (2, x'61', 3);",
        inserts: &[
            "INTO t VALUES (1, 'a', 10)",
            "INTO t VALUES (1, 1.0, 11)",
            "INTO t VALUES (2, x'61', 0.5)",
            "INTO t VALUES ('x', 1, 1)",
        ],
        updates: &[
            "t SET a = 1, b = 'a' WHERE v = 2",
            "t SET b = 1.0 WHERE v < 3",
            "t SET a = 1",
        ],
    },
    Kind {
        name: "nocase primary key",
        schema: "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('B', 2);",
        inserts: &[
            "INTO t VALUES ('A', 10)",
            "INTO t VALUES ('b', 11)",
            "INTO t VALUES ('B', 11)",
        ],
        updates: &[
            "t SET k = 'A' WHERE v = 1",
            "t SET k = 'b' WHERE k = 'a'",
            "t SET k = upper(k)",
        ],
    },
    Kind {
        name: "rtrim primary key without rowid",
        schema: "CREATE TABLE t(k TEXT COLLATE RTRIM PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1), ('b  ', 2);",
        inserts: &["INTO t VALUES ('a ', 10)", "INTO t VALUES ('b', 11)"],
        updates: &["t SET k = 'a  ' WHERE v = 1", "t SET k = 'b' WHERE k = 'a'"],
    },
    Kind {
        name: "typeless primary key",
        schema: "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1, 'int'), ('1', 'text'), (x'31', 'blob'), (2.5, 'real');",
        inserts: &[
            "INTO t VALUES (1.0, 'x')",
            "INTO t VALUES ('1', 'x')",
            "INTO t VALUES (x'31', 'x'), (2.5, 'y')",
        ],
        updates: &[
            "t SET k = 1.0 WHERE v = 'text'",
            "t SET k = 1.0 WHERE k = 1",
            "t SET k = '1'",
        ],
    },
    Kind {
        name: "unique column",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, w TEXT UNIQUE, v); INSERT INTO t VALUES (1, 1, 'a', 1), (2, 2, 'b', 2), (3, NULL, NULL, 3), (4, NULL, 'd', 4);",
        inserts: &[
            "INTO t VALUES (9, 1, 'z', 0)",
            "INTO t(u, w) VALUES (2, 'a')",
            "INTO t VALUES (3, 1, 'b', 0)",
            "INTO t(u) VALUES (NULL)",
        ],
        updates: &[
            "t SET u = 2 WHERE id = 1",
            "t SET u = 1, w = 'b' WHERE id = 3",
            "t SET u = 5",
            "t SET v = 5",
        ],
    },
    Kind {
        name: "unique column with another collation",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT, w TEXT COLLATE NOCASE); CREATE UNIQUE INDEX i ON t(u COLLATE NOCASE DESC); CREATE UNIQUE INDEX j ON t(w COLLATE BINARY); \
                 INSERT INTO t VALUES (1, 'a', 'a'), (2, 'b', 'A'), (3, 'c', 'c');",
        inserts: &[
            "INTO t VALUES (9, 'A', 'z')",
            "INTO t VALUES (9, 'z', 'A')",
            "INTO t VALUES (3, 'B', 'a')",
        ],
        updates: &[
            "t SET u = 'B' WHERE id = 1",
            "t SET w = 'A' WHERE id = 1",
            "t SET u = upper(u), w = upper(w)",
        ],
    },
    Kind {
        name: "partial index",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, u, active INT); CREATE UNIQUE INDEX i ON t(u) WHERE t.active = 1 AND u <> \"no column\"; \
                 INSERT INTO t VALUES (1, 'a', 1), (2, 'a', 0), (3, 'b', 1), (4, 'b', 0), (5, 'no column', 1), (6, 'no column', 1);",
        inserts: &[
            "INTO t VALUES (9, 'a', 1)",
            "INTO t VALUES (9, 'a', 0)",
            "INTO t VALUES (1, 'b', 1)",
            "INTO t VALUES (8, 'no column', 1)",
        ],
        updates: &[
            "t SET active = 1 WHERE id = 2",
            "t SET active = 1",
            "t SET u = 'b' WHERE id = 1",
        ],
    },
    Kind {
        name: "expression index",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, \"b c\" INT, d); CREATE UNIQUE INDEX i ON t(lower(a), /* ) */ (\"b c\" % 10) DESC) ; CREATE UNIQUE INDEX j ON t(twice(d)) WHERE [b c] > 5; \
                 INSERT INTO t VALUES (1, 'A', 1, 'x'), (2, 'b', 12, 'y'), (3, 'C', 13, 'z');",
        inserts: &[
            "INTO t VALUES (9, 'a', 21, 'q')",
            "INTO t VALUES (9, 'q', 6, 'y')",
            "INTO t VALUES (3, 'B', 2, 'q')",
            "INTO t(a) VALUES (NULL)",
        ],
        updates: &[
            "t SET a = 'B', \"b c\" = 2 WHERE id = 1",
            "t SET d = 'z', \"b c\" = 7 WHERE id = 1",
            "t SET a = upper(a)",
        ],
    },
    Kind {
        name: "expression index with a collation and a table of an awkward name",
        schema: "CREATE TABLE \"OLD\"(\"new\" INTEGER PRIMARY KEY, r TEXT, version TEXT); CREATE TABLE t(x INTEGER PRIMARY KEY); \
                 CREATE UNIQUE INDEX i ON \"OLD\"(substr(r, 2) COLLATE NOCASE, version || '''\"') WHERE \"OLD\".\"new\" > 0; INSERT INTO \"OLD\" VALUES (1, 'xa', '1'), (2, 'xb', '1');",
        inserts: &[
            "INTO \"OLD\" VALUES (9, 'yA', '1')",
            "INTO \"OLD\" VALUES (1, 'zB', '1')",
        ],
        updates: &["\"OLD\" SET r = 'qB' WHERE \"new\" = 1"],
    },
    Kind {
        name: "not null with defaults",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT abc UNIQUE, w INT NOT NULL DEFAULT 5, x REAL NOT NULL DEFAULT 3, \
                 g AS (w * 2) UNIQUE); CREATE UNIQUE INDEX i ON t(x + 1); INSERT INTO t VALUES (1, 'abc', 5, 3), (2, 'b', 6, 4), (3, 'c', 7, 5);",
        inserts: &[
            "INTO t VALUES (9, NULL, 8, 8)",
            "INTO t VALUES (9, 'z', NULL, 9)",
            "INTO t VALUES (9, 'y', 9, NULL)",
            "INTO t VALUES (2, NULL, NULL, NULL)",
        ],
        updates: &[
            "t SET u = NULL WHERE id = 2",
            "t SET w = NULL WHERE id = 2",
            "t SET x = NULL WHERE id = 3",
            "t SET w = 7 WHERE id = 1",
        ],
    },
    Kind {
        name: "not null key with defaults",
        schema: "CREATE TABLE t(k TEXT NOT NULL DEFAULT 'd' PRIMARY KEY, n INT NOT NULL DEFAULT (1+1), v); INSERT INTO t VALUES ('d', 1, 1), ('e', 2, 2), ('f', 3, 3);",
        inserts: &[
            "INTO t VALUES (NULL, 9, 9)",
            "INTO t(n) VALUES (7)",
            "INTO t VALUES ('e', NULL, 0)",
        ],
        updates: &["t SET k = NULL WHERE v = 2", "t SET n = NULL"],
    },
    Kind {
        name: "unique index as the key",
        schema: "CREATE TABLE t(a TEXT NOT NULL, b INT NOT NULL, v UNIQUE, UNIQUE (a, b)); INSERT INTO t VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, NULL);",
        inserts: &[
            "INTO t VALUES ('a', 1, 10)",
            "INTO t VALUES ('c', 1, 2)",
            "INTO t(rowid, a, b) VALUES (1, 'q', 1)",
            "INTO t(_rowid_, a, b, v) VALUES (2, 'a', 1, NULL)",
        ],
        updates: &[
            "t SET b = 1 WHERE b = 2",
            "t SET v = 1",
            "t SET rowid = 3 WHERE rowid = 1",
        ],
    },
    Kind {
        name: "all names of the rowid are columns",
        schema: "CREATE TABLE t(rowid TEXT PRIMARY KEY, oid INT UNIQUE, _rowid_ INT); INSERT INTO t VALUES ('a', 1, 1), ('b', 2, 2);",
        inserts: &["INTO t VALUES ('a', 7, 7)", "INTO t VALUES ('c', 1, 7)"],
        updates: &["t SET rowid = 'b' WHERE oid = 1", "t SET oid = 2"],
    },
    Kind {
        name: "a column named rowid",
        schema: "CREATE TABLE t(rowid TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2);",
        inserts: &[
            "INTO t(oid, rowid, v) VALUES (1, 'n', 7)",
            "INTO t VALUES ('a', 7)",
        ],
        updates: &["t SET oid = 2 WHERE rowid = 'a'", "t SET rowid = 'b'"],
    },
    Kind {
        name: "declared conflict clauses",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, u UNIQUE ON CONFLICT REPLACE, w UNIQUE ON CONFLICT IGNORE, n NOT NULL ON CONFLICT REPLACE DEFAULT 1 UNIQUE ON CONFLICT REPLACE); \
                 INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3);",
        inserts: &[
            "INTO t VALUES (1, 9, 9, 9)",
            "INTO t VALUES (9, 1, 9, 9)",
            "INTO t VALUES (9, 9, 1, 9)",
            "INTO t VALUES (9, 9, 9, NULL)",
            "INTO t VALUES (1, 2, 9, 3)",
        ],
        updates: &[
            "t SET id = 2 WHERE id = 1",
            "t SET u = 2 WHERE id = 1",
            "t SET w = 2 WHERE id = 1",
            "t SET n = NULL WHERE id = 3",
        ],
    },
    Kind {
        name: "generated columns",
        schema: "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INT, g TEXT AS (a || '-' || b) STORED UNIQUE, h AS (b + 1) VIRTUAL, k TEXT AS (lower(a))); \
                 CREATE UNIQUE INDEX i ON t(h); CREATE UNIQUE INDEX j ON t(k || 'x'); INSERT INTO t(id, a, b) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', NULL);",
        inserts: &[
            "INTO t(id, a, b) VALUES (9, 'a', 1)",
            "INTO t(a, b) VALUES ('z', 2)",
            "INTO t(a, b) VALUES ('B', 17)",
            "INTO t(id, a, b) VALUES (3, 'A', 2)",
        ],
        updates: &[
            "t SET b = 2 WHERE id = 1",
            "t SET a = 'B' WHERE id = 1",
            "t SET a = 'b', b = 2 WHERE id = 3",
            "t SET a = upper(a)",
        ],
    },
    Kind {
        name: "generated column as the key",
        schema: "CREATE TABLE t(a TEXT NOT NULL DEFAULT 'z', b INT, g TEXT NOT NULL AS (a || coalesce(b, '')) UNIQUE); INSERT INTO t(a, b) VALUES ('a', 1), ('b', 2), ('z', NULL);",
        inserts: &[
            "INTO t(a, b) VALUES ('a', 1)",
            "INTO t(a, b) VALUES (NULL, NULL)",
            "INTO t(a, b) VALUES ('b', NULL)",
        ],
        updates: &[
            "t SET b = 2",
            "t SET a = 'b', b = 2 WHERE g = 'a1'",
            "t SET a = NULL WHERE g = 'b2'",
            "t SET b = NULL",
        ],
    },
    Kind {
        name: "an index over a constant",
        schema: "CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE UNIQUE INDEX i ON t((1 + 1)); INSERT INTO t VALUES ('a', 1);",
        inserts: &["INTO t VALUES ('b', 2)", "INTO t VALUES ('a', 2)"],
        updates: &["t SET v = 3", "t SET k = 'c'"],
    },
    Kind {
        name: "random default of the key",
        schema: "CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL DEFAULT (hex(randomblob(8))), u UNIQUE); INSERT INTO t VALUES ('a', 1), ('b', 2);",
        inserts: &["INTO t VALUES ('a', 2)"],
        updates: &["t SET k = 'b', u = 9 WHERE k = 'a'"],
    },
];

const CLAUSES: &[&str] = &[
    "",
    " OR REPLACE",
    " OR IGNORE",
    " OR ABORT",
    " OR FAIL",
    " OR ROLLBACK",
];

#[test]
fn every_clause_with_every_key() {
    for kind in KINDS {
        for clause in CLAUSES {
            for recursive in [false, true] {
                one_by_one(kind, clause, recursive);
                all_together(kind, clause, recursive);
            }
        }
    }
}

fn setup(kind: &Kind, recursive: bool) -> String {
    format!("PRAGMA recursive_triggers = {recursive}; {}", kind.schema)
}

fn statements<'a>(kind: &'a Kind, clause: &'a str) -> impl Iterator<Item = String> + 'a {
    let inserts = kind
        .inserts
        .iter()
        .map(move |rest| format!("INSERT{clause} {rest}"));
    inserts.chain(
        kind.updates
            .iter()
            .map(move |rest| format!("UPDATE{clause} {rest}")),
    )
}

/// Each statement on a fresh database.
fn one_by_one(kind: &Kind, clause: &str, recursive: bool) {
    for statement in statements(kind, clause) {
        let mut oracle = Oracle::new(kind.name, &setup(kind, recursive));
        oracle.run(&statement);
        oracle.verify();
    }
}

/// All statements one after the other, then backwards in one transaction with savepoints.
fn all_together(kind: &Kind, clause: &str, recursive: bool) {
    let mut oracle = Oracle::new(kind.name, &setup(kind, recursive));
    for statement in statements(kind, clause) {
        oracle.run(&statement);
    }
    let mut backwards: Vec<_> = statements(kind, clause).collect();
    backwards.reverse();
    oracle.run("BEGIN");
    for (i, statement) in backwards.iter().enumerate() {
        // ROLLBACK ends the transaction.
        if i % 3 == 0 {
            oracle.run("SAVEPOINT s");
        }
        oracle.run(statement);
        if i % 3 == 2 {
            oracle.run(if i % 2 == 0 {
                "ROLLBACK TO s; RELEASE s"
            } else {
                "RELEASE s"
            });
        }
    }
    if !oracle.database.is_autocommit() {
        oracle.run("COMMIT");
    }
    oracle.verify();
}
