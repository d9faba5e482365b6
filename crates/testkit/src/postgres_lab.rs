//! A throw-away PostgreSQL database.
//!
//! What must hold: served database and shadow are two databases of one cluster; outside programs are plain connections of
//! PostgreSQL's own protocol; each program of a number has the same settings on both databases. What is deliberately absent: restarts
//! of PostgreSQL itself (see `kill`).

mod cells;
mod program;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use highwater_postgres::PostgresStore;
use highwater_throwaway::{Cluster, Database, Options, Session, State};

use crate::flavour::{Flavour, POSTGRES, POSTGRES_LOGGED, POSTGRES_WITHOUT_MERGE};
use crate::http::Transport;
use crate::lab::{Backup, Cell, Lab, Outside, Which};
use crate::roundabout::{Crashing, Pooled, Standby};
use crate::serving::Server;
use program::Program;

/// The first version with `MERGE`.
const MERGE_SINCE: u32 = 15;

/// So many seconds may pass until PostgreSQL lets the service in: long ones, because tests leave no processor idle.
const CONNECT_S: u32 = 40;

/// What the oracle's own connection is set to, so that each value has one text.
const READER: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; \
     SET extra_float_digits = 1; SET bytea_output = 'hex'";

/// Somebody who may use tables but owns none. Roles belong to the whole cluster, so there may be one already.
const USER: &str = "DO $$ BEGIN CREATE ROLE highwater_test_user; \
     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// What that user may do, also with tables that are created later.
const GRANTS: &str = "DO $$ DECLARE schema text; BEGIN \
     FOR schema IN SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|highwater$)' LOOP \
       EXECUTE format('GRANT USAGE ON SCHEMA %s TO highwater_test_user', schema); \
       EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %s TO highwater_test_user', schema); \
       EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %s TO highwater_test_user', schema); \
       EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT ALL ON TABLES TO highwater_test_user', schema); \
       EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT ALL ON SEQUENCES TO highwater_test_user', schema); \
     END LOOP; END $$";

/// A served database and its shadow.
pub struct PostgresLab {
    /// Stopped before the databases are dropped.
    server: Box<dyn Server>,
    flavour: &'static Flavour,
    /// Connections to the two databases that read for the oracle.
    readers: Mutex<[Option<Session>; 2]>,
    copies: Copies,
    backups: usize,
    /// Whether it crashes when the server side is opened again.
    crashes: bool,
    served: Database<'static>,
    shadow: Database<'static>,
}

/// What is copied and restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copies {
    /// Single databases, within their cluster: a copy is another database.
    Databases,
    /// All files of the cluster: what is restored is the cluster itself.
    Files,
}

impl PostgresLab {
    /// An empty database of the shared cluster for the given kind of server.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL.
    pub fn new(server: impl Server + 'static) -> PostgresLab {
        PostgresLab::in_cluster(Cluster::shared(), Copies::Databases, server)
    }

    /// The same in a cluster of its own, whose files are what is copied and restored, as with the disk of a machine. The cluster ends
    /// with the process.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL.
    pub fn with_files(server: impl Server + 'static) -> PostgresLab {
        PostgresLab::in_own_cluster(&Options::new(), server)
    }

    /// The same, with settings of one's own.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL.
    pub fn in_own_cluster(options: &Options, server: impl Server + 'static) -> PostgresLab {
        let cluster = Cluster::start(options).expect("PostgreSQL is installed");
        PostgresLab::in_cluster(Box::leak(Box::new(cluster)), Copies::Files, server)
    }

    /// An empty database of the shared cluster, served from behind a pooler.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL, or no PgBouncer.
    pub fn behind_pooler() -> PostgresLab {
        PostgresLab::new(Pooled::new(Cluster::shared()))
    }

    /// An empty database of a cluster that has a standby, served from both. All such labs share these two, which end with the process.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL.
    pub fn on_standby() -> PostgresLab {
        static PAIR: OnceLock<[Cluster; 2]> = OnceLock::new();
        let [primary, standby] = PAIR.get_or_init(|| {
            let primary = Cluster::start(&Options::new()).expect("PostgreSQL is installed");
            let standby = primary.standby(&Options::new());
            let standby = standby.expect("PostgreSQL is installed");
            [primary, standby]
        });
        let server = Standby::new(primary, standby);
        let mut lab = PostgresLab::in_cluster(primary, Copies::Databases, server);
        lab.flavour = &POSTGRES_LOGGED;
        lab
    }

    /// An empty database of a cluster of its own, which crashes whenever the server side is opened again. No commit is lost: the oracle
    /// compares two databases, which would lose different ones.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL.
    pub fn that_crashes() -> PostgresLab {
        let cluster = Cluster::start(&Options::new()).expect("PostgreSQL is installed");
        let cluster: &'static Cluster = Box::leak(Box::new(cluster));
        let mut lab = PostgresLab::in_cluster(cluster, Copies::Files, Crashing::new(cluster));
        lab.crashes = true;
        lab
    }

    fn in_cluster(
        cluster: &'static Cluster,
        copies: Copies,
        server: impl Server + 'static,
    ) -> PostgresLab {
        let version = cluster.binaries().version().expect("the version is known");
        let database = || cluster.database().expect("a database can be created");
        let (served, shadow) = (database(), database());
        served.sql(USER).expect("a role can be created");
        PostgresLab {
            server: Box::new(server),
            flavour: if version < MERGE_SINCE {
                &POSTGRES_WITHOUT_MERGE
            } else {
                &POSTGRES
            },
            readers: Mutex::new([None, None]),
            copies,
            backups: 0,
            crashes: false,
            served,
            shadow,
        }
    }

    /// The cluster that the databases are in.
    pub fn cluster(&self) -> &'static Cluster {
        self.served.cluster()
    }

    /// The URL with which the server side connects.
    pub fn served_url(&self) -> String {
        format!("{}?connect_timeout={CONNECT_S}", self.served.url())
    }

    /// One of the two databases.
    pub fn database(&self, which: Which) -> &Database<'static> {
        match which {
            Which::Served => &self.served,
            Which::Shadow => &self.shadow,
        }
    }
}

impl PostgresLab {
    /// Does what a node does from time to time. All states that were seen before survive a crash of PostgreSQL afterwards.
    ///
    /// # Panics
    ///
    /// If it cannot be done.
    pub fn maintain(&self, retention: Duration) {
        let options = highwater_postgres::Options {
            retention,
            ..highwater_postgres::Options::default()
        };
        let url = self.served.url();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let maintained = runtime.block_on(async {
            let store = PostgresStore::open(&url, options).await?;
            store.maintain_once().await
        });
        maintained.unwrap_or_else(|error| panic!("the database cannot be maintained: {error}"));
    }
}

const BOTH: [Which; 2] = [Which::Served, Which::Shadow];

impl Lab for PostgresLab {
    fn flavour(&self) -> &'static Flavour {
        self.flavour
    }

    fn create(&mut self, ddl: &[String]) {
        for which in BOTH {
            let mut session = self.database(which).session().expect("PostgreSQL runs");
            let mut run = |sql: &str| {
                if let Err(refusal) = session.run(sql) {
                    panic!("{refusal}: {sql}");
                }
            };
            ddl.iter().for_each(|sql| run(sql));
            run(GRANTS);
        }
    }

    fn outside(&self, which: Which, number: usize) -> Box<dyn Outside> {
        Box::new(Program::new(self.database(which), number))
    }

    fn rows(&self, which: Which, sql: &str) -> Vec<Vec<Cell>> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = &mut readers[which as usize];
        loop {
            let session = reader.get_or_insert_with(|| {
                let mut session = self.database(which).session().expect("PostgreSQL runs");
                session.run(READER).expect("the settings are known");
                session
            });
            match session.run(sql) {
                Ok(answer) => return cells::rows(&answer),
                // PostgreSQL was restarted since the last reading.
                Err(_) if session.state() == State::Lost => *reader = None,
                Err(refusal) => panic!("{refusal}: {sql}"),
            }
        }
    }

    fn open(&mut self) -> Arc<dyn Transport> {
        self.close();
        self.server.start(&self.served_url())
    }

    fn close(&mut self) {
        self.server.stop();
    }

    fn prune(&mut self) {
        // What is older than a tick is forgotten, and maintenance begins with one.
        self.maintain(Duration::ZERO);
    }

    fn backup(&mut self) -> Backup {
        let backup = Backup(self.backups);
        self.backups += 1;
        self.disconnect();
        match self.copies {
            Copies::Files => self.cluster().copy_files(&file_name(backup)),
            Copies::Databases => BOTH.iter().try_for_each(|which| {
                let name = self.database(*which).name();
                self.copy_database(name, &copy_name(name, backup))
            }),
        }
        .expect("the databases can be copied");
        backup
    }

    fn restore(&mut self, backup: Backup) {
        self.disconnect();
        match self.copies {
            Copies::Files => self.cluster().restore_files(&file_name(backup)),
            Copies::Databases => BOTH.iter().try_for_each(|which| {
                let name = self.database(*which).name();
                self.copy_database(&copy_name(name, backup), name)
            }),
        }
        .expect("the copies can be restored");
    }

    fn restores_while_open(&self) -> bool {
        // The server finds another database when it connects anew.
        true
    }

    fn crashes(&self) -> bool {
        self.crashes
    }

    fn restores_itself(&self) -> bool {
        self.copies == Copies::Files
    }
}

impl PostgresLab {
    /// Ends the connections of the oracle.
    fn disconnect(&self) {
        *self.readers.lock().unwrap_or_else(PoisonError::into_inner) = [None, None];
    }

    /// Puts a copy of a database in the place of another one, whoever uses either.
    fn copy_database(&self, from: &str, to: &str) -> Result<(), highwater_throwaway::Error> {
        let run = |sql: String| self.cluster().sql("postgres", &sql).map(drop);
        run(format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"))?;
        run(format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false"))?;
        run(format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"
        ))?;
        run(format!("CREATE DATABASE {to} TEMPLATE {from}"))?;
        run(format!("ALTER DATABASE {from} ALLOW_CONNECTIONS true"))
    }
}

impl Drop for PostgresLab {
    fn drop(&mut self) {
        self.server.stop();
        for number in 0..self.backups {
            for which in BOTH {
                let name = copy_name(self.database(which).name(), Backup(number));
                // The copies end with their cluster anyway.
                let _ = self.cluster().sql(
                    "postgres",
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                );
            }
        }
    }
}

fn copy_name(database: &str, backup: Backup) -> String {
    format!("{database}_copy_{}", backup.0)
}

fn file_name(backup: Backup) -> String {
    format!("copy-{}", backup.0)
}
