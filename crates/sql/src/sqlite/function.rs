//! How SQLite computes: operators and functions.

use highwater_core::query::{Arithmetic, Function};
use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};
use regex::{Regex, RegexBuilder};

use super::Sqlite;
use super::compare::Kind;
use crate::expr::Compiler;
use crate::flavour::Flavour as _;
use crate::text::{Param, Sql};

/// Memory that a compiled pattern may use.
const PATTERN_SIZE_MAX_BYTES: usize = 1 << 20;

/// How an operator or a function is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spelling {
    /// `name(arguments…)`, with a further constant argument if there is one.
    Call(&'static str, Option<Value>),
    /// `a name b`
    Infix(&'static str),
    /// `CAST(a AS REAL) name b`
    InfixReal(&'static str),
    /// A constant.
    Constant(Value),
}

impl Compiler<'_, Sqlite<'_>> {
    pub(super) fn compute(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        match expr {
            Expr::Literal(value) => {
                let kind = Kind::of(expr.ty());
                self.literal(sql, value, kind)
            }
            Expr::Column { scope, column, ty } => {
                let row = self.row(*scope);
                if *ty == PrimitiveType::Boolean {
                    // A stored 2 or 'yes' is shown as such and is not `true`.
                    sql.push("(");
                    self.flavour.column(sql, row, *column);
                    sql.push(" = 1)");
                } else {
                    self.flavour.column(sql, row, *column);
                }
                Ok(())
            }
            Expr::Negate(operand) => {
                sql.push("(- ");
                if operand.ty() == PrimitiveType::Duration {
                    self.operand(sql, operand, Kind::Duration, false)?;
                } else {
                    self.value(sql, operand)?;
                }
                sql.push(")");
                Ok(())
            }
            Expr::Arithmetic(operator, left, right, ty) => {
                self.arithmetic(sql, *operator, left, right, *ty)
            }
            Expr::Call(function, arguments, ty) => self.call(sql, *function, arguments, *ty),
            _ => self.value(sql, expr),
        }
    }

    fn arithmetic(
        &mut self,
        sql: &mut Sql,
        operator: Arithmetic,
        left: &Expr,
        right: &Expr,
        ty: PrimitiveType,
    ) -> Result<(), Error> {
        let spelling = self
            .flavour
            .arithmetic(operator, left.ty(), right.ty(), ty)?;
        self.spell(sql, spelling, &[left, right])
    }

    fn call(
        &mut self,
        sql: &mut Sql,
        function: Function,
        arguments: &[Expr],
        ty: PrimitiveType,
    ) -> Result<(), Error> {
        if function == Function::Case {
            sql.push("CASE");
            for pair in arguments.chunks_exact(2) {
                sql.push(" WHEN ");
                self.predicate(sql, &pair[0])?;
                sql.push(" THEN ");
                self.value(sql, &pair[1])?;
            }
            sql.push(" END");
            return Ok(());
        }
        let spelling = self.flavour.function(function, arguments, ty)?;
        let arguments: Vec<&Expr> = arguments.iter().collect();
        self.spell(sql, spelling, &arguments)
    }

    fn spell(
        &mut self,
        sql: &mut Sql,
        spelling: Spelling,
        arguments: &[&Expr],
    ) -> Result<(), Error> {
        match spelling {
            Spelling::Call(name, extra) => {
                sql.push(name);
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(", ");
                    }
                    self.value(sql, argument)?;
                }
                if let Some(extra) = extra {
                    sql.push(", ");
                    sql.bind(Param::Value(extra));
                }
                sql.push(")");
            }
            Spelling::Infix(name) => {
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(name);
                    }
                    self.value(sql, argument)?;
                }
                sql.push(")");
            }
            Spelling::InfixReal(name) => {
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(name);
                    }
                    sql.push("CAST(");
                    self.value(sql, argument)?;
                    sql.push(" AS REAL)");
                }
                sql.push(")");
            }
            Spelling::Constant(value) => sql.bind(Param::Value(value)),
        }
        Ok(())
    }
}

impl Sqlite<'_> {
    fn function(
        &self,
        function: Function,
        arguments: &[Expr],
        result: PrimitiveType,
    ) -> Result<Spelling, Error> {
        use Function as F;
        let part =
            |name: &str| Spelling::Call("highwater_part", Some(Value::String(name.to_owned())));
        Ok(match function {
            F::Concat => Spelling::Infix(" || "),
            F::Contains => Spelling::Call("highwater_contains", None),
            F::EndsWith => Spelling::Call("highwater_ends_with", None),
            F::IndexOf => Spelling::Call("highwater_index_of", None),
            F::Length => Spelling::Call("highwater_length", None),
            F::StartsWith => Spelling::Call("highwater_starts_with", None),
            F::Substring => Spelling::Call("highwater_substring", None),
            F::MatchesPattern => {
                if let Some(Expr::Literal(Value::String(text))) = arguments.get(1) {
                    pattern(text)?;
                }
                Spelling::Call("highwater_matches", None)
            }
            F::SearchMatches => Spelling::Call("highwater_search", None),
            F::ToLower => Spelling::Call("highwater_lower", None),
            F::ToUpper => Spelling::Call("highwater_upper", None),
            F::Trim => Spelling::Call("highwater_trim", None),
            F::Date => Spelling::Call("highwater_date", None),
            F::Time => Spelling::Call("highwater_time_of", None),
            F::Year => part("year"),
            F::Month => part("month"),
            F::Day => part("day"),
            F::Hour => part("hour"),
            F::Minute => part("minute"),
            F::Second => part("second"),
            F::FractionalSeconds => part("fractionalseconds"),
            F::TotalOffsetMinutes => part("totaloffsetminutes"),
            F::TotalSeconds => Spelling::Call("highwater_total_seconds", None),
            F::MinDateTime => Spelling::Constant(Value::String("0001-01-01T00:00:00Z".into())),
            F::MaxDateTime => {
                Spelling::Constant(Value::String("9999-12-31T23:59:59.999999999Z".into()))
            }
            F::Ceiling => Spelling::Call("highwater_ceiling", None),
            F::Floor => Spelling::Call("highwater_floor", None),
            F::Round => Spelling::Call("highwater_round", None),
            F::Cast => {
                let from = arguments.first().map_or(PrimitiveType::Any, Expr::ty);
                let types = format!("{} {}", from.name(), result.name());
                Spelling::Call("highwater_cast", Some(Value::String(types)))
            }
            F::Now | F::Case => {
                return Err(Error::Internal(format!(
                    "{function:?} is not a function of the database"
                )));
            }
        })
    }

    fn arithmetic(
        &self,
        operator: Arithmetic,
        left: PrimitiveType,
        right: PrimitiveType,
        result: PrimitiveType,
    ) -> Result<Spelling, Error> {
        use Arithmetic as A;
        use PrimitiveType as T;
        let number = |ty: T| ty.is_numeric() || ty == T::Any;
        let call = |name| Ok(Spelling::Call(name, None));
        match (operator, left, right) {
            (A::Add, T::DateTimeOffset, T::Duration) => call("highwater_instant_add"),
            (A::Add, T::Duration, T::DateTimeOffset) => call("highwater_add_instant"),
            (A::Sub, T::DateTimeOffset, T::Duration) => call("highwater_instant_sub"),
            (A::Sub, T::DateTimeOffset, T::DateTimeOffset) => call("highwater_instant_diff"),
            (A::Add, T::Date, T::Duration) => call("highwater_date_add"),
            (A::Sub, T::Date, T::Duration) => call("highwater_date_sub"),
            (A::Sub, T::Date, T::Date) => call("highwater_date_diff"),
            (A::Add, T::Duration, T::Duration) => call("highwater_duration_add"),
            (A::Sub, T::Duration, T::Duration) => call("highwater_duration_sub"),
            (A::Mul, T::Duration, other) if number(other) => call("highwater_duration_mul"),
            (A::Mul, other, T::Duration) if number(other) => call("highwater_duration_mul"),
            (A::Div | A::DivBy, T::Duration, other) if number(other) => {
                call("highwater_duration_div")
            }
            (_, l, r) if !number(l) || !number(r) => Err(Error::Unsupported(format!(
                "Arithmetic on {left} and {right} is not supported here."
            ))),
            (A::Add, ..) => Ok(Spelling::Infix(" + ")),
            (A::Sub, ..) => Ok(Spelling::Infix(" - ")),
            (A::Mul, ..) => Ok(Spelling::Infix(" * ")),
            (A::Div, ..) if result.is_integer() => Ok(Spelling::Infix(" / ")),
            (A::Div | A::DivBy, ..) => Ok(Spelling::InfixReal(" / ")),
            (A::Mod, ..) if result.is_integer() => Ok(Spelling::Infix(" % ")),
            (A::Mod, ..) => call("highwater_mod"),
        }
    }
}

/// Compiles the pattern of `matchesPattern`. Matching takes time linear in the text, whatever the pattern.
///
/// # Errors
///
/// [`Error::InvalidQuery`] if it is not a pattern or is too large, [`Error::Unsupported`] if it uses what linear time excludes
/// (look-around, back-references).
pub fn pattern(text: &str) -> Result<Regex, Error> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_SIZE_MAX_BYTES)
        .build()
        .map_err(|error| {
            let error = error.to_string();
            // Of these two the library says so in words only.
            if error.contains("not supported") {
                Error::Unsupported(format!(
                    "The pattern of matchesPattern cannot be used: {error}. Look-around and back-references are not supported."
                ))
            } else {
                let error = error.trim_end_matches('.');
                Error::InvalidQuery(format!(
                    "The pattern of matchesPattern is not valid: {error}."
                ))
            }
        })
}
