//! Values of requests on their way into columns.
//!
//! What must hold: a value is stored so that reading it gives the same value, or it is refused. SQLite itself would round numbers and
//! make numbers of text in silence, depending on the affinity of the column.

use highwater_odata::{PrimitiveType as T, Value};
use highwater_sql::sqlite::exact_number;
use rusqlite::types::Value as Stored;

use crate::facts::Affinity;
use crate::temporal::{DateTime, parse_date, parse_date_time, parse_duration, parse_time};

/// What to store for a value; the error is the end of a sentence.
pub(crate) fn to_store(value: &Value, affinity: Affinity) -> Result<Stored, &'static str> {
    match value {
        Value::Null => Ok(Stored::Null),
        Value::Boolean(truth) => Ok(Stored::Integer(i64::from(*truth))),
        Value::Integer(number) => {
            if affinity == Affinity::Real && (*number as f64) as i128 != i128::from(*number) {
                return Err("cannot be stored exactly: the column holds floating-point numbers");
            }
            Ok(Stored::Integer(*number))
        }
        Value::Double(number) if number.is_nan() => Err("cannot be stored: SQLite has no NaN"),
        Value::Double(number) => Ok(Stored::Real(*number)),
        Value::String(text) => {
            let converts = matches!(
                affinity,
                Affinity::Numeric | Affinity::Integer | Affinity::Real
            );
            if converts && looks_like_number(text) {
                return Err(
                    "cannot be stored exactly: the column would turn the text into a number",
                );
            }
            Ok(Stored::Text(text.clone()))
        }
        Value::Binary(bytes) => Ok(Stored::Blob(bytes.clone())),
        Value::Lexical(ty, text) => lexical(*ty, text, affinity),
    }
}

fn lexical(ty: T, text: &str, affinity: Affinity) -> Result<Stored, &'static str> {
    let date =
        "cannot be stored: only the years 0000 to 9999 and nine digits of a second are supported";
    match ty {
        T::Decimal if affinity == Affinity::Text => Ok(Stored::Text(text.to_owned())),
        T::Decimal => match exact_number(text) {
            Some(Value::Integer(number)) => to_store(&Value::Integer(number), affinity),
            Some(Value::Double(number)) => Ok(Stored::Real(number)),
            _ => Err("cannot be stored exactly: SQLite keeps about 15 digits"),
        },
        T::DateTimeOffset => {
            let utc = parse_date_time(text).and_then(|value| value.instant().utc());
            utc.map(|utc| Stored::Text(date_time_text(utc))).ok_or(date)
        }
        T::Date if parse_date(text).is_none() => Err(date),
        T::TimeOfDay if parse_time(text).is_none() => Err(date),
        T::Duration if parse_duration(text).is_none() => {
            Err("cannot be stored: the duration is too long or too precise")
        }
        T::Guid => Ok(Stored::Text(text.to_ascii_lowercase())),
        _ => Ok(Stored::Text(text.to_owned())),
    }
}

/// `YYYY-MM-DD HH:MM:SS[.fff]`, the form of SQLite's own `CURRENT_TIMESTAMP` and `strftime`: in UTC, without an offset.
fn date_time_text(utc: DateTime) -> String {
    let mut text = format!("{} {}", utc.date.text(), utc.time.text());
    // Milliseconds, microseconds or nanoseconds: what is needed.
    for _ in 0..3 {
        match text.strip_suffix("000") {
            Some(shorter) => text.truncate(shorter.len()),
            None => break,
        }
    }
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// Whether a column of numeric affinity would store a number.
fn looks_like_number(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let begins = text
        .bytes()
        .find(|byte| !matches!(byte, b'+' | b'-' | b'.'))
        .is_some_and(|byte| byte.is_ascii_digit());
    begins && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_exactly_or_refused() {
        let check = |value: Value, affinity: Affinity, expected: Option<Stored>| {
            assert_eq!(
                to_store(&value, affinity).ok(),
                expected,
                "{value:?} {affinity:?}"
            );
        };
        let lex = |ty, text: &str| Value::Lexical(ty, text.into());
        let text = |text: &str| Some(Stored::Text(text.into()));
        check(
            Value::Boolean(true),
            Affinity::Numeric,
            Some(Stored::Integer(1)),
        );
        check(
            Value::Integer(1 << 53),
            Affinity::Real,
            Some(Stored::Integer(1 << 53)),
        );
        check(Value::Integer((1 << 53) + 1), Affinity::Real, None);
        check(Value::Integer(i64::MAX), Affinity::Real, None);
        check(
            Value::Integer(i64::MAX),
            Affinity::Numeric,
            Some(Stored::Integer(i64::MAX)),
        );
        check(Value::Double(f64::NAN), Affinity::Real, None);
        check(Value::String("007".into()), Affinity::Text, text("007"));
        check(Value::String("007".into()), Affinity::Blob, text("007"));
        for number in ["007", " 7 ", "7.", ".5", "-1e3", "+1"] {
            check(Value::String(number.into()), Affinity::Numeric, None);
        }
        for word in ["", "x", "inf", "nan", "1x", "0x10", "-", "1 2"] {
            check(Value::String(word.into()), Affinity::Integer, text(word));
        }
        check(
            lex(T::Decimal, "19.99"),
            Affinity::Numeric,
            Some(Stored::Real(19.99)),
        );
        check(
            lex(T::Decimal, "20.00"),
            Affinity::Numeric,
            Some(Stored::Integer(20)),
        );
        check(
            lex(T::Decimal, "0.12345678901234567"),
            Affinity::Numeric,
            None,
        );
        check(
            lex(T::Decimal, "0.12345678901234567"),
            Affinity::Text,
            text("0.12345678901234567"),
        );
        check(
            lex(T::DateTimeOffset, "2024-05-01T10:00:00+02:00"),
            Affinity::Numeric,
            text("2024-05-01 08:00:00"),
        );
        check(
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.120Z"),
            Affinity::Text,
            text("2024-05-01 10:00:00.120"),
        );
        check(
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.000001Z"),
            Affinity::Text,
            text("2024-05-01 10:00:00.000001"),
        );
        check(
            lex(T::DateTimeOffset, "-0001-05-01T10:00:00Z"),
            Affinity::Text,
            None,
        );
        check(
            lex(T::Date, "2024-05-01"),
            Affinity::Text,
            text("2024-05-01"),
        );
        check(lex(T::Date, "12024-05-01"), Affinity::Text, None);
        check(
            lex(T::Guid, "0A000000-0000-0000-0000-00000000000F"),
            Affinity::Text,
            text("0a000000-0000-0000-0000-00000000000f"),
        );
    }
}
