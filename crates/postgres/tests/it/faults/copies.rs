//! Copies of a database, and databases that are set back: a link of one line of states is never answered from another.

use std::io::Write as _;
use std::process::{Command, Stdio};

use highwater_throwaway::{Cluster, Options};

use super::node::{Copy, Node, Refused};
use super::world::{SETUP, rows};

const DATABASE: &str = "postgres";

async fn assert_gone(copy: &Copy, node: &Node, why: &str) {
    let outcome = copy.clone().insist(node).await;
    assert!(
        matches!(outcome, Err(Refused::Gone(_))),
        "{why}: {outcome:?}"
    );
}

/// The new node serves its own database exactly, and goes on.
async fn assert_serves(node: &Node, cluster: &Cluster, database: &str) {
    let mut copy = Copy::of(node).await;
    cluster
        .sql(
            database,
            "UPDATE t SET v = v + 1 WHERE id < 5; DELETE FROM t WHERE id = 9",
        )
        .unwrap();
    copy.insist(node).await.unwrap();
    assert_eq!(copy.rows, rows(cluster, database));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_loaded_from_a_dump_or_a_template_is_another_database() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database.sql(SETUP).unwrap();
    let node = Node::new(&database.url()).await;
    node.tick().await;
    let copy = Copy::of(&node).await;
    let dump = |arguments: &[&str]| {
        let output = Command::new(cluster.binaries().program("pg_dump"))
            .args([
                "-h",
                &cluster.directory().display().to_string(),
                "-p",
                &cluster.port().to_string(),
                "-U",
                "postgres",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // What begins with a backslash is for psql.
        let script = String::from_utf8(output.stdout).unwrap();
        let lines = script.lines().filter(|line| !line.starts_with('\\'));
        lines.collect::<Vec<_>>().join("\n")
    };
    // A new database, from SQL.
    let script = dump(&["--inserts", database.name()]);
    let loaded = cluster.database().unwrap();
    loaded.sql(&script).unwrap();
    let other = Node::new(&loaded.url()).await;
    assert_gone(&copy, &other, "loaded").await;
    assert_serves(&other, cluster, loaded.name()).await;
    drop(other);
    // The same one, after everything in it was dropped; a node serves it all the time.
    database
        .sql("DROP SCHEMA public CASCADE; DROP SCHEMA highwater CASCADE; CREATE SCHEMA public")
        .unwrap();
    let script = script.replace("CREATE SCHEMA public;", "");
    database.sql(&script).unwrap();
    assert_gone(&copy, &node, "loaded again").await;
    assert_serves(&node, cluster, database.name()).await;
    let copy = Copy::of(&node).await;
    drop(node);
    // A copy by the server.
    let name = format!("{}_copy", database.name());
    cluster
        .sql(
            DATABASE,
            &format!("CREATE DATABASE {name} TEMPLATE {}", database.name()),
        )
        .unwrap_or_else(|error| panic!("{error}"));
    let other = Node::new(&cluster.url(&name)).await;
    assert_gone(&copy, &other, "template").await;
    assert_serves(&other, cluster, &name).await;
    drop(other);
    cluster
        .sql(DATABASE, &format!("DROP DATABASE {name} WITH (FORCE)"))
        .unwrap();
}

/// From an archive, into a new database and into the same one, which a node serves meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_from_an_archive_is_another_database() {
    let cluster = Cluster::shared();
    let database = cluster.database().unwrap();
    database.sql(SETUP).unwrap();
    let node = Node::new(&database.url()).await;
    node.tick().await;
    let copy = Copy::of(&node).await;
    let archive = Command::new(cluster.binaries().program("pg_dump"))
        .args(["--format=custom", &database.url()])
        .output()
        .unwrap();
    assert!(archive.status.success(), "{archive:?}");
    let restore = |arguments: &[&str]| {
        let mut command = Command::new(cluster.binaries().program("pg_restore"));
        let mut running = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = running.stdin.take().unwrap();
        stdin.write_all(&archive.stdout).unwrap();
        drop(stdin);
        let output = running.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let loaded = cluster.database().unwrap();
    assert_eq!(restore(&["--dbname", &loaded.url()]), "");
    let other = Node::new(&loaded.url()).await;
    assert_gone(&copy, &other, "a new database").await;
    assert_serves(&other, cluster, loaded.name()).await;
    drop(other);
    database.sql("UPDATE t SET v = v + 1000").unwrap();
    let later = Copy::of(&node).await;
    let url = database.url();
    let clean = ["--clean", "--if-exists", "--dbname", &url];
    assert_eq!(
        restore(&[&clean as &[_], &["--single-transaction"]].concat()),
        ""
    );
    assert_gone(&copy, &node, "a link from before the archive").await;
    assert_gone(&later, &node, "a link from after the archive").await;
    assert_serves(&node, cluster, database.name()).await;
    // The tracking that has begun since then is not in the archive, so something of it remains, under a number that comes again.
    let later = Copy::of(&node).await;
    let complaint = restore(&clean);
    assert!(
        complaint.contains("cannot drop schema highwater"),
        "{complaint}"
    );
    assert_gone(&copy, &node, "a link from before the archive").await;
    assert_gone(&later, &node, "a link from after the archive").await;
    assert_serves(&node, cluster, database.name()).await;
}

/// The files are set back to an older state, and other things happen then: same system, same timeline, same transaction ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_files_are_set_back_knows_which_links_it_has_not_issued() {
    let cluster = Cluster::start(&Options::new()).unwrap();
    cluster.sql(DATABASE, SETUP).unwrap();
    // The same node all the time, or another one each time; ticks after the copy, or none; a copy of a stopped server or of one that runs.
    for (is_same, has_ticks, is_hot) in [
        (true, true, false),
        (true, false, false),
        (false, false, false),
        (true, true, true),
        (true, false, true),
        (false, false, true),
    ] {
        let node = Node::new(&cluster.url(DATABASE)).await;
        node.tick().await;
        cluster
            .sql(DATABASE, "UPDATE t SET v = v + 1 WHERE id = 1")
            .unwrap();
        if is_hot {
            // What is put back begins with a recovery, as after a crash, which only what a tick shows is sure to survive.
            node.tick().await;
        }
        let mut before = Copy::of(&node).await;
        match is_hot {
            true => cluster.back_up_files("backup").unwrap(),
            false => cluster.copy_files("backup").unwrap(),
        }
        let mut after = before.clone();
        after.insist(&node).await.unwrap();
        cluster
            .sql(DATABASE, "UPDATE t SET v = v + 100 WHERE id = 2")
            .unwrap();
        if has_ticks {
            node.tick().await;
        }
        after.round(&node).await.unwrap();
        let first = Copy::of(&node).await;
        assert_eq!(first.rows, rows(&cluster, DATABASE));
        cluster.restore_files("backup").unwrap();
        let node = match is_same {
            true => node,
            false => Node::new(&cluster.url(DATABASE)).await,
        };
        // As many transactions as there were, and more.
        for _ in 0..5 {
            cluster
                .sql(DATABASE, "UPDATE t SET v = v + 1000 WHERE id = 3")
                .unwrap();
        }
        if has_ticks {
            node.tick().await;
        }
        assert_gone(&after, &node, "a later link").await;
        assert_gone(&first, &node, "a first round after the copy").await;
        before.insist(&node).await.unwrap();
        assert_eq!(before.rows, rows(&cluster, DATABASE));
        assert_serves(&node, &cluster, DATABASE).await;
    }
}
