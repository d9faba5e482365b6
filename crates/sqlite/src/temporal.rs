//! Dates and times as SQLite databases store them: text in one of the forms that SQLite's own date functions accept.
//!
//! What must hold: parsing decides and never guesses. What is not exactly a date or time stays text, and no digit of a fraction
//! gets lost. A date-time without an offset means UTC, as everywhere in SQLite.
//! What is deliberately absent: Unix times and Julian days. A number in a date column is shown as the number it is.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Digits of a fraction of a second at most.
const FRACTION_DIGITS_MAX: usize = 9;

/// A calendar date, year 0000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanos: u32,
}

/// A date and time with its offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime {
    pub(crate) date: Date,
    pub(crate) time: Time,
    pub(crate) offset_minutes: i64,
}

/// A point on the time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant {
    /// Since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

/// Whether a text is a date: `YYYY-MM-DD`.
pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let mut scanner = Scanner(text.as_bytes());
    let date = scanner.date()?;
    scanner.is_empty().then_some(date)
}

/// Whether a text is a time of day: `HH:MM[:SS[.fff]]`.
pub(crate) fn parse_time(text: &str) -> Option<Time> {
    let mut scanner = Scanner(text.as_bytes());
    let time = scanner.time()?;
    scanner.is_empty().then_some(time)
}

/// Whether a text is a date and time: `YYYY-MM-DD[( |T)HH:MM[:SS[.fff]][Z|±HH:MM]]`.
pub(crate) fn parse_date_time(text: &str) -> Option<DateTime> {
    let mut scanner = Scanner(text.as_bytes());
    let date = scanner.date()?;
    if scanner.is_empty() {
        let midnight = Time {
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
        };
        return Some(DateTime {
            date,
            time: midnight,
            offset_minutes: 0,
        });
    }
    if !matches!(scanner.byte()?, b' ' | b'T' | b't') {
        return None;
    }
    let time = scanner.time()?;
    while scanner.0.first() == Some(&b' ') && scanner.0.len() > 1 {
        scanner.byte()?;
    }
    let offset_minutes = scanner.offset()?;
    Some(DateTime {
        date,
        time,
        offset_minutes,
    })
}

/// Whether a text is a duration: `[-]P[nD][T[nH][nM][n[.fff]S]]`; in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut rest = rest.strip_prefix('P')?;
    let mut nanos = 0i64;
    let mut in_time = false;
    let mut units = "DTHMS";
    if rest.is_empty() || rest.ends_with('T') {
        return None;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            if in_time {
                return None;
            }
            in_time = true;
            units = "HMS";
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit = after.chars().next()?;
        let place = units.find(unit)?;
        units = &units[place + 1..];
        rest = &after[1..];
        let seconds_each = match (unit, in_time) {
            ('D', false) => SECONDS_PER_DAY,
            ('H', true) => 3600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if unit == 'S' => (whole, fraction_nanos(fraction)?),
            Some(_) => return None,
            None => (number, 0),
        };
        let whole: i64 = whole.parse().ok()?;
        let part = whole
            .checked_mul(seconds_each)?
            .checked_mul(NANOS_PER_SECOND)?
            .checked_add(i64::from(fraction))?;
        nanos = nanos.checked_add(part)?;
    }
    Some(if negative { -nanos } else { nanos })
}

/// Whether a text is an id: `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
}

/// The OData form of a stored date-time: `None` if it is not one, otherwise whether the text is in that form already. If
/// not, the form is appended to `out`.
pub(crate) fn date_time_form(text: &str, out: &mut String) -> Option<bool> {
    parse_date_time(text)?;
    let bytes = text.as_bytes();
    if bytes.len() == 10 {
        out.push_str(text);
        out.push_str("T00:00:00Z");
        return Some(false);
    }
    let time_end = 11
        + bytes[11..]
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b':' | b'.'))
            .unwrap_or(bytes.len() - 11);
    let offset = text[time_end..].trim_start();
    let offset = if matches!(offset, "" | "z") {
        "Z"
    } else {
        offset
    };
    if bytes[10] == b'T' && &text[time_end..] == offset {
        return Some(true);
    }
    out.push_str(&text[..10]);
    out.push('T');
    out.push_str(&text[11..time_end]);
    out.push_str(offset);
    Some(false)
}

impl Date {
    /// Days since 1970-01-01 in the Gregorian calendar.
    pub(crate) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = i64::from(self.month);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
            - 719_468
    }

    /// The opposite of [`Self::days`]; `None` outside the years 0000 to 9999.
    pub(crate) fn from_days(days: i64) -> Option<Date> {
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (0..=9999).contains(&year).then_some(Date {
            year,
            month: month as u8,
            day: day as u8,
        })
    }

    /// `YYYY-MM-DD`
    pub(crate) fn text(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Time {
    /// `HH:MM:SS.fffffffff`: of equal length, so that text order is time order.
    pub(crate) fn text(self) -> String {
        format!(
            "{:02}:{:02}:{:02}.{:09}",
            self.hour, self.minute, self.second, self.nanos
        )
    }
}

impl DateTime {
    /// The point on the time line.
    pub(crate) fn instant(self) -> Instant {
        let time = self.time;
        let of_day =
            i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second);
        Instant {
            seconds: self.date.days() * SECONDS_PER_DAY + of_day - self.offset_minutes * 60,
            nanos: time.nanos,
        }
    }
}

impl Instant {
    /// In UTC; `None` outside the years 0000 to 9999.
    pub(crate) fn utc(self) -> Option<DateTime> {
        let date = Date::from_days(self.seconds.div_euclid(SECONDS_PER_DAY))?;
        let of_day = self.seconds.rem_euclid(SECONDS_PER_DAY);
        Some(DateTime {
            date,
            time: Time {
                hour: (of_day / 3600) as u8,
                minute: (of_day / 60 % 60) as u8,
                second: (of_day % 60) as u8,
                nanos: self.nanos,
            },
            offset_minutes: 0,
        })
    }

    /// `YYYY-MM-DDTHH:MM:SS.fffffffffZ`: of equal length, so that text order is time order.
    pub(crate) fn text(self) -> Option<String> {
        let utc = self.utc()?;
        Some(format!("{}T{}Z", utc.date.text(), utc.time.text()))
    }

    /// Later by some nanoseconds.
    pub(crate) fn plus(self, nanos: i64) -> Option<Instant> {
        let sum = i64::from(self.nanos) + nanos.rem_euclid(NANOS_PER_SECOND);
        let seconds = self
            .seconds
            .checked_add(nanos.div_euclid(NANOS_PER_SECOND))?
            .checked_add(sum / NANOS_PER_SECOND)?;
        Some(Instant {
            seconds,
            nanos: (sum % NANOS_PER_SECOND) as u32,
        })
    }

    /// Nanoseconds since another instant.
    pub(crate) fn since(self, other: Instant) -> Option<i64> {
        (self.seconds - other.seconds)
            .checked_mul(NANOS_PER_SECOND)?
            .checked_add(i64::from(self.nanos) - i64::from(other.nanos))
    }
}

/// What is still to be read.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<u16> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0u16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u16::from(digit - b'0'))
        })
    }

    fn below(&mut self, limit: u16) -> Option<u8> {
        let number = self.digits(2)?;
        (number < limit).then_some(number as u8)
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4)?;
        self.expect(b'-')?;
        let month = self.below(13)?;
        self.expect(b'-')?;
        let day = self.below(32)?;
        (month > 0 && day > 0 && day <= days_in_month(year, month)).then_some(Date {
            year: i64::from(year),
            month,
            day,
        })
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.below(24)?;
        self.expect(b':')?;
        let minute = self.below(60)?;
        let (mut second, mut nanos) = (0, 0);
        if self.0.first() == Some(&b':') {
            self.byte()?;
            second = self.below(60)?;
            if self.0.first() == Some(&b'.') {
                self.byte()?;
                let len = self
                    .0
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                let (fraction, rest) = self.0.split_at(len);
                nanos = fraction_nanos(std::str::from_utf8(fraction).ok()?)?;
                self.0 = rest;
            }
        }
        Some(Time {
            hour,
            minute,
            second,
            nanos,
        })
    }

    fn offset(&mut self) -> Option<i64> {
        let Some(first) = self.byte() else {
            return Some(0);
        };
        let minutes = match first {
            b'Z' | b'z' => 0,
            b'+' | b'-' => {
                let hours = i64::from(self.below(15)?);
                self.expect(b':')?;
                let minutes = hours * 60 + i64::from(self.below(60)?);
                if first == b'-' { -minutes } else { minutes }
            }
            _ => return None,
        };
        self.is_empty().then_some(minutes)
    }
}

fn fraction_nanos(digits: &str) -> Option<u32> {
    if digits.is_empty() || digits.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    Some(number * 10u32.pow((FRACTION_DIGITS_MAX - digits.len()) as u32))
}

fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_and_their_odata_form() {
        let check = |text: &str, form: Option<&str>, instant: Option<&str>| {
            let mut out = String::new();
            let found = date_time_form(text, &mut out).map(|as_it_is| {
                if as_it_is {
                    text.to_owned()
                } else {
                    out.clone()
                }
            });
            assert_eq!(found.as_deref(), form, "{text}");
            let comparable = parse_date_time(text).and_then(|value| value.instant().text());
            assert_eq!(comparable.as_deref(), instant, "{text}");
        };
        check(
            "2024-05-01 10:20:30",
            Some("2024-05-01T10:20:30Z"),
            Some("2024-05-01T10:20:30.000000000Z"),
        );
        check(
            "2024-05-01T10:20:30Z",
            Some("2024-05-01T10:20:30Z"),
            Some("2024-05-01T10:20:30.000000000Z"),
        );
        check(
            "2024-05-01T10:20:30.5+02:00",
            Some("2024-05-01T10:20:30.5+02:00"),
            Some("2024-05-01T08:20:30.500000000Z"),
        );
        check(
            "2024-05-01 10:20:30.123456789 -00:30",
            Some("2024-05-01T10:20:30.123456789-00:30"),
            Some("2024-05-01T10:50:30.123456789Z"),
        );
        check(
            "2024-05-01t10:20z",
            Some("2024-05-01T10:20Z"),
            Some("2024-05-01T10:20:00.000000000Z"),
        );
        check(
            "2024-02-29",
            Some("2024-02-29T00:00:00Z"),
            Some("2024-02-29T00:00:00.000000000Z"),
        );
        check(
            "9999-12-31T23:59:59.999999999Z",
            Some("9999-12-31T23:59:59.999999999Z"),
            Some("9999-12-31T23:59:59.999999999Z"),
        );
        check(
            "0000-01-01 00:00:00",
            Some("0000-01-01T00:00:00Z"),
            Some("0000-01-01T00:00:00.000000000Z"),
        );
        check(
            "9999-12-31T23:59:59-01:00",
            Some("9999-12-31T23:59:59-01:00"),
            None,
        );
        for wrong in [
            "",
            "x",
            "2024",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-01-01 ",
            "2024-01-01T",
            "2024-01-01 10",
            "2024-01-01 24:00",
            "2024-01-01 10:60",
            "2024-01-01 10:00:60",
            "2024-01-01 10:00:00.",
            "2024-01-01 10:00:00.1234567890",
            "2024-01-01 10:00:00 ",
            "2024-01-01 10:00:00 UTC",
            "2024-01-01 10:00:00+2",
            "2024-01-01 10:00:00+02:00x",
            "２024-01-01",
            "20240101",
            "-001-01-01",
        ] {
            check(wrong, None, None);
        }
    }

    #[test]
    fn days_and_dates_are_opposites() {
        for days in (-719_528..=2_932_896).step_by(97) {
            let date = Date::from_days(days).unwrap();
            assert_eq!(date.days(), days, "{}", date.text());
            assert_eq!(parse_date(&date.text()), Some(date));
        }
        assert_eq!(Date::from_days(0).unwrap().text(), "1970-01-01");
        assert_eq!(Date::from_days(-719_528).unwrap().text(), "0000-01-01");
        assert_eq!(Date::from_days(-719_529), None);
        assert_eq!(Date::from_days(2_932_896).unwrap().text(), "9999-12-31");
        assert_eq!(Date::from_days(2_932_897), None);
    }

    #[test]
    fn durations() {
        let check = |text: &str, nanos: Option<i64>| {
            assert_eq!(parse_duration(text), nanos, "{text}");
        };
        check("PT1S", Some(NANOS_PER_SECOND));
        check("-PT0.5S", Some(-NANOS_PER_SECOND / 2));
        check("P1DT2H3M4.000000005S", Some(93_784_000_000_005));
        check("P2D", Some(2 * 86_400 * NANOS_PER_SECOND));
        check("PT36H", Some(36 * 3600 * NANOS_PER_SECOND));
        for wrong in [
            "",
            "P",
            "PT",
            "P1DT",
            "1D",
            "P1H",
            "PT1D",
            "PT1S1M",
            "P1.5D",
            "PT1.S",
            "PT.5S",
            "P-1D",
            "P1Y",
            "P1M",
            "P999999999D",
            "PT1S ",
            "PTT1S",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn instants_can_be_added_to() {
        let check = |text: &str, nanos: i64, expected: &str| {
            let instant = parse_date_time(text).unwrap().instant();
            let sum = instant.plus(nanos).unwrap();
            assert_eq!(sum.text().unwrap(), expected);
            assert_eq!(sum.since(instant), Some(nanos));
        };
        check(
            "2024-02-28 23:59:59.5",
            NANOS_PER_SECOND / 2,
            "2024-02-29T00:00:00.000000000Z",
        );
        check("1970-01-01", -1, "1969-12-31T23:59:59.999999999Z");
        check(
            "1970-01-01",
            -NANOS_PER_SECOND,
            "1969-12-31T23:59:59.000000000Z",
        );
    }
}
