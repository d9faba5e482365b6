//! The program over TCP, killed again and again: the part of the oracle suite that needs a process.

use std::path::Path;

#[test]
fn every_round_is_exact_whenever_the_program_is_killed() {
    highwater_testkit::kill::kill_suite(Path::new(env!("CARGO_BIN_EXE_highwater")));
}
