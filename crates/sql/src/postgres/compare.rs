//! How PostgreSQL compares: both sides in one type, which is that of the column where it has the literal's value.
//!
//! What must hold, besides OData's rules for `null`: `NaN` is not equal to anything and neither smaller nor larger (IEEE 754), where
//! PostgreSQL has it equal to itself and the largest; text compares byte by byte, whatever the collation; numbers compare exactly
//! unless one of them is a float, and then as doubles (numeric promotion, URL Conventions 5.1.1.11). Infinite dates and times are what
//! PostgreSQL says: beyond all others. An interval with months is no `Edm.Duration`: it is equal to no literal, and unordered.

use highwater_core::query::Comparison;
use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use super::literal::{Bound, as_single, bound};
use super::value::Repr;
use super::{Family, Postgres};
use crate::expr::Compiler;
use crate::flavour::{Flavour as _, RowRef, is_null};
use crate::keyset::push_operator;
use crate::sqlite::exact_number;
use crate::text::{Param, Sql};

/// Types that show as text, into which every text can be cast.
const ANY_TEXT: &[&str] = &[".\"citext\"", "\"pg_catalog\".\"bpchar\""];
const TRUE: &str = "true";
const FALSE: &str = "false";

/// What a value is compared with.
enum Against {
    /// `NaN`
    Nothing,
    /// A literal, in a type.
    Literal(Bound, Repr),
    /// Another value, both in a type.
    Value(Repr),
}

impl Compiler<'_, Postgres<'_>> {
    pub(super) fn compare_values(
        &mut self,
        sql: &mut Sql,
        operator: Comparison,
        left: &Expr,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        // The literal stands right.
        let (left, operator, right) = match (left, right) {
            (Expr::Literal(_), Expr::Literal(_)) => (left, operator, right),
            (Expr::Literal(_), _) => (right, mirrored(operator), left),
            _ => (left, operator, right),
        };
        let against = match right {
            Expr::Literal(value) => self.against(left, value)?,
            _ => self.between(left, right)?,
        };
        match (operator, against) {
            (Comparison::Ne, Against::Nothing) => sql.push(TRUE),
            (_, Against::Nothing) => sql.push(FALSE),
            (Comparison::Eq, Against::Literal(Bound::Above(_), _)) => sql.push(FALSE),
            (Comparison::Ne, Against::Literal(Bound::Above(_), _)) => sql.push(TRUE),
            (Comparison::Eq | Comparison::Ne, Against::Literal(Bound::Exactly(value), repr)) => {
                self.equal_literal(sql, operator, left, (value, repr), only_truth)?
            }
            (Comparison::Eq | Comparison::Ne, Against::Value(repr)) => {
                self.equal_values(sql, operator, (left, right), repr)?;
            }
            (operator, Against::Literal(bound, repr)) => {
                let (operator, value) = match bound {
                    Bound::Exactly(value) => (operator, value),
                    // Above this value and below the next.
                    Bound::Above(value) => match operator {
                        Comparison::Lt | Comparison::Le => (Comparison::Le, value),
                        _ => (Comparison::Gt, value),
                    },
                };
                let larger = matches!(operator, Comparison::Gt | Comparison::Ge).then_some(left);
                self.ordered(sql, (larger, repr), only_truth, |this, sql| {
                    this.operand(sql, left, repr, true)?;
                    sql.push(symbol(operator));
                    this.flavour
                        .bind(sql, Param::Value(value.clone()), repr.ty());
                    Ok(())
                })?;
            }
            (operator, Against::Value(repr)) => {
                let larger = match operator {
                    Comparison::Gt | Comparison::Ge => left,
                    _ => right,
                };
                self.ordered(sql, (Some(larger), repr), only_truth, |this, sql| {
                    this.operand(sql, left, repr, true)?;
                    sql.push(symbol(operator));
                    this.operand(sql, right, repr, true)
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn is_in_list(
        &mut self,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error> {
        // One list for each type that the literals are compared in; mostly that is one.
        let mut lists: Vec<(Repr, Vec<Value>)> = Vec::new();
        for item in list.iter().filter(|item| !is_null(item)) {
            let Expr::Literal(value) = item else {
                continue;
            };
            if let Against::Literal(Bound::Exactly(value), repr) = self.against(operand, value)? {
                match lists.iter_mut().find(|(other, _)| *other == repr) {
                    Some((_, values)) => values.push(value),
                    None => lists.push((repr, vec![value])),
                }
            }
        }
        sql.push("(");
        let mut separator = "(";
        for (repr, values) in &lists {
            sql.push(std::mem::replace(&mut separator, " OR "));
            self.operand_for_equality(sql, operand, *repr)?;
            sql.push(" IN (");
            for (position, value) in values.iter().enumerate() {
                sql.push(if position == 0 { "" } else { ", " });
                self.flavour
                    .bind(sql, Param::Value(value.clone()), repr.ty());
            }
            sql.push(")");
        }
        sql.push(match (lists.is_empty(), only_truth) {
            (true, _) => FALSE,
            (false, true) => ")",
            (false, false) => ") IS TRUE",
        });
        if list.iter().any(is_null) {
            sql.push(" OR ");
            self.value(sql, operand)?;
            sql.push(" IS NULL");
        }
        sql.push(")");
        Ok(())
    }

    /// In which type a value is compared with a literal.
    fn against(&mut self, operand: &Expr, value: &Value) -> Result<Against, Error> {
        if let Value::Double(number) = value
            && number.is_nan()
        {
            return Ok(Against::Nothing);
        }
        let of_literal = value.as_ref().natural_type().map_or(Repr::Null, Repr::of);
        let repr = match (self.repr(operand), value) {
            (Repr::Null, _) => of_literal,
            (Repr::Single, value) => {
                let number = match value {
                    Value::Double(number) => Some(*number),
                    Value::Lexical(PrimitiveType::Decimal, text) => text.parse().ok(),
                    _ => None,
                };
                if let Some(text) = number.and_then(as_single) {
                    return Ok(Against::Literal(Bound::text(text), Repr::Single));
                }
                Repr::Double
            }
            (Repr::Double, _) => Repr::Double,
            (Repr::Integer | Repr::Numeric, Value::Double(number)) if number.is_infinite() => {
                Repr::Double
            }
            (Repr::Integer, Value::Lexical(PrimitiveType::Decimal, text)) => {
                return whole(text, value);
            }
            (Repr::Integer, Value::Double(number)) => return whole(&format!("{number:e}"), value),
            (repr, _) => repr,
        };
        Ok(Against::Literal(bound(value, repr)?, repr))
    }

    /// In which type two values are compared.
    fn between(&mut self, left: &Expr, right: &Expr) -> Result<Against, Error> {
        Ok(Against::Value(self.repr(left).common(self.repr(right))))
    }

    fn equal_literal(
        &mut self,
        sql: &mut Sql,
        operator: Comparison,
        operand: &Expr,
        (value, repr): (Value, Repr),
        only_truth: bool,
    ) -> Result<(), Error> {
        sql.push("(");
        if only_truth
            && operator == Comparison::Eq
            && let Some((row, column)) = self.equal_by_type(operand)
        {
            // The first condition can use an index, the second is the one that OData means.
            let mark = sql.mark();
            self.flavour.column(sql, row, column);
            push_operator(sql, "=", self.flavour.operators(row.table, column));
            self.flavour
                .bind(sql, Param::Value(value.clone()), repr.ty());
            sql.push("::");
            sql.push(&self.flavour.layout(row.table, column).ty);
            sql.push(" AND ");
            self.operand_for_equality(sql, operand, repr)?;
            sql.push(" = ");
            let end = sql.repeat_from(mark);
            self.flavour.bind(sql, Param::Value(value), repr.ty());
            sql.resume(end);
            sql.push(")");
            return Ok(());
        }
        self.operand_for_equality(sql, operand, repr)?;
        sql.push(match (operator, only_truth) {
            (Comparison::Ne, _) => " IS DISTINCT FROM ",
            (_, true) => " = ",
            (_, false) => " IS NOT DISTINCT FROM ",
        });
        self.flavour.bind(sql, Param::Value(value), repr.ty());
        sql.push(")");
        Ok(())
    }

    fn equal_values(
        &mut self,
        sql: &mut Sql,
        operator: Comparison,
        (left, right): (&Expr, &Expr),
        repr: Repr,
    ) -> Result<(), Error> {
        let mark = sql.mark();
        sql.push("(");
        self.operand_of_values(sql, left, repr)?;
        sql.push(match operator {
            Comparison::Ne => " IS DISTINCT FROM ",
            _ => " IS NOT DISTINCT FROM ",
        });
        self.operand_of_values(sql, right, repr)?;
        if repr.is_float() || repr == Repr::Numeric {
            sql.push(match operator {
                Comparison::Ne => " OR (",
                _ => " AND (",
            });
            let end = sql.repeat_from(mark);
            self.operand(sql, left, repr, false)?;
            sql.resume(end);
            nan(sql, " = ", repr);
            sql.push(match operator {
                Comparison::Ne => ") IS TRUE",
                _ => ") IS NOT TRUE",
            });
        }
        sql.push(")");
        Ok(())
    }

    /// Writes a comparison by order. The larger side must not be `NaN`, which PostgreSQL takes for the largest number.
    fn ordered(
        &mut self,
        sql: &mut Sql,
        (larger, repr): (Option<&Expr>, Repr),
        only_truth: bool,
        write: impl FnOnce(&mut Self, &mut Sql) -> Result<(), Error>,
    ) -> Result<(), Error> {
        sql.push(if only_truth { "(" } else { "((" });
        write(self, sql)?;
        if let Some(larger) = larger.filter(|_| repr.is_float() || repr == Repr::Numeric) {
            sql.push(" AND ");
            self.operand(sql, larger, repr, false)?;
            nan(sql, " < ", repr);
        }
        sql.push(if only_truth { ")" } else { ") IS TRUE)" });
        Ok(())
    }

    /// Writes a value in the type of a comparison.
    fn operand(
        &mut self,
        sql: &mut Sql,
        expr: &Expr,
        repr: Repr,
        by_order: bool,
    ) -> Result<(), Error> {
        match repr {
            Repr::Text if by_order => {
                self.value_as(sql, expr, repr)?;
                sql.push(" COLLATE \"C\"");
                Ok(())
            }
            Repr::Interval if matches!(expr, Expr::Column { .. }) => {
                sql.push("CASE WHEN date_trunc('month', ");
                self.value(sql, expr)?;
                sql.push(") = '0'::interval THEN ");
                self.value(sql, expr)?;
                sql.push(" END");
                Ok(())
            }
            // An integer column may meet a number of any other type: PostgreSQL's own comparisons are exact, and use the index.
            Repr::Numeric if self.repr(expr) == Repr::Integer && !is_literal(expr) => {
                self.value(sql, expr)
            }
            _ => self.value_as(sql, expr, repr),
        }
    }

    /// Writes a value to be compared for equality with a literal. A column is written as it is, so that an index can be used.
    fn operand_for_equality(
        &mut self,
        sql: &mut Sql,
        expr: &Expr,
        repr: Repr,
    ) -> Result<(), Error> {
        if repr != Repr::Text {
            return self.operand(sql, expr, repr, false);
        }
        let Expr::Column { scope, column, .. } = expr else {
            return self.operand(sql, expr, repr, !is_literal(expr));
        };
        let layout = self.flavour.layout(self.row(*scope).table, *column);
        if layout.family == Family::Text && layout.coarse {
            sql.push("(");
            self.value(sql, expr)?;
            sql.push(")::text COLLATE \"C\"");
            return Ok(());
        }
        self.operand(sql, expr, repr, layout.family != Family::Text)
    }

    fn operand_of_values(&mut self, sql: &mut Sql, expr: &Expr, repr: Repr) -> Result<(), Error> {
        if repr == Repr::Interval {
            return self.value_as(sql, expr, repr);
        }
        self.operand(sql, expr, repr, true)
    }

    /// A column whose type has another equality than its text, which an index answers, and takes any text.
    fn equal_by_type(&self, expr: &Expr) -> Option<(RowRef, usize)> {
        let Expr::Column { scope, column, .. } = expr else {
            return None;
        };
        let row = self.row(*scope);
        let layout = self.flavour.layout(row.table, *column);
        let is_such = match layout.family {
            Family::Text => layout.coarse,
            Family::Other => ANY_TEXT.iter().any(|name| layout.ty.ends_with(name)),
            _ => false,
        };
        is_such.then_some((row, *column))
    }
}

/// A number that is compared with an integer: as an integer if it is one, so that an index can be used.
fn whole(text: &str, value: &Value) -> Result<Against, Error> {
    Ok(match exact_number(text) {
        Some(Value::Integer(number)) => {
            Against::Literal(Bound::Exactly(Value::Integer(number)), Repr::Integer)
        }
        _ => Against::Literal(bound(value, Repr::Numeric)?, Repr::Numeric),
    })
}

fn nan(sql: &mut Sql, operator: &str, repr: Repr) {
    sql.push(operator);
    sql.push("'NaN'::");
    sql.push(repr.ty());
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(_))
}

fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Eq | Comparison::Ne => operator,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
    }
}

fn symbol(operator: Comparison) -> &'static str {
    match operator {
        Comparison::Eq => " = ",
        Comparison::Ne => " <> ",
        Comparison::Gt => " > ",
        Comparison::Ge => " >= ",
        Comparison::Lt => " < ",
        Comparison::Le => " <= ",
    }
}
