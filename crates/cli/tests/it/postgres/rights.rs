//! What each role may do: an ordinary owner of tables, and a role that only serves.

use highwater_throwaway::{Cluster, Database};

use super::admin::{psql_as, schema};
use crate::support::Lab;

/// Roles are shared by all databases of the cluster, so each test has its own, and drops them with their rights.
struct Roles<'a> {
    database: Database<'a>,
    owner: String,
    service: String,
}

impl Roles<'_> {
    /// A database that belongs to an ordinary role, with tables of every kind in several schemas.
    fn new() -> Roles<'static> {
        let database = Cluster::shared().database().unwrap();
        let (owner, service) = (
            format!("owner_{}", database.name()),
            format!("Service of {}", database.name()),
        );
        database
            .sql(&format!(
                "CREATE ROLE \"{owner}\" LOGIN; CREATE ROLE \"{service}\" LOGIN;
                 ALTER DATABASE {} OWNER TO \"{owner}\"; ALTER SCHEMA public OWNER TO \"{owner}\";
                 SET ROLE \"{owner}\";
                 CREATE TABLE a (id int PRIMARY KEY, name text); INSERT INTO a SELECT g, 'n' FROM generate_series(1, 9) AS g;
                 CREATE SCHEMA \"Sales\"; CREATE TABLE \"Sales\".\"Orders\" (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
                 INSERT INTO \"Sales\".\"Orders\" SELECT g, g FROM generate_series(1, 9) AS g;
                 CREATE TABLE \"Sales\".parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
                 CREATE TABLE \"Sales\".low PARTITION OF \"Sales\".parts FOR VALUES FROM (0) TO (5);
                 CREATE TABLE \"Sales\".high PARTITION OF \"Sales\".parts FOR VALUES FROM (5) TO (99);
                 INSERT INTO \"Sales\".parts VALUES (1), (7);
                 CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
                 CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
                 CREATE VIEW names AS SELECT id, name FROM a",
                database.name()
            ))
            .unwrap();
        Roles {
            database,
            owner,
            service,
        }
    }

    fn url(&self, role: &str) -> String {
        let role = role.replace(' ', "%20");
        self.database
            .url()
            .replace("postgres@", &format!("{role}@"))
    }

    fn owner(&self) -> String {
        self.url(&self.owner)
    }

    fn service(&self) -> String {
        self.url(&self.service)
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        let (owner, service) = (&self.owner, &self.service);
        // A test that fails has told its reason already.
        let _ = self.database.sql(&format!(
            "DROP OWNED BY \"{service}\" CASCADE; REASSIGN OWNED BY \"{owner}\" TO postgres; DROP OWNED BY \"{owner}\"; DROP ROLE \"{service}\"; DROP ROLE \"{owner}\""
        ));
    }
}

#[test]
fn the_owner_runs_the_printed_script_and_the_service_serves_with_what_it_grants() {
    let lab = Lab::new();
    let roles = Roles::new();
    let before = schema(&roles.database);
    let script = lab.ok(&[
        "track",
        &roles.owner(),
        "--print-sql",
        "--role",
        &roles.service,
    ]);
    assert_eq!(schema(&roles.database), before);
    psql_as(&roles.database, &roles.owner, &script);

    let serving = lab.serve(&[&roles.service()]);
    let sets = ["a", "Sales_Orders", "Sales_parts", "child", "fleeting"];
    let links = sets.map(|set| {
        let page = serving.json(&format!("/odata/{set}"));
        page["@deltaLink"].as_str().unwrap().to_owned()
    });
    // Not granted by the script, because it is about what is tracked.
    assert_eq!(serving.get("/odata/names").0, 404);
    psql_as(
        &roles.database,
        &roles.owner,
        "DELETE FROM a WHERE id = 3; UPDATE \"Sales\".parts SET id = 8 WHERE id = 1; INSERT INTO child VALUES (1); INSERT INTO fleeting VALUES (1)",
    );
    for (link, changes) in links.iter().zip([1, 1, 2, 1, 1]) {
        let delta = serving.json(link);
        assert_eq!(delta["value"].as_array().unwrap().len(), changes, "{delta}");
    }
    let json = "Content-Type: application/json\r\n";
    for (method, target, body) in [
        ("POST", "/odata/a", r#"{"id": 100}"#),
        ("PATCH", "/odata/a(1)", r#"{"name": "x"}"#),
        ("DELETE", "/odata/a(1)", ""),
    ] {
        let (status, answer) = serving.send(method, target, json, body);
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("lacks a right"), "{answer}");
    }
    drop(serving);
    lab.run(&["untrack", &roles.service(), "--all"])
        .assert_fails(1, "Only the owner of the schema highwater");

    lab.ok(&["untrack", &roles.owner(), "--all"]);
    let service = &roles.service;
    // The rights on the application's own tables stay for whoever granted them.
    roles
        .database
        .sql(&format!("DROP OWNED BY \"{service}\""))
        .unwrap();
    assert_eq!(schema(&roles.database), before);
}

#[test]
fn what_a_role_cannot_begin_is_told_with_what_would_help() {
    let lab = Lab::new();
    let roles = Roles::new();
    let service = &roles.service;
    roles
        .database
        .sql(&format!(
            "GRANT SELECT ON a TO \"{service}\"; CREATE SCHEMA own; CREATE TABLE own.t (id int PRIMARY KEY);
             GRANT USAGE ON SCHEMA public, own TO \"{service}\"; ALTER TABLE own.t OWNER TO \"{service}\""
        ))
        .unwrap();
    let url = roles.service();
    let status = lab.ok(&["status", &url]);
    for part in [
        "a: Tracking is not switched on, and the role of this connection cannot begin it, because it does not own the table",
        "own.t: Tracking is not switched on, and the role of this connection cannot begin it, because it may not create the schema highwater",
    ] {
        assert!(status.contains(part), "{status}");
    }
    lab.run(&["track", &url, "a"])
        .assert_fails(1, "a cannot be tracked. Only its owner");
    lab.run(&["track", &url, "own.t"])
        .assert_fails(1, "GRANT CREATE ON DATABASE");
    // The whole of the rest is served, and the log says what is missing.
    let serving = lab.serve(&[&url]);
    let page = serving.json("/odata/a");
    assert_eq!(page["value"].as_array().unwrap().len(), 9, "{page}");
    assert_eq!(page.get("@deltaLink"), None);
    let said = serving.stop("TERM").stderr;
    assert_eq!(
        said.matches("served without delta links").count(),
        1,
        "{said}"
    );

    lab.ok(&["track", &roles.owner()]);
    lab.serve_refused(&[&url, "--wait", "0s"])
        .assert_fails(1, "permission denied for schema highwater");
    roles
        .database
        .sql(&format!(
            "GRANT USAGE ON SCHEMA highwater TO \"{service}\"; GRANT SELECT ON ALL TABLES IN SCHEMA highwater TO \"{service}\""
        ))
        .unwrap();
    let serving = lab.serve(&[&url]);
    assert!(serving.json("/odata/a")["@deltaLink"].is_string());
}

#[test]
fn a_node_that_is_older_than_the_tables_says_so() {
    let lab = Lab::new();
    let roles = Roles::new();
    let url = roles.owner();
    let serving = lab.serve(&[&url]);
    let link = serving.json("/odata/a")["@deltaLink"]
        .as_str()
        .unwrap()
        .to_owned();
    roles
        .database
        .sql("UPDATE highwater.meta SET readable_by = 99")
        .unwrap();
    for target in ["/odata/a", &link] {
        let answer = serving.whole(target);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer.to_lowercase().contains("\r\nretry-after: "),
            "{answer}"
        );
    }
    lab.run(&["track", &url]).assert_fails(1, "newer version");
    roles
        .database
        .sql("UPDATE highwater.meta SET readable_by = format")
        .unwrap();
    assert_eq!(serving.get(&link).0, 200);
}

/// Nobody is told that all is well while nothing is tracked.
#[test]
fn track_says_what_is_not_tracked_and_why() {
    let lab = Lab::new();
    let roles = Roles::new();
    let database = &roles.database;
    let (owner, url) = (&roles.owner, roles.owner());
    database
        .sql(&format!(
            "ALTER DATABASE {} OWNER TO postgres",
            database.name()
        ))
        .unwrap();
    let outcome = lab.run(&["track", &url]);
    outcome.assert_fails(1, "none of the tables is tracked");
    assert!(
        outcome.stdout.contains("a: not tracked. ")
            && outcome.stdout.contains("GRANT CREATE ON DATABASE")
            && !outcome.stdout.contains("nothing to do"),
        "{outcome:?}"
    );
    database
        .sql(&format!(
            "GRANT CREATE ON DATABASE {} TO \"{owner}\"",
            database.name()
        ))
        .unwrap();
    let printed = lab.ok(&["track", &url]);
    assert!(printed.contains("a: tracked from now on"), "{printed}");

    // What this role may not read any more, but is there.
    database
        .sql(&format!("REVOKE SELECT ON a FROM \"{owner}\""))
        .unwrap();
    let printed = lab.ok(&["track", &url]);
    assert!(
        printed.starts_with("nothing to do")
            && printed.contains("a: not tracked. ")
            && printed.contains("GRANT SELECT"),
        "{printed}"
    );
    database
        .sql(&format!("GRANT SELECT ON a TO \"{owner}\""))
        .unwrap();

    database
        .sql(&format!(
            "SET ROLE \"{owner}\"; CREATE TABLE \"Sales\".more PARTITION OF \"Sales\".parts FOR VALUES FROM (99) TO (200)"
        ))
        .unwrap();
    let printed = lab.ok(&["track", &url]);
    assert!(
        printed.contains("Sales.parts: its new partitions are tracked from now on"),
        "{printed}"
    );
    assert_eq!(
        lab.ok(&["track", &url]),
        "nothing to do: what was asked for and can be tracked is tracked already\n"
    );
}

/// Only the owner can take it in; nothing ends meanwhile.
#[test]
fn a_new_partition_waits_for_its_owner() {
    let lab = Lab::new();
    let roles = Roles::new();
    let script = lab.ok(&[
        "track",
        &roles.owner(),
        "--print-sql",
        "--role",
        &roles.service,
    ]);
    psql_as(&roles.database, &roles.owner, &script);
    let serving = lab.serve(&[&roles.service()]);
    let link = serving.json("/odata/Sales_parts")["@deltaLink"]
        .as_str()
        .unwrap()
        .to_owned();
    psql_as(
        &roles.database,
        &roles.owner,
        "CREATE TABLE \"Sales\".more PARTITION OF \"Sales\".parts FOR VALUES FROM (99) TO (200); INSERT INTO \"Sales\".parts VALUES (100)",
    );
    for _ in 0..2 {
        assert_eq!(serving.get(&link).0, 503);
    }
    let status = lab.ok(&["status", &roles.service()]);
    assert!(
        status.contains("New partitions wait to be taken in")
            && status.contains("`highwater track` as the owner"),
        "{status}"
    );
    lab.ok(&["track", &roles.owner()]);
    let delta = serving.json(&link);
    assert_eq!(delta["value"].as_array().unwrap().len(), 1, "{delta}");
    let said = serving.stop("TERM").stderr;
    assert_eq!(
        said.matches("its links are answered 503 for now").count(),
        1,
        "{said}"
    );
}
