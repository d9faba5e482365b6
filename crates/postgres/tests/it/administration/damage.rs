//! Highwater's own schema in states that it should not be in, and schemas of that name that are somebody else's.

use highwater_core::Error;
use highwater_core::tracking::Policy;
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Database};

use super::{commands, tracked};

async fn is_clean(database: &Database<'_>) -> bool {
    let sql = "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'highwater')
        AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname LIKE 'highwater%')";
    database.sql(sql).unwrap()[0][0].as_deref() == Some("t")
}

/// Whatever is missing, everybody says what to do, and that can be done.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_schema_can_be_removed() {
    for (damage, is_told) in [
        ("DELETE FROM highwater.meta", true),
        ("DROP TABLE highwater.meta CASCADE", true),
        ("ALTER FUNCTION highwater.layout RENAME TO other", true),
        ("DROP VIEW highwater.tracked_table", false),
        ("DROP TABLE highwater.registered CASCADE", false),
        ("DROP TABLE highwater.sentinel", false),
        ("ALTER TABLE highwater.registered DROP COLUMN leaves", false),
        ("DROP TABLE highwater.history_1", false),
    ] {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        tracked(
            &database,
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)",
        )
        .await;
        database.sql(damage).unwrap();
        if is_told {
            let opened = PostgresStore::open(&url, Options::default()).await.err();
            for refused in [opened, commands::track(&url, &Policy::All).await.err()] {
                let text = refused.map(|error| error.to_string()).unwrap_or_default();
                assert!(
                    text.contains("highwater untrack DATABASE --all"),
                    "{damage}: {text}"
                );
            }
        }
        commands::untrack(&url, None)
            .await
            .unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert!(is_clean(&database).await, "{damage}");
        database.sql("INSERT INTO a VALUES (1)").unwrap();
        let ensured = commands::track(&url, &Policy::All).await.unwrap();
        assert_eq!(ensured.tracked, ["a", "b"], "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_of_somebody_else_is_left_alone() {
    for tables in [
        "CREATE TABLE highwater.marks (id int)",
        "CREATE TABLE highwater.meta (name text, value text); CREATE TABLE highwater.registered (id int, name text)",
        "CREATE TABLE highwater.meta (name text); CREATE VIEW highwater.tracked_table AS SELECT 1 AS id",
    ] {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        let sql = format!("CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA highwater; {tables}");
        database.sql(&sql).unwrap();
        for refused in [
            PostgresStore::open(&url, Options::default()).await.err(),
            commands::track(&url, &Policy::All).await.err(),
            commands::untrack(&url, None).await.err(),
        ] {
            assert!(
                matches!(&refused, Some(Error::Unsupported(text)) if text.contains("not Highwater's")),
                "{tables}: {refused:?}"
            );
        }
        commands::status(&url).await.unwrap();
    }
}
