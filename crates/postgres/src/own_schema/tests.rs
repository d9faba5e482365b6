//! Upgrades, while nodes of this version serve: what a later version would do is done here with steps that no version has.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_core::Error;
use highwater_core::tracking::{Ensured, Policy};
use highwater_server::{Service, Settings};
use highwater_throwaway::{Cluster, Database, Options as ClusterOptions};
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use serde_json::Value;

use super::{Upgrade, upgrade_script};
use crate::connect::Access;
use crate::error::Fault;
use crate::{Options, PostgresStore, admin, capture, tracking};

/// What older programs need not know. It fails if it is done twice.
const HARMLESS: Upgrade = Upgrade {
    readable_by: 1,
    sql: "ALTER TABLE highwater.meta ADD note text DEFAULT 'new'",
};

/// What older programs cannot work with.
const GREAT: Upgrade = Upgrade {
    readable_by: 2,
    sql: "ALTER TABLE highwater.tick RENAME COLUMN nonce TO token",
};

/// Begins like [`HARMLESS`] and then waits for a lock that the test holds.
const STUCK: Upgrade = Upgrade {
    readable_by: 1,
    sql: "ALTER TABLE highwater.meta ADD note text DEFAULT 'new'; SELECT pg_advisory_xact_lock(77)",
};

/// What a new version does when it starts.
async fn upgrade(url: &str, upgrades: &[Upgrade]) -> Result<(), Error> {
    let mut client = Access::parse(url)?.connect().await?;
    tracking::prepare(&mut client, upgrades)
        .await
        .map_err(Fault::tell)
}

/// A node of this version.
struct Node {
    store: Arc<PostgresStore>,
    service: Service,
}

impl Node {
    async fn new(url: &str) -> Node {
        let store = Arc::new(PostgresStore::open(url, Options::default()).await.unwrap());
        let service = Service::new(store.clone(), Settings::default());
        service.prepare().await.unwrap();
        Node { store, service }
    }

    async fn get(&self, target: &str) -> (StatusCode, Value) {
        let request = http::Request::builder()
            .uri(target)
            .header("host", "h")
            .header("prefer", "track-changes")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let (head, body) = self.service.call(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, serde_json::from_slice(&body).unwrap())
    }

    /// Reads a round to its end: the number of its items, and the next link.
    async fn round(&self, target: &str) -> (usize, String) {
        let (status, page) = self.get(target).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let link = page["@deltaLink"].as_str().expect("one page");
        let path = link.strip_prefix("http://h").unwrap();
        (page["value"].as_array().unwrap().len(), path.to_owned())
    }
}

fn database() -> Database<'static> {
    let database = Cluster::shared().database().unwrap();
    database
        .sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
        .unwrap();
    database
}

fn text(database: &Database<'_>, sql: &str) -> String {
    database.sql(sql).unwrap()[0][0].clone().unwrap_or_default()
}

const FORMATS: &str = "SELECT concat_ws(' ', format, readable_by) FROM highwater.meta";

#[tokio::test(flavor = "multi_thread")]
async fn an_older_node_goes_on_where_it_can() {
    let database = database();
    let node = Node::new(&database.url()).await;
    let (rows, link) = node.round("/odata/t").await;
    assert_eq!(rows, 2);
    upgrade(&database.url(), &[HARMLESS]).await.unwrap();
    assert_eq!(text(&database, FORMATS), "2 1");
    database.sql("UPDATE t SET v = 5 WHERE id = 1").unwrap();
    let (changes, link) = node.round(&link).await;
    assert_eq!(changes, 1);
    // It also maintains, tracks and tells, and takes nothing back.
    let ticks = "SELECT count(*) FROM highwater.tick";
    let before = text(&database, ticks);
    node.store.maintain_once().await.unwrap();
    assert_ne!(text(&database, ticks), before);
    database
        .sql("CREATE TABLE u (id int PRIMARY KEY); DELETE FROM t WHERE id = 2")
        .unwrap();
    assert_eq!(node.round("/odata/u").await.0, 0);
    assert_eq!(node.round(&link).await.0, 1);
    admin::status(&database.url()).await.unwrap();
    let other = Node::new(&database.url()).await;
    assert_eq!(other.round(&link).await.0, 1);
    assert_eq!(text(&database, FORMATS), "2 1");
    assert_eq!(text(&database, "SELECT note FROM highwater.meta"), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_node_refuses_what_it_cannot_read_and_writes_nothing() {
    let database = database();
    let node = Node::new(&database.url()).await;
    let (_, link) = node.round("/odata/t").await;
    let maintenance = tokio::spawn(PostgresStore::maintain(Arc::downgrade(&node.store)));
    let ticks = "SELECT count(*) FROM highwater.tick";
    // One for the row, so that the maintenance is known to be at work.
    let before = text(&database, ticks);
    database.sql("UPDATE t SET v = 4 WHERE id = 1").unwrap();
    while text(&database, ticks) == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    upgrade(&database.url(), &[GREAT]).await.unwrap();
    assert_eq!(text(&database, FORMATS), "2 2");
    let before = text(&database, ticks);
    // What the application writes is captured as ever.
    database
        .sql("UPDATE t SET v = 5 WHERE id = 1; CREATE TABLE u (id int PRIMARY KEY)")
        .unwrap();
    for target in [link.as_str(), "/odata/t", "/odata/"] {
        let (status, body) = node.get(target).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{target}: {body}");
    }
    let policy = Policy::All;
    for refused in [
        admin::status(&database.url()).await.err(),
        admin::track(&database.url(), &policy).await.err(),
        admin::untrack(&database.url(), None).await.err(),
        admin::print_sql(&database.url(), &policy, None).await.err(),
        node.store.maintain_once().await.err(),
        PostgresStore::open(&database.url(), Options::default())
            .await
            .err(),
    ] {
        assert!(
            matches!(&refused, Some(Error::Unavailable(text)) if text.contains("newer version")),
            "{refused:?}"
        );
    }
    // The maintenance looks every second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(text(&database, ticks), before);
    let written = "SELECT concat_ws(' ', (SELECT count(*) FROM highwater.registered), (SELECT count(*) FROM highwater.history_1))";
    assert_eq!(text(&database, written), "1 2");
    maintenance.abort();
    // After an upgrade of the node (here: back), the link is still worth something.
    database
        .sql("ALTER TABLE highwater.tick RENAME COLUMN token TO nonce; UPDATE highwater.meta SET format = 1, readable_by = 1")
        .unwrap();
    assert_eq!(node.round(&link).await.0, 1);
}

/// Also those that are several versions ahead.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_new_nodes_one_upgrades() {
    let database = database();
    let node = Node::new(&database.url()).await;
    let (_, link) = node.round("/odata/t").await;
    let url = database.url();
    let nodes = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { upgrade(&url, &[HARMLESS, GREAT]).await })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap().unwrap();
    }
    assert_eq!(text(&database, FORMATS), "3 2");
    // One that knows less does nothing.
    upgrade(&url, &[HARMLESS]).await.unwrap();
    let refused = upgrade(&url, &[]).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(text(&database, FORMATS), "3 2");
    database
        .sql("ALTER TABLE highwater.tick RENAME COLUMN token TO nonce; UPDATE highwater.meta SET readable_by = 1")
        .unwrap();
    assert_eq!(node.round(&link).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_an_upgrade_leaves_nothing() {
    let cluster = Cluster::start(&ClusterOptions::new()).unwrap();
    let sql = |sql: &str| cluster.sql("postgres", sql).unwrap();
    sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)");
    let url = cluster.url("postgres");
    let node = Node::new(&url).await;
    node.store.maintain_once().await.unwrap();
    let (_, link) = node.round("/odata/t").await;
    let mut holder = cluster.session("postgres").unwrap();
    holder.run("SELECT pg_advisory_lock(77)").unwrap();
    let stuck = {
        let url = url.clone();
        tokio::spawn(async move { upgrade(&url, &[STUCK]).await })
    };
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while sql(waiting) == [[Some("0".to_owned())]] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.kill().unwrap();
    let cut = stuck.await.unwrap().unwrap_err();
    assert!(matches!(cut, Error::Unavailable(_)), "{cut:?}");
    cluster.start_again().unwrap();
    assert_eq!(sql(FORMATS), [[Some("1 1".to_owned())]]);
    sql("UPDATE t SET v = 2");
    assert_eq!(node.round(&link).await.0, 1);
    upgrade(&url, &[HARMLESS]).await.unwrap();
    assert_eq!(sql(FORMATS), [[Some("2 1".to_owned())]]);
    assert_eq!(node.round(&link).await.0, 1);
}

/// The triggers of a newer version are left as they are; a table that is altered gets those of the node that notices.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_captures_is_left_to_it() {
    let database = database();
    let url = database.url();
    admin::track(&url, &Policy::All).await.unwrap();
    let newer = format!(
        "UPDATE highwater.registered SET capture = {}, digest = 'of the newer version'",
        capture::VERSION + 1
    );
    database.sql(&newer).unwrap();
    let node = Node::new(&url).await;
    let (_, link) = node.round("/odata/t").await;
    assert_eq!(
        admin::track(&url, &Policy::All).await.unwrap(),
        Ensured::default()
    );
    database.sql("UPDATE t SET v = 3 WHERE id = 1").unwrap();
    assert_eq!(node.round(&link).await.0, 1);
    assert_eq!(
        text(&database, "SELECT digest FROM highwater.registered"),
        "of the newer version"
    );
    database.sql("ALTER TABLE t ADD w int").unwrap();
    assert_eq!(
        admin::track(&url, &Policy::All).await.unwrap().renewed,
        ["t"]
    );
    let version = text(&database, "SELECT capture FROM highwater.registered");
    assert_eq!(version, capture::VERSION.to_string());
}

/// Who may not upgrade says who may.
#[tokio::test(flavor = "multi_thread")]
async fn older_tables_are_not_read() {
    let database = database();
    let url = database.url();
    admin::track(&url, &Policy::All).await.unwrap();
    let role = format!("reader_{}", database.name());
    database
        .sql(&format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}; GRANT USAGE ON SCHEMA highwater TO {role}; \
             GRANT SELECT ON ALL TABLES IN SCHEMA highwater TO {role}"
        ))
        .unwrap();
    let reader = url.replace("postgres@", &format!("{role}@"));
    let refused = upgrade(&reader, &[HARMLESS]).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Unavailable(text) if text.contains("as the owner of the schema")),
        "{refused:?}"
    );
    assert_eq!(text(&database, FORMATS), "1 1");
    // To this version, the format 0 is an older one that it has no way from.
    database
        .sql("UPDATE highwater.meta SET format = 0, readable_by = 0")
        .unwrap();
    for refused in [
        admin::status(&url).await.err(),
        PostgresStore::open(&reader, Options::default()).await.err(),
    ] {
        assert!(
            matches!(&refused, Some(Error::Unavailable(text)) if text.contains("older version")),
            "{refused:?}"
        );
    }
    let refused = admin::track(&url, &Policy::All).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt(_)), "{refused:?}");
    database
        .sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

#[test]
fn a_script_begins_where_the_tables_are() {
    for (format, upgrades, expected) in [
        (
            1,
            &[HARMLESS] as &[_],
            Some((1, "format = 2, readable_by = 1")),
        ),
        (
            1,
            &[HARMLESS, GREAT],
            Some((2, "format = 3, readable_by = 2")),
        ),
        (
            2,
            &[HARMLESS, GREAT],
            Some((1, "format = 3, readable_by = 2")),
        ),
        (0, &[HARMLESS], None),
        (-1, &[HARMLESS], None),
    ] {
        let script = upgrade_script(format, upgrades).ok();
        let found = script.as_deref().map(|script| {
            let (_, end) = script.rsplit_once("SET ").unwrap();
            (script.matches("ALTER TABLE highwater.").count(), end)
        });
        assert_eq!(found, expected, "{format}");
    }
}
