use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use credchain_core::layers::{CacheSettings, Flight, LayerSettings, Timeout, wrap, wrap_shared};
use credchain_core::{
    Capabilities, Context, Kind, Provider, Reference, Result, Secret, SetOptions, async_trait,
};

use crate::support::{
    MINUTE, SECOND, Say, Scripted, all, at, kind, reading, settle, text, until, world,
};

fn flight(scripted: &Arc<Scripted>) -> Arc<Flight> {
    Arc::new(Flight::new(scripted.clone()))
}

#[tokio::test]
async fn concurrent_reads_share_one_request_and_later_ones_do_not() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let flight = flight(&scripted);
    scripted.hold();
    let reads: Vec<_> = (0..100).map(|_| reading(&flight, "a", &cx)).collect();
    settle().await;
    scripted.release();
    for read in reads {
        assert_eq!(text(read.await.unwrap()), "v1");
    }
    assert_eq!(scripted.reads(), 1);
    flight.get(&at("a"), &cx).await.unwrap();
    assert_eq!(scripted.reads(), 2);
}

#[tokio::test]
async fn different_references_do_not_wait_for_each_other() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("slow", Say::Hang);
    let flight = flight(&scripted);
    let slow = reading(&flight, "slow", &cx);
    scripted.until_reads(1).await;
    for other in ["fast", "slow#field", "slow?version=1"] {
        assert_eq!(text(flight.get(&at(other), &cx).await), "v1");
    }
    assert!(!slow.is_finished());
}

#[tokio::test]
async fn cancelling_the_first_waiter_does_not_cancel_the_flight() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let flight = flight(&scripted);
    scripted.hold();
    let first = reading(&flight, "a", &cx);
    scripted.until_reads(1).await;
    let second = reading(&flight, "a", &cx);
    settle().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    scripted.release();
    assert_eq!(text(second.await.unwrap()), "v1");
    assert_eq!(scripted.reads(), 1);
}

#[tokio::test]
async fn an_abandoned_flight_arrives_and_fills_the_cache() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let settings = LayerSettings::local().with_cache(CacheSettings::new(MINUTE));
    let provider = wrap_shared(scripted.clone(), &settings);
    scripted.hold();
    let abandoned = tokio::spawn({
        let (provider, cx) = (provider.clone(), cx.clone());
        async move { provider.get(&at("a"), &cx).await }
    });
    scripted.until_reads(1).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    scripted.release();
    settle().await;
    assert!(provider.get(&at("a"), &cx).await.unwrap().meta().cached);
    assert_eq!(scripted.reads(), 1);
}

#[tokio::test]
async fn failures_are_shared_too() {
    let (_, cx) = world();
    for failure in Kind::ALL {
        let scripted = Scripted::new();
        scripted.fail("a", failure);
        let flight = flight(&scripted);
        let (one, two) = (reading(&flight, "a", &cx), reading(&flight, "a", &cx));
        assert_eq!(kind(one.await.unwrap()), failure);
        assert_eq!(kind(two.await.unwrap()), failure);
        assert_eq!(scripted.reads(), 1);
    }
}

#[tokio::test]
async fn a_waiters_deadline_ends_its_own_wait_only() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let flight = flight(&scripted);
    scripted.hold();
    let hasty = reading(&flight, "a", &cx.clone().with_timeout(SECOND));
    scripted.until_reads(1).await;
    let patient = reading(&flight, "a", &cx.clone().with_timeout(MINUTE));
    until(|| clock.sleepers() == 2).await;
    clock.advance(SECOND);
    let error = hasty.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "unavailable: no answer within 1s");
    scripted.release();
    assert_eq!(text(patient.await.unwrap()), "v1");
    assert_eq!(scripted.reads(), 1);
}

#[tokio::test]
async fn a_flight_is_bounded_by_the_providers_timeout_not_by_its_first_waiter() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", Say::Hang);
    let timeout: Arc<dyn Provider> = Arc::new(Timeout::new(scripted, SECOND * 10));
    let flight = Arc::new(Flight::new(timeout));
    let first = reading(&flight, "a", &cx.clone().with_timeout(SECOND));
    until(|| clock.sleepers() == 2).await;
    let second = reading(&flight, "a", &cx);
    settle().await;
    clock.advance(SECOND);
    assert!(first.await.unwrap().is_err());
    settle().await;
    assert!(!second.is_finished());
    clock.advance(SECOND * 9);
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "unavailable: no answer within 10s");
}

#[tokio::test]
async fn without_any_time_left_no_flight_starts() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let cx = cx.with_timeout(std::time::Duration::ZERO);
    assert_eq!(
        kind(flight(&scripted).get(&at("a"), &cx).await),
        Kind::Unavailable
    );
    settle().await;
    assert_eq!(scripted.reads(), 0);
}

#[tokio::test]
async fn a_panic_in_flight_is_internal_for_every_waiter() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", Say::Panic);
    let flight = flight(&scripted);
    scripted.hold();
    let reads = [reading(&flight, "a", &cx), reading(&flight, "a", &cx)];
    scripted.until_reads(1).await;
    settle().await;
    scripted.release();
    for read in reads {
        let error = read.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert_eq!(
        text(flight.get(&at("a"), &cx).await),
        "v1",
        "the place is free again"
    );
}

#[tokio::test]
async fn a_batch_joins_the_flights_under_way_and_starts_one_for_the_rest() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let flight = flight(&scripted);
    scripted.hold();
    let single = reading(&flight, "b", &cx);
    scripted.until_reads(1).await;
    let batch = tokio::spawn({
        let (flight, cx) = (flight.clone(), cx.clone());
        async move { flight.get_many(&all(&["a", "b", "c", "a"]), &cx).await }
    });
    until(|| scripted.batches().len() == 1).await;
    let late = reading(&flight, "c", &cx);
    settle().await;
    scripted.release();
    let answers: Vec<_> = batch.await.unwrap().into_iter().map(text).collect();
    assert_eq!(answers, ["v1"; 4]);
    assert_eq!(
        text(single.await.unwrap()) + &text(late.await.unwrap()),
        "v1v1"
    );
    assert_eq!(scripted.batches(), [all(&["a", "c"])]);
    assert_eq!(scripted.reads(), 3);
}

#[tokio::test]
async fn a_batch_with_a_deadline_keeps_the_answers_it_has() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("slow", Say::Hang);
    let flight = flight(&scripted);
    let _slow = reading(&flight, "slow", &cx);
    scripted.until_reads(1).await;
    let cx = cx.with_timeout(SECOND);
    let batch = tokio::spawn(async move { flight.get_many(&all(&["slow", "a"]), &cx).await });
    until(|| clock.sleepers() == 1 && scripted.reads() == 2).await;
    settle().await;
    clock.advance(SECOND);
    let mut answers = batch.await.unwrap();
    assert_eq!(text(answers.pop().unwrap()), "v1");
    assert_eq!(kind(answers.pop().unwrap()), Kind::Unavailable);
}

#[tokio::test]
async fn an_empty_batch_asks_nobody() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    assert!(flight(&scripted).get_many(&[], &cx).await.is_empty());
    settle().await;
    assert!(scripted.batches().is_empty());
}

#[tokio::test]
async fn nobody_joins_a_flight_that_began_before_a_write() {
    for (written, joins) in [("doc#x", false), ("/mount/doc", false), ("other", true)] {
        let (_, cx) = world();
        let scripted = Scripted::new();
        let flight = flight(&scripted);
        scripted.hold();
        let early = reading(&flight, "doc#field", &cx);
        scripted.until_reads(1).await;
        let options = SetOptions::default();
        flight
            .set(&at(written), &Secret::new("v2"), &options, &cx)
            .await
            .unwrap();
        let late = reading(&flight, "doc#field", &cx);
        settle().await;
        assert_eq!(scripted.reads(), if joins { 1 } else { 2 }, "{written}");
        scripted.release();
        assert_eq!(text(early.await.unwrap()), "v1");
        assert_eq!(
            text(late.await.unwrap()),
            if written == "doc#x" { "v2" } else { "v1" }
        );
    }
}

#[test]
fn when_a_flights_runtime_shuts_down_its_waiters_start_another() {
    let scripted = Scripted::new();
    scripted.say("a", Say::Hang);
    let flight = flight(&scripted);
    let (_, cx) = world();
    let doomed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let first = doomed.spawn({
        let (flight, cx) = (flight.clone(), cx.clone());
        async move { flight.get(&at("a"), &cx).await }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        scripted.until_reads(1).await;
        let second = reading(&flight, "a", &cx);
        settle().await;
        assert_eq!(scripted.reads(), 1, "it joined");
        doomed.shutdown_background();
        assert_eq!(text(second.await.unwrap()), "v1");
        assert!(first.await.unwrap_err().is_cancelled());
    });
    assert_eq!(scripted.reads(), 2);
}

/// Ends its own task's runtime at every read.
#[derive(Debug, Default)]
struct Fatal(AtomicUsize);

#[async_trait]
impl Provider for Fatal {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[test]
fn a_waiter_whose_flights_are_lost_twice_gets_an_answer() {
    let fatal = Arc::new(Fatal::default());
    let flight = Arc::new(Flight::new(fatal.clone()));
    let (_, cx) = world();
    let waiting = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // The waiter is polled by hand: each time inside a runtime that is gone before the next.
    let mut waiter = {
        let (flight, cx) = (flight.clone(), cx.clone());
        Box::pin(async move { flight.get(&at("a"), &cx).await })
    };
    for expected in [1, 2] {
        let doomed = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        doomed.block_on(async {
            let poll = |cx: &mut std::task::Context<'_>| Poll::Ready(waiter.as_mut().poll(cx));
            assert!(std::future::poll_fn(poll).await.is_pending());
            until(|| fatal.0.load(Ordering::SeqCst) == expected).await;
        });
    }
    assert_eq!(kind(waiting.block_on(waiter)), Kind::Internal);
}

#[test]
fn outside_of_a_runtime_reads_go_straight_through() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let flight = flight(&scripted);
    let read = async { flight.get(&at("a"), &cx).await };
    let answer = futures_util::FutureExt::now_or_never(read).unwrap();
    assert_eq!(text(answer), "v1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_agree_on_every_flight() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    let provider = wrap(scripted.clone(), &LayerSettings::default());
    let reads: Vec<_> = (0..2_000)
        .map(|n| {
            let (provider, cx) = (provider.clone(), cx.clone());
            tokio::spawn(async move { provider.get(&at(&format!("k{}", n % 7)), &cx).await })
        })
        .collect();
    for read in reads {
        assert_eq!(text(read.await.unwrap()), "v1");
    }
    assert!(scripted.reads() <= 2_000);
}
