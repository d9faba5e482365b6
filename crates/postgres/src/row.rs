//! PostgreSQL's binary values as values of the entity model.
//!
//! What must hold: never lossy, never a panic. A value that its property's type cannot express becomes a value of its own type, and the
//! payload names that type. Memory is used again for every row. What is deliberately absent: SQL; the statement returns each column in
//! the form that belongs to its [`Family`], and everything that has none as text.

mod number;
mod temporal;

use std::error::Error as StdError;

use highwater_core::store::recycle;
use highwater_core::{Catalog, Error, etag};
use highwater_odata::{PrimitiveType, ValueRef};
use highwater_sql::postgres::{Family, TableLayout};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::error::Fault;

/// The bytes of a value as PostgreSQL sent them; `None` for `NULL`.
pub(crate) type Cell<'r> = Option<&'r [u8]>;

/// Which columns a statement returns, and how they become values.
#[derive(Clone, Debug)]
pub(crate) struct RowShape {
    /// How many columns the table has.
    width: usize,
    /// Columns of the table that the statement returns one after the other, with the families of their types.
    columns: Vec<(usize, Family)>,
    /// Columns of the key that are `real`. As a key, such a number is a decimal, which shows all of its digits.
    real_keys: Vec<usize>,
    /// Whether the whole row is read, to hash it.
    etag: bool,
}

/// Memory that is used again for every row.
#[derive(Default)]
pub(crate) struct Scratch {
    text: String,
    forms: Vec<Form>,
}

/// What a value that has no borrowed form becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The text between these positions, of this type.
    Lexical(PrimitiveType, usize, usize),
    /// The text between these positions, which the type of the property cannot express.
    String(usize, usize),
    Double(f64),
}

impl RowShape {
    /// What to read of a table for the columns that are asked for: also the key, what relations need, and everything if a hash
    /// is wanted.
    pub(crate) fn new(
        catalog: &Catalog,
        layouts: &[TableLayout],
        table: usize,
        columns: &[usize],
        relations: impl Iterator<Item = usize>,
        etag: bool,
    ) -> RowShape {
        let layout = &layouts[table];
        let table = &catalog.tables[table];
        RowShape {
            width: table.columns.len(),
            columns: table
                .columns_to_read(columns, relations, etag)
                .into_iter()
                .map(|column| (column, layout.columns[column].family))
                .collect(),
            real_keys: table
                .key
                .iter()
                .copied()
                .filter(|column| layout.columns[*column].is_real())
                .collect(),
            etag,
        }
    }

    /// Every column of a table.
    pub(crate) fn whole(catalog: &Catalog, layouts: &[TableLayout], table: usize) -> RowShape {
        RowShape::new(catalog, layouts, table, &[], std::iter::empty(), true)
    }

    /// The columns that the statement returns, in order.
    pub(crate) fn columns(&self) -> Vec<usize> {
        self.columns.iter().map(|(column, _)| *column).collect()
    }

    /// How many columns the statement returns.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Where a column of the table is among those that the statement returns.
    pub(crate) fn position(&self, column: usize) -> usize {
        self.columns
            .binary_search_by_key(&column, |(column, _)| *column)
            .expect("a row is read with every column that is used")
    }

    /// Checks that a statement returns what the shape describes, `first` being the position of the first column.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaChanged`] if a column has another type by now.
    pub(crate) fn check(&self, row: &Row, first: usize) -> Result<(), Fault> {
        let columns = row.columns().get(first..).unwrap_or_default();
        let fits = self.columns.len() <= columns.len()
            && columns
                .iter()
                .zip(&self.columns)
                .all(|(column, (_, family))| sent_as(*family, column.type_()));
        if fits {
            Ok(())
        } else {
            Err(Error::SchemaChanged.into())
        }
    }

    /// The values of a row, one for each column of the table; those that are not read are null. `first` is the position of the
    /// first of them in the statement's row. `only` leaves out all others than these columns of the table.
    ///
    /// `values` is memory to use again: its content is gone, what is returned has its capacity.
    pub(crate) fn values<'r>(
        &self,
        row: &'r Row,
        first: usize,
        only: Option<&[usize]>,
        scratch: &'r mut Scratch,
        values: Vec<ValueRef<'_>>,
    ) -> Result<Vec<ValueRef<'r>>, Fault> {
        scratch.text.clear();
        scratch.forms.clear();
        let mut values = recycle(values);
        values.resize(self.width, ValueRef::Null);
        for (position, &(column, family)) in self.columns.iter().enumerate() {
            if only.is_some_and(|only| !only.contains(&column)) {
                continue;
            }
            let Some(bytes) = cell(row, first + position)? else {
                continue;
            };
            match borrowed(family, bytes) {
                Some(value) => values[column] = value,
                None => {
                    let form = scratch.form(family, bytes)?;
                    // Which form it is follows from the order; the place is taken in the second pass.
                    scratch.forms.push(form);
                    values[column] = PENDING;
                }
            }
        }
        let scratch: &'r Scratch = scratch;
        let mut forms = scratch.forms.iter();
        for &(column, family) in &self.columns {
            if is_written(family)
                && values[column] == PENDING
                && let Some(form) = forms.next()
            {
                values[column] = form.value(&scratch.text);
            }
        }
        for &column in &self.real_keys {
            if let ValueRef::Double(number) = values[column] {
                values[column] = ValueRef::Double(with_same_digits(number as f32));
            }
        }
        Ok(values)
    }

    /// The hash of a row with these values, if the query asks for it.
    pub(crate) fn etag(&self, values: &[ValueRef<'_>], bytes: &mut Vec<u8>) -> Option<u64> {
        self.etag.then(|| etag::hash(values, bytes))
    }
}

/// Stands for a value that is written in the second pass. No written value is a Boolean, so it cannot be taken for one.
const PENDING: ValueRef<'static> = ValueRef::Boolean(true);

/// Whether values of a family are written anew, because PostgreSQL does not send the form that a payload shows.
fn is_written(family: Family) -> bool {
    matches!(
        family,
        Family::Numeric
            | Family::Uuid
            | Family::Date
            | Family::Time
            | Family::Timestamp
            | Family::TimestampTz
            | Family::Interval
    )
}

/// The value, if it is one that the bytes show as they are.
fn borrowed(family: Family, bytes: &[u8]) -> Option<ValueRef<'_>> {
    Some(match (family, bytes) {
        (Family::Boolean, [truth]) => ValueRef::Boolean(*truth != 0),
        (Family::Integer, bytes) => match bytes.len() {
            2 => ValueRef::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into()),
            4 => ValueRef::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into()),
            8 => ValueRef::Integer(i64::from_be_bytes(bytes.try_into().ok()?)),
            _ => return None,
        },
        (Family::Float, bytes) => match bytes.len() {
            4 => ValueRef::Double(canonical(f32::from_be_bytes(bytes.try_into().ok()?).into())),
            8 => ValueRef::Double(canonical(f64::from_be_bytes(bytes.try_into().ok()?))),
            _ => return None,
        },
        // A database whose encoding is SQL_ASCII may hold anything.
        (Family::Text | Family::Other, bytes) => {
            std::str::from_utf8(bytes).map_or(ValueRef::Binary(bytes), ValueRef::String)
        }
        (Family::Bytea, bytes) => ValueRef::Binary(bytes),
        _ => return None,
    })
}

/// Whether two values of a row, which have one type, look the same in a payload. The binary forms are canonical, but for `NaN`: what
/// PostgreSQL computes has other bits than what it reads from a text, such as an old image.
///
/// # Errors
///
/// If the row has no such columns.
pub(crate) fn look_the_same(row: &Row, one: usize, other: usize) -> Result<bool, Fault> {
    let (a, b) = (cell(row, one)?, cell(row, other)?);
    Ok(a == b || (is_nan(row, one, a) && is_nan(row, other, b)))
}

fn is_nan(row: &Row, position: usize, cell: Cell<'_>) -> bool {
    let ty = row.columns()[position].type_();
    let is_float = matches!(*ty, Type::FLOAT4 | Type::FLOAT8);
    is_float
        && cell
            .and_then(|bytes| borrowed(Family::Float, bytes))
            .is_some_and(|value| matches!(value, ValueRef::Double(number) if number.is_nan()))
}

/// The number, in one form if it is none: entity tags are of the bits.
fn canonical(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

/// The double that looks like this number when it is written: the nearest one to a tenth is 0.10000000149011612.
fn with_same_digits(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(number.into())
}

impl Scratch {
    fn form(&mut self, family: Family, bytes: &[u8]) -> Result<Form, Fault> {
        use PrimitiveType as T;
        let begin = self.text.len();
        let out = &mut self.text;
        let written = match family {
            Family::Numeric => match number::decimal(bytes, out) {
                Some(number::Decimal::Digits) => Some(T::Decimal),
                Some(number::Decimal::Special(number)) => return Ok(Form::Double(number)),
                None => return Err(malformed(family)),
            },
            Family::Uuid => number::uuid(bytes, out).map(|()| T::Guid),
            Family::Date => temporal::date(bytes, out).map(|fits| odata(fits, T::Date)),
            Family::Time => temporal::time(bytes, out).map(|fits| odata(fits, T::TimeOfDay)),
            Family::Timestamp | Family::TimestampTz => {
                temporal::date_time(bytes, out).map(|fits| odata(fits, T::DateTimeOffset))
            }
            Family::Interval => temporal::interval(bytes, out).map(|fits| odata(fits, T::Duration)),
            _ => None,
        };
        let end = self.text.len();
        match written {
            Some(T::String) => Ok(Form::String(begin, end)),
            Some(ty) => Ok(Form::Lexical(ty, begin, end)),
            None => Err(malformed(family)),
        }
    }
}

impl Form {
    fn value(self, text: &str) -> ValueRef<'_> {
        match self {
            Form::Lexical(ty, begin, end) => ValueRef::Lexical(ty, &text[begin..end]),
            Form::String(begin, end) => ValueRef::String(&text[begin..end]),
            Form::Double(number) => ValueRef::Double(number),
        }
    }
}

/// The type of a text: the one that it has in OData, if that can express it.
fn odata(fits: bool, ty: PrimitiveType) -> PrimitiveType {
    if fits { ty } else { PrimitiveType::String }
}

fn malformed(family: Family) -> Fault {
    Error::Internal(format!(
        "PostgreSQL sent a value of the family {family:?} in a form that it does not document"
    ))
    .into()
}

/// Appends the text that PostgreSQL itself would write of a value that is not text, a whole number or a float.
///
/// # Errors
///
/// [`Error::Internal`] if it is of no type that has a [`Family`].
pub(crate) fn push_database_text(ty: &Type, bytes: &[u8], out: &mut String) -> Result<(), Fault> {
    let written = match *ty {
        Type::NUMERIC => number::decimal(bytes, out).map(|decimal| {
            if let number::Decimal::Special(number) = decimal {
                out.push_str(match number {
                    f64::INFINITY => "Infinity",
                    f64::NEG_INFINITY => "-Infinity",
                    _ => "NaN",
                });
            }
        }),
        Type::UUID => number::uuid(bytes, out),
        Type::DATE => temporal::database_date(bytes, out),
        Type::TIME => temporal::time(bytes, out).map(|_| ()),
        Type::TIMESTAMP => temporal::database_date_time(bytes, "", out),
        Type::TIMESTAMPTZ => temporal::database_date_time(bytes, "+00", out),
        Type::INTERVAL => temporal::database_interval(bytes, out),
        _ => None,
    };
    written.ok_or_else(|| {
        Error::Internal(format!(
            "PostgreSQL sent a value of the type {ty} unexpectedly"
        ))
        .into()
    })
}

/// Whether values of a type come in the form that the family has.
fn sent_as(family: Family, ty: &Type) -> bool {
    let types: &[Type] = match family {
        Family::Boolean => &[Type::BOOL],
        Family::Integer => &[Type::INT2, Type::INT4, Type::INT8],
        Family::Numeric => &[Type::NUMERIC],
        Family::Float => &[Type::FLOAT4, Type::FLOAT8],
        Family::Text => &[Type::TEXT, Type::VARCHAR, Type::NAME],
        Family::Uuid => &[Type::UUID],
        Family::Date => &[Type::DATE],
        Family::Time => &[Type::TIME],
        Family::Timestamp => &[Type::TIMESTAMP],
        Family::TimestampTz => &[Type::TIMESTAMPTZ],
        Family::Interval => &[Type::INTERVAL],
        Family::Bytea => &[Type::BYTEA],
        Family::Other => &[Type::TEXT],
    };
    types.contains(ty)
}

/// The bytes of a value of a row.
pub(crate) fn cell(row: &Row, position: usize) -> Result<Cell<'_>, Fault> {
    Ok(row.try_get::<_, Raw<'_>>(position)?.0)
}

/// The text of a value that the statement returns as `text`.
pub(crate) fn text(row: &Row, position: usize) -> Result<Option<&str>, Fault> {
    match cell(row, position)?.map(std::str::from_utf8) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => {
            Err(Error::Internal("PostgreSQL sent text that is not UTF-8".into()).into())
        }
    }
}

/// A condition that is `NULL` does not hold.
pub(crate) fn truth(row: &Row, position: usize) -> Result<bool, Fault> {
    Ok(row.try_get::<_, Option<bool>>(position)?.unwrap_or(false))
}

/// A value of any type, not decoded.
struct Raw<'r>(Cell<'r>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
