//! Asking again, without making things worse.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::around::{Op, Request};
use super::budget::Budget;
use crate::{Context, Error, Provider, Reference, Result, Secret};

/// How often and how soon to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The longest pause before the second attempt; doubled before each further one.
    pub base: Duration,
    /// The longest pause before any attempt.
    pub max: Duration,
    /// How many retries all callers of the provider have together while it answers nobody.
    pub budget: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(100),
            max: Duration::from_secs(5),
            budget: 100,
        }
    }
}

impl RetrySettings {
    /// The default pauses with another number of attempts.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            ..Self::default()
        }
    }

    /// The same, with other pauses.
    pub const fn with_delays(mut self, base: Duration, max: Duration) -> Self {
        self.base = base;
        self.max = max;
        self
    }

    /// The same, with another budget.
    pub const fn with_budget(mut self, retries: u32) -> Self {
        self.budget = retries;
        self
    }
}

/// Asks the wrapped provider again after a [transient](crate::Kind::is_transient) failure, and
/// after no other.
///
/// - Pauses grow exponentially and are random between nothing and their limit ("full jitter"),
///   so that callers who failed together do not come back together.
/// - [`Error::retry_after`] is a minimum. If it exceeds the longest pause or what is left of the
///   deadline, the failure is returned at once.
/// - All callers share a budget of retries: each costs, each answer gives some back. When it is
///   used up, failures are returned at once until the backend answers again.
/// - In a batch only the references that failed are asked again.
/// - A write is repeated only if that cannot count twice: with an idempotency key or with an
///   expectation of what is there. `delete` and changes of versions are never repeated.
pub struct Retry {
    inner: Arc<dyn Provider>,
    settings: RetrySettings,
    budget: Budget,
}

impl Retry {
    /// Retries requests to `inner`.
    pub fn new(inner: Arc<dyn Provider>, settings: RetrySettings) -> Self {
        Self {
            inner,
            settings,
            budget: Budget::new(settings.budget),
        }
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        op: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let result = request(cx.clone()).await;
            let error = match result {
                Err(error) if error.kind().is_transient() => error,
                answer => {
                    self.budget.refund(attempt > 1);
                    return answer;
                }
            };
            let Some(delay) = self
                .delay(&error, attempt, cx)
                .filter(|_| op.is_repeatable())
            else {
                return Err(error);
            };
            if !self.pay(attempt) {
                return Err(error);
            }
            pause(delay, attempt, &error, cx).await;
            attempt += 1;
        }
    }

    /// How long to wait before the attempt after `attempt`; nothing if there is to be none.
    fn delay(&self, error: &Error, attempt: u32, cx: &Context) -> Option<Duration> {
        if attempt >= self.settings.attempts {
            return None;
        }
        let doubled = 1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let ceiling = self
            .settings
            .base
            .saturating_mul(doubled)
            .min(self.settings.max);
        let asked = error.retry_after().unwrap_or_default();
        let delay = ceiling.mul_f64(cx.fraction().clamp(0.0, 1.0)).max(asked);
        let in_time = cx.remaining().is_none_or(|left| delay < left);
        (asked <= self.settings.max && in_time).then_some(delay)
    }

    fn pay(&self, attempt: u32) -> bool {
        let paid = self.budget.withdraw();
        if !paid {
            tracing::debug!(attempt, "the budget of retries is used up");
        }
        paid
    }

    /// Notes which requests of a batch were answered.
    fn note_answers(&self, answers: &[Result<Secret>], attempt: u32) {
        let answered = answers
            .iter()
            .filter(|answer| !is_transient(answer))
            .count();
        // One request that answered several references is one answer.
        let requests = if self.inner.capabilities().batch {
            answered.min(1)
        } else {
            answered
        };
        (0..requests).for_each(|_| self.budget.refund(attempt > 1));
    }

    /// Of the positions that failed, those to ask again, and when.
    fn again(
        &self,
        pending: &[usize],
        results: &[Result<Secret>],
        attempt: u32,
        cx: &Context,
    ) -> Option<(Vec<usize>, Duration)> {
        let delays = pending.iter().filter_map(|at| match &results[*at] {
            Err(error) if error.kind().is_transient() => {
                Some((*at, self.delay(error, attempt, cx)?))
            }
            _ => None,
        });
        let mut delays: Vec<(usize, Duration)> = delays.collect();
        if self.inner.capabilities().batch {
            delays.truncate(if delays.is_empty() || self.pay(attempt) {
                usize::MAX
            } else {
                0
            });
        } else {
            delays.retain(|_| self.pay(attempt));
        }
        let longest = delays.iter().map(|(_, delay)| *delay).max()?;
        Some((delays.into_iter().map(|(at, _)| at).collect(), longest))
    }
}

layer! { Retry, reads {
    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let inner = &self.inner;
        self.around(cx, Op::Get, move |cx| {
            Box::pin(async move { inner.get(reference, &cx).await })
        })
        .await
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let mut results = self.inner.get_many(references, cx).await;
        self.note_answers(&results, 1);
        let mut pending: Vec<usize> = (0..results.len().min(references.len())).collect();
        let mut attempt = 1;
        while let Some((failed, delay)) = self.again(&pending, &results, attempt, cx) {
            if let Some(Err(error)) = failed.first().map(|at| &results[*at]) {
                pause(delay, attempt, error, cx).await;
            }
            attempt += 1;
            let questions: Vec<_> = failed.iter().map(|at| references[*at].clone()).collect();
            let answers = self.inner.get_many(&questions, cx).await;
            self.note_answers(&answers, attempt);
            for (at, answer) in failed.iter().zip(answers) {
                results[*at] = answer;
            }
            pending = failed;
        }
        results
    }
} }

fn is_transient(answer: &Result<Secret>) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| error.kind().is_transient())
}

async fn pause(delay: Duration, attempt: u32, error: &Error, cx: &Context) {
    let kind = error.kind().as_str();
    tracing::debug!(kind, attempt, delay_ms = delay.as_millis(), "trying again");
    cx.clock().sleep(delay).await;
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
