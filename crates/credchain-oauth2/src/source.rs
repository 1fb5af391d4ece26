//! The source of one token.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use credchain_core::{Context, CredentialSource, Error, Kind, Result};

use crate::aside::aside;
use crate::config::{Client, Settings};
use crate::discovery::Places;
use crate::error::{Failed, Failure};
use crate::flight::{Answer, Board, Pilot, Seat, Waiter};
use crate::http::Http;
use crate::key::Key;
use crate::life::Moment;
use crate::renew::{Held, Renewal};
use crate::store::Store;
use crate::token::Token;

/// How long a server's metadata are believed.
const KNOWN: Duration = Duration::from_hours(24);

/// Gives out one token, and asks for the next one before it ends. Cheap to clone; clones are the
/// same source.
///
/// - Everybody who wants the token at the same time, in this program and in every other one that
///   uses the same store, waits for the same request. Whoever gives up waiting ends nobody's.
/// - A token is replaced a minute before its end, or a quarter of its life if that is less.
/// - If that fails because the server cannot be reached, the old one is given out to its end.
///
/// # Errors
/// - `Unauthenticated`: the server does not accept the client or its login; the hint says who has
///   to do what.
/// - `Denied`: the client may not have this token.
/// - `Unavailable`, `Throttled`: there was no answer, and asking at once again is no use.
/// - `Misconfigured`: the request is wrong, or the store's files are.
#[derive(Clone)]
pub struct TokenSource(Arc<Shared>);

/// What all clones have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) key: Key,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) store: Store,
    pub(crate) board: Board,
    unsaved: Mutex<Option<Held>>,
    /// What a server said of itself, and when.
    places: Mutex<Option<(Places, Duration)>>,
}

impl TokenSource {
    /// A source of this client's token. Nobody is asked yet.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`](credchain_core::Kind::Misconfigured) if the client cannot be.
    pub fn new(
        client: Client,
        credentials: Arc<dyn CredentialSource>,
        store: Store,
    ) -> Result<Self> {
        let mut settings = client.into_settings()?;
        // Programs that started together are not to ask together.
        let spread = 0.9 + 0.2 * Context::system().fraction();
        settings.advisory = settings.advisory.map(|ahead| ahead.mul_f64(spread));
        Ok(Self(Arc::new(Shared {
            key: Key::new(&settings),
            settings,
            credentials,
            store,
            board: Board::default(),
            unsaved: Mutex::default(),
            places: Mutex::default(),
        })))
    }

    /// A token that is good for a while. One at hand costs neither a lock nor an allocation.
    ///
    /// # Cancellation
    /// Dropping the future ends the waiting only; the request goes on, and what it brings is kept.
    pub async fn token(&self, cx: &Context) -> Result<Token> {
        match self.cached(cx) {
            Some(token) => Ok(token),
            None => self.0.renewed(cx).await,
        }
    }

    /// The token at hand, if it is good for a while. Asks nobody, except ahead of time where
    /// [`Client::advisory`] says so.
    pub fn cached(&self, cx: &Context) -> Option<Token> {
        let now = Moment::glance(cx.clock());
        let current = self.0.board.current();
        let token = current
            .as_ref()
            .filter(|token| token.life().is_fresh(now))?;
        if let Some(ahead) = self.0.settings.advisory
            && token.life().is_due(ahead, now)
        {
            self.0.fly_ahead(ahead, now, cx);
        }
        Some(Token::clone(token))
    }

    /// The token that is kept on this machine's disk, if it is good for a while: for a program
    /// that wants one token and has no runtime yet. Reads small files on this thread, and waits for
    /// nobody.
    pub fn kept(&self, cx: &Context) -> Option<Token> {
        if !self.0.store.0.is_at_hand() {
            return None;
        }
        let renewal = Renewal::new(&self.0, cx);
        let mut peek = pin!(renewal.peek());
        let mut task = std::task::Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(record)) = peek.as_mut().poll(&mut task) else {
            return None;
        };
        renewal.good(&record)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Says that an API answered a token of this generation with 401. The next
    /// [`token`](Self::token) is another one, for all who had it; `false` if there is none to be
    /// had, because one was replaced less than half a minute ago: then the 401 is the answer.
    pub fn invalidate(&self, generation: u64, cx: &Context) -> bool {
        self.0.board.refuse(generation, Moment::now(cx.clock()))
    }
}

impl Shared {
    async fn renewed(self: &Arc<Self>, cx: &Context) -> Result<Token> {
        let now = Moment::now(cx.clock());
        let answer = match self.board.seat(now, |token| token.life().is_fresh(now)) {
            Seat::Token(token) => return Ok(token),
            Seat::Rest(failed) => Err(failed),
            Seat::Wait(waiter) => wait(waiter, cx).await,
            Seat::Fly(pilot, waiter) => {
                self.fly(pilot, None, cx);
                wait(waiter, cx).await
            }
        };
        answer.or_else(|failed| self.survivor(failed, cx))
    }

    /// The token at hand, if it has not ended and the server could not be asked for another.
    fn survivor(&self, failed: Failed, cx: &Context) -> Result<Token> {
        let now = Moment::now(cx.clock());
        let current = self.board.current();
        let alive = |token: &&Arc<Token>| !token.life().left(now).is_zero();
        match current.as_ref().filter(alive) {
            Some(token) if failed.kind().is_transient() => {
                tracing::warn!(
                    token = %self.settings.name,
                    kind = %failed.kind(),
                    "the next token cannot be had yet; this one still holds"
                );
                Ok(Token::clone(token))
            }
            _ => Err(self.error(failed)),
        }
    }

    fn fly_ahead(self: &Arc<Self>, ahead: Duration, now: Moment, cx: &Context) {
        let settled = |token: &Token| !token.life().is_due(ahead, now);
        if let Seat::Fly(pilot, _) = self.board.seat(now, settled) {
            self.fly(pilot, Some(ahead), cx);
        }
    }

    fn fly(self: &Arc<Self>, pilot: Pilot, ahead: Option<Duration>, cx: &Context) {
        let shared = self.clone();
        let cx = cx.clone().without_deadline();
        // A thread that cannot be started drops the pilot, and the waiters see that.
        let _ = aside(move || async move {
            let renewal = Renewal {
                shared: &shared,
                cx: cx.clone(),
                ahead,
            };
            let answer = renewal.token().await;
            shared.board.land(&pilot, answer, Moment::now(cx.clock()));
        });
    }

    pub(crate) fn http(&self) -> Result<Http> {
        Http::new(self.settings.ca.as_deref(), self.settings.is_plain())
    }

    /// Where the server is asked.
    pub(crate) async fn places(&self, http: &Http, cx: &Context) -> Result<Places, Failed> {
        if let Some(places) = Places::given(&self.settings) {
            return Ok(places);
        }
        let now = cx.clock().monotonic();
        let known = self.known_places().clone();
        if let Some((places, since)) = &known
            && now.saturating_sub(*since) < KNOWN
        {
            return Ok(places.clone());
        }
        match (Places::discover(&self.settings, http, cx).await, known) {
            (Ok(places), _) => {
                *self.known_places() = Some((places.clone(), now));
                Ok(places)
            }
            // What it said last is better than nothing.
            (Err(failed), Some((places, _))) if failed.kind().is_transient() => Ok(places),
            (Err(failed), _) => Err(failed),
        }
    }

    fn known_places(&self) -> MutexGuard<'_, Option<(Places, Duration)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn unsaved(&self) -> MutexGuard<'_, Option<Held>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error(&self, failed: Failed) -> Error {
        let settings = &self.settings;
        failed.into_error(&settings.name, &settings.host(), &settings.way())
    }
}

async fn wait(mut waiter: Waiter, cx: &Context) -> Answer {
    let arrival = async {
        let landed = waiter.wait_for(Option::is_some).await;
        landed.ok().and_then(|answer| answer.clone())
    };
    let answer = match cx.remaining() {
        None => arrival.await,
        Some(left) => match cx.clock().timeout(left, arrival).await {
            Some(answer) => answer,
            None => return Err(Failure::Late.into()),
        },
    };
    answer.unwrap_or_else(|| Err(lost()))
}

/// What somebody hears whose work ended without a word: it panicked, or could not be begun.
pub(crate) fn lost() -> Failed {
    let message = "the work on a token ended without a result";
    Error::new(Kind::Internal, message).into()
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("name", &self.0.settings.name)
            .field("key", &self.0.key)
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}
