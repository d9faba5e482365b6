//! `track`, `untrack`, `status`, `inspect`.

use serde_json::Value;

use crate::support::Lab;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "20"]);
    lab
}

fn status(lab: &Lab) -> Value {
    serde_json::from_str(&lab.ok(&["status", "a.sqlite", "--json"])).unwrap()
}

fn table<'a>(status: &'a Value, name: &str) -> &'a Value {
    let tables = status["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap()
}

/// Everything that the database is made of.
fn schema(lab: &Lab) -> String {
    let db = rusqlite::Connection::open(lab.path("a.sqlite")).unwrap();
    db.query_row(
        "SELECT group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)) FROM (SELECT * FROM sqlite_schema ORDER BY name)",
        [],
        |row| row.get(0),
    )
    .unwrap()
}

/// Whether the bytes are anywhere in the file.
fn holds(lab: &Lab, part: &[u8]) -> bool {
    let bytes = std::fs::read(lab.path("a.sqlite")).unwrap();
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn status_of_an_untouched_database_changes_nothing() {
    let lab = lab();
    let before = schema(&lab);
    let status = status(&lab);
    assert_eq!(status["epoch"], Value::Null);
    assert_eq!(status["tables"].as_array().unwrap().len(), 6);
    let orders = table(&status, "Orders");
    assert_eq!(orders["tracked"], false);
    assert!(
        orders["untracked_because"]
            .as_str()
            .is_some_and(|why| !why.is_empty()),
        "{orders}"
    );
    assert_eq!(table(&status, "Order Totals")["view"], true);
    assert_eq!(schema(&lab), before);
}

#[test]
fn tracking_is_installed_used_and_removed_without_a_trace() {
    let lab = lab();
    let before = schema(&lab);

    let printed = lab.ok(&["track", "a.sqlite", "Orders", "Order Details"]);
    assert!(
        printed.contains("Orders") && printed.contains("Order Details"),
        "{printed}"
    );
    assert!(!printed.contains("Customers"), "{printed}");
    lab.sql(
        "a.sqlite",
        "UPDATE Orders SET Freight = 1 WHERE OrderID < 4",
    );
    let shown = status(&lab);
    assert_eq!(table(&shown, "Orders")["tracked"], true);
    assert_eq!(table(&shown, "Orders")["history_rows"], 3);
    assert!(table(&shown, "Orders")["history_bytes"].as_u64().unwrap() > 0);
    assert_eq!(table(&shown, "Customers")["tracked"], false);

    let printed = lab.ok(&["track", "a.sqlite"]);
    assert!(printed.contains("Customers"), "{printed}");
    assert_eq!(
        table(&status(&lab), "Orders")["history_rows"],
        3,
        "tracking goes on where it was"
    );
    let text = lab.ok(&["status", "a.sqlite"]);
    assert!(
        text.contains("Order Totals (view)") && text.contains("Not tracked:"),
        "{text}"
    );

    let printed = lab.ok(&["untrack", "a.sqlite", "Orders"]);
    assert!(printed.contains("Orders"), "{printed}");
    assert_eq!(table(&status(&lab), "Orders")["tracked"], false);
    assert_eq!(table(&status(&lab), "Customers")["tracked"], true);

    let printed = lab.ok(&["untrack", "a.sqlite", "Orders"]);
    assert_eq!(printed, "nothing to do: none of these tables is tracked\n");

    let secret: Vec<u8> = {
        let db = rusqlite::Connection::open(lab.path("a.sqlite")).unwrap();
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        db.query_row("SELECT secret FROM highwater_key", [], |row| row.get(0))
            .unwrap()
    };
    assert!(holds(&lab, &secret));
    lab.ok(&["untrack", "a.sqlite", "--all"]);
    assert_eq!(schema(&lab), before);
    assert!(!holds(&lab, &secret), "not even in a free page");
    // Nothing to do is no failure.
    lab.ok(&["untrack", "a.sqlite", "--all"]);
    assert_eq!(schema(&lab), before);
}

#[test]
fn a_table_that_is_not_there_or_cannot_be_tracked_is_an_error() {
    let lab = lab();
    let before = schema(&lab);
    for command in ["track", "untrack"] {
        let outcome = lab.run(&[command, "a.sqlite", "Odrers"]);
        assert_ne!(outcome.code, Some(0), "{outcome:?}");
        outcome.assert_fails(outcome.code.unwrap(), "Odrers");
    }
    let outcome = lab.run(&["track", "a.sqlite", "Order Totals"]);
    outcome.assert_fails(outcome.code.unwrap(), "Order Totals");
    assert_ne!(outcome.code, Some(0));
    assert_eq!(schema(&lab), before);
}

#[test]
fn a_link_shows_what_is_inside() {
    let lab = lab();
    let serving = lab.serve(&["a.sqlite"]);
    let page = serving.json("/odata/Customers?$filter=Country eq 'Germany'&$select=City");
    let link = page["@deltaLink"].as_str().unwrap();
    let token = link.split_once("token=").unwrap().1;
    for spelling in [link, token] {
        let text = lab.ok(&["inspect", spelling, "--database", "a.sqlite"]);
        for part in [
            "delta link",
            "Customers",
            "$filter = (Country eq 'Germany')",
            "tracking     yes",
            "lo  ",
            "expires",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
    let json: Value =
        serde_json::from_str(&lab.ok(&["inspect", link, "--database", "a.sqlite", "--json"]))
            .unwrap();
    assert_eq!(json["kind"], "delta link");
    assert_eq!(json["expired"], false);
    assert_eq!(json["current_epoch"], true);
    assert_eq!(json["gone_because"], Value::Null);
    assert_eq!(json["epoch"], status(&lab)["epoch"]);

    let mut damaged = token.to_owned();
    damaged.pop();
    lab.run(&["inspect", &damaged, "--database", "a.sqlite"])
        .assert_fails(1, "the link is damaged");
    lab.ok(&["init", "b.sqlite", "--template", "sample", "--rows", "20"]);
    lab.run(&["inspect", token, "--database", "b.sqlite"])
        .assert_fails(1, "another database");
    lab.ok(&["track", "b.sqlite"]);
    lab.run(&["inspect", token, "--database", "b.sqlite"])
        .assert_fails(1, "another database");
}

#[test]
fn a_link_that_leads_nowhere_says_why() {
    let lab = lab();
    let serving = lab.serve(&["a.sqlite"]);
    let page = serving.json("/odata/Customers");
    let link = page["@deltaLink"].as_str().unwrap();
    let answer = || {
        let text = lab.ok(&["inspect", link, "--database", "a.sqlite"]);
        text.lines().last().unwrap().to_owned()
    };
    assert!(answer().starts_with("answer       good"), "{}", answer());
    for (sql, why) in [
        (
            "UPDATE highwater_table SET horizon = 1; UPDATE highwater_clock SET version = 1",
            "the changes since the link was issued are no longer kept",
        ),
        (
            "UPDATE highwater_table SET incarnation = incarnation + 1",
            "the table was changed or created anew after the link was issued",
        ),
        (
            "UPDATE highwater_meta SET epoch = epoch + 1",
            "the database was restored or replaced after the link was issued",
        ),
    ] {
        lab.sql("a.sqlite", sql);
        assert_eq!(
            answer(),
            format!("answer       void: the service answers 410 Gone, because {why}")
        );
        assert_eq!(serving.get(link).0, 410, "{sql}");
    }
}
