//! Servers that do not reach the database straight: through a pooler, on a standby, or after a crash.
//!
//! What must hold: the oracle need not know. What is deliberately absent: outside programs that do the same; they are for the primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_postgres::PostgresStore;
use highwater_throwaway::{Cluster, Pooler, Stop};
use tokio::runtime::Runtime;

use crate::http::{Request, Response, Transport};
use crate::in_process::InProcess;
use crate::serving::Server;

/// The service behind PgBouncer in transaction mode.
pub struct Pooled {
    inner: InProcess,
    pooler: Pooler,
}

impl Pooled {
    /// A service that connects through a pooler of its own.
    ///
    /// # Panics
    ///
    /// If there is no PgBouncer.
    pub fn new(cluster: &Cluster) -> Pooled {
        Pooled {
            inner: InProcess::default(),
            pooler: cluster.pooler().expect("PgBouncer is installed"),
        }
    }
}

impl Server for Pooled {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        self.inner.start(&self.pooler.url(name(database)))
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

/// Two services, one on the primary and one on a standby, which are asked in turn. Before each request, the standby catches up with the
/// primary, so that both show the same.
pub struct Standby {
    primary: &'static Cluster,
    standby: &'static Cluster,
    services: [InProcess; 2],
}

impl Standby {
    /// Nothing is started yet.
    pub fn new(primary: &'static Cluster, standby: &'static Cluster) -> Standby {
        Standby {
            primary,
            standby,
            services: Default::default(),
        }
    }
}

impl Server for Standby {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        self.stop();
        let [on_primary, on_standby] = &mut self.services;
        let on_primary = on_primary.start(database);
        let runtime = runtime();
        let store = runtime
            .block_on(PostgresStore::open(database, Default::default()))
            .unwrap_or_else(|error| panic!("the primary cannot be opened: {error}"));
        let keeper = Keeper {
            runtime,
            store,
            primary: self.primary,
            standby: self.standby,
        };
        keeper.catch_up();
        Arc::new(InTurn {
            keeper,
            services: [
                on_standby.start(&self.standby.url(name(database))),
                on_primary,
            ],
            turn: AtomicUsize::new(0),
        })
    }

    fn stop(&mut self) {
        self.services.iter_mut().for_each(Server::stop);
    }
}

/// The service in a cluster that crashes whenever it is started again.
pub struct Crashing {
    inner: InProcess,
    cluster: &'static Cluster,
    has_started: bool,
}

impl Crashing {
    /// Nothing is started yet.
    pub fn new(cluster: &'static Cluster) -> Crashing {
        Crashing {
            inner: InProcess::default(),
            cluster,
            has_started: false,
        }
    }
}

impl Server for Crashing {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        if std::mem::replace(&mut self.has_started, true) {
            self.cluster
                .restart(Stop::Immediate)
                .expect("PostgreSQL can be restarted");
        }
        self.inner.start(database)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

/// What keeps the standby up to date.
struct Keeper {
    runtime: Runtime,
    store: PostgresStore,
    primary: &'static Cluster,
    standby: &'static Cluster,
}

impl Keeper {
    /// Lets the standby show what the primary shows: a standby serves the newest tick that it knows.
    fn catch_up(&self) {
        let maintained = self.runtime.block_on(self.store.maintain_once());
        maintained.unwrap_or_else(|error| panic!("no tick can be recorded: {error}"));
        self.standby
            .catch_up(self.primary)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

struct InTurn {
    keeper: Keeper,
    services: [Arc<dyn Transport>; 2],
    turn: AtomicUsize,
}

impl Transport for InTurn {
    fn get(&self, request: &Request) -> std::io::Result<Response> {
        self.keeper.catch_up();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // Two of three requests are for the standby.
        self.services[usize::from(turn % 3 == 2)].get(request)
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads can be started")
}

/// The name in a URL of a database.
fn name(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
