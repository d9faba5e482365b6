//! Several nodes on one PostgreSQL database, killed while programs write, as PostgreSQL is, and each round compared with the oracle.
//!
//! What must hold: the link of a node that was killed is answered by any other; a crash of PostgreSQL may end the links whose state it
//! may have undone, and no others: no link ends that is older than the newest tick, or younger than the crash.
//! What is deliberately absent: requests that begin a round while PostgreSQL is killed, because nobody could tell which state they
//! saw (see [`super::postgres_conservation`]).

use std::path::Path;
use std::time::{Duration, Instant};

use highwater_throwaway::{Cluster, Options, Stop};

use super::{NODES, forgetful, spin};
use crate::client::{Client, Progress, Surroundings};
use crate::follower::Failure;
use crate::gate::Gate;
use crate::history::published;
use crate::lab::{Lab, Which};
use crate::money::{begin_lingering, check_total, create, end_lingering, transfer, whole};
use crate::nodes::Nodes;
use crate::postgres_lab::PostgresLab;
use crate::query::Version;
use crate::rng::Rng;
use crate::trace::Trace;

const WRITERS: usize = 6;
const CLIENTS: usize = 4;
/// Rounds that the clients read together.
const ROUNDS: u64 = 40;
/// Entities on a page at most; each client has a size of its own.
const PAGE_MAX: usize = 20;
/// Transactions that are begun at most while a client waits for an answer.
const TRANSACTIONS: u64 = 20;
/// So many rounds begin while a lingering transaction is open.
const LINGERED: u64 = 2;
/// How long the nodes may need to notice that PostgreSQL is there again.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// The retention of nodes, which is longer than any test.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Complete rounds, all of them exact.
    rounds: u64,
    /// Nodes that were killed.
    kills: u64,
    /// Crashes of PostgreSQL.
    crashes: u64,
    /// Links that a crash has ended, all of them of states that it may have undone.
    gone: u64,
    /// Rounds that went on after a crash.
    survived: u64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Totals) {
        self.rounds += other.rounds;
        self.kills += other.kills;
        self.crashes += other.crashes;
        self.gone += other.gone;
        self.survived += other.survived;
    }
}

/// What happens besides a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// What is seen so far is made safe.
    Tick,
    /// A node is killed before the request.
    Kill,
    /// A node is killed during the request.
    KillDuring,
    /// PostgreSQL is killed before the request.
    Crash,
    /// PostgreSQL is killed during the request.
    CrashDuring,
}

const TROUBLES: [(usize, Trouble); 6] = [
    (80, Trouble::Nothing),
    (4, Trouble::Tick),
    (4, Trouble::Kill),
    (6, Trouble::KillDuring),
    (3, Trouble::Crash),
    (3, Trouble::CrashDuring),
];

/// A client, and what a crash may do to its link.
struct Reader {
    client: Client,
    /// Whether there was a tick since its state was seen.
    is_safe: bool,
    /// Whether there was a crash since its link was answered, or made, and the link was not safe.
    may_be_gone: bool,
    /// Whether there was a crash since its link was made.
    has_crashed: bool,
}

/// One run. The writers pause only while a round begins, so that its state can be noted; all other pages are read while they write.
pub(super) fn storm(binary: &Path, seed: u64, trace: &mut Trace) -> Result<Totals, String> {
    let mut rng = Rng::new(seed);
    let nodes = Nodes::new(binary, NODES);
    let options = if seed.is_multiple_of(2) {
        Options::new()
    } else {
        forgetful()
    };
    let mut lab = PostgresLab::in_own_cluster(&options, nodes.clone());
    let schema = create(&mut lab);
    let transport = lab.open();
    let set = published(&*transport, &schema)?.remove(0);
    let readers = (0..CLIENTS).map(|number| {
        let version = [Version::V4_0, Version::V4_01][number % 2];
        Reader {
            client: Client::new(number, whole(&set, version, 1 + rng.below(PAGE_MAX))),
            is_safe: false,
            may_be_gone: false,
            has_crashed: false,
        }
    });
    let readers = readers.collect();
    let (flavour, gate) = (lab.flavour(), Gate::default());
    std::thread::scope(|scope| {
        for number in 0..WRITERS {
            let (mut program, mut rng) = (lab.outside(Which::Served, number), rng.fork());
            let gate = &gate;
            scope.spawn(move || {
                program.be_patient(true);
                while gate.pass(|| transfer(&mut *program, flavour, &mut rng)) {}
            });
        }
        let (mut program, mut lingering) = (lab.outside(Which::Served, WRITERS), rng.fork());
        let gate = &gate;
        scope.spawn(move || {
            while gate.pass(|| begin_lingering(&mut *program, &mut lingering)) {
                gate.outlast(LINGERED);
                gate.pass(|| end_lingering(&mut *program, &mut lingering));
            }
        });
        // Ends the writers also if a check fails.
        let _end = gate.end();
        let mut storm = Storm {
            cluster: lab.cluster(),
            nodes: &nodes,
            database: lab.served_url(),
            readers,
            dead: None,
            failing_since: None,
            totals: Totals::default(),
        };
        let around = Surroundings {
            lab: &lab,
            schema: &schema,
            transport: &*transport,
        };
        while storm.totals.rounds < ROUNDS {
            let number = rng.below(CLIENTS);
            let begins = storm.readers[number].client.follower.begins_round();
            let _pause = begins.then(|| gate.shut());
            let trouble = match rng.weighted(&TROUBLES) {
                Trouble::CrashDuring if begins => Trouble::Crash,
                trouble => trouble,
            };
            if trouble != Trouble::Nothing {
                trace.note(format_args!("{trouble:?}"));
            }
            if trouble == Trouble::Tick {
                // Twice, because a node that is at it at the same moment may have begun earlier.
                lab.maintain(RETENTION);
                lab.maintain(RETENTION);
            }
            gate.allow(TRANSACTIONS);
            storm.step(number, trouble, around, &mut rng, trace)?;
        }
        Ok(storm.totals)
    })
}

struct Storm<'a> {
    cluster: &'static Cluster,
    nodes: &'a Nodes,
    database: String,
    readers: Vec<Reader>,
    /// The node that was killed and is not yet started again.
    dead: Option<usize>,
    failing_since: Option<Instant>,
    totals: Totals,
}

impl Storm<'_> {
    /// Lets a client send its next request amid trouble.
    fn step(
        &mut self,
        number: usize,
        trouble: Trouble,
        around: Surroundings<'_>,
        rng: &mut Rng,
        trace: &mut Trace,
    ) -> Result<(), String> {
        match trouble {
            Trouble::Tick => self
                .readers
                .iter_mut()
                .for_each(|reader| reader.is_safe = true),
            Trouble::Kill => self.kill(rng),
            Trouble::Crash => {
                crash(self.cluster);
                self.note_crash();
            }
            Trouble::Nothing | Trouble::KillDuring | Trouble::CrashDuring => {}
        }
        let reader = &mut self.readers[number];
        let begins = reader.client.follower.begins_round();
        let victim = rng.below(self.nodes.count());
        let outcome = std::thread::scope(|scope| {
            let (cluster, nodes) = (self.cluster, self.nodes);
            match trouble {
                Trouble::KillDuring => drop(scope.spawn(|| {
                    spin(rng);
                    nodes.kill_node(victim);
                })),
                Trouble::CrashDuring => drop(scope.spawn(|| {
                    spin(rng);
                    crash(cluster);
                })),
                _ => {}
            }
            reader.client.step(around, trace)
        });
        let during = matches!(trouble, Trouble::KillDuring | Trouble::CrashDuring);
        let progress = match outcome {
            Ok(progress) => Some(progress),
            Err(Failure::NoAnswer(_)) if during => None,
            // A node may have to connect anew after a crash.
            Err(Failure::Unavailable) if during || self.totals.crashes > 0 => None,
            Err(failure) => return Err(failure.into()),
        };
        match progress {
            Some(Progress::Gone) if !reader.may_be_gone => {
                return Err("a link is gone for no reason".to_owned());
            }
            Some(Progress::Gone) => {
                self.totals.gone += 1;
                reader.may_be_gone = false;
            }
            Some(progress) => {
                self.totals.survived += u64::from(reader.has_crashed);
                (reader.may_be_gone, reader.has_crashed) = (false, false);
                reader.is_safe &= !begins;
                if progress == Progress::Round {
                    self.totals.rounds += 1;
                    check_total(&reader.client.follower)?;
                }
            }
            None => {
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > RECOVERY_MAX {
                    return Err("the service does not come back".to_owned());
                }
            }
        }
        if progress.is_some() {
            self.failing_since = None;
        }
        match trouble {
            Trouble::KillDuring => {
                self.totals.kills += 1;
                self.nodes.start_node(victim, &self.database);
            }
            Trouble::CrashDuring => self.note_crash(),
            _ => {}
        }
        Ok(())
    }

    /// Kills a node, and starts the one that was killed before.
    fn kill(&mut self, rng: &mut Rng) {
        if let Some(dead) = self.dead.take() {
            self.nodes.start_node(dead, &self.database);
        }
        let victim = rng.below(self.nodes.count());
        self.nodes.kill_node(victim);
        self.dead = Some(victim);
        self.totals.kills += 1;
    }

    /// All links that are not safe may be void from now on.
    fn note_crash(&mut self) {
        self.totals.crashes += 1;
        for reader in &mut self.readers {
            let has_link = reader.client.follower.has_link();
            reader.may_be_gone |= has_link && !reader.is_safe;
            reader.has_crashed |= has_link;
        }
    }
}

fn crash(cluster: &Cluster) {
    let restarted = cluster.restart(Stop::Immediate);
    restarted.expect("PostgreSQL can be restarted");
}
