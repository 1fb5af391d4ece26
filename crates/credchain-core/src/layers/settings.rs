//! The settings that every `[providers.NAME]` may have, whatever its type.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{CacheSettings, RateLimitSettings, RetrySettings};
use crate::{Error, Kind, Reactions, Result, Setting, Settings, Shape};

/// Which layers stand around a provider, and how they are set.
///
/// The default suits a backend across a network and a program that asks once: a timeout of 10 s
/// for each attempt, three attempts, shared requests, no cache, no rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSettings {
    /// The longest a single attempt may take.
    pub timeout: Option<Duration>,
    /// Attempts after a transient failure; one attempt is none.
    pub retry: Option<RetrySettings>,
    /// The most requests a second.
    pub rate_limit: Option<RateLimitSettings>,
    /// Whether concurrent reads of one reference share a request. A cache always does that.
    pub single_flight: bool,
    /// What is remembered.
    pub cache: Option<CacheSettings>,
}

impl Default for LayerSettings {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(10)),
            retry: Some(RetrySettings::default()),
            rate_limit: None,
            single_flight: true,
            cache: None,
        }
    }
}

/// The keys of [`LayerSettings`] and [`Reactions`], for the configuration to check and to explain.
pub const COMMON_SETTINGS: &[Setting] = &[
    Setting::new("timeout", Shape::Duration, "How long one attempt may take.").or("\"10s\""),
    Setting::new(
        "cache",
        Shape::Table(CACHE),
        "Remembers values in memory, for programs that run on; without the table nothing is.",
    ),
    Setting::new(
        "retry",
        Shape::Table(RETRY),
        "What happens after a transient failure.",
    ),
    Setting::new(
        "rate_limit",
        Shape::Table(RATE_LIMIT),
        "The most requests the backend sees.",
    ),
    Setting::new(
        "on_unavailable",
        Shape::Choice(&[STOP, NEXT]),
        "What the chain does when this link is unavailable.",
    )
    .or("\"stop\""),
    Setting::new(
        "on_unauthenticated",
        Shape::Choice(&[STOP, NEXT]),
        "What the chain does when this link does not know who asks.",
    )
    .or("\"stop\""),
];

const CACHE: &[Setting] = &[
    Setting::new(
        "ttl",
        Shape::Duration,
        "Up to this age a value is served as it is.",
    )
    .or("\"5m\""),
    Setting::new(
        "hard_ttl",
        Shape::Duration,
        "Up to this age a value is served while a fresh one is fetched. Default: twice `ttl`, \
         but not above `max_stale`.",
    ),
    Setting::new(
        "max_stale",
        Shape::Duration,
        "Up to this age a value is served when the backend is unavailable. Default: never.",
    ),
    Setting::new(
        "negative_ttl",
        Shape::Duration,
        "How long it is remembered that there is no value. Default: not at all.",
    ),
    Setting::new(
        "max_entries",
        COUNT,
        "How many values are remembered at most.",
    )
    .or("10000"),
    Setting::new(
        "max_size",
        Shape::Size,
        "How many bytes are remembered at most.",
    )
    .or("\"64MiB\""),
];

const RETRY: &[Setting] = &[
    Setting::new(
        "attempts",
        ATTEMPTS,
        "Attempts in all; 1 means that nothing is tried again.",
    )
    .or("3"),
    Setting::new(
        "base",
        Shape::Duration,
        "The longest pause before the second attempt.",
    )
    .or("\"100ms\""),
    Setting::new(
        "max",
        Shape::Duration,
        "The longest pause before any attempt.",
    )
    .or("\"5s\""),
];

const RATE_LIMIT: &[Setting] = &[
    Setting::new("per_second", COUNT, "Requests a second in the long run.").required(),
    Setting::new(
        "burst",
        COUNT,
        "Requests at once after a pause. Default: `per_second`.",
    ),
];

const MOST: u32 = 1_000_000;
const MOST_ATTEMPTS: u32 = 100;
const COUNT: Shape = Shape::Integer {
    min: 1,
    max: MOST as i64,
};
const ATTEMPTS: Shape = Shape::Integer {
    min: 1,
    max: MOST_ATTEMPTS as i64,
};
const STOP: &str = "stop";
const NEXT: &str = "next";
const DEFAULT_TTL: Duration = Duration::from_mins(5);

impl LayerSettings {
    /// For a provider inside this process, such as the environment: nothing but the guard
    /// against panics.
    pub const fn local() -> Self {
        Self {
            timeout: None,
            retry: None,
            rate_limit: None,
            single_flight: false,
            cache: None,
        }
    }

    /// The same, with this limit for each attempt.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same, retrying like this.
    pub fn with_retry(mut self, retry: RetrySettings) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The same, with a rate limit.
    pub fn with_rate_limit(mut self, rate_limit: RateLimitSettings) -> Self {
        self.rate_limit = Some(rate_limit);
        self
    }

    /// The same, with a cache.
    pub fn with_cache(mut self, cache: CacheSettings) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The default, changed by what [`COMMON_SETTINGS`] says of `settings`.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for a wrong type, a number out of range, a length of time of zero,
    /// or limits that contradict each other.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        Self::default().changed_by(settings)
    }

    /// These settings, changed by what [`COMMON_SETTINGS`] says of `settings`; for a provider
    /// whose defaults are others.
    ///
    /// # Errors
    /// As [`from_settings`](Self::from_settings).
    pub fn changed_by(mut self, settings: &Settings) -> Result<Self> {
        if let Some(timeout) = positive(settings, "timeout", "timeout")? {
            self.timeout = Some(timeout);
        }
        if let Some(table) = settings.table("cache")? {
            self.cache = Some(cache(&table)?);
        }
        if let Some(table) = settings.table("retry")? {
            self.retry = Some(retry(&table)?);
        }
        if let Some(table) = settings.table("rate_limit")? {
            self.rate_limit = Some(rate_limit(&table)?);
        }
        Ok(self)
    }
}

/// What [`COMMON_SETTINGS`] says of the chain's reactions to this link.
///
/// # Errors
/// [`Kind::Misconfigured`] for any word but `stop` and `next`.
///
/// ```
/// use credchain_core::{Kind, Settings, layers};
/// let settings = Settings::from_json(serde_json::json!({"on_unavailable": "next"}));
/// assert!(layers::reactions(&settings)?.moves_on(Kind::Unavailable));
/// # Ok::<(), credchain_core::Error>(())
/// ```
pub fn reactions(settings: &Settings) -> Result<Reactions> {
    let moves_on = |key: &str| match settings.text(key)? {
        None | Some(STOP) => Ok(false),
        Some(NEXT) => Ok(true),
        Some(_) => Err(wrong(format!(
            "setting `{key}` must be \"{STOP}\" or \"{NEXT}\""
        ))),
    };
    Ok(Reactions::closed()
        .next_on_unavailable(moves_on("on_unavailable")?)
        .next_on_unauthenticated(moves_on("on_unauthenticated")?))
}

fn cache(table: &Settings) -> Result<CacheSettings> {
    let mut cache = CacheSettings::new(positive(table, "ttl", "cache.ttl")?.unwrap_or(DEFAULT_TTL));
    cache.max_stale = positive(table, "max_stale", "cache.max_stale")?;
    if cache.max_stale.is_some_and(|max| max < cache.ttl) {
        return Err(wrong(
            "setting `cache.max_stale` must not be shorter than `cache.ttl`",
        ));
    }
    if let Some(hard_ttl) = positive(table, "hard_ttl", "cache.hard_ttl")? {
        if hard_ttl < cache.ttl {
            return Err(wrong(
                "setting `cache.hard_ttl` must not be shorter than `cache.ttl`",
            ));
        }
        cache.hard_ttl = hard_ttl;
    }
    // A value that is refreshed in vain grows as old as `hard_ttl`, which must not be older than
    // what was allowed for an outage.
    match cache.max_stale {
        Some(max) if max < cache.hard_ttl && table.has("hard_ttl") => {
            let message = "setting `cache.max_stale` must not be shorter than `cache.hard_ttl`";
            return Err(wrong(message));
        }
        Some(max) => cache.hard_ttl = cache.hard_ttl.min(max),
        None => {}
    }
    cache.negative_ttl = positive(table, "negative_ttl", "cache.negative_ttl")?;
    if let Some(entries) = count(table, "max_entries", "cache.max_entries", MOST)? {
        cache.max_entries = usize::try_from(entries.get()).unwrap_or(usize::MAX);
    }
    if let Some(bytes) = table.size("max_size")? {
        cache.max_size = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(cache)
}

fn retry(table: &Settings) -> Result<RetrySettings> {
    let mut retry = RetrySettings::default();
    if let Some(attempts) = count(table, "attempts", "retry.attempts", MOST_ATTEMPTS)? {
        retry.attempts = attempts.get();
    }
    if let Some(base) = positive(table, "base", "retry.base")? {
        retry.base = base;
        retry.max = retry.max.max(base);
    }
    if let Some(max) = positive(table, "max", "retry.max")? {
        if table.has("base") && max < retry.base {
            return Err(wrong(
                "setting `retry.max` must not be shorter than `retry.base`",
            ));
        }
        retry.max = max;
    }
    Ok(retry)
}

fn rate_limit(table: &Settings) -> Result<RateLimitSettings> {
    let Some(per_second) = count(table, "per_second", "rate_limit.per_second", MOST)? else {
        return Err(wrong("setting `rate_limit.per_second` is missing"));
    };
    let mut limit = RateLimitSettings::new(per_second);
    if let Some(burst) = count(table, "burst", "rate_limit.burst", MOST)? {
        limit.burst = burst;
    }
    Ok(limit)
}

fn positive(table: &Settings, key: &str, full: &str) -> Result<Option<Duration>> {
    match table.duration(key)? {
        Some(Duration::ZERO) => Err(wrong(format!("setting `{full}` must be longer than zero"))),
        duration => Ok(duration),
    }
}

fn count(table: &Settings, key: &str, full: &str, most: u32) -> Result<Option<NonZeroU32>> {
    let Some(number) = table.integer(key)? else {
        return Ok(None);
    };
    match u32::try_from(number).ok().and_then(NonZeroU32::new) {
        Some(count) if count.get() <= most => Ok(Some(count)),
        _ => Err(wrong(format!(
            "setting `{full}` must be a number from 1 to {most}"
        ))),
    }
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Misconfigured, message)
}
