//! A word to a person who waits, and only to one.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shorter waits are not worth a word.
const PATIENCE: Duration = Duration::from_millis(300);

/// Shows a line on the terminal while something takes long; never in a pipe.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    enabled: bool,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Waiting,
    Shown,
    Paused,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let enabled = !quiet && std::io::stderr().is_terminal();
        Self {
            enabled,
            shared: Arc::default(),
        }
    }

    /// Does the work, with `words` on the terminal if it takes long.
    pub(crate) fn during<T>(&self, words: &str, work: impl FnOnce() -> T) -> T {
        if !self.enabled {
            return work();
        }
        *self.state() = State::Waiting;
        std::thread::scope(|scope| {
            scope.spawn(|| self.show_later(words));
            let done = work();
            let mut state = self.state();
            erase(&state);
            *state = State::Idle;
            drop(state);
            self.shared.changed.notify_all();
            done
        })
    }

    /// Does work that knows how far it is: it tells how many bytes are done, of how many. After a
    /// moment there is a line with both, and how long the rest will take.
    pub(crate) fn of_bytes<T>(
        &self,
        words: &str,
        work: impl FnOnce(&(dyn Fn(u64, u64) + Sync)) -> T,
    ) -> T {
        if !self.enabled {
            return work(&|_, _| {});
        }
        let bar = Bar {
            words,
            began: now(),
            drawn: Mutex::new(None),
        };
        let done = work(&|bytes, of| bar.tell(bytes, of));
        if bar.drawn().is_some() {
            erase(&State::Shown);
        }
        done
    }

    /// Clears the line for good: somebody else is going to write to the terminal.
    pub(crate) fn pause(&self) {
        let mut state = self.state();
        erase(&state);
        *state = State::Paused;
        drop(state);
        self.shared.changed.notify_all();
    }

    fn show_later(&self, words: &str) {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.state(), PATIENCE, |state| *state == State::Waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *state == State::Waiting {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "{words} …").and_then(|()| out.flush());
            *state = State::Shown;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a bar is drawn, at most.
const REDRAWN: Duration = Duration::from_millis(100);

/// A line that says how far something is.
struct Bar<'a> {
    words: &'a str,
    began: Instant,
    /// When it was last drawn, since it began.
    drawn: Mutex<Option<Duration>>,
}

impl Bar<'_> {
    fn tell(&self, bytes: u64, of: u64) {
        let passed = self.began.elapsed();
        // Somebody else is drawing.
        let Ok(mut drawn) = self.drawn.try_lock() else {
            return;
        };
        if passed < drawn.map_or(PATIENCE, |last| last + REDRAWN) {
            return;
        }
        *drawn = Some(passed);
        let line = line(self.words, bytes, of, passed);
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r{line}\u{1b}[K").and_then(|()| out.flush());
    }

    fn drawn(&self) -> MutexGuard<'_, Option<Duration>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `scanning 1.2 MB of 3.4 MB, 35 %, 12 s left`
fn line(words: &str, bytes: u64, of: u64, passed: Duration) -> String {
    let percent = (bytes * 100).checked_div(of).unwrap_or(100);
    let rest = u128::from(of.saturating_sub(bytes));
    let left = passed.as_millis() * rest / u128::from(bytes.max(1)) / 1000;
    let left = match left {
        0..60 => format!("{left} s"),
        60..6000 => format!("{} min", left / 60),
        _ => format!("{} h", left / 3600),
    };
    format!(
        "{words} {} of {}, {percent} %, {left} left",
        size(bytes),
        size(of)
    )
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    let unit = units.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(name, unit)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a person has waited is measured at the person's terminal"
)]
fn now() -> Instant {
    Instant::now()
}

fn erase(state: &State) {
    if *state == State::Shown {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_tells_bytes_and_how_long_the_rest_will_take() {
        let told = line("scanning", 1_250_000, 5_000_000, Duration::from_secs(4));
        assert_eq!(told, "scanning 1.2 MB of 5.0 MB, 25 %, 12 s left");
        let slow = line("scanning", 1, 1_000, Duration::from_secs(1));
        assert_eq!(slow, "scanning 1 B of 1.0 kB, 0 %, 16 min left");
        assert!(line("x", 0, 0, Duration::ZERO).contains("100 %"));
    }
}
