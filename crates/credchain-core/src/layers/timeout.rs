//! Nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use super::around::{Op, Request};
use crate::{Context, Error, Kind, Provider, Result, format_duration};

/// Ends a request that takes longer than a limit, or longer than what is left of the whole
/// resolution ([`Context::remaining`]), with [`Kind::Unavailable`].
///
/// Below [`Retry`](super::Retry) the limit holds for each attempt. The request is dropped, which
/// by the contract of [`Provider`] leaves nothing half done at a read; a write that was dropped
/// may have happened. The provider sees the limit as its own deadline.
#[derive(Debug)]
pub struct Timeout {
    inner: Arc<dyn Provider>,
    limit: Duration,
}

impl Timeout {
    /// Gives `inner` at most `limit` for each request.
    pub fn new(inner: Arc<dyn Provider>, limit: Duration) -> Self {
        Self { inner, limit }
    }

    async fn around<'a, T: Send + 'a>(
        &'a self,
        cx: &'a Context,
        _: Op<'a>,
        request: impl Request<'a, T>,
    ) -> Result<T> {
        let limit = cx
            .remaining()
            .map_or(self.limit, |left| left.min(self.limit));
        if limit.is_zero() {
            return Err(out_of_time(limit));
        }
        let bounded = cx.clone().with_timeout(limit);
        cx.clock()
            .timeout(limit, request(bounded))
            .await
            .unwrap_or_else(|| {
                tracing::debug!(limit_ms = limit.as_millis(), "request timed out");
                Err(out_of_time(limit))
            })
    }
}

layer! { Timeout }

/// What a caller is told whose time is up after `limit`.
pub(super) fn out_of_time(limit: Duration) -> Error {
    let message = match limit {
        Duration::ZERO => "no time is left".to_owned(),
        limit => format!("no answer within {}", format_duration(limit)),
    };
    Error::new(Kind::Unavailable, message)
}
