//! The directory of a cluster, its locks, and its watchdog.
//!
//! `watchdog.sh` tells what the locks mean. What must hold: whoever has a [`Place`] holds the lock `users`, so the cluster lives at
//! least as long.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::binaries::Binaries;
use crate::error::Error;
use crate::options::Options;
use crate::owner::Owner;

const WATCHDOG: &str = include_str!("watchdog.sh");

/// Below the ports that Linux gives to outgoing connections, so that a cluster finds its port free after a restart.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How often a cluster is tried to be started on another port.
const PORTS_TRIED_MAX: usize = 5;

/// Lines of the log in an error.
const LOG_LINES_MAX: usize = 40;

/// A directory that this process uses.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) port: u16,
    /// Held for as long as this is.
    _users: File,
}

/// The watchdog of a cluster that this process started.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Waits until the cluster has been removed, which the watchdog does when nobody uses it.
    pub(crate) fn wait(&mut self) {
        // There is nobody to tell of an error.
        let _ = self.0.wait();
    }
}

/// What is needed to make a cluster.
pub(crate) struct Making<'a> {
    pub(crate) binaries: &'a Binaries,
    pub(crate) owner: &'a Owner,
    pub(crate) options: &'a Options,
    /// The command that makes the folder `data`; it runs in the directory of the cluster.
    pub(crate) command: Vec<String>,
    /// How long the cluster outlives its last user.
    pub(crate) grace_seconds: u32,
}

impl Making<'_> {
    /// Starts a cluster in the directory, if none is running there.
    pub(crate) fn join_or_start(&self, path: &Path) -> Result<(Place, Option<Watchdog>), Error> {
        let mut complaint = None;
        for _ in 0..PORTS_TRIED_MAX {
            let lock = self.lock(path)?;
            let users = open(&path.join("users"))?;
            users
                .lock_shared()
                .map_err(|e| Error::io("cannot lock 'users'", &e))?;
            if is_watched(path) && path.join("ready").exists() {
                let port = read(&path.join("port"))?;
                let port = port
                    .parse()
                    .map_err(|_| Error(format!("{port:?} is no port")))?;
                return Ok((self.place(path, port, users), None));
            }
            self.remove_remains(path)?;
            let port = free_port()?;
            match self.start(path, port)? {
                Ok(watchdog) => return Ok((self.place(path, port, users), Some(watchdog))),
                Err((log, mut watchdog)) => {
                    drop((users, lock));
                    watchdog.wait();
                    if !log.contains("could not bind") {
                        return Err(Error(format!(
                            "PostgreSQL could not be started. Its log says:\n{log}"
                        )));
                    }
                    complaint = Some(log);
                }
            }
        }
        Err(Error(format!(
            "PostgreSQL found no free port. Its log says:\n{}",
            complaint.unwrap_or_default()
        )))
    }

    fn place(&self, path: &Path, port: u16, users: File) -> Place {
        Place {
            path: path.to_owned(),
            port,
            _users: users,
        }
    }

    /// The lock `lock` of the directory, which is created if need be.
    fn lock(&self, path: &Path) -> Result<File, Error> {
        loop {
            match std::fs::create_dir(path) {
                Ok(()) => self.owner.give(path)?,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(path.display(), &e)),
            }
            let file = path.join("lock");
            let lock = match File::create(&file) {
                // The watchdog was quicker with its removal.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                result => result.map_err(|e| Error::io(file.display(), &e))?,
            };
            lock.lock().map_err(|e| Error::io(file.display(), &e))?;
            let held = lock.metadata().map(|m| m.ino()).ok();
            let there = std::fs::metadata(&file).map(|m| m.ino()).ok();
            if held == there {
                return Ok(lock);
            }
        }
    }

    /// Removes what a watchdog that was killed has left.
    fn remove_remains(&self, path: &Path) -> Result<(), Error> {
        let data = path.join("data");
        if data.join("postmaster.pid").exists() {
            let mut stop = Command::new(self.binaries.program("pg_ctl"));
            stop.args(["stop", "-m", "immediate", "-w", "-D"])
                .arg(&data);
            // It fails if the processes are gone, which is all that is wanted.
            let _ = quiet(self.owner.run_as(&mut stop)).status();
        }
        if data.exists() {
            std::fs::remove_dir_all(&data).map_err(|e| Error::io(data.display(), &e))?;
        }
        for name in ["ready", "log", "watched"] {
            // It need not be there.
            let _ = std::fs::remove_file(path.join(name));
        }
        Ok(())
    }

    /// Starts the watchdog, and that the cluster. The inner error is the log.
    fn start(&self, path: &Path, port: u16) -> Result<Result<Watchdog, (String, Watchdog)>, Error> {
        let directory = path
            .to_str()
            .ok_or_else(|| Error(format!("the path {} is not UTF-8", path.display())))?;
        self.write(&path.join("port"), &port.to_string())?;
        self.write(
            &path.join("settings"),
            &self.options.configuration(port, directory),
        )?;
        if let Some(access) = self.options.access() {
            self.write(&path.join("access"), &access)?;
        }
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "highwater-watchdog", directory])
            .arg(self.grace_seconds.to_string())
            .arg(self.binaries.program("pg_ctl"))
            .args(&self.command)
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What ends the tests must not end the watchdog.
            .process_group(0);
        let mut watchdog = self
            .owner
            .run_as(&mut command)
            .spawn()
            .map_err(|e| Error::io("cannot start the watchdog", &e))?;
        let stdout = watchdog.stdout.take();
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|e| Error::io("the watchdog does not answer", &e))?;
        }
        let watchdog = Watchdog(watchdog);
        Ok(match line.trim() {
            "ready" => Ok(watchdog),
            _ => Err((end_of_log(path), watchdog)),
        })
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(path, text).map_err(|e| Error::io(path.display(), &e))?;
        self.owner.give(path)
    }
}

/// Creates a directory for a cluster of one's own.
pub(crate) fn own_directory(owner: &Owner) -> Result<PathBuf, Error> {
    // No clock is in the name: two threads can begin in the same instant, and would share a cluster that one of them stops.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("highwater-postgres-own-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match std::fs::create_dir(&path) {
            Ok(()) => {
                owner.give(&path)?;
                return Ok(path);
            }
            // An earlier process of that number was killed together with its watchdog.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(path.display(), &e)),
        }
    }
}

/// The last lines of the log of a cluster.
pub(crate) fn end_of_log(directory: &Path) -> String {
    let log = std::fs::read(directory.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
}

/// A command that says nothing and asks nothing.
pub(crate) fn quiet(command: &mut Command) -> &mut Command {
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Whether a watchdog lives.
fn is_watched(directory: &Path) -> bool {
    File::open(directory.join("watched")).is_ok_and(|file| file.try_lock().is_err())
}

fn open(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(|e| Error::io(path.display(), &e))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path.display(), &e))
}

/// A port that nobody listens on.
fn free_port() -> Result<u16, Error> {
    // Different in every process, and that is enough.
    let mut seed = u64::from(std::process::id()) << 20;
    seed ^= SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()));
    let count = u64::from(PORTS.end - PORTS.start);
    for step in 0..count {
        let port = PORTS.start + ((seed.wrapping_mul(0x9e37_79b9) + step * 7) % count) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error(format!("no port of {PORTS:?} is free")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_there_is_nobodys_own() {
        let owner = Owner::of_this_process().expect("somebody may run PostgreSQL");
        let first = own_directory(&owner).expect("there is room");
        let name = format!("highwater-postgres-own-{}-1", std::process::id());
        let taken = first.with_file_name(name);
        std::fs::create_dir(&taken).expect("there is room");
        let second = own_directory(&owner).expect("there is room");
        for path in [&first, &taken, &second] {
            std::fs::remove_dir(path).expect("it is there, and empty");
        }
        assert!(
            first != second && taken != second,
            "{first:?} {taken:?} {second:?}"
        );
    }
}
