//! A running cluster, and what can be done with one's own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::binaries::Binaries;
use crate::database::Database;
use crate::directory::{Making, Place, Watchdog, end_of_log, own_directory, quiet};
use crate::error::Error;
use crate::options::Options;
use crate::owner::Owner;
use crate::pooler::Pooler;
use crate::session::{Row, Session};

/// How long the processes of a killed cluster may take to notice.
const ORPHANS_GONE_MAX: Duration = Duration::from_secs(60);

/// A throw-away cluster. Its superuser is `postgres`, who needs no password.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) binaries: Binaries,
    pub(crate) owner: Owner,
    /// `None` only while it is dropped.
    place: Option<Place>,
    watchdog: Option<Watchdog>,
    is_own: bool,
}

/// How a cluster is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends all sessions, rolls their transactions back, and writes everything to disk.
    Fast,
    /// Ends everything at once, as a crash does; the next start recovers.
    Immediate,
}

impl Cluster {
    /// A cluster of one's own, which ends with the value.
    ///
    /// # Errors
    ///
    /// PostgreSQL is not installed or does not start; the text says why.
    pub fn start(options: &Options) -> Result<Cluster, Error> {
        let (binaries, owner) = (Binaries::find()?, Owner::of_this_process()?);
        let command = initdb(&binaries);
        Cluster::start_own(binaries, owner, options, command)
    }

    /// A cluster of one's own whose data a command makes.
    pub(crate) fn start_own(
        binaries: Binaries,
        owner: Owner,
        options: &Options,
        command: Vec<String>,
    ) -> Result<Cluster, Error> {
        let directory = own_directory(&owner)?;
        let making = Making {
            binaries: &binaries,
            owner: &owner,
            options,
            command,
            grace_seconds: 0,
        };
        let (place, watchdog) = making.join_or_start(&directory)?;
        Ok(Cluster {
            binaries,
            owner,
            place: Some(place),
            watchdog,
            is_own: true,
        })
    }

    /// A cluster that others use too.
    pub(crate) fn with_others(
        binaries: Binaries,
        owner: Owner,
        place: Place,
        watchdog: Option<Watchdog>,
    ) -> Cluster {
        Cluster {
            binaries,
            owner,
            place: Some(place),
            watchdog,
            is_own: false,
        }
    }

    fn place(&self) -> &Place {
        self.place
            .as_ref()
            .expect("the place is there until the cluster is dropped")
    }

    /// The TCP port, on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.place().port
    }

    /// The directory of the cluster: its Unix socket, its log, and the data in `data`.
    pub fn directory(&self) -> &Path {
        &self.place().path
    }

    /// The programs that it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The URL of a database of the cluster, over TCP.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())
    }

    /// The URL of a database of the cluster, through the Unix socket.
    pub fn socket_url(&self, database: &str) -> String {
        let directory = self.directory().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{directory}:{}/{database}", self.port())
    }

    /// Creates an empty database, which is dropped with the value.
    ///
    /// # Errors
    ///
    /// The cluster does not run.
    pub fn database(&self) -> Result<Database<'_>, Error> {
        Database::create(self)
    }

    /// Starts PgBouncer before it, which ends with the value.
    ///
    /// # Errors
    ///
    /// It is not installed or does not start; the text says why.
    pub fn pooler(&self) -> Result<Pooler, Error> {
        Pooler::start(self)
    }

    /// Executes statements, separated by semicolons, as `postgres`, and returns all their rows.
    ///
    /// # Errors
    ///
    /// The cluster does not run, or PostgreSQL refuses a statement.
    pub fn sql(&self, database: &str, sql: &str) -> Result<Vec<Row>, Error> {
        let answer = self.session(database)?.run(sql);
        answer
            .map(|answer| answer.rows)
            .map_err(|refusal| Error(refusal.to_string()))
    }

    /// A connection to a database, as `postgres`.
    ///
    /// # Errors
    ///
    /// The cluster does not run, or there is no such database.
    pub fn session(&self, database: &str) -> Result<Session, Error> {
        let socket = self.directory().join(format!(".s.PGSQL.{}", self.port()));
        Session::connect(&socket, database)
            .map_err(|refusal| Error(format!("{}: {refusal}", socket.display())))
    }

    /// The end of the log.
    pub fn log(&self) -> String {
        end_of_log(self.directory())
    }

    /// Writes a file that only the cluster can read (as it demands of its private key), and returns its path.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf, Error> {
        const OWNER_ONLY: u32 = 0o600;
        let path = self.directory().join(name);
        let failed = |e| Error::io(path.display(), &e);
        std::fs::write(&path, contents).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(OWNER_ONLY))
            .map_err(failed)?;
        self.owner.give(&path)?;
        Ok(path)
    }

    /// Stops one's own cluster; its data stays for [`Cluster::start_again`].
    ///
    /// # Errors
    ///
    /// It does not stop.
    pub fn stop(&self, stop: Stop) -> Result<(), Error> {
        let mode = match stop {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        self.pg_ctl(&["stop", "-w", "-t", "120", "-m", mode])
    }

    /// Starts one's own cluster again, on the same port.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start_again(&self) -> Result<(), Error> {
        let log = self.directory().join("log");
        let begin = Instant::now();
        loop {
            let started =
                self.pg_ctl(&["start", "-w", "-t", "120", "-l", &log.display().to_string()]);
            match started {
                // After a kill, some processes may still be there for a moment.
                Err(e) if e.0.contains("still in use") && begin.elapsed() < ORPHANS_GONE_MAX => {}
                result => return result,
            }
        }
    }

    /// Stops one's own cluster and starts it again.
    ///
    /// # Errors
    ///
    /// It does not stop or does not start.
    pub fn restart(&self, stop: Stop) -> Result<(), Error> {
        self.stop(stop)?;
        self.start_again()
    }

    /// Ends the main process of one's own cluster with `SIGKILL`. The others end by themselves when they notice.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn kill(&self) -> Result<(), Error> {
        let file = self.directory().join("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).map_err(|e| Error::io(file.display(), &e))?;
        let process = text.lines().next().unwrap_or_default();
        self.run(Command::new("kill").args(["-9", process]))?;
        // The signal is delivered at some time; only then does PostgreSQL start again.
        while self.run(Command::new("kill").args(["-0", process])).is_ok() {}
        Ok(())
    }

    /// Stops one's own cluster, copies its files, and starts it again: what a backup of a machine's disk contains.
    ///
    /// # Errors
    ///
    /// It does not stop or start, or there is no room.
    pub fn copy_files(&self, name: &str) -> Result<(), Error> {
        self.exchange_files(&["data", name])
    }

    /// Stops one's own cluster, puts its files back to what [`Cluster::copy_files`] copied, and starts it again.
    ///
    /// # Errors
    ///
    /// See [`Cluster::copy_files`].
    pub fn restore_files(&self, name: &str) -> Result<(), Error> {
        self.exchange_files(&[name, "data"])
    }

    fn exchange_files(&self, [from, to]: &[&str; 2]) -> Result<(), Error> {
        self.stop(Stop::Fast)?;
        let path = |name: &str| self.directory().join(name);
        self.run(Command::new("rm").arg("-rf").arg(path(to)))?;
        self.run(Command::new("cp").arg("-a").arg(path(from)).arg(path(to)))?;
        self.start_again()
    }

    /// Makes one's own cluster read its settings again.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn reload(&self) -> Result<(), Error> {
        self.pg_ctl(&["reload"])
    }

    pub(crate) fn pg_ctl(&self, arguments: &[&str]) -> Result<(), Error> {
        let data = self.directory().join("data");
        let mut command = Command::new(self.binaries.program("pg_ctl"));
        command.arg("-D").arg(data).args(arguments);
        self.run(&mut command)
    }

    /// Runs a program as the owner of the cluster.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), Error> {
        assert!(
            self.is_own,
            "only a cluster of one's own can be stopped and started: others use this one"
        );
        let text = format!("{command:?}");
        let status = quiet(self.owner.run_as(command))
            .status()
            .map_err(|e| Error::io(format_args!("cannot run {text}"), &e))?;
        if status.success() {
            return Ok(());
        }
        Err(Error(format!(
            "{text} failed ({status}). The log of PostgreSQL says:\n{}",
            self.log()
        )))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.place.take());
        if let (true, Some(watchdog)) = (self.is_own, &mut self.watchdog) {
            watchdog.wait();
        }
    }
}

/// The command that makes an empty cluster.
pub(crate) fn initdb(binaries: &Binaries) -> Vec<String> {
    let program = binaries.program("initdb").display().to_string();
    // C.UTF-8 everywhere: what a test finds must not depend on the machine.
    let arguments =
        "--pgdata=data --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync";
    std::iter::once(program)
        .chain(arguments.split(' ').map(str::to_owned))
        .collect()
}
