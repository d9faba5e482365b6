//! What single statements, and statements inside of statements, leave in the history.

use super::oracle::Oracle;

/// A table, and what its writers do: each line is a message to the server of its own.
struct Case {
    name: &'static str,
    setup: &'static str,
    /// Separated by `;;`. A statement that begins with `!` is refused.
    statements: &'static str,
    /// Whether no snapshot was given up.
    is_kept: bool,
}

const fn case(name: &'static str, setup: &'static str, statements: &'static str) -> Case {
    Case {
        name,
        setup,
        statements,
        is_kept: true,
    }
}

const T: &str = "CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 9) AS i;";

fn check(case: &Case) {
    let setup = if case.setup.starts_with("CREATE TABLE t(") {
        case.setup.to_owned()
    } else {
        format!("{T}{}", case.setup)
    };
    let mut oracle = Oracle::new(&setup);
    for statement in case.statements.split(";;").map(str::trim) {
        match statement.strip_prefix('!') {
            Some(refused) => assert!(
                !oracle.try_run(refused),
                "{}: {statement} was not refused",
                case.name
            ),
            None => oracle.run(statement),
        }
    }
    let verified = oracle.verify();
    assert_eq!(
        verified.void == 0,
        case.is_kept,
        "{}: {verified:?}",
        case.name
    );
}

fn check_all(cases: &[Case]) {
    let failed: Vec<_> = cases
        .iter()
        .filter(|case| {
            std::panic::catch_unwind(|| check(case))
                .inspect_err(|_| eprintln!("in the case: {}\n", case.name))
                .is_err()
        })
        .map(|case| case.name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn one_statement() {
    check_all(&[
        case(
            "insert, update, delete",
            "",
            "INSERT INTO t VALUES (10, 'new');; UPDATE t SET v = v || '!' WHERE id < 4;; DELETE FROM t WHERE id IN (2, 10);; INSERT INTO t VALUES (2, 'again')",
        ),
        case(
            "changed keys",
            "",
            "UPDATE t SET id = id + 100;; UPDATE t SET id = id + 2000 WHERE id > 105;; UPDATE t SET id = 1 WHERE id = 101",
        ),
        case(
            "keys that move over each other",
            "CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t VALUES (3, 'c'), (2, 'b'), (1, 'a');",
            "UPDATE t SET id = id + 1;; UPDATE t SET id = id + 10",
        ),
        case(
            "on conflict",
            "",
            "INSERT INTO t VALUES (1, 'x'), (20, 'y') ON CONFLICT (id) DO UPDATE SET v = excluded.v;; INSERT INTO t VALUES (1, 'x'), (21, 'y') ON CONFLICT DO NOTHING;; INSERT INTO t VALUES (1, 'z'), (22, 'y') ON CONFLICT (id) DO UPDATE SET id = t.id + 100",
        ),
        case(
            "merge",
            "",
            "MERGE INTO t USING (VALUES (1), (2), (3), (30)) AS s(id) ON t.id = s.id WHEN MATCHED AND s.id = 1 THEN DELETE WHEN MATCHED AND s.id = 2 THEN UPDATE SET id = 200 WHEN MATCHED THEN UPDATE SET v = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new')",
        ),
        case(
            "merge that deletes and inserts a key",
            "",
            "MERGE INTO t USING (VALUES (1, 1), (0, 1)) AS s(id, to_id) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.to_id, 'again');; MERGE INTO t USING (VALUES (2, 2), (0, 2)) AS s(id, to_id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET id = 300 WHEN NOT MATCHED THEN INSERT VALUES (s.to_id, 'again')",
        ),
        case(
            "with: delete, then insert",
            "",
            "WITH d AS (DELETE FROM t WHERE id < 3 RETURNING id) INSERT INTO t SELECT id, 'again' FROM d;; WITH d AS (DELETE FROM t WHERE id = 4 RETURNING id), i AS (INSERT INTO t SELECT id, 'four' FROM d RETURNING id) UPDATE t SET v = 'five' WHERE id = 5",
        ),
        case(
            "with: update away, then insert",
            "",
            "WITH u AS (UPDATE t SET id = id + 100 WHERE id < 3 RETURNING id) INSERT INTO t SELECT id - 100, 'again' FROM u",
        ),
        case(
            "with: insert beside update",
            "",
            "WITH i AS (INSERT INTO t VALUES (50, 'i') RETURNING id), u AS (UPDATE t SET v = 'u' WHERE id = 1), d AS (DELETE FROM t WHERE id = 2) SELECT 1;; WITH d AS (DELETE FROM t WHERE id = 3) UPDATE t SET v = 'w' WHERE id IN (3, 4)",
        ),
        case(
            "copy",
            "",
            "COPY t FROM PROGRAM 'printf ''60\\tx\\n61\\ty\\n'''",
        ),
        case(
            "truncate",
            "",
            "TRUNCATE t;; INSERT INTO t VALUES (1, 'again'), (77, 'other');; BEGIN; INSERT INTO t VALUES (78, 'x'); UPDATE t SET v = 'w' WHERE id = 1; TRUNCATE t RESTART IDENTITY; INSERT INTO t VALUES (1, 'third'), (79, 'x'); COMMIT;; BEGIN; TRUNCATE t; ROLLBACK",
        ),
        case(
            "savepoints",
            "",
            "BEGIN; SAVEPOINT a; UPDATE t SET v = 'x' WHERE id = 1; ROLLBACK TO a; DELETE FROM t WHERE id = 2; SAVEPOINT b; INSERT INTO t VALUES (2, 'y'), (90, 'z'); RELEASE b; UPDATE t SET v = 'last', id = id + 1000 WHERE id IN (1, 2, 90); COMMIT;; BEGIN; SAVEPOINT a; INSERT INTO t VALUES (91, 'x'); ROLLBACK TO a; INSERT INTO t VALUES (91, 'y'); SAVEPOINT c; DELETE FROM t WHERE id = 91; ROLLBACK TO c; COMMIT;; BEGIN; UPDATE t SET v = 'r'; ROLLBACK",
        ),
        case(
            "refused statements",
            "",
            "!INSERT INTO t VALUES (100, 'x'), (1, 'y');; BEGIN; SAVEPOINT a;; !UPDATE t SET id = 5;; ROLLBACK TO a; UPDATE t SET v = 'after' WHERE id = 5; COMMIT",
        ),
        case(
            "prepared transactions",
            "",
            "BEGIN; UPDATE t SET v = 'p' WHERE id = 1; PREPARE TRANSACTION 'one';; UPDATE t SET v = 'q' WHERE id = 2;; COMMIT PREPARED 'one';; BEGIN; DELETE FROM t; PREPARE TRANSACTION 'two';; ROLLBACK PREPARED 'two'",
        ),
        case(
            "one transaction, many statements",
            "",
            "BEGIN; INSERT INTO t VALUES (40, 'a'); UPDATE t SET v = 'b' WHERE id = 40; DELETE FROM t WHERE id = 40; INSERT INTO t VALUES (40, 'c'); UPDATE t SET id = 41 WHERE id = 40; UPDATE t SET id = 40 WHERE id = 41; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'one'); UPDATE t SET id = -1 WHERE id = 1; COMMIT",
        ),
        case(
            "truncate in repeatable read",
            "",
            "BEGIN ISOLATION LEVEL REPEATABLE READ; TRUNCATE t; COMMIT",
        )
        .given_up(),
        case(
            "replica role",
            "",
            "SET session_replication_role = replica; INSERT INTO t VALUES (10, 'r'); UPDATE t SET v = 's', id = id + 50 WHERE id > 8; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (2, 'c') ON CONFLICT (id) DO UPDATE SET v = 'conflict'; RESET session_replication_role;; BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM t WHERE id = 3; SET LOCAL session_replication_role = origin; INSERT INTO t VALUES (3, 'three'); COMMIT;; SET session_replication_role = replica;; TRUNCATE t",
        ),
    ]);
}

impl Case {
    const fn given_up(mut self) -> Case {
        self.is_kept = false;
        self
    }
}

/// A trigger of the application, of the shape `name timing level body`.
#[test]
fn statements_inside_statements() {
    check_all(&[
        case(
            "insert trigger updates the row",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '+' WHERE id = NEW.id; RETURN NULL; END $$; CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "INSERT INTO t VALUES (10, 'x'), (11, 'y');; BEGIN; INSERT INTO t VALUES (12, 'z'); SAVEPOINT a; INSERT INTO t VALUES (13, 'w'); RELEASE a; COMMIT;; INSERT INTO t VALUES (1, 'x'), (14, 'n') ON CONFLICT (id) DO UPDATE SET v = 'c'",
        ),
        case(
            "update trigger updates the row again",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '+' WHERE id = NEW.id AND length(v) < 6; RETURN NULL; END $$; CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "UPDATE t SET v = 'x' WHERE id < 4;; BEGIN; INSERT INTO t VALUES (10, 'n'); UPDATE t SET v = 'u'; COMMIT;; UPDATE t SET id = id + 100 WHERE id < 4",
        ),
        case(
            "delete trigger inserts the row again",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (OLD.id, 'back'); RETURN NULL; END $$; CREATE TRIGGER a AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "DELETE FROM t WHERE id < 4;; DELETE FROM t WHERE id = 1;; BEGIN; INSERT INTO t VALUES (20, 'x'); DELETE FROM t WHERE id IN (5, 20); COMMIT",
        ),
        case(
            "delete trigger inserts the row again and deletes it",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.v <> 'back' THEN INSERT INTO t VALUES (OLD.id, 'back'); DELETE FROM t WHERE id = OLD.id; END IF; RETURN NULL; END $$; CREATE TRIGGER a AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "DELETE FROM t WHERE id < 4",
        ),
        case(
            "insert trigger deletes what is in the way",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = NEW.id; RETURN NEW; END $$; CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "INSERT INTO t VALUES (1, 'x'), (10, 'y');; BEGIN; INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (1, 'y'); COMMIT;; INSERT INTO t SELECT i, 'w' FROM generate_series(1, 20) AS i",
        ),
        case(
            "insert trigger updates others",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '-' WHERE id < 3; RETURN NEW; END $$; CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "INSERT INTO t VALUES (10, 'x'), (11, 'y')",
        ),
        case(
            "update trigger moves another row into the place",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 AND NEW.id <> OLD.id THEN UPDATE t SET id = OLD.id WHERE id = OLD.id + 1; END IF; RETURN NULL; END $$; CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "UPDATE t SET id = 100 WHERE id = 1;; UPDATE t SET id = 200 WHERE id = 5",
        ),
        case(
            "statement triggers",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 THEN UPDATE t SET v = v || TG_WHEN WHERE id IN (1, 10); DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 'second'); END IF; RETURN NULL; END $$; CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION f(); CREATE TRIGGER z AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION f(); CREATE TRIGGER b AFTER INSERT OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION f();",
            "INSERT INTO t VALUES (10, 'x');; UPDATE t SET v = 'u' WHERE id = 3;; DELETE FROM t WHERE id = 4;; MERGE INTO t USING (VALUES (5), (55)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'm')",
        ),
        case(
            "triggers with transition tables of their own",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF pg_trigger_depth() = 1 THEN UPDATE t SET v = t.v || '+' FROM n WHERE t.id = n.id; END IF; RETURN NULL; END $$; CREATE TRIGGER a AFTER UPDATE ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION f(); CREATE TRIGGER b AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION f();",
            "INSERT INTO t VALUES (10, 'x');; UPDATE t SET v = 'u', id = id + 50 WHERE id < 3;; INSERT INTO t VALUES (3, 'x'), (12, 'y') ON CONFLICT (id) DO UPDATE SET v = 'conflict'",
        ),
        case(
            "returning calls a function",
            "CREATE FUNCTION g(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '+' WHERE id = i; RETURN i; END $$;",
            "INSERT INTO t VALUES (10, 'x'), (11, 'y') RETURNING g(id);; UPDATE t SET v = 'u' WHERE id < 4 RETURNING g(id);; UPDATE t SET id = id + 100 WHERE id < 4 RETURNING g(id);; BEGIN; INSERT INTO t VALUES (20, 'x'); UPDATE t SET v = 'y' WHERE id = 20 RETURNING g(id); COMMIT;; INSERT INTO t VALUES (4, 'x'), (30, 'y') ON CONFLICT (id) DO UPDATE SET v = 'c' RETURNING g(t.id)",
        ),
        case(
            "returning calls a function of SQL",
            "CREATE FUNCTION g(i int) RETURNS int LANGUAGE sql AS $$ UPDATE t SET v = v || '+' WHERE id = i; DELETE FROM t WHERE id = i + 1; INSERT INTO t VALUES (i + 1, 'sql') ON CONFLICT (id) DO UPDATE SET v = 'conflict'; SELECT i $$;",
            "INSERT INTO t VALUES (10, 'x') RETURNING g(id);; UPDATE t SET v = 'u' WHERE id = 1 RETURNING g(id);; DELETE FROM t WHERE id = 5 RETURNING g(id)",
        ),
        case(
            "a function before the row",
            "CREATE FUNCTION g(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = i; RETURN i; END $$;",
            "INSERT INTO t SELECT g(i), 'again' FROM generate_series(1, 3) AS i;; INSERT INTO t VALUES (g(4), 'four') ON CONFLICT DO NOTHING;; BEGIN; INSERT INTO t VALUES (50, 'x'); INSERT INTO t VALUES (g(50), 'y'); COMMIT",
        ),
        case(
            "a function inside an update",
            "CREATE FUNCTION g(i int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '<' WHERE id = i - 1; RETURN 'g'; END $$;",
            "UPDATE t SET v = g(id) WHERE id IN (1, 2);; BEGIN; INSERT INTO t VALUES (21, 'a'), (22, 'b'); UPDATE t SET v = g(id) WHERE id IN (21, 22); COMMIT",
        ),
        case(
            "a default that writes",
            "CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || 'd' WHERE id = 1; RETURN 'default'; END $$; ALTER TABLE t ALTER v SET DEFAULT g();",
            "INSERT INTO t(id) VALUES (10), (11);; INSERT INTO t(id) VALUES (1) ON CONFLICT (id) DO NOTHING",
        ),
        case(
            "functions with exception blocks",
            "CREATE FUNCTION g(i int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN BEGIN UPDATE t SET v = 'lost' WHERE id = i; INSERT INTO t VALUES (i, 'dup'); EXCEPTION WHEN unique_violation THEN UPDATE t SET v = 'kept' WHERE id = i; END; RETURN 'g'; END $$;",
            "SELECT g(1);; INSERT INTO t VALUES (10, 'x') RETURNING g(id);; INSERT INTO t VALUES (11, g(2)), (12, g(3));; BEGIN; SELECT g(5); SELECT g(5); COMMIT",
        ),
        case(
            "whole programs",
            "",
            "DO $$ BEGIN FOR i IN 1..3 LOOP BEGIN INSERT INTO t VALUES (i, 'x') ON CONFLICT (id) DO UPDATE SET v = excluded.v; UPDATE t SET id = id + 100 WHERE id = i; IF i = 2 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN DELETE FROM t WHERE id = 2; END; END LOOP; END $$;; DO $$ BEGIN WITH d AS (DELETE FROM t WHERE id = 5 RETURNING id) INSERT INTO t SELECT id, 'five' FROM d; MERGE INTO t USING (VALUES (6), (66)) AS s(id) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (6, 'six'); END $$",
        ),
        case(
            "views with triggers and rules",
            "CREATE VIEW w AS SELECT * FROM t; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = NEW.id; INSERT INTO t VALUES (NEW.*); RETURN NEW; END $$; CREATE TRIGGER a INSTEAD OF INSERT OR UPDATE ON w FOR EACH ROW EXECUTE FUNCTION f(); CREATE RULE r AS ON DELETE TO t WHERE OLD.id = 7 DO ALSO INSERT INTO t VALUES (70, 'rule');",
            "INSERT INTO w VALUES (1, 'w'), (10, 'w');; UPDATE w SET v = 'x' WHERE id < 3;; DELETE FROM t WHERE id > 6",
        ),
        case(
            "suppressed rows",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id < 5 THEN RETURN NULL; END IF; NEW.id := NEW.id + 1000; RETURN NEW; END $$; CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();",
            "UPDATE t SET v = 'x'",
        ),
        case(
            "deferred triggers",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v !~ 'deferred' THEN UPDATE t SET v = v || ' deferred' WHERE id = NEW.id; INSERT INTO t VALUES (NEW.id + 1000, 'deferred') ON CONFLICT (id) DO UPDATE SET v = t.v || ' deferred'; END IF; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER a AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();",
            "BEGIN; INSERT INTO t VALUES (10, 'x'); UPDATE t SET v = 'y' WHERE id = 10; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'z'); COMMIT;; BEGIN; SET CONSTRAINTS ALL IMMEDIATE; UPDATE t SET v = 'w' WHERE id = 10; COMMIT",
        ),
    ]);
}

#[test]
fn foreign_keys() {
    const CHILD: &str = "CREATE TABLE c(id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, u_id int DEFAULT 1 REFERENCES t ON DELETE SET NULL ON UPDATE CASCADE, w text); INSERT INTO c SELECT i * 10 + j, i, j, 'w' FROM generate_series(1, 9) AS i, generate_series(1, 3) AS j;";
    check_all(&[
        case(
            "cascades",
            CHILD,
            "DELETE FROM t WHERE id = 1;; UPDATE t SET id = id + 100 WHERE id IN (2, 3);; DELETE FROM t WHERE id > 100;; BEGIN; INSERT INTO c VALUES (1, 4, 5); DELETE FROM t WHERE id IN (4, 5); COMMIT;; TRUNCATE t CASCADE",
        ),
        case(
            "both in one statement",
            CHILD,
            "WITH c AS (DELETE FROM c WHERE id < 20) DELETE FROM t WHERE id IN (1, 2);; WITH c AS (INSERT INTO c VALUES (900, 5, 6)) DELETE FROM t WHERE id = 4;; WITH c AS (UPDATE c SET w = 'x' WHERE id = 51) DELETE FROM t WHERE id = 6",
        ),
        // The foreign key's update of the row joins those of the statement that has moved the row.
        case(
            "both change the same row",
            "CREATE TABLE c(id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO c SELECT i * 10, i FROM generate_series(1, 9) AS i;",
            "WITH c AS (UPDATE c SET id = 100 WHERE id = 10) UPDATE t SET id = 50 WHERE id = 1",
        )
        .given_up(),
        case(
            "the child writes the parent",
            "CREATE TABLE c(id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE); INSERT INTO c SELECT i * 10, i FROM generate_series(1, 9) AS i; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '+' WHERE id IN (NEW.t_id, OLD.t_id, 5); INSERT INTO t VALUES (OLD.t_id + 1000, 'c') ON CONFLICT (id) DO UPDATE SET v = 'conflict'; RETURN NULL; END $$; CREATE TRIGGER a AFTER UPDATE OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION f();",
            "DELETE FROM t WHERE id = 1;; UPDATE t SET id = id + 100 WHERE id IN (2, 3);; BEGIN; INSERT INTO t VALUES (20, 'x'); INSERT INTO c VALUES (200, 20); UPDATE t SET id = 21 WHERE id = 20; DELETE FROM t WHERE id = 21; COMMIT",
        ),
        case(
            "a tree",
            "CREATE TABLE t(id int PRIMARY KEY, up int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, v text); INSERT INTO t VALUES (1, 1, 'root'), (2, 1, 'a'), (3, 1, 'b'), (4, 2, 'c'), (5, 4, 'd'), (6, NULL, 'other'), (7, 6, 'e');",
            "UPDATE t SET id = 100 WHERE id = 1;; DELETE FROM t WHERE id = 2;; BEGIN; INSERT INTO t VALUES (8, 7, 'new'), (9, 8, 'new'); UPDATE t SET id = 70 WHERE id = 7; DELETE FROM t WHERE id = 6; COMMIT;; DELETE FROM t WHERE id = 100",
        ),
        case(
            "a tree that lets go",
            "CREATE TABLE t(id int PRIMARY KEY, up int REFERENCES t ON DELETE SET NULL ON UPDATE SET NULL, v text); INSERT INTO t VALUES (1, 1, 'root'), (2, 1, 'a'), (3, 1, 'b'), (4, 2, 'c'), (5, 4, 'd');",
            "UPDATE t SET id = 100 WHERE id = 1;; DELETE FROM t WHERE id = 2;; BEGIN; INSERT INTO t VALUES (8, 5, 'new'), (9, 8, 'new'); UPDATE t SET id = 80 WHERE id = 8; DELETE FROM t WHERE id IN (80, 5); COMMIT",
        ),
        case(
            "a tree with triggers",
            "CREATE TABLE t(id int PRIMARY KEY, up int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, v text); INSERT INTO t VALUES (1, 1, 'root'), (2, 1, 'a'), (3, 1, 'b'), (4, 2, 'c'); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id < 50 THEN INSERT INTO t VALUES (OLD.id + 50, OLD.id + 49, 'ghost') ON CONFLICT (id) DO UPDATE SET v = 'again'; END IF; RETURN OLD; END $$; CREATE TRIGGER a BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO t SELECT i, 1, 'x' FROM generate_series(50, 60) AS i;",
            "DELETE FROM t WHERE id = 4;; !DELETE FROM t WHERE id = 1;; DELETE FROM t WHERE id IN (50, 51);; DELETE FROM t WHERE id = 3",
        ),
        case(
            "deferred",
            "CREATE TABLE c(id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, w text); INSERT INTO c SELECT i * 10, i, 'w' FROM generate_series(1, 9) AS i;",
            "BEGIN; INSERT INTO c VALUES (1, 50, 'early'); INSERT INTO t VALUES (50, 'late'); DELETE FROM t WHERE id = 1; UPDATE t SET id = 20 WHERE id = 2; COMMIT",
        ),
        case(
            "the key of the child is the foreign key",
            "CREATE TABLE c(id int PRIMARY KEY REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE, w text); INSERT INTO c SELECT i, 'w' FROM generate_series(1, 9) AS i;",
            "UPDATE t SET id = id + 100 WHERE id < 3;; DELETE FROM t WHERE id > 100;; BEGIN; UPDATE t SET id = 30 WHERE id = 3; UPDATE c SET w = 'x' WHERE id = 30; UPDATE t SET id = 3 WHERE id = 30; COMMIT;; BEGIN; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (4, 'x'); INSERT INTO c VALUES (4, 'y'); UPDATE t SET id = 40 WHERE id = 4; COMMIT",
        ),
    ]);
}
