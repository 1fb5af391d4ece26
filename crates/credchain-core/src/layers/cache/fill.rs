//! What a backend's answers mean for the store. Runs inside a flight, so that an abandoned read
//! fills the store as well.
//!
//! The store is looked at once more before the backend is asked: whoever looked in vain while the
//! last flight was under way may come to the flights only after it has landed.

use std::fmt;
use std::sync::Arc;

use super::super::around::{Change, Op, Request};
use super::store::{Store, Ticket};
use crate::{Context, Error, Kind, Provider, Reference, Result, Secret};

pub(super) struct Fill {
    inner: Arc<dyn Provider>,
    store: Arc<Store>,
}

impl Fill {
    pub(super) fn new(inner: Arc<dyn Provider>, store: Arc<Store>) -> Self {
        Self { inner, store }
    }

    /// Keeps a value or a miss, and drops what a refusal says nobody may see any more.
    fn note(&self, ticket: &Ticket<'_>, answer: &Result<Secret>, cx: &Context) {
        match answer {
            Ok(secret) => self.store.put(ticket, secret, cx),
            Err(error) if error.kind() == Kind::NotFound => self.store.put_miss(ticket, error, cx),
            Err(error) => self.note_refusal(Some(ticket.reference()), error),
        }
    }

    fn note_refusal(&self, reference: Option<&Reference>, error: &Error) {
        match (error.kind(), reference) {
            (Kind::Denied, Some(reference)) => {
                self.store.forget(Change::Path(reference.path()));
            }
            (Kind::Unauthenticated, _) => self.store.clear(),
            _ => return,
        }
        tracing::debug!(kind = error.kind().as_str(), "purged cached values");
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        op: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        // Also a write that failed or was cancelled may have happened.
        let _forgetting = op.change().map(|change| Forgetting {
            store: &self.store,
            change,
        });
        let result = request(cx.clone()).await;
        if let Err(error) = &result {
            let read = match op {
                Op::Describe(reference) => Some(reference),
                _ => None,
            };
            self.note_refusal(read, error);
        }
        result
    }
}

layer! { Fill, reads {
    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        if let Some(answer) = self.store.fresh(reference, cx) {
            return answer;
        }
        let ticket = self.store.ticket(reference);
        let answer = self.inner.get(reference, cx).await;
        self.note(&ticket, &answer, cx);
        answer
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let known: Vec<_> = references.iter().map(|r| self.store.fresh(r, cx)).collect();
        let wanted: Vec<_> = references
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(reference, _)| reference.clone())
            .collect();
        if wanted.is_empty() {
            return known.into_iter().flatten().collect();
        }
        let tickets: Vec<_> = wanted.iter().map(|r| self.store.ticket(r)).collect();
        let fetched = self.inner.get_many(&wanted, cx).await;
        for (ticket, answer) in tickets.iter().zip(&fetched) {
            self.note(ticket, answer, cx);
        }
        merge(known, fetched)
    }
} }

/// Makes the store forget what a write concerns, when the write is over.
struct Forgetting<'a> {
    store: &'a Store,
    change: Change<'a>,
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.store.forget(self.change);
    }
}

/// What was known already, with the gaps filled in order by what was fetched.
pub(super) fn merge(
    known: Vec<Option<Result<Secret>>>,
    fetched: impl IntoIterator<Item = Result<Secret>>,
) -> Vec<Result<Secret>> {
    let mut fetched = fetched.into_iter();
    let answers = known.into_iter().map(|known| {
        let answer = known.or_else(|| fetched.next());
        answer.unwrap_or_else(|| Err(unanswered()))
    });
    answers.collect()
}

fn unanswered() -> Error {
    Error::new(Kind::Internal, "the provider left a question unanswered")
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::CacheSettings;
    use super::*;
    use crate::{ManualClock, Memory};

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn whoever_looked_before_a_flight_landed_and_comes_after_it_asks_nobody() {
        let clock = ManualClock::new();
        let cx = Context::system().with_clock(clock.clock());
        let memory = Arc::new(Memory::new().with("a", b"1").with("b", b"2"));
        let store = Arc::new(Store::new(CacheSettings::new(MINUTE)));
        let fill = Fill::new(memory.clone(), store);
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        // Each call is a flight of its own.
        fill.get(&a, &cx).await.unwrap();
        assert!(fill.get(&a, &cx).await.unwrap().meta().cached);
        assert_eq!(memory.reads(), 1);
        let both = fill.get_many(&[b, a.clone()], &cx).await;
        let values: Vec<_> = both.iter().map(|s| s.as_ref().unwrap().expose()).collect();
        assert_eq!(values, [b"2", b"1"]);
        assert_eq!(memory.reads(), 2);
        // A refresh in the background is for a value past its first life.
        clock.advance(MINUTE);
        fill.get(&a, &cx).await.unwrap();
        assert_eq!(memory.reads(), 3);
    }
}
