//! Throw-away clusters, started for real. PostgreSQL must be installed.

#![allow(clippy::print_stderr, reason = "a test that talks to itself")]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use highwater_throwaway::{Cluster, Options, Stop};

fn one(cluster: &Cluster, database: &str, sql: &str) -> String {
    let rows = cluster.sql(database, sql);
    rows.expect("the query works")[0][0]
        .clone()
        .unwrap_or_default()
}

#[test]
fn databases_of_the_shared_cluster_are_separate() {
    let (first, second) = (
        Cluster::shared().database().unwrap(),
        Cluster::shared().database().unwrap(),
    );
    first
        .sql("CREATE TABLE a(x int); INSERT INTO a VALUES (1), (NULL)")
        .unwrap();
    assert_eq!(
        first.sql("SELECT x, 'ä' FROM a ORDER BY x").unwrap(),
        [
            [Some("1".to_owned()), Some("ä".to_owned())],
            [None, Some("ä".to_owned())]
        ]
    );
    let missing = second.sql("SELECT * FROM a").unwrap_err();
    assert!(missing.to_string().contains("42P01"), "{missing}");
    let name = first.name().to_owned();
    drop(first);
    let left = second
        .sql(&format!("SELECT FROM pg_database WHERE datname = '{name}'"))
        .unwrap();
    assert!(left.is_empty());
}

#[test]
fn a_cluster_of_its_own_has_its_settings_and_survives_every_end() {
    let cluster = Cluster::start(&Options::new().set("max_connections", "17")).unwrap();
    assert_eq!(one(&cluster, "postgres", "SHOW max_connections"), "17");
    let url = cluster.url("postgres");
    cluster
        .sql("postgres", "CREATE TABLE a AS SELECT 1 AS x")
        .unwrap();
    cluster.restart(Stop::Immediate).unwrap();
    cluster.restart(Stop::Fast).unwrap();
    cluster.kill().unwrap();
    cluster.start_again().unwrap();
    assert_eq!(one(&cluster, "postgres", "SELECT x FROM a"), "1");
    assert_eq!(cluster.url("postgres"), url);
    cluster.stop(Stop::Fast).unwrap();
    assert!(cluster.sql("postgres", "SELECT").is_err());
    let directory = cluster.directory().to_owned();
    drop(cluster);
    assert!(!directory.exists());
}

#[test]
fn access_can_be_limited() {
    let options = Options::new().admit("host all all 127.0.0.1/32 scram-sha-256");
    let cluster = Cluster::start(&options).unwrap();
    let rules = "SELECT string_agg(type || ' ' || auth_method, ', ' ORDER BY line_number) FROM pg_hba_file_rules";
    assert_eq!(
        one(&cluster, "postgres", rules),
        "local trust, local trust, host scram-sha-256"
    );
}

#[test]
fn a_standby_follows_and_can_be_promoted() {
    let primary = Cluster::start(&Options::new()).unwrap();
    let standby = primary.standby(&Options::new()).unwrap();
    primary
        .sql("postgres", "CREATE TABLE a AS SELECT 1 AS x")
        .unwrap();
    standby.catch_up(&primary).unwrap();
    assert_eq!(one(&standby, "postgres", "SELECT x FROM a"), "1");
    assert_eq!(one(&standby, "postgres", "SELECT pg_is_in_recovery()"), "t");
    primary.kill().unwrap();
    standby.promote().unwrap();
    assert_eq!(one(&standby, "postgres", "SELECT pg_is_in_recovery()"), "f");
}

#[test]
fn nothing_is_left_of_a_process_that_was_killed() {
    const KILLED: &str = "HIGHWATER_TEST_KILLED";
    if std::env::var_os(KILLED).is_some() {
        let cluster = Cluster::start(&Options::new()).unwrap();
        eprintln!("cluster in {}", cluster.directory().display());
        loop {
            std::thread::park();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_of_a_process_that_was_killed"])
        .arg("--nocapture")
        .env(KILLED, "yes")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let directory = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("cluster in ").map(PathBuf::from))
        .expect("the other process tells where its cluster is");
    let watched = File::open(directory.join("watched")).unwrap();
    assert!(watched.try_lock().is_err(), "nobody watches the cluster");
    child.kill().unwrap();
    child.wait().unwrap();
    // The watchdog holds this lock until it has removed everything.
    watched.lock().unwrap();
    assert!(!directory.exists());
}
