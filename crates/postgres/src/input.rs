//! Values of requests on their way into columns: in PostgreSQL's text form.
//!
//! What must hold: a value is stored so that reading it gives the same value, or it is refused. PostgreSQL itself would round numbers and
//! seconds, cut off blanks and take words such as `tomorrow` for dates, in silence. What is deliberately absent: what only
//! PostgreSQL can judge: the labels of an enum, the syntax of JSON (it refuses that by itself), the elements of arrays
//! (`write/kept.rs` asks it).

use highwater_core::Column;
use highwater_odata::{PrimitiveType as T, Value};
use highwater_sql::postgres::{ColumnLayout, Family};

use crate::schema::ColumnFacts;

/// Digits of a second that PostgreSQL keeps.
const FRACTION_DIGITS_MAX: usize = 6;
/// What the type `name` holds, unless PostgreSQL was compiled otherwise.
const NAME_LEN_MAX_BYTES: i64 = 63;

/// Everything that decides how a value is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) column: &'a Column,
    pub(crate) layout: &'a ColumnLayout,
    pub(crate) facts: &'a ColumnFacts,
}

impl Target<'_> {
    /// The text that PostgreSQL reads as the value; `None` is `NULL`. The error is the end of a sentence that begins with "the value of
    /// the column".
    pub(crate) fn text(self, value: &Value) -> Result<Option<String>, String> {
        let text = match value {
            Value::Null => return Ok(None),
            Value::Boolean(truth) if self.layout.family == Family::Boolean => truth.to_string(),
            Value::Integer(number) => self.integer(*number)?,
            Value::Double(number) => self.double(*number)?,
            Value::String(text) => self.string(text)?,
            Value::Binary(bytes) if self.layout.family == Family::Bytea => hex(bytes),
            Value::Lexical(ty, text) => self.lexical(*ty, text)?,
            Value::Boolean(_) | Value::Binary(_) => return Err(self.other_type()),
        };
        Ok(Some(text))
    }

    fn other_type(self) -> String {
        format!(
            "does not have the type of the column, {}",
            self.facts.declared
        )
    }

    fn integer(self, number: i64) -> Result<String, String> {
        let range = match self.column.ty {
            T::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
            T::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
            _ => i64::MIN..=i64::MAX,
        };
        match self.layout.family {
            Family::Integer if !range.contains(&number) => Err(format!(
                "cannot be stored: the column holds {} to {}",
                range.start(),
                range.end()
            )),
            Family::Integer => Ok(number.to_string()),
            Family::Numeric => self.decimal(&number.to_string()),
            Family::Float => {
                let exact = match self.column.ty {
                    T::Single => (number as f32) as i128 == i128::from(number),
                    _ => (number as f64) as i128 == i128::from(number),
                };
                match exact {
                    true => Ok(number.to_string()),
                    false => Err(self.inexact()),
                }
            }
            _ => Err(self.other_type()),
        }
    }

    fn double(self, number: f64) -> Result<String, String> {
        let text = if number.is_nan() {
            "NaN".to_owned()
        } else if number.is_infinite() {
            let sign = if number < 0.0 { "-" } else { "" };
            format!("{sign}Infinity")
        } else {
            format!("{number:e}")
        };
        match self.layout.family {
            Family::Float if self.column.ty == T::Single => {
                if number.is_nan() || f64::from(number as f32) == number {
                    Ok(text)
                } else {
                    Err(self.inexact())
                }
            }
            Family::Float => Ok(text),
            Family::Numeric if number.is_finite() => self.decimal(&text),
            Family::Numeric => Ok(text),
            _ => Err(self.other_type()),
        }
    }

    fn inexact(self) -> String {
        format!(
            "cannot be stored exactly: the column is of the type {}",
            self.facts.declared
        )
    }

    fn string(self, text: &str) -> Result<String, String> {
        if text.contains('\0') {
            return Err("cannot be stored: PostgreSQL has no character U+0000".to_owned());
        }
        let accepted = match self.layout.family {
            Family::Text | Family::Other => {
                self.check_length(text)?;
                true
            }
            // What the column can hold and the type of the property cannot express.
            Family::Date | Family::Timestamp | Family::TimestampTz => {
                matches!(text, "infinity" | "-infinity")
            }
            Family::Time => text == "24:00:00",
            Family::Interval => {
                // Whether it fits the modifiers of the column, PostgreSQL is asked.
                check_fraction(text, FRACTION_DIGITS_MAX)?;
                true
            }
            _ => false,
        };
        match accepted {
            true => Ok(text.to_owned()),
            false => Err(self.other_type()),
        }
    }

    /// PostgreSQL cuts off blanks in silence to make a text fit, and of some types whatever is too long.
    fn check_length(self, text: &str) -> Result<(), String> {
        let base = self.facts.base.as_str();
        let limited = ["character varying(", "character("]
            .iter()
            .any(|prefix| base.starts_with(prefix) && base.ends_with(')'));
        let (length, limit, unit) = match base {
            "name" => (text.len() as i64, NAME_LEN_MAX_BYTES, "bytes"),
            "\"char\"" => (text.len() as i64, 1, "byte"),
            _ => match self.modifier(0).filter(|_| limited) {
                Some(limit) => (text.chars().count() as i64, limit, "characters"),
                None => return Ok(()),
            },
        };
        match length > limit {
            true => Err(format!("is too long: the column holds {limit} {unit}")),
            false => Ok(()),
        }
    }

    /// A number in the parentheses of the declared type, such as 10 and 2 of `numeric(10,2)`. Only for types of PostgreSQL itself: others
    /// may have parentheses in their names.
    fn modifier(self, position: usize) -> Option<i64> {
        let (_, rest) = self.facts.base.split_once('(')?;
        let (inside, _) = rest.split_once(')')?;
        inside.split(',').nth(position)?.trim().parse().ok()
    }

    fn lexical(self, ty: T, text: &str) -> Result<String, String> {
        match (ty, self.layout.family) {
            (T::Decimal, Family::Numeric) => self.decimal(text),
            // The type of a key cannot be one of floating-point numbers.
            (T::Decimal, Family::Float) => match text.parse::<f64>() {
                Ok(number) if digits(&format!("{number:e}")) == digits(text) => self.double(number),
                _ => Err(self.inexact()),
            },
            (T::Guid, Family::Uuid) => Ok(text.to_owned()),
            (T::Date, Family::Date) => Ok(with_era(text, "")),
            (T::TimeOfDay, Family::Time) => self.fraction(text).map(|()| text.to_owned()),
            (T::DateTimeOffset, Family::Timestamp | Family::TimestampTz) => {
                let (date, time) = text
                    .split_once(['T', 't'])
                    .ok_or_else(|| self.other_type())?;
                self.fraction(time)?;
                Ok(with_era(date, &format!(" {time}")))
            }
            (T::Duration, Family::Interval) => {
                self.fraction(text)?;
                self.fields(text)?;
                Ok(interval(text))
            }
            _ => Err(self.other_type()),
        }
    }

    /// Numbers are rounded to the scale of the column in silence.
    fn decimal(self, text: &str) -> Result<String, String> {
        let precision = self.modifier(0);
        let scale = precision
            .map(|_| self.modifier(1).unwrap_or(0))
            .or(self.column.scale.map(i64::from));
        if let (Some(scale), Some((_, digits, power))) = (scale, digits(text)) {
            if power < -scale {
                return Err(format!(
                    "cannot be stored exactly: the column keeps {scale} digits after the point"
                ));
            }
            let whole = power.saturating_add(digits.len() as i64);
            let whole_max = precision.map_or(i64::MAX, |precision| precision - scale);
            if whole > whole_max {
                return Err(format!(
                    "is too large: the column keeps {whole_max} digits before the point"
                ));
            }
        }
        Ok(text.to_owned())
    }

    /// Seconds are rounded to what the column keeps in silence.
    fn fraction(self, text: &str) -> Result<(), String> {
        let limit = self
            .modifier(0)
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(FRACTION_DIGITS_MAX);
        check_fraction(text, limit)
    }

    /// What is smaller than the last field of a type such as `interval day to hour` is cut off in silence.
    fn fields(self, text: &str) -> Result<(), String> {
        let last = self.facts.base.rsplit(' ').next().unwrap_or_default();
        let lost = match last {
            "year" | "month" => "DHMS",
            "day" => "HMS",
            "hour" => "MS",
            "minute" => "S",
            _ => return Ok(()),
        };
        let text = text.to_ascii_uppercase();
        let mut parts = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
        let is_cut = |part: &str| {
            part.contains(|c| ('1'..='9').contains(&c)) && part.ends_with(|c| lost.contains(c))
        };
        if parts.any(is_cut) {
            return Err(format!(
                "cannot be stored exactly: the column keeps nothing that is smaller than one {last}"
            ));
        }
        Ok(())
    }
}

/// Whether no number in a text has more digits behind its point.
fn check_fraction(text: &str, limit: usize) -> Result<(), String> {
    let is_longer = |rest: &str| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].trim_end_matches('0').len() > limit
    };
    match text.split('.').skip(1).any(is_longer) {
        true => Err(format!(
            "cannot be stored exactly: the column keeps {limit} digits of a second"
        )),
        false => Ok(()),
    }
}

/// Whether a number is negative, its digits from the first to the last that is not zero, and the power of ten of the last; `None` for
/// zero.
fn digits(number: &str) -> Option<(bool, String, i64)> {
    let unsigned = number.trim_start_matches(['+', '-']);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let trimmed = all.trim_end_matches('0');
    let power = (all.len() - trimmed.len()) as i64 - fraction.len() as i64;
    let trimmed = trimmed.trim_start_matches('0');
    (!trimmed.is_empty()).then(|| {
        let negative = number.starts_with('-');
        (negative, trimmed.to_owned(), power.saturating_add(exponent))
    })
}

/// A date of OData, whose calendar has a year 0, with what follows it: PostgreSQL counts backwards from 1 BC.
fn with_era(date: &str, rest: &str) -> String {
    let (negative, unsigned) = match date.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, date),
    };
    let (year, day) = unsigned.split_once('-').unwrap_or((unsigned, "01-01"));
    match year.parse::<u64>() {
        Ok(number) if negative || number == 0 => {
            format!("{:04}-{day}{rest} BC", number.saturating_add(1))
        }
        _ => format!("{date}{rest}"),
    }
}

/// The sign of a duration stands before each of its parts in PostgreSQL.
fn interval(text: &str) -> String {
    let text = text.to_ascii_uppercase();
    let Some(unsigned) = text.strip_prefix('-') else {
        return text;
    };
    let mut signed = String::with_capacity(text.len() + 4);
    let mut in_number = false;
    for c in unsigned.chars() {
        let number = c.is_ascii_digit() || c == '.';
        if number && !in_number {
            signed.push('-');
        }
        in_number = number;
        signed.push(c);
    }
    signed
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Supply;

    fn stored(value: Value, ty: T, family: Family, declared: &str) -> Result<String, String> {
        let column = Column {
            name: "c".into(),
            ty,
            nullable: true,
            computed: false,
            has_default: false,
            scale: None,
        };
        let layout = ColumnLayout {
            ty: declared.into(),
            family,
            coarse: false,
            operators: None,
        };
        let facts = ColumnFacts {
            attnum: 1,
            declared: declared.into(),
            base: declared.into(),
            unmodified: None,
            not_null: false,
            supply: Supply::None,
        };
        let target = Target {
            column: &column,
            layout: &layout,
            facts: &facts,
        };
        target
            .text(&value)
            .map(|text| text.unwrap_or_else(|| "NULL".into()))
    }

    #[test]
    fn values_are_stored_exactly_or_refused() {
        let check = |value: Value, ty, family, declared: &str, expected: Option<&str>| {
            let found = stored(value.clone(), ty, family, declared);
            assert_eq!(
                found.as_deref().ok(),
                expected,
                "{value:?} as {declared}: {found:?}"
            );
        };
        let lex = |ty, text: &str| Value::Lexical(ty, text.into());
        let text = |text: &str| Value::String(text.into());
        use Family as F;
        for (value, expected) in [
            (Value::Null, Some("NULL")),
            (Value::Boolean(true), Some("true")),
            (Value::Integer(1), None),
            (text("true"), None),
        ] {
            check(value, T::Boolean, F::Boolean, "boolean", expected);
        }
        for (number, ty, expected) in [
            (32_767, T::Int16, Some("32767")),
            (32_768, T::Int16, None),
            (-2_147_483_649, T::Int32, None),
            (i64::MIN, T::Int64, Some("-9223372036854775808")),
        ] {
            check(Value::Integer(number), ty, F::Integer, "integer", expected);
        }
        for (value, ty, expected) in [
            (Value::Integer(1 << 53), T::Double, Some("9007199254740992")),
            (Value::Integer((1 << 53) + 1), T::Double, None),
            (Value::Integer((1 << 24) + 1), T::Single, None),
            (Value::Double(0.1), T::Double, Some("1e-1")),
            (Value::Double(0.1), T::Single, None),
            (Value::Double(0.5), T::Single, Some("5e-1")),
            (Value::Double(f64::NAN), T::Single, Some("NaN")),
            (
                Value::Double(f64::NEG_INFINITY),
                T::Double,
                Some("-Infinity"),
            ),
            (text("NaN"), T::Double, None),
        ] {
            check(value, ty, F::Float, "double precision", expected);
        }
        for (value, declared, expected) in [
            (lex(T::Decimal, "19.99"), "numeric(10,2)", Some("19.99")),
            (lex(T::Decimal, "19.990"), "numeric(10,2)", Some("19.990")),
            (lex(T::Decimal, "19.991"), "numeric(10,2)", None),
            (lex(T::Decimal, "1e-2"), "numeric(10,2)", Some("1e-2")),
            (
                lex(T::Decimal, "-12345678.9"),
                "numeric(10,2)",
                Some("-12345678.9"),
            ),
            (lex(T::Decimal, "123456789"), "numeric(10,2)", None),
            (lex(T::Decimal, "1e9"), "numeric(10,2)", None),
            (lex(T::Decimal, "0.0012"), "numeric(2,4)", Some("0.0012")),
            (lex(T::Decimal, "0.012"), "numeric(2,4)", None),
            (lex(T::Decimal, "1e-3"), "numeric(10,2)", None),
            (lex(T::Decimal, "0.5"), "numeric(10)", None),
            (lex(T::Decimal, "0.000"), "numeric(10)", Some("0.000")),
            (lex(T::Decimal, "12000"), "numeric(2,-3)", Some("12000")),
            (lex(T::Decimal, "12100"), "numeric(2,-3)", None),
            (Value::Integer(12_100), "numeric(2,-3)", None),
            (Value::Double(0.125), "numeric(10,2)", None),
            (Value::Double(f64::NAN), "numeric", Some("NaN")),
            (
                lex(T::Decimal, "0.1234567890123456789012345"),
                "numeric",
                Some("0.1234567890123456789012345"),
            ),
            (text("1"), "numeric", None),
        ] {
            check(value, T::Decimal, F::Numeric, declared, expected);
        }
        for (value, family, declared, expected) in [
            (text("abc"), F::Text, "character varying(3)", Some("abc")),
            (text("äöü"), F::Text, "character varying(3)", Some("äöü")),
            (text("abc "), F::Text, "character varying(3)", None),
            (text("abc"), F::Other, "character(2)", None),
            (text("a\0"), F::Text, "text", None),
            (text("{a,b,c}"), F::Other, "character(1)[]", Some("{a,b,c}")),
            (text("abc"), F::Other, "public.\"odd(1)\"", Some("abc")),
            (text("ä"), F::Other, "\"char\"", None),
            (text("{}"), F::Other, "jsonb", Some("{}")),
            (Value::Integer(5), F::Text, "text", None),
        ] {
            check(value, T::String, family, declared, expected);
        }
        for (number, ty, expected) in [
            ("0.1", T::Decimal, Some("1e-1")),
            ("-12.50", T::Decimal, Some("-1.25e1")),
            ("0.00", T::Decimal, Some("0e0")),
            ("0.10000000000000000001", T::Decimal, None),
        ] {
            check(lex(ty, number), ty, F::Float, "double precision", expected);
        }
        check(
            Value::Binary(vec![0, 255]),
            T::Binary,
            F::Bytea,
            "bytea",
            Some("\\x00ff"),
        );
        check(text("x"), T::Binary, F::Bytea, "bytea", None);
    }

    #[test]
    fn dates_and_times_have_the_form_of_postgresql() {
        use Family as F;
        let check = |ty, value: &str, family, declared: &str, expected: Option<&str>| {
            let found = stored(Value::Lexical(ty, value.into()), ty, family, declared);
            assert_eq!(found.ok().as_deref(), expected, "{value} as {declared}");
        };
        for (value, expected) in [
            ("2024-02-29", "2024-02-29"),
            ("0000-01-01", "0001-01-01 BC"),
            ("-0001-12-31", "0002-12-31 BC"),
            ("12024-01-01", "12024-01-01"),
        ] {
            check(T::Date, value, F::Date, "date", Some(expected));
        }
        let stamp = "timestamp with time zone";
        for (value, declared, expected) in [
            (
                "2024-05-01T10:00:00+02:00",
                stamp,
                Some("2024-05-01 10:00:00+02:00"),
            ),
            ("-0001-05-01T10:00Z", stamp, Some("0002-05-01 10:00Z BC")),
            (
                "2024-05-01T10:00:00.1234560Z",
                stamp,
                Some("2024-05-01 10:00:00.1234560Z"),
            ),
            ("2024-05-01T10:00:00.1234567Z", stamp, None),
            (
                "2024-05-01T10:00:00.12Z",
                "timestamp(1) with time zone",
                None,
            ),
        ] {
            check(T::DateTimeOffset, value, F::TimestampTz, declared, expected);
        }
        for (value, declared, expected) in [
            ("P1DT2H3.5S", "interval", Some("P1DT2H3.5S")),
            ("-P1DT2H3.5S", "interval", Some("P-1DT-2H-3.5S")),
            ("pt0.5s", "interval", Some("PT0.5S")),
            ("PT0.5S", "interval(0)", None),
            ("P1DT0H0.0S", "interval day", Some("P1DT0H0.0S")),
            ("P1DT2H", "interval day", None),
            ("-pt24h", "interval day", None),
            ("PT2H1M", "interval day to hour", None),
            ("P1DT2H10M", "interval hour to minute", Some("P1DT2H10M")),
            ("PT1.5S", "interval minute", None),
            ("PT1.25S", "interval day to second(2)", Some("PT1.25S")),
            ("P30D", "interval year to month", None),
        ] {
            check(T::Duration, value, F::Interval, declared, expected);
        }
        check(
            T::TimeOfDay,
            "10:00:00.5",
            F::Time,
            "time(0) without time zone",
            None,
        );
        for (word, family, expected) in [
            ("infinity", F::Date, true),
            ("-infinity", F::TimestampTz, true),
            ("tomorrow", F::Date, false),
            ("now", F::Timestamp, false),
            ("24:00:00", F::Time, true),
            ("allballs", F::Time, false),
            ("1 mon", F::Interval, true),
        ] {
            let found = stored(Value::String(word.into()), T::Date, family, "date");
            assert_eq!(found.is_ok(), expected, "{word}");
        }
    }
}
