//! What a stored value must look like in a payload, computed without the product's writer.
//!
//! Both sides of a comparison become a [`Canon`]: the type that the payload gives to a value, and its text in one
//! canonical form. What must hold: two values have the same canonical form exactly if a client could not tell them apart.
//! What is deliberately absent: names, keys and whole entities.

pub(crate) mod duration;

use std::fmt;

use serde_json::Value as Json;

use crate::lab::Cell;

/// A value in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Canon {
    /// `null`
    Null,
    /// Anything else.
    Value {
        /// The type without `Edm.`: the property's, or the value's own where the payload names it.
        ty: String,
        /// Numbers as by [`canonical_number`], other values as they are.
        text: String,
    },
}

impl fmt::Debug for Canon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Canon::Null => f.write_str("null"),
            Canon::Value { ty, text } => write!(f, "{ty} {text:?}"),
        }
    }
}

fn value(ty: &str, text: impl Into<String>) -> Canon {
    Canon::Value {
        ty: ty.to_owned(),
        text: text.into(),
    }
}

fn is_numeric(ty: &str) -> bool {
    [
        "Byte", "SByte", "Int16", "Int32", "Int64", "Decimal", "Double", "Single",
    ]
    .contains(&ty)
}

/// The canonical form of a stored value under a property whose type is published as `declared` (without `Edm.`).
pub fn expected(cell: &Cell, declared: &str) -> Canon {
    match cell {
        Cell::Null => Canon::Null,
        Cell::Bool(v) => value("Boolean", v.to_string()),
        Cell::Int(v) => integer(*v, declared),
        Cell::Real(v) => real(*v, declared),
        Cell::Text(v) => text(v, declared),
        Cell::Blob(v) => value("Binary", base64url(v)),
    }
}

fn integer(v: i64, declared: &str) -> Canon {
    let fits = match declared {
        "Byte" => u8::try_from(v).is_ok(),
        "SByte" => i8::try_from(v).is_ok(),
        "Int16" => i16::try_from(v).is_ok(),
        "Int32" => i32::try_from(v).is_ok(),
        "Int64" | "Decimal" => true,
        "Double" => v.unsigned_abs() <= 1 << 53,
        "Boolean" if v == 0 || v == 1 => return value("Boolean", (v == 1).to_string()),
        _ => false,
    };
    value(
        if fits { declared } else { "Int64" },
        canonical_number(&v.to_string()),
    )
}

fn real(v: f64, declared: &str) -> Canon {
    let ty = match declared {
        "Decimal" if v.is_finite() => "Decimal",
        "Single" => "Single",
        _ => "Double",
    };
    let text = if v.is_finite() {
        canonical_number(&format!("{v:e}"))
    } else if v.is_nan() {
        "NaN".to_owned()
    } else if v > 0.0 {
        "INF".to_owned()
    } else {
        "-INF".to_owned()
    };
    value(ty, text)
}

fn text(v: &str, declared: &str) -> Canon {
    let lexical = match declared {
        "Date" => is_date(v),
        "TimeOfDay" => is_time(v),
        "Guid" => is_guid(v),
        "Decimal" => match special_number(v) {
            // OData has these for floating-point numbers only.
            Some(special) => return value("Double", special),
            None if is_decimal(v) => return value(declared, canonical_number(v)),
            None => false,
        },
        "Duration" => match duration::of_interval(v) {
            Some(duration) => return value(declared, duration),
            None => false,
        },
        "DateTimeOffset" => match timestamp(v) {
            Some(stamp) => return value(declared, stamp),
            None => false,
        },
        _ => false,
    };
    value(if lexical { declared } else { "String" }, v)
}

fn special_number(v: &str) -> Option<&'static str> {
    match v {
        "NaN" => Some("NaN"),
        "Infinity" => Some("INF"),
        "-Infinity" => Some("-INF"),
        _ => None,
    }
}

/// Whether the text has the form, in which `0` stands for any digit.
fn has_form(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(c, f)| {
            if f == b'0' {
                c.is_ascii_digit()
            } else {
                c == f
            }
        })
}

/// Whether the text is digits, and there are some.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The generators make no dates that look valid and are not.
fn is_date(v: &str) -> bool {
    let unsigned = v.strip_prefix('-').unwrap_or(v);
    let Some(at) = unsigned.find('-') else {
        return false;
    };
    let (year, rest) = unsigned.split_at(at);
    let whole = year.len() == 4 || (year.len() > 4 && !year.starts_with('0'));
    whole && is_digits(year) && has_form(rest, "-00-00")
}

fn is_time(v: &str) -> bool {
    // The end of a day, which is no time of day.
    if v.starts_with("24") {
        return false;
    }
    let (whole, fraction) = v.split_once('.').unwrap_or((v, "0"));
    has_form(v, "00:00") || (has_form(whole, "00:00:00") && is_digits(fraction))
}

fn is_guid(v: &str) -> bool {
    v.len() == 36
        && v.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

fn is_decimal(v: &str) -> bool {
    let (whole, fraction) = v.split_once('.').unwrap_or((v, "0"));
    is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction)
}

/// The form that a payload gives to a stored point in time: with a `T`, and with the offset that SQLite means if there is none.
fn timestamp(v: &str) -> Option<String> {
    let (date, rest) = v.split_at(v.find([' ', 'T']).unwrap_or(v.len()));
    if !is_date(date) {
        return None;
    }
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let clock = rest.strip_prefix(['T', ' '])?;
    let (time, offset) = clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()));
    let offset = if offset.is_empty() { "Z" } else { offset };
    let known = offset == "Z" || has_form(&offset[1..], "00:00");
    (is_time(time) && known).then(|| format!("{date}T{time}{offset}"))
}

/// The canonical form of a value in a payload. `annotation` is the value's own type, if the payload names one; `ieee754` says
/// that the payload was asked to write large numbers as strings.
///
/// # Errors
///
/// The JSON form is not one that the type allows.
pub fn received(
    json: &Json,
    annotation: Option<&str>,
    declared: &str,
    ieee754: bool,
) -> Result<Canon, String> {
    let ty = match (annotation, json) {
        (Some(named), _) => {
            let named = named.trim_start_matches('#');
            named.strip_prefix("Edm.").unwrap_or(named)
        }
        // What a value without a known type is (JSON Format 4.6.3).
        (None, Json::Bool(_)) if declared == "PrimitiveType" => "Boolean",
        (None, Json::Number(_)) if declared == "PrimitiveType" => "Double",
        (None, Json::String(_)) if declared == "PrimitiveType" => "String",
        (None, _) => declared,
    };
    let as_string = ieee754 && (ty == "Int64" || ty == "Decimal");
    match json {
        Json::Null => Ok(Canon::Null),
        Json::Bool(v) if ty == "Boolean" => Ok(value(ty, v.to_string())),
        Json::Number(v) if is_numeric(ty) && !as_string => {
            Ok(value(ty, canonical_number(&v.to_string())))
        }
        Json::String(v) if as_string => Ok(value(ty, canonical_number(v))),
        Json::String(v) if is_numeric(ty) && ["INF", "-INF", "NaN"].contains(&v.as_str()) => {
            Ok(value(ty, v.clone()))
        }
        Json::String(v) if ty == "Duration" => duration::of_payload(v)
            .map(|duration| value(ty, duration))
            .ok_or_else(|| format!("{v:?} is no duration")),
        Json::String(v) if ty == "Binary" => Ok(value(ty, v.trim_end_matches('='))),
        Json::String(v) if !is_numeric(ty) && ty != "Boolean" => Ok(value(ty, v.clone())),
        other => Err(format!("{other} is no form of {ty}")),
    }
}

/// Sign, digits without zeros at either end, and the exponent of the last digit: `1.50` and `15e-1` are both `15e-1`.
///
/// A text that is no number is returned as it is.
pub fn canonical_number(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Ok(exponent) = exponent.parse::<i64>() else {
        return text.to_owned();
    };
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let kept = significant.trim_end_matches('0');
    let exponent = exponent - fraction.len() as i64 + (significant.len() - kept.len()) as i64;
    if exponent == 0 {
        format!("{sign}{kept}")
    } else {
        format!("{sign}{kept}e{exponent}")
    }
}

/// Base64url (RFC 4648, section 5) as JSON payloads carry `Edm.Binary`, without the padding, which is optional there.
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for (text, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1.50", "15e-1"),
            ("15e-1", "15e-1"),
            ("-0.00", "0"),
            ("1e300", "1e300"),
            ("1000", "1e3"),
            ("1E+3", "1e3"),
            ("9007199254740993", "9007199254740993"),
            ("9007199254740992", "9007199254740992"),
            ("abc", "abc"),
            ("", ""),
        ] {
            assert_eq!(canonical_number(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_is_base64url() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"\xfb\xff", "-_8"),
        ] {
            assert_eq!(base64url(bytes), expected);
        }
    }

    #[test]
    fn both_sides_meet() {
        let json = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        for (cell, declared, payload, annotation, ieee754) in [
            (
                Cell::Int(i64::MAX),
                "Int64",
                "9223372036854775807",
                None,
                false,
            ),
            (
                Cell::Int(i64::MAX),
                "Int64",
                "\"9223372036854775807\"",
                None,
                true,
            ),
            (Cell::Int(7), "Int32", "7", None, true),
            (Cell::Int(7), "String", "7", Some("#Int64"), false),
            (Cell::Int(2), "Boolean", "2", Some("Int64"), false),
            (Cell::Int(1), "Boolean", "true", None, false),
            (Cell::Real(1e21), "Double", "1e21", None, false),
            (Cell::Real(f64::INFINITY), "Double", "\"INF\"", None, false),
            (Cell::Real(19.99), "Decimal", "19.99", None, false),
            (Cell::Text("1.50".into()), "Decimal", "\"1.5\"", None, true),
            (
                Cell::Text("2024-02-29".into()),
                "DateTimeOffset",
                "\"2024-02-29T00:00:00Z\"",
                None,
                false,
            ),
            (
                Cell::Text("2024-02-29 08:30:00".into()),
                "DateTimeOffset",
                "\"2024-02-29T08:30:00Z\"",
                None,
                false,
            ),
            (
                Cell::Text("2024-02-29T08:30:00.5+02:00".into()),
                "DateTimeOffset",
                "\"2024-02-29T08:30:00.5+02:00\"",
                None,
                false,
            ),
            (
                Cell::Text("-0043-03-15 12:00:00Z".into()),
                "DateTimeOffset",
                "\"-0043-03-15T12:00:00Z\"",
                None,
                false,
            ),
            (
                Cell::Text("infinity".into()),
                "Date",
                "\"infinity\"",
                Some("#String"),
                false,
            ),
            (
                Cell::Text("24:00:00".into()),
                "TimeOfDay",
                "\"24:00:00\"",
                Some("#String"),
                false,
            ),
            (
                Cell::Text("1 day 02:03:04.5".into()),
                "Duration",
                "\"P1DT2H3M4.5S\"",
                None,
                false,
            ),
            (
                Cell::Text("NaN".into()),
                "Decimal",
                "\"NaN\"",
                Some("#Double"),
                false,
            ),
            (
                Cell::Text("Monday".into()),
                "DateTimeOffset",
                "\"Monday\"",
                Some("String"),
                false,
            ),
            (
                Cell::Text("12:00".into()),
                "TimeOfDay",
                "\"12:00\"",
                None,
                false,
            ),
            (
                Cell::Text("x".into()),
                "Int64",
                "\"x\"",
                Some("#Edm.String"),
                true,
            ),
            (Cell::Blob(vec![0, 1]), "Binary", "\"AAE\"", None, false),
            (Cell::Null, "Int64", "null", None, true),
        ] {
            let expected = expected(&cell, declared);
            assert_eq!(
                received(&json(payload), annotation, declared, ieee754),
                Ok(expected)
            );
        }
        assert!(received(&json("1"), None, "Int64", true).is_err());
        assert!(received(&json("\"1\""), None, "Int64", false).is_err());
        assert!(received(&json("1"), None, "String", false).is_err());
    }
}
