//! The program over TCP, killed again and again: the part of the oracle suite that needs a process.
//!
//! `HIGHWATER_MONEY_SECONDS` lets the conservation of money go on for longer than a few rounds.

use std::path::Path;
use std::time::Duration;

use highwater_testkit::kill::{kill_suite, postgres_conservation, postgres_kill_suite};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater");

#[test]
fn every_round_is_exact_whenever_the_program_is_killed() {
    kill_suite(Path::new(PROGRAM));
}

#[test]
fn every_round_is_exact_whenever_a_node_or_postgresql_is_killed() {
    postgres_kill_suite(Path::new(PROGRAM));
}

#[test]
fn no_round_mixes_two_states_while_nodes_and_postgresql_are_killed() {
    let seconds = std::env::var("HIGHWATER_MONEY_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(0);
    postgres_conservation(Path::new(PROGRAM), Duration::from_secs(seconds));
}
