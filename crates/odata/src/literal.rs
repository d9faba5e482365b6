//! Lexical forms of primitive values (ABNF chapter 7): reading, checking and writing them.
//!
//! What must hold: whatever [`parse_primitive`] returns as [`Value::Lexical`] is valid in a payload and in a URL as it stands.
//! Digits are never lost: decimals are text throughout. [`format_literal`] and the URL parser are inverse to each other.
//! What is deliberately absent: enumerations and geographic types, which no column of a served database has.

mod format;
pub(crate) mod scan;
mod time;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::{PrimitiveType, Value};

pub use format::{format_key_literal, format_literal};

/// The greatest exponent of a decimal: beyond it the digits without an exponent would no longer be a sensible number.
pub const DECIMAL_EXPONENT_MAX: u32 = 400;

/// How much of a wrong literal an error quotes, in characters.
const EXCERPT_CHARS_MAX: usize = 40;

/// The URL-safe alphabet that OData prescribes; padding may be present or not (ABNF `binaryValue`).
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BASE64_CONFIG);
/// The common alphabet, which some clients send.
const BASE64_COMMON: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE64_CONFIG);
const BASE64_CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A text is not a value of the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{excerpt}' is not a valid {ty}: {reason}")]
pub struct LiteralError {
    ty: PrimitiveType,
    excerpt: String,
    reason: String,
}

impl LiteralError {
    /// The type that was asked for.
    pub fn ty(&self) -> PrimitiveType {
        self.ty
    }
}

/// Reads a value in its payload form (ABNF `primitiveValue`): no quotes, no percent-encoding, no prefix.
///
/// [`PrimitiveType::Any`] takes every text as a string. Decimals come back without plus sign, exponent and superfluous
/// leading zeros, so that they are also JSON numbers; their trailing zeros are kept.
///
/// # Errors
///
/// The text does not have the form of the type, or lies outside its range (a 30th of February, 300 as `Edm.Byte`).
pub fn parse_primitive(ty: PrimitiveType, text: &str) -> Result<Value, LiteralError> {
    use PrimitiveType as T;
    let result = match ty {
        T::Any | T::String => return Ok(Value::String(text.to_owned())),
        T::Binary => binary(text).map(Value::Binary),
        T::Boolean => match text {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err("write true or false".to_owned()),
        },
        T::Byte => integer(text, 0, u8::MAX.into()),
        T::SByte => integer(text, i8::MIN.into(), i8::MAX.into()),
        T::Int16 => integer(text, i16::MIN.into(), i16::MAX.into()),
        T::Int32 => integer(text, i32::MIN.into(), i32::MAX.into()),
        T::Int64 => integer(text, i64::MIN, i64::MAX),
        T::Decimal => decimal(text),
        T::Double => double(text, f64::MAX),
        T::Single => double(text, f32::MAX.into()),
        T::Date => time::date(text).map(|()| lexical(ty, text)),
        T::TimeOfDay => time::time_of_day(text).map(|()| lexical(ty, text)),
        T::DateTimeOffset => {
            time::date_time_offset(text).map(|()| Value::Lexical(ty, text.to_ascii_uppercase()))
        }
        T::Duration => time::duration(text).map(|()| Value::Lexical(ty, text.to_ascii_uppercase())),
        T::Guid => match scan::guid(text) {
            Some((_, length)) if length == text.len() => Ok(lexical(ty, text)),
            _ => Err(
                "write 32 hexadecimal digits as 00000000-0000-0000-0000-000000000000".to_owned(),
            ),
        },
    };
    result.map_err(|reason| error(ty, text, reason))
}

fn error(ty: PrimitiveType, text: &str, reason: String) -> LiteralError {
    LiteralError {
        ty,
        excerpt: text.chars().take(EXCERPT_CHARS_MAX).collect(),
        reason,
    }
}

fn lexical(ty: PrimitiveType, text: &str) -> Value {
    Value::Lexical(ty, text.to_owned())
}

fn binary(text: &str) -> Result<Vec<u8>, String> {
    let engine = match text.bytes().any(|b| matches!(b, b'+' | b'/')) {
        true => BASE64_COMMON,
        false => BASE64_URL,
    };
    engine
        .decode(text)
        .map_err(|_| "write base64url without line breaks".to_owned())
}

fn integer(text: &str, min: i64, max: i64) -> Result<Value, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("write a whole number".to_owned());
    }
    match text.parse() {
        Ok(value) if (min..=max).contains(&value) => Ok(Value::Integer(value)),
        _ => Err(format!("the range is {min} to {max}")),
    }
}

fn double(text: &str, max: f64) -> Result<Value, String> {
    if let Some(special) = special_number(text) {
        return Ok(Value::Double(special));
    }
    if text.is_empty() || scan::number(text) != text.len() {
        return Err("write a number such as 1.5, -2e3, INF or NaN".to_owned());
    }
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.abs() > max {
        return Err("the number is too large for the type".to_owned());
    }
    Ok(Value::Double(value))
}

fn special_number(text: &str) -> Option<f64> {
    match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => None,
    }
}

/// A decimal in plain digits. Infinity and NaN, which the grammar allows, have no digits and become doubles.
fn decimal(text: &str) -> Result<Value, String> {
    if let Some(special) = special_number(text) {
        return Ok(Value::Double(special));
    }
    if text.is_empty() || scan::number(text) != text.len() {
        return Err("write a number such as 1.5 or -20".to_owned());
    }
    let (sign, unsigned) = match text.as_bytes()[0] {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, decimal_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let shift = exponent.unsigned_abs() as usize;
    let (whole, fraction) = if exponent >= 0 {
        let moved = shift.min(fraction.len());
        let zeros = "0".repeat(shift - moved);
        let whole = format!("{whole}{}{zeros}", &fraction[..moved]);
        (whole, fraction[moved..].to_owned())
    } else {
        let moved = shift.min(whole.len());
        let (kept, moved_digits) = whole.split_at(whole.len() - moved);
        let zeros = "0".repeat(shift - moved);
        (kept.to_owned(), format!("{zeros}{moved_digits}{fraction}"))
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let plain = match fraction.is_empty() {
        true => format!("{sign}{whole}"),
        false => format!("{sign}{whole}.{fraction}"),
    };
    Ok(Value::Lexical(PrimitiveType::Decimal, plain))
}

fn decimal_exponent(text: &str) -> Result<i32, String> {
    match text.parse::<i32>() {
        Ok(exponent) if exponent.unsigned_abs() <= DECIMAL_EXPONENT_MAX => Ok(exponent),
        _ => Err(format!(
            "the exponent must lie between -{DECIMAL_EXPONENT_MAX} and {DECIMAL_EXPONENT_MAX}"
        )),
    }
}
