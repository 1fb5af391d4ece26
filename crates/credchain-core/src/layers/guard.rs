//! A panic in a provider is that provider's failure, not the program's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;

use super::around::{Op, Request};
use crate::{Context, Error, Kind, Provider, Result};

/// Turns a panic inside the wrapped provider into [`Kind::Internal`].
///
/// The error does not repeat what the panic said, because that may quote a value. (The program's
/// panic hook has seen it by then; what it prints is the program's choice.) It also checks that a
/// batch is answered in full, so that no other layer has to.
#[derive(Debug)]
pub struct Guard {
    inner: Arc<dyn Provider>,
}

impl Guard {
    /// Guards `inner`.
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Self { inner }
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        _: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        // A panic may leave the provider's own state half changed, which is the reason for the
        // assertion's existence. Nothing of ours is in there: the request only borrows the
        // provider, whose locks are poisoned and whose next answer is guarded again.
        AssertUnwindSafe(async { request(cx.clone()).await })
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::debug!(kind = Kind::Internal.as_str(), "provider panicked");
                Err(Error::new(Kind::Internal, "the provider panicked")
                    .with_hint("this is a defect of the provider: please report it"))
            })
    }
}

layer! { Guard, reads {
    async fn get(&self, reference: &crate::Reference, cx: &Context) -> Result<crate::Secret> {
        let inner = &self.inner;
        self.around(cx, Op::Get, move |cx| {
            Box::pin(async move { inner.get(reference, &cx).await })
        })
        .await
    }

    async fn get_many(
        &self,
        references: &[crate::Reference],
        cx: &Context,
    ) -> Vec<Result<crate::Secret>> {
        let inner = &self.inner;
        let answers = self
            .around(cx, Op::GetMany(references), move |cx| {
                Box::pin(async move { Ok(inner.get_many(references, &cx).await) })
            })
            .await;
        let error = match answers {
            Ok(answers) if answers.len() == references.len() => return answers,
            Ok(answers) => {
                let (had, wanted) = (answers.len(), references.len());
                let message = format!("the provider gave {had} answers to {wanted} questions");
                Error::new(Kind::Internal, message)
            }
            Err(error) => error,
        };
        references.iter().map(|_| Err(error.clone())).collect()
    }
} }
