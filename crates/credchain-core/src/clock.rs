//! Time, handed in so that tests need not sleep.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// Where time comes from: the system, or a test's [`ManualClock`].
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<ManualClock>>);

static START: LazyLock<Instant> = LazyLock::new(
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the system's time comes in"
    )]
    Instant::now,
);

impl Clock {
    /// The system's time.
    pub const fn system() -> Self {
        Self(None)
    }

    /// The wall clock, which may jump.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the system's time comes in"
    )]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(manual) => manual.epoch + *manual.elapsed.borrow(),
        }
    }

    /// Time since some fixed moment of this process; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            None => START.elapsed(),
            Some(manual) => *manual.elapsed.borrow(),
        }
    }

    /// Which start of which machine this is, and the time since, sleep included: what compares
    /// across processes. Nothing where the system does not say, or the clock is a test's.
    pub fn since_boot(&self) -> Option<(String, Duration)> {
        #[cfg(target_os = "linux")]
        if self.0.is_none() {
            return coarse::since_boot();
        }
        None
    }

    /// Both clocks, [`now`](Self::now) and [`monotonic`](Self::monotonic), perhaps a few
    /// milliseconds late: for what is looked at all the time and lasts for minutes. On Linux that
    /// takes a fraction of the time (`CLOCK_REALTIME_COARSE`).
    pub fn glance(&self) -> (SystemTime, Duration) {
        #[cfg(target_os = "linux")]
        if self.0.is_none() {
            return coarse::both();
        }
        (self.now(), self.monotonic())
    }

    /// Waits for `duration` to pass on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            None => tokio::time::sleep(duration).await,
            Some(manual) => {
                let until = manual.elapsed.borrow().saturating_add(duration);
                let mut elapsed = manual.elapsed.subscribe();
                // The sender lives in the clock that this future borrows, so the wait cannot fail.
                let _ = elapsed.wait_for(|elapsed| *elapsed >= until).await;
            }
        }
    }

    /// Runs `work`, giving up after `duration`.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        work: impl Future<Output = T> + Send,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(duration) => None,
        }
    }
}

/// The kernel's clocks: as they were at its last tick, and since it was started.
#[cfg(target_os = "linux")]
mod coarse {
    use std::sync::LazyLock;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// What the monotonic clock showed at the moment that this process counts from.
    static START: LazyLock<Duration> = LazyLock::new(|| {
        let passed = super::START.elapsed();
        since_zero(clock_gettime(ClockId::Monotonic)).saturating_sub(passed)
    });

    pub(super) fn both() -> (SystemTime, Duration) {
        let wall = UNIX_EPOCH + since_zero(clock_gettime(ClockId::RealtimeCoarse));
        let monotonic = since_zero(clock_gettime(ClockId::MonotonicCoarse));
        (wall, monotonic.saturating_sub(*START))
    }

    pub(super) fn since_boot() -> Option<(String, Duration)> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let passed = clock_gettime(ClockId::Boottime);
        Some((boot.trim().to_owned(), since_zero(passed)))
    }

    /// A time before zero, such as before 1970, is zero.
    fn since_zero(time: Timespec) -> Duration {
        Duration::try_from(time).unwrap_or_default()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Clock(manual)"
        } else {
            "Clock(system)"
        })
    }
}

/// A clock that moves only when told to.
///
/// ```
/// use std::time::Duration;
/// use credchain_core::ManualClock;
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// manual.advance(Duration::from_secs(90));
/// assert_eq!(clock.monotonic(), Duration::from_secs(90));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    epoch: SystemTime,
    elapsed: watch::Sender<Duration>,
}

impl ManualClock {
    /// A clock that stands at the start of 2026 (UTC).
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: SystemTime::UNIX_EPOCH + Duration::from_hours(490_896),
            elapsed: watch::Sender::new(Duration::ZERO),
        })
    }

    /// The clock to hand in.
    pub fn clock(self: &Arc<Self>) -> Clock {
        Clock(Some(self.clone()))
    }

    /// Moves time forward and wakes whoever waited for it.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }

    /// How many sleepers wait on this clock; lets a test observe instead of sleeping.
    pub fn sleepers(&self) -> usize {
        self.elapsed.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_late_by_milliseconds_at_most() {
        let late = Duration::from_millis(100);
        let clock = Clock::system();
        let before = (clock.now(), clock.monotonic());
        let (wall, monotonic) = clock.glance();
        assert!(wall + late > before.0 && wall <= clock.now() + late);
        assert!(monotonic + late > before.1 && monotonic <= clock.monotonic() + late);
        let manual = ManualClock::new();
        manual.advance(late);
        let clock = manual.clock();
        assert_eq!(clock.glance(), (clock.now(), late));
    }

    #[tokio::test]
    async fn a_manual_sleep_ends_when_time_is_moved() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let sleeper = tokio::spawn(async move { clock.sleep(Duration::from_mins(1)).await });
        while manual.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        manual.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        manual.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn a_timeout_prefers_finished_work() {
        let clock = ManualClock::new().clock();
        assert_eq!(clock.timeout(Duration::ZERO, async { 1 }).await, Some(1));
    }
}
