//! The server side of a lab, and the program as one that can be killed.
//!
//! What must hold: nothing of a server that was stopped or killed lives on, so the next one starts from the database alone.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::{Tcp, Transport};

/// What can be started and stopped.
pub trait Server: Send {
    /// Serves a database, given as a path or a URL, after tracking all its tables. What was started before is stopped.
    fn start(&mut self, database: &str) -> Arc<dyn Transport>;

    /// Ends what was started, if anything was.
    fn stop(&mut self);
}

impl Server for Box<dyn Server> {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        (**self).start(database)
    }

    fn stop(&mut self) {
        (**self).stop();
    }
}

/// The program `highwater serve`. It is always stopped with `kill -9`, so that every restart is a recovery from a crash.
#[derive(Debug)]
pub struct Process {
    binary: PathBuf,
    child: Arc<Mutex<Option<Child>>>,
}

impl Process {
    /// A server that runs the given program.
    pub fn new(binary: &Path) -> Process {
        Process {
            binary: binary.to_owned(),
            child: Arc::default(),
        }
    }

    /// What can kill the server from another thread.
    pub fn killer(&self) -> Killer {
        Killer(self.child.clone())
    }
}

/// Kills a server.
#[derive(Clone, Debug)]
pub struct Killer(Arc<Mutex<Option<Child>>>);

impl Killer {
    /// Ends the process at once and waits until it is gone. Does nothing if it is gone already.
    pub fn kill(&self) {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            // SIGKILL on Unix. It can only fail if the process has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Process {
    /// Starts the program, waits until it is ready, and returns where it listens.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn start_at(&mut self, database: &str) -> SocketAddr {
        self.stop();
        let mut child = spawn(&self.binary, database);
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the server writes text");
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(child);
        line.trim()
            .strip_prefix("listening on http://")
            .and_then(|address| address.trim_end_matches('/').parse().ok())
            .unwrap_or_else(|| panic!("the server should be ready, but says {line:?}"))
    }
}

impl Server for Process {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        let address = self.start_at(database);
        Arc::new(Tcp { address })
    }

    fn stop(&mut self) {
        self.killer().kill();
    }
}

/// Starts the program and kills it after `moment`, ready or not.
pub fn start_and_kill(binary: &Path, database: &str, moment: impl FnOnce()) {
    let child = spawn(binary, database);
    moment();
    Killer(Arc::new(Mutex::new(Some(child)))).kill();
}

fn spawn(binary: &Path, database: &str) -> Child {
    Command::new(binary)
        .arg("serve")
        .arg(database)
        .args(["--listen", "127.0.0.1:0"])
        // A directory without a configuration file.
        .current_dir("/")
        .env("HIGHWATER_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", binary.display()))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
