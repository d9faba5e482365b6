//! A database of its own for a test.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::session::{Row, Session};

/// A database that is dropped with the value.
#[derive(Debug)]
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Database<'a> {
    pub(crate) fn create(cluster: &'a Cluster) -> Result<Database<'a>, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("test_{}_{number}", std::process::id());
            // Nobody can be connected to this template, so any number can be made at a time.
            match cluster.sql(
                "postgres",
                &format!("CREATE DATABASE {name} TEMPLATE template0"),
            ) {
                Ok(_) => return Ok(Database { cluster, name }),
                // An earlier process of that number was killed.
                Err(e) if e.0.contains("already exists") => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL, over TCP, of the superuser.
    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// The URL, through the Unix socket, of the superuser.
    pub fn socket_url(&self) -> String {
        self.cluster.socket_url(&self.name)
    }

    /// Executes statements, separated by semicolons, as the superuser, and returns all their rows.
    ///
    /// # Errors
    ///
    /// See [`Cluster::sql`].
    pub fn sql(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.cluster.sql(&self.name, sql)
    }

    /// A connection, as the superuser.
    ///
    /// # Errors
    ///
    /// See [`Cluster::session`].
    pub fn session(&self) -> Result<Session, Error> {
        self.cluster.session(&self.name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // To look into it, after the process, as long as somebody keeps the cluster: `flock --shared DIRECTORY/users sleep 600`.
        if std::env::var_os("HIGHWATER_KEEP").is_some() {
            return;
        }
        // Prepared transactions would keep the database alive. If anything fails here, the database ends with its cluster.
        let prepared = "SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts \
             WHERE database = current_database()";
        for row in self.sql(prepared).unwrap_or_default() {
            for statement in row.into_iter().flatten() {
                let _ = self.sql(&statement);
            }
        }
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.cluster.sql("postgres", &drop);
    }
}
