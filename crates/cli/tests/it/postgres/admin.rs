//! `track`, `untrack`, `status` and `inspect` on PostgreSQL.

use std::process::{Command, Stdio};

use highwater_throwaway::{Cluster, Database};
use serde_json::Value;

use super::sample;
use crate::support::Lab;

fn status(lab: &Lab, database: &Database<'_>) -> Value {
    serde_json::from_str(&lab.ok(&["status", &database.url(), "--json"])).unwrap()
}

fn table<'a>(status: &'a Value, name: &str) -> &'a Value {
    let tables = status["tables"].as_array().unwrap();
    tables
        .iter()
        .find(|table| table["name"] == name)
        .unwrap_or_else(|| panic!("no {name} in {status}"))
}

/// Everything that the database is made of.
pub(super) fn schema(database: &Database<'_>) -> String {
    let program = database.cluster().binaries().program("pg_dump");
    let output = Command::new(program)
        .args(["--schema-only", "--dbname", &database.url()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let dump = String::from_utf8(output.stdout).unwrap();
    // Newer versions protect the script with a random word.
    let is_random =
        |line: &&str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    dump.lines()
        .filter(|line| !is_random(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Lets `psql` run a script as the superuser.
fn psql(database: &Database<'_>, script: &str) {
    psql_as(database, "postgres", script);
}

/// Lets `psql` run a script as a role.
pub(super) fn psql_as(database: &Database<'_>, role: &str, script: &str) {
    use std::io::Write as _;
    let program = database.cluster().binaries().program("psql");
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let mut child = Command::new(program)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{script}");
}

#[test]
fn status_of_an_untouched_database_changes_nothing() {
    let lab = Lab::new();
    let database = sample(&lab, 20);
    let before = schema(&database);
    let status = status(&lab, &database);
    assert_eq!(status["epoch"], Value::Null);
    assert_eq!(status["database"], database.url());
    let orders = table(&status, "Orders");
    assert_eq!(orders["tracked"], false);
    assert!(
        orders["untracked_because"]
            .as_str()
            .is_some_and(|why| !why.is_empty()),
        "{orders}"
    );
    assert_eq!(table(&status, "Order Totals")["view"], true);
    assert_eq!(schema(&database), before);
}

#[test]
fn tracking_is_installed_used_and_removed_without_a_trace() {
    let lab = Lab::new();
    let database = sample(&lab, 20);
    let url = database.url();
    database
        .sql(
            "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s.no_key (a int)",
        )
        .unwrap();
    let before = schema(&database);

    let printed = lab.ok(&["track", &url, "Orders", "s.t"]);
    assert!(
        printed.contains("Orders") && printed.contains("s.t"),
        "{printed}"
    );
    assert!(!printed.contains("Customers"), "{printed}");
    database
        .sql("UPDATE \"Orders\" SET \"Freight\" = 1 WHERE \"OrderID\" < 4")
        .unwrap();
    let shown = status(&lab, &database);
    assert_eq!(table(&shown, "Orders")["tracked"], true);
    assert_eq!(table(&shown, "Orders")["history_rows"], 3);
    assert!(table(&shown, "Orders")["history_bytes"].as_u64().unwrap() > 0);
    assert_eq!(table(&shown, "s.t")["tracked"], true);
    assert_eq!(table(&shown, "s.no_key")["tracked"], false);
    assert_eq!(table(&shown, "Customers")["tracked"], false);

    let printed = lab.ok(&["track", &url]);
    assert!(printed.contains("Customers"), "{printed}");
    let text = lab.ok(&["status", &url]);
    assert!(
        text.contains("Order Totals (view)") && text.contains("Not tracked:"),
        "{text}"
    );
    assert!(lab.ok(&["track", &url]).starts_with("nothing to do"));

    let printed = lab.ok(&["untrack", &url, "Orders"]);
    assert!(printed.contains("Orders"), "{printed}");
    assert_eq!(table(&status(&lab, &database), "Orders")["tracked"], false);
    assert_eq!(
        table(&status(&lab, &database), "Customers")["tracked"],
        true
    );
    let printed = lab.ok(&["untrack", &url, "Orders"]);
    assert_eq!(printed, "nothing to do: none of these tables is tracked\n");

    lab.ok(&["untrack", &url, "--all"]);
    assert_eq!(schema(&database), before);
    lab.ok(&["untrack", &url, "--all"]);
    assert_eq!(schema(&database), before);
}

#[test]
fn a_table_that_is_not_there_or_cannot_be_tracked_is_an_error() {
    let lab = Lab::new();
    let database = sample(&lab, 5);
    let url = database.url();
    let before = schema(&database);
    for command in ["track", "untrack"] {
        lab.run(&[command, &url, "Odrers"])
            .assert_fails(1, "Odrers");
    }
    lab.run(&["track", &url, "Order Totals"])
        .assert_fails(1, "Order Totals");
    assert_eq!(schema(&database), before);
}

/// The owner of the tables runs the printed script, and a role with no other rights serves.
#[test]
fn the_printed_script_does_what_track_does_and_grants_what_serving_needs() {
    let lab = Lab::new();
    let database = sample(&lab, 5);
    let url = database.url();
    let role = format!("r_{}", database.name());
    database
        .sql(&format!("CREATE ROLE \"{role}\" LOGIN"))
        .unwrap();
    let before = schema(&database);
    let script = lab.ok(&["track", &url, "--print-sql", "--role", &role]);
    assert_eq!(schema(&database), before, "printing changes nothing");
    assert!(
        script.contains("GRANT") && script.contains(&role),
        "{script}"
    );
    psql(&database, &script);
    let shown = status(&lab, &database);
    assert_eq!(table(&shown, "Orders")["tracked"], true);

    let as_role = url.replace("postgres@", &format!("{role}@"));
    let serving = lab.serve(&[&as_role]);
    let page = serving.json("/odata/Customers?$filter=Country eq 'Germany'&$select=City");
    let delta = page["@deltaLink"].as_str().unwrap();
    database
        .sql("UPDATE \"Customers\" SET \"City\" = 'Roma' WHERE \"CustomerID\" = 'C0001'")
        .unwrap();
    let changes = serving.json(delta);
    assert_eq!(changes["value"].as_array().unwrap().len(), 1, "{changes}");
    drop(serving);
    database
        .sql(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\""))
        .unwrap();
}

#[test]
fn a_link_shows_what_is_inside() {
    let lab = Lab::new();
    let database = sample(&lab, 20);
    let url = database.url();
    let serving = lab.serve(&[&url]);
    let page = serving.json("/odata/Customers?$filter=Country eq 'Germany'&$select=City");
    let link = page["@deltaLink"].as_str().unwrap();
    let text = lab.ok(&["inspect", link, "--database", &url]);
    for part in [
        "delta link",
        "Customers",
        "$filter = (Country eq 'Germany')",
        "tracking     yes",
        "lo  ",
        "expires",
        "answer       good",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let json: Value =
        serde_json::from_str(&lab.ok(&["inspect", link, "--database", &url, "--json"])).unwrap();
    assert_eq!(json["current_epoch"], true);
    assert_eq!(json["epoch"], status(&lab, &database)["epoch"]);

    let empty = Cluster::shared().database().unwrap();
    lab.run(&["inspect", link, "--database", &empty.url()])
        .assert_fails(1, "another database");
    database
        .sql("ALTER TABLE \"Customers\" ADD COLUMN more int")
        .unwrap();
    assert_eq!(serving.get(link).0, 410);
    let text = lab.ok(&["inspect", link, "--database", &url]);
    assert!(
        text.contains(
            "void: the service answers 410 Gone, because the table was changed or created anew"
        ),
        "{text}"
    );
}
