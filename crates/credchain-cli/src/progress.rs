//! A word to a person who waits, and only to one.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

fn erase(state: &State) {
    if *state == State::Shown {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
    }
}
