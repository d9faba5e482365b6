use highwater_throwaway::{Cluster, Database};

use super::*;
use crate::connect::Access;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

fn track(database: &Database<'_>, policy: &Policy) -> Result<Ensured, Error> {
    run(async {
        let mut client = Access::parse(&database.url())?.connect().await?;
        ensure(&mut client, policy).await
    })
}

fn stop(database: &Database<'_>, tables: Option<&[String]>) -> Result<Vec<String>, Error> {
    run(async {
        let mut client = Access::parse(&database.url())?.connect().await?;
        untrack(&mut client, tables).await
    })
}

#[test]
fn tracking_begins_continues_and_ends_without_a_trace() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database
        .sql("CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE u(v text); CREATE SCHEMA s; CREATE TABLE s.p(id int, k int, PRIMARY KEY (id, k)) PARTITION BY RANGE (k); CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (10)")
        .unwrap();
    let ensured = track(&database, &Policy::All).unwrap();
    assert_eq!(ensured.tracked, ["s.p", "t"]);
    assert_eq!(track(&database, &Policy::All).unwrap(), Ensured::default());
    database.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET id = 3, v = 'c' WHERE id = 2; DELETE FROM t WHERE id = 1").unwrap();
    let rows = database
        .sql("SELECT k0, old FROM highwater.history_1 ORDER BY seq")
        .unwrap();
    println!("{rows:?}");
    database
        .sql("INSERT INTO s.p VALUES (1, 1); UPDATE s.p SET id = 2; TRUNCATE s.p1")
        .unwrap();
    let rows = database
        .sql("SELECT k0, old FROM highwater.history_2 ORDER BY seq")
        .unwrap();
    println!("{rows:?}");
    assert_eq!(stop(&database, None).unwrap(), ["s.p", "t"]);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'highwater' UNION ALL SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'highwater%'";
    assert_eq!(
        database.sql(left).unwrap(),
        [[Some("0".to_owned())], [Some("0".to_owned())]]
    );
}
