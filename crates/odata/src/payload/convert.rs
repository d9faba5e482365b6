//! From JSON to primitive values (JSON Format 7.1).
//!
//! What must hold: a value is taken exactly as written or refused. Integers and decimals are read from their text, and for
//! clients that have no exact numbers strings are as good (`IEEE754Compatible`), whether they announced it or not.

use super::json::{Json, Kind};
use crate::literal::parse_primitive;
use crate::{PrimitiveType, Value};

/// How much of a wrong value an error quotes.
const EXCERPT_LEN_MAX_CHARS: usize = 40;

/// Converts a value to a type; the error says what was expected.
pub(super) fn to_value(ty: PrimitiveType, json: Json<'_>) -> Result<Value, String> {
    use PrimitiveType as T;
    let kind = json.kind();
    match (ty, kind) {
        (_, Kind::Null) => Ok(Value::Null),
        (T::Any, _) => to_value(shown_type(json)?, json),
        (T::Boolean, Kind::Boolean(value)) => Ok(Value::Boolean(value)),
        (T::String, Kind::String) => string(json).map(Value::String),
        (T::Single, Kind::Number) => single(json.text()),
        (T::Double | T::Single, Kind::String) => not_a_number(json),
        (T::Decimal, Kind::Number) => decimal(json.text()),
        (T::Decimal, Kind::String) => decimal(&string(json)?),
        (T::Int64, Kind::String) => parse(ty, &string(json)?),
        (T::Byte | T::SByte | T::Int16 | T::Int32 | T::Int64 | T::Double, Kind::Number) => {
            parse(ty, json.text())
        }
        (
            T::Binary | T::Date | T::DateTimeOffset | T::Duration | T::Guid | T::TimeOfDay,
            Kind::String,
        ) => parse(ty, &string(json)?),
        _ => Err(unexpected(ty, json)),
    }
}

/// The type of a value that nobody names: what JSON shows (JSON Format 4.5.3), except that whole numbers stay whole.
fn shown_type(json: Json<'_>) -> Result<PrimitiveType, String> {
    match json.kind() {
        Kind::Boolean(_) => Ok(PrimitiveType::Boolean),
        Kind::String => Ok(PrimitiveType::String),
        Kind::Number if json.text().contains(['.', 'e', 'E']) => Ok(PrimitiveType::Double),
        Kind::Number if json.text().parse::<i64>().is_ok() => Ok(PrimitiveType::Int64),
        Kind::Number => Ok(PrimitiveType::Decimal),
        Kind::Null | Kind::Array | Kind::Object => Err(unexpected(PrimitiveType::Any, json)),
    }
}

fn parse(ty: PrimitiveType, text: &str) -> Result<Value, String> {
    parse_primitive(ty, text).map_err(|error| error.to_string())
}

/// The grammar also allows infinity, which no database stores in a decimal.
fn decimal(text: &str) -> Result<Value, String> {
    match parse(PrimitiveType::Decimal, text)? {
        Value::Double(_) => Err(format!(
            "{text} is not a valid Edm.Decimal: it has no digits"
        )),
        value => Ok(value),
    }
}

/// Rounds to the nearest single, once, and not by way of a double.
fn single(text: &str) -> Result<Value, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(Value::Double(number.into())),
        _ => Err(format!("{text} is outside the range of Edm.Single")),
    }
}

/// The three values of floating-point types that JSON numbers do not have.
fn not_a_number(json: Json<'_>) -> Result<Value, String> {
    match string(json)?.as_str() {
        "INF" => Ok(Value::Double(f64::INFINITY)),
        "-INF" => Ok(Value::Double(f64::NEG_INFINITY)),
        "NaN" => Ok(Value::Double(f64::NAN)),
        _ => Err(unexpected(PrimitiveType::Double, json)),
    }
}

fn string(json: Json<'_>) -> Result<String, String> {
    json.string().map_err(|error| error.to_string())
}

fn unexpected(ty: PrimitiveType, json: Json<'_>) -> String {
    use PrimitiveType as T;
    let expected = match ty {
        T::Boolean => "true or false",
        T::String => "a string",
        T::Double | T::Single => "a number, \"INF\", \"-INF\" or \"NaN\"",
        T::Decimal | T::Int64 => "a number, or a string with its digits",
        T::Byte | T::SByte | T::Int16 | T::Int32 => "a number",
        T::Binary => "a string with base64url text",
        T::Date => "a string such as \"2024-02-29\"",
        T::DateTimeOffset => "a string such as \"2024-02-29T12:30:00Z\"",
        T::Duration => "a string such as \"P1DT2H30M\"",
        T::Guid => "a string such as \"01234567-89ab-cdef-0123-456789abcdef\"",
        T::TimeOfDay => "a string such as \"12:30:00\"",
        T::Any => "a number, a string, true, false or null",
    };
    match json.kind() {
        kind @ (Kind::Array | Kind::Object) => {
            format!("expected {expected} for {ty}, found {kind}")
        }
        _ => {
            let found: String = json.text().chars().take(EXCERPT_LEN_MAX_CHARS).collect();
            format!("expected {expected} for {ty}, found {found}")
        }
    }
}
