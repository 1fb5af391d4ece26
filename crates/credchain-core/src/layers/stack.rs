//! The layers in the order in which they belong.

use std::sync::Arc;

use super::{Cache, Flight, Guard, LayerSettings, RateLimit, Retry, Timeout};
use crate::Provider;

/// Puts every layer that `settings` asks for around `provider`.
pub fn wrap(provider: Arc<dyn Provider>, settings: &LayerSettings) -> Arc<dyn Provider> {
    wrap_shared(wrap_backend(provider, settings), settings)
}

/// The inner half of [`wrap`]: what each request to the backend goes through. A layer that has to
/// see every fetched value, but no cached one, goes around this.
pub fn wrap_backend(provider: Arc<dyn Provider>, settings: &LayerSettings) -> Arc<dyn Provider> {
    let mut provider: Arc<dyn Provider> = Arc::new(Guard::new(provider));
    if let Some(limit) = settings.timeout {
        provider = Arc::new(Timeout::new(provider, limit));
    }
    if let Some(limit) = settings.rate_limit {
        provider = Arc::new(RateLimit::new(provider, limit));
    }
    if let Some(retry) = settings.retry.filter(|retry| retry.attempts > 1) {
        provider = Arc::new(Retry::new(provider, retry));
    }
    provider
}

/// The outer half of [`wrap`]: what makes one request serve many readers.
pub fn wrap_shared(provider: Arc<dyn Provider>, settings: &LayerSettings) -> Arc<dyn Provider> {
    match settings.cache {
        Some(cache) => Arc::new(Cache::new(provider, cache)),
        None if settings.single_flight => Arc::new(Flight::new(provider)),
        None => provider,
    }
}
