//! PgBouncer before a cluster.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::directory::quiet;
use crate::error::Error;

const START_MAX: Duration = Duration::from_secs(30);

/// Ends the pooler when its own input ends: when the one who started it has died, however that came.
const LIFE: &str =
    "PATH=$PATH:/usr/sbin:/sbin; pgbouncer -q \"$0\" & cat >/dev/null; kill $! 2>/dev/null; wait";

/// A pooler in transaction mode with few connections to the server, so that clients really share them. It listens on a Unix socket only,
/// and lets everybody in, as `postgres`.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Pooler {
    pub(crate) fn start(cluster: &Cluster) -> Result<Pooler, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let port = cluster.port();
        let folder = cluster
            .directory()
            .join(format!("pooler_{}_{number}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(folder.display(), &e))?;
        cluster.owner.give(&folder)?;
        let settings = format!(
            "[databases]\n* = host={} port={port} user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = {port}\nunix_socket_dir = {}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 4\nlogfile = {}\n",
            cluster.directory().display(),
            folder.display(),
            folder.join("log").display(),
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).map_err(|e| Error::io(file.display(), &e))?;
        let mut command = Command::new("sh");
        quiet(&mut command)
            .args(["-c", LIFE])
            .arg(&file)
            .stdin(Stdio::piped());
        let child = cluster
            .owner
            .run_as(&mut command)
            .spawn()
            .map_err(|e| Error::io("cannot start sh", &e))?;
        let pooler = Pooler {
            child,
            folder,
            port,
        };
        let socket = pooler.folder.join(format!(".s.PGSQL.{port}"));
        let begin = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if begin.elapsed() > START_MAX {
                let log = std::fs::read_to_string(pooler.folder.join("log")).unwrap_or_default();
                return Err(Error(format!(
                    "PgBouncer does not start (`cargo xtask test` installs it): {log}"
                )));
            }
            // Nothing tells when the socket is there.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(pooler)
    }

    /// The URL of a database of the cluster, through the pooler.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may have ended already.
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
