//! The real program, over TCP, killed again and again.
//!
//! What must hold: whatever the moment of the kill, the same links go on with the next process, every round is exact, and the
//! writer never notices. What is deliberately absent: any help for the process that is killed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_throwaway::Stop;

use crate::client::{Client, Progress, Surroundings};
use crate::follower::Failure;
use crate::history::{self, published};
use crate::lab::{Lab, Which};
use crate::money::{self, Plan, Work, check_total, create, transfer, whole};
use crate::nodes::Nodes;
use crate::postgres_lab::PostgresLab;
use crate::query::Version;
use crate::rng::Rng;
use crate::seeds::each;
use crate::serving::{Process, start_and_kill};
use crate::sqlite_lab::SqliteLab;
use crate::trace::Trace;

/// Random histories whose every restart is a `kill -9` of the real program.
const HISTORIES: u64 = 6;
/// Runs in which it is killed during requests while another program writes.
const STORMS: u64 = 4;
/// Rounds that the clients of such a run read together.
const STORM_ROUNDS: u64 = 30;

/// Nodes on one PostgreSQL database.
const NODES: usize = 3;
/// Restarts of PostgreSQL, or of a node, are at least so many rounds apart.
const ROUNDS_BETWEEN_TROUBLES: u64 = 3;

/// Runs `highwater serve` from `binary` on SQLite in all ways that need a process. For an integration test of the package that builds it.
///
/// # Panics
///
/// If anything is wrong; the report names the seed.
pub fn kill_suite(binary: &Path) {
    each(HISTORIES, |seed, trace| {
        let mut lab = SqliteLab::new(Process::new(binary));
        history::run(&mut lab, seed, history::Plan::default(), trace).map(drop)
    });
    each(STORMS, |seed, trace| storm(binary, seed, trace));
}

/// The same on PostgreSQL: one node whose every restart is a crash, and several nodes that are killed, as PostgreSQL is, while programs write.
/// Each client reads for so long at least.
///
/// # Panics
///
/// If anything is wrong; the report names the seed.
pub fn postgres_kill_suite(binary: &Path, time: Duration) {
    each(HISTORIES, |seed, trace| {
        let mut lab = PostgresLab::new(Process::new(binary));
        history::run(&mut lab, seed, history::Plan::default(), trace).map(drop)
    });
    storm_of_nodes(binary, time).unwrap_or_else(|error| panic!("{error}"));
}

fn storm_of_nodes(binary: &Path, time: Duration) -> Result<(), String> {
    let nodes = Nodes::new(binary, NODES);
    let mut lab = PostgresLab::with_files(nodes.clone());
    let (cluster, database) = (lab.cluster(), lab.database(Which::Served).url());
    let plan = Plan {
        writers: 6,
        clients: 3,
        rounds: 30,
        page_max: 60,
        time,
        lingers: true,
        amid_trouble: true,
    };
    let trouble = |work: &Work, mut rng: Rng| {
        while !work.is_over() {
            work.wait_for_rounds(ROUNDS_BETWEEN_TROUBLES);
            let node = rng.below(nodes.count());
            if rng.chance(70) {
                nodes.kill_node(node);
                work.wait_for_rounds(rng.below(3) as u64);
                nodes.start_node(node, &database);
            } else {
                cluster
                    .stop(Stop::Immediate)
                    .and_then(|()| cluster.start_again())
                    .expect("PostgreSQL can be restarted");
            }
        }
    };
    money::run_amid(&mut lab, 1, plan, trouble).map(drop)
}

/// Kills the program between and during requests while another program moves money.
///
/// The writer pauses only while a round begins, so that its state can be noted; all other pages are read while it writes.
fn storm(binary: &Path, seed: u64, trace: &mut Trace) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let server = Process::new(binary);
    let killer = server.killer();
    let mut lab = SqliteLab::new(server);
    let schema = create(&mut lab);
    // It must not matter if the very first start, which tracks the tables, does not come to its end.
    for _ in 0..3 {
        start_and_kill(binary, &lab.served(), || spin(&mut rng));
    }
    let mut transport = lab.open();
    let set = published(&*transport, &schema)?.remove(0);
    let mut clients: Vec<Client> = [Version::V4_0, Version::V4_01]
        .into_iter()
        .enumerate()
        .map(|(number, version)| Client::new(number, whole(&set, version, 5 + 6 * number)))
        .collect();
    let (mut program, mut writing) = (lab.outside(Which::Served, 0), rng.fork());
    let (flavour, gate) = (lab.flavour(), Gate::default());
    std::thread::scope(|scope| {
        let writer =
            scope.spawn(
                || {
                    while gate.pass(|| transfer(&mut *program, flavour, &mut writing)) {}
                },
            );
        // Ends the writer also if a check below panics.
        let _end = End(&gate);
        let mut rounds = 0;
        while rounds < STORM_ROUNDS && !writer.is_finished() {
            let client = &mut clients[rng.below(2)];
            let _pause = client.follower.begins_round().then(|| gate.shut());
            let strikes = rng.chance(6);
            if strikes || rng.chance(3) {
                trace.note(format_args!("kill"));
                if !strikes {
                    killer.kill();
                    transport = lab.open();
                }
            }
            let around = Surroundings {
                lab: &lab,
                schema: &schema,
                transport: &*transport,
            };
            let outcome = std::thread::scope(|scope| {
                if strikes {
                    scope.spawn(|| {
                        spin(&mut rng);
                        killer.kill();
                    });
                }
                client.step(around, trace)
            });
            match outcome {
                Ok(Progress::Page) => {}
                Ok(Progress::Round) => {
                    rounds += 1;
                    check_total(&client.follower)?;
                }
                Ok(Progress::Gone) => return Err("a link is gone for no reason".to_owned()),
                Err(Failure::NoAnswer(_)) if strikes => {}
                Err(failure) => return Err(failure.into()),
            }
            if strikes {
                transport = lab.open();
            }
        }
        Ok(())
    })
}

/// Lets a random, short time pass without giving up the processor.
fn spin(rng: &mut Rng) {
    for _ in 0..rng.below(2_000_000) {
        std::hint::spin_loop();
    }
}

/// Lets a writer through unless somebody wants the database to stand still.
#[derive(Default)]
struct Gate {
    writing: Mutex<()>,
    wanted: AtomicBool,
    ended: AtomicBool,
}

impl Gate {
    /// Does one piece of work when the gate is open; returns whether there should be another.
    fn pass(&self, work: impl FnOnce() -> bool) -> bool {
        while self.wanted.load(Ordering::Acquire) && !self.ended.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        work();
        !self.ended.load(Ordering::Acquire)
    }

    /// Shuts the gate until the result is dropped.
    fn shut(&self) -> Shut<'_> {
        self.wanted.store(true, Ordering::Release);
        Shut {
            gate: self,
            _writing: self.writing.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A gate that is shut.
struct Shut<'a> {
    gate: &'a Gate,
    _writing: MutexGuard<'a, ()>,
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.gate.wanted.store(false, Ordering::Release);
    }
}

/// Tells the writer that all is over.
struct End<'a>(&'a Gate);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}
