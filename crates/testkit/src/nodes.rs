//! Several processes of the program on one database, behind one transport that uses them in turn.
//!
//! What must hold: a client never knows which node answers it, so each link is soon answered by another node than the one that made it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::{Request, Response, Tcp, Transport};
use crate::serving::{Process, Server};

/// The nodes. Copies are the same nodes.
#[derive(Clone, Debug)]
pub struct Nodes(Arc<All>);

#[derive(Debug)]
struct All {
    nodes: Vec<Mutex<Node>>,
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Node {
    process: Process,
    address: Option<SocketAddr>,
}

impl Nodes {
    /// So many nodes that run the program; they are not started yet.
    pub fn new(binary: &Path, count: usize) -> Nodes {
        let node = |_| {
            Mutex::new(Node {
                process: Process::new(binary),
                address: None,
            })
        };
        Nodes(Arc::new(All {
            nodes: (0..count).map(node).collect(),
            turn: AtomicUsize::new(0),
        }))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.nodes.len()
    }

    /// Starts a node and waits until it is ready.
    pub fn start_node(&self, number: usize, database: &str) {
        let mut node = self.node(number);
        node.address = Some(node.process.start_at(database));
    }

    /// Ends a node with `kill -9`.
    pub fn kill_node(&self, number: usize) {
        let mut node = self.node(number);
        node.address = None;
        node.process.stop();
    }

    fn node(&self, number: usize) -> MutexGuard<'_, Node> {
        let node = self.0.nodes[number].lock();
        node.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server for Nodes {
    /// Starts all at the same time, so that each of them wants to track the tables.
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        self.stop();
        std::thread::scope(|scope| {
            for number in 0..self.count() {
                let nodes = &*self;
                scope.spawn(move || nodes.start_node(number, database));
            }
        });
        Arc::new(self.clone())
    }

    fn stop(&mut self) {
        (0..self.count()).for_each(|number| self.kill_node(number));
    }
}

impl Transport for Nodes {
    fn get(&self, request: &Request) -> io::Result<Response> {
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        // A node that is being started keeps its lock; then the next one is asked.
        let address = (0..self.count()).find_map(|offset| {
            let node = self.0.nodes[(turn + offset) % self.count()].try_lock();
            node.ok()?.address
        });
        match address {
            Some(address) => Tcp { address }.get(request),
            None => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        }
    }
}
