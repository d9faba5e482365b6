//! Dates, times and durations: shape and calendar.
//!
//! The calendar is the proleptic Gregorian one with a year 0, as in XML Schema 1.1. Leap seconds are refused: no database that
//! is served here can compare them.

/// The greatest year, as an absolute value.
const YEAR_MAX: u32 = 999_999_999;
/// ABNF `fractionalSeconds`.
const FRACTION_DIGITS_MAX: usize = 12;

type Check = Result<(), String>;

/// `[-]YYYY-MM-DD`
pub(super) fn date(text: &str) -> Check {
    let shape = || "write YYYY-MM-DD".to_owned();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut parts = unsigned.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(shape());
    };
    let padded = year.len() > 4 && year.starts_with('0');
    if year.len() < 4 || padded || month.len() != 2 || day.len() != 2 {
        return Err(shape());
    }
    let year = number(year).filter(|y| *y <= YEAR_MAX).ok_or_else(shape)?;
    let month = number(month).ok_or_else(shape)?;
    let day = number(day).ok_or_else(shape)?;
    if !(1..=12).contains(&month) {
        return Err(format!("there is no month {month}"));
    }
    let days = days_in_month(year, month);
    if !(1..=days).contains(&day) {
        return Err(format!("that month has days 1 to {days}"));
    }
    Ok(())
}

/// `HH:MM[:SS[.fraction]]`
pub(super) fn time_of_day(text: &str) -> Check {
    let shape = || "write HH:MM:SS with an optional fraction".to_owned();
    let mut parts = text.split(':');
    let (Some(hour), Some(minute), second, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(shape());
    };
    let (second, fraction) = match second {
        None => ("00", "0"),
        Some(second) => second.split_once('.').unwrap_or((second, "0")),
    };
    if hour.len() != 2 || minute.len() != 2 || second.len() != 2 {
        return Err(shape());
    }
    let below = |part: &str, limit: u32, what: &str| match number(part) {
        None => Err(shape()),
        Some(value) if value < limit => Ok(()),
        Some(value) => Err(format!("there is no {what} {value}")),
    };
    below(hour, 24, "hour")?;
    below(minute, 60, "minute")?;
    below(second, 60, "second")?;
    if !is_digits(fraction) || fraction.len() > FRACTION_DIGITS_MAX {
        return Err(format!("a fraction has 1 to {FRACTION_DIGITS_MAX} digits"));
    }
    Ok(())
}

/// Date, `T`, time, and `Z` or an offset.
pub(super) fn date_time_offset(text: &str) -> Check {
    let shape = || "write YYYY-MM-DDTHH:MM:SS followed by Z or an offset such as +01:00".to_owned();
    let (day, rest) = text.split_once(['T', 't']).ok_or_else(shape)?;
    date(day)?;
    if let Some(time) = rest.strip_suffix(['Z', 'z']) {
        return time_of_day(time);
    }
    let sign = rest.rfind(['+', '-']).ok_or_else(shape)?;
    time_of_day(&rest[..sign])?;
    let offset = &rest[sign + 1..];
    if offset.len() != 5 {
        return Err(shape());
    }
    time_of_day(offset).map_err(|e| format!("in the offset, {e}"))
}

/// `[-]PnDTnHnMn.nS`, at least one part.
pub(super) fn duration(text: &str) -> Check {
    let shape = || "write for instance P1DT2H3M4.5S, without years and months".to_owned();
    let upper = text.to_ascii_uppercase();
    let unsigned = upper.strip_prefix('-').unwrap_or(&upper);
    let parts = unsigned.strip_prefix('P').ok_or_else(shape)?;
    let (days, times) = match parts.split_once('T') {
        // A `T` announces hours, minutes or seconds.
        Some((_, "")) => return Err(shape()),
        Some((days, times)) => (days, times),
        None if parts.is_empty() => return Err(shape()),
        None => (parts, ""),
    };
    if !days.is_empty() && !days.strip_suffix('D').is_some_and(is_digits) {
        return Err(shape());
    }
    let mut rest = times;
    for unit in ['H', 'M'] {
        if let Some((value, after)) = rest.split_once(unit) {
            if !is_digits(value) {
                return Err(shape());
            }
            rest = after;
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    let seconds = rest.strip_suffix('S').ok_or_else(shape)?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(shape());
    }
    Ok(())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str) -> Option<u32> {
    is_digits(text).then(|| text.parse().ok()).flatten()
}

fn days_in_month(year: u32, month: u32) -> u32 {
    // The pattern of leap years is symmetric around year 0, so the sign does not matter.
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
