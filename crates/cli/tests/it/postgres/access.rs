//! How the database is reached: passwords that nobody sees, and servers that are away.

use std::process::Command;

use highwater_throwaway::{Cluster, Options, Stop};

use crate::support::{Lab, Outcome, Serving};

const PASSWORD: &str = "correct horse/battery@staple";
const PASSWORD_ENCODED: &str = "correct%20horse%2Fbattery%40staple";

/// A cluster whose role `u` needs a password.
fn guarded() -> Cluster {
    let cluster =
        Cluster::start(&Options::new().admit("host all u 127.0.0.1/32 scram-sha-256")).unwrap();
    let role = format!("CREATE ROLE u LOGIN PASSWORD '{PASSWORD}'");
    cluster.sql("postgres", &role).unwrap();
    cluster
        .sql("postgres", "CREATE DATABASE d OWNER u")
        .unwrap();
    cluster
}

fn run(mut command: Command) -> Outcome {
    let outcome = Outcome::of(command.output().unwrap());
    for secret in [PASSWORD, PASSWORD_ENCODED, "battery", "staple"] {
        for shown in [&outcome.stdout, &outcome.stderr] {
            assert!(!shown.contains(secret), "{secret:?} is shown: {outcome:?}");
        }
    }
    outcome
}

#[test]
fn a_password_is_taken_from_where_it_is_safe_and_shown_nowhere() {
    let lab = Lab::new();
    let cluster = guarded();
    let port = cluster.port();
    let url = format!("postgres://u@127.0.0.1:{port}/d");
    let with_password = format!("postgres://u:{PASSWORD_ENCODED}@127.0.0.1:{port}/d");

    let refused = run(lab.command(&["init", &url, "--template", "sample"]));
    refused.assert_fails(1, "wants a password");
    let mut wrong = lab.command(&["init", &url, "--template", "sample"]);
    wrong.env("PGPASSWORD", format!("not {PASSWORD}"));
    run(wrong).assert_fails(1, "does not let the user \"u\" in");

    let mut right = lab.command(&["init", &url, "--template", "sample"]);
    right.env("PGPASSWORD", PASSWORD);
    assert_eq!(run(right).code, Some(0));

    lab.write("pgpass", "127.0.0.1:*:d:u:correct horse/battery@staple\n");
    let file = lab.path("pgpass");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut from_file = lab.command(&["init", &url, "--template", "sample"]);
    from_file.env("PGPASSFILE", &file);
    run(from_file).assert_fails(1, "has tables already");

    // In the URL it works as well, with a warning, and is left out of everything that is printed.
    let typed = run(lab.command(&["init", &with_password, "--template", "sample"]));
    typed.assert_fails(1, &format!("of {url} has tables already"));
    assert!(typed.stderr.contains("PGPASSWORD"), "{typed:?}");
    let mut other = cluster_with_another_password(&lab, &with_password);
    other.env("HIGHWATER_LOG", "trace");
    run(other);
}

fn cluster_with_another_password(lab: &Lab, url: &str) -> Command {
    lab.command(&["serve", url, "--wait", "0s", "--listen", "127.0.0.1:1", url])
}

#[test]
fn a_server_that_is_away_is_a_clear_error_and_is_waited_for() {
    let lab = Lab::new();
    let cluster = Cluster::start(&Options::new()).unwrap();
    let url = cluster.url("postgres");
    lab.ok(&["init", &url, "--template", "graph", "--rows", "3"]);
    cluster.stop(Stop::Fast).unwrap();
    for arguments in [
        &["serve", &url, "--wait", "0s"][..],
        &["status", &url],
        &["track", &url],
        &["untrack", &url, "--all"],
        &["inspect", "AAAA", "--database", &url],
        &["init", &url, "--template", "sample"],
    ] {
        lab.run(arguments).assert_fails(1, "Nothing listens at");
    }
    // Both are started at the same time, and the service is faster.
    let mut command = lab.serve_command(&[&url, "--wait", "60s"]);
    command.env("HIGHWATER_LOG", "warn");
    let starting = std::thread::spawn(|| Serving::start(command));
    cluster.start_again().unwrap();
    let serving = starting.join().unwrap();
    assert_eq!(serving.get("/odata/users").0, 200);
}
