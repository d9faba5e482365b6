//! `cast` (URL Conventions 5.1.1.10.1): the value in another type, or `null` if it has no such form.
//!
//! What must hold: no cast fails. Text is tested before it is converted, `CASE` being the one construct whose branches PostgreSQL does not
//! evaluate before their condition.

use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use super::super::Postgres;
use super::super::value::Repr;
use super::Written;
use crate::expr::Compiler;
use crate::text::Sql;

const NUMBER: &str = r"^[+-]?([0-9]{1,255}(\.[0-9]{0,255})?|\.[0-9]{1,255})([eE][+-]?[0-9]{1,3})?$";
const GUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
const TIME: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,12})?)?$";
const DAY: &str = "(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
const CLOCK: &str = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,12})?)?(Z|z|[+-](0[0-9]|1[0-4]):[0-5][0-9])";
const DURATION: &str = r"^-?P(?=[0-9T])([0-9]{1,6}D)?(T(?=[0-9])([0-9]{1,8}H)?([0-9]{1,9}M)?([0-9]{1,9}(\.[0-9]{1,12})?S)?)?$";

impl Compiler<'_, Postgres<'_>> {
    pub(super) fn cast(&mut self, sql: &mut Sql, operand: &Expr, to: PrimitiveType) -> Written {
        use PrimitiveType as T;
        let from = self.repr(operand);
        let want = if to.is_integer() {
            Repr::Numeric
        } else {
            Repr::of(to)
        };
        if from == Repr::Null {
            return self.constant(sql, &Value::Null, want);
        }
        match (from, to) {
            (_, T::Any) => self.value(sql, operand),
            (from, to) if to.is_integer() && (from.is_number() || from == Repr::Text) => {
                self.integer_of(sql, operand, to)
            }
            (Repr::Integer, T::Decimal) => self.value_as(sql, operand, Repr::Numeric),
            (Repr::Single | Repr::Double, T::Decimal) => {
                // By way of text every digit is kept.
                let around = [
                    "CASE WHEN abs(",
                    ") < 'Infinity' THEN (",
                    ")::text::numeric END",
                ];
                self.around(sql, &around, operand)
            }
            (Repr::Text, T::Decimal) => self.number_of_text(sql, operand),
            (from, T::Double) if from.is_number() => self.value_as(sql, operand, Repr::Double),
            (from, T::Single) if from.is_number() => {
                self.single_of(sql, |this, sql| this.value_as(sql, operand, Repr::Double))
            }
            (Repr::Text, T::Double) => self.double_of_text(sql, operand),
            (Repr::Text, T::Single) => {
                self.single_of(sql, |this, sql| this.double_of_text(sql, operand))
            }
            (from, T::String) => self.text_of(sql, operand, from),
            (Repr::Text, T::Boolean) => {
                let around = [
                    "CASE ",
                    " WHEN 'true' THEN true WHEN 'false' THEN false END",
                ];
                self.around(sql, &around, operand)
            }
            (Repr::Text, T::Guid) => self.matching(sql, operand, &[GUID], "uuid"),
            (Repr::Text, T::TimeOfDay) => self.matching(sql, operand, &[TIME], "time"),
            (Repr::Text, T::Date) => self.day_of_text(sql, operand, "$", "date"),
            (Repr::Text, T::DateTimeOffset) => {
                self.day_of_text(sql, operand, &format!("([Tt ]{CLOCK})?$"), "timestamptz")
            }
            (Repr::Text, T::Duration) => {
                let around = [
                    "CASE WHEN ",
                    &format!(" !~ '{DURATION}' THEN NULL WHEN "),
                    " LIKE '-%' THEN - substr(",
                    ", 2)::interval ELSE (",
                    ")::interval END",
                ];
                self.around(sql, &around, operand)
            }
            (Repr::Timestamp | Repr::TimestampTz, T::Date | T::TimeOfDay) => {
                sql.push("(");
                self.clock(sql, operand)?;
                sql.push(")::");
                sql.push(want.ty());
                Ok(())
            }
            (Repr::Date, T::DateTimeOffset) => {
                // A date has more years.
                let around = [
                    "CASE WHEN ",
                    " <= '294276-12-31' THEN (",
                    ")::timestamp AT TIME ZONE 'UTC' ELSE 'infinity' END",
                ];
                self.around(sql, &around, operand)
            }
            (from, _) if from.common(want) == want && from != Repr::Text => {
                self.value_as(sql, operand, want)
            }
            _ => self.constant(sql, &Value::Null, want),
        }
    }

    /// Numbers are rounded, and the whole part must fit.
    fn integer_of(&mut self, sql: &mut Sql, operand: &Expr, to: PrimitiveType) -> Written {
        use PrimitiveType as T;
        let (least, most) = match to {
            T::Byte => ("0", "255"),
            T::SByte => ("-128", "127"),
            T::Int16 => ("-32768", "32767"),
            T::Int32 => ("-2147483648", "2147483647"),
            _ => ("-9223372036854775808", "9223372036854775807"),
        };
        sql.push("CASE WHEN ");
        self.whole_number(sql, operand)?;
        sql.push(" BETWEEN ");
        sql.push(least);
        sql.push(" AND ");
        sql.push(most);
        sql.push(" THEN ");
        self.whole_number(sql, operand)?;
        sql.push(" END");
        Ok(())
    }

    fn whole_number(&mut self, sql: &mut Sql, operand: &Expr) -> Written {
        match self.repr(operand) {
            Repr::Integer => self.value_as(sql, operand, Repr::Numeric),
            Repr::Numeric => self.around(sql, &["round(", ")"], operand),
            Repr::Text => {
                let around = [
                    "CASE WHEN ",
                    " ~ '^[+-]?[0-9]{1,40}$' THEN (",
                    ")::numeric END",
                ];
                self.around(sql, &around, operand)
            }
            _ => {
                let double =
                    |this: &mut Self, sql: &mut Sql| this.value_as(sql, operand, Repr::Double);
                sql.push("CASE WHEN abs(");
                double(self, sql)?;
                sql.push(") < 9.2e18 THEN ");
                self.half_away(sql, double)?;
                sql.push("::bigint::numeric END");
                Ok(())
            }
        }
    }

    fn number_of_text(&mut self, sql: &mut Sql, operand: &Expr) -> Written {
        let test = format!(" ~ '{NUMBER}' THEN (");
        self.around(sql, &["CASE WHEN ", &test, ")::numeric END"], operand)
    }

    fn double_of_text(&mut self, sql: &mut Sql, operand: &Expr) -> Written {
        sql.push("CASE ");
        self.value_as(sql, operand, Repr::Text)?;
        sql.push(
            " WHEN 'INF' THEN 'Infinity' WHEN '-INF' THEN '-Infinity' WHEN 'NaN' THEN 'NaN' ELSE ",
        );
        self.double_of(sql, |this, sql| this.number_of_text(sql, operand))?;
        sql.push(" END");
        Ok(())
    }

    /// Writes a double as `real`: what is too large becomes infinite and what is too small 0, where a plain cast fails.
    fn single_of(
        &mut self,
        sql: &mut Sql,
        write: impl Fn(&mut Self, &mut Sql) -> Result<(), Error>,
    ) -> Written {
        let around = [
            "CASE WHEN abs(",
            ") < 1e-45 THEN 0 WHEN abs(",
            ") > 3.4028234e38 THEN sign(",
            ")::real * 'Infinity' ELSE (",
            ")::real END",
        ];
        for (position, part) in around.iter().enumerate() {
            sql.push(part);
            if position + 1 < around.len() {
                write(self, sql)?;
            }
        }
        Ok(())
    }

    fn text_of(&mut self, sql: &mut Sql, operand: &Expr, from: Repr) -> Written {
        let infinite = [
            "CASE ",
            " WHEN 'Infinity' THEN 'INF' WHEN '-Infinity' THEN '-INF' ELSE (",
            ")::text END",
        ];
        match from {
            Repr::Single | Repr::Double => self.around(sql, &infinite, operand),
            Repr::Boolean | Repr::Integer | Repr::Numeric | Repr::Text | Repr::Guid => {
                self.value_as(sql, operand, Repr::Text)
            }
            Repr::Time => self.value_as(sql, operand, Repr::Text),
            // Other years have another form.
            Repr::Date => {
                let around = [
                    "CASE WHEN ",
                    " BETWEEN '0001-01-01' AND '9999-12-31' THEN (",
                    ")::text END",
                ];
                self.around(sql, &around, operand)
            }
            Repr::Timestamp | Repr::TimestampTz => {
                let around = [
                    "CASE WHEN ",
                    " >= '0001-01-01' AND ",
                    " < '10000-01-01' THEN replace((",
                    ")::text, ' ', 'T') || 'Z' END",
                ];
                for (position, part) in around.iter().enumerate() {
                    sql.push(part);
                    if position + 1 < around.len() {
                        self.clock(sql, operand)?;
                    }
                }
                Ok(())
            }
            Repr::Interval => {
                let around = [
                    "CASE WHEN date_trunc('month', ",
                    ") = '0'::interval THEN CASE WHEN ",
                    " < '0'::interval THEN '-PT' ELSE 'PT' END || trim_scale(abs(extract(epoch FROM ",
                    ")::numeric))::text || 'S' END",
                ];
                self.around(sql, &around, operand)
            }
            Repr::Bytea | Repr::Null => self.constant(sql, &Value::Null, Repr::Text),
        }
    }

    fn matching(&mut self, sql: &mut Sql, operand: &Expr, tests: &[&str], ty: &str) -> Written {
        let test = format!(" ~ '{}' THEN (", tests.concat());
        self.around(
            sql,
            &["CASE WHEN ", &test, &format!(")::{ty} END")],
            operand,
        )
    }

    /// Text that begins with a date. Whether the month has the day is tested by going there.
    fn day_of_text(&mut self, sql: &mut Sql, operand: &Expr, rest: &str, ty: &str) -> Written {
        let around = [
            "CASE WHEN ",
            &format!(" !~ '^{DAY}{rest}' THEN NULL WHEN substr("),
            ", 9, 2)::integer > extract(day FROM make_date(substr(",
            ", 1, 4)::integer, substr(",
            ", 6, 2)::integer, 1) + '1 month -1 day'::interval) THEN NULL ELSE (",
            &format!(")::{ty} END"),
        ];
        self.around(sql, &around, operand)
    }

    /// Writes an operand between what stands around each of its repetitions.
    fn around(&mut self, sql: &mut Sql, around: &[&str], operand: &Expr) -> Written {
        let repr = self.repr(operand);
        for (position, part) in around.iter().enumerate() {
            sql.push(part);
            if position + 1 < around.len() {
                self.value_as(sql, operand, repr)?;
                if repr == Repr::Text {
                    // Patterns cannot be used with every collation.
                    sql.push(" COLLATE \"C\"");
                }
            }
        }
        Ok(())
    }
}
