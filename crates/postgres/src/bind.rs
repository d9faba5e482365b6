//! Parameters and cursors: values on their way into PostgreSQL, exactly as they are.
//!
//! What must hold: a parameter is text and has no type of its own; the statement says what to read it as. So a value that PostgreSQL
//! sent in binary form goes back to it in the text that PostgreSQL itself would write.

use std::error::Error as StdError;
use std::fmt::Write as _;

use bytes::BytesMut;
use highwater_core::link::{Reader, put_bytes};
use highwater_core::{Error, Gone};
use highwater_odata::Value;
use highwater_sql::Param;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};
use tokio_postgres::{Client, Row, RowStream};

use crate::error::Fault;
use crate::row::{self, cell};

/// A cursor holds the key (and what `$orderby` names) of a row; rows with larger ones are refused.
const CURSOR_LEN_MAX_BYTES: usize = 8 * 1024;

/// A statement and its parameters.
#[derive(Debug)]
pub(crate) struct Statement {
    sql: String,
    params: Vec<Param>,
}

impl Statement {
    /// What the compiler of SQL wrote.
    pub(crate) fn new((sql, params): (String, Vec<Param>)) -> Statement {
        Statement { sql, params }
    }

    /// Sends the statement, without a name: behind a pooler, nobody knows which session of the server it reaches.
    pub(crate) async fn rows(&self, client: &Client) -> Result<RowStream, tokio_postgres::Error> {
        client.query_typed_raw(&self.sql, bound(&self.params)).await
    }
}

/// A parameter of a statement.
#[derive(Debug)]
pub(crate) struct Bound<'p>(&'p Param);

/// Parameters with the type that lets PostgreSQL find it out for itself.
pub(crate) fn bound(params: &[Param]) -> impl ExactSizeIterator<Item = (Bound<'_>, Type)> {
    params.iter().map(|param| (Bound(param), Type::UNKNOWN))
}

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            Param::Text(text) => out.extend_from_slice(text),
            Param::Value(value) => return put_value(value, out),
            Param::Parent(_) => return Err("rows of all parents are read at once".into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

fn put_value(value: &Value, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
    match value {
        Value::Null => return Ok(IsNull::Yes),
        Value::Boolean(truth) => out.extend_from_slice(if *truth { b"t" } else { b"f" }),
        Value::Integer(number) => write!(out, "{number}")?,
        Value::Double(number) => out.extend_from_slice(double(*number).as_bytes()),
        Value::String(text) | Value::Lexical(_, text) => out.extend_from_slice(text.as_bytes()),
        Value::Binary(bytes) => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                write!(out, "{byte:02x}")?;
            }
        }
    }
    Ok(IsNull::No)
}

/// The shortest text that is read back as the same number.
fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned()
    } else {
        format!("{number:e}")
    }
}

/// Appends the text that PostgreSQL itself would write of a value that it sent in binary form.
pub(crate) fn push_text(ty: &Type, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut text = String::new();
    match *ty {
        Type::BOOL => text.push(if bytes == [0] { 'f' } else { 't' }),
        Type::BYTEA => {
            text.push_str("\\x");
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
        Type::FLOAT4 => {
            let number = f32::from_be_bytes(fixed(bytes)?);
            if number.is_finite() {
                let _ = write!(text, "{number:e}");
            } else {
                text = double(number.into());
            }
        }
        Type::FLOAT8 => text = double(f64::from_be_bytes(fixed(bytes)?)),
        Type::INT2 => {
            let _ = write!(text, "{}", i16::from_be_bytes(fixed(bytes)?));
        }
        Type::INT4 => {
            let _ = write!(text, "{}", i32::from_be_bytes(fixed(bytes)?));
        }
        Type::INT8 => {
            let _ = write!(text, "{}", i64::from_be_bytes(fixed(bytes)?));
        }
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
            out.extend_from_slice(bytes);
        }
        _ => row::push_database_text(ty, bytes, &mut text)?,
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes
        .try_into()
        .map_err(|_| Error::Internal("PostgreSQL sent a number of an unknown length".into()).into())
}

/// Encodes the position behind a row: the values of the given columns of a statement.
///
/// # Errors
///
/// [`Error::Unsupported`] if they are too long for a link.
pub(crate) fn encode_cursor(
    row: &Row,
    positions: impl Iterator<Item = usize>,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let mut text = Vec::new();
    for position in positions {
        let Some(bytes) = cell(row, position)? else {
            out.push(0);
            continue;
        };
        out.push(1);
        text.clear();
        push_text(row.columns()[position].type_(), bytes, &mut text)?;
        put_bytes(&mut out, &text);
    }
    if out.len() > CURSOR_LEN_MAX_BYTES {
        return Err(Error::Unsupported(format!(
            "A key or a value to order by is longer than {CURSOR_LEN_MAX_BYTES} bytes, too long for a link to the next page. Order by something else, or ask for larger pages."
        ))
        .into());
    }
    Ok(out)
}

/// The opposite of [`encode_cursor`].
///
/// # Errors
///
/// [`Gone::Format`] if the cursor does not have this many values.
pub(crate) fn decode_cursor(cursor: &[u8], count: usize) -> Result<Vec<Param>, Gone> {
    let mut reader = Reader(cursor);
    let values: Option<Vec<Param>> = (0..count)
        .map(|_| {
            Some(match reader.byte()? {
                0 => Param::Value(Value::Null),
                1 => Param::Text(reader.bytes()?.to_vec()),
                _ => return None,
            })
        })
        .collect();
    match values {
        Some(values) if reader.0.is_empty() => Ok(values),
        _ => Err(Gone::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sent_as_postgresql_reads_them() {
        let check = |value: Value, expected: Option<&str>| {
            let param = Param::Value(value);
            let mut out = BytesMut::new();
            let is_null = Bound(&param).to_sql(&Type::UNKNOWN, &mut out).unwrap();
            let text = match is_null {
                IsNull::Yes => None,
                IsNull::No => Some(String::from_utf8(out.to_vec()).unwrap()),
            };
            assert_eq!(text.as_deref(), expected, "{param:?}");
        };
        check(Value::Null, None);
        check(Value::Boolean(true), Some("t"));
        check(Value::Integer(i64::MIN), Some("-9223372036854775808"));
        check(Value::Double(0.1), Some("1e-1"));
        check(Value::Double(-0.0), Some("-0e0"));
        check(Value::Double(f64::NEG_INFINITY), Some("-Infinity"));
        check(Value::Double(f64::NAN), Some("NaN"));
        check(Value::String("ü".into()), Some("ü"));
        check(Value::Binary(vec![0, 255]), Some("\\x00ff"));
    }

    #[test]
    fn binary_values_become_text_again() {
        let check = |ty: Type, bytes: &[u8], expected: &str| {
            let mut out = Vec::new();
            push_text(&ty, bytes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(Type::BOOL, &[1], "t");
        check(Type::INT2, &(-5_i16).to_be_bytes(), "-5");
        check(Type::INT4, &7_i32.to_be_bytes(), "7");
        check(Type::INT8, &i64::MAX.to_be_bytes(), "9223372036854775807");
        check(Type::FLOAT4, &0.1_f32.to_be_bytes(), "1e-1");
        check(Type::FLOAT8, &f64::INFINITY.to_be_bytes(), "Infinity");
        check(Type::TEXT, b"a\"b", "a\"b");
        check(Type::BYTEA, &[1, 171], "\\x01ab");
        check(Type::DATE, &(-730_486_i32).to_be_bytes(), "0002-12-31 BC");
        check(Type::DATE, &i32::MAX.to_be_bytes(), "infinity");
        check(
            Type::TIMESTAMP,
            &(-1_i64).to_be_bytes(),
            "1999-12-31 23:59:59.999999",
        );
        check(
            Type::TIMESTAMPTZ,
            &0_i64.to_be_bytes(),
            "2000-01-01 00:00:00+00",
        );
        check(Type::TIME, &86_400_000_000_i64.to_be_bytes(), "24:00:00");
        let mut interval = 3_600_000_000_i64.to_be_bytes().to_vec();
        interval.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        check(Type::INTERVAL, &interval, "2 mons 1 day 01:00:00");
        check(Type::NUMERIC, &[0, 0, 0, 0, 0xC0, 0, 0, 0], "NaN");
        check(Type::NUMERIC, &[0, 1, 0, 0, 0, 0, 0, 1, 0, 7], "7.0");
    }
}
