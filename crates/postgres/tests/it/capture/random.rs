//! Random statements of one session on random schemas, with triggers, functions and foreign keys that write to the same tables.

use highwater_throwaway::State;

use super::oracle::{Oracle, Verified};
use super::seeds::{self, Random};

const STATEMENTS: usize = 60;
/// Keys are few, so that statements meet.
const KEYS: usize = 12;

#[test]
fn random_statements() {
    let total = std::sync::Mutex::new((Verified::default(), 0));
    seeds::each(60, |seed| {
        let verified = round(seed);
        let mut total = total.lock().unwrap();
        total.0.records += verified.records;
        total.0.compared += verified.compared;
        total.0.void += verified.void;
        total.1 += 1;
    });
    let (verified, runs) = total.into_inner().unwrap();
    println!("{runs} runs: {verified:?}");
    // A capture that gives up all the time would pass, too.
    assert!(
        runs < 20 || verified.void * 4 < verified.compared,
        "{verified:?}"
    );
}

fn round(seed: u64) -> Verified {
    let mut random = Random(seed);
    let setup = schema(&mut random);
    let mut oracle = Oracle::new(&setup);
    oracle
        .session
        .run("SET statement_timeout = '2s'; SET lock_timeout = '20ms'")
        .unwrap();
    let mut is_prepared = false;
    for _ in 0..STATEMENTS {
        let sql = match oracle.session.state() {
            // What it locks would be in everybody's way.
            State::Idle if is_prepared => random
                .pick(&[
                    "COMMIT PREPARED 'p'",
                    "COMMIT PREPARED 'p'",
                    "ROLLBACK PREPARED 'p'",
                    "DELETE FROM t WHERE id = 3",
                ])
                .to_owned(),
            state => statement(&mut random, state),
        };
        let done = oracle.try_run(&sql);
        is_prepared = match sql.as_str() {
            "PREPARE TRANSACTION 'p'" => done,
            sql => is_prepared && !sql.ends_with("PREPARED 'p'"),
        };
        oracle.trace(done, &sql);
    }
    if oracle.session.state() != State::Idle {
        oracle.try_run("COMMIT");
    }
    oracle.try_run("ROLLBACK PREPARED 'p'");
    oracle.verify()
}

pub(crate) fn schema(random: &mut Random) -> String {
    let action = |random: &mut Random| {
        random.pick(&["NO ACTION", "CASCADE", "CASCADE", "SET NULL", "RESTRICT"])
    };
    let up = if random.chance(25) {
        format!(
            "REFERENCES t ON DELETE {} ON UPDATE {}",
            action(random),
            action(random)
        )
    } else {
        String::new()
    };
    let generated = if random.chance(20) {
        ", g int GENERATED ALWAYS AS (n + 1) STORED"
    } else {
        ""
    };
    let mut sql = match random.below(8) {
        0 if up.is_empty() => format!(
            "CREATE TABLE t(id int PRIMARY KEY, up int, v text, n int{generated}) PARTITION BY RANGE (id);
             CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (4);
             CREATE TABLE t2(v text, up int, dropped int, n int{generated}, id int NOT NULL); ALTER TABLE t2 DROP dropped; ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (4) TO (9);
             CREATE TABLE t3 PARTITION OF t DEFAULT PARTITION BY HASH (id); CREATE TABLE t31 PARTITION OF t3 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE t32 PARTITION OF t3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        ),
        1 => format!("CREATE TABLE t(id int PRIMARY KEY, up int {up}, v text, n int{generated}); CREATE TABLE i(x int, PRIMARY KEY (id)) INHERITS (t); INSERT INTO i VALUES (1, NULL, 'i', 1), (20, NULL, 'i', 1);"),
        _ => format!("CREATE TABLE t(id int PRIMARY KEY, up int {up}, v text, n int{generated});"),
    };
    sql.push_str("INSERT INTO t(id, v, n) SELECT i, 'v' || i, i FROM generate_series(1, 8) AS i;");
    sql.push_str(&format!(
        "CREATE TABLE c(id int PRIMARY KEY, t_id int REFERENCES t ON DELETE {} ON UPDATE {} {}, u_id int {}, w text);
         INSERT INTO c SELECT i, 1 + i % 8, 1 + i % 3, 'w' FROM generate_series(1, 10) AS i;",
        action(random),
        action(random),
        random.pick(&["", "", "DEFERRABLE INITIALLY DEFERRED"]),
        if random.chance(30) { format!("REFERENCES t ON DELETE {} ON UPDATE {}", action(random), action(random)) } else { String::new() },
    ));
    let body = |random: &mut Random| {
        let mut sql = String::new();
        for _ in 0..=random.below(2) {
            sql.push_str(&nested(random));
            sql.push_str("; ");
        }
        if random.chance(30) {
            sql = format!(
                "BEGIN {sql} IF random_once() THEN RAISE division_by_zero; END IF; EXCEPTION WHEN OTHERS THEN {}; END;",
                nested(random)
            );
        }
        sql
    };
    // Not random: the same program must do the same in every run.
    sql.push_str("CREATE FUNCTION random_once() RETURNS bool LANGUAGE sql AS $$ SELECT count(*) % 2 = 0 FROM t $$;");
    let g = body(random);
    sql.push_str(&format!("CREATE FUNCTION g(i int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE d int := pg_trigger_depth(); BEGIN IF d < 2 THEN {g} END IF; RETURN i; END $$;"));
    for k in 0..random.below(4) {
        let body = body(random);
        let table = random.pick(&["t", "t", "c"]);
        let (timing, level) = (
            random.pick(&["BEFORE", "AFTER"]),
            random.pick(&["ROW", "ROW", "STATEMENT"]),
        );
        let row = if table == "t" && level == "ROW" && timing == "BEFORE" && random.chance(20) {
            "IF TG_OP = 'UPDATE' AND NEW.v ~ 'q' THEN NEW.id := NEW.id + 1; END IF;"
        } else {
            ""
        };
        let events = random.pick(&[
            "INSERT",
            "UPDATE",
            "DELETE",
            "INSERT OR UPDATE",
            "UPDATE OR DELETE",
            "INSERT OR UPDATE OR DELETE",
        ]);
        let name = random.pick(&["a", "m", "z"]);
        let i = if level == "ROW" {
            "CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END"
        } else {
            "3"
        };
        let depth = 1 + random.below(3);
        sql.push_str(&format!(
            "CREATE FUNCTION f{k}() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE i int := {i}; BEGIN {row} IF pg_trigger_depth() <= {depth} THEN {body} END IF;
             IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
             CREATE TRIGGER {name}{k} {timing} {events} ON {table} FOR EACH {level} EXECUTE FUNCTION f{k}();"
        ));
        if random.chance(15) {
            sql.push_str(&format!(
                "COMMIT; ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}{k};"
            ));
        }
    }
    sql
}

/// A statement inside of a function, where `i` is a variable.
fn nested(random: &mut Random) -> String {
    let key = |random: &mut Random| match random.below(4) {
        0 => (1 + random.below(KEYS)).to_string(),
        1 => "i + 1".to_owned(),
        _ => "i".to_owned(),
    };
    let (a, b) = (key(random), key(random));
    match random.below(11) {
        0 => format!("INSERT INTO t(id, v) VALUES ({a}, 'nested')"),
        1 | 2 => format!("INSERT INTO t(id, v) VALUES ({a}, 'nested') ON CONFLICT DO NOTHING"),
        3 => format!("UPDATE t SET v = left(v, 9) || '+' WHERE id = {a}"),
        4 => format!("UPDATE t SET v = 'x', n = 5 WHERE id IN ({a}, {b})"),
        5 => format!(
            "UPDATE t SET id = {b} WHERE id = {a} AND NOT EXISTS (SELECT FROM t WHERE id = {b})"
        ),
        6 | 7 => format!("DELETE FROM t WHERE id = {a}"),
        8 => {
            format!("UPDATE c SET w = left(w, 9) || '-', t_id = NULL WHERE t_id = {a} OR id = {b}")
        }
        9 => format!("DELETE FROM c WHERE id = {a}"),
        _ => format!(
            "WITH d AS (DELETE FROM t WHERE id = {a} RETURNING id) UPDATE t SET v = 'with' FROM d WHERE t.id = {b}"
        ),
    }
}

pub(crate) fn statement(random: &mut Random, state: State) -> String {
    match state {
        State::Failed => {
            return random
                .pick(&["ROLLBACK", "ROLLBACK TO a", "COMMIT"])
                .to_owned();
        }
        State::Open if random.chance(30) => {
            return random
                .pick(&[
                    "COMMIT",
                    "COMMIT",
                    "ROLLBACK",
                    "SAVEPOINT a",
                    "SAVEPOINT a",
                    "ROLLBACK TO a",
                    "RELEASE a",
                    "SET CONSTRAINTS ALL IMMEDIATE",
                    "PREPARE TRANSACTION 'p'",
                ])
                .to_owned();
        }
        State::Idle if random.chance(20) => {
            return random
                .pick(&[
                    "BEGIN",
                    "BEGIN",
                    "BEGIN; SAVEPOINT a",
                    "BEGIN ISOLATION LEVEL REPEATABLE READ",
                    "BEGIN ISOLATION LEVEL SERIALIZABLE",
                    "COMMIT PREPARED 'p'",
                    "COMMIT PREPARED 'p'",
                ])
                .to_owned();
        }
        _ => {}
    }
    let table = random.pick(&["t", "t", "t", "t", "c"]);
    let (value, fk) = if table == "t" {
        ("v", "up")
    } else {
        ("w", "t_id")
    };
    let key = |random: &mut Random| (1 + random.below(KEYS)).to_string();
    let condition = match random.below(4) {
        0 => format!("{table}.id = {}", key(random)),
        1 => format!(
            "{table}.id IN ({}, {}, {})",
            key(random),
            key(random),
            key(random)
        ),
        2 => format!("{table}.id > {}", key(random)),
        _ => format!("{table}.{value} ~ '{}'", random.pick(&["x", "v", "q", "1"])),
    };
    let set = match random.below(7) {
        0 => format!("id = {table}.id + {}", key(random)),
        1 => format!("id = {}", key(random)),
        2 => format!("{fk} = {}", key(random)),
        3 => format!("{value} = 'q', id = {table}.id + 20"),
        4 => format!("{value} = g({table}.id)::text"),
        _ => format!(
            "{value} = left({table}.{value}, 9) || '{}'",
            random.pick(&["x", "q", "2"])
        ),
    };
    let returning = if random.chance(15) {
        format!(" RETURNING g({table}.id)")
    } else {
        String::new()
    };
    match random.below(20) {
        0..=3 => {
            let rows: Vec<String> = (0..=random.below(3)).map(|_| format!("({}, '{}')", key(random), random.pick(&["new", "q", "x"]))).collect();
            let conflict = match random.below(5) {
                0 => " ON CONFLICT DO NOTHING".to_owned(),
                1 | 2 => format!(" ON CONFLICT (id) DO UPDATE SET {set}"),
                _ => String::new(),
            };
            format!("INSERT INTO {table}(id, {value}) VALUES {}{conflict}{returning}", rows.join(", "))
        }
        4 => format!("INSERT INTO {table}(id, {value}) SELECT g({}), 'fn'", key(random)),
        5..=8 => format!("UPDATE {table} SET {set} WHERE {condition}{returning}"),
        9..=11 => format!("DELETE FROM {table} WHERE {condition}{returning}"),
        12 | 13 => format!(
            "MERGE INTO {table} USING (VALUES ({}), ({}), ({})) AS s(k) ON {table}.id = s.k WHEN MATCHED AND {condition} THEN DELETE WHEN MATCHED THEN UPDATE SET {set} WHEN NOT MATCHED THEN INSERT (id, {value}) VALUES ({}, 'merged')",
            key(random), key(random), key(random),
            random.pick(&["s.k", "s.k + 1", "s.k - 1"])
        ),
        14 => format!("WITH d AS (DELETE FROM {table} WHERE {condition} RETURNING id) INSERT INTO {table}(id, {value}) SELECT id, 'moved' FROM d{returning}"),
        15 => format!("WITH u AS (UPDATE {table} SET {set} WHERE {condition} RETURNING id), d AS (DELETE FROM {table} WHERE id = {}) INSERT INTO {table}(id) VALUES ({}) ON CONFLICT DO NOTHING", key(random), key(random)),
        16 => format!("WITH a AS (DELETE FROM c WHERE id > {} RETURNING t_id), b AS (UPDATE c SET w = 'cte' WHERE id = {}) DELETE FROM t WHERE id IN (SELECT t_id FROM a)", key(random), key(random)),
        17 => format!("SELECT g({})", key(random)),
        18 if random.chance(50) => random.pick(&["TRUNCATE t CASCADE", "TRUNCATE c", "SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = origin"]).to_owned(),
        18 => "INSERT INTO t(id, v) SELECT i, 'filled' FROM generate_series(1, 8) AS i ON CONFLICT DO NOTHING".to_owned(),
        _ => format!("DO $$ DECLARE i int := {}; BEGIN {}; BEGIN {}; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN {}; END; END $$", key(random), nested(random), nested(random), nested(random)),
    }
}
