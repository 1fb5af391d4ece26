//! The form in which HTTP writes dates, `Sun, 06 Nov 1994 08:49:37 GMT`, and that of RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads an IMF-fixdate (RFC 9110 §5.6.7). The two obsolete forms are not read.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = digits(words.next()?, 2)?;
    let month = words.next()?;
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let year: u64 = digits(words.next()?, 4)?;
    let mut clock = words.next()?.split(':');
    let hour = digits(clock.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(clock.next()?, 2).filter(|minute| *minute < 60)?;
    // A leap second is read as the second after it.
    let second = digits(clock.next()?, 2).filter(|second| *second <= 60)?;
    let plain = words.next() == Some("GMT") && words.next().is_none() && clock.next().is_none();
    if !plain || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    at(year, month, day, [hour, minute, second])
}

/// Reads a date of RFC 3339 in UTC, `1994-11-06T08:49:37Z` or with `+00:00`. Fractions of a second
/// are left out. A local time is none: nobody knows whose.
pub(crate) fn parse_iso(text: &str) -> Option<SystemTime> {
    let utc = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, clock) = utc.split_once(['T', ' '])?;
    let clock = clock.split('.').next()?;
    let parts = |text: &str, mark: char, first: usize| {
        let mut parts = text.split(mark);
        let read = (
            digits(parts.next()?, first)?,
            digits(parts.next()?, 2)?,
            digits(parts.next()?, 2)?,
        );
        parts.next().is_none().then_some(read)
    };
    let (year, month, day) = parts(date, '-', 4)?;
    let (hour, minute, second) = parts(clock, ':', 2)?;
    let plain = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && year >= 1970
        && hour < 24
        && minute < 60
        && second <= 60;
    plain.then(|| at(year, month, day, [hour, minute, second]))?
}

fn at(year: u64, month: u64, day: u64, [hour, minute, second]: [u64; 3]) -> Option<SystemTime> {
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn digits(text: &str, length: usize) -> Option<u64> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// Days since 1970. The year is taken to begin in March, so that a leap day is its last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day;
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_rfc_3339_are_read_if_they_are_in_utc() {
        let expected = parse("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(expected.is_some());
        for text in [
            "1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.123456+00:00",
            "1994-11-06 08:49:37Z",
        ] {
            assert_eq!(parse_iso(text), expected, "{text}");
        }
        for text in [
            "1994-11-06T08:49:37",
            "1994-13-06T08:49:37Z",
            "1994-11-06T24:49:37Z",
            "1994-11-06Z",
            "1994-11-06T08:49:37+01:00",
            "",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_read_to_the_second() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Thu, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 01 Jan 2026 00:00:00 GMT", 1_767_225_600),
            ("Thu, 31 Dec 2026 23:59:60 GMT", 1_798_761_600),
        ] {
            let expected = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_nothing() {
        for text in [
            "",
            "120",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 +8:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
