//! Many nodes at a time, applications that hold locks, and databases that are not what they were.

use std::time::{Duration, Instant};

use highwater_core::tracking::{Ensured, Policy};
use highwater_throwaway::{Cluster, Options, Stop};

use super::oracle::{Oracle, fields, run, track};

#[test]
fn many_nodes_start_at_once() {
    let database = Cluster::shared().database().unwrap();
    let tables: String = (0..6)
        .map(|i| format!("CREATE TABLE t{i}(id int PRIMARY KEY, v text);"))
        .collect();
    database.sql(&tables).unwrap();
    let told: Vec<Ensured> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..6).map(|_| scope.spawn(|| track(&database))).collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    let mut tracked: Vec<String> = told
        .iter()
        .flat_map(|ensured| ensured.tracked.clone())
        .collect();
    tracked.sort();
    assert_eq!(tracked, ["t0", "t1", "t2", "t3", "t4", "t5"], "{told:?}");
    assert!(
        told.iter()
            .all(|ensured| ensured.renewed.is_empty() && ensured.forgotten.is_empty()),
        "{told:?}"
    );
    let rows = database.sql("SELECT count(*), count(DISTINCT relation) FROM highwater.tracked_table WHERE layout = highwater.layout(relation)").unwrap();
    assert_eq!(fields(&rows[0]), ["6".to_owned(), "6".to_owned()]);
}

/// A long transaction on one table neither keeps the others from being tracked, nor do its table's writers wait long.
#[test]
fn an_application_that_holds_a_lock() {
    let database = Cluster::shared().database().unwrap();
    database
        .sql("CREATE TABLE busy(id int PRIMARY KEY); CREATE TABLE idle(id int PRIMARY KEY)")
        .unwrap();
    let mut long = database.session().unwrap();
    long.run("BEGIN; INSERT INTO busy VALUES (1)").unwrap();
    std::thread::scope(|scope| {
        let node = scope.spawn(|| track(&database));
        let mut other = database.session().unwrap();
        let mut slowest = Duration::ZERO;
        let mut id = 10;
        while !node.is_finished() {
            let started = Instant::now();
            other
                .run(&format!("INSERT INTO busy VALUES ({id})"))
                .unwrap();
            slowest = slowest.max(started.elapsed());
            id += 1;
        }
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        assert_eq!(node.join().unwrap().tracked, ["idle"]);
    });
    let refused = run(highwater_postgres::admin::track(
        &database.url(),
        &Policy::Only(vec!["busy".into()]),
    ))
    .unwrap_err();
    assert!(
        matches!(refused, highwater_core::Error::Busy(_)),
        "{refused:?}"
    );
    long.run("COMMIT").unwrap();
    assert_eq!(track(&database).tracked, ["busy"]);
}

fn epoch(cluster: &Cluster, database: &str) -> String {
    let rows = cluster
        .sql(database, "SELECT epoch FROM highwater.meta")
        .unwrap();
    let [epoch] = fields(&rows[0]);
    epoch
}

/// In a copy of the database, transaction numbers mean something else.
#[test]
fn a_copy_is_another_database() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database
        .sql("CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
        .unwrap();
    track(&database);
    database.sql("UPDATE t SET v = 'x'").unwrap();
    let copy = format!("{}_copy", database.name());
    cluster
        .sql(
            "postgres",
            &format!("CREATE DATABASE {copy} TEMPLATE {}", database.name()),
        )
        .unwrap();
    let same = "SELECT identity = highwater.identity() FROM highwater.meta";
    assert_eq!(fields(&database.sql(same).unwrap()[0]), ["t".to_owned()]);
    assert_eq!(
        fields(&cluster.sql(&copy, same).unwrap()[0]),
        ["f".to_owned()]
    );
    let url = database.url().replace(database.name(), &copy);
    let ensured = run(highwater_postgres::admin::track(&url, &Policy::All)).unwrap();
    assert_eq!(ensured.renewed, ["t"]);
    assert_eq!(
        run(highwater_postgres::admin::track(&url, &Policy::All)).unwrap(),
        Ensured::default()
    );
    assert_ne!(epoch(cluster, &copy), epoch(cluster, database.name()));
    let keys = "SELECT string_agg(id || ' ' || secret, ',') FROM highwater.seal_key";
    assert_eq!(
        cluster.sql(&copy, keys).unwrap(),
        database.sql(keys).unwrap()
    );
    cluster.sql(&copy, "UPDATE t SET v = 'y'").unwrap();
    assert_eq!(
        cluster
            .sql(&copy, "SELECT old FROM highwater.history_2")
            .unwrap(),
        [[Some("(1,x)".to_owned())]]
    );
    cluster
        .sql("postgres", &format!("DROP DATABASE {copy}"))
        .unwrap();
}

#[test]
fn dump_and_reload_make_another_database() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database
        .sql("CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE p(id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT; INSERT INTO t VALUES (1, 'one'); INSERT INTO p VALUES (1)")
        .unwrap();
    track(&database);
    database.sql("UPDATE t SET v = 'x'").unwrap();
    let program = cluster.binaries().program("pg_dump");
    let dump = std::process::Command::new(program)
        .arg("--inserts")
        .arg(database.socket_url())
        .output()
        .unwrap();
    assert!(dump.status.success(), "{dump:?}");
    let reloaded = cluster.database().unwrap();
    let script = String::from_utf8(dump.stdout).unwrap();
    // Commands of psql itself.
    let script: String = script
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .map(|line| format!("{line}\n"))
        .collect();
    reloaded.sql(&script).unwrap();
    // Writes before anybody notices must not fail.
    reloaded.sql("SET search_path = public; INSERT INTO t VALUES (2, 'two'); UPDATE t SET v = 'y'; INSERT INTO p VALUES (2); DELETE FROM p; TRUNCATE t, p").unwrap();
    assert_eq!(track(&reloaded).renewed, ["p", "t"]);
    assert_eq!(track(&reloaded), Ensured::default());
    let mut oracle = Oracle::of(reloaded);
    oracle.run("INSERT INTO t VALUES (1, 'one'); INSERT INTO p VALUES (1)");
    oracle.run("UPDATE t SET v = 'x'; UPDATE p SET id = 5");
    assert_eq!(oracle.verify().void, 0);
}

/// A crash empties `UNLOGGED` tables and their histories.
#[test]
fn a_crash() {
    let cluster = Cluster::start(&Options::new()).unwrap();
    let sql = |sql: &str| cluster.sql("postgres", sql).unwrap();
    sql(
        "CREATE UNLOGGED TABLE u(id int PRIMARY KEY, v text); CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'one'); INSERT INTO t VALUES (1, 'one')",
    );
    let ensure = || {
        run(highwater_postgres::admin::track(
            &cluster.url("postgres"),
            &Policy::All,
        ))
        .unwrap()
    };
    assert_eq!(ensure().tracked, ["t", "u"]);
    sql("UPDATE u SET v = 'x'; UPDATE t SET v = 'x'");
    cluster.restart(Stop::Fast).unwrap();
    assert_eq!(ensure(), Ensured::default());
    assert_eq!(
        fields(&sql("SELECT count(*) FROM highwater.history_2")[0]),
        ["1".to_owned()]
    );
    cluster.kill().unwrap();
    cluster.start_again().unwrap();
    let in_order =
        "SELECT table_name FROM highwater.tracked_table WHERE layout = highwater.layout(relation)";
    assert_eq!(sql(in_order), [[Some("t".to_owned())]]);
    sql("INSERT INTO u VALUES (5, 'after')");
    assert_eq!(ensure().renewed, ["u"]);
    assert_eq!(ensure(), Ensured::default());
    assert_eq!(
        fields(&sql("SELECT count(*) FROM highwater.history_1")[0]),
        ["1".to_owned()]
    );
}

/// A standby is the same database until it is promoted.
#[test]
fn a_promoted_standby() {
    let primary = Cluster::start(&Options::new()).unwrap();
    primary.sql("postgres", "CREATE TABLE t(id int PRIMARY KEY, v text); CREATE UNLOGGED TABLE u(id int PRIMARY KEY)").unwrap();
    run(highwater_postgres::admin::track(
        &primary.url("postgres"),
        &Policy::All,
    ))
    .unwrap();
    let standby = primary.standby(&Options::new()).unwrap();
    standby.catch_up(&primary).unwrap();
    let same = "SELECT identity = highwater.identity() FROM highwater.meta";
    assert_eq!(
        fields(&standby.sql("postgres", same).unwrap()[0]),
        ["t".to_owned()]
    );
    let layouts = "SELECT table_name, layout = highwater.layout(relation) FROM highwater.tracked_table ORDER BY 1";
    let rows = standby.sql("postgres", layouts).unwrap();
    assert_eq!(
        rows,
        [
            vec![Some("t".to_owned()), Some("t".to_owned())],
            vec![Some("u".to_owned()), None]
        ]
    );
    let ensure = || {
        run(highwater_postgres::admin::track(
            &standby.url("postgres"),
            &Policy::All,
        ))
        .unwrap()
    };
    assert_eq!(ensure(), Ensured::default());
    let before = epoch(&primary, "postgres");
    primary.kill().unwrap();
    standby.sql("postgres", "SELECT pg_promote()").unwrap();
    assert_eq!(
        fields(&standby.sql("postgres", same).unwrap()[0]),
        ["f".to_owned()]
    );
    assert_eq!(ensure().renewed, ["t", "u"]);
    assert_ne!(epoch(&standby, "postgres"), before);
    assert_eq!(ensure(), Ensured::default());
    drop(standby);
}

/// What another server sends is captured like what is written here: initial copy, changes, `TRUNCATE`.
#[test]
fn logical_replication() {
    let publisher = Cluster::start(&Options::new()).unwrap();
    let table = "CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE p(id int PRIMARY KEY, k int); CREATE TABLE log(id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)";
    publisher.sql("postgres", table).unwrap();
    publisher.sql("postgres", "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 5) AS i; CREATE PUBLICATION pub FOR TABLE t").unwrap();
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::start(&Options::new()).unwrap()));
    let subscriber = cluster.database().unwrap();
    subscriber.sql(table).unwrap();
    // A trigger for applied changes that writes to the same table again.
    subscriber
        .sql(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
                IF TG_OP = 'INSERT' THEN UPDATE t SET v = v || '+' WHERE id = NEW.id AND id > 100; INSERT INTO log(v) VALUES (NEW.v);
                ELSIF TG_OP = 'DELETE' AND OLD.id > 200 THEN INSERT INTO t VALUES (OLD.id, 'back'); END IF; RETURN NULL; END $$;
             CREATE TRIGGER a AFTER INSERT OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER a",
        )
        .unwrap();
    track(&subscriber);
    let mut oracle = Oracle::of(subscriber);
    let name = oracle.database.name().to_owned();
    oracle.run(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host={} port={} user=postgres dbname=postgres' PUBLICATION pub",
        publisher.directory().display(),
        publisher.port()
    ));
    let mut wait_for = |content: &str| {
        let started = Instant::now();
        loop {
            oracle.remember(content);
            let rows = oracle
                .session
                .run("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t")
                .unwrap()
                .rows;
            let [found] = fields(&rows[0]);
            if found == content {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{found} instead of {content}\n{}",
                oracle.database.cluster().log()
            );
        }
    };
    wait_for("(1,v1) (2,v2) (3,v3) (4,v4) (5,v5)");
    let send = |sql: &str| publisher.sql("postgres", sql).unwrap();
    send("UPDATE t SET v = 'x' WHERE id < 3; DELETE FROM t WHERE id = 5");
    wait_for("(1,x) (2,x) (3,v3) (4,v4)");
    send(
        "BEGIN; UPDATE t SET id = 30 WHERE id = 3; INSERT INTO t VALUES (3, 'new'), (101, 'n'), (201, 'm'); UPDATE t SET v = 'u' WHERE id = 3; COMMIT",
    );
    wait_for("(1,x) (2,x) (3,u) (4,v4) (30,v3) (101,n+) (201,m+)");
    send("DELETE FROM t WHERE id > 100");
    wait_for("(1,x) (2,x) (3,u) (4,v4) (30,v3) (201,back+)");
    send("TRUNCATE t");
    wait_for("");
    send("INSERT INTO t VALUES (1, 'last')");
    wait_for("(1,last)");
    oracle.run(&format!("DROP SUBSCRIPTION {name}"));
    let verified = oracle.verify();
    assert!(verified.void == 0 && verified.records > 20, "{verified:?}");
}
