use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::layers::{CacheSettings, LayerSettings, RateLimit, RateLimitSettings, wrap};
use credchain_core::{Kind, Provider as _};

use crate::support::{
    MINUTE, SECOND, Scripted, all, at, kind, reading, settle, text, until, world,
};

fn rate(per_second: u32, burst: u32) -> RateLimitSettings {
    let number = |n| NonZeroU32::new(n).unwrap();
    RateLimitSettings::new(number(per_second)).with_burst(number(burst))
}

#[tokio::test]
async fn a_burst_passes_and_then_the_rate_holds() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let limit = Arc::new(RateLimit::new(scripted.clone(), rate(2, 3)));
    let reads: Vec<_> = (0..5).map(|_| reading(&limit, "a", &cx)).collect();
    settle().await;
    assert_eq!(scripted.reads(), 3);
    for expected in [4, 5] {
        clock.advance(Duration::from_millis(499));
        settle().await;
        assert_eq!(scripted.reads(), expected - 1);
        clock.advance(Duration::from_millis(1));
        scripted.until_reads(expected).await;
    }
    for read in reads {
        assert_eq!(text(read.await.unwrap()), "v1");
    }
}

#[tokio::test]
async fn who_comes_first_is_served_first_and_who_leaves_uses_nothing_up() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let limit = Arc::new(RateLimit::new(scripted.clone(), rate(1, 1)));
    limit.get(&at("first"), &cx).await.unwrap();
    let mut waiting = Vec::new();
    for name in ["gone", "second", "third"] {
        waiting.push(reading(&limit, name, &cx));
        settle().await;
    }
    waiting[0].abort();
    settle().await;
    clock.advance(SECOND);
    until(|| waiting[1].is_finished()).await;
    settle().await;
    assert!(!waiting[2].is_finished());
    clock.advance(SECOND);
    until(|| waiting[2].is_finished()).await;
    assert_eq!(scripted.reads(), 3);
}

#[tokio::test]
async fn a_deadline_before_the_turn_is_unavailable_and_asks_nothing() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let limit = Arc::new(RateLimit::new(scripted.clone(), rate(1, 1)));
    limit.get(&at("a"), &cx).await.unwrap();
    let read = reading(&limit, "a", &cx.with_timeout(SECOND / 2));
    until(|| clock.sleepers() > 0).await;
    clock.advance(SECOND / 2);
    assert_eq!(kind(read.await.unwrap()), Kind::Unavailable);
    assert_eq!(scripted.reads(), 1);
}

#[tokio::test]
async fn a_batch_is_one_request_only_where_it_is_one() {
    for (scripted, waits) in [
        (Scripted::new(), false),
        (Scripted::without_batches(), true),
    ] {
        let (clock, cx) = world();
        let limit = Arc::new(RateLimit::new(scripted.clone(), rate(1, 2)));
        // Three single requests out of two leave a debt of one; one batch leaves one to spare.
        limit.get_many(&all(&["a", "b", "c"]), &cx).await;
        let read = reading(&limit, "d", &cx);
        settle().await;
        assert_eq!(!read.is_finished(), waits);
        clock.advance(SECOND * 2);
        assert_eq!(text(read.await.unwrap()), "v1");
    }
}

#[tokio::test]
async fn a_cached_value_waits_for_no_turn() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let settings = LayerSettings::local()
        .with_cache(CacheSettings::new(MINUTE))
        .with_rate_limit(rate(1, 1));
    let provider = wrap(scripted.clone(), &settings);
    for _ in 0..100 {
        assert_eq!(text(provider.get(&at("a"), &cx).await), "v1");
    }
    assert_eq!(scripted.reads(), 1);
}
