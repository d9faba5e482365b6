//! Percent-decoding of one piece of a URL that has already been split off.

use std::borrow::Cow;

/// What an unencoded plus sign stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as RFC 3986 has it.
    Literal,
    /// A space, as HTML forms and most client libraries send it in queries.
    Space,
}

/// Where decoding failed, in bytes of the encoded text, and why.
pub(super) struct DecodeError {
    pub(super) position: usize,
    pub(super) message: &'static str,
}

/// Decodes `text`; borrows it if there is nothing to decode.
pub(super) fn decode(text: &str, plus: Plus) -> Result<Cow<'_, str>, DecodeError> {
    let special = |b: &u8| *b == b'%' || (*b == b'+' && plus == Plus::Space);
    let Some(first) = text.bytes().position(|b| special(&b)) else {
        return Ok(Cow::Borrowed(text));
    };
    let bytes = text.as_bytes();
    let mut decoded = bytes[..first].to_vec();
    decoded.reserve(bytes.len() - first);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let high = bytes.get(at + 1).and_then(|b| hex(*b));
                let low = bytes.get(at + 2).and_then(|b| hex(*b));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(DecodeError {
                        position: at,
                        message: "expected two hexadecimal digits after '%'",
                    });
                };
                decoded.push(high << 4 | low);
                at += 2;
            }
            b'+' if plus == Plus::Space => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    match String::from_utf8(decoded) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(e) => Err(DecodeError {
            position: encoded_position(bytes, e.utf8_error().valid_up_to()),
            message: "the percent-encoded bytes are not UTF-8",
        }),
    }
}

/// Where the decoded byte number `index` stands in the encoded text.
fn encoded_position(bytes: &[u8], index: usize) -> usize {
    let mut at = 0;
    for _ in 0..index {
        at += if bytes[at] == b'%' { 3 } else { 1 };
    }
    at
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
