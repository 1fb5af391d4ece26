use std::num::NonZeroU32;
use std::time::Duration;

use credchain_core::layers::{
    COMMON_SETTINGS, CacheSettings, LayerSettings, RateLimitSettings, RetrySettings, reactions,
    wrap,
};
use credchain_core::{Kind, Reactions, Setting, Settings, Shape, parse_duration, parse_size};
use serde_json::{Value, json};

use crate::support::{MINUTE, SECOND, Scripted};

fn read(table: Value) -> credchain_core::Result<LayerSettings> {
    LayerSettings::from_settings(&Settings::from_json(table))
}

#[test]
fn nothing_set_is_the_default() {
    let settings = read(json!({})).unwrap();
    assert_eq!(settings, LayerSettings::default());
    assert_eq!(settings.timeout, Some(SECOND * 10));
    let retry = settings.retry.unwrap();
    assert_eq!(
        (retry.attempts, retry.base, retry.max),
        (3, SECOND / 10, SECOND * 5)
    );
    assert!(settings.cache.is_none() && settings.rate_limit.is_none() && settings.single_flight);
}

#[test]
fn every_key_is_read() {
    let settings = read(json!({
        "timeout": "2s",
        "cache": {
            "ttl": "5m", "hard_ttl": "7m", "max_stale": "1h", "negative_ttl": "10s",
            "max_entries": 9, "max_size": "64KiB",
        },
        "retry": {"attempts": 7, "base": "1s", "max": "9s"},
        "rate_limit": {"per_second": 5, "burst": 2},
    }))
    .unwrap();
    let cache = CacheSettings::new(MINUTE * 5)
        .with_hard_ttl(MINUTE * 7)
        .with_max_stale(MINUTE * 60)
        .with_negative_ttl(SECOND * 10)
        .with_max_entries(9)
        .with_max_size(65_536);
    let number = |n| NonZeroU32::new(n).unwrap();
    let expected = LayerSettings::default()
        .with_timeout(SECOND * 2)
        .with_cache(cache)
        .with_retry(RetrySettings::attempts(7).with_delays(SECOND, SECOND * 9))
        .with_rate_limit(RateLimitSettings::new(number(5)).with_burst(number(2)));
    assert_eq!(settings, expected);
}

#[test]
fn a_value_refreshed_in_vain_grows_no_older_than_an_outage_allows() {
    let cache = |table| read(json!({ "cache": table })).unwrap().cache.unwrap();
    assert_eq!(cache(json!({})).ttl, MINUTE * 5);
    assert_eq!(cache(json!({"ttl": "30m"})).hard_ttl, MINUTE * 60);
    assert_eq!(
        cache(json!({"ttl": "30m", "max_stale": "40m"})).hard_ttl,
        MINUTE * 40
    );
}

#[test]
fn mistakes_are_misconfigured_and_name_the_key() {
    for (table, key) in [
        (json!({"timeout": "0s"}), "timeout"),
        (json!({"timeout": 5}), "timeout"),
        (json!({"cache": "5m"}), "cache"),
        (json!({"cache": {"ttl": "0s"}}), "cache.ttl"),
        (
            json!({"cache": {"ttl": "5m", "hard_ttl": "1m"}}),
            "cache.hard_ttl",
        ),
        (
            json!({"cache": {"ttl": "5m", "max_stale": "1m"}}),
            "cache.max_stale",
        ),
        (
            json!({"cache": {"hard_ttl": "9m", "max_stale": "8m"}}),
            "cache.max_stale",
        ),
        (json!({"cache": {"max_entries": 0}}), "cache.max_entries"),
        (json!({"retry": {"attempts": 0}}), "retry.attempts"),
        (json!({"retry": {"attempts": -1}}), "retry.attempts"),
        (json!({"retry": {"attempts": 101}}), "retry.attempts"),
        (json!({"retry": {"base": "2s", "max": "1s"}}), "retry.max"),
        (json!({"rate_limit": {}}), "rate_limit.per_second"),
        (
            json!({"rate_limit": {"per_second": 1, "burst": 0}}),
            "rate_limit.burst",
        ),
    ] {
        let error = read(table.clone()).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{table}");
        assert!(error.message().contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn reactions_are_read_from_the_same_table() {
    let read = |table| reactions(&Settings::from_json(table));
    assert_eq!(read(json!({})).unwrap(), Reactions::closed());
    assert_eq!(
        read(json!({"on_unavailable": "stop"})).unwrap(),
        Reactions::closed()
    );
    let both = read(json!({"on_unavailable": "next", "on_unauthenticated": "next"})).unwrap();
    assert!(both.moves_on(Kind::Throttled) && both.moves_on(Kind::Unauthenticated));
    let error = read(json!({"on_unavailable": "canary"})).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!error.to_string().contains("canary"));
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let mut table = serde_json::Map::new();
    for setting in COMMON_SETTINGS {
        if let Shape::Table(inner) = setting.shape
            && setting.key != "rate_limit"
        {
            table.insert(setting.key.into(), defaults(inner));
        }
    }
    let documented = read(Value::Object(table)).unwrap();
    let real = LayerSettings::default().with_cache(CacheSettings::new(MINUTE * 5));
    assert_eq!(documented, real);
    let timeout = COMMON_SETTINGS
        .iter()
        .find(|setting| setting.key == "timeout")
        .unwrap();
    assert_eq!(
        parse_duration(timeout.default.unwrap().trim_matches('"')),
        real.timeout
    );
}

/// The defaults of a table as they are documented.
fn defaults(settings: &[Setting]) -> Value {
    let with_default = settings.iter().filter_map(|setting| {
        let text = setting.default?;
        let value = text
            .parse::<i64>()
            .map_or_else(|_| json!(text.trim_matches('"')), |n| json!(n));
        match setting.shape {
            Shape::Duration => assert!(parse_duration(value.as_str().unwrap()).is_some()),
            Shape::Size => assert!(parse_size(value.as_str().unwrap()).is_some()),
            _ => assert!(value.is_i64()),
        }
        Some((setting.key.to_owned(), value))
    });
    Value::Object(with_default.collect())
}

/// The layers of a stack, outermost first, as its `Debug` shows them.
fn layers(settings: &LayerSettings) -> Vec<String> {
    let shown = format!("{:?}", wrap(Scripted::new(), settings));
    let names = [
        "Cache",
        "Flight",
        "Retry",
        "RateLimit",
        "Timeout",
        "Guard",
        "Scripted",
    ];
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| {
            shown
                .find(&format!("{name} {{"))
                .or(shown.find(name).filter(|_| *name == "Scripted"))
                .map(|at| (at, (*name).to_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn the_stack_holds_what_is_asked_for_in_its_order_and_nothing_else() {
    let full = LayerSettings::default()
        .with_cache(CacheSettings::new(MINUTE))
        .with_rate_limit(RateLimitSettings::new(NonZeroU32::MIN));
    assert_eq!(
        layers(&full),
        [
            "Cache",
            "Flight",
            "Retry",
            "RateLimit",
            "Timeout",
            "Guard",
            "Scripted"
        ]
    );
    assert_eq!(
        layers(&LayerSettings::default()),
        ["Flight", "Retry", "Timeout", "Guard", "Scripted"]
    );
    let once = LayerSettings::default().with_retry(RetrySettings::attempts(1));
    assert_eq!(layers(&once), ["Flight", "Timeout", "Guard", "Scripted"]);
    assert_eq!(layers(&LayerSettings::local()), ["Guard", "Scripted"]);
    let mut untimed = LayerSettings::default();
    untimed.timeout = None::<Duration>;
    assert_eq!(layers(&untimed), ["Flight", "Retry", "Guard", "Scripted"]);
}
