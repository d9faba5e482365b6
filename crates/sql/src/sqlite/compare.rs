//! How SQLite compares: values have a type of their own, so what is stored in a column may be anything.

use highwater_core::query::{Comparison, Scope};
use highwater_core::{Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use super::Sqlite;
use super::number::exact_number;
use crate::expr::Compiler;
use crate::flavour::{Flavour as _, RowImage, RowRef, is_null};
use crate::text::{Param, Sql};

const DIFFERENT: &str = "IS NOT";

/// How a column's text is compared by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collation {
    /// Byte by byte, as OData demands.
    Binary,
    /// Another way, in which some different texts are equal (and equal texts are). The name is the collation of the index
    /// that can find one text; what it finds has to be compared byte by byte again.
    Coarser(&'static str),
    /// Unknown here; the database may not even be able to use it.
    Foreign,
}

/// How values compare, by their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers, Booleans, bytes.
    Plain,
    /// Text, or values of unknown type.
    Text,
    /// `Edm.DateTimeOffset`
    Instant,
    /// `Edm.Date`
    Date,
    /// `Edm.TimeOfDay`
    Time,
    /// `Edm.Duration`
    Duration,
    /// `Edm.Guid`
    Guid,
}

impl Kind {
    /// How values of a type compare with each other.
    pub(super) fn of(ty: PrimitiveType) -> Kind {
        match ty {
            PrimitiveType::String | PrimitiveType::Any => Kind::Text,
            PrimitiveType::DateTimeOffset => Kind::Instant,
            PrimitiveType::Date => Kind::Date,
            PrimitiveType::TimeOfDay => Kind::Time,
            PrimitiveType::Duration => Kind::Duration,
            PrimitiveType::Guid => Kind::Guid,
            _ => Kind::Plain,
        }
    }

    /// How values of two types compare with each other: a type that says more than the other decides.
    pub(super) fn of_pair(left: PrimitiveType, right: PrimitiveType) -> Kind {
        match (Kind::of(left), Kind::of(right)) {
            (a, b) if a == b => a,
            (Kind::Date, Kind::Instant) | (Kind::Instant, Kind::Date) => Kind::Instant,
            (Kind::Text, other) | (other, Kind::Text) => other,
            _ => Kind::Plain,
        }
    }
}

impl Compiler<'_, Sqlite<'_>> {
    pub(super) fn compare_values(
        &mut self,
        sql: &mut Sql,
        operator: Comparison,
        left: &Expr,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        match operator {
            Comparison::Eq => self.equal(sql, left, right, only_truth),
            Comparison::Ne => self.infix(sql, left, DIFFERENT, right, true),
            Comparison::Gt => self.ordered(sql, left, ">", right, only_truth),
            Comparison::Ge => self.ordered(sql, left, ">=", right, only_truth),
            Comparison::Lt => self.ordered(sql, left, "<", right, only_truth),
            Comparison::Le => self.ordered(sql, left, "<=", right, only_truth),
        }
    }

    fn equal(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        let (left, right) = match (left, right) {
            (Expr::Literal(_), Expr::Column { .. }) => (right, left),
            _ => (left, right),
        };
        let constant = matches!(right, Expr::Literal(_));
        let operator = if only_truth && constant {
            "="
        } else {
            Sqlite::SAME
        };
        if let (Expr::Column { scope, column, .. }, Expr::Literal(value)) = (left, right) {
            let kind = Kind::of_pair(left.ty(), right.ty());
            if let (Kind::Guid, true, Value::Lexical(_, text)) = (kind, only_truth, value)
                && self.is_key(*scope, *column)
            {
                self.guid_key(sql, (*scope, *column), text);
                return Ok(());
            }
            if let (Kind::Text, true, Collation::Coarser(index)) = (
                kind,
                only_truth,
                self.flavour.collation(self.row(*scope), *column),
            ) {
                // The first condition can use an index, the second is the one that OData means.
                let mark = sql.mark();
                sql.push("(");
                self.column(sql, *scope, *column);
                sql.push(" COLLATE ");
                sql.push(index);
                sql.push(" = ");
                self.literal(sql, value, kind)?;
                sql.push(" AND ");
                self.column(sql, *scope, *column);
                sql.push(Sqlite::COLLATE_BINARY);
                sql.push(" = ");
                let end = sql.repeat_from(mark);
                self.literal(sql, value, kind)?;
                sql.resume(end);
                sql.push(")");
                return Ok(());
            }
        }
        self.infix(sql, left, operator, right, true)
    }

    /// Ids are equal whatever the case of their digits. Both usual forms are looked up in the index of the key; a key in mixed case is
    /// found under the form in which it was given only.
    fn guid_key(&mut self, sql: &mut Sql, (scope, column): (Scope, usize), text: &str) {
        let forms = [
            text.to_ascii_lowercase(),
            text.to_ascii_uppercase(),
            text.to_owned(),
        ];
        sql.push("(");
        self.column(sql, scope, column);
        sql.push(" IN (");
        for (position, form) in forms.into_iter().enumerate() {
            if position > 0 {
                sql.push(", ");
            }
            sql.bind(Param::Value(Value::String(form)));
        }
        sql.push("))");
    }

    fn ordered(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        operator: &str,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        if !only_truth {
            sql.push("(");
        }
        // The larger side: text in a numeric column compares as larger than every number.
        let larger = if operator.starts_with('>') {
            left
        } else {
            right
        };
        let guard = match larger {
            Expr::Column { scope, column, ty } if ty.is_numeric() => Some((*scope, *column)),
            _ => None,
        };
        if let Some((scope, column)) = guard {
            sql.push("(");
            self.infix(sql, left, operator, right, false)?;
            sql.push(" AND ");
            self.column(sql, scope, column);
            sql.push(self.flavour.is_number());
            sql.push(")");
        } else {
            self.infix(sql, left, operator, right, false)?;
        }
        if !only_truth {
            sql.push(" IS TRUE)");
        }
        Ok(())
    }

    fn infix(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        operator: &str,
        right: &Expr,
        keep_foreign: bool,
    ) -> Result<(), Error> {
        let kind = Kind::of_pair(left.ty(), right.ty());
        sql.push("(");
        self.operand(sql, left, kind, keep_foreign)?;
        if kind == Kind::Text && (self.needs_collation(left) || self.needs_collation(right)) {
            sql.push(Sqlite::COLLATE_BINARY);
        }
        sql.push(" ");
        sql.push(operator);
        sql.push(" ");
        self.operand(sql, right, kind, keep_foreign)?;
        sql.push(")");
        Ok(())
    }

    /// Writes a value in its comparable form. A stored value that is not of the kind becomes `NULL`, or is kept as it is if
    /// `keep_foreign`: two different ones must not be equal.
    pub(super) fn operand(
        &mut self,
        sql: &mut Sql,
        expr: &Expr,
        kind: Kind,
        keep_foreign: bool,
    ) -> Result<(), Error> {
        if let Expr::Literal(value) = expr {
            if let Some(function) = self.flavour.comparable(kind) {
                sql.push(function);
                sql.push("(");
                self.literal(sql, value, kind)?;
                sql.push(")");
                return Ok(());
            }
            return self.literal(sql, value, kind);
        }
        let Some(function) = self.flavour.comparable(kind) else {
            if let Expr::Column { scope, column, .. } = expr {
                // A Boolean column too: an index of it can be used, and a stored 2 is neither true nor false.
                self.column(sql, *scope, *column);
                return Ok(());
            }
            return self.value(sql, expr);
        };
        if keep_foreign {
            sql.push("COALESCE(");
        }
        let mark = sql.mark();
        sql.push(function);
        sql.push("(");
        self.value(sql, expr)?;
        sql.push(")");
        if keep_foreign {
            sql.push(", ");
            let end = sql.repeat_from(mark);
            self.value(sql, expr)?;
            sql.resume(end);
            sql.push(")");
        }
        Ok(())
    }

    /// Whether the text of an expression would otherwise compare by a column's collation.
    pub(super) fn needs_collation(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column { scope, column, .. } => {
                self.flavour.collation(self.row(*scope), *column) != Collation::Binary
            }
            Expr::Related { then, .. } => Kind::of(then.ty()) == Kind::Text,
            _ => false,
        }
    }

    fn is_key(&self, scope: Scope, column: usize) -> bool {
        let row = self.row(scope);
        self.catalog.tables[row.table].key.contains(&column)
    }

    pub(super) fn is_in_list(
        &mut self,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error> {
        let nulls = list.iter().any(is_null);
        let kind =
            list.iter()
                .filter(|item| !is_null(item))
                .fold(Kind::of(operand.ty()), |kind, item| match kind {
                    Kind::Text => Kind::of(item.ty()),
                    kind => kind,
                });
        sql.push("((");
        let mark = sql.mark();
        self.operand(sql, operand, kind, true)?;
        if kind == Kind::Text && self.needs_collation(operand) {
            sql.push(Sqlite::COLLATE_BINARY);
        }
        sql.push(" IN (");
        let mut first = true;
        for item in list.iter().filter(|item| !is_null(item)) {
            if !first {
                sql.push(", ");
            }
            first = false;
            self.operand(sql, item, kind, false)?;
        }
        sql.push(")");
        if !only_truth {
            sql.push(" IS TRUE");
        }
        sql.push(")");
        if nulls {
            sql.push(" OR ");
            let end = sql.repeat_from(mark);
            self.value(sql, operand)?;
            sql.resume(end);
            sql.push(" IS NULL");
        }
        sql.push(")");
        Ok(())
    }

    pub(super) fn literal(&self, sql: &mut Sql, value: &Value, kind: Kind) -> Result<(), Error> {
        let value = self.flavour.bound(value, kind)?;
        sql.bind(Param::Value(value));
        Ok(())
    }

    fn column(&self, sql: &mut Sql, scope: Scope, column: usize) {
        self.flavour.column(sql, self.row(scope), column);
    }
}

impl Sqlite<'_> {
    /// How the database compares the text of a column if nothing is said.
    pub(super) fn collation(&self, row: RowRef, column: usize) -> Collation {
        match row.image {
            RowImage::Table => self.layouts[row.table].collations[column],
            RowImage::History => Collation::Binary,
        }
    }

    /// The value to bind for a literal.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if SQLite cannot compare with it exactly.
    fn bound(&self, value: &Value, kind: Kind) -> Result<Value, Error> {
        Ok(match value {
            Value::Boolean(value) => Value::Integer(i64::from(*value)),
            Value::Double(number) if number.is_nan() => {
                return Err(Error::Unsupported(
                    "NaN cannot be compared with: SQLite does not store it.".into(),
                ));
            }
            Value::Lexical(PrimitiveType::Decimal, text) => {
                exact_number(text).ok_or_else(|| {
                    Error::Unsupported(format!(
                        "The number {text} has more digits than SQLite can compare exactly. Use at most 15."
                    ))
                })?
            }
            Value::Lexical(PrimitiveType::Guid, text) => Value::String(text.to_ascii_lowercase()),
            Value::Lexical(_, text) => {
                if matches!(kind, Kind::Instant | Kind::Date)
                    && !text.get(4..5).is_some_and(|c| c == "-" && !text.starts_with('-'))
                {
                    return Err(Error::Unsupported(format!(
                        "{text} cannot be compared with: only the years 0000 to 9999 are supported."
                    )));
                }
                Value::String(text.clone())
            }
            other => other.clone(),
        })
    }

    /// The function that turns stored values of a kind into values that SQL compares correctly, and anything else into `NULL`;
    /// `None` if SQL compares stored values correctly as they are.
    fn comparable(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::Plain | Kind::Text => None,
            Kind::Instant => Some("highwater_instant"),
            Kind::Date => Some("highwater_date"),
            Kind::Time => Some("highwater_time"),
            Kind::Duration => Some("highwater_duration"),
            Kind::Guid => Some("highwater_guid"),
        }
    }

    /// A condition on a numeric column that is false for stored values that are no numbers and would compare as larger than any number.
    /// Every number is smaller than the empty text, every text and blob is not. Unlike `typeof`, an index can use it.
    fn is_number(&self) -> &'static str {
        " < ''"
    }
}
