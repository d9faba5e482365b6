//! From schemas to catalogs.

use highwater_core::{Catalog, Tracking};
use highwater_odata::PrimitiveType;
use highwater_sqlite::facts::{Affinity, Loaded};
use highwater_sqlite::introspect;
use rusqlite::Connection;

fn load(schema: &str) -> Loaded {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(schema).unwrap();
    introspect::load(&database).unwrap()
}

/// One line a table: name, columns with marks (`?` nullable, `=` computed, `+` has a default), key, relations.
fn describe(catalog: &Catalog) -> Vec<String> {
    let describe = |table: &highwater_core::Table| {
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|c| {
                let marks = [(c.nullable, '?'), (c.computed, '='), (c.has_default, '+')];
                let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, m)| m).collect();
                let scale = c.scale.map(|s| format!("({s})")).unwrap_or_default();
                format!("{}:{}{scale}{marks}", c.name, c.ty.short_name())
            })
            .collect();
        let key: Vec<_> = table
            .key
            .iter()
            .map(|k| table.columns[*k].name.as_str())
            .collect();
        let relations: Vec<_> = table
            .relations
            .iter()
            .map(|r| {
                let target = &catalog.tables[r.target];
                let pairs: Vec<_> = r
                    .columns
                    .iter()
                    .map(|(own, theirs)| {
                        format!(
                            "{}={}",
                            table.columns[*own].name, target.columns[*theirs].name
                        )
                    })
                    .collect();
                let inverse = &target.relations[r.inverse];
                assert_eq!(catalog.tables[inverse.target].name, table.name);
                assert_ne!(inverse.owns_key, r.owns_key);
                let arrow = match (r.owns_key, r.many) {
                    (true, _) => "->",
                    (false, true) => "<<",
                    (false, false) => "<-",
                };
                format!("{arrow}{}({})", target.name, pairs.join(","))
            })
            .collect();
        format!(
            "{} [{}] key({}) {}",
            table.name,
            columns.join(" "),
            key.join(","),
            relations.join(" ")
        )
        .trim_end()
        .to_owned()
    };
    catalog.tables.iter().map(describe).collect()
}

#[test]
fn catalogs() {
    let check = |schema: &str, expected: &[&str]| {
        let found = describe(&load(schema).catalog);
        assert_eq!(found, expected, "{schema}\n{found:#?}");
    };
    check(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT NOT NULL, b NUMERIC(10,2) DEFAULT 1, c, d AS (a || 'x'), e INT AS (1) STORED NOT NULL)",
        &[
            "t [id:Int64+ a:String b:Decimal(2)?+ c:PrimitiveType? d:PrimitiveType?= e:Int64=] key(id)",
        ],
    );
    check(
        "CREATE TABLE \"a \"\"b\"(\"select\" TEXT, [x y] INT, `q``q` DATE, 'ü' UUID, PRIMARY KEY (`q``q`, \"select\"))",
        &["a \"b [select:String x y:Int64? q`q:Date ü:Guid?] key(q`q,select)"],
    );
    check(
        "CREATE TABLE k1(k PRIMARY KEY); CREATE TABLE k2(k REAL PRIMARY KEY); CREATE TABLE k3(k DECIMAL PRIMARY KEY, v ANY); CREATE TABLE k4(k ANY PRIMARY KEY, v ANY) STRICT; \
         CREATE TABLE k5(k FOO PRIMARY KEY) WITHOUT ROWID; CREATE TABLE k6(k INTEGER PRIMARY KEY DESC); CREATE TABLE k7(k INT PRIMARY KEY); CREATE TABLE k8(k DATETIME PRIMARY KEY, v TIMESTAMP);",
        &[
            "k1 [k:String] key(k)",
            "k2 [k:Decimal] key(k)",
            "k3 [k:Decimal v:PrimitiveType?] key(k)",
            "k4 [k:String v:PrimitiveType?] key(k)",
            "k5 [k:Int64] key(k)",
            "k6 [k:Int64] key(k)",
            "k7 [k:Int64] key(k)",
            "k8 [k:String v:DateTimeOffset?] key(k)",
        ],
    );
    check(
        "CREATE TABLE u1(a NOT NULL, b TEXT NOT NULL UNIQUE, c NOT NULL, UNIQUE (a, c)); CREATE TABLE u2(a UNIQUE, b TEXT); CREATE TABLE u3(a NOT NULL); CREATE UNIQUE INDEX i ON u3(a) WHERE a > 1; \
         CREATE TABLE u4(a NOT NULL, b NOT NULL); CREATE UNIQUE INDEX j ON u4(lower(a)); CREATE UNIQUE INDEX k ON u4(b, a);",
        &[
            "u1 [a:PrimitiveType b:String c:PrimitiveType] key(b)",
            "u2 [a:PrimitiveType? b:String?] key()",
            "u3 [a:PrimitiveType] key()",
            "u4 [a:String b:String] key(b,a)",
        ],
    );
    check(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n NUMERIC, s TEXT); CREATE VIEW v AS SELECT id, n, s || 'x' AS e, 1.5 AS r, count(*) FROM t; CREATE VIEW w(x) AS SELECT id FROM t",
        &[
            "t [id:Int64+ n:Decimal? s:String?] key(id)",
            "v [id:Int64? n:Decimal? e:PrimitiveType? r:PrimitiveType? count(*):PrimitiveType?] key()",
            "w [x:Int64?] key()",
        ],
    );
}

#[test]
fn relations() {
    let check = |schema: &str, expected: &[&str]| {
        let found = describe(&load(schema).catalog);
        let relations: Vec<_> = found
            .iter()
            .map(|line| line.split_once(')').unwrap().1.trim_start())
            .collect();
        assert_eq!(relations, expected, "{schema}\n{found:#?}");
    };
    check(
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES P, q REFERENCES p(id), one UNIQUE REFERENCES p)",
        &[
            "->p(p=id) ->p(q=id) ->p(one=id)",
            "<<c(id=p) <<c(id=q) <-c(id=one)",
        ],
    );
    check(
        "CREATE TABLE tree(id TEXT PRIMARY KEY, up REFERENCES tree, left REFERENCES tree(ID))",
        &["->tree(up=id) <<tree(id=up) ->tree(left=id) <<tree(id=left)"],
    );
    check(
        "CREATE TABLE p(a, b, c UNIQUE, PRIMARY KEY (a, b)); CREATE TABLE c(x, y, z REFERENCES p(c), FOREIGN KEY (y, x) REFERENCES p, FOREIGN KEY (x, y) REFERENCES p(b, a))",
        &[
            "->p(z=c) ->p(y=a,x=b) ->p(x=b,y=a)",
            "<<c(c=z) <<c(a=y,b=x) <<c(b=x,a=y)",
        ],
    );
    // All of these lead nowhere: no such table, no such column, a view, not unique, the wrong number of columns.
    check(
        "CREATE TABLE p(a, b, PRIMARY KEY (a, b)); CREATE VIEW v AS SELECT a FROM p; CREATE TABLE q(n); \
         CREATE TABLE c(a REFERENCES nowhere, b REFERENCES p(nowhere), c REFERENCES v(a), d REFERENCES p(a), e REFERENCES p, f REFERENCES q, g REFERENCES q(n))",
        &["", "", "", ""],
    );
    check(
        "CREATE TABLE one(id INTEGER PRIMARY KEY REFERENCES two); CREATE TABLE two(id INTEGER PRIMARY KEY REFERENCES one)",
        &["->two(id=id) <-two(id=id)", "<-one(id=id) ->one(id=id)"],
    );
}

/// One damaged object hides no other.
#[test]
fn damaged_and_foreign_objects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let application = Connection::open(&path).unwrap();
    application
        .create_collation("mine", |a, b| a.cmp(b))
        .unwrap();
    application
        .create_scalar_function(
            "mine",
            1,
            rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC
                | rusqlite::functions::FunctionFlags::SQLITE_UTF8,
            |context| context.get::<String>(0),
        )
        .unwrap();
    application
        .execute_batch(
            "CREATE TABLE good(id INTEGER PRIMARY KEY, c TEXT COLLATE mine); INSERT INTO good VALUES (1, 'x'); \
             CREATE TABLE bad_key(k TEXT COLLATE mine PRIMARY KEY, v); \
             CREATE TABLE bad_column(id INTEGER PRIMARY KEY, v, g AS (mine(v))); \
             CREATE TABLE bad_index(id INTEGER PRIMARY KEY, v TEXT); CREATE UNIQUE INDEX i ON bad_index(mine(v)); \
             CREATE TABLE gone(x); CREATE VIEW bad_view AS SELECT * FROM gone; CREATE VIEW good_view AS SELECT id FROM good; DROP TABLE gone; \
             CREATE VIEW bad_function AS SELECT mine(c) FROM good; \
             CREATE VIRTUAL TABLE search USING fts5(text); CREATE TABLE highwater_meta(x); CREATE TABLE highwater_history_3(x); CREATE TABLE highwater_history_x(x);",
        )
        .unwrap();
    let database = Connection::open(&path).unwrap();
    let catalog = introspect::load(&database).unwrap().catalog;
    let names: Vec<_> = catalog.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "bad_index",
            "bad_key",
            "good",
            "good_view",
            "highwater_history_x",
            "search"
        ]
    );
    let reason = |name: &str| {
        let tracking = &catalog.tables[catalog.table(None, name).unwrap()].tracking;
        tracking.obstacle().unwrap()
    };
    for (table, expected) in [
        (
            "bad_key",
            "The key uses the collation \"mine\", which only the application that created the table knows; give the key a built-in collation to have the table tracked.",
        ),
        (
            "good",
            "Tracking is not switched on; `highwater serve` or `highwater track` begins it.",
        ),
        (
            "good_view",
            "A view cannot be tracked, because its rows have no identity; track the tables behind it.",
        ),
        (
            "highwater_history_x",
            "The table has no primary key and no unique index over columns that are NOT NULL; add one of them to have it tracked.",
        ),
        (
            "search",
            "A virtual table cannot be tracked, because SQLite does not allow triggers on it.",
        ),
    ] {
        assert_eq!(reason(table), expected);
    }
}

#[test]
fn keys_that_are_not_understood() {
    for (schema, expected) in [
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a, g INT AS (a + 1)); CREATE UNIQUE INDEX i ON t(g + 1);",
            "The index \"i\" is part of a unique key in a form that Highwater does not understand, so rows that REPLACE removes could be missed; simplify or drop the key to have the table tracked.",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, u NOT NULL DEFAULT (abs(random()) % 7) UNIQUE)",
            "The column \"u\" is part of a unique key and has a default that is not the same each time, so rows that REPLACE removes could be missed; change the default to have the table tracked.",
        ),
    ] {
        let catalog = load(schema).catalog;
        assert_eq!(
            catalog.tables[0].tracking,
            Tracking::Untracked {
                reason: expected.to_owned()
            }
        );
        assert_eq!(catalog.tables[0].key, [0], "it can still be read by key");
    }
}

#[test]
fn facts() {
    let loaded = load(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE NOT NULL, c REAL, d, rowid); \
         CREATE TABLE b(k TEXT COLLATE NOCASE, l INT NOT NULL, PRIMARY KEY (l, k COLLATE RTRIM)); \
         CREATE TABLE c(k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID; CREATE VIEW d AS SELECT * FROM a",
    );
    let [a, b, c, d] = &loaded.tables[..] else {
        panic!()
    };
    assert_eq!(
        (a.rowid_alias, a.rowid_name, a.without_rowid, a.strict),
        (Some(0), Some("_rowid_"), false, false)
    );
    assert_eq!((b.rowid_alias, b.rowid_name), (None, Some("rowid")));
    assert_eq!(
        (c.rowid_alias, c.rowid_name, c.without_rowid, c.strict),
        (None, None, true, true)
    );
    assert_eq!((d.rowid_name, d.is_virtual), (None, false));
    let affinities: Vec<_> = a.columns.iter().map(|c| c.affinity).collect();
    assert_eq!(
        affinities,
        [
            Affinity::Integer,
            Affinity::Text,
            Affinity::Real,
            Affinity::Blob,
            Affinity::Blob
        ]
    );
    assert_eq!(a.columns[1].collation, "NOCASE");
    assert!(a.columns[0].not_null && a.columns[1].not_null && !a.columns[2].not_null);
    assert_eq!(c.columns[1].affinity, Affinity::Blob);
    let keys: Vec<_> = b
        .key
        .iter()
        .map(|k| (k.collation.as_str(), k.nullable))
        .collect();
    assert_eq!(keys, [("BINARY", false), ("RTRIM", true)]);
    assert!(!a.key[0].nullable && !c.key[0].nullable);
}

#[test]
fn the_version_is_that_of_the_schema() {
    let database = Connection::open_in_memory().unwrap();
    database
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        .unwrap();
    let first = introspect::load(&database).unwrap().catalog.version;
    database.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(introspect::load(&database).unwrap().catalog.version, first);
    database
        .execute_batch("ALTER TABLE t ADD COLUMN x")
        .unwrap();
    assert_ne!(introspect::load(&database).unwrap().catalog.version, first);
    // Inside a transaction of the caller, too.
    database
        .execute_batch("BEGIN; CREATE TABLE u(id INTEGER PRIMARY KEY)")
        .unwrap();
    assert_eq!(introspect::load(&database).unwrap().catalog.tables.len(), 2);
    database.execute_batch("ROLLBACK").unwrap();
    let any = PrimitiveType::Any;
    assert_eq!(
        introspect::load(&database).unwrap().catalog.tables[0].columns[1].ty,
        any
    );
}
