//! The real program, over TCP, killed again and again.
//!
//! What must hold: whatever the moment of the kill, the same links go on with the next process, every round is exact, and the
//! writer never notices. What is deliberately absent: any help for the process that is killed.

mod crash;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use highwater_throwaway::{Options, Stop};

use crate::client::{Client, Progress, Surroundings};
use crate::follower::Failure;
use crate::gate::Gate;
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

/// Such histories and runs on PostgreSQL, where the latter kill several nodes and PostgreSQL itself.
const POSTGRES_HISTORIES: u64 = 2;
const CRASH_STORMS: u64 = 2;
/// Nodes on one PostgreSQL database.
pub(crate) const NODES: usize = 3;
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

/// The same on PostgreSQL, with several nodes on one database, where PostgreSQL is killed, too.
///
/// # Panics
///
/// If anything is wrong; the report names the seed.
pub fn postgres_kill_suite(binary: &Path) {
    each(POSTGRES_HISTORIES, |seed, trace| {
        let mut lab = PostgresLab::new(Process::new(binary));
        history::run(&mut lab, seed, history::Plan::default(), trace).map(drop)
    });
    let all = Mutex::new(crash::Totals::default());
    each(CRASH_STORMS, |seed, trace| {
        let totals = crash::storm(binary, seed, trace)?;
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&totals);
        Ok(())
    });
    tell(&all.into_inner());
}

/// Moves money on PostgreSQL while nodes and PostgreSQL are killed and started again. Each client reads for so long at least.
///
/// # Panics
///
/// If anything is wrong.
pub fn postgres_conservation(binary: &Path, time: Duration) {
    let plan = Plan {
        writers: 6,
        clients: 3,
        rounds: 30,
        page_max: 60,
        time,
        lingers: true,
        amid_trouble: true,
    };
    let nodes = Nodes::new(binary, NODES);
    let mut lab = PostgresLab::in_own_cluster(&forgetful(), nodes.clone());
    let (cluster, database) = (lab.cluster(), lab.served_url());
    let trouble = |work: &Work, mut rng: Rng| {
        while !work.is_over() {
            work.wait_for_rounds(ROUNDS_BETWEEN_TROUBLES);
            if rng.chance(70) {
                let node = rng.below(nodes.count());
                nodes.kill_node(node);
                work.wait_for_rounds(rng.below(3) as u64);
                nodes.start_node(node, &database);
            } else {
                work.crash(|| {
                    let restarted = cluster.restart(Stop::Immediate);
                    restarted.expect("PostgreSQL can be restarted");
                });
            }
        }
    };
    let totals = money::run_amid(&mut lab, 1, plan, trouble);
    let totals = totals.unwrap_or_else(|error| panic!("{error}"));
    assert!(totals.crashes > 0, "{totals:?}");
    tell(&totals);
}

/// A cluster where a crash loses what was committed last, up to the newest tick.
pub(crate) fn forgetful() -> Options {
    Options::new()
        .set("synchronous_commit", "off")
        .set("wal_writer_delay", "10s")
}

/// Shown by `cargo nextest run --no-capture`.
#[allow(clippy::print_stdout, reason = "the figures of a test")]
fn tell(figures: &impl std::fmt::Debug) {
    println!("{figures:#?}");
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
        let _end = gate.end();
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

/// A few milliseconds.
const SPIN_MAX: usize = 2_000_000;

/// Lets a random, short time pass without giving up the processor.
fn spin(rng: &mut Rng) {
    for _ in 0..rng.below(SPIN_MAX) {
        std::hint::spin_loop();
    }
}
