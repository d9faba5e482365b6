//! Primitive values in JSON (JSON Format 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::format::Format;
use super::text::write_string;
use crate::{PrimitiveType, ValueRef};

/// Digits that the expansion of an exponent may add. Beyond it an exponent stays: a decimal that a few bytes describe must not
/// become megabytes.
const EXPANDED_DECIMAL_LEN_MAX_BYTES: usize = 1024;

/// How values are written, decided once for a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    /// 64-bit integers and decimals as strings.
    quote_wide_numbers: bool,
    /// Decimals keep an exponent.
    keep_exponents: bool,
}

impl Encoding {
    pub(crate) const fn new(format: &Format) -> Encoding {
        Encoding {
            quote_wide_numbers: format.ieee754_compatible,
            keep_exponents: format.exponential_decimals,
        }
    }

    /// Appends a value that has (or is announced to have) the type `ty`.
    #[inline]
    pub(crate) fn write(self, out: &mut Vec<u8>, value: ValueRef<'_>, ty: PrimitiveType) {
        match value {
            ValueRef::String(text) => write_string(out, text),
            ValueRef::Integer(number) => {
                let wide = matches!(ty, PrimitiveType::Int64 | PrimitiveType::Decimal);
                self.write_integer(out, number, wide);
            }
            ValueRef::Null => out.extend_from_slice(b"null"),
            ValueRef::Boolean(true) => out.extend_from_slice(b"true"),
            ValueRef::Boolean(false) => out.extend_from_slice(b"false"),
            ValueRef::Double(number) => self.write_double(out, number, ty),
            ValueRef::Lexical(PrimitiveType::Decimal, text) => self.write_decimal(out, text),
            // Valid forms need no escape, but a store that breaks its word must not break the payload.
            ValueRef::Lexical(_, text) => write_string(out, text),
            ValueRef::Binary(bytes) => write_binary(out, bytes),
        }
    }

    fn write_integer(self, out: &mut Vec<u8>, number: i64, wide: bool) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        if wide && self.quote_wide_numbers {
            write_quoted(out, digits);
        } else {
            out.extend_from_slice(digits);
        }
    }

    /// A count, which is an `Edm.Int64` for this purpose (JSON Format 3.2).
    pub(crate) fn write_count(self, out: &mut Vec<u8>, count: u64) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(count).as_bytes();
        if self.quote_wide_numbers {
            write_quoted(out, digits);
        } else {
            out.extend_from_slice(digits);
        }
    }

    fn write_double(self, out: &mut Vec<u8>, number: f64, ty: PrimitiveType) {
        if !number.is_finite() {
            let text: &[u8] = match number {
                f64::INFINITY => b"INF",
                f64::NEG_INFINITY => b"-INF",
                _ => b"NaN",
            };
            return write_quoted(out, text);
        }
        let mut buffer = zmij::Buffer::new();
        match ty {
            PrimitiveType::Decimal => self.write_decimal(out, buffer.format_finite(number)),
            // The shortest text of a single that was widened is far longer if it is taken for a double.
            PrimitiveType::Single => {
                out.extend_from_slice(buffer.format_finite(number as f32).as_bytes());
            }
            _ => out.extend_from_slice(buffer.format_finite(number).as_bytes()),
        }
    }

    /// Appends a decimal in OData's lexical form, which allows more than JSON does: a plus sign and leading zeros.
    fn write_decimal(self, out: &mut Vec<u8>, text: &str) {
        let start = out.len();
        if self.quote_wide_numbers {
            out.push(b'"');
        }
        if is_plain_decimal(text.as_bytes()) {
            out.extend_from_slice(text.as_bytes());
        } else if !self.rewrite_decimal(out, text) {
            // INF, -INF and NaN, which 4.01 allows for decimals too.
            out.truncate(start);
            return write_string(out, text);
        }
        if self.quote_wide_numbers {
            out.push(b'"');
        }
    }

    /// Appends a decimal as a JSON number; `false` (and rubbish in `out`) if the text is none.
    fn rewrite_decimal(self, out: &mut Vec<u8>, text: &str) -> bool {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
        let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if whole.is_empty()
            || ![whole, fraction, exponent_digits]
                .iter()
                .all(|d| all_digits(d))
        {
            return false;
        }
        if negative {
            out.push(b'-');
        }
        let power = match exponent {
            "" => Some(0),
            digits => digits.parse::<i32>().ok(),
        };
        let expandable = power.filter(|_| !self.keep_exponents || exponent.is_empty());
        if expandable.is_some_and(|power| expand(out, whole, fraction, power)) {
            return true;
        }
        push_whole(out, whole.trim_start_matches('0'));
        push_fraction(out, fraction);
        out.push(b'e');
        out.extend_from_slice(exponent.as_bytes());
        true
    }
}

/// Appends `whole.fraction × 10^power` without an exponent; `false`, and nothing appended, if that would be too long.
fn expand(out: &mut Vec<u8>, whole: &str, fraction: &str, power: i32) -> bool {
    let shift = power.unsigned_abs() as usize;
    if shift > EXPANDED_DECIMAL_LEN_MAX_BYTES {
        return false;
    }
    let digits = format!("{whole}{fraction}");
    let point = whole.len();
    if power >= 0 {
        let point = point + shift;
        let padded = format!("{digits:0<point$}");
        push_whole(out, padded[..point].trim_start_matches('0'));
        push_fraction(out, &padded[point..]);
    } else if shift < point {
        push_whole(out, digits[..point - shift].trim_start_matches('0'));
        push_fraction(out, &digits[point - shift..]);
    } else {
        push_whole(out, "");
        let zeros = shift - point;
        push_fraction(out, &format!("{:0<zeros$}{digits}", ""));
    }
    true
}

fn push_whole(out: &mut Vec<u8>, digits: &str) {
    out.extend_from_slice(if digits.is_empty() {
        b"0"
    } else {
        digits.as_bytes()
    });
}

fn push_fraction(out: &mut Vec<u8>, digits: &str) {
    if !digits.is_empty() {
        out.push(b'.');
        out.extend_from_slice(digits.as_bytes());
    }
}

/// Whether the text is a JSON number without an exponent already.
fn is_plain_decimal(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let whole_len = unsigned.iter().take_while(|b| b.is_ascii_digit()).count();
    let (whole, rest) = unsigned.split_at(whole_len);
    let whole_fits = matches!(whole, [b'0'] | [b'1'..=b'9', ..]);
    let rest_fits = match rest {
        [] => true,
        [b'.', fraction @ ..] => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    whole_fits && rest_fits
}

/// Appends bytes as base64url. The padding is optional in OData and wanted by many decoders.
fn write_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    // Four characters for every three bytes or part of them.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = URL_SAFE
        .encode_slice(bytes, &mut out[start..])
        .expect("the slice has the length of padded base64");
    out.truncate(start + written);
    out.push(b'"');
}

fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    fn written(value: ValueRef<'_>, ty: PrimitiveType, format: Format) -> String {
        let mut out = Vec::new();
        Encoding::new(&format).write(&mut out, value, ty);
        serde_json::from_slice::<&serde_json::value::RawValue>(&out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_have_the_form_of_their_type() {
        use PrimitiveType as T;
        use ValueRef as V;
        let plain = Format::new(Version::V4_01);
        let cases = [
            (V::Null, T::String, "null"),
            (V::Boolean(true), T::Boolean, "true"),
            (V::Boolean(false), T::Boolean, "false"),
            (V::Integer(i64::MIN), T::Int64, "-9223372036854775808"),
            (V::Integer(5), T::Double, "5"),
            (V::Double(0.1), T::Double, "0.1"),
            (V::Double(-0.0), T::Double, "-0.0"),
            (V::Double(1e300), T::Double, "1e+300"),
            (V::Double(f64::from(0.1_f32)), T::Single, "0.1"),
            (V::Double(f64::INFINITY), T::Double, "\"INF\""),
            (V::Double(f64::NEG_INFINITY), T::Single, "\"-INF\""),
            (V::Double(f64::NAN), T::Double, "\"NaN\""),
            (V::Double(1e21), T::Decimal, "1000000000000000000000"),
            (V::Double(1.5e-10), T::Decimal, "0.00000000015"),
            (V::Binary(b""), T::Binary, "\"\""),
            (V::Binary(&[0xfb, 0xff]), T::Binary, "\"-_8=\""),
            (V::Binary(b"abc"), T::Binary, "\"YWJj\""),
            (V::Lexical(T::Date, "2024-02-29"), T::Date, "\"2024-02-29\""),
        ];
        for (value, ty, expected) in cases {
            assert_eq!(written(value, ty, plain), expected, "{value:?}");
        }
    }

    #[test]
    fn decimals_lose_the_exponent_but_no_digit() {
        let cases = [
            ("0", "0"),
            ("-0", "-0"),
            ("12.30", "12.30"),
            ("+12.30", "12.30"),
            ("007.5", "7.5"),
            ("-000", "-0"),
            ("00.10", "0.10"),
            ("1e3", "1000"),
            ("1.5E+3", "1500"),
            ("1.2345e2", "123.45"),
            ("12345e-2", "123.45"),
            ("-1e-5", "-0.00001"),
            ("12e-2", "0.12"),
            ("0.00e5", "0"),
            ("1e0", "1"),
            ("1e1000000000", "1e1000000000"),
            ("1.50e-99999999999999999999", "1.50e-99999999999999999999"),
            ("INF", "\"INF\""),
            ("NaN", "\"NaN\""),
        ];
        for (text, expected) in cases {
            let value = ValueRef::Lexical(PrimitiveType::Decimal, text);
            let ty = PrimitiveType::Decimal;
            assert_eq!(
                written(value, ty, Format::new(Version::V4_0)),
                expected,
                "{text}"
            );
        }
        let mut exponential = Format::new(Version::V4_01);
        exponential.exponential_decimals = true;
        let value = ValueRef::Lexical(PrimitiveType::Decimal, "+01.5E+3");
        assert_eq!(
            written(value, PrimitiveType::Decimal, exponential),
            "1.5e+3"
        );
    }

    #[test]
    fn wide_numbers_are_strings_for_clients_with_floats_only() {
        use PrimitiveType as T;
        use ValueRef as V;
        let mut format = Format::new(Version::V4_01);
        format.ieee754_compatible = true;
        let cases = [
            (V::Integer(1), T::Int64, "\"1\""),
            (V::Integer(1), T::Decimal, "\"1\""),
            (V::Integer(1), T::Int32, "1"),
            (V::Integer(1), T::Double, "1"),
            (V::Double(1.5), T::Decimal, "\"1.5\""),
            (V::Double(1.5), T::Double, "1.5"),
            (V::Lexical(T::Decimal, "1e2"), T::Decimal, "\"100\""),
            (V::Lexical(T::Decimal, "INF"), T::Decimal, "\"INF\""),
        ];
        for (value, ty, expected) in cases {
            assert_eq!(written(value, ty, format), expected, "{value:?}");
        }
    }
}
