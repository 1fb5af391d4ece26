//! How old credentials are: the table that everybody looks at.

use std::cmp::Ordering;
use std::fmt;
use std::time::{Duration, SystemTime};

use credchain_core::printable;

use crate::Policy;
use crate::policy::Thresholds;
use crate::record::CLOCK_SKEW;

const DAY: u64 = 86_400;

/// How urgent it is to replace a credential. The order is that of the table: the most urgent
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Status {
    /// Its time is over.
    Expired,
    /// Less than seven days are left, or a twelfth of a period shorter than 84 days.
    Urgent,
    /// The clock contradicts what was recorded: it was made in the future.
    ClockSuspect,
    /// Nobody knows when it was made.
    Unknown,
    /// Less than thirty days are left, or a third of a period shorter than 90 days.
    Warning,
    /// There is time.
    Ok,
}

impl Status {
    /// Every status, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::Expired,
        Self::Urgent,
        Self::ClockSuspect,
        Self::Unknown,
        Self::Warning,
        Self::Ok,
    ];

    /// Its word in tables and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "EXPIRED",
            Self::Urgent => "URGENT",
            Self::ClockSuspect => "CLOCK_SUSPECT",
            Self::Unknown => "UNKNOWN",
            Self::Warning => "WARNING",
            Self::Ok => "OK",
        }
    }

    /// Whether a check that fails at `level` fails on this. Where the age is not known, or the
    /// clock is not to be trusted, a value may well be past its end: that counts at every level.
    pub const fn fails(self, level: Level) -> bool {
        match self {
            Self::Unknown | Self::ClockSuspect => true,
            Self::Expired => !matches!(level, Level::Unknown),
            Self::Urgent => matches!(level, Level::Urgent | Level::Warning),
            Self::Warning => matches!(level, Level::Warning),
            Self::Ok => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// From which status on a check fails; see [`Status::fails`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Only where the age is not known.
    Unknown,
    /// From [`Status::Warning`] on.
    Warning,
    /// From [`Status::Urgent`] on.
    Urgent,
    /// At [`Status::Expired`].
    Expired,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The credential, or whatever else is counted.
    pub name: String,
    /// When its value was made.
    pub created: Option<SystemTime>,
    /// When its time is over.
    pub expires: Option<SystemTime>,
    /// Whole days until then, rounded down: half a day too late is −1.
    pub days_left: Option<i64>,
    /// What that means.
    pub status: Status,
}

impl Row {
    /// Judges a credential at this moment.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use credchain_rotation::{Policy, Row, Status};
    ///
    /// let day = Duration::from_secs(86_400);
    /// let policy = Policy::every(90 * day)?;
    /// let row = Row::new("api_key", Some(UNIX_EPOCH), &policy, UNIX_EPOCH + 88 * day);
    /// assert_eq!((row.days_left, row.status), (Some(2), Status::Urgent));
    /// # Ok::<(), credchain_core::Error>(())
    /// ```
    pub fn new(
        name: impl Into<String>,
        created: Option<SystemTime>,
        policy: &Policy,
        now: SystemTime,
    ) -> Self {
        let name = name.into();
        let expires = created.and_then(|created| policy.expires(&name, created));
        let days_left = expires.map(|expires| whole_days(now, expires));
        let status = match (created, expires) {
            (None, _) => Status::Unknown,
            (Some(created), _) if created > now + CLOCK_SKEW => Status::ClockSuspect,
            // Beyond the end of the calendar.
            (Some(_), None) => Status::Ok,
            (Some(created), Some(expires)) => {
                let period = expires.duration_since(created).unwrap_or_default();
                judge(now, expires, Thresholds::of(period))
            }
        };
        Self {
            name,
            created,
            expires,
            days_left,
            status,
        }
    }

    /// The order of the table: by urgency, then by what is left, then by name.
    pub fn by_urgency(&self, other: &Self) -> Ordering {
        self.status
            .cmp(&other.status)
            .then_with(|| match (self.expires, other.expires) {
                (Some(one), Some(two)) => one.cmp(&two),
                (one, two) => two.is_some().cmp(&one.is_some()),
            })
            .then_with(|| self.name.cmp(&other.name))
    }
}

fn judge(now: SystemTime, expires: SystemTime, thresholds: Thresholds) -> Status {
    let Ok(left) = expires.duration_since(now) else {
        return Status::Expired;
    };
    if left < thresholds.urgent {
        Status::Urgent
    } else if left < thresholds.warning {
        Status::Warning
    } else {
        Status::Ok
    }
}

fn whole_days(now: SystemTime, expires: SystemTime) -> i64 {
    let days = |left: Duration| i64::try_from(left.as_secs() / DAY).unwrap_or(i64::MAX);
    match expires.duration_since(now) {
        Ok(left) => days(left),
        Err(over) => {
            let over = over.duration();
            let exact = over.subsec_nanos() == 0 && over.as_secs() % DAY == 0;
            -days(over) - i64::from(!exact)
        }
    }
}

/// The rows in the text format of Prometheus, for a file that its node exporter collects.
///
/// ```
/// # use credchain_rotation::{Policy, Row, prometheus};
/// # let policy = Policy::every(std::time::Duration::from_secs(90 * 86_400))?;
/// let row = Row::new("api_key", None, &policy, std::time::SystemTime::now());
/// assert!(prometheus(&[row]).contains(
///     "credchain_credential_status{credential=\"api_key\",status=\"UNKNOWN\"} 1\n"
/// ));
/// # Ok::<(), credchain_core::Error>(())
/// ```
pub fn prometheus(rows: &[Row]) -> String {
    let mut out = String::new();
    for (name, help, moment) in MOMENTS {
        head(&mut out, name, help);
        for row in rows {
            let since = moment(row).and_then(|it| it.duration_since(SystemTime::UNIX_EPOCH).ok());
            if let Some(since) = since {
                let (label, seconds) = (escaped(&row.name), since.as_secs());
                out.push_str(&format!(
                    "credchain_credential_{name}{{credential=\"{label}\"}} {seconds}\n"
                ));
            }
        }
    }
    head(
        &mut out,
        "status",
        "1 for the status that the credential has.",
    );
    for row in rows {
        let (label, status) = (escaped(&row.name), row.status);
        out.push_str(&format!(
            "credchain_credential_status{{credential=\"{label}\",status=\"{status}\"}} 1\n"
        ));
    }
    out
}

type Moment = fn(&Row) -> Option<SystemTime>;

const MOMENTS: [(&str, &str, Moment); 2] = [
    (
        "created_timestamp_seconds",
        "When the value was made.",
        |row| row.created,
    ),
    (
        "expires_timestamp_seconds",
        "When its time is over.",
        |row| row.expires,
    ),
];

fn head(out: &mut String, name: &str, help: &str) {
    out.push_str(&format!(
        "# HELP credchain_credential_{name} {help}\n# TYPE credchain_credential_{name} gauge\n"
    ));
}

fn escaped(label: &str) -> String {
    printable(label).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    fn row(name: &str, created: &str, now: &str) -> Row {
        let zone = Zone::utc();
        let policy = Policy::every(Duration::from_secs(90 * DAY)).unwrap();
        Row::new(
            name,
            Some(zone.parse(created).unwrap()),
            &policy,
            zone.parse(now).unwrap(),
        )
    }

    #[test]
    fn the_classic_four_rows() {
        for (name, created, days, status) in [
            ("API Key (prod)", "2026-01-15", 2, Status::Urgent),
            ("DB Password", "2026-02-20", 38, Status::Ok),
            ("SMTP Token", "2025-12-01", -43, Status::Expired),
            ("OAuth Secret", "2026-03-01", 47, Status::Ok),
        ] {
            let row = row(name, created, "2026-04-13");
            assert_eq!((row.days_left, row.status), (Some(days), status), "{name}");
        }
    }

    #[test]
    fn boundaries_are_exact() {
        // Made on 2026-01-01, over on 2026-04-01.
        for (now, days, status) in [
            ("2026-04-01T00:00:01Z", -1, Status::Expired),
            ("2026-04-02T00:00:00Z", -1, Status::Expired),
            ("2026-04-02T00:00:01Z", -2, Status::Expired),
            ("2026-04-01T00:00:00Z", 0, Status::Urgent),
            ("2026-03-31T00:00:01Z", 0, Status::Urgent),
            ("2026-03-25T00:00:01Z", 6, Status::Urgent),
            ("2026-03-25T00:00:00Z", 7, Status::Warning),
            ("2026-03-02T00:00:01Z", 29, Status::Warning),
            ("2026-03-02T00:00:00Z", 30, Status::Ok),
            ("2026-01-01T00:00:00Z", 90, Status::Ok),
        ] {
            let row = row("key", "2026-01-01", now);
            assert_eq!((row.days_left, row.status), (Some(days), status), "{now}");
        }
    }

    #[test]
    fn an_unknown_age_and_a_clock_that_contradicts_are_never_fine() {
        let policy = Policy::every(Duration::from_secs(90 * DAY)).unwrap();
        let now = Zone::utc().parse("2026-04-13").unwrap();
        let unknown = Row::new("key", None, &policy, now);
        assert_eq!((unknown.days_left, unknown.status), (None, Status::Unknown));
        // A clock may be a little wrong, but not by a day.
        assert_eq!(
            row("key", "2026-04-13T00:05:00Z", "2026-04-13").status,
            Status::Ok
        );
        assert_eq!(
            row("key", "2026-04-14", "2026-04-13").status,
            Status::ClockSuspect
        );
        for level in [
            Level::Unknown,
            Level::Warning,
            Level::Urgent,
            Level::Expired,
        ] {
            assert!(Status::Unknown.fails(level) && Status::ClockSuspect.fails(level));
            assert!(!Status::Ok.fails(level));
        }
    }

    #[test]
    fn a_level_fails_from_its_status_on() {
        let failing = |level| {
            let known = [Status::Expired, Status::Urgent, Status::Warning, Status::Ok];
            known
                .into_iter()
                .filter(|status| status.fails(level))
                .count()
        };
        assert_eq!(failing(Level::Unknown), 0);
        assert_eq!(failing(Level::Warning), 3);
        assert_eq!(failing(Level::Urgent), 2);
        assert_eq!(failing(Level::Expired), 1);
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let policy = Policy::every(Duration::from_secs(90 * DAY)).unwrap();
        let now = "2026-04-13";
        let mut rows = [
            row("d", "2026-03-01", now),
            row("b", "2026-01-15", now),
            row("a", "2025-12-01", now),
            Row::new("c", None, &policy, Zone::utc().parse(now).unwrap()),
            row("older", "2025-11-01", now),
        ];
        rows.sort_by(Row::by_urgency);
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["older", "a", "b", "c", "d"]);
    }

    #[test]
    fn labels_of_metrics_are_escaped() {
        let text = prometheus(&[row("a\"b\\c\nd", "2026-03-01", "2026-04-13")]);
        assert!(
            text.contains(r#"{credential="a\"b\\c\\nd"} 1772323200"#),
            "{text}"
        );
    }
}
