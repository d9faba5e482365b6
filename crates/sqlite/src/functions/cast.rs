//! `cast` (URL Conventions 5.1.1.10.1): the value in another type, or `null` if it has no such form.

use highwater_odata::PrimitiveType as T;
use highwater_sql::sqlite::exact_number;
use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};

use super::argument;
use crate::temporal::{
    date_time_form, is_guid, parse_date, parse_date_time, parse_duration, parse_time,
};

/// The second argument names the types: `Edm.Boolean Edm.String`.
pub(super) fn cast(context: &Context<'_>) -> Option<Value> {
    let (from, to) = argument(context, 1)?.split_once(' ')?;
    let (from, to): (T, T) = (from.parse().ok()?, to.parse().ok()?);
    match context.get_raw(0) {
        ValueRef::Integer(number) if from == T::Boolean => from_boolean(number == 1, to),
        ValueRef::Integer(number) => from_integer(number, to),
        ValueRef::Real(number) => from_double(number, to),
        ValueRef::Text(bytes) => from_text(std::str::from_utf8(bytes).ok()?, from, to),
        ValueRef::Blob(bytes) if to == T::Binary => Some(Value::Blob(bytes.to_vec())),
        ValueRef::Blob(_) | ValueRef::Null => None,
    }
}

fn from_boolean(value: bool, to: T) -> Option<Value> {
    match to {
        T::Boolean => Some(Value::Integer(i64::from(value))),
        T::String => Some(Value::Text(value.to_string())),
        _ => None,
    }
}

fn from_integer(number: i64, to: T) -> Option<Value> {
    let fits = match to {
        T::Byte => u8::try_from(number).is_ok(),
        T::SByte => i8::try_from(number).is_ok(),
        T::Int16 => i16::try_from(number).is_ok(),
        T::Int32 => i32::try_from(number).is_ok(),
        T::Int64 | T::Decimal | T::Any => true,
        T::Double | T::Single => return Some(Value::Real(number as f64)),
        T::String => return Some(Value::Text(number.to_string())),
        _ => false,
    };
    fits.then_some(Value::Integer(number))
}

fn from_double(number: f64, to: T) -> Option<Value> {
    match to {
        T::Double | T::Any => Some(Value::Real(number)),
        T::Single => Some(Value::Real(f64::from(number as f32))),
        T::Decimal => number.is_finite().then_some(Value::Real(number)),
        T::String => Some(Value::Text(if number.is_finite() {
            number.to_string()
        } else if number > 0.0 {
            "INF".into()
        } else {
            "-INF".into()
        })),
        _ if to.is_integer() => {
            // Numbers are rounded, and the whole part must fit.
            let rounded = number.round();
            (rounded.abs() < 9.2e18).then(|| from_integer(rounded as i64, to))?
        }
        _ => None,
    }
}

fn from_text(text: &str, from: T, to: T) -> Option<Value> {
    let kept = |fits: bool| fits.then(|| Value::Text(text.to_owned()));
    match to {
        T::String if from == T::DateTimeOffset => {
            let mut form = String::new();
            match date_time_form(text, &mut form) {
                Some(false) => Some(Value::Text(form)),
                _ => kept(true),
            }
        }
        T::String | T::Any => kept(true),
        T::Boolean => match text {
            "true" => Some(Value::Integer(1)),
            "false" => Some(Value::Integer(0)),
            _ => None,
        },
        T::Guid => kept(is_guid(text)),
        T::Date => {
            let date = parse_date(text).or_else(|| Some(parse_date_time(text)?.date))?;
            Some(Value::Text(date.text()))
        }
        T::TimeOfDay => {
            let time = parse_time(text).or_else(|| Some(parse_date_time(text)?.time))?;
            Some(Value::Text(time.text()))
        }
        T::DateTimeOffset => kept(parse_date_time(text).is_some()),
        T::Duration => kept(parse_duration(text).is_some()),
        T::Double | T::Single => match text {
            "INF" => Some(Value::Real(f64::INFINITY)),
            "-INF" => Some(Value::Real(f64::NEG_INFINITY)),
            _ => match exact_number(text)? {
                highwater_odata::Value::Integer(number) => from_integer(number, to),
                _ => from_double(text.parse().ok()?, to),
            },
        },
        T::Decimal => match exact_number(text)? {
            highwater_odata::Value::Integer(number) => Some(Value::Integer(number)),
            highwater_odata::Value::Double(number) => Some(Value::Real(number)),
            _ => None,
        },
        T::Binary => None,
        _ => from_integer(text.parse().ok()?, to),
    }
}
