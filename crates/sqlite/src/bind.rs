//! Parameters and cursors: values on their way into SQLite with exactly the storage class that they have.

use highwater_core::link::{Reader, put_bytes, put_uint};
use highwater_core::{Cursor, Error, Gone};
use highwater_odata::Value;
use highwater_sql::Param;
use rusqlite::types::{ToSqlOutput, ValueRef as Stored};
use rusqlite::{Row, Statement};

/// A cursor holds the key (and what `$orderby` names) of a row; rows with larger ones are refused.
const CURSOR_LEN_MAX_BYTES: usize = 8 * 1024;

/// Binds every parameter but those of a parent row.
pub(crate) fn bind(statement: &mut Statement<'_>, params: &[Param]) -> rusqlite::Result<()> {
    for (position, param) in params.iter().enumerate() {
        let stored = match param {
            Param::Value(value) => to_stored(value),
            Param::Text(bytes) => Stored::Text(bytes),
            Param::Parent(_) => continue,
        };
        statement.raw_bind_parameter(position + 1, ToSqlOutput::Borrowed(stored))?;
    }
    Ok(())
}

/// Binds the parameters of a parent row.
pub(crate) fn bind_parent<'r>(
    statement: &mut Statement<'_>,
    params: &[Param],
    value: impl Fn(usize) -> rusqlite::Result<Stored<'r>>,
) -> rusqlite::Result<()> {
    for (position, param) in params.iter().enumerate() {
        if let Param::Parent(column) = param {
            let stored = value(*column)?;
            statement.raw_bind_parameter(position + 1, ToSqlOutput::Borrowed(stored))?;
        }
    }
    Ok(())
}

/// The stored form of a value that the compiler of SQL or the conversion of inputs made: those have a storage class.
pub(crate) fn to_stored(value: &Value) -> Stored<'_> {
    match value {
        Value::Null => Stored::Null,
        Value::Boolean(false) => Stored::Integer(0),
        Value::Boolean(true) => Stored::Integer(1),
        Value::Integer(number) => Stored::Integer(*number),
        Value::Double(number) => Stored::Real(*number),
        Value::String(text) | Value::Lexical(_, text) => Stored::Text(text.as_bytes()),
        Value::Binary(bytes) => Stored::Blob(bytes),
    }
}

/// Encodes the position behind a row: the values of the given columns of a statement.
///
/// # Errors
///
/// [`Error::Unsupported`] if they are too long for a link.
pub(crate) fn encode_cursor(
    row: &Row<'_>,
    positions: impl Iterator<Item = usize>,
    out: &mut Vec<u8>,
) -> rusqlite::Result<Result<(), Error>> {
    out.clear();
    for position in positions {
        match row.get_ref(position)? {
            Stored::Null => out.push(0),
            Stored::Integer(number) => {
                out.push(1);
                // The sign goes into the lowest bit, so that small numbers of either sign are short.
                put_uint(out, ((number << 1) ^ (number >> 63)) as u64);
            }
            Stored::Real(number) => {
                out.push(2);
                out.extend_from_slice(&number.to_bits().to_be_bytes());
            }
            Stored::Text(text) => {
                out.push(3);
                put_bytes(out, text);
            }
            Stored::Blob(blob) => {
                out.push(4);
                put_bytes(out, blob);
            }
        }
    }
    Ok(if out.len() <= CURSOR_LEN_MAX_BYTES {
        Ok(())
    } else {
        Err(Error::Unsupported(format!(
            "A key or a value to order by is longer than {CURSOR_LEN_MAX_BYTES} bytes, too long for a link to the next page. Order by something else, or ask for larger pages."
        )))
    })
}

/// The opposite of [`encode_cursor`].
///
/// # Errors
///
/// [`Gone::Format`] if the cursor does not have this many values.
pub(crate) fn decode_cursor(cursor: &Cursor, count: usize) -> Result<Vec<Param>, Gone> {
    let mut reader = Reader(&cursor.0);
    let values: Option<Vec<Param>> = (0..count).map(|_| decode_value(&mut reader)).collect();
    match values {
        Some(values) if reader.0.is_empty() => Ok(values),
        _ => Err(Gone::Format),
    }
}

fn decode_value(reader: &mut Reader<'_>) -> Option<Param> {
    Some(match reader.byte()? {
        0 => Param::Value(Value::Null),
        1 => {
            let folded = reader.uint()?;
            Param::Value(Value::Integer(
                (folded >> 1) as i64 ^ -((folded & 1) as i64),
            ))
        }
        2 => Param::Value(Value::Double(f64::from_bits(reader.u64()?))),
        3 => Param::Text(reader.bytes()?.to_vec()),
        4 => Param::Value(Value::Binary(reader.bytes()?.to_vec())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn cursors_keep_storage_class_and_bytes() {
        let connection = Connection::open_in_memory().unwrap();
        let check = |expression: &str| {
            let sql = format!("SELECT {expression}, typeof({expression}), {expression}");
            let mut bytes = Vec::new();
            let mut statement = connection.prepare(&sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            let row = rows.next().unwrap().unwrap();
            encode_cursor(row, [0, 2].into_iter(), &mut bytes)
                .unwrap()
                .unwrap();
            let params = decode_cursor(&Cursor(bytes.clone()), 2).unwrap();
            assert_eq!(params[0], params[1]);
            let mut back = connection
                .prepare(&format!(
                    "SELECT ?1 IS {expression} AND typeof(?1) = typeof({expression})"
                ))
                .unwrap();
            bind(&mut back, &params[..1]).unwrap();
            let mut rows = back.raw_query();
            assert!(
                rows.next().unwrap().unwrap().get::<_, bool>(0).unwrap(),
                "{expression}"
            );
            assert_eq!(decode_cursor(&Cursor(bytes.clone()), 1), Err(Gone::Format));
            assert_eq!(decode_cursor(&Cursor(bytes), 3), Err(Gone::Format));
        };
        for expression in [
            "NULL",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "1.0",
            "-0.5",
            "1e300",
            "9e999",
            "''",
            "'ü'",
            "CAST(x'ff00' AS TEXT)",
            "x''",
            "x'00ff'",
        ] {
            check(expression);
        }
    }

    #[test]
    fn a_long_key_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare("SELECT zeroblob(9000)").unwrap();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap().unwrap();
        let refused = encode_cursor(row, std::iter::once(0), &mut Vec::new()).unwrap();
        assert!(matches!(refused, Err(Error::Unsupported(_))));
    }
}
