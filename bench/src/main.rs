//! Compares Highwater with the ceilings of the machine: `cargo run --release --manifest-path bench/Cargo.toml -- [NAME…]`.
//!
//! Every figure is a ratio of two things measured in turn in the same run, repeated, with the median of the ratios: machines
//! are noisy, and an absolute time means nothing elsewhere. The program under test is the release binary, over loopback HTTP.

mod constant;
mod database;
mod http;
mod measure;
mod postgres;
mod server;
mod sqlite;

use anyhow::Result;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    println!("| comparison | measured | aim |\n| --- | --- | --- |");
    for (name, run) in sqlite::ALL.iter().chain(postgres::ALL) {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            for line in run()? {
                println!(
                    "| {name}: {} | {} | {} |",
                    line.what, line.measured, line.aim
                );
            }
        }
    }
    Ok(())
}
