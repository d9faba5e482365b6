//! How PostgreSQL computes: operators and functions, built-in ones only.
//!
//! What must hold: an odd value in a column gives `null` rather than an error wherever that can be had at a bearable price. Division by
//! zero is `null`. Whole numbers are computed as `numeric`, so they do not overflow. What remains are results that no `double
//! precision` or `timestamp` can hold.

mod cast;

use highwater_core::query::{Arithmetic, Function};
use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use super::Postgres;
use super::literal::Bound;
use super::pattern;
use super::temporal;
use super::value::Repr;
use crate::expr::Compiler;
use crate::text::{Param, Sql};

/// What `trim` removes: Unicode's `White_Space`.
const WHITE_SPACE: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
/// Positions and lengths are cut to this: more than a text can have, and their sum is an `integer`.
const POSITION_MAX: i64 = 1_073_741_823;

type Written = Result<(), Error>;

impl Compiler<'_, Postgres<'_>> {
    pub(super) fn scalar_value(&mut self, sql: &mut Sql, expr: &Expr) -> Written {
        match expr {
            Expr::Negate(operand) => {
                let repr = match self.repr(operand) {
                    Repr::Integer | Repr::Null => Repr::Numeric,
                    repr => repr,
                };
                sql.push("(- ");
                self.value_as(sql, operand, repr)?;
                sql.push(")");
                Ok(())
            }
            Expr::Arithmetic(operator, left, right, ty) => {
                let repr = self.repr(expr);
                if [left, right]
                    .iter()
                    .any(|side| self.repr(side) == Repr::Null)
                {
                    return self.constant(sql, &Value::Null, repr);
                }
                match repr {
                    Repr::Numeric => self.exact(sql, *operator, left, right, ty.is_integer()),
                    Repr::Double => self.floating(sql, *operator, left, right),
                    _ => self.temporal(sql, *operator, left, right),
                }
            }
            Expr::Call(function, arguments, ty) => self.call(sql, *function, arguments, *ty),
            _ => self.leaf(sql, expr),
        }
    }

    fn exact(
        &mut self,
        sql: &mut Sql,
        operator: Arithmetic,
        left: &Expr,
        right: &Expr,
        truncates: bool,
    ) -> Written {
        let (before, between, after) = match operator {
            Arithmetic::Add => ("(", " + ", ")"),
            Arithmetic::Sub => ("(", " - ", ")"),
            Arithmetic::Mul => ("(", " * ", ")"),
            Arithmetic::Div if truncates => ("div(", ", NULLIF(", ", 0))"),
            Arithmetic::Div | Arithmetic::DivBy => ("(", " / NULLIF(", ", 0))"),
            Arithmetic::Mod => ("mod(", ", NULLIF(", ", 0))"),
        };
        sql.push(before);
        self.value_as(sql, left, Repr::Numeric)?;
        sql.push(between);
        self.value_as(sql, right, Repr::Numeric)?;
        sql.push(after);
        Ok(())
    }

    fn floating(
        &mut self,
        sql: &mut Sql,
        operator: Arithmetic,
        left: &Expr,
        right: &Expr,
    ) -> Written {
        let (between, after) = match operator {
            Arithmetic::Add => (" + ", ")"),
            Arithmetic::Sub => (" - ", ")"),
            Arithmetic::Mul => (" * ", ")"),
            Arithmetic::Div | Arithmetic::DivBy => (" / NULLIF(", ", 0))"),
            Arithmetic::Mod => {
                sql.push("(");
                self.value_as(sql, left, Repr::Double)?;
                sql.push(" - ");
                self.value_as(sql, right, Repr::Double)?;
                sql.push(" * trunc(");
                self.value_as(sql, left, Repr::Double)?;
                sql.push(" / NULLIF(");
                self.value_as(sql, right, Repr::Double)?;
                sql.push(", 0)))");
                return Ok(());
            }
        };
        sql.push("(");
        self.value_as(sql, left, Repr::Double)?;
        sql.push(between);
        self.value_as(sql, right, Repr::Double)?;
        sql.push(after);
        Ok(())
    }

    fn temporal(
        &mut self,
        sql: &mut Sql,
        operator: Arithmetic,
        left: &Expr,
        right: &Expr,
    ) -> Written {
        use Arithmetic as A;
        let (a, b) = (self.repr(left), self.repr(right));
        let sign = if operator == A::Sub { " - " } else { " + " };
        match (operator, a, b) {
            (A::Add, Repr::Interval, b) if b.is_instant() || b == Repr::Date => {
                self.temporal(sql, operator, right, left)
            }
            (A::Add | A::Sub, a, Repr::Interval) if a.is_instant() || a == Repr::Interval => {
                let repr = if a == Repr::Interval {
                    a
                } else {
                    Repr::TimestampTz
                };
                sql.push("(");
                self.value_as(sql, left, repr)?;
                sql.push(sign);
                self.value_as(sql, right, Repr::Interval)?;
                sql.push(")");
                Ok(())
            }
            // Whole days only: what is less than a day does not change a date.
            (A::Add | A::Sub, Repr::Date, Repr::Interval) => {
                sql.push("(");
                self.value_as(sql, left, Repr::Date)?;
                sql.push(sign);
                sql.push("trunc(extract(epoch FROM ");
                self.value_as(sql, right, Repr::Interval)?;
                sql.push(")::numeric / 86400)::integer)");
                Ok(())
            }
            (A::Sub, a, b) if a == b || a.is_instant() && b.is_instant() => {
                let repr = if a == Repr::Date {
                    a
                } else {
                    Repr::TimestampTz
                };
                sql.push("CASE WHEN isfinite(");
                self.value_as(sql, left, repr)?;
                sql.push(") AND isfinite(");
                self.value_as(sql, right, repr)?;
                sql.push(if a == Repr::Date {
                    ") THEN make_interval(days => "
                } else {
                    ") THEN ("
                });
                self.value_as(sql, left, repr)?;
                sql.push(" - ");
                self.value_as(sql, right, repr)?;
                sql.push(") END");
                Ok(())
            }
            (A::Mul, Repr::Interval, _) => self.scaled(sql, left, " * ", right, ")"),
            (A::Mul, _, Repr::Interval) => self.scaled(sql, right, " * ", left, ")"),
            (A::Div | A::DivBy, Repr::Interval, _) => {
                self.scaled(sql, left, " / NULLIF(", right, ", 0))")
            }
            _ => Err(Error::Unsupported(format!(
                "Arithmetic on {} and {} is not supported here.",
                left.ty(),
                right.ty()
            ))),
        }
    }

    fn scaled(
        &mut self,
        sql: &mut Sql,
        interval: &Expr,
        operator: &str,
        number: &Expr,
        after: &str,
    ) -> Written {
        sql.push("(");
        self.value_as(sql, interval, Repr::Interval)?;
        sql.push(operator);
        self.value_as(sql, number, Repr::Double)?;
        sql.push(after);
        Ok(())
    }

    fn call(
        &mut self,
        sql: &mut Sql,
        function: Function,
        arguments: &[Expr],
        ty: PrimitiveType,
    ) -> Written {
        use Function as F;
        match function {
            F::Concat => self.texts(sql, ["(", " || ", ")"], arguments),
            F::Contains => self.texts(sql, ["(strpos(", ", ", ") > 0)"], arguments),
            F::StartsWith => self.texts(sql, ["starts_with(", ", ", ")"], arguments),
            F::EndsWith => {
                self.texts(sql, ["(right(", ", length(", "))"], arguments)?;
                self.texts(sql, [" = ", ")", ""], &arguments[1..])
            }
            F::IndexOf => self.texts(sql, ["(strpos(", ", ", ") - 1)"], arguments),
            F::Length => self.texts(sql, ["length(", ")", ""], arguments),
            F::Substring => self.substring(sql, arguments),
            F::MatchesPattern => self.matches(sql, arguments),
            F::SearchMatches => {
                sql.push("(strpos(");
                self.in_case(sql, "lower", &arguments[0])?;
                sql.push(", ");
                self.in_case(sql, "lower", &arguments[1])?;
                sql.push(") > 0)");
                Ok(())
            }
            F::ToLower => self.in_case(sql, "lower", &arguments[0]),
            F::ToUpper => self.in_case(sql, "upper", &arguments[0]),
            F::Trim => {
                self.texts(sql, ["btrim(", ", ", ""], arguments)?;
                let white = Param::Value(Value::String(WHITE_SPACE.to_owned()));
                self.flavour.bind(sql, white, "text");
                sql.push(")");
                Ok(())
            }
            F::Date | F::Time => {
                let repr = Repr::of(ty);
                if self.repr(&arguments[0]) == repr {
                    return self.value_as(sql, &arguments[0], repr);
                }
                sql.push("(");
                self.clock(sql, &arguments[0])?;
                sql.push(")::");
                sql.push(repr.ty());
                Ok(())
            }
            // PostgreSQL has no year 0: the year before 1 is -1.
            F::Year => self.parts(
                sql,
                &[
                    "CASE WHEN isfinite(",
                    ") THEN extract(year FROM ",
                    ")::integer + (extract(year FROM ",
                    ") < 0)::integer END",
                ],
                &arguments[0],
            ),
            F::Month => self.parts(sql, &["extract(month FROM ", ")::integer"], &arguments[0]),
            F::Day => self.parts(sql, &["extract(day FROM ", ")::integer"], &arguments[0]),
            F::Hour => self.parts(sql, &["extract(hour FROM ", ")::integer"], &arguments[0]),
            F::Minute => self.parts(sql, &["extract(minute FROM ", ")::integer"], &arguments[0]),
            F::Second => {
                let parts = ["floor(extract(second FROM ", "))::integer"];
                self.parts(sql, &parts, &arguments[0])
            }
            F::FractionalSeconds => {
                let parts = [
                    "(mod(extract(microseconds FROM ",
                    ")::numeric, 1000000) / 1000000)",
                ];
                self.parts(sql, &parts, &arguments[0])
            }
            F::TotalOffsetMinutes => {
                if let Expr::Literal(Value::Lexical(_, text)) = &arguments[0] {
                    self.flavour
                        .bind_number(sql, temporal::offset_minutes(text));
                    return Ok(());
                }
                self.parts(
                    sql,
                    &["CASE WHEN ", " IS NOT NULL THEN 0 END"],
                    &arguments[0],
                )
            }
            F::TotalSeconds => {
                sql.push("extract(epoch FROM ");
                self.value_as(sql, &arguments[0], Repr::Interval)?;
                sql.push(")::numeric");
                Ok(())
            }
            F::MinDateTime => {
                sql.push("'0001-01-01 00:00:00+00'::timestamptz");
                Ok(())
            }
            F::MaxDateTime => {
                sql.push("'9999-12-31 23:59:59.999999+00'::timestamptz");
                Ok(())
            }
            F::Ceiling => self.rounded(sql, "ceil", &arguments[0]),
            F::Floor => self.rounded(sql, "floor", &arguments[0]),
            F::Round => self.rounded(sql, "round", &arguments[0]),
            F::Cast => self.cast(sql, &arguments[0], ty),
            F::Case => {
                let repr = arguments
                    .chunks_exact(2)
                    .map(|pair| self.repr(&pair[1]))
                    .fold(Repr::Null, Repr::common);
                sql.push("CASE");
                for pair in arguments.chunks_exact(2) {
                    sql.push(" WHEN ");
                    self.predicate(sql, &pair[0])?;
                    sql.push(" THEN ");
                    self.value_as(sql, &pair[1], repr)?;
                }
                sql.push(" END");
                Ok(())
            }
            F::Now => Err(Error::Internal(
                "now is not a function of the database".into(),
            )),
        }
    }

    /// Writes texts between what stands around them, byte by byte: not every collation knows parts of texts, and two collations do not
    /// go together.
    fn texts(&mut self, sql: &mut Sql, around: [&str; 3], arguments: &[Expr]) -> Written {
        for (position, part) in around.into_iter().enumerate() {
            sql.push(part);
            if let (true, Some(argument)) = (position < 2, arguments.get(position)) {
                self.value_as(sql, argument, Repr::Text)?;
                sql.push(" COLLATE \"C\"");
            }
        }
        Ok(())
    }

    /// Writes a text in upper or lower case.
    fn in_case(&mut self, sql: &mut Sql, function: &str, text: &Expr) -> Written {
        sql.push("(");
        sql.push(function);
        sql.push("(");
        self.value_as(sql, text, Repr::Text)?;
        sql.push(" COLLATE ");
        sql.push(self.flavour.letters.unwrap_or("\"default\""));
        sql.push(") COLLATE \"C\")");
        Ok(())
    }

    /// From a position, to the end or for a length. A negative position counts from the end, and is the beginning if the text is
    /// shorter (Protocol 13.2.1, number 9k); a negative length is nothing.
    fn substring(&mut self, sql: &mut Sql, arguments: &[Expr]) -> Written {
        let text = &arguments[0];
        let start = &arguments[1];
        let len = arguments.get(2);
        let finish = |this: &mut Self, sql: &mut Sql| -> Written {
            if let Some(len) = len {
                sql.push(", CASE WHEN ");
                this.value_as(sql, len, Repr::Numeric)?;
                sql.push(" IS NOT NULL THEN least(greatest(");
                this.value_as(sql, len, Repr::Numeric)?;
                sql.push(", 0), ");
                sql.push_number(POSITION_MAX);
                sql.push(")::integer END");
            }
            sql.push(")");
            Ok(())
        };
        sql.push("CASE WHEN ");
        self.value_as(sql, start, Repr::Numeric)?;
        sql.push(" < 0 THEN substr(");
        self.value_as(sql, text, Repr::Text)?;
        sql.push(", greatest(length(");
        self.value_as(sql, text, Repr::Text)?;
        sql.push(") + ");
        self.value_as(sql, start, Repr::Numeric)?;
        sql.push(", 0)::integer + 1");
        finish(self, sql)?;
        sql.push(" WHEN ");
        self.value_as(sql, start, Repr::Numeric)?;
        sql.push(" >= 0 THEN substr(");
        self.value_as(sql, text, Repr::Text)?;
        sql.push(", least(");
        self.value_as(sql, start, Repr::Numeric)?;
        sql.push(", ");
        sql.push_number(POSITION_MAX);
        sql.push(")::integer + 1");
        finish(self, sql)?;
        sql.push(" END");
        Ok(())
    }

    fn matches(&mut self, sql: &mut Sql, arguments: &[Expr]) -> Written {
        let text = match &arguments[1] {
            Expr::Literal(Value::String(text)) => text,
            Expr::Literal(Value::Null) => {
                return self.constant(sql, &Value::Null, Repr::Boolean);
            }
            _ => {
                return Err(Error::Unsupported(
                    "The pattern of matchesPattern must be a constant.".into(),
                ));
            }
        };
        sql.push("(");
        self.value_as(sql, &arguments[0], Repr::Text)?;
        sql.push(" COLLATE \"C\" ~ ");
        let pattern = Param::Value(Value::String(pattern::translated(text)?));
        self.flavour.bind(sql, pattern, "text");
        sql.push(")");
        Ok(())
    }

    /// Writes a date or time between what stands around each of its repetitions.
    fn parts(&mut self, sql: &mut Sql, around: &[&str], argument: &Expr) -> Written {
        for (position, part) in around.iter().enumerate() {
            sql.push(part);
            if position + 1 < around.len() {
                self.clock(sql, argument)?;
            }
        }
        Ok(())
    }

    /// Writes a date or time as a clock shows it: an instant in UTC, a literal in its own offset.
    fn clock(&mut self, sql: &mut Sql, argument: &Expr) -> Written {
        if let Expr::Literal(Value::Lexical(PrimitiveType::DateTimeOffset, text)) = argument {
            let (Bound::Exactly(value) | Bound::Above(value)) = temporal::local(text);
            self.flavour.bind(sql, Param::Value(value), "timestamp");
            return Ok(());
        }
        let repr = match self.repr(argument) {
            Repr::TimestampTz | Repr::Null => Repr::Timestamp,
            repr => repr,
        };
        self.value_as(sql, argument, repr)
    }

    /// Half is rounded away from zero (URL Conventions 5.1.1.9.1), where PostgreSQL rounds doubles to even.
    fn rounded(&mut self, sql: &mut Sql, function: &str, argument: &Expr) -> Written {
        let repr = match self.repr(argument) {
            Repr::Integer => return self.value(sql, argument),
            repr if repr.is_float() => Repr::Double,
            _ => Repr::Numeric,
        };
        if repr == Repr::Double && function == "round" {
            return self.half_away(sql, |this, sql| this.value_as(sql, argument, Repr::Double));
        }
        sql.push(function);
        sql.push("(");
        self.value_as(sql, argument, repr)?;
        sql.push(")");
        Ok(())
    }

    /// Writes a double, rounded to the nearest whole number.
    fn half_away(
        &mut self,
        sql: &mut Sql,
        write: impl Fn(&mut Self, &mut Sql) -> Written,
    ) -> Written {
        let around = [
            "(trunc(",
            ") + CASE WHEN abs(",
            " - trunc(",
            ")) >= 0.5 THEN sign(",
            ") ELSE 0 END)",
        ];
        let mark = sql.mark();
        let mut end = None;
        for (position, part) in around.iter().enumerate() {
            sql.push(part);
            if position + 1 < around.len() {
                write(self, sql)?;
                let next = sql.repeat_from(mark);
                end.get_or_insert(next);
            }
        }
        if let Some(end) = end {
            sql.resume(end);
        }
        Ok(())
    }
}
