//! Points in time, as tools write them.

use std::time::{Duration, SystemTime};

/// Parses an RFC 3339 time: `2026-01-02T03:04:05Z`, with fractions or an offset such as `+02:00`.
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    let at = text
        .len()
        .checked_sub(6)
        .filter(|at| text.is_char_boundary(*at))?;
    let (local, offset) = text.split_at(at);
    let east = match offset.as_bytes() {
        [b'+', ..] => true,
        [b'-', _, _, b':', ..] => false,
        _ => return humantime::parse_rfc3339(text).ok(),
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let number = |digits: &str| {
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())?
    };
    let offset = Duration::from_secs(number(hours)? * 3600 + number(minutes)? * 60);
    let utc = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    if east {
        utc.checked_sub(offset)
    } else {
        utc.checked_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_applied() {
        let noon = parse_time("2026-01-02T12:00:00Z").unwrap();
        for same in [
            "2026-01-02T14:00:00+02:00",
            "2026-01-02T06:30:00-05:30",
            "2026-01-02T12:00:00.000Z",
            "2026-01-02T12:00:00+00:00",
        ] {
            assert_eq!(parse_time(same), Some(noon), "{same}");
        }
        for bad in [
            "",
            "soon",
            "2026-01-02",
            "2026-01-02T12:00:00+xx:00",
            "2026-01-02T12:00:00",
            "ää+02:00",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
