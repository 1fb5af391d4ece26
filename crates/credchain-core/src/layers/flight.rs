//! Everybody who wants the same value at the same time shares one request.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::around::{Change, Op, Request};
use super::timeout::out_of_time;
use crate::blocking::is_nested;
use crate::{Context, Error, Kind, Provider, Reference, Result, Secret};

/// Lets concurrent reads of one reference share one request to the wrapped provider ("single
/// flight"), and its answer, failures included.
///
/// - A flight is a task of its own: no waiter's cancellation ends it, the first waiter's neither.
///   An abandoned flight still arrives, which is how a cache below it is filled.
/// - A waiter's deadline ends its own wait only. The flight itself knows no deadline, because a
///   later waiter may have more time than the first: what bounds it is the
///   [`Timeout`](super::Timeout) below. A caller without any time left starts none.
/// - A batch joins the flights already under way and starts one for all the rest.
/// - After a write through this layer, nobody joins a flight that began before it.
/// - If a flight's runtime shuts down under it, each waiter starts one more in its own runtime; if
///   that is lost as well, or the provider panics, the answer is [`Kind::Internal`]. A runtime
///   that still exists but is not driven holds its flights, and their waiters elsewhere, up; only a
///   [`block_on`](crate::block_on) inside of it does not join them.
///
/// `describe`, `list` and the facets are passed on as they are. Outside of a Tokio runtime reads
/// are, too.
pub struct Flight {
    inner: Arc<dyn Provider>,
    sky: Arc<Sky>,
}

type Answer = Result<Secret>;
type Waiter = watch::Receiver<Option<Answer>>;

/// The flights under way.
#[derive(Default)]
struct Sky(Mutex<State>);

#[derive(Default)]
struct State {
    flights: HashMap<Reference, UnderWay>,
    last_id: u64,
}

struct UnderWay {
    id: u64,
    runtime: tokio::runtime::Id,
    waiter: Waiter,
}

/// How the provider is asked.
#[derive(Clone, Copy)]
enum Call {
    Single,
    Batch,
}

impl Flight {
    /// Shares the reads of `inner`.
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Self {
            inner,
            sky: Arc::default(),
        }
    }

    /// Starts reading what is not being read already, and does not wait for it.
    pub(super) fn start(&self, references: &[Reference], cx: &Context) {
        let call = if references.len() == 1 {
            Call::Single
        } else {
            Call::Batch
        };
        self.board(references, call, cx);
    }

    /// One waiter for each reference, in order; nothing outside of a runtime.
    fn board(&self, references: &[Reference], call: Call, cx: &Context) -> Option<Vec<Waiter>> {
        let runtime = Handle::try_current().ok()?;
        let mut seats = VecDeque::new();
        let (waiters, id) = {
            let mut state = self.sky.lock();
            state.last_id += 1;
            let id = state.last_id;
            let nested = is_nested();
            let mut join = |reference: &Reference| {
                if let Some(flight) = state.flights.get(reference)
                    // A runtime that is blocked by this very call would never land it.
                    && (!nested || flight.runtime == runtime.id())
                {
                    return flight.waiter.clone();
                }
                let (sender, waiter) = watch::channel(None);
                seats.push_back((reference.clone(), sender));
                let flight = UnderWay {
                    id,
                    runtime: runtime.id(),
                    waiter: waiter.clone(),
                };
                state.flights.insert(reference.clone(), flight);
                waiter
            };
            (references.iter().map(&mut join).collect(), id)
        };
        if !seats.is_empty() {
            let landing = Landing {
                sky: self.sky.clone(),
                id,
                seats,
            };
            let flight = fly(
                self.inner.clone(),
                landing,
                call,
                cx.clone().without_deadline(),
            );
            // Not under the lock: a runtime that is shutting down drops the task at once, and its
            // end needs the lock.
            runtime.spawn(flight.in_current_span());
        }
        Some(waiters)
    }

    async fn read(&self, references: &[Reference], call: Call, cx: &Context) -> Vec<Answer> {
        let left = cx.remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return references
                .iter()
                .map(|_| Err(out_of_time(Duration::ZERO)))
                .collect();
        }
        let Some(waiters) = self.board(references, call, cx) else {
            return ask(&*self.inner, references, call, cx).await;
        };
        let mut answers = Vec::with_capacity(references.len());
        let mut lost = Vec::new();
        for (at, mut waiter) in waiters.into_iter().enumerate() {
            let waited = wait(&mut waiter, cx).await;
            if matches!(waited, Waited::Lost) {
                lost.push(at);
            }
            answers.push(waited.answer(left));
        }
        if !lost.is_empty() {
            let again: Vec<_> = lost.iter().map(|at| references[*at].clone()).collect();
            let waiters = self.board(&again, call, cx).unwrap_or_default();
            for (at, mut waiter) in lost.into_iter().zip(waiters) {
                answers[at] = wait(&mut waiter, cx).await.answer(left);
            }
        }
        answers
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        op: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        // Dropped at the end of the request, whichever it is: also a write that failed or was
        // cancelled may have happened.
        let _grounding = op.change().map(|change| Grounding {
            sky: &self.sky,
            change,
        });
        request(cx.clone()).await
    }
}

layer! { Flight, reads {
    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let one = std::slice::from_ref(reference);
        self.read(one, Call::Single, cx).await.pop().unwrap_or_else(|| Err(unanswered()))
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        self.read(references, Call::Batch, cx).await
    }
} }

impl Sky {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request on its way, for one reference or several.
async fn fly(inner: Arc<dyn Provider>, mut landing: Landing, call: Call, cx: Context) {
    let references: Vec<_> = landing
        .seats
        .iter()
        .map(|(reference, _)| reference.clone())
        .collect();
    for answer in ask(&*inner, &references, call, &cx).await {
        landing.land(answer);
    }
    // A batch that was answered in part: the rest must not look like a lost flight.
    while !landing.seats.is_empty() {
        landing.land(Err(unanswered()));
    }
}

async fn ask(
    inner: &dyn Provider,
    references: &[Reference],
    call: Call,
    cx: &Context,
) -> Vec<Answer> {
    match (call, references) {
        (Call::Single, [reference]) => vec![inner.get(reference, cx).await],
        _ => inner.get_many(references, cx).await,
    }
}

fn unanswered() -> Error {
    Error::new(Kind::Internal, "the provider left a question unanswered")
}

/// What a flight owes: an answer for every seat, however it ends.
struct Landing {
    sky: Arc<Sky>,
    id: u64,
    seats: VecDeque<(Reference, watch::Sender<Option<Answer>>)>,
}

impl Landing {
    fn land(&mut self, answer: Answer) {
        let Some((reference, sender)) = self.seats.pop_front() else {
            return;
        };
        self.clear(&reference);
        sender.send_replace(Some(answer));
    }

    /// Takes the flight off the board, so that the next reader starts a new one.
    fn clear(&self, reference: &Reference) {
        let mut state = self.sky.lock();
        if state
            .flights
            .get(reference)
            .is_some_and(|flight| flight.id == self.id)
        {
            state.flights.remove(reference);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        // Without seats the flight has landed. Otherwise it panicked, or its runtime shut down.
        let panicked = std::thread::panicking();
        while let Some((reference, sender)) = self.seats.pop_front() {
            self.clear(&reference);
            if panicked {
                let error = Error::new(Kind::Internal, "the provider panicked");
                sender.send_replace(Some(Err(error)));
            }
        }
    }
}

/// Takes flights off the board that read what has changed since.
struct Grounding<'a> {
    sky: &'a Sky,
    change: Change<'a>,
}

impl Drop for Grounding<'_> {
    fn drop(&mut self) {
        let affected = |reference: &Reference| match self.change {
            Change::Path(_) => self.change.concerns_path(reference.path()),
            // Which reference a lease belongs to is known only when the answer is there.
            Change::Lease(_) | Change::Leases => true,
        };
        self.sky
            .lock()
            .flights
            .retain(|reference, _| !affected(reference));
    }
}

enum Waited {
    Answered(Answer),
    OutOfTime,
    Lost,
}

impl Waited {
    fn answer(self, limit: Option<Duration>) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            Self::OutOfTime => Err(out_of_time(limit.unwrap_or_default())),
            Self::Lost => Err(Error::new(
                Kind::Internal,
                "the request's runtime has shut down",
            )),
        }
    }
}

async fn wait(waiter: &mut Waiter, cx: &Context) -> Waited {
    let arrival = async {
        match waiter.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().map_or(Waited::Lost, Waited::Answered),
            Err(_) => Waited::Lost,
        }
    };
    match cx.remaining() {
        None => arrival.await,
        Some(left) => cx
            .clock()
            .timeout(left, arrival)
            .await
            .unwrap_or(Waited::OutOfTime),
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
