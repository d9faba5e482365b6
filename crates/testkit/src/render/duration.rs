//! Lengths of time in one canonical form: days and seconds apart, because a day is not always 24 hours.

/// From PostgreSQL's `1 day -02:03:04.5`; `None` if it has months, or days and a time with different signs.
pub(super) fn of_interval(text: &str) -> Option<String> {
    let mut days = 0;
    let mut seconds = Seconds::default();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        match words.next_if(|unit| ["day", "days"].contains(unit)) {
            Some(_) => days = word.parse().ok()?,
            None => seconds = clock(word)?,
        }
    }
    canonical(days, &seconds)
}

/// From `-P1DT2H3M4.5S` (the ABNF's `durationValue`).
pub(crate) fn of_payload(text: &str) -> Option<String> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let rest = rest.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    let mut days: i64 = match date {
        "" if time.is_empty() => return None,
        "" => 0,
        _ => date.strip_suffix('D')?.parse().ok()?,
    };
    let mut seconds = Seconds {
        is_negative,
        ..Seconds::default()
    };
    let mut rest = time;
    for (unit, factor) in [('H', 3600), ('M', 60), ('S', 1)] {
        if let Some((amount, after)) = rest.split_once(unit) {
            let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
            seconds.whole += whole.parse::<i64>().ok()? * factor;
            seconds.fraction = fraction.trim_end_matches('0').to_owned();
            rest = after;
        }
    }
    if is_negative {
        days = -days;
    }
    rest.is_empty().then_some(())?;
    canonical(days, &seconds)
}

#[derive(Default)]
struct Seconds {
    is_negative: bool,
    whole: i64,
    /// Digits without zeros at the end.
    fraction: String,
}

/// From `-02:03:04.5`.
fn clock(text: &str) -> Option<Seconds> {
    let (is_negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let mut seconds = 0;
    let mut count = 0;
    for part in whole.split(':') {
        seconds = seconds * 60 + part.parse::<i64>().ok()?;
        count += 1;
    }
    (count == 3).then(|| Seconds {
        is_negative,
        whole: seconds,
        fraction: fraction.trim_end_matches('0').to_owned(),
    })
}

fn canonical(days: i64, seconds: &Seconds) -> Option<String> {
    let is_zero = seconds.whole == 0 && seconds.fraction.is_empty();
    if days != 0 && !is_zero && (days < 0) != seconds.is_negative {
        return None;
    }
    let sign = if seconds.is_negative && !is_zero {
        "-"
    } else {
        ""
    };
    Some(format!(
        "{days} days {sign}{}.{} seconds",
        seconds.whole, seconds.fraction
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_meet() {
        for (interval, payload) in [
            ("1 day 02:03:04.5", "P1DT2H3M4.5S"),
            ("26:00:00", "PT26H"),
            ("00:00:00", "PT0S"),
            ("-00:00:01", "-PT1S"),
            ("-3 days", "-P3D"),
            ("-3 days -01:00:00", "-P3DT1H"),
            ("00:00:00.000001", "PT0.000001S"),
        ] {
            let canonical = of_interval(interval);
            assert!(canonical.is_some(), "{interval}");
            assert_eq!(canonical, of_payload(payload), "{interval}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for interval in [
            "1 mon 2 days",
            "1 day -00:00:01",
            "-1 days +00:00:01",
            "1 year",
        ] {
            assert_eq!(of_interval(interval), None, "{interval}");
        }
        for payload in ["P", "PT", "P1M", "1D", "PT1D", "P1DT"] {
            assert_eq!(of_payload(payload), None, "{payload}");
        }
    }
}
