//! Where a literal without quotes ends. Only the shape is looked at; whether there is such a day is checked elsewhere.

use crate::PrimitiveType;

/// The length of a guid, in bytes.
const GUID_BYTES: usize = 36;

/// A guid at the start of `text`.
pub(crate) fn guid(text: &str) -> Option<(PrimitiveType, usize)> {
    let bytes = text.as_bytes().get(..GUID_BYTES)?;
    let fits = bytes.iter().enumerate().all(|(at, b)| match at {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    fits.then_some((PrimitiveType::Guid, GUID_BYTES))
}

/// A date, a time or both at the start of `text`. A space may stand for the plus sign of the offset.
pub(crate) fn date_or_time(text: &str) -> Option<(PrimitiveType, usize)> {
    let bytes = text.as_bytes();
    if let Some(length) = time(bytes) {
        return Some((PrimitiveType::TimeOfDay, length));
    }
    let date = date(bytes)?;
    let moment = matches!(bytes.get(date), Some(b'T' | b't'))
        .then(|| time(&bytes[date + 1..]))
        .flatten();
    Some(match moment {
        None => (PrimitiveType::Date, date),
        Some(time) => {
            let end = date + 1 + time;
            (PrimitiveType::DateTimeOffset, end + offset(&bytes[end..]))
        }
    })
}

/// The length of a number at the start of `text`; 0 if there is none. `-INF` counts as one.
pub(crate) fn number(text: &str) -> usize {
    if text.starts_with("-INF") {
        return 4;
    }
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(&bytes[sign..]);
    if whole == 0 {
        return 0;
    }
    let mut end = sign + whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(&bytes[end + 1..]);
        if fraction == 0 {
            return end;
        }
        end += 1 + fraction;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(&bytes[end + 1 + sign..]);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

/// `[-]YYYY-MM-DD`
fn date(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let year = digits(&bytes[sign..]);
    let end = sign + year;
    let tail = bytes.get(end..end + 6)?;
    let fits = year >= 4
        && matches!(tail, [b'-', a, b, b'-', c, d] if [a, b, c, d].iter().all(|b| b.is_ascii_digit()));
    fits.then_some(end + 6)
}

/// `HH:MM[:SS[.F]]`
fn time(bytes: &[u8]) -> Option<usize> {
    let minutes = bytes.get(..5)?;
    if !(minutes[2] == b':' && two_digits(bytes) && two_digits(&bytes[3..])) {
        return None;
    }
    if bytes.get(5) != Some(&b':') || !two_digits(&bytes[6..]) {
        return Some(5);
    }
    if bytes.get(8) != Some(&b'.') {
        return Some(8);
    }
    match digits(&bytes[9..]) {
        0 => Some(8),
        fraction => Some(9 + fraction),
    }
}

/// `Z` or `+HH:MM`; 0 if there is neither.
fn offset(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'Z' | b'z') => 1,
        Some(b'+' | b'-' | b' ') => {
            let fits = two_digits(&bytes[1..])
                && bytes.get(3) == Some(&b':')
                && two_digits(bytes.get(4..).unwrap_or_default());
            if fits { 6 } else { 0 }
        }
        _ => 0,
    }
}

fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Whether two digits come first.
fn two_digits(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit())
}
