//! Names and keys of every kind.

use super::oracle::{Oracle, fields, track};

/// Whatever tables, columns and schemas are called, and whatever writers put into their search path.
#[test]
fn names() {
    let long = "ä".repeat(31) + "x";
    for (schema, table, key, value) in [
        ("public", "select", "from", "where"),
        ("Mixed Case", "T\"quoted\"", "K'ey", "val\\ue"),
        ("$highwater$", "$$", "$highwater$", "$1"),
        ("%s%I", "%1$s", "100%", "%%"),
        ("ünïcode", &long, "ключ", "値"),
        ("s", "o", "o", "n"),
        ("s", "n", "mine", "since"),
        ("s", "h", "old", "new"),
        ("s", "highwater_old", "highwater_new", "highwater_old"),
        ("s", "OLD", "xid", "seq"),
        ("s", "a.b", "c.d", "e,f"),
        ("pg", "user", "tg_op", "found"),
        ("s", "state", "state", "stack"),
    ] {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (qualified, k, v) = (
            format!("{}.{}", quote(schema), quote(table)),
            quote(key),
            quote(value),
        );
        let mut oracle = Oracle::new(&format!(
            "CREATE SCHEMA IF NOT EXISTS {}; CREATE TABLE {qualified}({k} int PRIMARY KEY, {v} text); INSERT INTO {qualified} VALUES (1, 'one'), (2, 'two')",
            quote(schema)
        ));
        for sql in [
            format!("INSERT INTO {qualified} VALUES (3, 'three') RETURNING 1"),
            format!("UPDATE {qualified} SET {k} = {k} + 10, {v} = 'x' WHERE {k} > 1"),
            format!(
                "BEGIN; SET LOCAL session_replication_role = replica; UPDATE {qualified} SET {k} = {k} + 100; COMMIT"
            ),
            format!("DELETE FROM {qualified} WHERE {k} = 101"),
            format!("TRUNCATE {qualified}"),
        ] {
            oracle.run(&sql);
        }
        let verified = oracle.verify();
        assert!(
            verified.void == 0 && verified.records > 8,
            "{qualified}: {verified:?}"
        );
    }
}

/// Keys are found again by their text, so different keys must have different texts and equal ones the same.
#[test]
fn keys() {
    for (ty, values) in [
        ("smallint", "-1, 0, 1"),
        ("bigint", "-9223372036854775808, 9007199254740993"),
        ("numeric", "1.0, 1.10, 'NaN', 1e100, -0.5"),
        ("numeric(6,2)", "1, 2.50"),
        ("real", "1.1, 'NaN', '-0', '1e-40', 'Infinity'"),
        ("double precision", "0.1, 'NaN', '-0', 1e300, '-Infinity'"),
        (
            "text",
            "'a', 'A', '', ' ', E'tab\\t', 'ä', '(,)', '{a}', 'null', E'back\\\\slash'",
        ),
        ("text COLLATE \"de-x-icu\"", "'a', 'A', 'ä'"),
        ("varchar(5)", "'a', 'a '"),
        ("char(5)", "'a', 'b '"),
        ("\"char\"", "'a', 'b'"),
        ("name", "'a', 'b'"),
        ("bytea", "'\\x00', '\\xff00', ''"),
        ("boolean", "true, false"),
        (
            "uuid",
            "'00000000-0000-0000-0000-000000000001', 'FFFFFFFF-0000-0000-0000-000000000001'",
        ),
        (
            "date",
            "'2024-02-29', 'infinity', '0044-03-15 BC', '-infinity'",
        ),
        ("time", "'24:00', '00:00:00.000001'"),
        ("timetz", "'12:00+02', '10:00+00'"),
        ("timestamp", "'2024-01-01', 'infinity', '0044-03-15 BC'"),
        (
            "timestamptz",
            "'2024-01-01', 'infinity', '1850-01-01', '0044-03-15 BC'",
        ),
        ("interval", "'1 mon', '1 day', '1.5 sec', '-1 year 2 days'"),
        ("inet", "'10.0.0.1', '10.0.0.1/8', '::1'"),
        ("jsonb", "'1.0', '{\"a\":1}', '\"\"', 'null'"),
        ("int[]", "'{}', '{1,NULL}', '{{1},{2}}'"),
        ("int4range", "'empty', '[1,5)', '(,)'"),
        ("bit varying", "'', '101'"),
        ("mood", "'sad', 'ok'"),
        ("posint", "1, 2"),
        ("pair", "'(1,a)', '(2,\"b c\")', '(3,)', '(,)'"),
        ("oid", "1, 4294967295"),
        ("regclass", "'pg_class', 'pg_type'"),
        ("money", "1.5, -2"),
    ] {
        let mut oracle = Oracle::new(&format!(
            "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN posint AS int CHECK (value > 0); CREATE TYPE pair AS (a int, b text);
             CREATE TABLE t(k {ty} PRIMARY KEY, n int, k2 {ty}); INSERT INTO t(k) SELECT v::{base} FROM unnest(ARRAY[{values}]::text[]) AS v",
            base = ty.split(" COLLATE").next().unwrap_or(ty)
        ));
        if oracle.tracks_nothing() {
            eprintln!("{ty} is not tracked");
            continue;
        }
        for sql in [
            "UPDATE t SET n = 1",
            // Other settings than those of the readers.
            "SET DateStyle = 'German'; SET TimeZone = 'Asia/Kathmandu'; SET IntervalStyle = 'sql_standard'; SET extra_float_digits = -5; SET bytea_output = escape; SET search_path = pg_catalog; SET lc_monetary = 'C'",
            "UPDATE public.t SET n = 2, k2 = k",
            "BEGIN; UPDATE public.t SET n = 3; SET LOCAL session_replication_role = replica; UPDATE public.t SET n = 4; COMMIT",
            "UPDATE public.t SET k = k, n = 5",
            "DELETE FROM public.t WHERE n = 5 AND k = (SELECT k FROM public.t LIMIT 1)",
            "BEGIN; DELETE FROM public.t; ROLLBACK; SET session_replication_role = replica; DELETE FROM public.t WHERE k = (SELECT k FROM public.t LIMIT 1)",
            "TRUNCATE public.t",
        ] {
            oracle.run(sql);
        }
        let verified = oracle.verify();
        assert!(
            verified.void == 0 && verified.records > 6,
            "{ty}: {verified:?}"
        );
    }
}

/// Values that are equal for the type, but have another text, are other keys.
#[test]
fn keys_that_change_only_their_text() {
    let mut oracle = Oracle::new(
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE n(k numeric PRIMARY KEY, v text); INSERT INTO n VALUES (1.0), (2);
         CREATE TABLE f(k float8 PRIMARY KEY, v text); INSERT INTO f VALUES (0), (1);
         CREATE TABLE c(k text COLLATE nocase PRIMARY KEY, v text); INSERT INTO c VALUES ('a'), ('b');
         CREATE TABLE i(k interval PRIMARY KEY, v text); INSERT INTO i VALUES ('1 mon'), ('1 day')",
    );
    for sql in [
        "UPDATE n SET k = 1.00 WHERE k = 1; UPDATE n SET k = k * 1.0",
        "UPDATE f SET k = -k WHERE k = 0; INSERT INTO f VALUES (0, 'x') ON CONFLICT (k) DO UPDATE SET k = excluded.k, v = 'y'",
        "UPDATE c SET k = upper(k); DELETE FROM c WHERE k = 'A'; INSERT INTO c VALUES ('a', 'again')",
        "UPDATE i SET k = '30 days' WHERE k = '1 mon'; UPDATE i SET k = '24 hours' WHERE k = '1 day'",
        "BEGIN; SET LOCAL session_replication_role = replica; UPDATE n SET k = k * 1.0; UPDATE f SET k = -k; UPDATE c SET k = upper(k); UPDATE i SET k = '720 hours' WHERE k = '30 days'; COMMIT",
        "DELETE FROM n; DELETE FROM f; DELETE FROM c; DELETE FROM i",
    ] {
        oracle.run(sql);
    }
    assert_eq!(oracle.verify().void, 0);
}

/// Keys that PostgreSQL's index takes and ours would not: writes do not fail, and older links end.
#[test]
fn keys_that_are_too_long() {
    // Not compressible, so as long in the index as they look.
    const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 84) AS i)";
    for (ty, value) in [
        ("text", format!("left({LONG}, 2690)")),
        ("bytea", format!("decode(left({LONG}, 2680), 'hex')")),
        ("varchar(3000)", format!("left({LONG}, 2690)")),
        ("numeric", "(SELECT string_agg((i * 7919 % 10000)::text, '') FROM generate_series(1, 1200) AS i)::numeric".to_owned()),
    ] {
        for partitioned in ["", " PARTITION BY HASH (k); CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)"] {
            let mut oracle = Oracle::new(&format!("CREATE TABLE t(k {ty} PRIMARY KEY, n int){partitioned}"));
            oracle.run(&format!("INSERT INTO t VALUES ({value}, 1)"));
            oracle.run("UPDATE t SET n = 2");
            oracle.run("BEGIN; SET LOCAL session_replication_role = replica; UPDATE t SET n = 2; COMMIT");
            oracle.run("DELETE FROM t");
            oracle.run(&format!("INSERT INTO t VALUES ({value}, 1)"));
            oracle.run("TRUNCATE t");
            let verified = oracle.verify();
            assert!(verified.void > 0, "{ty}: {verified:?}");
        }
    }
}

/// Each value of a key is short enough, and all together are not.
#[test]
fn keys_that_are_too_long_together() {
    const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 84) AS i)";
    for (ty, count, value) in [
        ("varchar(450)", 6, format!("left({LONG}, 440)")),
        ("numeric(1000)", 4, "(repeat('7', 999))::numeric".to_owned()),
    ] {
        let columns: Vec<String> = (0..count).map(|i| format!("k{i} {ty}")).collect();
        let names: Vec<String> = (0..count).map(|i| format!("k{i}")).collect();
        let mut oracle = Oracle::new(&format!(
            "CREATE TABLE t({}, v int, PRIMARY KEY ({}))",
            columns.join(", "),
            names.join(", ")
        ));
        let values = vec![value; count].join(", ");
        oracle.run(&format!("INSERT INTO t VALUES ({values}, 1)"));
        oracle.run("UPDATE t SET v = 2");
        oracle.run("TRUNCATE t");
        let verified = oracle.verify();
        assert!(verified.void > 0, "{ty}: {verified:?}");
    }
}

/// What the server computes is part of the row.
#[test]
fn generated_columns() {
    for kind in ["STORED", "VIRTUAL"] {
        let mut oracle = Oracle::new("CREATE TABLE a(id int PRIMARY KEY)");
        if !oracle.knows(kind) {
            continue;
        }
        oracle
            .session
            .run(&format!(
                "CREATE TABLE t(id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) {kind}, w text GENERATED ALWAYS AS ('x' || v) {kind}); INSERT INTO t(v) VALUES (1), (2), (3);
                 CREATE TABLE p(id int, v int, g int GENERATED ALWAYS AS (v * 2) {kind}, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1, 1), (2, 2)"
            ))
            .unwrap();
        track(&oracle.database);
        let mut oracle = Oracle::of(oracle.database);
        for sql in [
            "UPDATE t SET v = v + 1; UPDATE p SET v = v + 1",
            "BEGIN; SET LOCAL session_replication_role = replica; UPDATE t SET v = v + 1; COMMIT",
            "DELETE FROM t WHERE v < 4; DELETE FROM p WHERE id = 1",
            "INSERT INTO t(v) VALUES (9); TRUNCATE t, p",
        ] {
            oracle.run(sql);
        }
        assert_eq!(oracle.verify().void, 0);
    }
}

/// A statement that changes one row teaches PostgreSQL nothing about one that changes many.
#[test]
fn plans_for_one_row_do_for_many() {
    let mut oracle = Oracle::new(
        "CREATE TABLE t(id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 40000) AS i",
    );
    let started = std::time::Instant::now();
    oracle.session.run("UPDATE t SET v = 0 WHERE id = 1; UPDATE t SET id = -id WHERE id < 3; DELETE FROM t WHERE id = 7").unwrap();
    oracle.session.run("SET statement_timeout = '20s'").unwrap();
    oracle.run("UPDATE t SET v = v + 1");
    oracle.run("UPDATE t SET id = id + 1000000");
    oracle.run("MERGE INTO t USING (SELECT id FROM t UNION ALL SELECT -i FROM generate_series(10, 40000) AS i) AS s ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0)");
    oracle.run("DELETE FROM t");
    println!("{:?}", started.elapsed());
    assert_eq!(oracle.verify().void, 0);
}

/// Functions of writers cannot come between.
#[test]
fn hostile_search_paths() {
    let mut oracle = Oracle::new(
        "CREATE TABLE t(id int PRIMARY KEY, v text, at timestamptz DEFAULT now()); INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    );
    oracle
        .session
        .run(
            "CREATE SCHEMA evil;
             CREATE FUNCTION evil.boom() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil was called'; END $$;
             CREATE FUNCTION evil.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.pg_trigger_depth() RETURNS int LANGUAGE sql AS 'SELECT evil.boom()::int';
             CREATE FUNCTION evil.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS 'SELECT evil.boom()::xid8';
             CREATE FUNCTION evil.concat(text) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.concat(text, text, text, text, int) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT evil.boom()::bigint';
             CREATE FUNCTION evil.hashtextextended(text, int) RETURNS bigint LANGUAGE sql AS 'SELECT evil.boom()::bigint';
             CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE sql AS 'SELECT evil.boom()';
             CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.boom()::boolean';
             CREATE FUNCTION evil.eq(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.boom()::boolean';
             CREATE FUNCTION evil.minus(int, int) RETURNS int LANGUAGE sql AS 'SELECT evil.boom()::int';
             CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
             CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
             CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.eq);
             CREATE OPERATOR evil.~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
             CREATE OPERATOR evil.- (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.minus);
             CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.boom() = 'x');
             CREATE TABLE evil.history_1(x int); CREATE TEMPORARY TABLE history_1(x int);
             SET search_path = evil, pg_catalog, pg_temp, public",
        )
        .unwrap();
    for sql in [
        "INSERT INTO public.t(id, v) VALUES (3, 'x')",
        "UPDATE public.t SET v = 'y'",
        "INSERT INTO public.t(id, v) VALUES (1, 'z'), (9, 'z') ON CONFLICT (id) DO UPDATE SET v = 'conflict'",
        "WITH d AS (DELETE FROM public.t WHERE id OPERATOR(pg_catalog.=) 1 RETURNING id) INSERT INTO public.t SELECT d.id FROM d",
        "BEGIN; SET LOCAL session_replication_role = 'replica'; UPDATE public.t SET id = id + 100; COMMIT",
        "DELETE FROM public.t WHERE id > 100",
        "TRUNCATE public.t",
    ] {
        oracle.run(sql);
    }
    assert_eq!(oracle.verify().void, 0);
}

/// Other settings that change what SQL means.
#[test]
fn settings_of_writers() {
    let mut oracle = Oracle::new(
        "CREATE TABLE t(id int PRIMARY KEY, \"a\\b\" text); INSERT INTO t VALUES (1, 'one'), (2, 'two');
         CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO t VALUES (7, 'seven'); UPDATE t SET \"a\\b\" = 'x' WHERE id = 2; DELETE FROM t WHERE id = 7; RETURN i; END $$",
    );
    oracle
        .session
        .run("SET standard_conforming_strings = off; SET plpgsql.variable_conflict = error; SET plpgsql.extra_errors = 'all'; SET transform_null_equals = on; SET row_security = off; SET default_transaction_deferrable = on; SET check_function_bodies = off; SET quote_all_identifiers = on; SET xmloption = document; SET enable_hashjoin = off")
        .unwrap();
    for sql in [
        "INSERT INTO t VALUES (3, 'x')",
        "UPDATE t SET id = f(id) WHERE id = 1",
        "UPDATE t SET id = id + 10",
        "DELETE FROM t WHERE id = 11",
        "TRUNCATE t",
    ] {
        oracle.run(sql);
    }
    assert_eq!(oracle.verify().void, 0);
    let [layout] = fields(
        &oracle
            .session
            .run("SELECT highwater.layout(relation) = layout FROM highwater.tracked_table")
            .unwrap()
            .rows[0],
    );
    assert_eq!(layout, "t");
    track(&oracle.database);
}
