//! Database values as values of the entity model, without copying them.
//!
//! What must hold: never lossy, never an error. A value that does not have the declared type of its column becomes a value of its
//! own type, and the payload names that type.

use highwater_core::store::recycle;
use highwater_core::{Catalog, etag};
use highwater_odata::{PrimitiveType, ValueRef};
use rusqlite::Row;
use rusqlite::types::ValueRef as Stored;

use crate::temporal::{date_time_form, is_guid, parse_date, parse_duration, parse_time};

/// Which columns a statement returns, and how they become values.
#[derive(Clone, Debug)]
pub(crate) struct RowShape {
    /// How many columns the table has.
    width: usize,
    /// Columns of the table that the statement returns one after the other, with their types.
    columns: Vec<(usize, PrimitiveType)>,
    /// Positions in `columns` of those whose form may have to be written anew.
    date_times: Vec<usize>,
    /// Whether the whole row is read, to hash it.
    etag: bool,
}

/// Memory that is used again for every row.
#[derive(Default)]
pub(crate) struct Scratch {
    text: String,
    spans: Vec<Option<(usize, usize)>>,
}

impl RowShape {
    /// What to read of a table for the columns that are asked for: also the key, what relations need, and everything if a hash
    /// is wanted.
    pub(crate) fn new(
        catalog: &Catalog,
        table: usize,
        columns: &[usize],
        relations: impl Iterator<Item = usize>,
        etag: bool,
    ) -> RowShape {
        let table = &catalog.tables[table];
        let columns: Vec<(usize, PrimitiveType)> = table
            .columns_to_read(columns, relations, etag)
            .into_iter()
            .map(|column| (column, table.columns[column].ty))
            .collect();
        let date_times = (0..columns.len())
            .filter(|position| columns[*position].1 == PrimitiveType::DateTimeOffset)
            .collect();
        RowShape {
            width: table.columns.len(),
            columns,
            date_times,
            etag,
        }
    }

    /// The columns that the statement returns, in order.
    pub(crate) fn columns(&self) -> Vec<usize> {
        self.columns.iter().map(|(column, _)| *column).collect()
    }

    /// How many columns the statement returns.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Where a column of the table is among those that the statement returns.
    pub(crate) fn position(&self, column: usize) -> usize {
        self.columns
            .binary_search_by_key(&column, |(column, _)| *column)
            .expect("a row is read with every column that is used")
    }

    /// The values of a row, one for each column of the table; those that are not read are null. `first` is the position of the
    /// first of them in the statement's row. `only` leaves out all others than these columns of the table.
    ///
    /// `values` is memory to use again: its content is gone, what is returned has its capacity.
    pub(crate) fn values<'r>(
        &self,
        row: &'r Row<'_>,
        first: usize,
        only: Option<&[usize]>,
        scratch: &'r mut Scratch,
        values: Vec<ValueRef<'_>>,
    ) -> rusqlite::Result<Vec<ValueRef<'r>>> {
        scratch.text.clear();
        scratch.spans.clear();
        for &position in &self.date_times {
            let begin = scratch.text.len();
            let form = match row.get_ref(first + position)? {
                Stored::Text(bytes) => std::str::from_utf8(bytes).ok(),
                _ => None,
            };
            let written = form.and_then(|text| date_time_form(text, &mut scratch.text));
            scratch
                .spans
                .push(written.map(|_| (begin, scratch.text.len())));
        }
        let scratch: &'r Scratch = scratch;
        let mut spans = scratch.spans.iter();
        let mut values = recycle(values);
        values.resize(self.width, ValueRef::Null);
        for (position, &(column, ty)) in self.columns.iter().enumerate() {
            let span = match ty {
                PrimitiveType::DateTimeOffset => spans.next().copied().flatten(),
                _ => None,
            };
            if only.is_some_and(|only| !only.contains(&column)) {
                continue;
            }
            let stored = row.get_ref(first + position)?;
            values[column] = match (span, stored) {
                // An empty span says that the stored form is the right one.
                (Some((begin, end)), Stored::Text(bytes)) if begin == end => {
                    std::str::from_utf8(bytes)
                        .map_or(ValueRef::Binary(bytes), |text| ValueRef::Lexical(ty, text))
                }
                (Some((begin, end)), _) => ValueRef::Lexical(ty, &scratch.text[begin..end]),
                (None, stored) => value(stored, ty),
            };
        }
        Ok(values)
    }

    /// Whether two stored values look the same in a payload. `position` is that of the column in what the statement returns.
    pub(crate) fn looks_same(&self, position: usize, left: Stored<'_>, right: Stored<'_>) -> bool {
        if same(left, right) {
            return true;
        }
        match (left, right) {
            // A space and a `T` are two ways to store one date-time.
            (Stored::Text(left), Stored::Text(right)) => {
                self.columns[position].1 == PrimitiveType::DateTimeOffset
                    && date_time(left).is_some_and(|form| date_time(right) == Some(form))
            }
            // Text that is not UTF-8 is shown as the bytes that it is.
            (Stored::Text(text), Stored::Blob(bytes))
            | (Stored::Blob(bytes), Stored::Text(text)) => {
                text == bytes && std::str::from_utf8(text).is_err()
            }
            _ => false,
        }
    }

    /// The hash of a row with these values, if the query asks for it.
    pub(crate) fn etag(&self, values: &[ValueRef<'_>], bytes: &mut Vec<u8>) -> Option<u64> {
        self.etag.then(|| etag::hash(values, bytes))
    }
}

/// The form in which a payload shows a stored date-time.
fn date_time(stored: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(stored).ok()?;
    let mut form = String::new();
    match date_time_form(text, &mut form)? {
        true => Some(text.to_owned()),
        false => Some(form),
    }
}

/// Whether two stored values are exactly the same: 1 and 1.0 are not.
pub(crate) fn same(left: Stored<'_>, right: Stored<'_>) -> bool {
    match (left, right) {
        (Stored::Null, Stored::Null) => true,
        (Stored::Integer(l), Stored::Integer(r)) => l == r,
        (Stored::Real(l), Stored::Real(r)) => l.to_bits() == r.to_bits(),
        (Stored::Text(l), Stored::Text(r)) | (Stored::Blob(l), Stored::Blob(r)) => l == r,
        _ => false,
    }
}

/// A stored value of a column of the given type. Date-times that have to be written anew stay text here.
pub(crate) fn value(stored: Stored<'_>, ty: PrimitiveType) -> ValueRef<'_> {
    use PrimitiveType as T;
    match stored {
        Stored::Null => ValueRef::Null,
        Stored::Integer(0) if ty == T::Boolean => ValueRef::Boolean(false),
        Stored::Integer(1) if ty == T::Boolean => ValueRef::Boolean(true),
        Stored::Integer(number) => ValueRef::Integer(number),
        Stored::Real(number) => ValueRef::Double(number),
        Stored::Blob(bytes) => ValueRef::Binary(bytes),
        Stored::Text(bytes) => {
            let Ok(text) = std::str::from_utf8(bytes) else {
                return ValueRef::Binary(bytes);
            };
            let valid = match ty {
                T::Date => parse_date(text).is_some(),
                T::TimeOfDay => parse_time(text).is_some(),
                T::Duration => parse_duration(text).is_some(),
                T::Guid => is_guid(text),
                T::Decimal => is_decimal(text),
                _ => false,
            };
            if valid {
                ValueRef::Lexical(ty, text)
            } else {
                ValueRef::String(text)
            }
        }
    }
}

/// `[-]digits[.digits]`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use PrimitiveType as T;

    #[test]
    fn stored_values_keep_what_they_are() {
        let check = |stored: Stored<'_>, ty: T, expected: ValueRef<'_>| {
            assert_eq!(value(stored, ty), expected, "{stored:?} as {ty}");
        };
        check(Stored::Null, T::Int32, ValueRef::Null);
        check(Stored::Integer(1), T::Boolean, ValueRef::Boolean(true));
        check(Stored::Integer(0), T::Boolean, ValueRef::Boolean(false));
        check(Stored::Integer(2), T::Boolean, ValueRef::Integer(2));
        check(Stored::Real(1.0), T::Boolean, ValueRef::Double(1.0));
        check(Stored::Integer(5), T::String, ValueRef::Integer(5));
        check(Stored::Text(b"5"), T::Int32, ValueRef::String("5"));
        check(Stored::Text(b"\xff"), T::String, ValueRef::Binary(b"\xff"));
        check(Stored::Blob(b"ab"), T::String, ValueRef::Binary(b"ab"));
        check(
            Stored::Text(b"2024-01-01"),
            T::Date,
            ValueRef::Lexical(T::Date, "2024-01-01"),
        );
        check(
            Stored::Text(b"2024-1-1"),
            T::Date,
            ValueRef::String("2024-1-1"),
        );
        check(
            Stored::Text(b"10:00"),
            T::TimeOfDay,
            ValueRef::Lexical(T::TimeOfDay, "10:00"),
        );
        check(
            Stored::Text(b"0A000000-0000-0000-0000-00000000000f"),
            T::Guid,
            ValueRef::Lexical(T::Guid, "0A000000-0000-0000-0000-00000000000f"),
        );
        check(
            Stored::Text(b"1.50"),
            T::Decimal,
            ValueRef::Lexical(T::Decimal, "1.50"),
        );
        check(Stored::Text(b"1e3"), T::Decimal, ValueRef::String("1e3"));
        check(Stored::Text(b".5"), T::Decimal, ValueRef::String(".5"));
        check(Stored::Integer(7), T::Decimal, ValueRef::Integer(7));
    }

    #[test]
    fn values_look_the_same_if_a_payload_shows_them_alike() {
        let shape = |ty| RowShape {
            width: 1,
            columns: vec![(0, ty)],
            date_times: Vec::new(),
            etag: false,
        };
        for (ty, left, right, expected) in [
            (
                T::DateTimeOffset,
                Stored::Text(b"2024-02-29 12:00:00"),
                Stored::Text(b"2024-02-29T12:00:00Z"),
                true,
            ),
            (
                T::DateTimeOffset,
                Stored::Text(b"2024-02-29"),
                Stored::Text(b"2024-02-29T00:00:00Z"),
                true,
            ),
            (
                T::DateTimeOffset,
                Stored::Text(b"2024-02-29T12:00:00Z"),
                Stored::Text(b"2024-02-29T13:00:00+01:00"),
                false,
            ),
            (
                T::DateTimeOffset,
                Stored::Text(b"x"),
                Stored::Text(b"y"),
                false,
            ),
            (
                T::String,
                Stored::Text(b"2024-02-29 12:00:00"),
                Stored::Text(b"2024-02-29T12:00:00Z"),
                false,
            ),
            (T::Any, Stored::Integer(1), Stored::Real(1.0), false),
            (T::Any, Stored::Text(b"\xff"), Stored::Blob(b"\xff"), true),
            (T::Any, Stored::Text(b"a"), Stored::Blob(b"a"), false),
        ] {
            assert_eq!(
                shape(ty).looks_same(0, left, right),
                expected,
                "{left:?} {right:?}"
            );
        }
    }

    #[test]
    fn integers_and_reals_differ() {
        assert!(same(Stored::Integer(1), Stored::Integer(1)));
        assert!(!same(Stored::Integer(1), Stored::Real(1.0)));
        assert!(!same(Stored::Text(b"a"), Stored::Blob(b"a")));
        assert!(!same(Stored::Null, Stored::Integer(0)));
    }
}
