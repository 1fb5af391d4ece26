//! How old a value may become, and how a new one takes over.

use std::time::{Duration, SystemTime};

use credchain_core::{Error, Kind, Result, format_duration};

use crate::Calendar;
use crate::schedule::spread;

const DAY: Duration = Duration::from_hours(24);

/// The longest period that is a policy and no mistake.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 100);

/// The shortest one: a value that lives for less is a token.
const SHORTEST: Duration = Duration::from_mins(1);

/// How much earlier than it must a rotation starts, so that not all start at once.
const MOST_SPREAD: Duration = Duration::from_hours(6);

/// When a credential is replaced, and how long the old value stays.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use credchain_rotation::Policy;
///
/// let policy = Policy::every(Duration::from_secs(90 * 86_400))?;
/// assert_eq!(policy.expires("api_key", UNIX_EPOCH), Some(UNIX_EPOCH + Duration::from_secs(90 * 86_400)));
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    when: When,
    jitter: Option<Duration>,
    overlap: Duration,
    soak: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Age(Duration),
    Calendar(Calendar),
}

impl Policy {
    /// How long the old value stays valid beside the new one, unless told otherwise: nobody knows
    /// how long every reader keeps what it read.
    pub const OVERLAP: Duration = DAY;

    /// How long a disabled value can be enabled again, unless told otherwise.
    pub const SOAK: Duration = DAY;

    /// No value becomes older than this.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for less than a minute or more than a hundred years.
    pub fn every(age: Duration) -> Result<Self> {
        if (SHORTEST..=LONGEST).contains(&age) {
            return Ok(Self::new(When::Age(age)));
        }
        let message = format!("`{}` is no age to rotate at", format_duration(age));
        Err(Error::new(Kind::Misconfigured, message)
            .with_hint("from a minute to a hundred years, such as `90d`"))
    }

    /// Values are replaced at these times, whenever they were made.
    pub fn calendar(calendar: Calendar) -> Self {
        Self::new(When::Calendar(calendar))
    }

    fn new(when: When) -> Self {
        Self {
            when,
            jitter: None,
            overlap: Self::OVERLAP,
            soak: Self::SOAK,
        }
    }

    /// The same, with the starts of different credentials spread over this time. By default, that
    /// is a tenth of the period, six hours at the most.
    pub fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// The same, with the old value valid for so long beside the new one.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if that is longer than the period itself: three values would be
    /// valid at once.
    pub fn with_overlap(mut self, overlap: Duration) -> Result<Self> {
        if let When::Age(age) = self.when
            && overlap >= age
        {
            let message = format!(
                "the overlap of {} is not shorter than the period of {}",
                format_duration(overlap),
                format_duration(age)
            );
            return Err(Error::new(Kind::Misconfigured, message));
        }
        self.overlap = overlap;
        Ok(self)
    }

    /// The same, with a disabled value kept for so long before it is revoked.
    pub fn with_soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// How long the old value stays valid.
    pub fn overlap(&self) -> Duration {
        self.overlap
    }

    /// How long a disabled value is kept.
    pub fn soak(&self) -> Duration {
        self.soak
    }

    /// The age limit, for a policy that has one.
    pub fn age(&self) -> Option<Duration> {
        match self.when {
            When::Age(age) => Some(age),
            When::Calendar(_) => None,
        }
    }

    /// The end of a value that was made at `created`; nothing beyond the end of the calendar.
    /// Counted in seconds, not in days of some zone: a day has 86,400 of them.
    pub fn expires(&self, name: &str, created: SystemTime) -> Option<SystemTime> {
        match &self.when {
            When::Age(age) => created.checked_add(*age),
            When::Calendar(calendar) => {
                let next = calendar.next(created)?;
                next.checked_add(self.spread(name, next.duration_since(created).ok()?))
            }
        }
    }

    /// From when on a rotation is due: when the value counts as urgent, a little later for each
    /// credential than for the last. A schedule is due when it comes.
    pub fn due(&self, name: &str, created: SystemTime) -> Option<SystemTime> {
        let expires = self.expires(name, created)?;
        match self.when {
            When::Calendar(_) => Some(expires),
            When::Age(age) => {
                let lead = Thresholds::of(age).urgent;
                let spread = self.spread(name, age).min(lead);
                expires.checked_sub(lead)?.checked_add(spread)
            }
        }
    }

    fn spread(&self, name: &str, period: Duration) -> Duration {
        spread(name, self.jitter.unwrap_or((period / 10).min(MOST_SPREAD)))
    }
}

/// From how many days before its end a value counts as urgent or as a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    pub(crate) warning: Duration,
    pub(crate) urgent: Duration,
}

impl Thresholds {
    /// Thirty and seven days; for a period shorter than ninety, a third and a twelfth of it.
    pub(crate) fn of(period: Duration) -> Self {
        Self {
            warning: (period / 3).min(30 * DAY),
            urgent: (period / 12).min(7 * DAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::Zone;

    #[test]
    fn thresholds_shrink_with_the_period() {
        assert_eq!(
            Thresholds::of(90 * DAY),
            Thresholds {
                warning: 30 * DAY,
                urgent: 7 * DAY
            }
        );
        assert_eq!(
            Thresholds::of(12 * DAY),
            Thresholds {
                warning: 4 * DAY,
                urgent: DAY
            }
        );
        assert_eq!(
            Thresholds::of(3650 * DAY),
            Thresholds {
                warning: 30 * DAY,
                urgent: 7 * DAY
            }
        );
    }

    #[test]
    fn a_policy_of_nothing_or_of_more_than_a_century_is_a_mistake() {
        for age in [Duration::ZERO, Duration::from_secs(59), 101 * 366 * DAY] {
            assert_eq!(Policy::every(age).unwrap_err().kind(), Kind::Misconfigured);
        }
        assert!(Policy::every(100 * 365 * DAY).is_ok());
    }

    #[test]
    fn an_overlap_is_shorter_than_the_period() {
        let policy = Policy::every(7 * DAY).unwrap();
        assert!(policy.clone().with_overlap(6 * DAY).is_ok());
        let error = policy.with_overlap(7 * DAY).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }

    #[test]
    fn a_rotation_is_due_before_the_value_ends_and_never_at_one_moment_for_all() {
        let policy = Policy::every(90 * DAY).unwrap();
        let starts: std::collections::BTreeSet<_> = (0..100)
            .map(|number| policy.due(&format!("key_{number}"), UNIX_EPOCH).unwrap())
            .collect();
        assert!(starts.len() > 90);
        let from = UNIX_EPOCH + 83 * DAY;
        assert!(
            starts
                .iter()
                .all(|start| (from..from + MOST_SPREAD).contains(start))
        );
    }

    #[test]
    fn a_schedule_is_due_when_it_comes() {
        let calendar = Calendar::new("0 3 * * *", Zone::utc()).unwrap();
        let policy = Policy::calendar(calendar).with_jitter(Duration::ZERO);
        let due = policy.due("api_key", UNIX_EPOCH).unwrap();
        assert_eq!(due, UNIX_EPOCH + 3 * Duration::from_hours(1));
        assert_eq!(policy.expires("api_key", UNIX_EPOCH), Some(due));
    }
}
