//! How long a token lives, by two clocks.

use std::time::{Duration, SystemTime};

use credchain_core::Clock;

/// What a token is taken to live whose answer does not say.
pub(crate) const DEFAULT_LIFE: Duration = Duration::from_hours(1);

/// Ten years. No server means more than this; what says so is a mistake.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// How long before its end a token is replaced, unless its life is short.
const EARLY: Duration = Duration::from_mins(1);

/// How long a token is left alone before another one is asked for in the background.
const AGAIN: Duration = Duration::from_secs(30);

/// How far in the future a kept token may have been issued: clocks differ, and are set.
const DRIFT: Duration = Duration::from_mins(1);

/// A moment on both clocks. The wall clock goes on while the machine sleeps, but may be set; the
/// monotonic one cannot be set, but may stand still meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) monotonic: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &Clock) -> Self {
        Self {
            wall: clock.now(),
            monotonic: clock.monotonic(),
        }
    }

    /// A few milliseconds late, perhaps, and in a fraction of the time.
    pub(crate) fn glance(clock: &Clock) -> Self {
        let (wall, monotonic) = clock.glance();
        Self { wall, monotonic }
    }
}

/// The life of one token. It goes on only while both clocks say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) issued: SystemTime,
    length: Duration,
    /// On this process's monotonic clock.
    deadline: Duration,
}

impl Life {
    /// Of a token that was asked for at `issued`: before the request, so that a slow answer makes
    /// the life shorter and never longer. Perhaps another process asked, whose monotonic clock is
    /// not this one's. Nothing if it says what cannot be, because a clock was set since.
    pub(crate) fn new(issued: SystemTime, length: Duration, now: Moment) -> Option<Self> {
        if length > LONGEST_LIFE || issued > now.wall + DRIFT {
            return None;
        }
        let age = now.wall.duration_since(issued).unwrap_or_default();
        Some(Self {
            issued,
            length,
            deadline: now.monotonic + length.saturating_sub(age),
        })
    }

    pub(crate) fn expires(&self) -> SystemTime {
        self.issued + self.length
    }

    /// What is left of it.
    pub(crate) fn left(&self, now: Moment) -> Duration {
        let wall = self.expires().duration_since(now.wall).unwrap_or_default();
        wall.min(self.deadline.saturating_sub(now.monotonic))
    }

    /// Whether the token is to be used without asking for another one.
    pub(crate) fn is_fresh(&self, now: Moment) -> bool {
        self.left(now) > EARLY.min(self.length / 4)
    }

    /// Whether another one may be asked for in the background, `ahead` of the end. A server may give
    /// the same token again until shortly before its end: half of what it says is left is waited
    /// for, and half a minute at least.
    pub(crate) fn is_due(&self, ahead: Duration, now: Moment) -> bool {
        let left = self.left(now);
        left <= ahead.min(self.length / 2) && left + AGAIN <= self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn at(passed: u64) -> Moment {
        Moment {
            wall: SystemTime::UNIX_EPOCH + 9999 * HOUR + seconds(passed),
            monotonic: seconds(100 + passed),
        }
    }

    /// Of a token that was asked for a moment ago.
    fn life(length: u64) -> Life {
        Life::new(at(0).wall, seconds(length), at(0)).unwrap()
    }

    #[test]
    fn a_token_is_replaced_a_minute_before_its_end_or_a_quarter_of_a_short_life() {
        for (length, last) in [(3600, 3539), (240, 179), (60, 44), (8, 5), (1, 0)] {
            let life = life(length);
            assert!(life.is_fresh(at(last)), "{length}");
            assert!(!life.is_fresh(at(last + 1)), "{length}");
            assert!(!life.left(at(last)).is_zero(), "{length}");
            assert!(life.left(at(length)).is_zero(), "{length}");
        }
        assert!(!life(0).is_fresh(at(0)));
    }

    #[test]
    fn a_life_ends_by_whichever_clock_comes_first() {
        let life = life(3600);
        let slept = Moment {
            wall: at(5 * 3600).wall,
            ..at(1)
        };
        assert!(life.left(slept).is_zero());
        let set_back = Moment {
            wall: at(0).wall - 9000 * HOUR,
            ..at(3600)
        };
        assert!(life.left(set_back).is_zero());
    }

    #[test]
    fn a_kept_token_lives_for_what_the_wall_clock_leaves_of_it() {
        let young = Moment {
            monotonic: seconds(1),
            ..at(1800)
        };
        let life = Life::new(at(0).wall, HOUR, young).unwrap();
        assert_eq!(life.left(young), HOUR / 2);
        assert_eq!(
            Life::new(at(0).wall, HOUR, at(7200))
                .unwrap()
                .left(at(7200)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_kept_token_that_says_what_cannot_be_is_none() {
        let year = 365 * 24 * HOUR;
        assert!(Life::new(at(61).wall, HOUR, at(0)).is_none());
        assert!(Life::new(at(60).wall, HOUR, at(0)).is_some());
        assert!(Life::new(at(0).wall + year, HOUR, at(0)).is_none());
        assert!(Life::new(at(0).wall, LONGEST_LIFE + seconds(1), at(0)).is_none());
        let late = Life::new(at(0).wall - year, HOUR, at(0)).unwrap();
        assert!(late.left(at(0)).is_zero());
    }

    #[test]
    fn a_token_is_due_ahead_of_its_end_but_not_in_the_first_half_of_its_life() {
        let life = life(3600);
        assert!(!life.is_due(seconds(300), at(3299)) && life.is_due(seconds(300), at(3300)));
        assert!(!life.is_due(2 * HOUR, at(1799)) && life.is_due(2 * HOUR, at(1800)));
    }

    #[test]
    fn a_server_that_repeats_itself_is_not_asked_all_the_time() {
        let (mut asked, mut current) = (0, life(3600));
        for passed in 0..3590 {
            let left = 3600 - passed;
            if current.is_due(seconds(300), at(passed)) {
                asked += 1;
                current = Life::new(at(passed).wall, seconds(left), at(passed)).unwrap();
            }
        }
        assert_eq!(asked, 4);
    }
}
