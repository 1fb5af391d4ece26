//! What a backend's answers mean for the store. Runs inside a flight, so that an abandoned read
//! fills the store as well.

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
        let ticket = self.store.ticket(reference);
        let answer = self.inner.get(reference, cx).await;
        self.note(&ticket, &answer, cx);
        answer
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let tickets: Vec<_> = references.iter().map(|r| self.store.ticket(r)).collect();
        let answers = self.inner.get_many(references, cx).await;
        for (ticket, answer) in tickets.iter().zip(&answers) {
            self.note(ticket, answer, cx);
        }
        answers
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

pub(super) fn unanswered() -> Error {
    Error::new(Kind::Internal, "the provider left a question unanswered")
}

impl fmt::Debug for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
