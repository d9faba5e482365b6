//! What owners of tables and writers can do to make capture fail, lie, or do what only those who track may do.

use highwater_throwaway::Cluster;

use super::oracle::{Oracle, track};

/// A table of each kind of capture: by statement, by row, by partition with another order of columns.
const TABLES: [&str; 3] = [
    "CREATE TABLE t(id int PRIMARY KEY, v int); CREATE VIEW all_of_t AS SELECT * FROM ONLY t",
    "CREATE TABLE t(id int PRIMARY KEY, v int, parent int REFERENCES t ON DELETE CASCADE); CREATE VIEW all_of_t AS SELECT id, v FROM t",
    "CREATE TABLE t(id int PRIMARY KEY, v int) PARTITION BY RANGE (id); CREATE TABLE t1(v int, id int NOT NULL); ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (100); \
     CREATE VIEW all_of_t AS SELECT * FROM t",
];
const FILL: &str = "INSERT INTO t(id, v) SELECT i, i FROM generate_series(1, 5) AS i";

/// Casts to text that the owner of a table makes are neither believed nor even called: the functions of the triggers have the rights of who
/// tracks.
#[test]
fn casts_of_owners_are_never_called() {
    let cast = |ty: &str, to: &str| {
        format!(
            "CREATE FUNCTION evil({ty}) RETURNS {to} LANGUAGE plpgsql AS $$ BEGIN RAISE 'called by %', current_user; END $$;
             CREATE CAST ({ty} AS {to}) WITH FUNCTION evil({ty})"
        )
    };
    for table in TABLES {
        let mut oracle = Oracle::new(&format!("{table}; {FILL}"));
        let run = |session: &mut highwater_throwaway::Session, sql: &str| {
            session
                .run(sql)
                .unwrap_or_else(|e| panic!("{table}: {sql}: {e}"))
        };
        run(&mut oracle.session, &cast("t", "text"));
        if table.contains("t1") {
            run(&mut oracle.session, &cast("t1", "text"));
            run(
                &mut oracle.session,
                "CREATE FUNCTION from_text(text) RETURNS t1 LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$; CREATE CAST (text AS t1) WITH FUNCTION from_text(text)",
            );
        }
        for sql in [
            "UPDATE t SET v = v + 1 WHERE id < 3",
            "BEGIN; SET LOCAL session_replication_role = replica; UPDATE t SET v = v + 1 WHERE id = 3; COMMIT",
            "DELETE FROM t WHERE id = 1",
            "TRUNCATE t",
        ] {
            run(&mut oracle.session, sql);
        }
        let images = "SELECT string_agg(old, ' ' ORDER BY k0) FROM highwater.history_1 AS h
            WHERE NOT EXISTS (SELECT FROM highwater.history_1 AS e WHERE e.k0 = h.k0 AND e.seq < h.seq) AND gone IS NOT NULL";
        let images = run(&mut oracle.session, images).rows[0][0]
            .clone()
            .unwrap_or_default();
        let parent = if table.contains("parent") { "," } else { "" };
        let expected = [1, 2, 3, 4, 5].map(|i| format!("({i},{i}{parent})"));
        assert_eq!(images, expected.join(" "), "{table}");
    }
    // A key's own type.
    let mut oracle = Oracle::new(
        "CREATE TYPE e AS ENUM ('a', 'b', 'c'); CREATE TABLE t(id e PRIMARY KEY, v int); INSERT INTO t VALUES ('a', 1), ('b', 2)",
    );
    // And one that the key gets before anybody looks.
    for sql in [
        cast("e", "text").as_str(),
        "INSERT INTO t VALUES ('c', 3); UPDATE t SET v = 4 WHERE id = 'a'; UPDATE t SET id = id; DELETE FROM t WHERE id = 'c'; TRUNCATE t",
        "CREATE TYPE f AS ENUM ('a', 'b'); ALTER TABLE t ALTER id TYPE f USING 'a'",
        &cast("f", "text").replace("evil", "evil2"),
        "INSERT INTO t VALUES ('b', 3); UPDATE t SET v = 4; UPDATE t SET id = id; DELETE FROM t WHERE id = 'b'; INSERT INTO t VALUES ('a', 1); TRUNCATE t",
    ] {
        let done = oracle.session.run(sql);
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

/// Whatever an application does to its own table before anybody looks, its writes go on.
#[test]
fn altered_tables_can_be_written() {
    const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) AS i)";
    let key_is = |ty: &str| format!("CREATE TABLE t(id {ty} PRIMARY KEY, v int)");
    let partitioned = format!(
        "{} PARTITION BY HASH (id); CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        key_is("int")
    );
    let cases = [
        (
            key_is("int"),
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id DROP NOT NULL;; INSERT INTO t VALUES (NULL, 1), (NULL, 2);; UPDATE t SET v = 2;; UPDATE t SET id = v".to_owned(),
        ),
        (
            key_is("text"),
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id DROP NOT NULL; ALTER TABLE t ALTER id TYPE json USING to_json(id);; UPDATE t SET v = 2;; UPDATE t SET id = '1';; INSERT INTO t VALUES (NULL, 1)".to_owned(),
        ),
        (
            key_is("int"),
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id TYPE point USING point(id, id);; UPDATE t SET v = 2;; INSERT INTO t VALUES ('(1,2)', 1)".to_owned(),
        ),
        (
            key_is("varchar(20)"),
            format!("ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id TYPE text;; INSERT INTO t VALUES ({LONG}, 1);; UPDATE t SET v = 7"),
        ),
        (
            key_is("int"),
            format!("ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ALTER id TYPE text;; INSERT INTO t VALUES (repeat('ä', 500) || {LONG}, 1);; UPDATE t SET v = 7"),
        ),
        (
            key_is("int"),
            "BEGIN; ALTER TABLE t ADD g int GENERATED ALWAYS AS (100 / (v - 1)) VIRTUAL;; TRUNCATE t;; COMMIT".to_owned(),
        ),
        (
            partitioned,
            "BEGIN; ALTER TABLE t DETACH PARTITION t1; DROP TABLE t; TRUNCATE t1; COMMIT;; CREATE TABLE t(id int, v int)".to_owned(),
        ),
    ];
    for (table, changes) in cases {
        let mut oracle = Oracle::new(&format!("{table}; INSERT INTO t(id, v) VALUES ('1', 1)"));
        if !oracle.knows(&changes) {
            continue;
        }
        for change in changes.split(";; ").chain(["DELETE FROM t", "TRUNCATE t"]) {
            let done = oracle.session.run(change);
            done.unwrap_or_else(|e| panic!("{table}; {changes}: {change}: {e}"));
        }
    }
}

/// If the transaction has rewritten the table, every version seems to be its own.
#[test]
fn rewritten_tables() {
    const REWRITES: [&str; 2] = [
        "ALTER TABLE {t} SET UNLOGGED; ALTER TABLE {t} SET LOGGED",
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler; ALTER TABLE {t} SET ACCESS METHOD other",
    ];
    for table in TABLES {
        let name = if table.contains("t1") { "t1" } else { "t" };
        for rewrite in REWRITES {
            let mut oracle = Oracle::new(&format!(
                "{table}; {FILL}; CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = 100 WHERE id = i + 1; RETURN i; END $$"
            ));
            let rewrite = rewrite.replace("{t}", name);
            // Since version 15.
            if !oracle.knows(if rewrite.contains("METHOD") {
                "MERGE"
            } else {
                ""
            }) {
                continue;
            }
            for write in [
                "UPDATE t SET v = 500 WHERE id = 1",
                "UPDATE t SET v = f(id) WHERE id = 1",
                "SET LOCAL session_replication_role = replica; UPDATE t SET v = 500 WHERE id = 1; DELETE FROM t WHERE id = 2",
                "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 1)",
            ] {
                let change = format!("{rewrite}; {write}");
                // An access method belongs to the whole database.
                oracle.run(&format!("BEGIN; {change}; COMMIT"));
                if rewrite.contains("METHOD") {
                    break;
                }
            }
            let verified = oracle.verify();
            assert!(verified.compared > 0, "{table}: {rewrite}: {verified:?}");
        }
    }
}

/// The tracking role owns the table no more, or may not read it: `TRUNCATE` ends the links, and works.
#[test]
fn truncated_by_a_new_owner() {
    let database = Cluster::shared().database().unwrap();
    let [tracker, owner] = ["tracker", "owner"].map(|role| format!("{role}_{}", database.name()));
    database
        .sql(&format!(
            "CREATE ROLE {tracker} LOGIN; CREATE ROLE {owner} LOGIN; GRANT CREATE ON DATABASE {name} TO {tracker}; CREATE SCHEMA s AUTHORIZATION {tracker}; GRANT ALL ON SCHEMA s TO {owner};
             SET ROLE {tracker}; CREATE TABLE s.t(id int PRIMARY KEY); CREATE TABLE s.p(id int PRIMARY KEY) PARTITION BY RANGE (id);
             CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (9); INSERT INTO s.t VALUES (1); INSERT INTO s.p VALUES (1)",
            name = database.name()
        ))
        .unwrap();
    let url = database.url().replace("postgres@", &format!("{tracker}@"));
    super::oracle::run(highwater_postgres::admin::track(
        &url,
        &highwater_core::tracking::Policy::All,
    ))
    .unwrap();
    database
        .sql(&format!(
            "ALTER TABLE s.t OWNER TO {owner}; ALTER TABLE s.p OWNER TO {owner}; ALTER TABLE s.p1 OWNER TO {owner}"
        ))
        .unwrap();
    let truncated = database.sql(&format!(
        "SET ROLE {owner}; TRUNCATE s.t; TRUNCATE s.p1; TRUNCATE s.p; RESET ROLE; SELECT count(DISTINCT id) FROM highwater.lost"
    ));
    assert_eq!(truncated.unwrap()[0][0].as_deref(), Some("2"));
    database
        .sql(&format!(
            "DROP SCHEMA highwater CASCADE; DROP SCHEMA s CASCADE; DROP OWNED BY {tracker}, {owner}; DROP ROLE {tracker}, {owner}"
        ))
        .unwrap();
}

/// PL/Tcl, PL/Perl and PL/Python can end a statement when they have enough of its rows, and then its own triggers are never called.
#[test]
fn statements_that_are_cut_short() {
    const LANGUAGE: &str = "CREATE LANGUAGE other HANDLER plpgsql_call_handler";
    const TABLE: &str = "CREATE TABLE t(id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 5) AS i";
    let begins = "SELECT count(*) FROM pg_trigger WHERE tgname = 'highwater_begin'";
    let mut oracle = Oracle::new(TABLE);
    assert_eq!(
        oracle.session.run(begins).unwrap().rows[0][0].as_deref(),
        Some("1")
    );
    oracle.run(LANGUAGE);
    let ensured = track(&oracle.database);
    assert_eq!(ensured.renewed, ["t"], "{ensured:?}");
    assert_eq!(
        oracle.session.run(begins).unwrap().rows[0][0].as_deref(),
        Some("0")
    );
    let available = "SELECT FROM pg_available_extensions WHERE name = 'pltcl'";
    if oracle.session.run(available).unwrap().rows.is_empty() {
        // PostgreSQL 15 of the distribution has it in another package, the other versions that are tested have it.
        return;
    }
    let mut oracle = Oracle::new(&format!(
        "{TABLE}; CREATE EXTENSION pltcl; CREATE FUNCTION f(int) RETURNS int LANGUAGE pltcl AS $$
            if {{$1 == 3}} {{ spi_exec -count 1 \"UPDATE t SET v = v + 100 WHERE id = 4 RETURNING id\" }}; return $1 $$"
    ));
    oracle.run("SELECT f(3)");
    oracle.run("UPDATE t SET v = 50 + f(id) WHERE id < 4");
    oracle.run("BEGIN; SELECT f(3); UPDATE t SET v = v + 1; COMMIT");
    let verified = oracle.verify();
    assert!(verified.void == 0 && verified.records > 5, "{verified:?}");
}
