//! The SQL functions that compiled expressions call, all named `highwater_…`.
//!
//! What must hold: every function is deterministic and total. An argument of the wrong kind gives `NULL`, never an error: one odd
//! value in a column must not break a query.

mod cast;
mod text;

use std::sync::Arc;

use highwater_sql::sqlite::pattern;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Result};

use crate::temporal::{
    Date, DateTime, Instant, Time, is_guid, parse_date, parse_date_time, parse_duration, parse_time,
};

type Scalar = fn(&Context<'_>) -> Option<Value>;

/// Name, number of arguments, function.
const SCALARS: &[(&str, i32, Scalar)] = &[
    ("highwater_instant", 1, |c| {
        instant(c, 0)?.text().map(Value::Text)
    }),
    ("highwater_date", 1, |c| {
        Some(Value::Text(date(c, 0)?.text()))
    }),
    ("highwater_time", 1, |c| {
        Some(Value::Text(time(c, 0)?.text()))
    }),
    ("highwater_time_of", 1, |c| {
        Some(Value::Text(date_time(c, 0)?.time.text()))
    }),
    ("highwater_duration", 1, |c| {
        duration(c, 0).map(Value::Integer)
    }),
    ("highwater_guid", 1, |c| {
        let text = argument(c, 0).filter(|text| is_guid(text))?;
        Some(Value::Text(text.to_ascii_lowercase()))
    }),
    ("highwater_part", 2, part),
    ("highwater_total_seconds", 1, |c| {
        let nanos = duration(c, 0)?;
        Some(if nanos % 1_000_000_000 == 0 {
            Value::Integer(nanos / 1_000_000_000)
        } else {
            Value::Real(nanos as f64 / 1e9)
        })
    }),
    ("highwater_instant_add", 2, |c| {
        shifted(instant(c, 0)?, duration(c, 1)?)
    }),
    ("highwater_add_instant", 2, |c| {
        shifted(instant(c, 1)?, duration(c, 0)?)
    }),
    ("highwater_instant_sub", 2, |c| {
        shifted(instant(c, 0)?, duration(c, 1)?.checked_neg()?)
    }),
    ("highwater_instant_diff", 2, |c| {
        instant(c, 0)?.since(instant(c, 1)?).map(Value::Integer)
    }),
    ("highwater_date_add", 2, |c| {
        days_later(date(c, 0)?, duration(c, 1)?)
    }),
    ("highwater_date_sub", 2, |c| {
        days_later(date(c, 0)?, duration(c, 1)?.checked_neg()?)
    }),
    ("highwater_date_diff", 2, |c| {
        let days = date(c, 0)?.days() - date(c, 1)?.days();
        days.checked_mul(NANOS_PER_DAY).map(Value::Integer)
    }),
    ("highwater_duration_add", 2, |c| {
        duration(c, 0)?
            .checked_add(duration(c, 1)?)
            .map(Value::Integer)
    }),
    ("highwater_duration_sub", 2, |c| {
        duration(c, 0)?
            .checked_sub(duration(c, 1)?)
            .map(Value::Integer)
    }),
    ("highwater_duration_mul", 2, |c| {
        match (duration_text(c, 0), duration_text(c, 1)) {
            (Some(nanos), _) => scaled(nanos, number(c, 1)?),
            (_, Some(nanos)) => scaled(nanos, number(c, 0)?),
            _ => None,
        }
    }),
    ("highwater_duration_div", 2, |c| {
        let divisor = number(c, 1).filter(|divisor| *divisor != 0.0)?;
        scaled(duration(c, 0)?, 1.0 / divisor)
    }),
    ("highwater_mod", 2, |c| {
        let divisor = number(c, 1).filter(|divisor| *divisor != 0.0)?;
        Some(Value::Real(number(c, 0)? % divisor))
    }),
    ("highwater_round", 1, |c| whole(c, f64::round)),
    ("highwater_floor", 1, |c| whole(c, f64::floor)),
    ("highwater_ceiling", 1, |c| whole(c, f64::ceil)),
    ("highwater_cast", 2, cast::cast),
    ("highwater_contains", 2, text::contains),
    ("highwater_starts_with", 2, text::starts_with),
    ("highwater_ends_with", 2, text::ends_with),
    ("highwater_index_of", 2, text::index_of),
    ("highwater_length", 1, text::length),
    ("highwater_substring", 2, text::substring),
    ("highwater_substring", 3, text::substring),
    ("highwater_lower", 1, |c| {
        Some(Value::Text(argument(c, 0)?.to_lowercase()))
    }),
    ("highwater_upper", 1, |c| {
        Some(Value::Text(argument(c, 0)?.to_uppercase()))
    }),
    ("highwater_trim", 1, |c| {
        Some(Value::Text(argument(c, 0)?.trim().to_owned()))
    }),
];

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// Makes the functions known to a connection.
///
/// # Errors
///
/// What SQLite says.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    for &(name, arguments, function) in SCALARS {
        connection
            .create_scalar_function(name, arguments, flags, move |context| Ok(function(context)))?;
    }
    connection.create_scalar_function("highwater_matches", 2, flags, |context| {
        let regex = context.get_or_create_aux(1, |value| {
            let text = value.as_str().map_err(|error| error.to_string())?;
            pattern(text).map_err(|error| error.to_string())
        });
        Ok(match (argument(context, 0), regex) {
            (Some(text), Ok(regex)) => Some(regex.is_match(text)),
            _ => None,
        })
    })?;
    connection.create_scalar_function("highwater_search", 2, flags, |context| {
        let Some(text) = argument(context, 0) else {
            return Ok(None);
        };
        let term: Arc<String> =
            context.get_or_create_aux(1, |value| value.as_str().map(str::to_lowercase))?;
        Ok(Some(text.to_lowercase().contains(term.as_str())))
    })
}

/// The text of an argument, if it is text.
fn argument<'c>(context: &'c Context<'_>, position: usize) -> Option<&'c str> {
    match context.get_raw(position) {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn number(context: &Context<'_>, position: usize) -> Option<f64> {
    match context.get_raw(position) {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        _ => None,
    }
}

fn date_time(context: &Context<'_>, position: usize) -> Option<DateTime> {
    parse_date_time(argument(context, position)?)
}

fn instant(context: &Context<'_>, position: usize) -> Option<Instant> {
    date_time(context, position).map(DateTime::instant)
}

/// Of a date, or of a date-time in its own offset.
fn date(context: &Context<'_>, position: usize) -> Option<Date> {
    let text = argument(context, position)?;
    parse_date(text).or_else(|| Some(parse_date_time(text)?.date))
}

fn time(context: &Context<'_>, position: usize) -> Option<Time> {
    parse_time(argument(context, position)?)
}

/// Stored durations are text; computed ones are numbers of nanoseconds.
fn duration(context: &Context<'_>, position: usize) -> Option<i64> {
    match context.get_raw(position) {
        ValueRef::Integer(nanos) => Some(nanos),
        _ => duration_text(context, position),
    }
}

fn duration_text(context: &Context<'_>, position: usize) -> Option<i64> {
    parse_duration(argument(context, position)?)
}

fn part(context: &Context<'_>) -> Option<Value> {
    let text = argument(context, 0)?;
    let of_day = || parse_time(text).or_else(|| Some(parse_date_time(text)?.time));
    let number = match argument(context, 1)? {
        "year" => date(context, 0)?.year,
        "month" => i64::from(date(context, 0)?.month),
        "day" => i64::from(date(context, 0)?.day),
        "hour" => i64::from(of_day()?.hour),
        "minute" => i64::from(of_day()?.minute),
        "second" => i64::from(of_day()?.second),
        "totaloffsetminutes" => parse_date_time(text)?.offset_minutes,
        "fractionalseconds" => return Some(Value::Real(f64::from(of_day()?.nanos) / 1e9)),
        _ => return None,
    };
    Some(Value::Integer(number))
}

fn shifted(instant: Instant, nanos: i64) -> Option<Value> {
    instant.plus(nanos)?.text().map(Value::Text)
}

/// Whole days only: what is less than a day does not change a date.
fn days_later(date: Date, nanos: i64) -> Option<Value> {
    let days = date.days().checked_add(nanos / NANOS_PER_DAY)?;
    Some(Value::Text(Date::from_days(days)?.text()))
}

fn scaled(nanos: i64, factor: f64) -> Option<Value> {
    let product = (nanos as f64 * factor).round();
    (product.abs() < i64::MAX as f64).then_some(Value::Integer(product as i64))
}

fn whole(context: &Context<'_>, rounding: fn(f64) -> f64) -> Option<Value> {
    match context.get_raw(0) {
        ValueRef::Integer(number) => Some(Value::Integer(number)),
        ValueRef::Real(number) => Some(Value::Real(rounding(number))),
        _ => None,
    }
}
