//! Which type of PostgreSQL an expression has when it is written, and how it is written in another.

use highwater_core::query::{Function, Quantifier};
use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use super::literal::{Bound, bound};
use super::{Family, Postgres};
use crate::expr::Compiler;
use crate::text::{Param, Sql};

/// The type of a written expression. Types that behave alike are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repr {
    /// Nothing but `NULL`.
    Null,
    Boolean,
    /// Any of the integer types.
    Integer,
    Numeric,
    Single,
    Double,
    Text,
    Guid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Bytea,
}

impl Repr {
    /// The type as SQL behind `::`.
    pub(super) fn ty(self) -> &'static str {
        match self {
            Repr::Null | Repr::Text => "text",
            Repr::Boolean => "boolean",
            Repr::Integer => "bigint",
            Repr::Numeric => "numeric",
            Repr::Single => "real",
            Repr::Double => "double precision",
            Repr::Guid => "uuid",
            Repr::Date => "date",
            Repr::Time => "time",
            Repr::Timestamp => "timestamp",
            Repr::TimestampTz => "timestamptz",
            Repr::Interval => "interval",
            Repr::Bytea => "bytea",
        }
    }

    pub(super) fn is_number(self) -> bool {
        self.is_float() || matches!(self, Repr::Integer | Repr::Numeric)
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Repr::Single | Repr::Double)
    }

    pub(super) fn is_instant(self) -> bool {
        matches!(self, Repr::Timestamp | Repr::TimestampTz)
    }

    /// Of values of a type that are written as constants or computed.
    pub(super) fn of(ty: PrimitiveType) -> Repr {
        use PrimitiveType as T;
        match ty {
            T::Boolean => Repr::Boolean,
            T::Decimal => Repr::Numeric,
            T::Double => Repr::Double,
            T::Single => Repr::Single,
            T::String => Repr::Text,
            T::Guid => Repr::Guid,
            T::Date => Repr::Date,
            T::TimeOfDay => Repr::Time,
            T::DateTimeOffset => Repr::TimestampTz,
            T::Duration => Repr::Interval,
            T::Binary => Repr::Bytea,
            T::Any => Repr::Null,
            T::Byte | T::SByte | T::Int16 | T::Int32 | T::Int64 => Repr::Integer,
        }
    }

    /// What values of two types become so that they can stand in one place.
    pub(super) fn common(self, other: Repr) -> Repr {
        match (self, other) {
            (a, b) if a == b => a,
            (Repr::Null, other) | (other, Repr::Null) => other,
            (a, b) if a.is_float() && b.is_number() || b.is_float() && a.is_number() => {
                Repr::Double
            }
            (a, b) if a.is_number() && b.is_number() => Repr::Numeric,
            (a, b) if a.is_instant() && b.is_instant() => Repr::TimestampTz,
            (Repr::Date, b) if b.is_instant() => Repr::TimestampTz,
            (a, Repr::Date) if a.is_instant() => Repr::TimestampTz,
            _ => Repr::Text,
        }
    }
}

impl Compiler<'_, Postgres<'_>> {
    /// The type in which [`Compiler::value`] writes an expression.
    pub(super) fn repr(&mut self, expr: &Expr) -> Repr {
        match expr {
            Expr::Literal(value) => {
                let ty = value.as_ref().natural_type();
                ty.map_or(Repr::Null, Repr::of)
            }
            Expr::Column { scope, column, .. } => {
                let layout = self.flavour.layout(self.row(*scope).table, *column);
                match layout.family {
                    Family::Boolean => Repr::Boolean,
                    Family::Integer => Repr::Integer,
                    Family::Numeric => Repr::Numeric,
                    Family::Float if layout.is_real() => Repr::Single,
                    Family::Float => Repr::Double,
                    Family::Text | Family::Other => Repr::Text,
                    Family::Uuid => Repr::Guid,
                    Family::Date => Repr::Date,
                    Family::Time => Repr::Time,
                    Family::Timestamp => Repr::Timestamp,
                    Family::TimestampTz => Repr::TimestampTz,
                    Family::Interval => Repr::Interval,
                    Family::Bytea => Repr::Bytea,
                }
            }
            Expr::Not(_) | Expr::Logical(..) | Expr::Compare(..) | Expr::In(..) => Repr::Boolean,
            Expr::Negate(operand) => match self.repr(operand) {
                Repr::Integer => Repr::Numeric,
                other => other,
            },
            Expr::Arithmetic(_, left, right, ty) => {
                let operands = (self.repr(left), self.repr(right));
                match Repr::of(*ty) {
                    repr if repr.is_number() => match operands.0.common(operands.1) {
                        common if common.is_float() => Repr::Double,
                        _ => Repr::Numeric,
                    },
                    repr => repr,
                }
            }
            Expr::Call(function, arguments, ty) => self.repr_of_call(*function, arguments, *ty),
            Expr::Related {
                table,
                relation,
                scope,
                then,
                ..
            } => self.within((*table, *relation, *scope), |this| this.repr(then)),
            Expr::Collection { quantifier, .. } => match quantifier {
                Quantifier::Count => Repr::Integer,
                Quantifier::Any | Quantifier::All => Repr::Boolean,
            },
        }
    }

    fn repr_of_call(&mut self, function: Function, arguments: &[Expr], ty: PrimitiveType) -> Repr {
        match function {
            Function::Case => arguments
                .chunks_exact(2)
                .map(|pair| self.repr(&pair[1]))
                .fold(Repr::Null, Repr::common),
            Function::Ceiling | Function::Floor | Function::Round => {
                match arguments.first().map(|argument| self.repr(argument)) {
                    Some(repr) if repr.is_float() => Repr::Double,
                    Some(Repr::Integer) => Repr::Integer,
                    _ => Repr::Numeric,
                }
            }
            // Whole numbers that come from text or fractions may be too large for any integer type until they have been compared.
            Function::Cast if ty.is_integer() => Repr::Numeric,
            _ => Repr::of(ty),
        }
    }

    /// Writes an expression in a type.
    pub(super) fn value_as(&mut self, sql: &mut Sql, expr: &Expr, want: Repr) -> Result<(), Error> {
        if let Expr::Literal(value) = expr {
            return self.constant(sql, value, want);
        }
        let has = self.repr(expr);
        let (before, after) = match (has, want) {
            (has, want) if has == want => return self.value(sql, expr),
            (Repr::Numeric, Repr::Double | Repr::Single) => {
                return self.double_of(sql, |this, sql| this.value(sql, expr));
            }
            (Repr::Timestamp, Repr::TimestampTz) | (Repr::TimestampTz, Repr::Timestamp) => {
                ("(", " AT TIME ZONE 'UTC')")
            }
            (Repr::Date, Repr::TimestampTz) => ("((", ")::timestamp AT TIME ZONE 'UTC')"),
            (
                Repr::Integer | Repr::Single | Repr::Null,
                Repr::Numeric | Repr::Double | Repr::Integer | Repr::Single,
            )
            | (Repr::Null, _)
            | (_, Repr::Text)
            | (Repr::Date, Repr::Timestamp) => {
                sql.push("(");
                self.value(sql, expr)?;
                sql.push(")::");
                sql.push(want.ty());
                return Ok(());
            }
            (has, want) => {
                return Err(Error::Unsupported(format!(
                    "A value of the type {} cannot be used as {} here. Convert it with cast.",
                    has.ty(),
                    want.ty()
                )));
            }
        };
        sql.push(before);
        self.value(sql, expr)?;
        sql.push(after);
        Ok(())
    }

    /// Writes a constant in a type. What the type has no value for becomes the value below it.
    pub(super) fn constant(&self, sql: &mut Sql, value: &Value, want: Repr) -> Result<(), Error> {
        if *value == Value::Null {
            sql.push("NULL::");
            sql.push(want.ty());
            return Ok(());
        }
        let (Bound::Exactly(text) | Bound::Above(text)) = bound(value, want)?;
        self.flavour.bind(sql, Param::Value(text), want.ty());
        Ok(())
    }

    /// Writes a `numeric` as `double precision`: what is too large becomes infinite and what is too small 0, where a plain cast fails.
    pub(super) fn double_of(
        &mut self,
        sql: &mut Sql,
        write: impl Fn(&mut Self, &mut Sql) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mark = sql.mark();
        sql.push("CASE WHEN abs(");
        write(self, sql)?;
        sql.push(") < 1.797e308 THEN round(");
        let end = sql.repeat_from(mark);
        write(self, sql)?;
        sql.push(", 323)::double precision ELSE sign(");
        let _ = sql.repeat_from(mark);
        write(self, sql)?;
        sql.push(")::double precision * 'Infinity' END");
        sql.resume(end);
        Ok(())
    }

    /// Writes a column or a constant.
    pub(super) fn leaf(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        match expr {
            Expr::Literal(Value::Null) => sql.push("NULL"),
            Expr::Literal(value) => {
                let repr = self.repr(expr);
                return self.constant(sql, value, repr);
            }
            Expr::Column { scope, column, .. } => {
                let row = self.row(*scope);
                self.flavour.shown(sql, row, *column);
            }
            _ => return self.value(sql, expr),
        }
        Ok(())
    }

    /// Writes what to order by.
    pub(super) fn ordered_value(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        let repr = self.repr(expr);
        if repr == Repr::Null {
            return self.value_as(sql, expr, Repr::Text);
        }
        self.value(sql, expr)?;
        if repr == Repr::Text {
            sql.push(" COLLATE \"C\"");
        }
        Ok(())
    }
}
