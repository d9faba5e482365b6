use highwater_throwaway::Cluster;

use super::super::signature;
use super::{client, connect, execute, load};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_noticed() {
    let database = Cluster::shared().database().unwrap();
    let role = database.name().to_owned();
    let mut client = client(&database, &format!("CREATE ROLE {role}_x")).await;
    let other = connect(&database.url()).await;
    let mut known = load(&mut client).await.unwrap();
    for sql in [
        "CREATE TABLE a (id int PRIMARY KEY, x int)",
        "ALTER TABLE a RENAME x TO y",
        "ALTER TABLE a ALTER y SET NOT NULL",
        "ALTER TABLE a ALTER y SET DEFAULT 1",
        "ALTER TABLE a ALTER y TYPE numeric(10, 2)",
        "ALTER TABLE a ALTER y TYPE numeric(12, 2)",
        "ALTER TABLE a DROP y",
        "ALTER TABLE a ADD y int",
        "CREATE TABLE b (id int NOT NULL, a int REFERENCES a)",
        "CREATE UNIQUE INDEX b_id ON b (id)",
        "CREATE UNIQUE INDEX ON b (a)",
        "ALTER TABLE b ADD FOREIGN KEY (id) REFERENCES a",
        "DROP INDEX b_id",
        "CREATE VIEW v AS SELECT * FROM a",
        "ALTER VIEW v RENAME id TO number",
        "ALTER TABLE a RENAME TO c",
        "CREATE SCHEMA s",
        "ALTER TABLE c SET SCHEMA s",
        "ALTER SCHEMA s RENAME TO r",
        "CREATE DOMAIN d AS int; ALTER TABLE b ADD e d",
        "ALTER DOMAIN d SET NOT NULL",
        "CREATE TABLE g () INHERITS (b)",
        "ALTER TABLE b SET UNLOGGED",
        "DROP TABLE b CASCADE",
    ] {
        execute(&other, sql).await;
        let seen = signature(&client, &known.signature).await.unwrap();
        assert_ne!(seen, known.signature, "{sql}");
        let now = load(&mut client).await.unwrap();
        assert_eq!(seen, now.signature, "{sql}");
        if !sql.contains("SCHEMA s") || sql.contains("SET") {
            assert_ne!(now.catalog.version, known.catalog.version, "{sql}");
        }
        known = now;
    }
    for sql in [
        "SELECT 1",
        "CREATE TEMPORARY TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1)",
        "INSERT INTO r.c VALUES (1)",
        "ANALYZE; VACUUM",
    ] {
        for sql in sql.split("; ") {
            execute(&other, sql).await;
        }
        let seen = signature(&client, &known.signature).await.unwrap();
        assert_eq!(seen, known.signature, "{sql}");
        let now = load(&mut client).await.unwrap();
        assert_eq!(now.catalog.version, known.catalog.version, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_sees_the_same_version() {
    let database = Cluster::shared().database().unwrap();
    let mut one = client(
        &database,
        "CREATE TABLE a (id int PRIMARY KEY, x numeric(3, 1)); CREATE VIEW v AS TABLE a",
    )
    .await;
    let mut two = connect(&database.url()).await;
    let (one, two) = (load(&mut one).await.unwrap(), load(&mut two).await.unwrap());
    assert_eq!(one.catalog, two.catalog);
    assert_eq!(one.signature, two.signature);
}
