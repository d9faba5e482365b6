//! Which types the built-in functions take and what they yield (URL Conventions 5.1.1.5 to 5.1.1.12).

use highwater_core::{Expr, Function};
use highwater_odata::PrimitiveType as T;
use highwater_odata::Value;
use highwater_odata::url::ast::Function as Written;

use super::error::{BindError, not_implemented, type_mismatch};
use super::literal;
use super::operator::{self, is_null};

/// The earliest time that `Edm.DateTimeOffset` has.
const MIN_DATE_TIME: &str = "0001-01-01T00:00:00Z";
/// The latest time that `Edm.DateTimeOffset` has, to the microsecond.
const MAX_DATE_TIME: &str = "9999-12-31T23:59:59.999999Z";

const TEXT: &[T] = &[T::String];
const WHOLE: &[T] = &[T::Int64, T::Int32, T::Int16, T::Byte, T::SByte];
const DAY: &[T] = &[T::DateTimeOffset, T::Date];
const CLOCK: &[T] = &[T::DateTimeOffset, T::TimeOfDay];
const INSTANT: &[T] = &[T::DateTimeOffset];
const SPAN: &[T] = &[T::Duration];
const NUMBER: &[T] = &[
    T::Decimal,
    T::Double,
    T::Single,
    T::Int64,
    T::Int32,
    T::Int16,
    T::Byte,
    T::SByte,
];

/// What a function takes and yields.
struct Signature {
    name: &'static str,
    written: Written,
    function: Function,
    /// Accepted types, argument by argument. How many there must be is a matter of the grammar.
    arguments: &'static [&'static [T]],
    /// `None`: the type of the first argument.
    result: Option<T>,
}

const fn signature(
    name: &'static str,
    written: Written,
    function: Function,
    arguments: &'static [&'static [T]],
    result: Option<T>,
) -> Signature {
    Signature {
        name,
        written,
        function,
        arguments,
        result,
    }
}

static SIGNATURES: [Signature; 25] = [
    signature(
        "concat",
        Written::Concat,
        Function::Concat,
        &[TEXT, TEXT],
        Some(T::String),
    ),
    signature(
        "contains",
        Written::Contains,
        Function::Contains,
        &[TEXT, TEXT],
        Some(T::Boolean),
    ),
    signature(
        "endswith",
        Written::EndsWith,
        Function::EndsWith,
        &[TEXT, TEXT],
        Some(T::Boolean),
    ),
    signature(
        "indexof",
        Written::IndexOf,
        Function::IndexOf,
        &[TEXT, TEXT],
        Some(T::Int32),
    ),
    signature(
        "length",
        Written::Length,
        Function::Length,
        &[TEXT],
        Some(T::Int32),
    ),
    signature(
        "startswith",
        Written::StartsWith,
        Function::StartsWith,
        &[TEXT, TEXT],
        Some(T::Boolean),
    ),
    signature(
        "substring",
        Written::Substring,
        Function::Substring,
        &[TEXT, WHOLE, WHOLE],
        Some(T::String),
    ),
    signature(
        "matchesPattern",
        Written::MatchesPattern,
        Function::MatchesPattern,
        &[TEXT, TEXT],
        Some(T::Boolean),
    ),
    signature(
        "tolower",
        Written::ToLower,
        Function::ToLower,
        &[TEXT],
        Some(T::String),
    ),
    signature(
        "toupper",
        Written::ToUpper,
        Function::ToUpper,
        &[TEXT],
        Some(T::String),
    ),
    signature(
        "trim",
        Written::Trim,
        Function::Trim,
        &[TEXT],
        Some(T::String),
    ),
    signature("date", Written::Date, Function::Date, &[DAY], Some(T::Date)),
    signature("day", Written::Day, Function::Day, &[DAY], Some(T::Int32)),
    signature(
        "fractionalseconds",
        Written::FractionalSeconds,
        Function::FractionalSeconds,
        &[CLOCK],
        Some(T::Decimal),
    ),
    signature(
        "hour",
        Written::Hour,
        Function::Hour,
        &[CLOCK],
        Some(T::Int32),
    ),
    signature(
        "minute",
        Written::Minute,
        Function::Minute,
        &[CLOCK],
        Some(T::Int32),
    ),
    signature(
        "month",
        Written::Month,
        Function::Month,
        &[DAY],
        Some(T::Int32),
    ),
    signature(
        "second",
        Written::Second,
        Function::Second,
        &[CLOCK],
        Some(T::Int32),
    ),
    signature(
        "time",
        Written::Time,
        Function::Time,
        &[CLOCK],
        Some(T::TimeOfDay),
    ),
    signature(
        "totaloffsetminutes",
        Written::TotalOffsetMinutes,
        Function::TotalOffsetMinutes,
        &[INSTANT],
        Some(T::Int32),
    ),
    signature(
        "totalseconds",
        Written::TotalSeconds,
        Function::TotalSeconds,
        &[SPAN],
        Some(T::Decimal),
    ),
    signature(
        "year",
        Written::Year,
        Function::Year,
        &[DAY],
        Some(T::Int32),
    ),
    signature(
        "ceiling",
        Written::Ceiling,
        Function::Ceiling,
        &[NUMBER],
        None,
    ),
    signature("floor", Written::Floor, Function::Floor, &[NUMBER], None),
    signature("round", Written::Round, Function::Round, &[NUMBER], None),
];

/// What `Capabilities.FilterFunctions` lists.
pub(crate) fn filter_function_names() -> impl Iterator<Item = &'static str> {
    SIGNATURES.iter().map(|signature| signature.name).chain([
        "now",
        "mindatetime",
        "maxdatetime",
        "cast",
        "case",
    ])
}

/// A call of a function. `now` is asked for the time of the request if the function is that.
pub(super) fn call(
    function: Written,
    arguments: Vec<Expr>,
    now: impl FnOnce() -> Result<Expr, BindError>,
) -> Result<Expr, BindError> {
    match function {
        Written::Now => return now(),
        Written::MinDateTime => return Ok(instant(MIN_DATE_TIME)),
        Written::MaxDateTime => return Ok(instant(MAX_DATE_TIME)),
        _ => {}
    }
    let Some(signature) = SIGNATURES.iter().find(|known| known.written == function) else {
        return Err(not_implemented(
            "Functions of collections (hassubset, hassubsequence) and of geographic values (geo.distance, geo.intersects, \
             geo.length) are not supported: no property of this service has such a type.",
        ));
    };
    let arguments = arguments
        .into_iter()
        .zip(signature.arguments)
        .enumerate()
        .map(|(position, (argument, accepted))| fit(signature, position, argument, accepted))
        .collect::<Result<Vec<Expr>, BindError>>()?;
    let ty = signature
        .result
        .or_else(|| arguments.first().map(Expr::ty))
        .unwrap_or(T::Any);
    Ok(Expr::Call(signature.function, arguments, ty))
}

/// A literal time.
pub(super) fn instant(text: &str) -> Expr {
    Expr::Literal(Value::Lexical(T::DateTimeOffset, text.to_owned()))
}

fn fit(
    signature: &Signature,
    position: usize,
    argument: Expr,
    accepted: &[T],
) -> Result<Expr, BindError> {
    let ty = argument.ty();
    if accepted.contains(&ty) || is_null(&argument) {
        return Ok(argument);
    }
    let name = signature.name;
    let number = position + 1;
    if let Expr::Literal(value) = &argument {
        let fitting = accepted
            .iter()
            .filter(|accepted| !accepted.is_numeric())
            .find_map(|&accepted| literal::coerce(value, accepted));
        if let Some(value) = fitting {
            return Ok(Expr::Literal(value));
        }
    }
    if ty == T::Any
        && let [only] = accepted
    {
        return Ok(operator::cast(argument, *only));
    }
    let wanted = accepted[0];
    Err(type_mismatch(format!(
        "Argument {number} of {name} must be {}, but it is {ty}.",
        alternatives(accepted)
    ))
    .hint(format!("Convert it with cast(...,{wanted}).")))
}

fn alternatives(types: &[T]) -> String {
    if types == NUMBER {
        return "a number".to_owned();
    }
    if types == WHOLE {
        return "a whole number".to_owned();
    }
    let names: Vec<&str> = types.iter().map(|ty| ty.name()).collect();
    names.join(" or ")
}
