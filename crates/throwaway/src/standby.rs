//! Streaming standbys.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::options::Options;

/// How long a standby may take to catch up.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

impl Cluster {
    /// A hot standby that streams from this cluster, which must be one's own. It ends with the value, which must be dropped before this
    /// one.
    ///
    /// # Errors
    ///
    /// This cluster does not run, or the standby does not start.
    pub fn standby(&self, options: &Options) -> Result<Cluster, Error> {
        const COPY: &str = "standby";
        self.back_up_files(COPY)?;
        self.write_file("standby/standby.signal", b"")?;
        // Only the directory of the standby is missing yet.
        let copy = self.directory().join(COPY).display().to_string();
        let command = vec!["mv".to_owned(), copy, "data".to_owned()];
        let primary = format!(
            "host={} port={} user=postgres",
            self.directory().display(),
            self.port()
        );
        let options = options.clone().set("primary_conninfo", &primary);
        Cluster::start_own(self.binaries.clone(), self.owner.clone(), &options, command)
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
        // It looks after some milliseconds, and for not much longer: for a statement that lasts, the standby would not replay any further.
        let reached =
            format!("SELECT pg_last_wal_replay_lsn() >= '{position}' FROM pg_sleep(0.005)");
        let mut session = self.session("postgres")?;
        let begin = Instant::now();
        while begin.elapsed() < CATCH_UP_MAX {
            let answer = session.run(&reached);
            let answer = answer.map_err(|refusal| Error(refusal.to_string()))?;
            if answer.rows == [[Some("t".to_owned())]] {
                return Ok(());
            }
        }
        Err(Error(format!(
            "The standby does not reach {position} within {CATCH_UP_MAX:?}. Its log says:\n{}",
            self.log()
        )))
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
