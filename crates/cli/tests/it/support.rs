//! Runs the binary, and talks to it when it serves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// A directory of its own for a test, with the binary at hand.
pub(crate) struct Lab {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        Lab {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A copy of a database that this project did not write.
    pub(crate) fn chinook(&self) {
        let original =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/data/chinook/chinook.sqlite");
        // Not `fs::copy`: the copy must be writable even where the original is not.
        std::fs::write(
            self.path("chinook.sqlite"),
            std::fs::read(original).unwrap(),
        )
        .unwrap();
    }

    pub(crate) fn sql(&self, name: &str, sql: &str) {
        rusqlite::Connection::open(self.path(name))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// The command, started in the directory, with no variable of the caller's that could matter.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("HIGHWATER_") || name_text.starts_with("PG") {
                command.env_remove(name);
            }
        }
        // The width of help texts.
        command.env_remove("COLUMNS");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
        outcome.stdout
    }

    /// Starts `serve` on a free port and waits until it is ready.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        Serving::start(self.serve_command(arguments))
    }

    /// Runs a `serve` that must end before it is ready.
    pub(crate) fn serve_refused(&self, arguments: &[&str]) -> Outcome {
        match Serving::try_start(self.serve_command(arguments)) {
            Ok(_) => panic!("it serves: {arguments:?}"),
            Err(outcome) => outcome,
        }
    }

    pub(crate) fn serve_command(&self, arguments: &[&str]) -> Command {
        self.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
    }
}

impl Outcome {
    pub(crate) fn of(output: std::process::Output) -> Outcome {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks a failure: its exit code, and that the error is one line that begins as it must and contains `part`.
    #[track_caller]
    pub(crate) fn assert_fails(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        let error = self.stderr.lines().last().unwrap_or_default();
        assert!(error.starts_with("highwater: "), "{self:?}");
        assert!(error.contains(part), "expected {part:?} in {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

/// A service in a process of its own. It is killed at the end of a test that did not stop it.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Serving {
    /// Starts a command that prints where it listens.
    pub(crate) fn start(command: Command) -> Serving {
        Serving::try_start(command)
            .unwrap_or_else(|outcome| panic!("it does not serve: {outcome:?}"))
    }

    fn try_start(mut command: Command) -> Result<Serving, Outcome> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        match line.trim_end().strip_prefix("listening on http://") {
            Some(address) => Ok(Serving {
                address: address.parse().unwrap(),
                child,
                stdout,
            }),
            None => {
                let outcome = Outcome::of(child.wait_with_output().unwrap());
                Err(Outcome {
                    stdout: line,
                    ..outcome
                })
            }
        }
    }

    /// The status, headers and body of a GET as they come over the wire.
    pub(crate) fn whole(&self, target: &str) -> String {
        self.exchange("GET", target, "Prefer: track-changes\r\n", "")
    }

    /// The status and body of a GET, in the 4.01 format.
    pub(crate) fn get(&self, target: &str) -> (u16, String) {
        self.send("GET", target, "Prefer: track-changes\r\n", "")
    }

    /// The body of a GET that must succeed, as JSON.
    pub(crate) fn json(&self, target: &str) -> serde_json::Value {
        let (status, body) = self.get(target);
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &str,
        body: &str,
    ) -> (u16, String) {
        let answer = self.exchange(method, target, headers, body);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    fn exchange(&self, method: &str, target: &str, headers: &str, body: &str) -> String {
        let root = format!("http://{}", self.address);
        let target = target
            .strip_prefix(&root)
            .unwrap_or(target)
            .replace(' ', "%20");
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nOData-MaxVersion: 4.01\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and waits for the end.
    #[cfg(unix)]
    pub(crate) fn stop(mut self, signal: &str) -> Outcome {
        let killed = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        Outcome {
            code: self.child.wait().unwrap().code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
