//! Politeness: no more requests than the backend wants.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::around::{Op, Request};
use crate::blocking::is_nested;
use crate::{Context, Error, Kind, Provider, Result};

/// How many requests a backend may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitSettings {
    /// Requests a second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once after a pause.
    pub burst: NonZeroU32,
}

impl RateLimitSettings {
    /// So many requests a second, and as many at once.
    pub const fn new(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            burst: per_second,
        }
    }

    /// The same, with another number at once.
    pub const fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }
}

/// Makes requests wait so that the wrapped provider sees no more than a given rate: a token
/// bucket with first come, first served.
///
/// A batch counts as one request where the provider reads several values in one
/// ([`Capabilities::batch`](crate::Capabilities::batch)), and as one for each reference where it
/// does not. A caller whose deadline comes before its turn gets [`Kind::Unavailable`]; a caller
/// that stops waiting uses nothing up.
pub struct RateLimit {
    inner: Arc<dyn Provider>,
    settings: RateLimitSettings,
    /// One permit: the head of the queue. The semaphore hands it on in order of arrival.
    turn: Semaphore,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    /// Below zero after a batch larger than the burst.
    tokens: f64,
    filled: Duration,
}

impl RateLimit {
    /// Limits the requests to `inner`; the bucket starts full.
    pub fn new(inner: Arc<dyn Provider>, settings: RateLimitSettings) -> Self {
        let tokens = f64::from(settings.burst.get());
        let bucket = Mutex::new(Bucket {
            tokens,
            filled: Duration::ZERO,
        });
        Self {
            inner,
            settings,
            turn: Semaphore::new(1),
            bucket,
        }
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        op: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        let cost = u32::try_from(op.requests(&*self.inner)).unwrap_or(u32::MAX);
        let turn = self.take(cost, cx);
        let came = if let Some(left) = cx.remaining() {
            cx.clock().timeout(left, turn).await.is_some()
        } else {
            turn.await;
            true
        };
        if !came {
            let rate = self.settings.per_second;
            let message = format!("no turn before the deadline at {rate} requests a second");
            return Err(Error::new(Kind::Unavailable, message));
        }
        request(cx.clone()).await
    }

    async fn take(&self, cost: u32, cx: &Context) {
        // The semaphore is never closed, and without a turn a request is merely early. Whoever has
        // it may belong to a runtime that stands still until this is done.
        let _turn = if is_nested() {
            self.turn.try_acquire().ok()
        } else {
            self.turn.acquire().await.ok()
        };
        while let Some(wait) = self.try_take(cost, cx.clock().monotonic()) {
            tracing::debug!(delay_ms = wait.as_millis(), "waiting for the rate limit");
            cx.clock().sleep(wait).await;
        }
    }

    /// Takes the tokens, or tells how long to wait for them.
    fn try_take(&self, cost: u32, now: Duration) -> Option<Duration> {
        let rate = f64::from(self.settings.per_second.get());
        let burst = f64::from(self.settings.burst.get());
        let cost = f64::from(cost);
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(bucket.filled);
        bucket.tokens = passed.as_secs_f64().mul_add(rate, bucket.tokens).min(burst);
        bucket.filled = bucket.filled.max(now);
        // More than the bucket holds goes through when it is full and leaves a debt.
        let missing = cost.min(burst) - bucket.tokens;
        // Rounding must not send anybody to sleep for no time at all, again and again.
        if missing > 1e-6 {
            let wait = Duration::from_secs_f64(missing / rate);
            return Some(wait.max(Duration::from_micros(1)));
        }
        bucket.tokens -= cost;
        None
    }
}

layer! { RateLimit }

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
