//! Values in PostgreSQL's text form as [`Cell`]s.

use highwater_throwaway::Answer;

use crate::lab::Cell;

/// The rows of an answer to a connection with the settings of the oracle's reader.
pub(super) fn rows(answer: &Answer) -> Vec<Vec<Cell>> {
    let row = |row: &Vec<Option<String>>| {
        let cells = row.iter().zip(&answer.types);
        cells
            .map(|(text, oid)| cell(text.as_deref(), *oid))
            .collect()
    };
    answer.rows.iter().map(row).collect()
}

/// The numbers of the types are those of `pg_type.dat`, which never change.
fn cell(text: Option<&str>, oid: u32) -> Cell {
    const BOOL: u32 = 16;
    const BYTEA: u32 = 17;
    const INTEGERS: [u32; 3] = [20, 21, 23];
    const FLOATS: [u32; 2] = [700, 701];
    const DATE: u32 = 1082;
    const TIMESTAMPS: [u32; 2] = [1114, 1184];
    let Some(text) = text else {
        return Cell::Null;
    };
    let converted = match oid {
        BOOL => Some(Cell::Bool(text == "t")),
        BYTEA => bytes(text).map(Cell::Blob),
        oid if INTEGERS.contains(&oid) => text.parse().ok().map(Cell::Int),
        oid if FLOATS.contains(&oid) => text.parse().ok().map(Cell::Real),
        oid if oid == DATE || TIMESTAMPS.contains(&oid) => Some(Cell::Text(moment(text))),
        _ => Some(Cell::Text(text.to_owned())),
    };
    converted.unwrap_or_else(|| panic!("{text:?} is no value of type {oid}"))
}

/// From `\x01ff`.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
        .collect()
}

/// A date or point in time with the year as in XML Schema, where the year before 1 is 0, and UTC as `Z`.
fn moment(text: &str) -> String {
    let (era, rest) = match text.strip_suffix(" BC") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut moment = match rest.split_once('-') {
        Some((year, after)) if era => {
            let year = year.parse::<i32>().unwrap_or(0) - 1;
            let sign = if year == 0 { "" } else { "-" };
            format!("{sign}{year:04}-{after}")
        }
        _ => rest.to_owned(),
    };
    if moment.ends_with("+00") {
        moment.truncate(moment.len() - 3);
        moment.push('Z');
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_type() {
        for (text, oid, expected) in [
            ("t", 16, Cell::Bool(true)),
            ("\\x01ff", 17, Cell::Blob(vec![1, 255])),
            ("-7", 23, Cell::Int(-7)),
            ("0.1", 700, Cell::Real(0.1)),
            ("NaN", 25, Cell::Text("NaN".into())),
            ("0001-12-31 BC", 1082, Cell::Text("0000-12-31".into())),
            ("0044-03-15 BC", 1082, Cell::Text("-0043-03-15".into())),
            ("infinity", 1082, Cell::Text("infinity".into())),
            (
                "2024-02-29 12:00:00.5+00",
                1184,
                Cell::Text("2024-02-29 12:00:00.5Z".into()),
            ),
            (
                "0044-03-15 12:00:00+00 BC",
                1184,
                Cell::Text("-0043-03-15 12:00:00Z".into()),
            ),
        ] {
            assert_eq!(cell(Some(text), oid), expected, "{text}");
        }
        assert_eq!(cell(None, 25), Cell::Null);
    }
}
