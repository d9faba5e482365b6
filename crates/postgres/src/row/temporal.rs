//! Dates, times and intervals as text: OData's form where it has one, else PostgreSQL's.
//!
//! What must hold: every function appends the value exactly and tells whether the form is OData's; `None` means malformed bytes.

use std::fmt::Write as _;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 0000-03-01, where the count of years is simplest, to 2000-01-01, where PostgreSQL counts from.
const DAYS_TO_2000: i64 = 730_425;

/// Appends a `date`.
pub(super) fn date(bytes: &[u8], out: &mut String) -> Option<bool> {
    let days = i32::from_be_bytes(bytes.try_into().ok()?);
    Some(match infinity(days == i32::MAX, days == i32::MIN) {
        Some(text) => {
            out.push_str(text);
            false
        }
        None => {
            push_date(days.into(), out);
            true
        }
    })
}

/// Appends a `time`.
pub(super) fn time(bytes: &[u8], out: &mut String) -> Option<bool> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    push_time(micros, out);
    // OData's day has no hour 24.
    Some(micros < MICROS_PER_DAY)
}

/// Appends a `timestamp` or `timestamptz`, in UTC.
pub(super) fn date_time(bytes: &[u8], out: &mut String) -> Option<bool> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    Some(match infinity(micros == i64::MAX, micros == i64::MIN) {
        Some(text) => {
            out.push_str(text);
            false
        }
        None => {
            push_date(micros.div_euclid(MICROS_PER_DAY), out);
            out.push('T');
            push_time(micros.rem_euclid(MICROS_PER_DAY), out);
            out.push('Z');
            true
        }
    })
}

/// Appends an `interval`. Days and time stay apart, because a day is not always 24 hours.
pub(super) fn interval(bytes: &[u8], out: &mut String) -> Option<bool> {
    let (months, days, micros) = fields(bytes)?;
    if let Some(text) = infinite(months, days, micros) {
        out.push_str(text);
        return Some(false);
    }
    let one_sign = i64::from(days).signum() * micros.signum() >= 0;
    let is_duration = months == 0 && one_sign;
    if is_duration {
        push_duration(days, micros, out);
    } else {
        push_interval(months, days, micros, out);
    }
    Some(is_duration)
}

/// Appends a `date` as PostgreSQL writes it.
pub(super) fn database_date(bytes: &[u8], out: &mut String) -> Option<()> {
    let days = i32::from_be_bytes(bytes.try_into().ok()?);
    match infinity(days == i32::MAX, days == i32::MIN) {
        Some(text) => out.push_str(text),
        None => {
            let era = push_database_date(days.into(), out);
            out.push_str(era);
        }
    }
    Some(())
}

/// Appends a `timestamp` or `timestamptz` as PostgreSQL writes it in UTC.
pub(super) fn database_date_time(bytes: &[u8], zone: &str, out: &mut String) -> Option<()> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    match infinity(micros == i64::MAX, micros == i64::MIN) {
        Some(text) => out.push_str(text),
        None => {
            let era = push_database_date(micros.div_euclid(MICROS_PER_DAY), out);
            out.push(' ');
            push_time(micros.rem_euclid(MICROS_PER_DAY), out);
            out.push_str(zone);
            out.push_str(era);
        }
    }
    Some(())
}

/// Appends an `interval` as PostgreSQL writes it.
pub(super) fn database_interval(bytes: &[u8], out: &mut String) -> Option<()> {
    let (months, days, micros) = fields(bytes)?;
    match infinite(months, days, micros) {
        Some(text) => out.push_str(text),
        None => push_interval(months, days, micros, out),
    }
    Some(())
}

/// Months, days and microseconds of an interval.
fn fields(bytes: &[u8]) -> Option<(i32, i32, i64)> {
    let (micros, rest) = bytes.split_at_checked(8)?;
    let (days, months) = rest.split_at_checked(4)?;
    Some((
        i32::from_be_bytes(months.try_into().ok()?),
        i32::from_be_bytes(days.try_into().ok()?),
        i64::from_be_bytes(micros.try_into().ok()?),
    ))
}

/// Intervals can be infinite since PostgreSQL 17.
fn infinite(months: i32, days: i32, micros: i64) -> Option<&'static str> {
    infinity(
        (months, days, micros) == (i32::MAX, i32::MAX, i64::MAX),
        (months, days, micros) == (i32::MIN, i32::MIN, i64::MIN),
    )
}

fn infinity(future: bool, past: bool) -> Option<&'static str> {
    match (future, past) {
        (true, _) => Some("infinity"),
        (_, true) => Some("-infinity"),
        _ => None,
    }
}

/// Appends the date so many days after 2000-01-01, in the proleptic Gregorian calendar with a year 0.
fn push_date(days: i64, out: &mut String) {
    let (year, month, day) = civil(days);
    if year < 0 {
        out.push('-');
    }
    push_year_month_day(year.unsigned_abs(), month, day, out);
}

/// Appends the date as PostgreSQL writes it, and returns what has to stand at the end: it knows no year 0.
fn push_database_date(days: i64, out: &mut String) -> &'static str {
    let (year, month, day) = civil(days);
    if year > 0 {
        push_year_month_day(year.unsigned_abs(), month, day, out);
        ""
    } else {
        push_year_month_day((1 - year).unsigned_abs(), month, day, out);
        " BC"
    }
}

/// Year, month and day of the day so many days after 2000-01-01.
fn civil(days: i64) -> (i64, u64, u64) {
    let days = days + DAYS_TO_2000;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on, so that the leap day is the last of the year.
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

fn push_year_month_day(year: u64, month: u64, day: u64, out: &mut String) {
    if year > 9_999 {
        push_unsigned(year, out);
    } else {
        push_two(year / 100, out);
        push_two(year % 100, out);
    }
    out.push('-');
    push_two(month, out);
    out.push('-');
    push_two(day, out);
}

/// Appends hours, minutes and seconds; hours may exceed two digits.
fn push_time(micros: i64, out: &mut String) {
    let micros = micros.unsigned_abs();
    let seconds = micros / 1_000_000;
    let hours = seconds / 3_600;
    if hours < 100 {
        push_two(hours, out);
    } else {
        push_unsigned(hours, out);
    }
    out.push(':');
    push_two(seconds / 60 % 60, out);
    out.push(':');
    push_two(seconds % 60, out);
    push_fraction(micros % 1_000_000, out);
}

fn push_fraction(micros: u64, out: &mut String) {
    if micros == 0 {
        return;
    }
    out.push('.');
    let mut rest = micros;
    let mut divisor = 100_000;
    while rest > 0 {
        out.push(char::from(b'0' + (rest / divisor) as u8));
        rest %= divisor;
        divisor /= 10;
    }
}

fn push_two(number: u64, out: &mut String) {
    out.push(char::from(b'0' + (number / 10 % 10) as u8));
    out.push(char::from(b'0' + (number % 10) as u8));
}

fn push_unsigned(number: u64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{number}");
}

/// `P1DT2H3M4.5S`; days and time have the same sign or one is zero.
fn push_duration(days: i32, micros: i64, out: &mut String) {
    if days < 0 || micros < 0 {
        out.push('-');
    }
    out.push('P');
    if days != 0 {
        push_unsigned(days.unsigned_abs().into(), out);
        out.push('D');
    }
    if micros == 0 && days != 0 {
        return;
    }
    out.push('T');
    let micros = micros.unsigned_abs();
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    for (amount, unit) in [(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M')] {
        if amount != 0 {
            push_unsigned(amount, out);
            out.push(unit);
        }
    }
    if seconds % 60 != 0 || fraction != 0 || micros == 0 {
        push_unsigned(seconds % 60, out);
        push_fraction(fraction, out);
        out.push('S');
    }
}

/// PostgreSQL's own text (`IntervalStyle` `postgres`): `1 year 2 mons -3 days +04:05:06.7`.
fn push_interval(months: i32, days: i32, micros: i64, out: &mut String) {
    let begin = out.len();
    // What follows a negative amount says that it is positive.
    let mut after_negative = false;
    for (amount, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if amount == 0 {
            continue;
        }
        if out.len() > begin {
            out.push(' ');
        }
        if after_negative && amount > 0 {
            out.push('+');
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "{amount} {unit}");
        if amount != 1 {
            out.push('s');
        }
        after_negative = amount < 0;
    }
    if micros != 0 || out.len() == begin {
        if out.len() > begin {
            out.push(' ');
        }
        if micros < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        push_time(micros, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        decode: fn(&[u8], &mut String) -> Option<bool>,
        bytes: &[u8],
        expected: &str,
        is_odata: bool,
    ) {
        let mut out = String::new();
        assert_eq!(decode(bytes, &mut out), Some(is_odata), "{expected}");
        assert_eq!(out, expected);
        assert_eq!(decode(&bytes[1..], &mut out), None, "{expected}");
    }

    #[test]
    fn dates() {
        for (days, expected, is_odata) in [
            (0, "2000-01-01", true),
            (-1, "1999-12-31", true),
            (59, "2000-02-29", true),
            (-730_119, "0001-01-01", true),
            (-730_120, "0000-12-31", true),
            (-730_485, "0000-01-01", true),
            (-730_486, "-0001-12-31", true),
            (-2_451_507, "-4712-01-01", true),
            (2_921_940, "10000-01-01", true),
            (2_145_031_948, "5874897-12-31", true),
            (i32::MAX, "infinity", false),
            (i32::MIN, "-infinity", false),
        ] {
            check(date, &i32::to_be_bytes(days), expected, is_odata);
        }
    }

    #[test]
    fn times_and_date_times() {
        check(time, &0_i64.to_be_bytes(), "00:00:00", true);
        check(
            time,
            &86_399_999_999_i64.to_be_bytes(),
            "23:59:59.999999",
            true,
        );
        check(time, &86_400_000_000_i64.to_be_bytes(), "24:00:00", false);
        for (micros, expected, is_odata) in [
            (0, "2000-01-01T00:00:00Z", true),
            (-1, "1999-12-31T23:59:59.999999Z", true),
            (500_000, "2000-01-01T00:00:00.5Z", true),
            (i64::MAX, "infinity", false),
            (i64::MIN, "-infinity", false),
        ] {
            check(date_time, &i64::to_be_bytes(micros), expected, is_odata);
        }
    }

    #[test]
    fn intervals() {
        let check = |months: i32, days: i32, micros: i64, expected: &str, is_odata: bool| {
            let mut bytes = micros.to_be_bytes().to_vec();
            bytes.extend_from_slice(&days.to_be_bytes());
            bytes.extend_from_slice(&months.to_be_bytes());
            check(interval, &bytes, expected, is_odata);
        };
        check(0, 0, 0, "PT0S", true);
        check(0, 1, 0, "P1D", true);
        check(0, 1, 7_203_500_000, "P1DT2H3.5S", true);
        check(0, 0, 360_000_000_000, "PT100H", true);
        check(0, -1, -1, "-P1DT0.000001S", true);
        check(0, 1, -3_600_000_000, "1 day -01:00:00", false);
        check(0, -1, 3_600_000_000, "-1 days +01:00:00", false);
        check(
            14,
            3,
            14_706_700_000,
            "1 year 2 mons 3 days 04:05:06.7",
            false,
        );
        check(-14, 3, 0, "-1 years -2 mons +3 days", false);
        check(1, 0, 0, "1 mon", false);
        check(i32::MAX, i32::MAX, i64::MAX, "infinity", false);
        check(i32::MIN, i32::MIN, i64::MIN, "-infinity", false);
    }
}
