//! One running plugin process and the requests that wait for it.
//!
//! Three threads serve a process: one reads answers and hands each to whoever waits for its id,
//! one writes requests, one drains stderr. The callers wait on channels that belong to no
//! runtime, so a caller, or its whole runtime, may go away at any time without harm to the others.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result};
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

use crate::child::{self, Handle, Launch};
use crate::pipe::{Line, Lines, read_head, write_all};
use crate::wire::{self, Answer, Hello, Item, Op, Request, Response, malformed};

/// How long a plugin may take to end after its stdin did, before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for a killed process to be reaped.
const REAPING: Duration = Duration::from_secs(2);

/// A plugin that owes this many answers nobody waits for any more is taken for stuck.
const MAX_ABANDONED: usize = 64;

type Answers = Result<Vec<Answer>>;

/// A plugin process. Dropping it ends the process and waits until it is reaped.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    /// When it was started, on the caller's clock.
    started: Duration,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Answers>>,
    /// Requests whose callers went away; their answers are still to come.
    abandoned: HashSet<u64>,
    /// `None` once stdin is closed.
    outbound: Option<mpsc::Sender<Zeroizing<Vec<u8>>>>,
    answered: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Starting,
    Ready(Arc<Hello>),
    Gone(Error),
}

impl Session {
    /// Starts the process; `greeting` is the line it gets once it said hello.
    pub(crate) fn start(
        launch: &Launch,
        greeting: Zeroizing<Vec<u8>>,
        max_response: usize,
        cx: &Context,
    ) -> io::Result<Self> {
        let mut started = child::start(launch)?;
        let (outbound, inbox) = mpsc::channel::<Zeroizing<Vec<u8>>>();
        let shared = Arc::new(Shared {
            handle: started.handle,
            state: Mutex::new(State {
                outbound: Some(outbound),
                ..State::default()
            }),
            phase: watch::Sender::new(Phase::Starting),
        });
        // From here on dropping the session ends the process.
        let session = Self {
            shared: shared.clone(),
            started: cx.clock().monotonic(),
        };
        child::background("credchain-plugin-in", move || {
            let Some(stdin) = &mut started.stdin else {
                return;
            };
            while let Ok(line) = inbox.recv()
                && write_all(stdin, &line)
            {}
        })?;
        child::background("credchain-plugin-err", move || {
            let (_, bytes) = read_head(&mut started.stderr, 0);
            tracing::debug!(bytes, "the plugin wrote to stderr");
        })?;
        child::background("credchain-plugin-out", move || {
            shared.listen(&mut Lines::new(started.stdout, max_response), greeting);
        })?;
        Ok(session)
    }

    /// Why the process is of no use any more, if it is not.
    pub(crate) fn gone(&self) -> Option<Error> {
        match &*self.shared.phase.borrow() {
            Phase::Gone(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Whether it ever answered a request.
    pub(crate) fn answered(&self) -> bool {
        self.shared.state().answered
    }

    /// Waits until the plugin said hello.
    pub(crate) async fn ready(&self, patience: Duration, cx: &Context) -> Result<Arc<Hello>> {
        let mut phase = self.shared.phase.subscribe();
        let limit = (self.started + patience).saturating_sub(cx.clock().monotonic());
        let left = cx.remaining().unwrap_or(limit);
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
        let settled = cx.clock().timeout(limit.min(left), settled).await;
        match settled.as_ref().and_then(|outcome| outcome.as_deref().ok()) {
            Some(Phase::Ready(hello)) => return Ok(hello.clone()),
            Some(Phase::Gone(error)) => return Err(error.clone()),
            _ => {}
        }
        drop(settled);
        let error = Error::new(Kind::Unavailable, "the plugin did not say hello in time")
            .with_hint("`startup_timeout` is how long it may take");
        // One caller in a hurry is no reason to end it for the others.
        if limit <= left {
            self.shared.end(&error);
        }
        Err(error)
    }

    /// Asks and waits for the answer, for no longer than `patience`.
    pub(crate) async fn ask(
        &self,
        op: Op,
        items: Option<Vec<Item<'_>>>,
        prefix: Option<&str>,
        patience: Duration,
        cx: &Context,
    ) -> Answers {
        let (ticket, answer) = self.shared.enroll()?;
        let deadline_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let request = Request {
            id: ticket.id,
            op,
            deadline_ms,
            items,
            prefix,
        };
        self.shared.send(wire::line(&request)?);
        drop(request);
        match cx.clock().timeout(patience, answer).await {
            Some(Ok(answers)) => answers,
            Some(Err(_)) => Err(Error::new(Kind::Internal, "a plugin's answer was lost")),
            None => Err(Error::new(
                Kind::Unavailable,
                "the plugin did not answer in time",
            )),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.state().outbound = None;
        if !shared.handle.wait(GRACE) {
            shared.handle.kill();
            shared.handle.wait(REAPING);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enroll(&self) -> Result<(Ticket<'_>, oneshot::Receiver<Answers>)> {
        let mut state = self.state();
        // Looked at under the lock, under which `end` empties the waiting list.
        if let Phase::Gone(error) = &*self.phase.borrow() {
            return Err(error.clone());
        }
        state.last_id += 1;
        let (sender, receiver) = oneshot::channel();
        let id = state.last_id;
        state.waiting.insert(id, sender);
        drop(state);
        Ok((Ticket { shared: self, id }, receiver))
    }

    fn send(&self, line: Zeroizing<Vec<u8>>) {
        if let Some(outbound) = &self.state().outbound {
            // It fails only when the process is gone, which everybody who waits is told.
            let _ = outbound.send(line);
        }
    }

    /// Reads until the process ends or breaks the protocol.
    fn listen(&self, lines: &mut Lines<impl io::Read>, greeting: Zeroizing<Vec<u8>>) {
        let outcome = self.greet(lines, greeting).and_then(|()| {
            loop {
                self.answer(&next(lines)?)?;
            }
        });
        let Err(error): Result<std::convert::Infallible> = outcome;
        self.end(&error);
    }

    fn greet(&self, lines: &mut Lines<impl io::Read>, greeting: Zeroizing<Vec<u8>>) -> Result<()> {
        let line = match lines.next_line() {
            Line::Complete(line) => line,
            Line::TooLong => return Err(too_long()),
            Line::Broken | Line::End => {
                let message = "the plugin ended before it said hello";
                return Err(Error::new(Kind::Misconfigured, message)
                    .with_hint("start it by hand to see why: its first line must be its hello"));
            }
        };
        let hello = Hello::parse(&line)?;
        self.send(greeting);
        self.phase.send_if_modified(|phase| {
            let starting = matches!(phase, Phase::Starting);
            if starting {
                *phase = Phase::Ready(Arc::new(hello));
            }
            starting
        });
        Ok(())
    }

    /// Hands an answer to whoever waits for it.
    fn answer(&self, line: &[u8]) -> Result<()> {
        let response: Response =
            serde_json::from_slice(line).map_err(|_| malformed("a line is not a response"))?;
        let answers = match (response.results, response.error) {
            (Some(results), None) => Ok(results),
            (None, Some(failure)) => Err(failure.into_error()),
            _ => {
                return Err(malformed(
                    "a response has neither or both of `results` and `error`",
                ));
            }
        };
        let mut state = self.state();
        state.answered = true;
        if let Some(waiter) = state.waiting.remove(&response.id) {
            // Nobody may be waiting by now; then the answer is late and dropped.
            let _ = waiter.send(answers);
            Ok(())
        } else if state.abandoned.remove(&response.id) {
            Ok(())
        } else {
            Err(malformed("a response to a request that is not under way"))
        }
    }

    /// Ends the process and tells everybody who waits.
    fn end(&self, error: &Error) {
        let mut state = self.state();
        self.phase.send_if_modified(|phase| {
            let alive = !matches!(phase, Phase::Gone(_));
            if alive {
                *phase = Phase::Gone(error.clone());
            }
            alive
        });
        state.outbound = None;
        for (_, waiter) in state.waiting.drain() {
            let _ = waiter.send(Err(error.clone()));
        }
        drop(state);
        self.handle.kill();
    }
}

fn next(lines: &mut Lines<impl io::Read>) -> Result<Zeroizing<Vec<u8>>> {
    match lines.next_line() {
        Line::Complete(line) => Ok(line),
        Line::TooLong => Err(too_long()),
        Line::Broken => Err(Error::new(
            Kind::Unavailable,
            "the plugin ended in the middle of a line",
        )),
        Line::End => Err(Error::new(Kind::Unavailable, "the plugin ended")),
    }
}

fn too_long() -> Error {
    Error::new(
        Kind::Invalid,
        "the plugin wrote a line longer than `max_response`",
    )
    .with_hint("raise `max_response`, if the values really are that large")
}

/// A request that is under way; dropping it gives up waiting.
struct Ticket<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.waiting.remove(&self.id).is_some() {
            state.abandoned.insert(self.id);
        }
        let stuck = state.abandoned.len() > MAX_ABANDONED;
        drop(state);
        if stuck {
            let message = "the plugin stopped answering and was ended";
            self.shared.end(&Error::new(Kind::Unavailable, message));
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
