//! Numbers, words and dates that look arbitrary and are a function of (table, row) alone.
//!
//! The function is the output step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): each
//! state is the one before plus an odd constant, scrambled by two multiplications.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) const FIRST_NAMES: [&str; 16] = [
    "Ada", "Björn", "Chloé", "Daan", "Elif", "Farid", "Grace", "Hana", "Ines", "Jürgen", "Katja",
    "Liam", "Mei", "Nadia", "Oskar", "Zoë",
];

pub(super) const LAST_NAMES: [&str; 16] = [
    "Abdi", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito", "Jansen",
    "Kowalski", "Lopez", "Müller", "Nguyen", "O'Brien", "Şahin",
];

/// City, country, and the country's code.
pub(super) const PLACES: [(&str, &str, &str); 8] = [
    ("Berlin", "Germany", "DE"),
    ("Lyon", "France", "FR"),
    ("Gent", "Belgium", "BE"),
    ("München", "Germany", "DE"),
    ("London", "UK", "GB"),
    ("São Paulo", "Brazil", "BR"),
    ("Kraków", "Poland", "PL"),
    ("Portland", "USA", "US"),
];

/// The source of one row's values.
pub(super) struct Mixer {
    state: u64,
}

impl Mixer {
    /// Tables have small numbers of their own, so that equal rows of different tables have different values.
    pub(super) fn new(table: u64, row: i64) -> Mixer {
        let start = Mixer { state: table }.next() ^ row as u64;
        Mixer {
            state: Mixer { state: start }.next(),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit - 1`. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, limit: i64) -> i64 {
        (self.next() % limit.max(1) as u64) as i64
    }

    /// True once in `n` times.
    pub(super) fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as i64) as usize]
    }

    /// An amount with two decimals, from 0 to below `limit`.
    pub(super) fn amount(&mut self, limit: i64) -> f64 {
        self.below(limit * 100) as f64 / 100.0
    }

    /// A day of the ten years before 2025.
    pub(super) fn day(&mut self) -> Date {
        date(2015, 1, 1) + self.below(3652).days()
    }

    /// A day on which an adult was born.
    pub(super) fn birthday(&mut self) -> Date {
        date(1955, 1, 1) + self.below(18_000).days()
    }

    /// An instant of the ten years before 2025, in UTC.
    pub(super) fn instant(&mut self) -> String {
        let day = self.day();
        let second = self.below(24 * 60 * 60);
        format!(
            "{day}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// The id of a row: a version 4 UUID.
pub(super) fn guid(table: u64, row: i64) -> String {
    let mut mixer = Mixer::new(table, row);
    let high = mixer.next() & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = mixer.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
