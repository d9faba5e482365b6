//! Which types the operators take and what they yield (URL Conventions 5.1.1.1, 5.1.1.2 and 5.1.1.16).

use highwater_core::Expr;
use highwater_core::query::{Arithmetic, Comparison, Logical};
use highwater_odata::PrimitiveType as T;
use highwater_odata::Value;

use super::literal;

/// The operands do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) left: T,
    pub(super) right: T,
}

/// `eq`, `ne`, `gt`, `ge`, `lt`, `le`
pub(super) fn compare(op: Comparison, left: Expr, right: Expr) -> Result<Expr, Mismatch> {
    let (left, right) = unify(left, right)?;
    Ok(Expr::Compare(op, Box::new(left), Box::new(right)))
}

/// Makes two operands comparable.
pub(super) fn unify(left: Expr, right: Expr) -> Result<(Expr, Expr), Mismatch> {
    let (left_ty, right_ty) = (left.ty(), right.ty());
    match (left, right) {
        (left, Expr::Literal(value)) => match literal::coerce(&value, left_ty) {
            Some(value) => Ok((left, Expr::Literal(value))),
            None => promote(left, Expr::Literal(value)),
        },
        (Expr::Literal(value), right) => match literal::coerce(&value, right_ty) {
            Some(value) => Ok((Expr::Literal(value), right)),
            None => promote(Expr::Literal(value), right),
        },
        (left, right) => promote(left, right),
    }
}

fn promote(left: Expr, right: Expr) -> Result<(Expr, Expr), Mismatch> {
    match (left.ty(), right.ty()) {
        (a, b) if a == b || a == T::Any || b == T::Any => Ok((left, right)),
        (a, b) if a.is_numeric() && b.is_numeric() => Ok((left, right)),
        (T::Date, T::DateTimeOffset) => Ok((cast(left, T::DateTimeOffset), right)),
        (T::DateTimeOffset, T::Date) => Ok((left, cast(right, T::DateTimeOffset))),
        (left, right) => Err(Mismatch { left, right }),
    }
}

/// `cast(operand,ty)`
pub(super) fn cast(operand: Expr, ty: T) -> Expr {
    Expr::Call(highwater_core::Function::Cast, vec![operand], ty)
}

/// `add`, `sub`, `mul`, `div`, `divby`, `mod`
pub(super) fn arithmetic(op: Arithmetic, left: Expr, right: Expr) -> Result<Expr, Mismatch> {
    let (left, right) = (bare_duration(left), bare_duration(right));
    let (left_ty, right_ty) = (left.ty(), right.ty());
    let mismatch = Mismatch {
        left: left_ty,
        right: right_ty,
    };
    let ty = match (is_null(&left), is_null(&right)) {
        (true, true) => T::Any,
        (true, false) => right_ty,
        (false, true) => left_ty,
        (false, false) => arithmetic_type(op, left_ty, right_ty).ok_or(mismatch)?,
    };
    Ok(Expr::Arithmetic(op, Box::new(left), Box::new(right), ty))
}

/// A duration literal may go without its prefix (Protocol 13.2.1, number 9b). Nobody calculates with text, so text that spells a
/// duration is one.
fn bare_duration(operand: Expr) -> Expr {
    match &operand {
        Expr::Literal(Value::String(text)) => match literal::from_text(text, T::Duration) {
            Some(duration) => Expr::Literal(duration),
            None => operand,
        },
        _ => operand,
    }
}

fn arithmetic_type(op: Arithmetic, left: T, right: T) -> Option<T> {
    use Arithmetic as Op;
    if left.is_numeric() && right.is_numeric() {
        return Some(match wider(left, right) {
            // Neither overflows nor truncates where the operands' own type would.
            ty if ty.is_integer() && op == Op::DivBy => T::Decimal,
            ty if ty.is_integer() => T::Int64,
            ty => ty,
        });
    }
    match (op, left, right) {
        (Op::Add | Op::Sub, T::DateTimeOffset, T::Duration) => Some(T::DateTimeOffset),
        (Op::Add | Op::Sub, T::Date, T::Duration) => Some(T::Date),
        (Op::Add | Op::Sub, T::Duration, T::Duration) => Some(T::Duration),
        (Op::Add, T::Duration, T::DateTimeOffset) => Some(T::DateTimeOffset),
        (Op::Add, T::Duration, T::Date) => Some(T::Date),
        (Op::Sub, T::DateTimeOffset, T::DateTimeOffset) | (Op::Sub, T::Date, T::Date) => {
            Some(T::Duration)
        }
        (Op::Mul, T::Duration, number) if number.is_numeric() => Some(T::Duration),
        (Op::Mul, number, T::Duration) if number.is_numeric() => Some(T::Duration),
        (Op::Div | Op::DivBy, T::Duration, number) if number.is_numeric() => Some(T::Duration),
        _ => None,
    }
}

/// The numeric type that both operands are promoted to.
fn wider(left: T, right: T) -> T {
    let is = |ty| left == ty || right == ty;
    if is(T::Double) || (is(T::Single) && is(T::Decimal)) {
        T::Double
    } else if is(T::Single) {
        T::Single
    } else if is(T::Decimal) {
        T::Decimal
    } else {
        T::Int64
    }
}

/// The type that the results of a `case` share; `None` if there is none.
pub(super) fn common_type(left: T, right: T) -> Option<T> {
    match (left, right) {
        (a, b) if a == b || b == T::Any => Some(a),
        (T::Any, b) => Some(b),
        (a, b) if a.is_numeric() && b.is_numeric() => Some(wider(a, b)),
        _ => None,
    }
}

/// `-`; `None` if the operand is not a number or duration.
pub(super) fn negate(operand: Expr) -> Option<Expr> {
    let ty = operand.ty();
    match operand {
        Expr::Literal(Value::Null) => Some(Expr::Literal(Value::Null)),
        Expr::Literal(Value::Integer(value)) if value != i64::MIN => {
            Some(Expr::Literal(Value::Integer(-value)))
        }
        Expr::Literal(Value::Double(value)) => Some(Expr::Literal(Value::Double(-value))),
        operand if ty.is_numeric() || ty == T::Duration => Some(Expr::Negate(Box::new(operand))),
        _ => None,
    }
}

/// All of them or any of them, as a tree of logarithmic depth: a filter with a thousand alternatives must not overflow the stack
/// of whoever walks it. `None` if there are none.
pub(super) fn join(op: Logical, mut operands: Vec<Expr>) -> Option<Expr> {
    while operands.len() > 1 {
        let mut joined = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => Expr::Logical(op, Box::new(left), Box::new(right)),
                None => left,
            });
        }
        operands = joined;
    }
    operands.pop()
}

/// Whether an expression is the literal `null`.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(Value::Null))
}
