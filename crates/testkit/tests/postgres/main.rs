//! The oracle suite on PostgreSQL, in this process. The kill suite needs the program and runs in the tests of its package.

mod capture;
mod naive;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_core::tracking::Policy;
use highwater_testkit::http::{Request, Response, Transport};
use highwater_testkit::schema::Schema;
use highwater_testkit::serving::Server;
use highwater_testkit::writer::{Counts, Writer};
use highwater_testkit::{InProcess, Lab, PostgresLab, Rng, history, money, restore, seeds};

use naive::{Naive, Place};

/// Shown by `cargo nextest run --no-capture`.
#[allow(clippy::print_stdout, reason = "the figures of a test")]
fn tell(figures: &impl std::fmt::Debug) {
    println!("{figures:#?}");
}

fn lab() -> PostgresLab {
    // What the service says about errors is a part of the report of a failure. Another test may have been first.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::ERROR)
        .with_writer(std::io::stderr)
        .try_init();
    PostgresLab::new(InProcess::default())
}

/// Serves nothing.
struct Nobody;

impl Server for Nobody {
    fn start(&mut self, _database: &str) -> Arc<dyn Transport> {
        Arc::new(Nobody)
    }

    fn stop(&mut self) {}
}

impl Transport for Nobody {
    fn get(&self, _request: &Request) -> std::io::Result<Response> {
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
    }
}

/// Tracks all tables, and serves nothing.
struct Tracking;

impl Server for Tracking {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let tracked = runtime.block_on(highwater_postgres::admin::track(database, &Policy::All));
        tracked.unwrap_or_else(|error| panic!("the tables cannot be tracked: {error}"));
        Arc::new(Nobody)
    }

    fn stop(&mut self) {}
}

/// Lets programs write into two databases, of which the server has one, and compares outcomes and rows.
fn write(seeds_count: u64, server: impl Fn() -> Box<dyn Server> + Sync) -> Counts {
    let all = Mutex::new(Counts::default());
    seeds::each(seeds_count, |seed, trace| {
        let mut rng = Rng::new(seed);
        let mut lab = PostgresLab::new(server());
        let (mut schema, ddl) = Schema::random(&mut rng, lab.flavour());
        for statement in &ddl {
            trace.note(format_args!("{statement};"));
        }
        lab.create(&ddl);
        let mut writer = Writer::new(&lab);
        writer.fill(&mut rng, &schema, trace);
        writer.settle(trace);
        lab.open();
        for _ in 0..200 {
            writer.step(&mut rng, &mut schema, trace);
        }
        writer.settle(trace);
        writer.compare_with_shadow(&lab, &schema);
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&writer.counts);
        Ok(())
    });
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(&all);
    all
}

/// The suite would prove little if most statements were refused, and nothing if two databases without Highwater differed.
#[test]
fn most_generated_statements_are_executed_alike_by_two_databases() {
    let all = write(8, || Box::new(Nobody));
    assert!(all.done > all.refused, "{all:?}");
}

#[test]
fn capture_neither_refuses_nor_changes_what_programs_do() {
    write(12, || Box::new(Tracking));
}

#[test]
fn every_state_can_be_told_from_history_and_rows() {
    let all = Mutex::new(0);
    seeds::each(10, |seed, trace| {
        let compared = capture::run(&mut PostgresLab::new(Tracking), seed, trace)?;
        *all.lock().unwrap_or_else(PoisonError::into_inner) += compared;
        Ok(())
    });
    tell(&format!("{:?} states", all.into_inner()));
}

#[test]
fn every_round_of_a_random_history_is_exact() {
    histories(12, lab);
}

#[test]
fn every_round_behind_a_pooler_is_exact() {
    histories(2, PostgresLab::behind_pooler);
}

/// What the standby serves is as exact as what the primary serves, and each link may be followed on either.
#[test]
fn every_round_on_a_standby_is_exact() {
    histories(2, PostgresLab::on_standby);
}

/// PostgreSQL loses open transactions, the ends of those that were rolled back, and the contents of UNLOGGED tables.
#[test]
fn every_round_after_crashes_is_exact() {
    histories(2, PostgresLab::that_crashes);
}

/// Random schemas, writers and clients.
fn histories(runs: u64, lab: fn() -> PostgresLab) {
    let all = Mutex::new(history::Totals::default());
    seeds::each(runs, |seed, trace| {
        let totals = history::run(&mut lab(), seed, history::Plan::default(), trace)?;
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&totals);
        Ok(())
    });
    tell(&all.into_inner());
}

#[test]
fn no_round_mixes_two_states_while_others_write() {
    let seconds = std::env::var("HIGHWATER_MONEY_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    let plan = money::Plan {
        time: Duration::from_secs(seconds),
        ..MONEY
    };
    let outcome = money::run(&mut lab(), 1, plan);
    tell(&outcome.unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn no_link_survives_in_a_copy_of_the_database() {
    restored(10, lab);
}

#[test]
fn links_survive_restored_files_only_if_their_state_did() {
    restored(6, || PostgresLab::with_files(InProcess::default()));
}

fn restored(runs: u64, lab: fn() -> PostgresLab) {
    let all = Mutex::new(restore::Totals::default());
    seeds::each(runs, |seed, trace| {
        let totals = restore::run_restored(&mut lab(), seed, seed % 2 == 0, trace)?;
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&totals);
        Ok(())
    });
    tell(&all.into_inner());
}

#[test]
fn links_survive_pruning_only_if_their_history_did() {
    let all = Mutex::new(restore::Totals::default());
    seeds::each(8, |seed, trace| {
        let totals = restore::run_pruned(&mut lab(), seed, trace)?;
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&totals);
        Ok(())
    });
    tell(&all.into_inner());
}

const MONEY: money::Plan = money::Plan {
    writers: 7,
    clients: 3,
    rounds: 20,
    page_max: 60,
    time: Duration::ZERO,
    lingers: true,
    amid_trouble: false,
};

/// What the suite must find: a server that differs from an exact one only in that its links contain a sequence number.
#[test]
fn a_sequence_in_the_place_of_a_snapshot_does_not_escape_the_suite() {
    let exact = money::run(&mut PostgresLab::new(Naive(Place::Snapshot)), 1, MONEY);
    tell(&exact.expect("snapshots are exact"));
    let inexact = money::run(&mut PostgresLab::new(Naive(Place::Sequence)), 1, MONEY);
    let error = inexact.expect_err("sequence numbers lose changes");
    assert!(
        error.starts_with("the total is") || error.starts_with("the copy is"),
        "{error}"
    );
}
