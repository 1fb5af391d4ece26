//! What is bound to a lease, kept alive for as long as somebody may need it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::blocking::is_nested;
use crate::{Clock, Context, Kind, Lease, Leased, Result};

/// How many leases are held at once; whatever is read beyond that is served and not held.
const MAX_HELD: usize = 1024;

/// The shortest pause between two attempts to renew one lease.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// Holds values of a backend that are bound to leases: for a provider that would otherwise get a
/// new user, certificate or key with every read.
///
/// - A value is handed out again while its lease lives, so that what belongs together (a user and
///   its password) stays together, and a cache above it never makes the backend issue another.
/// - Each lease is renewed in the background at two thirds of its life. A renewal that fails
///   because the backend is away is tried again; one that is refused ends the holding, and the
///   next read asks for a new value.
/// - A lease that cannot be renewed, or not beyond its maximum, is replaced at its next read once
///   two thirds of its life are over. Who has the old value may use it to its end.
/// - Life is counted on the monotonic clock and on the wall clock, so that a machine that slept
///   does not serve what died meanwhile.
///
/// The renewals are one task that ends with this value. If the runtime it runs on ends first, the
/// next read starts it again, and so does [`resume`](Self::resume).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use credchain_core::{Context, Lease, Leased, Leases, Result, async_trait};
///
/// struct Backend;
///
/// #[async_trait]
/// impl Leased for Backend {
///     async fn renew(&self, lease: &str, increment: Duration, _: &Context) -> Result<Lease> {
///         Ok(Lease::new(lease, increment, true))
///     }
///     async fn revoke(&self, _: &str, _: &Context) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// # credchain_core::doctest(async {
/// let leases = Leases::new(Arc::new(Backend));
/// let cx = Context::system();
/// let issue = || async { Ok(("user-1", Some(Lease::new("l1", Duration::from_secs(60), true)))) };
/// assert_eq!(leases.get_or("database/creds/app", &cx, issue).await?.0, "user-1");
/// let never = || async { unreachable!("the first is still alive") };
/// assert_eq!(leases.get_or("database/creds/app", &cx, never).await?.0, "user-1");
/// leases.revoke_all(&cx).await?;
/// # Ok(()) });
/// ```
pub struct Leases<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    backend: Arc<dyn Leased>,
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    held: HashMap<String, Held<T>>,
    /// One for each key that is being read, so that two readers do not get two leases.
    reading: HashMap<String, Weak<tokio::sync::Mutex<()>>>,
    keeper: Option<AbortHandle>,
}

struct Held<T> {
    value: T,
    lease: String,
    /// What was granted at first, and is asked for again.
    granted: Duration,
    /// Until when the value is handed out.
    serve: Moment,
    /// Until when the lease lives.
    end: Moment,
    /// When to renew it; nothing if it cannot be.
    renew: Option<Moment>,
}

/// A moment on both clocks; it has come when it has on either.
#[derive(Clone, Copy)]
struct Moment {
    monotonic: Duration,
    wall: SystemTime,
}

impl<T: Clone + Send + 'static> Leases<T> {
    /// Holds leases of this backend.
    pub fn new(backend: Arc<dyn Leased>) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                state: Mutex::new(State {
                    held: HashMap::new(),
                    reading: HashMap::new(),
                    keeper: None,
                }),
                changed: Notify::new(),
            }),
        }
    }

    /// The value held under `key`, or what `read` gets, and when its lease ends. A value that
    /// comes with a lease is held; concurrent readers of one key wait for one read.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get_or<F, R>(
        &self,
        key: &str,
        cx: &Context,
        read: F,
    ) -> Result<(T, Option<SystemTime>)>
    where
        F: FnOnce() -> R,
        R: Future<Output = Result<(T, Option<Lease>)>>,
    {
        if let Some(held) = self.shared.find(key, cx.clock()) {
            self.resume(cx);
            return Ok(held);
        }
        let turn = self.shared.turn(key);
        // Whoever reads now may belong to a runtime that stands still until this is done.
        let _turn = if is_nested() {
            turn.try_lock().ok()
        } else {
            Some(turn.lock().await)
        };
        if let Some(held) = self.shared.find(key, cx.clock()) {
            return Ok(held);
        }
        let (value, lease) = read().await?;
        let Some(lease) = lease else {
            return Ok((value, None));
        };
        self.shared.hold(key, value.clone(), &lease, cx.clock());
        self.resume(cx);
        let end = Moment::after(lease.duration, cx.clock());
        Ok((value, Some(end.wall)))
    }

    /// Ends the holding of one lease without telling the backend, which did or will end it.
    pub fn forget(&self, lease: &str) {
        self.shared
            .lock()
            .held
            .retain(|_, held| held.lease != lease);
    }

    /// Goes on renewing on the current runtime, if the one that did so is gone. Outside of a
    /// runtime, and with nothing to renew, nothing happens.
    pub fn resume(&self, cx: &Context) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut state = self.shared.lock();
        let renewable = state.held.values().any(|held| held.renew.is_some());
        let running = state.keeper.as_ref().is_some_and(|k| !k.is_finished());
        if !renewable || running {
            return;
        }
        let work = keep(Arc::downgrade(&self.shared), cx.clone().without_deadline());
        let task = runtime.spawn(work.in_current_span());
        state.keeper = Some(task.abort_handle());
    }

    /// Revokes every lease that is held, and holds none afterwards.
    ///
    /// # Errors
    /// The first failure, after all were tried. A lease that is gone already is none.
    pub async fn revoke_all(&self, cx: &Context) -> Result<()> {
        let held = std::mem::take(&mut self.shared.lock().held);
        let revoked = held.into_values().map(|held| async move {
            match self.shared.backend.revoke(&held.lease, cx).await {
                Err(error) if error.kind() != Kind::NotFound => Err(error),
                _ => Ok(()),
            }
        });
        let all = futures_util::future::join_all(revoked).await;
        all.into_iter().collect()
    }
}

impl<T> Drop for Leases<T> {
    fn drop(&mut self) {
        if let Some(keeper) = self.shared.lock().keeper.take() {
            keeper.abort();
        }
    }
}

impl<T> fmt::Debug for Leases<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("held", &self.shared.lock().held.len())
            .finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Shared<T> {
    fn find(&self, key: &str, clock: &Clock) -> Option<(T, Option<SystemTime>)> {
        let state = self.lock();
        let held = state.held.get(key)?;
        (!held.serve.has_come(clock)).then(|| (held.value.clone(), Some(held.end.wall)))
    }

    /// Whose turn it is to read `key`.
    fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.lock();
        if let Some(turn) = state.reading.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        state.reading.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        state.reading.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }

    fn hold(&self, key: &str, value: T, lease: &Lease, clock: &Clock) {
        let mut state = self.lock();
        state.held.retain(|_, held| !held.end.has_come(clock));
        if state.held.len() >= MAX_HELD && !state.held.contains_key(key) {
            tracing::debug!("too many leases to hold another");
            return;
        }
        let held = Held::new(value, lease, lease.duration, clock);
        state.held.insert(key.to_owned(), held);
        drop(state);
        self.changed.notify_one();
    }

    /// Leases whose time to be renewed has come, and how long until the next one's.
    fn due(&self, clock: &Clock) -> (Vec<(String, String, Duration)>, Option<Duration>) {
        let mut state = self.lock();
        state.held.retain(|_, held| !held.end.has_come(clock));
        let mut due = Vec::new();
        let mut next = None;
        for (key, held) in &state.held {
            let Some(renew) = held.renew else { continue };
            if renew.has_come(clock) {
                due.push((key.clone(), held.lease.clone(), held.granted));
            } else {
                let wait = renew.monotonic.saturating_sub(clock.monotonic());
                next = Some(next.map_or(wait, |soonest: Duration| soonest.min(wait)));
            }
        }
        (due, next)
    }

    /// What an attempt to renew means for the lease.
    fn renewed(&self, key: &str, lease: &str, answer: Result<Lease>, clock: &Clock) {
        let mut state = self.lock();
        let Some(held) = state.held.get_mut(key).filter(|held| held.lease == lease) else {
            return;
        };
        match answer {
            Ok(granted) => {
                let fresh = Held::new(held.value.clone(), &granted, held.granted, clock);
                *held = fresh;
            }
            Err(error) if error.kind().is_transient() => {
                let left = held.end.monotonic.saturating_sub(clock.monotonic());
                held.renew = Some(Moment::after((left / 4).max(MIN_PAUSE), clock));
                tracing::debug!(kind = error.kind().as_str(), "a lease was not renewed yet");
            }
            Err(error) => {
                tracing::debug!(kind = error.kind().as_str(), "a lease cannot be renewed");
                state.held.remove(key);
            }
        }
    }
}

impl<T> Held<T> {
    /// `wanted` is what was granted at first: a lease near its maximum is granted less, and then
    /// it is time for a new one instead.
    fn new(value: T, lease: &Lease, wanted: Duration, clock: &Clock) -> Self {
        let two_thirds = lease.duration.mul_f64(2.0 / 3.0);
        let capped = lease.duration < wanted / 2;
        let renewable = lease.renewable && !capped;
        let end = Moment::after(lease.duration, clock);
        Self {
            value,
            lease: lease.id.clone(),
            granted: wanted,
            serve: if renewable {
                end
            } else {
                Moment::after(two_thirds, clock)
            },
            end,
            renew: renewable.then(|| Moment::after(two_thirds, clock)),
        }
    }
}

impl Moment {
    fn after(wait: Duration, clock: &Clock) -> Self {
        Self {
            monotonic: clock.monotonic().saturating_add(wait),
            // A lease beyond the calendar's end never comes due by the wall clock.
            wall: clock
                .now()
                .checked_add(wait)
                .unwrap_or_else(|| clock.now() + Duration::from_hours(24 * 365)),
        }
    }

    fn has_come(self, clock: &Clock) -> bool {
        clock.monotonic() >= self.monotonic || clock.now() >= self.wall
    }
}

/// Renews what is due until nobody holds the leases any more.
async fn keep<T: Clone + Send + 'static>(shared: Weak<Shared<T>>, cx: Context) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let (due, next) = strong.due(cx.clock());
        if due.is_empty() {
            let Some(wait) = next else {
                // Started again when something is held.
                return;
            };
            // A sleeping machine's clocks disagree afterwards, so long waits are cut short.
            let wait = wait
                .min(Duration::from_mins(1))
                .max(Duration::from_millis(1));
            tokio::select! {
                () = cx.clock().sleep(wait) => {}
                () = strong.changed.notified() => {}
            }
            continue;
        }
        let renewals = due.into_iter().map(|(key, lease, granted)| {
            let (strong, cx) = (&strong, &cx);
            async move {
                let answer = strong.backend.renew(&lease, granted, cx).await;
                strong.renewed(&key, &lease, answer, cx.clock());
            }
        });
        futures_util::future::join_all(renewals).await;
    }
}

#[cfg(test)]
mod tests;
