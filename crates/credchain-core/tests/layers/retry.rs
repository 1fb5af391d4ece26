use std::sync::Arc;
use std::time::Duration;

use credchain_core::layers::{Retry, RetrySettings};
use credchain_core::{
    Context, Error, Expect, Kind, ManualClock, Provider, Result, Secret, SetOptions, Version,
};

use crate::support::{SECOND, Say, Scripted, all, at, kind, reading, settle, text, until, world};

fn retry(scripted: &Arc<Scripted>, settings: RetrySettings) -> Arc<Retry> {
    Arc::new(Retry::new(scripted.clone(), settings))
}

/// No pauses at all, for tests of what is retried rather than when.
fn at_once(cx: &Context) -> Context {
    cx.clone().with_jitter(0.0)
}

async fn step(clock: &ManualClock, scripted: &Scripted, pause: Duration, reads: usize) {
    until(|| clock.sleepers() == 1).await;
    clock.advance(pause.saturating_sub(Duration::from_millis(1)));
    settle().await;
    assert_eq!(scripted.reads(), reads - 1, "too early");
    clock.advance(Duration::from_millis(1));
    scripted.until_reads(reads).await;
}

#[tokio::test]
async fn pauses_double_up_to_the_longest() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.fail_times(4, "a", Kind::Unavailable);
    let settings = RetrySettings::attempts(5).with_delays(SECOND, SECOND * 3);
    let read = reading(&retry(&scripted, settings), "a", &cx);
    for (reads, seconds) in [(2, 1), (3, 2), (4, 3), (5, 3)] {
        step(&clock, &scripted, SECOND * seconds, reads).await;
    }
    assert_eq!(text(read.await.unwrap()), "v1");
}

#[tokio::test]
async fn a_pause_is_a_random_part_of_its_limit() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.fail("a", Kind::Throttled);
    let settings = RetrySettings::attempts(2).with_delays(SECOND * 8, SECOND * 8);
    let read = reading(&retry(&scripted, settings), "a", &cx.with_jitter(0.25));
    step(&clock, &scripted, SECOND * 2, 2).await;
    assert_eq!(text(read.await.unwrap()), "v1");
}

#[tokio::test]
async fn only_transient_failures_are_retried() {
    let (_, cx) = world();
    for failure in Kind::ALL {
        let scripted = Scripted::new();
        scripted.fail("a", failure);
        let answer = retry(&scripted, RetrySettings::default())
            .get(&at("a"), &at_once(&cx))
            .await;
        let expected = matches!(failure, Kind::Unavailable | Kind::Throttled);
        assert_eq!(answer.is_ok(), expected, "{failure}");
        assert_eq!(scripted.reads(), if expected { 2 } else { 1 }, "{failure}");
    }
}

#[tokio::test]
async fn after_the_last_attempt_the_last_failure_is_returned() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted
        .fail("a", Kind::Throttled)
        .fail("a", Kind::Throttled)
        .fail("a", Kind::Unavailable);
    let retry = retry(&scripted, RetrySettings::attempts(3));
    assert_eq!(
        kind(retry.get(&at("a"), &at_once(&cx)).await),
        Kind::Unavailable
    );
    assert_eq!(scripted.reads(), 3);
}

fn throttled(after: Duration) -> Say {
    Say::Fail(Error::new(Kind::Throttled, "slow down").with_retry_after(after))
}

#[tokio::test]
async fn retry_after_is_a_minimum() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", throttled(SECOND * 4));
    let read = reading(&retry(&scripted, RetrySettings::default()), "a", &cx);
    step(&clock, &scripted, SECOND * 4, 2).await;
    assert_eq!(text(read.await.unwrap()), "v1");
}

#[tokio::test]
async fn a_retry_after_beyond_the_longest_pause_or_the_deadline_ends_it_at_once() {
    let (_, cx) = world();
    for (asked, cx) in [
        (SECOND * 6, cx.clone()),
        (SECOND * 4, cx.with_timeout(SECOND * 3)),
    ] {
        let scripted = Scripted::new();
        scripted.say("a", throttled(asked));
        let error = retry(&scripted, RetrySettings::default())
            .get(&at("a"), &cx)
            .await;
        assert_eq!(error.unwrap_err().retry_after(), Some(asked));
        assert_eq!(scripted.reads(), 1);
    }
}

#[tokio::test]
async fn no_pause_begins_that_would_outlast_the_deadline() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.fail("a", Kind::Unavailable);
    let settings = RetrySettings::attempts(2).with_delays(SECOND * 5, SECOND * 5);
    let answer = retry(&scripted, settings)
        .get(&at("a"), &cx.with_timeout(SECOND * 5))
        .await;
    assert_eq!(kind(answer), Kind::Unavailable);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn the_budget_is_shared_and_an_answer_gives_some_back() {
    let (_, cx) = world();
    let cx = at_once(&cx);
    let scripted = Scripted::new();
    scripted.fail_times(4, "down", Kind::Unavailable);
    let retry = retry(&scripted, RetrySettings::attempts(2).with_budget(1));
    assert_eq!(kind(retry.get(&at("down"), &cx).await), Kind::Unavailable);
    assert_eq!(scripted.reads(), 2, "one retry was in the budget");
    assert_eq!(kind(retry.get(&at("down"), &cx).await), Kind::Unavailable);
    assert_eq!(scripted.reads(), 3, "now there is none");
    for _ in 0..5 {
        retry.get(&at("up"), &cx).await.unwrap();
    }
    assert_eq!(text(retry.get(&at("down"), &cx).await), "v1");
    assert_eq!(scripted.reads(), 10, "five answers paid for one retry");
}

#[tokio::test]
async fn a_batch_asks_again_only_for_what_failed() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.fail_times(2, "b", Kind::Unavailable);
    scripted.fail("c", Kind::Denied);
    scripted.fail("d", Kind::Throttled);
    let retry = retry(&scripted, RetrySettings::attempts(3));
    let answers = retry
        .get_many(&all(&["a", "b", "c", "d"]), &at_once(&cx))
        .await;
    let kinds: Vec<_> = answers
        .iter()
        .map(|a| a.as_ref().err().map(Error::kind))
        .collect();
    assert_eq!(kinds, [None, None, Some(Kind::Denied), None]);
    assert_eq!(
        scripted.batches(),
        [all(&["a", "b", "c", "d"]), all(&["b", "d"]), all(&["b"])]
    );
}

#[tokio::test]
async fn a_batch_of_single_requests_pays_for_each() {
    let (_, cx) = world();
    let scripted = Scripted::without_batches();
    for name in ["a", "b", "c"] {
        scripted.fail(name, Kind::Unavailable);
    }
    let retry = retry(&scripted, RetrySettings::attempts(2).with_budget(2));
    let answers = retry.get_many(&all(&["a", "b", "c"]), &at_once(&cx)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(scripted.batches()[1], all(&["a", "b"]));
}

async fn write(retry: &Retry, options: &SetOptions, cx: &Context) -> Result<Version> {
    retry
        .set(&at("a"), &Secret::new("v"), options, &at_once(cx))
        .await
}

#[tokio::test]
async fn a_write_is_repeated_only_if_it_cannot_count_twice() {
    let (_, cx) = world();
    let mut keyed = SetOptions::default();
    keyed.idempotency_key = Some("once".into());
    let cases = [
        (SetOptions::default(), false),
        (SetOptions::expecting(Expect::Absent), true),
        (
            SetOptions::expecting(Expect::Version(Version::number(1))),
            true,
        ),
        (keyed, true),
    ];
    for (options, repeated) in cases {
        let scripted = Scripted::new();
        scripted.say_to_write(Say::Fail(Error::new(Kind::Unavailable, "lost")));
        let answer = write(&retry(&scripted, RetrySettings::default()), &options, &cx).await;
        assert_eq!(answer.is_ok(), repeated, "{options:?}");
        assert_eq!(
            scripted.writes(),
            if repeated { 2 } else { 1 },
            "{options:?}"
        );
    }
}

#[tokio::test]
async fn a_delete_is_never_repeated() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say_to_write(Say::Fail(Error::new(Kind::Unavailable, "lost")));
    let retry = retry(&scripted, RetrySettings::default());
    assert_eq!(
        retry.delete(&at("a"), &cx).await.unwrap_err().kind(),
        Kind::Unavailable
    );
    assert_eq!(scripted.deletes(), 1);
}
