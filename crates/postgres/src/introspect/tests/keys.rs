use highwater_throwaway::Cluster;

use super::{client, execute, facts, load, reason, table};

/// Why a table that could be tracked is not.
const NOT_YET: &str = "Tracking is not switched on";

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_tables() {
    // (statements for a table `t`, the key, why the table is not tracked)
    let cases: &[(&str, &[&str], &str)] = &[
        ("CREATE TABLE t (a int PRIMARY KEY)", &["a"], NOT_YET),
        (
            "CREATE TABLE t (a int, b int, c int, PRIMARY KEY (c, a))",
            &["c", "a"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE NOT NULL)",
            &["a"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (b int UNIQUE, a int UNIQUE NOT NULL)",
            &["a"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int UNIQUE NOT NULL, UNIQUE (a, b))",
            &["c"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (a int NOT NULL, b int NOT NULL); CREATE UNIQUE INDEX ON t (b); CREATE UNIQUE INDEX ON t (a)",
            &["a"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (a int NOT NULL, b int); CREATE UNIQUE INDEX ON t (a) INCLUDE (b)",
            &["a"],
            NOT_YET,
        ),
        ("CREATE TABLE t (a text PRIMARY KEY)", &["a"], NOT_YET),
        ("CREATE TABLE t (a jsonb PRIMARY KEY)", &["a"], NOT_YET),
        (
            "CREATE TABLE t (a numeric, b interval, c text[], PRIMARY KEY (a, b, c))",
            &["a", "b", "c"],
            NOT_YET,
        ),
        ("CREATE TABLE t (a int)", &[], "It has no primary key"),
        ("CREATE TABLE t ()", &[], "It has no primary key"),
        (
            "CREATE TABLE t (a int UNIQUE)",
            &[],
            "It has no primary key",
        ),
        (
            "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX ON t (a) WHERE a > 0",
            &[],
            "It has no primary key",
        ),
        (
            "CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX ON t ((a + 1))",
            &[],
            "It has no primary key",
        ),
        (
            "CREATE TABLE t (a text NOT NULL); CREATE UNIQUE INDEX ON t (a text_pattern_ops)",
            &[],
            "It has no primary key",
        ),
        (
            r#"CREATE TABLE t (a text NOT NULL); CREATE UNIQUE INDEX ON t (a COLLATE "C")"#,
            &[],
            "It has no primary key",
        ),
        (
            "CREATE DOMAIN required AS int NOT NULL; CREATE TABLE t (a required UNIQUE)",
            &[],
            "It has no primary key",
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY DEFERRABLE)",
            &["a"],
            "DEFERRABLE",
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, b int UNIQUE NOT NULL)",
            &["b"],
            NOT_YET,
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY, b regclass)",
            &["a"],
            "holds the type regclass",
        ),
        (
            "CREATE TABLE t (a regclass PRIMARY KEY)",
            &["a"],
            "holds the type regclass",
        ),
        (
            "CREATE TYPE holder AS (r regrole[]); CREATE DOMAIN held AS holder; CREATE TABLE t (a int PRIMARY KEY, b held[])",
            &["a"],
            "holds the type regrole",
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY, b aclitem)",
            &["a"],
            "holds the type aclitem",
        ),
        (
            "CREATE TYPE rank AS ENUM ('low', 'high');
             CREATE FUNCTION same(rank) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text';
             CREATE CAST (rank AS text) WITH FUNCTION same(rank);
             CREATE TABLE t (a rank PRIMARY KEY)",
            &["a"],
            "has a cast to text of its own",
        ),
    ];
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "").await;
    for (sql, key, untracked) in cases {
        execute(&client, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
        execute(&client, sql).await;
        let schema = load(&mut client).await.unwrap();
        let (table, facts) = (table(&schema, "t"), facts(&schema, "t"));
        let found: Vec<&str> = facts.key.iter().map(|k| k.name.as_str()).collect();
        assert_eq!(&found, key, "{sql}");
        assert_eq!(
            table.key,
            facts.key.iter().map(|k| k.column).collect::<Vec<_>>()
        );
        assert!(
            reason(table).contains(untracked),
            "{sql}: {}",
            reason(table)
        );
        assert_eq!(facts.obstacle.is_none(), *untracked == NOT_YET, "{sql}");
        assert_eq!(facts.key_index.is_some(), !key.is_empty(), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floating_point_keys_are_decimals() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "CREATE TABLE t (a float8 PRIMARY KEY, b float8)").await;
    let schema = load(&mut client).await.unwrap();
    let types: Vec<String> = table(&schema, "t")
        .columns
        .iter()
        .map(|column| format!("{:?}", column.ty))
        .collect();
    assert_eq!(types, ["Decimal", "Double"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_finished_is_no_key() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(
        &database,
        "CREATE TABLE t (a int NOT NULL); INSERT INTO t VALUES (1), (1)",
    )
    .await;
    let refused = client
        .batch_execute("CREATE UNIQUE INDEX CONCURRENTLY ON t (a)")
        .await;
    assert!(refused.is_err());
    let schema = load(&mut client).await.unwrap();
    assert!(table(&schema, "t").key.is_empty());
}
