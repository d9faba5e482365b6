//! Streaming standbys.

use crate::cluster::Cluster;
use crate::error::Error;
use crate::options::Options;

/// How often it is looked, every 5 ms, whether a standby has caught up: for a minute.
const CATCH_UP_POLLS_MAX: u32 = 12_000;

impl Cluster {
    /// A hot standby that streams from this cluster. It ends with the value, which must be dropped before this one.
    ///
    /// # Errors
    ///
    /// The version at hand has no `pg_basebackup`, or the standby does not start.
    pub fn standby(&self, options: &Options) -> Result<Cluster, Error> {
        let program = self.binaries.program("pg_basebackup");
        if !program.is_file() {
            return Err(Error(format!(
                "{} does not exist, so there can be no standby.",
                program.display()
            )));
        }
        let connection = format!(
            "host={} port={} user=postgres",
            self.directory().display(),
            self.port()
        );
        let arguments = [
            "--pgdata=data",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
            "--dbname",
            &connection,
        ];
        let command = std::iter::once(program.display().to_string())
            .chain(arguments.map(str::to_owned))
            .collect();
        Cluster::start_own(self.binaries.clone(), self.owner.clone(), options, command)
    }

    /// Waits until this standby shows everything that `primary` has committed.
    ///
    /// # Errors
    ///
    /// It does not follow.
    pub fn catch_up(&self, primary: &Cluster) -> Result<(), Error> {
        let rows = primary.sql("postgres", "SELECT pg_current_wal_flush_lsn()")?;
        let position = rows.into_iter().flatten().next().flatten();
        let position = position.unwrap_or_default();
        let wait = format!(
            "DO $$ BEGIN \
               FOR attempt IN 1..{CATCH_UP_POLLS_MAX} LOOP \
                 IF pg_last_wal_replay_lsn() >= '{position}' THEN RETURN; END IF; \
                 PERFORM pg_sleep(0.005); \
               END LOOP; \
               RAISE 'the standby does not reach {position}'; \
             END $$"
        );
        self.sql("postgres", &wait).map(drop)
    }

    /// Makes this standby a primary, and waits until it is.
    ///
    /// # Errors
    ///
    /// It is none, or it does not become one.
    pub fn promote(&self) -> Result<(), Error> {
        self.pg_ctl(&["promote", "-w", "-t", "120"])
    }
}
