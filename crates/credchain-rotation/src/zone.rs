//! Days begin at midnight somewhere: dates, instants, and the time zone between them.

use std::fmt;
use std::time::SystemTime;

use credchain_core::{Error, Kind, Result};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The time zone that dates are read and shown in. The rules of all zones are part of this crate,
/// so that a bare container counts days as a laptop does.
///
/// ```
/// use credchain_rotation::Zone;
///
/// let berlin = Zone::named("Europe/Berlin")?;
/// let moment = berlin.parse("2026-07-01")?;
/// assert_eq!(berlin.date(moment), "2026-07-01");
/// assert_eq!(Zone::utc().date(moment), "2026-06-30");
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone with this IANA name.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if there is none.
    pub fn named(name: &str) -> Result<Self> {
        TimeZone::get(name).map(Self).map_err(|_| {
            Error::new(Kind::Misconfigured, "`rotation.timezone` is no time zone")
                .with_hint("an IANA name such as `UTC` or `Europe/Berlin`")
        })
    }

    /// Reads a date, which is its first moment here, or a moment: RFC 3339, or with the time of
    /// day here.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for anything else.
    pub fn parse(&self, text: &str) -> Result<SystemTime> {
        let text = text.trim();
        let moment = if let Ok(moment) = text.parse::<Timestamp>() {
            Some(moment)
        } else if text.len() <= 10 {
            text.parse::<Date>().ok().and_then(|date| self.start(date))
        } else {
            let here = text.parse::<DateTime>().ok();
            here.and_then(|here| Some(here.to_zoned(self.0.clone()).ok()?.timestamp()))
        };
        moment
            .filter(|moment| moment.as_second() >= 0)
            .map(SystemTime::from)
            .ok_or_else(|| {
                Error::new(Kind::Invalid, "this is no date since 1970")
                    .with_hint("a date is `2026-01-15` or `2026-01-15T09:30:00Z`")
            })
    }

    /// The date here at this moment, `2026-01-15`.
    pub fn date(&self, moment: SystemTime) -> String {
        self.zoned(moment).date().to_string()
    }

    /// The date and time here at this moment, `2026-01-15 09:30`.
    pub fn minute(&self, moment: SystemTime) -> String {
        self.zoned(moment).strftime("%Y-%m-%d %H:%M").to_string()
    }

    pub(crate) fn zoned(&self, moment: SystemTime) -> Zoned {
        timestamp(moment).to_zoned(self.0.clone())
    }

    /// The first moment of a day: midnight, except where clocks are put forward over it.
    fn start(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_zoned(self.0.clone()).ok()?;
        Some(start.timestamp())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// A moment in RFC 3339, to the second.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// let moment = UNIX_EPOCH + Duration::from_millis(1_500);
/// assert_eq!(credchain_rotation::rfc3339(moment), "1970-01-01T00:00:01Z");
/// ```
pub fn rfc3339(moment: SystemTime) -> String {
    let moment = timestamp(moment);
    Timestamp::from_second(moment.as_second())
        .unwrap_or(moment)
        .to_string()
}

/// Moments beyond the calendar are its ends.
pub(crate) fn timestamp(moment: SystemTime) -> Timestamp {
    Timestamp::try_from(moment).unwrap_or(if moment < SystemTime::UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_first_moment_of_its_day() {
        let utc = Zone::utc();
        assert_eq!(
            rfc3339(utc.parse("2026-04-13").unwrap()),
            "2026-04-13T00:00:00Z"
        );
        let zone = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(
            rfc3339(zone.parse("2026-04-13").unwrap()),
            "2026-04-12T22:00:00Z"
        );
        // Clocks are put forward at midnight.
        let zone = Zone::named("America/Asuncion").unwrap();
        assert_eq!(
            rfc3339(zone.parse("2023-10-01").unwrap()),
            "2023-10-01T04:00:00Z"
        );
    }

    #[test]
    fn moments_are_read_with_and_without_an_offset() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (text, moment) in [
            ("2026-04-13T10:00:00Z", "2026-04-13T10:00:00Z"),
            ("2026-04-13T10:00:00+05:00", "2026-04-13T05:00:00Z"),
            ("2026-04-13T10:00", "2026-04-13T08:00:00Z"),
            (" 2026-04-13 ", "2026-04-12T22:00:00Z"),
        ] {
            assert_eq!(rfc3339(zone.parse(text).unwrap()), moment, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused_with_the_form_of_one() {
        for text in [
            "",
            "yesterday",
            "2026-02-30",
            "13.04.2026",
            "1969-12-31",
            "99999-01-01",
        ] {
            let error = Zone::utc().parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text}");
            assert!(error.hint().unwrap().contains("2026-01-15"), "{text}");
        }
        assert!(Zone::named("Mars/Olympus").is_err());
    }

    #[test]
    fn moments_beyond_the_calendar_are_its_ends() {
        let far = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 40);
        assert_eq!(Zone::utc().date(far), "9999-12-30");
    }
}
