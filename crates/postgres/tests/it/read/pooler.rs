//! Behind PgBouncer in transaction mode: every transaction may reach another session of the server.

use std::sync::Arc;

use highwater_core::Store as _;
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::Cluster;

use super::serving::{changes, limit, query, read};

#[tokio::test(flavor = "multi_thread")]
async fn rounds_through_a_pooler() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database
        .sql(
            "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, v text, o oid);
             INSERT INTO t SELECT n, '2024-01-01 12:00+00', 'a', n FROM generate_series(1, 100) AS n",
        )
        .unwrap();
    // A session whose settings are another's must not show.
    database
        .sql(&format!(
            "ALTER DATABASE {} SET timezone = 'Asia/Kolkata'; ALTER DATABASE {0} SET datestyle = 'SQL, DMY'; ALTER DATABASE {0} SET bytea_output = 'escape'",
            database.name()
        ))
        .unwrap();
    let pooler = cluster.pooler().unwrap();
    let url = pooler.url(database.name());
    let store = Arc::new(PostgresStore::open(&url, Options::default()).await.unwrap());
    let t = query(&store.catalog().await.unwrap(), "t");
    let (_, lo, _) = read(&store, &t, None, None, limit(1000)).await.unwrap();
    let lo = lo.unwrap();
    database
        .sql("UPDATE t SET v = 'b' WHERE id % 2 = 0")
        .unwrap();
    // More at a time than there are sessions.
    let readers: Vec<_> = (0..20)
        .map(|number| {
            let (store, t, lo) = (Arc::clone(&store), t.clone(), lo.clone());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    let (page, _, _) = changes(&store, &t, &lo, None, None, limit(1000))
                        .await
                        .unwrap();
                    assert_eq!(page.lines.len(), 50);
                    assert_eq!(
                        page.lines[0],
                        "2,DateTimeOffset:2024-01-01T12:00:00Z,'b','2'"
                    );
                } else {
                    let (page, _, _) = read(&store, &t, Some(lo), None, limit(1000)).await.unwrap();
                    assert_eq!(page.lines.len(), 100);
                    assert!(page.lines.iter().all(|line| line.contains("'a'")));
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    store.maintain_once().await.unwrap();
    assert!(store.status().await.is_ok());
}
