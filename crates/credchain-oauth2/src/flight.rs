//! Everybody who wants the same token at the same time waits for the same request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::error::Failed;
use crate::life::Moment;
use crate::token::Token;

/// How long nobody asks again after a failure: at first, and at the most.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_mins(1);

/// How often, at the most, a token is replaced because an API refused it.
const REPLACED: Duration = Duration::from_secs(30);

pub(crate) type Answer = Result<Token, Failed>;
pub(crate) type Waiter = watch::Receiver<Option<Answer>>;

/// The token at hand, who is asking for the next one, and what came of it last.
#[derive(Debug, Default)]
pub(crate) struct Board {
    current: ArcSwapOption<Token>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    flight: Option<Waiter>,
    setback: Option<Setback>,
    /// The newest generation that an API refused.
    refused: u64,
    replaced: Option<Duration>,
}

/// What went wrong last, for those who come right after.
#[derive(Debug)]
struct Setback {
    failed: Failed,
    until: Duration,
    times: u32,
}

/// How somebody who wants a token gets one.
pub(crate) enum Seat {
    /// Here it is.
    Token(Token),
    /// It went wrong a moment ago, and is not tried again yet.
    Rest(Failed),
    /// Somebody is asking already.
    Wait(Waiter),
    /// Whoever has this asks.
    Fly(Pilot, Waiter),
}

/// What the one who asks owes the others.
#[derive(Debug)]
pub(crate) struct Pilot(watch::Sender<Option<Answer>>);

impl Board {
    /// The token at hand, fresh or not. Takes no lock.
    pub(crate) fn current(&self) -> arc_swap::Guard<Option<Arc<Token>>> {
        self.current.load()
    }

    /// A seat for somebody to whom the token at hand is no good; `good` says of one what is.
    pub(crate) fn seat(&self, now: Moment, good: impl Fn(&Token) -> bool) -> Seat {
        let mut state = self.state();
        // It may have come since the caller looked.
        if let Some(token) = self.current.load().as_ref().filter(|token| good(token)) {
            return Seat::Token(Token::clone(token));
        }
        // A flight whose pilot is gone has ended without an answer.
        if let Some(flight) = state.flight.as_ref().filter(|f| f.has_changed().is_ok()) {
            return Seat::Wait(flight.clone());
        }
        let resting = |setback: &&Setback| now.monotonic < setback.until;
        if let Some(setback) = state.setback.as_ref().filter(resting) {
            let mut failed = setback.failed.clone();
            failed.retry_after = Some(setback.until.saturating_sub(now.monotonic));
            return Seat::Rest(failed);
        }
        let (sender, waiter) = watch::channel(None);
        state.flight = Some(waiter.clone());
        Seat::Fly(Pilot(sender), waiter)
    }

    /// Ends a flight: the next one who needs to ask starts another.
    pub(crate) fn land(&self, pilot: &Pilot, answer: Answer, now: Moment) {
        let mut state = self.state();
        match &answer {
            Ok(token) => {
                // An API may have refused it while it was on its way.
                if token.generation() > state.refused {
                    self.current.store(Some(Arc::new(token.clone())));
                }
                state.setback = None;
            }
            Err(failed) if failed.came_of_asking() => {
                let times = state.setback.as_ref().map_or(0, |setback| setback.times);
                let rest = FIRST_REST.saturating_mul(1 << times.min(10));
                let rest = failed.retry_after.unwrap_or(rest.min(LONGEST_REST));
                state.setback = Some(Setback {
                    failed: failed.clone(),
                    until: now.monotonic + rest,
                    times: times + 1,
                });
            }
            Err(_) => {}
        }
        state.flight = None;
        drop(state);
        pilot.0.send_replace(Some(answer));
    }

    /// Puts a token at hand, if it is newer.
    pub(crate) fn publish(&self, token: &Token) {
        let state = self.state();
        let current = self.current.load();
        let known = current.as_ref().map_or(0, |current| current.generation());
        if token.generation() > known.max(state.refused) {
            self.current.store(Some(Arc::new(token.clone())));
        }
    }

    /// Forgets the token at hand, and what went wrong.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        self.current.store(None);
        state.setback = None;
    }

    /// Notes that an API refused a token of this generation; whether another one is to be had.
    pub(crate) fn refuse(&self, generation: u64, now: Moment) -> bool {
        let mut state = self.state();
        let current = self.current.load();
        let newer = current
            .as_ref()
            .is_some_and(|t| t.generation() > generation);
        if newer || state.refused >= generation {
            return true;
        }
        let replaced = state.replaced.map(|at| now.monotonic.saturating_sub(at));
        if replaced.is_some_and(|ago| ago < REPLACED) {
            return false;
        }
        state.refused = generation;
        state.replaced = Some(now.monotonic);
        self.current.store(None);
        true
    }

    /// The newest generation that an API refused.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    /// The newest generation that is known here.
    pub(crate) fn newest(&self) -> u64 {
        let refused = self.refused();
        let current = self.current.load();
        current
            .as_ref()
            .map_or(refused, |token| token.generation().max(refused))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
