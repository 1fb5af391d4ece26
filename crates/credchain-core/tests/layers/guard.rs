use credchain_core::layers::Guard;
use credchain_core::{
    Capabilities, Context, Kind, Provider, Reference, Result, Secret, SetOptions, async_trait,
};

use crate::support::{Say, Scripted, all, at, kind, text, world};

#[tokio::test]
async fn a_panic_is_an_internal_error_without_the_panics_words() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("a", Say::Panic);
    let guard = Guard::new(scripted);
    let error = guard.get(&at("a"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
    assert_eq!(
        text(guard.get(&at("a"), &cx).await),
        "v1",
        "the next request is served"
    );
}

#[tokio::test]
async fn a_panic_in_a_batch_or_a_write_is_an_internal_error() {
    let (_, cx) = world();
    let scripted = Scripted::new();
    scripted.say("b", Say::Panic);
    scripted.say_to_write(Say::Panic);
    scripted.say_to_write(Say::Panic);
    let guard = Guard::new(scripted);
    let answers = guard.get_many(&all(&["a", "b", "c"]), &cx).await;
    assert_eq!(answers.len(), 3);
    assert!(
        answers
            .into_iter()
            .all(|answer| kind(answer) == Kind::Internal)
    );
    let written = guard
        .set(&at("a"), &Secret::new("v"), &SetOptions::default(), &cx)
        .await;
    assert_eq!(written.unwrap_err().kind(), Kind::Internal);
    assert_eq!(
        guard.delete(&at("a"), &cx).await.unwrap_err().kind(),
        Kind::Internal
    );
}

#[derive(Debug)]
struct Careless;

#[async_trait]
impl Provider for Careless {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        Ok(Secret::new("v"))
    }

    async fn get_many(&self, _: &[Reference], _: &Context) -> Vec<Result<Secret>> {
        vec![Ok(Secret::new("whose?"))]
    }
}

#[tokio::test]
async fn a_batch_that_is_not_answered_in_full_is_not_answered_at_all() {
    let (_, cx) = world();
    let guard = Guard::new(std::sync::Arc::new(Careless));
    let answers = guard.get_many(&all(&["a", "b"]), &cx).await;
    assert_eq!(answers.len(), 2);
    assert!(
        answers
            .into_iter()
            .all(|answer| kind(answer) == Kind::Internal)
    );
}
