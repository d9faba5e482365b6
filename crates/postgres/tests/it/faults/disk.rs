//! A disk that is really full: all files of a cluster, its log of changes included, are on a small disk of their own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use highwater_throwaway::{Cluster, Options, Stop};

use super::node::{Copy, Node, Refused};
use super::world::{SETUP, rows};

const DATABASE: &str = "postgres";
const DISK_MEGABYTES: u32 = 160;
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster on a small disk.
struct SmallDisk {
    ballast: PathBuf,
    /// Before the cluster, which could not remove its directory else.
    _mount: Mount,
    cluster: Cluster,
}

/// Something that is mounted until the process that waits for the end of its input ends, which it does however the test ends.
struct Mount(Child);

impl Drop for Mount {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // There is nobody to tell of an error.
        let _ = self.0.wait();
    }
}

impl SmallDisk {
    /// `None` where nobody lets us make a disk.
    fn new() -> Option<SmallDisk> {
        let options = Options::new()
            .set("min_wal_size", "32MB")
            .set("max_wal_size", "48MB")
            .set("restart_after_crash", "on");
        let cluster = Cluster::start(&options).unwrap();
        let (data, disk) = (
            cluster.directory().join("data"),
            cluster.directory().join("disk"),
        );
        let mount = mount(&disk, &data)?;
        cluster.stop(Stop::Fast).unwrap();
        run(Command::new("cp").arg("-a").arg(data.join(".")).arg(&disk));
        run(Command::new("rm").arg("-r").arg(&data));
        run(Command::new("ln").arg("-s").arg("disk").arg(&data));
        cluster.start_again().unwrap();
        Some(SmallDisk {
            ballast: disk.join("ballast"),
            _mount: mount,
            cluster,
        })
    }

    /// Puts something on the disk until there is no byte left.
    fn fill(&self) {
        let mut file = File::create(&self.ballast).unwrap();
        let mut piece = &[0; 1 << 16][..];
        while !piece.is_empty() {
            match file.write(piece) {
                Ok(_) => {}
                // The last page may have room for less.
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    piece = &piece[..piece.len() / 2];
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.ballast).unwrap();
    }

    /// Whether the server answers.
    fn is_up(&self) -> bool {
        self.cluster.sql(DATABASE, "SELECT 1").is_ok()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The disk is in use until then. It may be down already.
        let _ = self.cluster.stop(Stop::Immediate);
    }
}

/// Mounts a disk in memory that belongs to the owner of `model`.
fn mount(path: &Path, model: &Path) -> Option<Mount> {
    let owner = std::fs::metadata(model).unwrap();
    std::fs::create_dir(path).unwrap();
    let options = format!(
        "size={DISK_MEGABYTES}m,mode=0700,uid={},gid={}",
        owner.uid(),
        owner.gid()
    );
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
        .arg(path)
        .output();
    match mounted {
        Ok(output) if output.status.success() => {}
        refused => {
            eprintln!(
                "NOT TESTED: A FULL DISK, because no disk can be mounted here (root may): {refused:?}"
            );
            std::fs::remove_dir(path).unwrap();
            return None;
        }
    }
    let mut unmount = Command::new("sh");
    unmount
        .args(["-c", "echo; cat; umount -l \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    let mut unmount = unmount.spawn().unwrap();
    // From now on it will be unmounted.
    let mut ready = [0];
    unmount
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    Some(Mount(unmount))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// What the application has been told that it is saved.
#[derive(Default)]
struct Application {
    saved: Vec<i64>,
    next: i64,
}

impl Application {
    /// Inserts rows one by one until that is refused. Returns the code of the refusal, if it is PostgreSQL's own.
    fn insert_until_refused(&mut self, cluster: &Cluster) -> Option<String> {
        let mut session = cluster.session(DATABASE).unwrap();
        loop {
            self.next += 1;
            let id = 1000 + self.next;
            match session.run(&format!("INSERT INTO t VALUES ({id}, 1)")) {
                Ok(_) => self.saved.push(id),
                Err(refusal) => return Some(refusal.code).filter(|code| !code.is_empty()),
            }
        }
    }

    fn assert_saved(&self, cluster: &Cluster) {
        let rows = rows(cluster, DATABASE);
        for id in &self.saved {
            assert!(rows.contains_key(id), "{id} is lost");
        }
    }
}

/// What a client may be told while the disk is full.
async fn assert_exact_or_later(copy: &mut Copy, node: &Node, cluster: &Cluster) {
    match copy.round(node).await {
        Ok(()) => assert_eq!(copy.rows, rows(cluster, DATABASE)),
        Err(Refused::Later(_)) => {}
        Err(gone) => panic!("{gone:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let Some(disk) = SmallDisk::new() else { return };
    let cluster = &disk.cluster;
    cluster.sql(DATABASE, SETUP).unwrap();
    let node = Node::new(&cluster.url(DATABASE)).await;
    node.tick().await;
    let mut application = Application::default();
    let mut copy = Copy::of(&node).await;

    // No file can grow.
    disk.fill();
    let code = application.insert_until_refused(cluster);
    assert_eq!(
        code.as_deref(),
        Some("53100"),
        "the application is told what PostgreSQL says"
    );
    assert_exact_or_later(&mut copy, &node, cluster).await;
    let mut other = Copy::new(10);
    assert_exact_or_later(&mut other, &node, cluster).await;
    // The maintenance may fail, and goes on later.
    let _ = node.store.maintain_once().await;
    assert_exact_or_later(&mut copy, &node, cluster).await;
    disk.make_room();
    cluster
        .sql(DATABASE, "INSERT INTO t VALUES (500, 1)")
        .unwrap();
    node.tick().await;
    for copy in [&mut copy, &mut other] {
        copy.insist(&node).await.unwrap();
        assert_eq!(copy.rows, rows(cluster, DATABASE));
    }
    application.assert_saved(cluster);

    // There is not even room for PostgreSQL's log of changes, and it gives up until there is.
    disk.fill();
    let begin = Instant::now();
    while disk.is_up() {
        let _ = cluster.sql(DATABASE, "SELECT pg_switch_wal()");
        let _ = cluster.sql(DATABASE, "UPDATE t SET v = v + 1 WHERE id = 1");
        assert!(begin.elapsed() < PATIENCE, "the log still has room");
    }
    let outcome = copy.round(&node).await;
    assert!(matches!(outcome, Err(Refused::Later(_))), "{outcome:?}");
    disk.make_room();
    while !disk.is_up() {
        // It may have ended, or may be about to begin anew by itself.
        let _ = cluster.start_again();
        assert!(begin.elapsed() < PATIENCE, "{}", cluster.log());
    }
    application.assert_saved(cluster);
    for copy in [&mut copy, &mut other] {
        copy.insist(&node).await.unwrap();
        assert_eq!(copy.rows, rows(cluster, DATABASE));
    }
    cluster
        .sql(DATABASE, "INSERT INTO t VALUES (501, 1)")
        .unwrap();
    copy.insist(&node).await.unwrap();
    assert_eq!(copy.rows, rows(cluster, DATABASE));
}
