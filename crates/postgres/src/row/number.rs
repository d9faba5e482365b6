//! `numeric` and `uuid` as text.

/// What a `numeric` is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decimal {
    /// Digits, which have been written.
    Digits,
    /// Infinite or not a number. Nothing has been written.
    Special(f64),
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// Appends all digits of a `numeric`, with as many after the point as it displays. `None` if it is malformed.
pub(super) fn decimal(bytes: &[u8], out: &mut String) -> Option<Decimal> {
    let (head, digits) = bytes.split_at_checked(8)?;
    let field = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let count = usize::from(field(0));
    // The position of the first group of four digits: 0 stands just before the point.
    let weight = field(2) as i16;
    let scale = usize::from(field(6));
    match field(4) {
        0 => {}
        NEGATIVE => out.push('-'),
        NAN => return Some(Decimal::Special(f64::NAN)),
        INFINITY => return Some(Decimal::Special(f64::INFINITY)),
        MINUS_INFINITY => return Some(Decimal::Special(f64::NEG_INFINITY)),
        _ => return None,
    }
    if digits.len() != count * 2 {
        return None;
    }
    let group = |position: i32| -> u16 {
        // Groups that are not stored are zero, on both sides.
        usize::try_from(i32::from(weight) - position)
            .ok()
            .filter(|index| *index < count)
            .map_or(0, |index| {
                u16::from_be_bytes([digits[index * 2], digits[index * 2 + 1]])
            })
    };
    if weight < 0 {
        out.push('0');
    }
    for position in (0..=i32::from(weight)).rev() {
        push_group(group(position), position != i32::from(weight), out);
    }
    if scale > 0 {
        out.push('.');
        let begin = out.len();
        for position in 1..=scale.div_ceil(4) {
            push_group(group(-(position as i32)), true, out);
        }
        out.truncate(begin + scale);
    }
    Some(Decimal::Digits)
}

/// Appends four digits; leading zeros only where something stands before.
fn push_group(group: u16, padded: bool, out: &mut String) {
    let mut divisor = 1000;
    let mut shown = padded;
    while divisor > 0 {
        let digit = group / divisor % 10;
        shown |= digit != 0 || divisor == 1;
        if shown {
            out.push(char::from(b'0' + digit as u8));
        }
        divisor /= 10;
    }
}

/// Appends a `uuid` in its usual form. `None` if it is malformed.
pub(super) fn uuid(bytes: &[u8], out: &mut String) -> Option<()> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (number, byte) in bytes.iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.push_str(std::str::from_utf8(&text).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_every_digit() {
        let check = |digits: &[u16], weight: i16, sign: u16, scale: u16, expected: &str| {
            let mut bytes = Vec::new();
            for field in [digits.len() as u16, weight as u16, sign, scale] {
                bytes.extend_from_slice(&field.to_be_bytes());
            }
            for digit in digits {
                bytes.extend_from_slice(&digit.to_be_bytes());
            }
            let mut out = String::new();
            assert_eq!(
                decimal(&bytes, &mut out),
                Some(Decimal::Digits),
                "{expected}"
            );
            assert_eq!(out, expected);
        };
        check(&[], 0, 0, 0, "0");
        check(&[], -1, 0, 2, "0.00");
        check(&[1], 0, 0, 0, "1");
        check(&[1], 0, 0, 3, "1.000");
        check(&[12, 3400], 0, NEGATIVE, 2, "-12.34");
        check(&[1], 1, 0, 0, "10000");
        check(&[1, 0, 5], 2, 0, 0, "100000005");
        check(&[1], -1, 0, 4, "0.0001");
        check(&[1], -2, 0, 8, "0.00000001");
        check(&[9999, 9999], 0, 0, 4, "9999.9999");
        check(&[1, 2345, 6789], 1, 0, 1, "12345.6");
    }

    #[test]
    fn what_is_no_number_is_said_so_and_rubbish_is_refused() {
        let mut out = String::new();
        for (sign, expected) in [
            (INFINITY, f64::INFINITY),
            (MINUS_INFINITY, f64::NEG_INFINITY),
        ] {
            let mut bytes = vec![0; 8];
            bytes[4..6].copy_from_slice(&sign.to_be_bytes());
            assert_eq!(decimal(&bytes, &mut out), Some(Decimal::Special(expected)));
        }
        assert!(out.is_empty());
        for bytes in [
            &[0; 7][..],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 0, 0, 0],
        ] {
            assert_eq!(decimal(bytes, &mut out), None);
        }
    }

    #[test]
    fn uuids() {
        let mut out = String::new();
        let bytes: Vec<u8> = (0..16).map(|n| n * 17).collect();
        assert_eq!(uuid(&bytes, &mut out), Some(()));
        assert_eq!(out, "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(uuid(&bytes[1..], &mut out), None);
    }
}
