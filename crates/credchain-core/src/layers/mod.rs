//! What stands between the chain and a backend: composable wrappers around a [`Provider`].
//!
//! Each layer is a [`Provider`] itself and knows nothing of the others, so they can be stacked in
//! any order and others can be put between them. [`wrap`] builds the usual stack, outermost
//! first:
//!
//! | layer | what it adds |
//! |---|---|
//! | [`Cache`] | remembers values for a while; bridges an outage with an old one, if allowed |
//! | [`Flight`] | concurrent reads of one reference share one request; part of the cache |
//! | [`Retry`] | asks again after a transient failure, within a budget |
//! | [`RateLimit`] | keeps requests below a rate |
//! | [`Timeout`] | ends a request that takes too long |
//! | [`Guard`] | turns a panic into an error |
//!
//! A layer whose setting is off is not in the stack at all. Layers emit `tracing` events at debug
//! level that carry kinds, counts and delays, and never a value.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use credchain_core::layers::{CacheSettings, LayerSettings, wrap};
//! use credchain_core::{Context, Memory, Provider as _};
//!
//! # credchain_core::doctest(async {
//! let memory = Arc::new(Memory::new().with("api_key", b"s3cret"));
//! let settings =
//!     LayerSettings::default().with_cache(CacheSettings::new(Duration::from_secs(300)));
//! let provider = wrap(memory.clone(), &settings);
//!
//! let cx = Context::system();
//! assert!(!provider.get(&"api_key".parse()?, &cx).await?.meta().cached);
//! assert!(provider.get(&"api_key".parse()?, &cx).await?.meta().cached);
//! assert_eq!(memory.reads(), 1);
//! # Ok(()) });
//! ```
//!
//! [`Provider`]: crate::Provider

#[macro_use]
mod around;
mod budget;
mod cache;
mod flight;
mod guard;
mod limit;
mod retry;
mod settings;
mod stack;
mod timeout;

pub use self::cache::{Cache, CacheSettings};
pub use self::flight::Flight;
pub use self::guard::Guard;
pub use self::limit::{RateLimit, RateLimitSettings};
pub use self::retry::{Retry, RetrySettings};
pub use self::settings::{COMMON_SETTINGS, LayerSettings, reactions};
pub use self::stack::{wrap, wrap_backend, wrap_shared};
pub use self::timeout::Timeout;
