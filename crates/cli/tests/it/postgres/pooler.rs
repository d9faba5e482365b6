//! Behind PgBouncer in transaction mode.

use std::collections::BTreeMap;

use highwater_throwaway::Cluster;
use serde_json::Value;

use crate::support::{Lab, Serving};

const CLIENTS: usize = 20;
const ROUNDS: usize = 6;

type Copy = BTreeMap<i64, Value>;

/// Follows a link to the next one, and applies what it says to a copy.
fn follow(serving: &Serving, link: &str, copy: &mut Copy) -> String {
    let mut link = link.to_owned();
    loop {
        let page = serving.json(&link);
        for row in page["value"].as_array().unwrap() {
            let id = row["id"].as_i64().unwrap();
            if row.get("@removed").is_some() {
                copy.remove(&id);
            } else {
                copy.insert(id, row["name"].clone());
            }
        }
        match (page.get("@nextLink"), page.get("@deltaLink")) {
            (Some(next), _) => link = next.as_str().unwrap().to_owned(),
            (None, Some(delta)) => return delta.as_str().unwrap().to_owned(),
            (None, None) => panic!("no link in {page}"),
        }
    }
}

#[test]
fn many_clients_share_few_connections_and_lose_nothing() {
    let lab = Lab::new();
    let database = Cluster::shared().database().unwrap();
    database
        .sql("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT g, 'as it was' FROM generate_series(1, 50) AS g")
        .unwrap();
    let pooler = Cluster::shared().pooler().unwrap();
    let url = pooler.url(database.name());
    let printed = lab.ok(&["track", &url]);
    assert!(printed.contains("t: tracked"), "{printed}");
    let serving = lab.serve(&[&url]);

    let client = |number: usize| {
        let mut copy = Copy::new();
        let mut link = follow(&serving, "/odata/t", &mut copy);
        for round in 0..ROUNDS {
            let id = 1 + (number * 7 + round * 11) % 60;
            let target = format!("/odata/t({id})");
            let (method, body) = match (number + round) % 4 {
                0 => ("DELETE", String::new()),
                _ => ("PATCH", format!("{{\"name\": \"{number} {round}\"}}")),
            };
            let json = "Content-Type: application/json\r\n";
            let (status, answer) = serving.send(method, &target, json, &body);
            assert!(matches!(status, 200..300 | 404), "{status} {answer}");
            link = follow(&serving, &link, &mut copy);
        }
        (copy, link)
    };
    let ends: Vec<(Copy, String)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        clients.into_iter().map(|c| c.join().unwrap()).collect()
    });

    let mut now = Copy::new();
    follow(&serving, "/odata/t", &mut now);
    assert!(now.values().any(|name| name != "as it was"));
    for (mut copy, link) in ends {
        follow(&serving, &link, &mut copy);
        assert_eq!(copy, now);
    }
    drop(serving);
    let status = lab.ok(&["status", &url]);
    assert!(status.contains("yes"), "{status}");
    lab.ok(&["untrack", &url, "--all"]);
}
