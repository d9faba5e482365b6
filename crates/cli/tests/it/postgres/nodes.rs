//! Several processes that serve one database.

use super::sample;
use crate::support::{Lab, Serving};

/// The head without what depends on the moment, and the body.
fn without_date(answer: &str) -> String {
    let is_date = |line: &&str| {
        let line = line.to_lowercase();
        line.starts_with("date: ") || line.starts_with("cache-control: ")
    };
    answer
        .split("\r\n")
        .filter(|line| !is_date(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Both nodes are behind one address.
fn node(lab: &Lab, url: &str) -> Serving {
    lab.serve(&[url, "--public-url", "http://example.com/odata/"])
}

fn target(link: &serde_json::Value) -> String {
    link.as_str().unwrap().replace("http://example.com", "")
}

#[test]
fn each_answers_the_links_of_the_others_with_the_same_bytes() {
    let lab = Lab::new();
    let database = sample(&lab, 200);
    let url = database.url();
    let first = node(&lab, &url);
    let second = node(&lab, &url);
    let begin = first.send(
        "GET",
        "/odata/Orders?$select=OrderID,Freight",
        "Prefer: track-changes,maxpagesize=30\r\n",
        "",
    );
    let mut page: serde_json::Value = serde_json::from_str(&begin.1).unwrap();
    database
        .sql("UPDATE \"Orders\" SET \"Freight\" = 0")
        .unwrap();
    let mut read = page["value"].as_array().unwrap().len();
    while let Some(link) = page.get("@nextLink") {
        page = same(&[&first, &second], link);
        read += page["value"].as_array().unwrap().len();
    }
    assert_eq!(read, 200);

    // The first is killed, and its link lives on.
    drop(first);
    let third = node(&lab, &url);
    page = second.json(&target(&page["@deltaLink"]));
    let mut changed = page["value"].as_array().unwrap().len();
    while let Some(link) = page.get("@nextLink") {
        page = same(&[&second, &third], link);
        changed += page["value"].as_array().unwrap().len();
    }
    assert!(changed > 190, "{changed}");
    let again = third.json(&target(&page["@deltaLink"]));
    assert_eq!(again["value"], serde_json::json!([]));
}

/// What two nodes answer to a skip link, which must be the same.
fn same(nodes: &[&Serving; 2], link: &serde_json::Value) -> serde_json::Value {
    let [one, other] = nodes.map(|node| without_date(&node.whole(&target(link))));
    assert_eq!(one, other);
    serde_json::from_str(one.split_once("\n\n").unwrap().1).unwrap()
}

#[test]
fn what_one_node_notices_all_notice() {
    let lab = Lab::new();
    let database = sample(&lab, 20);
    let url = database.url();
    let nodes = [node(&lab, &url), node(&lab, &url)];
    let link = target(&nodes[0].json("/odata/Customers")["@deltaLink"]);
    let other = target(&nodes[0].json("/odata/Orders")["@deltaLink"]);
    // An operator tracks the table anew.
    lab.ok(&["untrack", &url, "Customers"]);
    lab.ok(&["track", &url]);
    for node in &nodes {
        assert_eq!(node.get(&link).0, 410);
        assert_eq!(node.get(&other).0, 200);
        let begin = node.json("/odata/Customers");
        assert!(begin["@deltaLink"].is_string(), "{begin}");
    }
    // A new table is served by all, without a restart.
    database
        .sql("CREATE TABLE news (id int PRIMARY KEY)")
        .unwrap();
    for node in &nodes {
        let begin = node.json("/odata/news");
        assert!(begin["@deltaLink"].is_string(), "{begin}");
    }
}
