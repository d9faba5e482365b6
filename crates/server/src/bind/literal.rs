//! Literals that become what the place they stand in needs (URL Conventions 5.1.1.14 and 5.1.1.15).

use highwater_odata::literal::parse_primitive;
use highwater_odata::{PrimitiveType, Value};

/// The literal as a value that can be compared with values of type `ty`; `None` if it has none.
///
/// Numbers of any type compare with each other, so they change only where a decimal meets a floating-point column. Text becomes
/// whatever it spells, except a number or a Boolean: quotes around those are more often a mistake than intent.
pub(super) fn coerce(value: &Value, ty: PrimitiveType) -> Option<Value> {
    use PrimitiveType as T;
    let natural = value.as_ref().natural_type();
    if ty == T::Any || natural.is_none() || natural == Some(ty) {
        return Some(value.clone());
    }
    match (value, ty) {
        (Value::Lexical(T::Decimal, text), T::Double | T::Single) => {
            text.parse().ok().map(Value::Double)
        }
        (Value::Integer(_) | Value::Double(_) | Value::Lexical(T::Decimal, _), _)
            if ty.is_numeric() =>
        {
            Some(value.clone())
        }
        (Value::Lexical(T::Date, date), T::DateTimeOffset) => Some(start_of_day(date)),
        (
            Value::String(text),
            T::Guid | T::Date | T::DateTimeOffset | T::TimeOfDay | T::Duration | T::Binary,
        ) => from_text(text, ty),
        _ => None,
    }
}

/// The literal as a value of a property of type `ty`, such as a key: unlike [`coerce`] it must be one that the property could
/// have.
pub(super) fn coerce_exactly(value: &Value, ty: PrimitiveType) -> Option<Value> {
    let value = coerce(value, ty)?;
    let is_whole = matches!(value, Value::Integer(_));
    (!ty.is_integer() || is_whole).then_some(value)
}

/// What a text spells in type `ty`, without the decoration that a literal of the type may have.
pub(super) fn from_text(text: &str, ty: PrimitiveType) -> Option<Value> {
    use PrimitiveType as T;
    match ty {
        T::String => Some(Value::String(text.to_owned())),
        // A column without a type: a number if it looks like one.
        T::Any => Some(match text.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::String(text.to_owned()),
        }),
        T::DateTimeOffset => parse_primitive(ty, text).ok().or_else(|| {
            parse_primitive(T::Date, text)
                .is_ok()
                .then(|| start_of_day(text))
        }),
        _ => parse_primitive(ty, text).ok(),
    }
}

/// Room that a value takes outside of itself.
pub(super) fn len_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) | Value::Lexical(_, text) => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Double(_) => 0,
    }
}

fn start_of_day(date: &str) -> Value {
    Value::Lexical(PrimitiveType::DateTimeOffset, format!("{date}T00:00:00Z"))
}
