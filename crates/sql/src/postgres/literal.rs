//! Literals in the type of what they are compared with.

use highwater_core::Error;
use highwater_odata::{PrimitiveType, Value};

use super::temporal;
use super::value::Repr;

/// Digits of a number at most, so that no type of PostgreSQL overflows.
const DIGITS_MAX: usize = 1_000;

/// A literal as a value of a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    /// The same value.
    Exactly(Value),
    /// The type has no such value: the literal lies above this one and below the next.
    Above(Value),
}

impl Bound {
    pub(super) fn text(text: impl Into<String>) -> Bound {
        Bound::Exactly(Value::String(text.into()))
    }
}

/// The text to bind for a literal. It is never `null` and, unless the type is a float, finite.
///
/// # Errors
///
/// [`Error::Unsupported`] if the type cannot tell where the literal stands among its values.
pub(super) fn bound(value: &Value, repr: Repr) -> Result<Bound, Error> {
    use PrimitiveType as T;
    Ok(match (value, repr) {
        (Value::Boolean(value), Repr::Boolean) => Bound::text(value.to_string()),
        (Value::Integer(number), Repr::Integer) => Bound::Exactly(Value::Integer(*number)),
        (Value::Integer(number), Repr::Numeric) => Bound::text(number.to_string()),
        (Value::Integer(number), Repr::Double | Repr::Single) => integer_as_double(*number),
        (Value::Lexical(T::Decimal, text), Repr::Numeric | Repr::Integer) => {
            Bound::text(moderate(text)?)
        }
        (Value::Lexical(T::Decimal, text), Repr::Double | Repr::Single) => {
            Bound::text(double(text.parse().unwrap_or(f64::NAN)))
        }
        (Value::Double(number), Repr::Double | Repr::Single) => Bound::text(double(*number)),
        (Value::Double(number), Repr::Numeric) if number.is_finite() => {
            Bound::text(double(*number))
        }
        (Value::String(text), Repr::Text) => Bound::text(text),
        (Value::Binary(bytes), Repr::Bytea) => {
            use std::fmt::Write as _;
            let mut text = String::from("\\x");
            for byte in bytes {
                write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            }
            Bound::text(text)
        }
        (Value::Lexical(T::Guid, text), Repr::Guid) => Bound::text(text),
        (Value::Lexical(T::Date, text), Repr::Date) => temporal::date(text),
        (Value::Lexical(T::Date, text), Repr::Timestamp | Repr::TimestampTz) => {
            temporal::instant(&format!("{text}T00:00:00Z"))
        }
        (Value::Lexical(T::DateTimeOffset, text), Repr::Timestamp | Repr::TimestampTz) => {
            temporal::instant(text)
        }
        (Value::Lexical(T::TimeOfDay, text), Repr::Time) => temporal::time(text),
        (Value::Lexical(T::Duration, text), Repr::Interval) => temporal::duration(text)?,
        // Only text that was compared with something of unknown type arrives here.
        (Value::Lexical(_, text), Repr::Text) => Bound::text(text),
        (value, repr) => {
            let ty = value.as_ref().natural_type().unwrap_or(T::Any);
            return Err(Error::Unsupported(format!(
                "A literal of the type {ty} cannot be compared with a value of the type {}.",
                repr.ty()
            )));
        }
    })
}

/// A double in PostgreSQL's form.
pub(super) fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned()
    } else {
        format!("{number:e}")
    }
}

/// The double that is a whole number, or the one below it.
fn integer_as_double(number: i64) -> Bound {
    let nearest = number as f64;
    if nearest as i128 == i128::from(number) {
        Bound::text(double(nearest))
    } else {
        let below = if nearest as i128 > i128::from(number) {
            nearest.next_down()
        } else {
            nearest
        };
        Bound::Above(Value::String(double(below)))
    }
}

/// A decimal number, unless it has so many digits that PostgreSQL could refuse it.
fn moderate(text: &str) -> Result<&str, Error> {
    let exponent = match text.find(['e', 'E']) {
        Some(at) => text[at + 1..].parse::<i64>().unwrap_or(i64::MAX),
        None => 0,
    };
    if text.len() <= DIGITS_MAX && exponent.unsigned_abs() <= DIGITS_MAX as u64 {
        return Ok(text);
    }
    Err(Error::Unsupported(format!(
        "A number of the query has too many digits to compare with. Use at most {DIGITS_MAX}."
    )))
}

/// The shortest number that stands for a float of single precision, if the literal is one: `0.1` means the value that is shown as `0.1`.
pub(super) fn as_single(number: f64) -> Option<String> {
    let single = number as f32;
    let shortest = format!("{single:e}");
    (single.is_finite() && shortest.parse() == Ok(number)).then_some(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_where_they_stand_among_doubles() {
        let exactly = |text: &str| Bound::text(text);
        let above = |text: &str| Bound::Above(Value::String(text.into()));
        for (number, expected) in [
            (0, exactly("0e0")),
            (-15, exactly("-1.5e1")),
            (9_007_199_254_740_992, exactly("9.007199254740992e15")),
            (9_007_199_254_740_993, above("9.007199254740992e15")),
            (9_007_199_254_740_995, above("9.007199254740994e15")),
            (-9_007_199_254_740_993, above("-9.007199254740994e15")),
            (i64::MAX, above("9.223372036854775e18")),
            (i64::MIN, exactly("-9.223372036854776e18")),
        ] {
            assert_eq!(integer_as_double(number), expected, "{number}");
        }
    }

    #[test]
    fn a_literal_may_mean_a_single() {
        for (number, expected) in [
            (0.1, Some("1e-1")),
            (0.5, Some("5e-1")),
            (0.100_000_001_490_116_12, None),
            (1e300, None),
            (16_777_217.0, None),
        ] {
            assert_eq!(as_single(number).as_deref(), expected, "{number}");
        }
    }
}
