//! What only some versions of PostgreSQL have.

use highwater_throwaway::Cluster;
use tokio_postgres::Client;

use super::{client, execute, load, reason, table};
use crate::schema::Schema;

/// The schema after some statements; `None` if the server is older than they are.
async fn since(version: i32, client: &mut Client, sql: &str) -> Option<Schema> {
    let ask = "SELECT current_setting('server_version_num')::int4";
    let server: i32 = client.query_one(ask, &[]).await.unwrap().get(0);
    if server < version {
        return None;
    }
    execute(client, sql).await;
    Some(load(client).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_version_14() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "").await;
    let sql = "CREATE TABLE t (a int4multirange PRIMARY KEY, b int[], c text COMPRESSION pglz)";
    let Some(schema) = since(140_000, &mut client, sql).await else {
        return;
    };
    assert_eq!(table(&schema, "t").key, [0]);
    assert!(schema.layouts[0].columns[0].coarse);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_version_15() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "").await;
    let sql =
        "CREATE TABLE t (a int NOT NULL, b int, UNIQUE NULLS NOT DISTINCT (a), c numeric(3, -2));
        CREATE VIEW v WITH (security_invoker = true) AS TABLE t";
    let Some(schema) = since(150_000, &mut client, sql).await else {
        return;
    };
    assert_eq!(table(&schema, "t").key, [0]);
    assert_eq!(table(&schema, "t").columns[2].scale, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_version_18() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "").await;
    let sql = "
        CREATE TABLE virtual (id uuid PRIMARY KEY DEFAULT uuidv7(), a int, b int GENERATED ALWAYS AS (a + 1) VIRTUAL);
        CREATE TABLE temporal (k int4range, d daterange, PRIMARY KEY (k, d WITHOUT OVERLAPS));
        CREATE TABLE period (k int4range, d daterange, FOREIGN KEY (k, PERIOD d) REFERENCES temporal (k, PERIOD d));
        CREATE TABLE unchecked (a int UNIQUE);
        ALTER TABLE unchecked ADD CONSTRAINT later NOT NULL a NOT VALID;
        CREATE TABLE unenforced (a int PRIMARY KEY, b uuid REFERENCES virtual NOT ENFORCED)";
    let Some(schema) = since(180_000, &mut client, sql).await else {
        return;
    };
    let generated = &table(&schema, "virtual").columns[2];
    assert!(generated.computed && generated.nullable);
    assert!(reason(table(&schema, "virtual")).contains(r#"Its column "b" is VIRTUAL"#));
    assert!(table(&schema, "temporal").key.is_empty());
    assert!(reason(table(&schema, "temporal")).contains("WITHOUT OVERLAPS"));
    assert!(table(&schema, "period").relations.is_empty());
    assert!(table(&schema, "unchecked").columns[0].nullable);
    assert!(table(&schema, "unchecked").key.is_empty());
    assert_eq!(table(&schema, "unenforced").relations.len(), 1);
}
