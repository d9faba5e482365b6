//! Text functions. Positions and lengths count Unicode code points (URL Conventions 5.1.1.5 leaves the unit open).
//!
//! SQLite's own functions are not used, because they end at the first NUL character.

use rusqlite::functions::Context;
use rusqlite::types::{Value, ValueRef};

use super::argument;

pub(super) fn contains(context: &Context<'_>) -> Option<Value> {
    let found = memchr::memmem::find(
        argument(context, 0)?.as_bytes(),
        argument(context, 1)?.as_bytes(),
    );
    Some(truth(found.is_some()))
}

pub(super) fn starts_with(context: &Context<'_>) -> Option<Value> {
    Some(truth(
        argument(context, 0)?.starts_with(argument(context, 1)?),
    ))
}

pub(super) fn ends_with(context: &Context<'_>) -> Option<Value> {
    Some(truth(
        argument(context, 0)?.ends_with(argument(context, 1)?),
    ))
}

pub(super) fn index_of(context: &Context<'_>) -> Option<Value> {
    let text = argument(context, 0)?;
    let position = text.find(argument(context, 1)?);
    let index = position.map_or(-1, |position| text[..position].chars().count() as i64);
    Some(Value::Integer(index))
}

pub(super) fn length(context: &Context<'_>) -> Option<Value> {
    Some(Value::Integer(argument(context, 0)?.chars().count() as i64))
}

/// From a position, to the end or for a length. A negative position counts from the end, and is the beginning if the text is
/// shorter (Protocol 13.2.1, number 9k); a negative length is nothing.
pub(super) fn substring(context: &Context<'_>) -> Option<Value> {
    let text = argument(context, 0)?;
    let start = match integer(context, 1)? {
        from_end if from_end < 0 => from_end.saturating_add(text.chars().count() as i64).max(0),
        start => start,
    };
    let len = if context.len() > 2 {
        integer(context, 2)?.max(0)
    } else {
        i64::MAX
    };
    let part = text
        .chars()
        .skip(usize::try_from(start).unwrap_or(usize::MAX))
        .take(usize::try_from(len).unwrap_or(usize::MAX))
        .collect();
    Some(Value::Text(part))
}

fn integer(context: &Context<'_>, position: usize) -> Option<i64> {
    match context.get_raw(position) {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

fn truth(value: bool) -> Value {
    Value::Integer(i64::from(value))
}
