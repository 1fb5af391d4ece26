use std::sync::Arc;

use credchain_core::layers::Timeout;
use credchain_core::{
    Capabilities, Context, Kind, Provider, Reference, Result, Secret, async_trait,
};

use crate::support::{SECOND, Say, Scripted, all, at, kind, reading, text, until, world};

#[tokio::test]
async fn an_attempt_ends_at_its_limit_and_names_it() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", Say::Hang);
    let timeout = Arc::new(Timeout::new(scripted, SECOND * 10));
    let read = reading(&timeout, "a", &cx);
    until(|| clock.sleepers() == 1).await;
    clock.advance(SECOND * 10);
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "unavailable: no answer within 10s");
}

#[tokio::test]
async fn the_resolutions_deadline_cuts_an_attempt_short() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", Say::Hang);
    let timeout = Arc::new(Timeout::new(scripted, SECOND * 10));
    let read = reading(&timeout, "a", &cx.with_timeout(SECOND * 3));
    until(|| clock.sleepers() == 1).await;
    clock.advance(SECOND * 3);
    assert!(
        read.await
            .unwrap()
            .unwrap_err()
            .to_string()
            .ends_with("no answer within 3s")
    );
}

#[tokio::test]
async fn nothing_is_asked_when_no_time_is_left() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    let timeout = Timeout::new(scripted.clone(), SECOND);
    let cx = cx.with_timeout(SECOND);
    clock.advance(SECOND);
    assert_eq!(kind(timeout.get(&at("a"), &cx).await), Kind::Unavailable);
    assert_eq!(scripted.reads(), 0);
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_unavailable_in_every_place() {
    let (clock, cx) = world();
    let scripted = Scripted::new();
    scripted.say("b", Say::Hang);
    let timeout = Timeout::new(scripted, SECOND);
    let batch = tokio::spawn(async move { timeout.get_many(&all(&["a", "b"]), &cx).await });
    until(|| clock.sleepers() == 1).await;
    clock.advance(SECOND);
    let answers = batch.await.unwrap();
    assert_eq!(answers.len(), 2);
    assert!(
        answers
            .into_iter()
            .all(|answer| kind(answer) == Kind::Unavailable)
    );
}

#[derive(Debug)]
struct TellsTime;

#[async_trait]
impl Provider for TellsTime {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, cx: &Context) -> Result<Secret> {
        Ok(Secret::new(format!("{:?}", cx.remaining())))
    }
}

#[tokio::test]
async fn the_provider_sees_the_limit_as_its_deadline() {
    let (_, cx) = world();
    let timeout = Timeout::new(Arc::new(TellsTime), SECOND * 4);
    assert_eq!(text(timeout.get(&at("a"), &cx).await), "Some(4s)");
}
