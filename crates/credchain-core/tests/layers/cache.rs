//! How long a value lives, and how many do.

use std::sync::Arc;
use std::time::Duration;

use credchain_core::layers::{Cache, CacheSettings};
use credchain_core::{Context, Kind, Provider as _, Secret};

use crate::support::{
    MINUTE, SECOND, Say, Scripted, all, at, kind, reading, settle, text, until, world,
};

fn minute() -> CacheSettings {
    CacheSettings::new(MINUTE)
}

fn cache(scripted: &Arc<Scripted>, settings: CacheSettings) -> Arc<Cache> {
    Arc::new(Cache::new(scripted.clone(), settings))
}

async fn read(cache: &Cache, reference: &str, cx: &Context) -> String {
    text(cache.get(&at(reference), cx).await)
}

#[tokio::test]
async fn a_fresh_value_is_served_without_asking_and_says_that_it_was_cached() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute());
    assert!(!cache.get(&at("a"), &cx).await.unwrap().meta().cached);
    clock.advance(SECOND * 59);
    let hit = cache.get(&at("a"), &cx).await.unwrap();
    assert!(hit.meta().cached && hit.meta().stale.is_none());
    assert_eq!(scripted.reads(), 1);
}

#[tokio::test]
async fn after_the_soft_ttl_the_old_value_is_served_and_one_refresh_starts() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute());
    read(&cache, "a", &cx).await;
    scripted.store("a", "v2");
    scripted.hold();
    clock.advance(MINUTE);
    for _ in 0..10 {
        assert_eq!(read(&cache, "a", &cx).await, "v1");
    }
    settle().await;
    scripted.release();
    settle().await;
    assert_eq!(read(&cache, "a", &cx).await, "v2");
    assert_eq!(scripted.reads(), 2);
}

#[tokio::test]
async fn a_failed_background_refresh_is_not_repeated_at_every_read() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute());
    read(&cache, "a", &cx).await;
    scripted.fail_times(9, "a", Kind::Unavailable);
    clock.advance(MINUTE);
    for (seconds, reads) in [(0, 2), (1, 2), (4, 2), (1, 3)] {
        clock.advance(SECOND * seconds);
        assert_eq!(read(&cache, "a", &cx).await, "v1");
        settle().await;
        assert_eq!(scripted.reads(), reads, "after {seconds} more seconds");
    }
}

#[tokio::test]
async fn after_the_hard_ttl_a_reader_waits_for_a_fresh_value() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute().with_hard_ttl(MINUTE * 3));
    read(&cache, "a", &cx).await;
    scripted.store("a", "v2");
    clock.advance(MINUTE * 3);
    assert_eq!(read(&cache, "a", &cx).await, "v2");
}

#[tokio::test]
async fn a_thousand_readers_of_an_expired_value_cause_one_request() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute());
    read(&cache, "a", &cx).await;
    clock.advance(MINUTE * 2);
    scripted.store("a", "v2");
    scripted.hold();
    let readers: Vec<_> = (0..1_000).map(|_| reading(&cache, "a", &cx)).collect();
    settle().await;
    scripted.release();
    for reader in readers {
        assert_eq!(text(reader.await.unwrap()), "v2");
    }
    assert_eq!(scripted.reads(), 2);
}

#[tokio::test]
async fn a_slow_reference_delays_no_other() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("slow", Say::Hang);
    let cache = cache(&scripted, minute());
    let slow = reading(&cache, "slow", &cx);
    scripted.until_reads(1).await;
    assert_eq!(read(&cache, "fast", &cx).await, "v1");
    assert_eq!(read(&cache, "fast", &cx).await, "v1");
    assert!(!slow.is_finished());
}

#[tokio::test]
async fn a_stale_value_answers_an_outage_and_nothing_else() {
    for failure in Kind::ALL {
        let (clock, cx) = world();
        let scripted = Scripted::new();
        let cache = cache(&scripted, minute().with_max_stale(MINUTE * 60));
        read(&cache, "a", &cx).await;
        scripted.fail("a", failure).fail("a", failure);
        clock.advance(MINUTE * 5);
        let answer = cache.get(&at("a"), &cx).await;
        let batch = cache.get_many(&all(&["a"]), &cx).await.remove(0);
        if matches!(failure, Kind::Unavailable | Kind::Throttled) {
            for secret in [answer.unwrap(), batch.unwrap()] {
                assert_eq!(secret.expose(), b"v1");
                assert_eq!(secret.meta().stale, Some(MINUTE * 5), "{failure}");
                assert!(secret.meta().cached);
            }
        } else {
            assert_eq!(kind(answer), failure);
            assert_eq!(kind(batch), failure);
        }
        assert_eq!(
            scripted.reads(),
            3,
            "the backend is asked first, each time: {failure}"
        );
    }
}

#[tokio::test]
async fn a_value_older_than_max_stale_is_not_served() {
    let (clock, cx) = world();
    for (settings, age, served) in [
        (minute().with_max_stale(MINUTE * 60), MINUTE * 60, true),
        (
            minute().with_max_stale(MINUTE * 60),
            MINUTE * 60 + SECOND,
            false,
        ),
        (minute(), MINUTE * 2, false),
    ] {
        let scripted = Scripted::new();
        let cache = cache(&scripted, settings);
        read(&cache, "a", &cx).await;
        scripted.fail("a", Kind::Unavailable);
        clock.advance(age);
        assert_eq!(
            cache.get(&at("a"), &cx).await.is_ok(),
            served,
            "{settings:?}"
        );
    }
}

#[tokio::test]
async fn a_deadline_that_ends_the_wait_is_an_outage_too() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute().with_max_stale(MINUTE * 60));
    read(&cache, "a", &cx).await;
    scripted.say("a", Say::Hang);
    clock.advance(MINUTE * 5);
    let reader = reading(&cache, "a", &cx.with_timeout(SECOND));
    until(|| clock.sleepers() == 1).await;
    clock.advance(SECOND);
    assert!(reader.await.unwrap().unwrap().meta().stale.is_some());
}

#[tokio::test]
async fn a_miss_is_remembered_only_when_asked_to_and_only_not_found() {
    let negative = minute().with_negative_ttl(SECOND * 10);
    for failure in Kind::ALL {
        for settings in [minute(), negative] {
            let (clock, cx) = world();
            let scripted = Scripted::new();
            scripted.fail_times(3, "a", failure);
            let cache = cache(&scripted, settings);
            assert_eq!(kind(cache.get(&at("a"), &cx).await), failure);
            assert_eq!(kind(cache.get(&at("a"), &cx).await), failure);
            let remembered = failure == Kind::NotFound && settings.negative_ttl.is_some();
            assert_eq!(
                scripted.reads(),
                if remembered { 1 } else { 2 },
                "{failure}"
            );
            clock.advance(SECOND * 10);
            assert_eq!(kind(cache.get(&at("a"), &cx).await), failure);
            assert_eq!(
                scripted.reads(),
                if remembered { 2 } else { 3 },
                "{failure}"
            );
        }
    }
}

#[tokio::test]
async fn a_value_found_gone_by_a_refresh_is_not_served_again() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute().with_max_stale(MINUTE * 60));
    read(&cache, "a", &cx).await;
    clock.advance(MINUTE);
    scripted
        .fail("a", Kind::NotFound)
        .fail("a", Kind::Unavailable);
    read(&cache, "a", &cx).await;
    settle().await;
    assert_eq!(
        kind(cache.get(&at("a"), &cx).await),
        Kind::Unavailable,
        "nothing to bridge with"
    );
}

fn expiring(cx: &Context, life: Duration) -> Say {
    let end = cx.clock().now() + life;
    Say::Value(Secret::new("short").with_meta(|meta| meta.expires = Some(end)))
}

#[tokio::test]
async fn a_values_own_expiry_ends_its_life_even_in_an_outage() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", expiring(&cx, SECOND * 30));
    let cache = cache(&scripted, minute().with_max_stale(MINUTE * 60));
    read(&cache, "a", &cx).await;
    clock.advance(SECOND * 29);
    assert_eq!(read(&cache, "a", &cx).await, "short");
    clock.advance(SECOND);
    scripted.fail("a", Kind::Unavailable);
    assert_eq!(kind(cache.get(&at("a"), &cx).await), Kind::Unavailable);
}

#[tokio::test]
async fn a_value_that_arrives_expired_is_not_kept() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", expiring(&cx, Duration::ZERO));
    let cache = cache(&scripted, minute());
    assert_eq!(read(&cache, "a", &cx).await, "short");
    assert_eq!(read(&cache, "a", &cx).await, "v1");
}

#[tokio::test]
async fn what_was_used_longest_ago_goes_first() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute().with_max_entries(3));
    for name in ["a", "b", "c", "a", "d"] {
        read(&cache, name, &cx).await;
    }
    assert_eq!(scripted.reads(), 4);
    for (name, reads) in [("a", 4), ("c", 4), ("d", 4), ("b", 5)] {
        read(&cache, name, &cx).await;
        assert_eq!(scripted.reads(), reads, "{name}");
    }
}

#[tokio::test]
async fn the_size_in_bytes_is_bounded() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.store("big", &"x".repeat(4_000));
    scripted.store("huge", &"x".repeat(20_000));
    let cache = cache(&scripted, minute().with_max_size(10_000));
    for name in ["a", "big", "huge", "a", "big"] {
        read(&cache, name, &cx).await;
    }
    assert_eq!(
        scripted.reads(),
        3,
        "a value that cannot fit pushes nothing out"
    );
    read(&cache, "huge", &cx).await;
    assert_eq!(scripted.reads(), 4);
    scripted.store("big2", &"x".repeat(6_000));
    for name in ["big2", "a", "big"] {
        read(&cache, name, &cx).await;
    }
    assert_eq!(
        scripted.reads(),
        7,
        "two large ones do not fit beside each other"
    );
}

#[tokio::test]
async fn ten_thousand_values_stay_and_the_next_one_pushes_one_out() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute());
    let names: Vec<_> = (0..10_001).map(|n| at(&format!("k{n}"))).collect();
    cache.get_many(&names, &cx).await;
    assert_eq!(scripted.reads(), 10_001);
    let again = cache.get_many(&names[1..], &cx).await;
    assert_eq!(scripted.reads(), 10_001);
    assert!(
        again
            .into_iter()
            .all(|answer| answer.unwrap().meta().cached)
    );
    read(&cache, "k0", &cx).await;
    assert_eq!(scripted.reads(), 10_002);
}

#[tokio::test]
async fn a_batch_asks_only_for_what_is_not_remembered() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let cache = cache(&scripted, minute().with_hard_ttl(MINUTE * 10));
    read(&cache, "soft", &cx).await;
    clock.advance(MINUTE);
    read(&cache, "fresh", &cx).await;
    scripted.fail("bad", Kind::Denied);
    let answers = cache
        .get_many(&all(&["fresh", "new", "soft", "bad", "fresh"]), &cx)
        .await;
    let shown: Vec<_> = answers
        .into_iter()
        .map(|a| a.map(|secret| secret.meta().cached).ok())
        .collect();
    assert_eq!(
        shown,
        [Some(true), Some(false), Some(true), None, Some(true)]
    );
    settle().await;
    assert_eq!(scripted.batches(), [all(&["new", "bad"])]);
    assert_eq!(scripted.reads(), 5, "and one refresh in the background");
}
