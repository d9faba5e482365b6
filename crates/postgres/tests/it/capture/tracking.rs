//! Tracking begins, survives what the application does to its tables, and ends without a trace.

use highwater_core::tracking::{Ensured, Policy};
use highwater_throwaway::{Cluster, Database};

use super::oracle::{Oracle, run, track};

const LEFT: &str = "SELECT nspname::text FROM pg_namespace WHERE nspname = 'highwater' \
    UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'highwater%' \
    UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'highwater%' OR pronamespace = to_regnamespace('highwater') \
    UNION ALL SELECT defaclobjtype::text FROM pg_default_acl";

fn database(setup: &str) -> Database<'static> {
    let database = Cluster::shared().database().unwrap();
    database
        .sql(setup)
        .unwrap_or_else(|e| panic!("{setup}\n{e}"));
    database
}

fn ensure(database: &Database<'_>, policy: &Policy) -> Result<Ensured, String> {
    run(highwater_postgres::admin::track(&database.url(), policy)).map_err(|e| e.to_string())
}

fn untrack(database: &Database<'_>, tables: Option<&[&str]>) -> Result<Vec<String>, String> {
    let tables: Option<Vec<String>> =
        tables.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
    run(highwater_postgres::admin::untrack(
        &database.url(),
        tables.as_deref(),
    ))
    .map_err(|e| e.to_string())
}

/// `tracked | renewed | forgotten`
fn told(ensured: &Ensured) -> String {
    let list = |names: &[String]| names.join(" ");
    format!(
        "{} | {} | {}",
        list(&ensured.tracked),
        list(&ensured.renewed),
        list(&ensured.forgotten)
    )
}

#[test]
fn tracking_begins_by_policy_and_ends_without_a_trace() {
    let database = database(
        "CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE u(v text); CREATE SCHEMA s;
         CREATE TABLE s.p(id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k); CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (10);
         CREATE UNLOGGED TABLE w(id int UNIQUE NOT NULL)",
    );
    let only = |names: &[&str]| Policy::Only(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(
        told(&ensure(&database, &only(&["s.p"])).unwrap()),
        "s.p |  | "
    );
    assert_eq!(
        told(&ensure(&database, &Policy::Except(vec!["w".into()])).unwrap()),
        "t |  | "
    );
    assert_eq!(
        told(&ensure(&database, &only(&["public.w"])).unwrap()),
        "w |  | "
    );
    assert_eq!(ensure(&database, &Policy::All).unwrap(), Ensured::default());
    for (name, expected) in [
        (
            "nothing",
            "There is no table nothing (tables outside of the schema public are named schema.table); the database has t, u, w, s.p.",
        ),
        (
            "u",
            "u cannot be tracked. It has no primary key, and no unique index over columns that are NOT NULL; add one, for example with `ALTER TABLE \"u\" ADD PRIMARY KEY (…)`.",
        ),
    ] {
        let mut words: Vec<_> = ensure(&database, &only(&[name]))
            .unwrap_err()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let mut expected: Vec<_> = expected.split_whitespace().map(str::to_owned).collect();
        for words in [&mut words, &mut expected] {
            words
                .iter_mut()
                .for_each(|w| *w = w.trim_end_matches([',', '.']).to_owned());
            words.sort();
        }
        assert_eq!(words, expected);
    }
    assert_eq!(untrack(&database, Some(&["t"])).unwrap(), ["t"]);
    assert_eq!(
        untrack(&database, Some(&["t"])).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(untrack(&database, None).unwrap(), ["s.p", "w"]);
    assert_eq!(
        database.sql(LEFT).unwrap(),
        Vec::<Vec<Option<String>>>::new()
    );
    assert_eq!(untrack(&database, None).unwrap(), Vec::<String>::new());
    // Without a table to track, there is nothing of Highwater.
    database.sql("DROP TABLE t, w, s.p").unwrap();
    assert_eq!(ensure(&database, &Policy::All).unwrap(), Ensured::default());
    assert_eq!(
        database.sql(LEFT).unwrap(),
        Vec::<Vec<Option<String>>>::new()
    );
}

struct Change {
    ddl: &'static str,
    /// What ensuring says afterwards.
    told: &'static str,
}

const fn change(ddl: &'static str, told: &'static str) -> Change {
    Change { ddl, told }
}

/// The application changes its tables, writes to them before anybody notices, and nothing goes wrong or is lost.
#[test]
fn changes_of_the_schema() {
    const RENEWED: &str = " | t | ";
    const NOTHING: &str = " |  | ";
    let changes = [
        change("ALTER TABLE t ADD x int DEFAULT 5", RENEWED),
        change("ALTER TABLE t DROP v", RENEWED),
        change("ALTER TABLE t RENAME v TO w", RENEWED),
        change("ALTER TABLE t RENAME id TO ident", RENEWED),
        change(
            "ALTER TABLE t RENAME id TO x;; INSERT INTO t VALUES (77);; ALTER TABLE t RENAME x TO id",
            RENEWED,
        ),
        change("ALTER TABLE t ALTER v TYPE varchar(20)", RENEWED),
        change("ALTER TABLE t ALTER id TYPE bigint", RENEWED),
        change("ALTER TABLE t ALTER v TYPE text USING v || '!'", RENEWED),
        change(
            "ALTER TABLE t ADD n int;; ALTER TABLE t DROP id CASCADE;; ALTER TABLE t RENAME n TO id;; UPDATE t SET id = right(v, 1)::int + 100;; ALTER TABLE t ADD PRIMARY KEY (id)",
            RENEWED,
        ),
        change(
            "ALTER TABLE t DROP CONSTRAINT t_pkey;; INSERT INTO t VALUES (1, 'twice')",
            " |  | t",
        ),
        change(
            "ALTER TABLE t DROP CONSTRAINT t_pkey;; INSERT INTO t VALUES (1, 'twice');; DELETE FROM t WHERE v = 'twice';; ALTER TABLE t ADD PRIMARY KEY (id)",
            RENEWED,
        ),
        change(
            "ALTER TABLE t DROP CONSTRAINT t_pkey;; ALTER TABLE t ADD PRIMARY KEY (id) DEFERRABLE",
            " |  | t",
        ),
        change("ALTER TABLE t RENAME TO t2", " | t2 | "),
        change("CREATE SCHEMA s;; ALTER TABLE t SET SCHEMA s", " | s.t | "),
        change("DROP TABLE t", " |  | t"),
        change(
            "DROP TABLE t;; CREATE TABLE t(id int PRIMARY KEY, v text)",
            RENEWED,
        ),
        change(
            "ALTER TABLE t RENAME TO gone;; CREATE TABLE t(id int PRIMARY KEY, v text)",
            "t | gone | ",
        ),
        change("ALTER TABLE t SET UNLOGGED", RENEWED),
        change("CREATE TABLE child() INHERITS (t)", RENEWED),
        change(
            "BEGIN; CREATE TABLE child() INHERITS (t); INSERT INTO child VALUES (77); DELETE FROM t WHERE id = 77; INSERT INTO t VALUES (77); DROP TABLE child; COMMIT",
            RENEWED,
        ),
        change(
            "CREATE TABLE parent(id int NOT NULL, v text);; ALTER TABLE t INHERIT parent",
            RENEWED,
        ),
        change(
            "CREATE TABLE root(id int PRIMARY KEY, v text) PARTITION BY RANGE (id);; ALTER TABLE root ATTACH PARTITION t DEFAULT",
            "root |  | t",
        ),
        change(
            "ALTER TABLE t DISABLE TRIGGER ALL;; INSERT INTO t VALUES (50);; ALTER TABLE t ENABLE TRIGGER ALL",
            RENEWED,
        ),
        change("ALTER TABLE t DISABLE TRIGGER highwater_row", RENEWED),
        change("DROP TRIGGER highwater_update ON t", RENEWED),
        change("DROP FUNCTION highwater.row_1() CASCADE", RENEWED),
        change(
            "ALTER TABLE t ADD up int REFERENCES t ON DELETE CASCADE",
            RENEWED,
        ),
        // Statements of other languages are captured in another way.
        change(
            "CREATE LANGUAGE other HANDLER plpgsql_call_handler",
            RENEWED,
        ),
        change(
            "CREATE INDEX ON t(v);; ANALYZE t;; COMMENT ON TABLE t IS 'x';; GRANT SELECT ON t TO public;; CREATE VIEW w AS SELECT * FROM t",
            NOTHING,
        ),
        change("VACUUM FULL t", NOTHING),
        change("CLUSTER t USING t_pkey", NOTHING),
        change("REINDEX TABLE t", NOTHING),
        change("REINDEX TABLE CONCURRENTLY t", NOTHING),
        change(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;; CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
            NOTHING,
        ),
        change(
            "ALTER TABLE t ADD CHECK (id > -1000);; ALTER TABLE t REPLICA IDENTITY FULL;; ALTER TABLE t SET (fillfactor = 50)",
            NOTHING,
        ),
    ];
    let mut failures = Vec::new();
    for Change {
        ddl,
        told: expected,
    } in changes
    {
        eprintln!("{ddl}");
        let mut oracle = Oracle::new(
            "CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 9) AS i",
        );
        for statement in ddl.split(";; ") {
            if let Err(e) = oracle.session.run(statement) {
                panic!("{statement} of {ddl}: {e}");
            }
        }
        // Whatever became of the table, it can be written.
        let name = if expected.contains("t2") {
            "t2"
        } else if expected.contains("s.t") {
            "s.t"
        } else {
            "t"
        };
        let exists = format!("SELECT to_regclass('{name}') IS NOT NULL");
        if oracle.session.run(&exists).unwrap().rows[0][0].as_deref() == Some("t") {
            let key = oracle
                .session
                .run(&format!("SELECT * FROM {name} LIMIT 0"))
                .unwrap();
            assert_eq!(key.rows.len(), 0);
            for write in [
                format!("INSERT INTO {name} VALUES (100), (101), (102)"),
                format!("DELETE FROM {name}"),
                format!("TRUNCATE {name}"),
                format!("INSERT INTO {name} VALUES (1), (2)"),
            ] {
                if !(ddl.contains("DROP id") && write.starts_with("INSERT")) {
                    oracle
                        .session
                        .run(&write)
                        .unwrap_or_else(|e| panic!("{ddl}: {write}: {e}"));
                }
            }
        }
        let found = told(&track(&oracle.database));
        if found != expected {
            failures.push(format!("{ddl}: {found} instead of {expected}"));
        }
        assert_eq!(track(&oracle.database), Ensured::default(), "{ddl}");
        let mut again = Oracle::of(oracle.database);
        if again.session.run(&exists).unwrap().rows[0][0].as_deref() == Some("t")
            && !ddl.contains("DROP id")
        {
            again.run(&format!("INSERT INTO {name} VALUES (100), (101), (102)"));
            again.run(&format!(
                "DELETE FROM {name} WHERE ctid = (SELECT min(ctid) FROM {name})"
            ));
        }
        again.verify();
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Since this version, the expression of a generated column can be changed, also that of a partition.
const EXPRESSIONS_SINCE: u32 = 17;

/// The index of a constraint may be built anew at any time, also beside others, and by a look in the middle.
#[test]
fn indexes_that_are_built_anew() {
    let database = database("CREATE TABLE t(id int PRIMARY KEY, v int UNIQUE)");
    track(&database);
    database.sql("REINDEX INDEX CONCURRENTLY t_pkey").unwrap();
    assert_eq!(told(&track(&database)), " |  | ");
    // What is left of one that was interrupted.
    database
        .sql("CREATE UNIQUE INDEX t_pkey_ccnew ON t(id); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_pkey_ccnew'::regclass")
        .unwrap();
    assert_eq!(told(&track(&database)), " |  | ");
    database.sql("CREATE UNIQUE INDEX ON t(v, id)").unwrap();
    assert_eq!(told(&track(&database)), " | t | ");
}

/// Links end when a table is inherited from for the first time, and never again for that.
#[test]
fn children_that_come_and_go() {
    let database = database("CREATE TABLE t(id int PRIMARY KEY)");
    track(&database);
    // Then nothing is left of them to be seen.
    for write in [
        "DELETE FROM t WHERE id = 7",
        "UPDATE t SET id = 8 WHERE id = 7",
    ] {
        database
            .sql(&format!(
                "BEGIN; CREATE TABLE child() INHERITS (t); INSERT INTO child VALUES (7); {write}; INSERT INTO t VALUES (7); DROP TABLE child; ANALYZE t; COMMIT"
            ))
            .unwrap();
        assert_eq!(told(&track(&database)), " |  | ", "{write}");
        let lost = database
            .sql("DELETE FROM t; DELETE FROM highwater.lost RETURNING id")
            .unwrap();
        assert_eq!(lost.len(), 1, "{write}");
    }
    database
        .sql("CREATE TABLE child() INHERITS (t); DROP TABLE child")
        .unwrap();
    assert_eq!(told(&track(&database)), " | t | ");
    for harmless in [
        "ANALYZE t",
        "CREATE TABLE child() INHERITS (t)",
        "INSERT INTO child VALUES (1); DELETE FROM t",
        "DROP TABLE child",
    ] {
        database.sql(harmless).unwrap();
        assert_eq!(told(&track(&database)), " |  | ", "{harmless}");
    }
}

/// The application's own triggers stay, whatever they are called.
#[test]
fn triggers_with_names_like_ours() {
    let database = database(
        "CREATE TABLE t(id int PRIMARY KEY); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER highwater_mine AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    );
    track(&database);
    database.sql("ALTER TABLE t ADD v text").unwrap();
    track(&database);
    untrack(&database, None).unwrap();
    let rows = database
        .sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
        .unwrap();
    assert_eq!(rows, [[Some("highwater_mine".to_owned())]]);
}

#[test]
fn types_of_the_application() {
    for (setup, ddl, expected) in [
        (
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t(id int PRIMARY KEY, m mood[])",
            "ALTER TYPE mood RENAME VALUE 'a' TO 'c'",
            " | t | ",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN d AS mood; CREATE TABLE t(id int PRIMARY KEY, m d)",
            "ALTER DOMAIN d ADD CHECK (value <> 'a')",
            " | t | ",
        ),
        (
            "CREATE TYPE pair AS (a int, b text); CREATE TABLE t(id int PRIMARY KEY, m pair)",
            "ALTER TYPE pair RENAME ATTRIBUTE a TO c CASCADE",
            " | t | ",
        ),
        (
            "CREATE TYPE pair AS (a int, b text); CREATE TABLE t(id int PRIMARY KEY)",
            "ALTER TYPE pair RENAME ATTRIBUTE a TO c CASCADE",
            " |  | ",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t(id int PRIMARY KEY, m mood)",
            "BEGIN; ALTER TYPE mood RENAME VALUE 'a' TO 'c'; ALTER TYPE mood RENAME VALUE 'c' TO 'a'; COMMIT",
            " | t | ",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN d AS mood; CREATE TABLE t(id int PRIMARY KEY, m d)",
            "CREATE FUNCTION f(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$; CREATE CAST (mood AS text) WITH FUNCTION f(mood)",
            " | t | ",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t(id mood PRIMARY KEY)",
            "CREATE FUNCTION f(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$; CREATE CAST (mood AS text) WITH FUNCTION f(mood)",
            " |  | t",
        ),
        (
            "CREATE TABLE t(id int PRIMARY KEY)",
            "CREATE FUNCTION f(t) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$; CREATE CAST (t AS text) WITH FUNCTION f(t)",
            " |  | t",
        ),
        (
            "CREATE TABLE t(id int PRIMARY KEY); CREATE TYPE mood AS ENUM ('a', 'b')",
            "CREATE FUNCTION f(mood) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$; CREATE CAST (mood AS text) WITH FUNCTION f(mood)",
            " |  | ",
        ),
        (
            "CREATE TABLE t(id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t DEFAULT",
            "ALTER TABLE t1 ALTER COLUMN g SET EXPRESSION AS (id + 2)",
            " | t | ",
        ),
    ] {
        let database = database(setup);
        if ddl.contains("SET EXPRESSION")
            && database.cluster().binaries().version().unwrap() < EXPRESSIONS_SINCE
        {
            continue;
        }
        track(&database);
        database.sql(ddl).unwrap();
        assert_eq!(told(&track(&database)), expected, "{ddl}");
    }
}

/// Programs of several versions on one database leave each other's work alone.
#[test]
fn versions() {
    let database =
        database("CREATE TABLE t(id int PRIMARY KEY); CREATE TABLE u(id int PRIMARY KEY)");
    track(&database);
    // What a newer program captures is not undone, what an older one captured begins anew.
    database
        .sql(
            "UPDATE highwater.registered SET capture = 99, digest = 'other' WHERE table_name = 't'",
        )
        .unwrap();
    assert_eq!(track(&database), Ensured::default());
    database
        .sql("UPDATE highwater.registered SET capture = 0 WHERE table_name = 'u'")
        .unwrap();
    assert_eq!(told(&track(&database)), " | u | ");
    // Tables of a newer format that an older program can still work with, and those that it cannot.
    database
        .sql("UPDATE highwater.meta SET format = 99")
        .unwrap();
    assert_eq!(track(&database), Ensured::default());
    database
        .sql("UPDATE highwater.meta SET readable_by = 99")
        .unwrap();
    for refused in [
        ensure(&database, &Policy::All).unwrap_err(),
        untrack(&database, None).unwrap_err(),
    ] {
        assert!(
            refused.contains("newer version of Highwater (format 99"),
            "{refused}"
        );
    }
    let foreign = self::database("CREATE SCHEMA highwater; CREATE TABLE t(id int PRIMARY KEY)");
    let refused = ensure(&foreign, &Policy::All).unwrap_err();
    assert!(refused.contains("not Highwater's"), "{refused}");
    assert!(untrack(&foreign, None).is_err());
}
