//! Decimal text as the number that SQLite stores.
//!
//! What must hold: a value is never rounded in silence. A number that is no 64-bit integer becomes a double only if the shortest
//! decimal form of the double is the number itself, so that reading it back gives the same digits.

use highwater_odata::Value;

/// The integer or double that stands for a decimal number (`Edm.Decimal` in its lexical form); `None` if there is none.
pub fn exact_number(text: &str) -> Option<Value> {
    let decimal = Decimal::parse(text)?;
    if let Some(integer) = decimal.integer() {
        return Some(Value::Integer(integer));
    }
    let double: f64 = text.parse().ok()?;
    let back = Decimal::parse(&format!("{double:e}"))?;
    (back == decimal).then_some(Value::Double(double))
}

/// `digits × 10^exponent`, without zeros at either end of the digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Some(Decimal {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let trailing = all.len() - all.trim_end_matches('0').len();
        Some(Decimal {
            negative,
            digits: digits.to_owned(),
            exponent: i64::from(exponent) - fraction.len() as i64 + trailing as i64,
        })
    }

    fn integer(&self) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        // 19 digits are enough for every 64-bit number.
        if !(0..19).contains(&self.exponent) {
            return None;
        }
        let zeros = "0".repeat(self.exponent as usize);
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{}{zeros}", self.digits).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        let check = |text: &str, expected: Option<Value>| {
            assert_eq!(exact_number(text), expected, "{text}");
        };
        check("0", Some(Value::Integer(0)));
        check("-0.00", Some(Value::Integer(0)));
        check("5", Some(Value::Integer(5)));
        check("+5", Some(Value::Integer(5)));
        check("-5.000", Some(Value::Integer(-5)));
        check("1200e-2", Some(Value::Integer(12)));
        check("1.5e3", Some(Value::Integer(1500)));
        check("9223372036854775807", Some(Value::Integer(i64::MAX)));
        check("-9223372036854775808", Some(Value::Integer(i64::MIN)));
        check("9223372036854775808", None);
        check("10000000000000000000", Some(Value::Double(1e19)));
        check(
            "9007199254740993",
            Some(Value::Integer(9_007_199_254_740_993)),
        );
        check("9007199254740993.5", None);
        check("19.99", Some(Value::Double(19.99)));
        check("0.1", Some(Value::Double(0.1)));
        check("00.10", Some(Value::Double(0.1)));
        check("0.1000000000000000055511151231257827", None);
        check(
            "123456789012345.67",
            Some(Value::Double(123456789012345.67)),
        );
        check("1234567890123456.789", None);
        check("1e400", None);
        check("INF", None);
        check("NaN", None);
        check("", None);
        check("-", None);
        check("1.2.3", None);
    }
}
