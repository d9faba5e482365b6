//! Copies of a cluster that runs.
//!
//! They are made as PostgreSQL's manual says in "Making a Base Backup Using the Low Level API", because `pg_basebackup` does not come with
//! every package of the server.

use std::path::Path;
use std::process::Command;

use crate::cluster::Cluster;
use crate::directory::quiet;
use crate::error::Error;

impl Cluster {
    /// Copies the files of one's own cluster while it runs, for [`Cluster::restore_files`]: what a backup contains that is put back without
    /// anything that came later.
    ///
    /// # Errors
    ///
    /// The cluster does not run.
    pub fn back_up_files(&self, name: &str) -> Result<(), Error> {
        let (start, stop) = match self.binaries.version()? {
            ..15 => (
                "pg_start_backup('files', true, false)",
                "pg_stop_backup(false, false)",
            ),
            _ => ("pg_backup_start('files', true)", "pg_backup_stop(false)"),
        };
        let [data, copy] = ["data", name].map(|name| self.directory().join(name));
        self.remove(&copy)?;
        let mut session = self.session("postgres")?;
        let mut ask = |sql: &str| {
            let answer = session.run(sql);
            answer.map_err(|refusal| Error(refusal.to_string()))
        };
        ask(&format!("SELECT {start}"))?;
        self.copy(&data, &copy);
        let label = ask(&format!("SELECT labelfile FROM {stop}"))?;
        let label = label.rows.into_iter().flatten().next().flatten();
        let label = label.ok_or_else(|| Error(format!("{stop} returns no label")))?;
        self.write_file(&format!("{name}/backup_label"), label.as_bytes())?;
        // The log must reach to the end of the backup.
        let log = copy.join("pg_wal");
        self.remove(&log)?;
        self.copy(&data.join("pg_wal"), &log);
        for name in ["postmaster.pid", "postmaster.opts"] {
            self.remove(&copy.join(name))?;
        }
        // Replication slots belong to this cluster and not to its data.
        let slots = copy.join("pg_replslot");
        self.remove(&slots)?;
        self.run(Command::new("mkdir").arg(&slots))
    }

    /// Files that PostgreSQL removes meanwhile make `cp` fail; they need not be in a copy, and what lacks more does not start.
    fn copy(&self, from: &Path, to: &Path) {
        let mut command = Command::new("cp");
        command.arg("-a").arg(from).arg(to);
        let _ = quiet(self.owner.run_as(&mut command)).status();
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        self.run(Command::new("rm").arg("-rf").arg(path))
    }
}
