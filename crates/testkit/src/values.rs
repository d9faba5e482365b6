//! Values and names that are likely to break something, from pools so small that they collide often.
//!
//! What must hold: two columns of one kind draw from one pool, so that keys, unique values and references meet.

use crate::flavour::Kind;
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
pub(crate) fn literal(rng: &mut Rng, kind: Kind) -> String {
    const REALS: [&str; 9] = [
        "0.5", "1.5", "-2.25", "0.1", "3.0", "1e300", "4.25e-7", "9e999", "1e21",
    ];
    const DECIMALS: [&str; 8] = ["1", "2", "1.5", "0.25", "19.99", "-3.75", "100", "0.1"];
    const BLOBS: [&str; 5] = ["x''", "x'00'", "x'01ff'", "x'fbff'", "x'61'"];
    const DATES: [&str; 4] = ["2024-02-29", "1999-12-31", "2000-01-01", "0001-01-01"];
    const STAMPS: [&str; 5] = [
        "2024-02-29T12:00:00Z",
        "2024-02-29 12:00:00",
        "1999-12-31T23:59:59.999Z",
        "2024-06-01T08:30:00+02:00",
        "2024-02-29",
    ];
    const TIMES: [&str; 3] = ["08:30:00", "23:59:59", "12:00"];
    const GUIDS: [&str; 4] = [
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        "00000000-0000-0000-0000-000000000000",
        "6f9619ff-8b86-d011-b42d-00c04fc96400",
    ];
    // Not the largest number: after it, SQLite makes up keys at random, in both databases others.
    const INTS: [i64; 5] = [-1, 0, i64::MAX - 800, i64::MIN + 1, (1 << 53) + 1];
    match kind {
        Kind::Int if rng.chance(6) => rng.pick(&INTS).to_string(),
        Kind::Int if rng.chance(15) => WILD.to_owned(),
        Kind::Int => (1 + rng.below(12)).to_string(),
        Kind::Real => rng.word(&REALS).to_owned(),
        Kind::Decimal => rng.word(&DECIMALS).to_owned(),
        Kind::Bool => rng.word(&["TRUE", "FALSE"]).to_owned(),
        Kind::Text => text_literal(rng.word(&TEXTS)),
        Kind::Blob => rng.word(&BLOBS).to_owned(),
        Kind::Date => text_literal(rng.word(&DATES)),
        Kind::Timestamp => text_literal(rng.word(&STAMPS)),
        Kind::Time => text_literal(rng.word(&TIMES)),
        Kind::Guid => text_literal(rng.word(&GUIDS)),
        Kind::Any => {
            let kind = *rng.pick(&[Kind::Int, Kind::Real, Kind::Text, Kind::Blob, Kind::Int]);
            literal(rng, kind)
        }
    }
}
