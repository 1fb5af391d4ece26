//! Values remembered for a while, in memory.

mod fill;
mod settings;
mod store;

use std::fmt;
use std::sync::Arc;

pub use self::settings::CacheSettings;

use self::fill::Fill;
use self::store::{Found, Store};
use super::flight::Flight;
use crate::{Context, Error, Provider, Reference, Result, Secret};

/// Remembers what the wrapped provider answered.
///
/// The life of a value, by the settings ([`CacheSettings`]):
///
/// | age | a read gets |
/// |---|---|
/// | up to `ttl` | the value, at once |
/// | up to `hard_ttl` | the value, at once, while a fresh one is fetched in the background |
/// | beyond | a fresh one, and waits for it; if that fails because the backend is unavailable or throttled, the old value up to an age of `max_stale`, marked with [`SecretMeta::stale`](crate::SecretMeta::stale) |
///
/// - No other failure is ever answered with an old value. A denial drops all that is remembered
///   of that path, a lost login all that is remembered.
/// - A value that expires by its backend's word is not served past that moment, whatever the
///   settings; time is counted on the monotonic clock and, where a value has an expiry, on the
///   wall clock as well, so that a jump of either can only shorten its life.
/// - That a reference has no value is remembered only with `negative_ttl`.
/// - A write through the cache makes it forget the path, and no read that began before the write
///   brings an old value back.
/// - Size and number are bounded; what was used longest ago goes first and is wiped.
///
/// Reads share requests as described at [`Flight`], which is part of this layer. No lock is held
/// while a backend is asked, and no reference waits for another.
pub struct Cache {
    /// What is below: the flights, and below those what fills the store.
    inner: Arc<Flight>,
    store: Arc<Store>,
}

impl Cache {
    /// Remembers the answers of `inner`.
    pub fn new(inner: Arc<dyn Provider>, settings: CacheSettings) -> Self {
        let store = Arc::new(Store::new(settings));
        let fill = Arc::new(Fill::new(inner, store.clone()));
        Self {
            inner: Arc::new(Flight::new(fill)),
            store,
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.store.clear();
    }

    /// After a fresh value could not be had: an old one, if the failure and its age allow that.
    fn bridge(&self, reference: &Reference, error: Error, cx: &Context) -> Result<Secret> {
        if !error.kind().is_transient() {
            return Err(error);
        }
        // Looked up only now: what was there before may have been purged or replaced meanwhile.
        let Some(secret) = self.store.stale(reference, cx) else {
            return Err(error);
        };
        let age_ms = secret.meta().stale.unwrap_or_default().as_millis();
        tracing::debug!(
            kind = error.kind().as_str(),
            age_ms,
            "serving a stale value"
        );
        Ok(secret)
    }
}

crate::delegate_provider! {
    impl Provider for Cache, through |this| this.inner, overrides [get get_many] {
        async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
            match self.store.find(reference, cx) {
                Found::Fresh(answer) => answer,
                Found::Soft(secret) => {
                    tracing::debug!("refreshing in the background");
                    self.inner.start(std::slice::from_ref(reference), cx);
                    Ok(secret)
                }
                Found::Nothing => match self.inner.get(reference, cx).await {
                    Ok(secret) => Ok(secret),
                    Err(error) => self.bridge(reference, error, cx),
                },
            }
        }

        async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
            let mut due = Vec::new();
            let mut missing = Vec::new();
            let found: Vec<_> = references
                .iter()
                .map(|reference| match self.store.find(reference, cx) {
                    Found::Fresh(answer) => Some(answer),
                    Found::Soft(secret) => {
                        due.push(reference.clone());
                        Some(Ok(secret))
                    }
                    Found::Nothing => {
                        missing.push(reference.clone());
                        None
                    }
                })
                .collect();
            if !due.is_empty() {
                tracing::debug!(count = due.len(), "refreshing in the background");
                self.inner.start(&due, cx);
            }
            if missing.is_empty() {
                return found.into_iter().flatten().collect();
            }
            let fetched = self.inner.get_many(&missing, cx).await;
            let fetched = missing.iter().zip(fetched).map(|(reference, answer)| {
                answer.or_else(|error| self.bridge(reference, error, cx))
            });
            fill::merge(found, fetched)
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .field("settings", self.store.settings())
            .finish_non_exhaustive()
    }
}
