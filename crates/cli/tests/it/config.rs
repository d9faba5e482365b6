//! `highwater.toml`: what it changes, and what happens when it is wrong.

use crate::support::Lab;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "20"]);
    lab
}

#[test]
fn every_mistake_names_file_and_line() {
    let lab = lab();
    for (text, place, part) in [
        ("\nretension = \"7d\"", ":2: ", "unknown key `retension`"),
        ("page_size = \"many\"", ":1: ", "invalid type"),
        ("\n\nretention = \"soon\"", ":3: ", "not a span of time"),
        (
            "[tables.Orders]\n[tables.Odrers]\nread_only = true",
            ":2: ",
            "Odrers",
        ),
        (
            "[tables.Orders.properties]\nOrderID = \"Id\"\nFright = \"Cost\"",
            ":3: ",
            "Fright",
        ),
        (
            "[tables.Orders]\n\nfilter = \"Freight gt\"",
            ":3: ",
            "Orders",
        ),
        (
            "[tables.Orders]\nfilter = \"Fright gt 5\"",
            ":2: ",
            "Fright",
        ),
        (
            "[tables.Orders]\nfilter = \"Freight add 5\"",
            ":2: ",
            "Orders",
        ),
        (
            "[tables.Customers]
entity_set = \"X\"
[tables.Orders]
entity_set = \"X\"",
            ":4: ",
            "X",
        ),
        ("[tables.Orders]\nentity_set = \"1 2\"", ":2: ", "1 2"),
        (
            "[tables.Orders.properties]
OrderID = \"X\"
Freight = \"X\"",
            ":3: ",
            "X",
        ),
    ] {
        lab.write("c.toml", text);
        let outcome = lab.serve_refused(&["a.sqlite", "--config", "c.toml"]);
        outcome.assert_fails(2, &format!("c.toml{place}"));
        outcome.assert_fails(2, part);
    }
    // A service that was never ready has not touched the database.
    assert!(
        lab.ok(&["status", "a.sqlite", "--json"])
            .contains("\"epoch\": null")
    );
}

#[test]
fn the_file_in_the_current_directory_is_used_and_said_so() {
    let lab = lab();
    lab.write(
        "highwater.toml",
        "[tables.Orders]\nentity_set = \"Sales\"\n",
    );
    let serving = lab.serve(&["a.sqlite"]);
    assert_eq!(serving.get("/odata/Sales").0, 200);
    assert_eq!(serving.get("/odata/Orders").0, 404);
    #[cfg(unix)]
    assert!(serving.stop("TERM").stderr.contains("highwater.toml"));
}

#[test]
fn names_filters_and_permissions_apply() {
    let lab = lab();
    lab.write(
        "highwater.toml",
        r#"
        page_size = 3
        [tables.Products]
        expose = false
        [tables.Employees]
        read_only = true
        [tables.Customers]
        filter = "Country eq 'Germany'"
        [tables.Orders]
        track = false
        [tables."Order Details"]
        entity_set = "Lines"
        [tables."Order Details".properties]
        "UnitPrice" = "Price"
        "#,
    );
    let serving = lab.serve(&["a.sqlite"]);
    assert_eq!(serving.get("/odata/Products").0, 404);
    let (status, body) = serving.send("DELETE", "/odata/Employees(1)", "", "");
    assert_eq!(status, 405, "{body}");
    let count = serving.get("/odata/Customers/$count?$filter=Country ne 'Germany'");
    assert!(
        count.0 == 200 && count.1.trim_start_matches('\u{feff}') == "0",
        "{count:?}"
    );
    let lines = serving.json("/odata/Lines");
    assert_eq!(lines["value"].as_array().unwrap().len(), 3);
    assert!(lines["value"][0].get("Price").is_some(), "{lines}");
    let orders = serving.json("/odata/Orders?$top=1&$filter=OrderID eq 1");
    assert!(orders.get("@deltaLink").is_none(), "{orders}");
    let status: serde_json::Value =
        serde_json::from_str(&lab.ok(&["status", "a.sqlite", "--json"])).unwrap();
    let tracked = |name: &str| {
        let tables = status["tables"].as_array().unwrap();
        tables.iter().find(|table| table["name"] == name).unwrap()["tracked"]
            .as_bool()
            .unwrap()
    };
    assert!(
        tracked("Customers") && !tracked("Orders") && !tracked("Products"),
        "{status}"
    );
}
