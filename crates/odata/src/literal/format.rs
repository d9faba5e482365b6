//! Writing values as URL literals (ABNF `primitiveLiteral`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::{PrimitiveType, ValueRef};

/// Writes a value as it stands in a decoded URL: text in quotes, binaries and durations with their prefix.
///
/// Doubles carry an exponent (`1.5e0`), so that they are read as doubles again and not as decimals.
pub fn format_literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Boolean(v) => v.to_string(),
        ValueRef::Integer(v) => v.to_string(),
        ValueRef::Double(v) if v.is_nan() => "NaN".to_owned(),
        ValueRef::Double(f64::INFINITY) => "INF".to_owned(),
        ValueRef::Double(f64::NEG_INFINITY) => "-INF".to_owned(),
        ValueRef::Double(v) => format!("{v:e}"),
        ValueRef::String(v) => format!("'{}'", v.replace('\'', "''")),
        ValueRef::Binary(v) => format!("binary'{}'", URL_SAFE_NO_PAD.encode(v)),
        ValueRef::Lexical(PrimitiveType::Duration, v) => format!("duration'{v}'"),
        ValueRef::Lexical(_, v) => v.to_owned(),
    }
}

/// Writes a value for the parentheses of a path segment, percent-encoded: `Products('O''Neil%2F1')`.
pub fn format_key_literal(value: ValueRef<'_>) -> String {
    let literal = format_literal(value);
    let mut encoded = String::with_capacity(literal.len());
    for byte in literal.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex(byte >> 4));
            encoded.push(hex(byte & 15));
        }
    }
    encoded
}

/// Whether a byte may stand in a path segment (RFC 3986 `pchar`). `+`, `&` and `;` could, but some software between client and
/// server reads them as something else.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$'()*,=:@".contains(&byte)
}

fn hex(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16)
        .expect("a nibble is one hexadecimal digit")
        .to_ascii_uppercase()
}
