//! Dates, times and durations of a URL in PostgreSQL's form.
//!
//! What must hold: the texts that come here are valid (the grammar has checked them), and the result is a text that PostgreSQL accepts.
//! PostgreSQL keeps microseconds, and fewer years than OData has; what lies between two of its values or beyond the last is told as
//! such ([`Bound::Above`]), so that comparisons stay exact. Both count years in the proleptic Gregorian calendar, OData with a year 0.

use highwater_core::Error;
use highwater_odata::Value;

use super::literal::Bound;

const SECONDS_PER_DAY: i64 = 86_400;
const MICROS_PER_SECOND: i128 = 1_000_000;
const DATE_MAX: &str = "5874897-12-31";
const INSTANT_MAX: &str = "294276-12-31 23:59:59.999999+00";
const BEFORE_ALL: &str = "-infinity";
/// Year, month and day of the first date.
const DATE_MIN: (i64, u8, u8) = (-4713, 11, 24);

/// `[-]YYYY-MM-DD`
pub(super) fn date(text: &str) -> Bound {
    let date = parse_date(text);
    if date < DATE_MIN {
        above(BEFORE_ALL)
    } else if date.0 > 5_874_897 {
        above(DATE_MAX)
    } else {
        Bound::text(date_text(date, ""))
    }
}

/// Date, `T`, time, and `Z` or an offset; as the same instant in UTC.
pub(super) fn instant(text: &str) -> Bound {
    instant_at(text, offset_minutes(text))
}

/// The same as its clock shows it, whatever the offset.
pub(super) fn local(text: &str) -> Bound {
    instant_at(text, 0)
}

/// Minutes by which the clock of a date and time is ahead of UTC.
pub(super) fn offset_minutes(text: &str) -> i64 {
    let offset = &text[clock_end(text)..];
    if offset.len() < 6 {
        return 0;
    }
    let minutes = number(&offset[1..3]) * 60 + number(&offset[4..6]);
    if offset.starts_with('-') {
        -minutes
    } else {
        minutes
    }
}

fn instant_at(text: &str, offset_minutes: i64) -> Bound {
    let at = text.find(['T', 't']).unwrap_or(text.len());
    let date = parse_date(&text[..at]);
    let (clock, micros, is_exact) = parse_time(&text[(at + 1).min(text.len())..clock_end(text)]);
    let seconds = days(date) * SECONDS_PER_DAY + clock - offset_minutes * 60;
    let utc = civil(seconds.div_euclid(SECONDS_PER_DAY));
    if utc < DATE_MIN {
        return above(BEFORE_ALL);
    }
    if utc.0 > 294_276 {
        return above(INSTANT_MAX);
    }
    let clock = clock_text(seconds.rem_euclid(SECONDS_PER_DAY), micros);
    let text = date_text(utc, &format!(" {clock}+00"));
    if is_exact {
        Bound::text(text)
    } else {
        above(&text)
    }
}

/// `HH:MM[:SS[.fraction]]`
pub(super) fn time(text: &str) -> Bound {
    let (seconds, micros, is_exact) = parse_time(text);
    let text = clock_text(seconds, micros);
    if is_exact {
        Bound::text(text)
    } else {
        above(&text)
    }
}

/// `[-]PnDTnHnMn.nS`
///
/// # Errors
///
/// [`Error::Unsupported`] if it is longer than PostgreSQL can count in days.
pub(super) fn duration(text: &str) -> Result<Bound, Error> {
    let too_long = || {
        Error::Unsupported(format!(
            "The duration {text} is too long to compare with: at most 2147483647 days are supported."
        ))
    };
    let upper = text.to_ascii_uppercase();
    let (negative, rest) = match upper.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, upper.as_str()),
    };
    let (mut micros, mut is_exact) = (0i128, true);
    let mut rest = rest.trim_start_matches('P');
    while !rest.is_empty() {
        rest = rest.trim_start_matches('T');
        let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) else {
            break;
        };
        let (whole, fraction) = rest[..end].split_once('.').unwrap_or((&rest[..end], ""));
        let unit = match &rest[end..=end] {
            "D" => SECONDS_PER_DAY,
            "H" => 3600,
            "M" => 60,
            _ => 1,
        };
        let (part, exact) = fraction_micros(fraction);
        let whole: i64 = whole.parse().map_err(|_| too_long())?;
        micros += i128::from(whole) * i128::from(unit) * MICROS_PER_SECOND + i128::from(part);
        is_exact &= exact;
        rest = &rest[end + 1..];
    }
    if negative {
        // Rounding is towards the past.
        micros = -micros - i128::from(!is_exact);
    }
    let day = i128::from(SECONDS_PER_DAY) * MICROS_PER_SECOND;
    let days = i32::try_from(micros / day).map_err(|_| too_long())?;
    let sign = if micros < 0 { "-" } else { "" };
    let of_day = (micros % day).unsigned_abs();
    let text = format!(
        "{days} days {sign}{}.{:06} seconds",
        of_day / 1_000_000,
        of_day % 1_000_000
    );
    Ok(if is_exact {
        Bound::text(text)
    } else {
        above(&text)
    })
}

fn above(text: &str) -> Bound {
    Bound::Above(Value::String(text.to_owned()))
}

/// Where the offset of a date and time begins.
fn clock_end(text: &str) -> usize {
    let at = text.find(['T', 't']).unwrap_or(text.len());
    text[at..]
        .find(['Z', 'z', '+', '-'])
        .map_or(text.len(), |end| at + end)
}

fn number(digits: &str) -> i64 {
    digits.parse().unwrap_or(0)
}

fn parse_date(text: &str) -> (i64, u8, u8) {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = unsigned.split('-').map(number);
    let mut next = || parts.next().unwrap_or(1);
    (sign * next(), next() as u8, next() as u8)
}

/// Seconds of the day, microseconds, and whether that is all.
fn parse_time(text: &str) -> (i64, u32, bool) {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(number);
    let mut next = || parts.next().unwrap_or(0);
    let seconds = next() * 3600 + next() * 60 + next();
    let (micros, is_exact) = fraction_micros(fraction);
    (seconds, micros, is_exact)
}

fn fraction_micros(digits: &str) -> (u32, bool) {
    let kept = &digits[..digits.len().min(6)];
    let is_exact = digits[kept.len()..].bytes().all(|digit| digit == b'0');
    let micros = number(&format!("{kept:0<6}")) as u32;
    (micros, is_exact)
}

fn date_text((year, month, day): (i64, u8, u8), rest: &str) -> String {
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}{rest}")
    } else {
        format!("{:04}-{month:02}-{day:02}{rest} BC", 1 - year)
    }
}

fn clock_text(seconds: i64, micros: u32) -> String {
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    text
}

/// Days since 1970-01-01.
fn days((year, month, day): (i64, u8, u8)) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The opposite of [`days`].
fn civil(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(text: &str) -> Bound {
        Bound::text(text)
    }

    #[test]
    fn dates() {
        for (text, expected) in [
            ("2024-02-29", exactly("2024-02-29")),
            ("0001-01-01", exactly("0001-01-01")),
            ("0000-12-31", exactly("0001-12-31 BC")),
            ("-0043-03-15", exactly("0044-03-15 BC")),
            ("10000-01-01", exactly("10000-01-01")),
            ("-4713-11-24", exactly("4714-11-24 BC")),
            ("-4713-11-23", above("-infinity")),
            ("5874898-01-01", above("5874897-12-31")),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn instants() {
        for (text, expected) in [
            ("2024-05-01T10:00:00Z", exactly("2024-05-01 10:00:00+00")),
            ("2024-05-01T10:00Z", exactly("2024-05-01 10:00:00+00")),
            (
                "2024-01-01T01:00:00.5+02:00",
                exactly("2023-12-31 23:00:00.500000+00"),
            ),
            (
                "2023-12-31t23:30:00-00:45",
                exactly("2024-01-01 00:15:00+00"),
            ),
            (
                "2024-01-01T00:00:00.123456000Z",
                exactly("2024-01-01 00:00:00.123456+00"),
            ),
            (
                "2024-01-01T00:00:00.1234567Z",
                above("2024-01-01 00:00:00.123456+00"),
            ),
            (
                "0001-01-01T00:00:00+01:00",
                exactly("0001-12-31 23:00:00+00 BC"),
            ),
            ("294277-01-01T00:00:00Z", above(INSTANT_MAX)),
            (
                "294277-01-01T00:00:00+01:00",
                exactly("294276-12-31 23:00:00+00"),
            ),
            ("-9999-01-01T00:00:00Z", above(BEFORE_ALL)),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(
            local("2024-01-01T01:00:00-05:30"),
            exactly("2024-01-01 01:00:00+00")
        );
        assert_eq!(offset_minutes("2024-01-01T01:00:00-05:30"), -330);
        assert_eq!(offset_minutes("-0044-01-01T01:00:00Z"), 0);
    }

    #[test]
    fn times_and_durations() {
        assert_eq!(time("10:20"), exactly("10:20:00"));
        assert_eq!(time("23:59:59.9999999"), above("23:59:59.999999"));
        for (text, expected) in [
            ("P1DT2H3M4.5S", exactly("1 days 7384.500000 seconds")),
            ("-PT0.000001S", exactly("0 days -0.000001 seconds")),
            ("PT36H", exactly("1 days 43200.000000 seconds")),
            ("PT0.0000005S", above("0 days 0.000000 seconds")),
            ("-PT0.0000005S", above("0 days -0.000001 seconds")),
            ("-P2D", exactly("-2 days -0.000000 seconds")),
        ] {
            assert_eq!(duration(text).unwrap(), expected, "{text}");
        }
        assert!(duration("P2147483648D").is_err());
        assert!(duration("P99999999999999999999D").is_err());
    }

    #[test]
    fn days_and_dates_are_opposites() {
        for number in (-3_000_000..=3_000_000).step_by(997) {
            assert_eq!(days(civil(number)), number);
        }
        assert_eq!(civil(0), (1970, 1, 1));
    }
}
