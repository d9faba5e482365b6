//! `highwater serve postgres://…`.

use std::time::{Duration, Instant};

use highwater_throwaway::{Cluster, Options, Stop};

use super::sample;
use crate::support::{Lab, Serving};

#[test]
fn every_template_can_be_served_and_tracked() {
    let lab = Lab::new();
    for (template, main_table) in [
        ("sample", "Orders"),
        ("graph", "users"),
        ("dataverse", "contacts"),
        ("business-central", "salesOrders"),
    ] {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        lab.ok(&["init", &url, "--template", template, "--rows", "30"]);
        let serving = lab.serve(&[&url]);
        let page = serving.json(&format!("/odata/{main_table}"));
        assert_eq!(page["value"].as_array().unwrap().len(), 30, "{template}");
        assert!(page["@deltaLink"].is_string(), "{template}: {page}");
    }
}

/// The example of the README, for PostgreSQL.
#[test]
fn changes_of_other_programs_are_in_the_delta() {
    let lab = Lab::new();
    let database = sample(&lab, 100);
    let serving = lab.serve(&[&database.url()]);
    let page = serving.json("/odata/Customers?$filter=City eq 'Berlin'&$select=CustomerID,City");
    assert_eq!(page["value"].as_array().unwrap().len(), 4, "{page}");
    database
        .sql("UPDATE \"Customers\" SET \"City\" = 'Roma', \"Country\" = 'Italy' WHERE \"CustomerID\" = 'C0009'")
        .unwrap();
    let delta = serving.json(page["@deltaLink"].as_str().unwrap());
    let expected = serde_json::json!([{"@removed": {"reason": "changed"}, "CustomerID": "C0009"}]);
    assert_eq!(delta["value"], expected, "{delta}");
    let next = delta["@deltaLink"].as_str().unwrap();
    assert_eq!(serving.json(next)["value"], serde_json::json!([]));
}

#[test]
fn tables_of_other_schemas_are_named_and_configured_with_their_schema() {
    let lab = Lab::new();
    let database = Cluster::shared().database().unwrap();
    database
        .sql(
            "CREATE TABLE orders (id int PRIMARY KEY, secret text);
             CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, amount numeric);
             CREATE SCHEMA hr; CREATE TABLE hr.people (id int PRIMARY KEY);
             INSERT INTO orders VALUES (1, 'x'); INSERT INTO sales.orders VALUES (1, 1.50), (2, 20)",
        )
        .unwrap();
    let url = database.url();
    let serving = lab.serve(&[&url]);
    for (set, rows) in [("orders", 1), ("sales_orders", 2), ("hr_people", 0)] {
        let page = serving.json(&format!("/odata/{set}"));
        assert_eq!(page["value"].as_array().unwrap().len(), rows, "{set}");
    }
    drop(serving);

    lab.write(
        "c.toml",
        "[tables.orders]\nexpose = false\n[tables.\"sales.orders\"]\nentity_set = \"Sales\"\nfilter = \"amount gt 10\"\n[tables.\"hr.people\"]\ntrack = false\n",
    );
    let serving = lab.serve(&[&url, "--config", "c.toml"]);
    assert_eq!(serving.get("/odata/orders").0, 404);
    assert_eq!(
        serving.json("/odata/Sales")["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    drop(serving);

    for (text, place, part) in [
        ("[tables.people]\n", ":1: ", "did you mean \"hr.people\"?"),
        ("\n[tables.\"sales.order\"]\n", ":2: ", "sales.orders"),
        (
            "[tables.\"sales.orders\"]\nfilter = \"amonut gt 10\"\n",
            ":2: ",
            "amount",
        ),
    ] {
        lab.write("wrong.toml", text);
        let outcome = lab.serve_refused(&[&url, "--config", "wrong.toml"]);
        outcome.assert_fails(2, &format!("wrong.toml{place}"));
        outcome.assert_fails(2, part);
    }
}

#[test]
fn wrong_settings_leave_the_database_untouched() {
    let lab = Lab::new();
    let database = sample(&lab, 5);
    lab.write("c.toml", "[tables.Odrers]\n");
    let outcome = lab.serve_refused(&[&database.url(), "--config", "c.toml"]);
    outcome.assert_fails(2, "c.toml:1: ");
    let own = "SELECT count(*) FROM pg_namespace WHERE nspname = 'highwater'";
    assert_eq!(super::value(&database, own), "0");
}

/// The history of a table knows its rows, but not which of them belong to a row of another table.
#[test]
fn a_foreign_key_over_another_column_ends_the_links_of_its_paths() {
    let lab = Lab::new();
    let database = Cluster::shared().database().unwrap();
    let sql = |text: &str| database.sql(text).unwrap();
    sql("CREATE TABLE p (id int PRIMARY KEY);
         CREATE TABLE c (id int PRIMARY KEY, a int, b int, CONSTRAINT f FOREIGN KEY (a) REFERENCES p);
         CREATE TABLE o (id int PRIMARY KEY);
         INSERT INTO p VALUES (1), (2);
         INSERT INTO c VALUES (10, 1, 2), (11, 2, 1), (12, 1, 1)");
    let serving = lab.serve(&[&database.url()]);
    let follow = |set: &str| serving.json(set)["@deltaLink"].as_str().unwrap().to_owned();
    let (path, whole) = (follow("/odata/p(1)/c"), follow("/odata/c"));
    sql(
        "ALTER TABLE c DROP CONSTRAINT f; ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES p",
    );
    // Noticed sooner or later; sooner if a table is read that is not what it was.
    sql("ALTER TABLE o ADD COLUMN x int");
    serving.json("/odata/o");
    let answer = await_status(&serving, &path, 410);
    assert!(answer.contains("LinkScopeChanged"), "{answer}");
    let page = serving.json("/odata/p(1)/c");
    let ids: Vec<i64> = page["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["id"].as_i64())
        .collect();
    assert_eq!(ids, [11, 12]);
    assert_eq!(serving.json(&whole)["value"], serde_json::json!([]));
}

/// Asks until the answer has this status.
fn await_status(serving: &Serving, target: &str, status: u16) -> String {
    let begin = Instant::now();
    loop {
        let answer = serving.whole(target);
        if answer.starts_with(&format!("HTTP/1.1 {status} ")) {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{answer}");
    }
}

#[test]
fn a_server_that_goes_away_is_503_until_it_is_back() {
    let lab = Lab::new();
    let cluster = Cluster::start(&Options::new()).unwrap();
    let url = cluster.url("postgres");
    lab.ok(&["init", &url, "--template", "sample", "--rows", "20"]);
    let serving = lab.serve(&[&url]);
    let page = serving.json("/odata/Customers");
    let link = page["@deltaLink"].as_str().unwrap();
    for stop in [Stop::Fast, Stop::Immediate] {
        cluster.stop(stop).unwrap();
        for target in ["/odata/Customers", "/odata/Orders(1)", link, "/health"] {
            let answer = await_status(&serving, target, 503);
            assert!(
                answer.to_lowercase().contains("\r\nretry-after: "),
                "{answer}"
            );
        }
        cluster.start_again().unwrap();
        for target in ["/odata/Customers", "/odata/Orders(1)", link, "/health"] {
            await_status(&serving, target, 200);
        }
    }
    cluster
        .sql(
            "postgres",
            "UPDATE \"Customers\" SET \"City\" = 'Roma' WHERE \"CustomerID\" = 'C0009'",
        )
        .unwrap();
    let delta = serving.json(link);
    assert_eq!(delta["value"].as_array().unwrap().len(), 1, "{delta}");
}
