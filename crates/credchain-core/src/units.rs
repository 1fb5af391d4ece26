//! Lengths of time and sizes, as people write them.

use std::time::Duration;

/// Parses `500ms`, `5m`, `1h 30m`, `90d`; units as in the `humantime` crate. A bare number is
/// refused, because nobody can tell its unit.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(credchain_core::parse_duration("5m"), Some(Duration::from_secs(300)));
/// assert_eq!(credchain_core::parse_duration("5"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

/// Writes a length of time in the form [`parse_duration`] reads, rounded to milliseconds.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// Parses `65536`, `64KiB`, `10MB`: bytes, with decimal or binary multiples.
///
/// ```
/// assert_eq!(credchain_core::parse_size("64KiB"), Some(65_536));
/// assert_eq!(credchain_core::parse_size("10 MB"), Some(10_000_000));
/// assert_eq!(credchain_core::parse_size("ten"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(parse_size("99999999999GiB"), None);
        assert_eq!(parse_size(""), None);
    }

    #[test]
    fn durations_round_trip() {
        for text in ["500ms", "5m", "1h 30m", "90days"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(
                parse_duration(&format_duration(duration)),
                Some(duration),
                "{text}"
            );
        }
    }
}
