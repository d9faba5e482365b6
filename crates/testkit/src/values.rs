//! Values and names that are likely to break something, from pools so small that they collide often.
//!
//! What must hold: two columns of one kind draw from one pool, so that keys, unique values and references meet.

use crate::flavour::{Flavour, Kind};
use crate::rng::Rng;

/// Texts that are hard in SQL, in URLs, in JSON, or under a collation.
pub(crate) const TEXTS: [&str; 18] = [
    "a",
    "A",
    "a ",
    "b",
    "B",
    "O'Neil",
    "x/y",
    "100%",
    "%41",
    "ä",
    "日本",
    "",
    "null",
    "1",
    "p?q#r&s=t+u",
    "\"q\"\\",
    "tab\tline\n",
    "😀",
];

const NAMES: [&str; 14] = [
    "Items",
    "order",
    "Order Details",
    "größe",
    "a\"b",
    "it's",
    "select",
    "1st",
    "x.y",
    "null",
    "[b]",
    "name",
    "日本",
    "trigger-log",
];

/// A whole number in a spelling that occurs nowhere else, so that it can be replaced by an expression.
pub(crate) const WILD: &str = "0011";

/// A name that is not among `used`, whatever the case, and now is.
pub(crate) fn name(rng: &mut Rng, used: &mut Vec<String>) -> String {
    let base = rng.word(&NAMES);
    let name = (1..)
        .map(|number| {
            if number == 1 {
                base.to_owned()
            } else {
                format!("{base}{number}")
            }
        })
        .find(|name| !used.contains(&name.to_lowercase()))
        .expect("finitely many names are used");
    used.push(name.to_lowercase());
    name
}

/// A quoted identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal of SQL.
pub(crate) fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal of SQL for a column of the kind, never `NULL`.
pub(crate) fn literal(rng: &mut Rng, flavour: &Flavour, kind: Kind) -> String {
    // Not the largest number: after it, SQLite makes up keys at random, in both databases others.
    const INTS: [i64; 5] = [-1, 0, i64::MAX - 800, i64::MIN + 1, (1 << 53) + 1];
    match kind {
        Kind::Int if rng.chance(6) => rng.pick(&INTS).to_string(),
        Kind::Int if rng.chance(15) => WILD.to_owned(),
        Kind::Int => (1 + rng.below(12)).to_string(),
        Kind::Text => text_literal(rng.word(&TEXTS)),
        Kind::Any => {
            let kind = *rng.pick(&[Kind::Int, Kind::Real, Kind::Text, Kind::Blob, Kind::Int]);
            literal(rng, flavour, kind)
        }
        kind => rng.word((flavour.literals)(kind)).to_owned(),
    }
}
