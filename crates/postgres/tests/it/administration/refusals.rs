//! What the server, or somebody who looks after it, does not let Highwater do.

use highwater_core::tracking::{Ensured, Policy};
use highwater_core::{Error, Store as _, Tracking};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Options as ClusterOptions};

use super::{commands, status, table, tracked};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_trigger_that_forbids_it_does_not_keep_tables_from_being_served() {
    let database = Cluster::shared().database().unwrap();
    let url = database.url();
    database
        .sql(
            "CREATE TABLE a (id int PRIMARY KEY);
             CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not in office hours'; END $$;
             CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()",
        )
        .unwrap();
    let store = PostgresStore::open(&url, Options::default()).await.unwrap();
    let is_tracked = async || {
        let catalog = store.catalog().await.unwrap();
        let table = catalog.table(Some("public"), "a").unwrap();
        matches!(catalog.tables[table].tracking, Tracking::Tracked { .. })
    };
    assert!(!is_tracked().await);
    assert_eq!(
        commands::track(&url, &Policy::All).await.unwrap(),
        Ensured::default()
    );
    let refused = commands::track(&url, &Policy::Only(vec!["a".into()])).await;
    assert!(
        matches!(&refused, Err(Error::Unsupported(text)) if text.contains("not in office hours") && text.contains("event trigger")),
        "{refused:?}"
    );
    let told = async || {
        let warnings = status(&database).await.warnings;
        warnings
            .iter()
            .any(|w| w.starts_with("Event triggers are called when the schema changes (no)"))
    };
    assert!(told().await);
    database.sql("ALTER EVENT TRIGGER no DISABLE").unwrap();
    assert!(!told().await);
    // Nothing tells that this has become possible, so it is simply tried again.
    while !is_tracked().await {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_that_is_too_short_is_told() {
    let database = Cluster::shared().database().unwrap();
    database.sql("CREATE TABLE a (id int PRIMARY KEY)").unwrap();
    let url = format!("{}?options=-cstatement_timeout%3D1", database.url());
    let refused = PostgresStore::open(&url, Options::default()).await.err();
    assert!(
        matches!(&refused, Some(Error::Unavailable(text)) if text.contains("statement_timeout")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_writes_nothing_is_warned_of() {
    let database = Cluster::shared().database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY)").await;
    let url = format!(
        "{}?options=-cdefault_transaction_read_only%3Don",
        database.url()
    );
    let told = |warnings: &[String]| {
        warnings
            .iter()
            .any(|w| w.contains("default_transaction_read_only"))
    };
    assert!(told(&commands::status(&url).await.unwrap().warnings));
    assert!(!told(&status(&database).await.warnings));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_this_role_may_not_read_keeps_its_history() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    let owner = format!("owner_{}", database.name());
    database
        .sql(&format!(
            "CREATE ROLE {owner} LOGIN; GRANT CREATE ON DATABASE {} TO {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner};
             SET ROLE {owner}; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)",
            database.name()
        ))
        .unwrap();
    let url = database.url().replace("postgres@", &format!("{owner}@"));
    commands::track(&url, &Policy::All).await.unwrap();
    for (forbid, permit) in [
        (
            format!("REVOKE SELECT ON a FROM {owner}"),
            format!("GRANT SELECT ON a TO {owner}"),
        ),
        (
            format!("REVOKE USAGE ON SCHEMA public FROM {owner}, public"),
            "GRANT USAGE ON SCHEMA public TO public".to_owned(),
        ),
        (
            "ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE a FORCE ROW LEVEL SECURITY"
                .to_owned(),
            "ALTER TABLE a NO FORCE ROW LEVEL SECURITY; ALTER TABLE a DISABLE ROW LEVEL SECURITY"
                .to_owned(),
        ),
    ] {
        database.sql(&forbid).unwrap();
        let ensured = commands::track(&url, &Policy::All).await.unwrap();
        assert_eq!(ensured, Ensured::default(), "{forbid}");
        let found = commands::status(&url).await.unwrap();
        assert!(table(&found, "a").untracked_because.is_some(), "{forbid}");
        database.sql(&permit).unwrap();
        let ensured = commands::track(&url, &Policy::All).await.unwrap();
        assert_eq!(ensured, Ensured::default(), "{permit}");
        assert_eq!(table(&status(&database).await, "a").untracked_because, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_standby_the_primary_is_asked_for() {
    let primary = Cluster::start(&ClusterOptions::new()).unwrap();
    let database = primary.database().unwrap();
    tracked(&database, "CREATE TABLE a (id int PRIMARY KEY)").await;
    let standby = primary.standby(&ClusterOptions::new()).unwrap();
    let refused = commands::untrack(&standby.url(database.name()), None).await;
    assert!(
        matches!(&refused, Err(Error::ReadOnly(text)) if text.contains("on the primary")),
        "{refused:?}"
    );
}
