//! How long, and how much, a cache remembers.

use std::time::Duration;

/// How long, and how much, a [`Cache`](super::Cache) remembers.
///
/// ```
/// use std::time::Duration;
/// use credchain_core::layers::CacheSettings;
/// let settings = CacheSettings::new(Duration::from_secs(300))
///     .with_max_stale(Duration::from_secs(3600));
/// assert_eq!(settings.hard_ttl, Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheSettings {
    /// Up to this age a value is served as it is.
    pub ttl: Duration,
    /// Up to this age a value is served while a fresh one is fetched; twice `ttl` by default.
    pub hard_ttl: Duration,
    /// Up to this age a value is served when its backend is unavailable; never by default.
    pub max_stale: Option<Duration>,
    /// How long it is remembered that there is no value; not at all by default.
    pub negative_ttl: Option<Duration>,
    /// How many references are remembered at most; 10,000 by default.
    pub max_entries: usize,
    /// How many bytes of values and references are remembered at most; 64 MiB by default.
    pub max_size: usize,
}

impl CacheSettings {
    /// A cache that serves values up to an age of `ttl`.
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            hard_ttl: ttl.saturating_mul(2),
            max_stale: None,
            negative_ttl: None,
            max_entries: 10_000,
            max_size: 64 << 20,
        }
    }

    /// The same, waiting for a fresh value from this age on.
    pub const fn with_hard_ttl(mut self, hard_ttl: Duration) -> Self {
        self.hard_ttl = hard_ttl;
        self
    }

    /// The same, bridging an outage with values up to this age.
    pub const fn with_max_stale(mut self, max_stale: Duration) -> Self {
        self.max_stale = Some(max_stale);
        self
    }

    /// The same, remembering misses for so long.
    pub const fn with_negative_ttl(mut self, negative_ttl: Duration) -> Self {
        self.negative_ttl = Some(negative_ttl);
        self
    }

    /// The same, remembering at most so many references.
    pub const fn with_max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// The same, remembering at most so many bytes.
    pub const fn with_max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }
}
