//! Points on the calendar at which something is replaced.

use std::fmt;
use std::time::{Duration, SystemTime};

use credchain_core::{Error, Kind, Result};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::Zone;

/// A calendar schedule in a time zone: five fields as in `crontab`, `0 3 1 */3 *` for three in the
/// morning of each quarter's first day.
///
/// A time that the clocks skip is the first one after it; a time that comes twice counts once.
///
/// ```
/// use credchain_rotation::{Calendar, Zone, rfc3339};
///
/// let zone = Zone::named("Europe/Berlin")?;
/// let quarterly = Calendar::new("0 3 1 */3 *", zone.clone())?;
/// let next = quarterly.next(zone.parse("2026-01-15")?).unwrap();
/// assert_eq!(rfc3339(next), "2026-04-01T01:00:00Z");
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Calendar {
    cron: Box<Cron>,
    pattern: String,
    zone: Zone,
}

impl Calendar {
    /// Reads a schedule.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if it is none, or never comes.
    pub fn new(pattern: &str, zone: Zone) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::Misconfigured, "this is no schedule that ever comes").with_hint(
                "five fields as in crontab: minute, hour, day of the month, month, day of the week",
            )
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|_| wrong())?;
        let calendar = Self {
            cron: Box::new(cron),
            pattern: pattern.to_owned(),
            zone,
        };
        calendar.next(SystemTime::UNIX_EPOCH).ok_or_else(wrong)?;
        Ok(calendar)
    }

    /// The first time after `moment`; nothing beyond the end of the calendar.
    pub fn next(&self, moment: SystemTime) -> Option<SystemTime> {
        let from = self.zone.zoned(moment);
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        let next = SystemTime::from(next.timestamp());
        (next > moment).then_some(next)
    }

    /// As it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calendar({:?} in {:?})", self.pattern, self.zone)
    }
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.zone == other.zone
    }
}

impl Eq for Calendar {}

/// A part of `span` that is always the same for one name and differs between names, so that a
/// thousand schedules do not start in one second, and a restart changes none of them.
pub(crate) fn spread(name: &str, span: Duration) -> Duration {
    // FNV-1a: stable for ever, which the standard library's hashers do not promise.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // Its low bits alone differ little between names that end alike.
    hash ^= hash >> 32;
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(if millis == 0 { 0 } else { hash % millis })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc3339;

    fn following(pattern: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let zone = Zone::named(zone).unwrap();
        let calendar = Calendar::new(pattern, zone.clone()).unwrap();
        let mut moment = zone.parse(from).unwrap();
        let mut all = Vec::new();
        for _ in 0..count {
            moment = calendar.next(moment).unwrap();
            all.push(rfc3339(moment));
        }
        all
    }

    #[test]
    fn a_time_that_the_clocks_skip_is_the_first_one_after_it() {
        // 2026-03-29 has no 02:30 in Berlin.
        assert_eq!(
            following("30 2 * * *", "Europe/Berlin", "2026-03-28", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        // 2026-10-25 has two 02:30 in Berlin.
        assert_eq!(
            following("30 2 * * *", "Europe/Berlin", "2026-10-25", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_never_comes_is_refused() {
        for pattern in [
            "",
            "0 3 30 2 *",
            "0 0 3 1 1 *",
            "61 * * * *",
            "@never",
            "every day",
        ] {
            let error = Calendar::new(pattern, Zone::utc()).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{pattern}");
        }
    }

    #[test]
    fn the_same_name_always_waits_for_the_same_time_and_names_spread_evenly() {
        let hour = Duration::from_hours(1);
        assert_eq!(spread("api_key", hour), spread("api_key", hour));
        assert_eq!(spread("api_key", Duration::ZERO), Duration::ZERO);
        let mut halves = [0_u32; 2];
        for number in 0..10_000 {
            let late = spread(&format!("key_{number}"), hour) >= hour / 2;
            halves[usize::from(late)] += 1;
        }
        assert!(halves[0].abs_diff(halves[1]) < 500, "{halves:?}");
    }
}
