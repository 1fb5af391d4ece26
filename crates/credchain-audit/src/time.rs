//! Times as they stand in a record: RFC 3339, UTC, microseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that has four digits for its year.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// The text of a time; what has none is the nearest that has one.
pub(crate) fn format(time: SystemTime) -> String {
    let since = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .min(LAST);
    humantime::format_rfc3339_micros(UNIX_EPOCH + since).to_string()
}

pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// Whole microseconds, which is what records count in.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_the_microsecond_and_no_clock_is_too_wrong() {
        let time = UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_001);
        assert_eq!(format(time), "2026-01-01T00:00:00.000001Z");
        assert_eq!(parse(&format(time)), Some(time));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(format(before), "1970-01-01T00:00:00.000000Z");
        let late = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(format(late), "9999-12-31T23:59:59.000000Z");
    }
}
