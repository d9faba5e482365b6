//! Rows on their way from a template into a database of either kind.

/// A value of a row. The column says what it is there: an `Integer` may become a decimal, a `Text` a date or an id.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
}

/// Takes the rows of a template.
pub(super) trait Rows {
    /// Inserts a row: one value for each column of the table.
    fn insert(&mut self, table: &'static str, row: &[Value]) -> anyhow::Result<()>;
}

/// The values of a row.
macro_rules! row {
    ($($value:expr),* $(,)?) => { &[$($crate::templates::rows::Value::from($value)),*] };
}
pub(super) use row;

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
