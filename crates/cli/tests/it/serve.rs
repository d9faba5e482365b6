//! `highwater serve`: where it listens, what it serves, how it ends.

use std::net::TcpListener;

use crate::support::{Lab, Serving};

#[test]
fn a_database_that_nobody_here_wrote_is_served_with_delta_links() {
    let lab = Lab::new();
    lab.chinook();
    let serving = lab.serve(&["chinook.sqlite"]);
    let document = serving.json("/odata/");
    assert_eq!(
        document["value"].as_array().unwrap().len(),
        11,
        "{document}"
    );
    for set in document["value"].as_array().unwrap() {
        let page = serving.json(&format!("/odata/{}", set["url"].as_str().unwrap()));
        assert!(!page["value"].as_array().unwrap().is_empty(), "{set}");
    }

    let mut page = serving.json("/odata/Artist?$filter=startswith(Name,'A')&$select=Name");
    while let Some(next) = page["@nextLink"].as_str() {
        page = serving.json(next);
    }
    lab.sql(
        "chinook.sqlite",
        "UPDATE Artist SET Name = 'AC-DC' WHERE ArtistId = 1; UPDATE Artist SET Name = 'Z' WHERE ArtistId = 2;
         INSERT INTO Artist VALUES (9001, 'Aaa'), (9002, 'Bbb')",
    );
    let delta = serving.json(page["@deltaLink"].as_str().unwrap());
    let mut entries: Vec<(i64, bool)> = (delta["value"].as_array().unwrap().iter())
        .map(|entity| {
            (
                entity["ArtistId"].as_i64().unwrap(),
                entity.get("@removed").is_some(),
            )
        })
        .collect();
    entries.sort_unstable();
    assert_eq!(entries, [(1, false), (2, true), (9001, false)], "{delta}");
}

#[test]
fn navigation_follows_foreign_keys() {
    let lab = Lab::new();
    lab.chinook();
    let serving = lab.serve(&["chinook.sqlite"]);
    let albums = serving.json("/odata/Artist(1)?$expand=Album");
    assert!(!albums["Album"].as_array().unwrap().is_empty(), "{albums}");
}

#[cfg(unix)]
#[test]
fn signals_end_it_cleanly() {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "5"]);
    for signal in ["TERM", "INT"] {
        let serving = lab.serve(&["a.sqlite"]);
        assert_eq!(serving.get("/odata/").0, 200);
        let outcome = serving.stop(signal);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(outcome.stdout, "", "one line on stdout is all");
        assert!(
            outcome.stderr.contains(&format!("SIG{signal}")),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "5"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    lab.run(&["serve", "a.sqlite", "--listen", &address])
        .assert_fails(1, "is in use by another program");
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "5"]);
    // Whatever is not taken from a later source cannot be listened on.
    let (bad, good) = ("192.0.2.1:1", "127.0.0.1:0");
    lab.write(
        "bad.toml",
        &format!("listen = \"{bad}\"\npublic_url = \"http://file/\""),
    );
    lab.write(
        "good.toml",
        &format!("listen = \"{good}\"\npublic_url = \"http://file/\""),
    );
    for (file, variable, flag) in [
        ("good", None, None),
        ("bad", Some(good), None),
        ("bad", Some(bad), Some(good)),
    ] {
        let file = format!("{file}.toml");
        let mut command = lab.command(&["serve", "a.sqlite", "--config", &file]);
        let mut root = "http://file/";
        if let Some(listen) = variable {
            command.envs([
                ("HIGHWATER_LISTEN", listen),
                ("HIGHWATER_PUBLIC_URL", "http://variable/"),
            ]);
            root = "http://variable/";
        }
        if let Some(listen) = flag {
            command.args(["--listen", listen, "--public-url", "http://flag/"]);
            root = "http://flag/";
        }
        let serving = Serving::start(command);
        let context = serving.json("/odata/")["@context"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            context.starts_with(root),
            "{file} {variable:?} {flag:?}: {context}"
        );
    }
}
