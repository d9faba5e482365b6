//! SQLite: where its rows and their old images are, and how it spells things.
//!
//! A snapshot that is not the current state is read as a relation: the current rows of the keys that have no undo record after it,
//! and for the others the image in the first one (DESIGN section 3). The history of a table with the id 7 is
//! `highwater_history_7(version, nonce, present, c0, c1, …)` with the index `highwater_history_7_key (key…, version)`; `c3` is the column
//! at position 3 of the catalog. Functions named `highwater_…` are registered by the store.

mod delta;
mod number;
mod page;

pub use delta::{DeltaSpec, delta};
pub use number::exact_number;
pub use page::{Driver, PageSpec, count, last_key, page};

use highwater_core::query::{Arithmetic, Function};
use highwater_core::{Catalog, Error, Expr};
use highwater_odata::{PrimitiveType, Value};
use regex::{Regex, RegexBuilder};

use crate::flavour::{Collation, Flavour, Kind, RowImage, RowRef, Spelling};
use crate::text::Sql;

/// Memory that a compiled pattern may use.
const PATTERN_SIZE_MAX_BYTES: usize = 1 << 20;

/// What must be known of a table beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLayout {
    /// Id of its history; `None` if it is not tracked.
    pub history: Option<i64>,
    /// How each column compares text.
    pub collations: Vec<Collation>,
    /// Columns of the key in which old tables may contain `NULL`; rows that do are no entities.
    pub nullable_key: Vec<usize>,
}

/// Writes SQL for SQLite.
#[derive(Clone, Copy, Debug)]
pub struct Sqlite<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// One for each table of the catalog.
    pub layouts: &'a [TableLayout],
    /// The snapshot to read, if it is not the current state.
    pub as_of: Option<i64>,
}

impl<'a> Sqlite<'a> {
    /// The history to look into for a table, and the version to look from.
    fn history(&self, table: usize) -> Option<(i64, i64)> {
        Some((self.layouts[table].history?, self.as_of?))
    }

    /// An empty statement.
    fn sql(&self) -> Sql {
        Sql::new(Self::PLACEHOLDER)
    }

    /// Writes that a current row has the key of an old image. Keys are the same byte by byte only; where the index of the key compares
    /// otherwise, the comparison is written twice, so that the index can be used.
    fn same_key(&self, sql: &mut Sql, current: RowRef, image: RowRef) {
        for (position, &column) in self.catalog.tables[current.table].key.iter().enumerate() {
            if position > 0 {
                sql.push(" AND ");
            }
            if let Collation::Coarser(index) = self.collation(current, column) {
                self.column(sql, current, column);
                sql.push(" COLLATE ");
                sql.push(index);
                sql.push(" = ");
                self.column(sql, image, column);
                sql.push(" AND ");
            }
            self.column(sql, current, column);
            if self.collation(current, column) != Collation::Binary {
                sql.push(Self::COLLATE_BINARY);
            }
            sql.push(" = ");
            self.column(sql, image, column);
        }
    }

    /// Writes ` AND key column IS NOT NULL` where that is not certain.
    fn has_key(&self, sql: &mut Sql, row: RowRef) {
        for &column in &self.layouts[row.table].nullable_key {
            sql.push(" AND ");
            self.column(sql, row, column);
            sql.push(" IS NOT NULL");
        }
    }

    /// Writes that the key of a row has an undo record after a version (and before the row's own version, if it is a record).
    fn touched(&self, sql: &mut Sql, row: RowRef, history: i64, after: i64, before: bool) {
        let earlier = RowRef {
            table: row.table,
            alias: crate::flavour::Alias::Named("e"),
            image: RowImage::History,
        };
        sql.push("EXISTS (SELECT 1 FROM ");
        history_name(sql, history);
        sql.push(" AS e WHERE ");
        self.same_key_in_history(sql, earlier, row);
        sql.push(" AND e.version > ");
        sql.bind_integer(after);
        if before {
            sql.push(" AND e.version < ");
            row.alias.write(sql);
            sql.push(".version");
        }
        sql.push(")");
    }

    /// As [`Self::same_key`] where the index of the history answers: always byte by byte.
    fn same_key_in_history(&self, sql: &mut Sql, history: RowRef, row: RowRef) {
        for (position, &column) in self.catalog.tables[row.table].key.iter().enumerate() {
            if position > 0 {
                sql.push(" AND ");
            }
            self.column(sql, history, column);
            sql.push(" = ");
            self.column(sql, row, column);
            if self.collation(row, column) != Collation::Binary {
                sql.push(Self::COLLATE_BINARY);
            }
        }
    }
}

fn history_name(sql: &mut Sql, history: i64) {
    sql.push("highwater_history_");
    sql.push_number(history);
}

impl Flavour for Sqlite<'_> {
    const PLACEHOLDER: char = '?';
    const SAME: &'static str = "IS";
    const DIFFERENT: &'static str = "IS NOT";
    const COLLATE_BINARY: &'static str = " COLLATE BINARY";

    fn relation(&self, sql: &mut Sql, table: usize) {
        let name = &self.catalog.tables[table].name;
        let Some((history, version)) = self.history(table) else {
            if self.layouts[table].nullable_key.is_empty() {
                sql.name(name);
                return;
            }
            sql.push("(SELECT * FROM ");
            sql.name(name);
            sql.push(" AS t WHERE 1");
            self.has_key(sql, page::current(table));
            sql.push(")");
            return;
        };
        let columns: Vec<usize> = (0..self.catalog.tables[table].columns.len()).collect();
        sql.push("(SELECT ");
        self.named_columns(sql, page::current(table), &columns);
        sql.push(" FROM ");
        sql.name(name);
        sql.push(" AS t WHERE NOT ");
        self.touched(sql, page::current(table), history, version, false);
        self.has_key(sql, page::current(table));
        sql.push(" UNION ALL SELECT ");
        self.named_columns(sql, page::old(table), &columns);
        sql.push(" FROM ");
        history_name(sql, history);
        sql.push(" AS h WHERE ");
        page::is_image(self, sql, page::old(table), history, version);
        self.has_key(sql, page::old(table));
        sql.push(")");
    }

    fn column(&self, sql: &mut Sql, row: RowRef, column: usize) {
        row.alias.write(sql);
        sql.push(".");
        match row.image {
            RowImage::Table => sql.name(&self.catalog.tables[row.table].columns[column].name),
            RowImage::History => {
                sql.push("c");
                sql.push_number(column as i64);
            }
        }
    }

    fn collation(&self, row: RowRef, column: usize) -> Collation {
        match row.image {
            RowImage::Table => self.layouts[row.table].collations[column],
            RowImage::History => Collation::Binary,
        }
    }

    fn literal(&self, value: &Value, kind: Kind) -> Result<Value, Error> {
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

    /// Every number is smaller than the empty text, every text and blob is not. Unlike `typeof`, an index can use it.
    fn is_number(&self) -> &'static str {
        " < ''"
    }

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
