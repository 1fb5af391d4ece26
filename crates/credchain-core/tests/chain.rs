//! What a chain does with each answer of its links.

use std::sync::Arc;

use credchain_core::{
    At, Capabilities, Chain, Context, Error, Item, Kind, Link, Memory, Name, Naming, Outcome,
    Provider, Reactions, Reference, Resolution, Result, Secret, async_trait, resolve_batch,
};
use tokio::sync::Notify;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn chain(links: Vec<(&'static str, Arc<Memory>)>) -> Chain {
    let links: Vec<Link> = links
        .into_iter()
        .map(|(name, provider)| Link::new(name, provider as _))
        .collect();
    Chain::new(links)
}

fn outcomes(resolution: &Resolution) -> Vec<(&str, &str)> {
    resolution
        .trace
        .steps
        .iter()
        .map(|s| (s.link.as_str(), s.outcome.as_str()))
        .collect()
}

#[tokio::test]
async fn every_kind_moves_on_or_stops_as_the_table_says() {
    for kind in Kind::ALL {
        let first = Arc::new(Memory::new().failing("k", kind));
        let second = Arc::new(Memory::new().with("k", b"v"));
        let chain = chain(vec![("first", first), ("second", second.clone())]);
        let resolution = chain.resolve(&name("k"), &Context::system()).await;
        match resolution.result {
            Ok(secret) => {
                assert!(kind.is_miss(), "{kind}");
                assert_eq!(secret.meta().link.as_ref().unwrap().as_str(), "second");
            }
            Err(error) => {
                assert!(!kind.is_miss(), "{kind}");
                assert_eq!((error.kind(), second.reads()), (kind, 0));
                assert_eq!(error.link().unwrap().as_str(), "first");
                assert_eq!(error.credential().unwrap().as_str(), "k");
            }
        }
    }
}

#[tokio::test]
async fn an_override_moves_on_after_an_outage_but_never_after_a_denial() {
    let open = Reactions::closed().next_on_unavailable(true);
    let table = [
        (Kind::Unavailable, true),
        (Kind::Throttled, true),
        (Kind::Denied, false),
    ];
    for (kind, moves) in table {
        let first = Link::new("first", Arc::new(Memory::new().failing("k", kind)));
        let second = Link::new("second", Arc::new(Memory::new().with("k", b"v")));
        let chain = Chain::new(vec![first.with_reactions(open), second]);
        let resolution = chain.resolve(&name("k"), &Context::system()).await;
        assert_eq!(resolution.result.is_ok(), moves, "{kind}");
    }
}

#[tokio::test]
async fn only_the_misses_move_on_and_each_provider_is_asked_once() {
    let first = Arc::new(Memory::new().with("a", b"1").with("c", b"3"));
    let second = Arc::new(Memory::new().with("b", b"2").with("d", b"4"));
    let chain = chain(vec![("first", first.clone()), ("second", second.clone())]);
    let names = ["a", "b", "c", "d"].map(name);
    let values: Vec<_> = chain
        .resolve_many(&names, &Context::system())
        .await
        .into_iter()
        .map(|resolution| resolution.result.unwrap().expose().to_vec())
        .collect();
    assert_eq!(values, [b"1", b"2", b"3", b"4"]);
    assert_eq!((first.batches(), first.reads()), (1, 4));
    assert_eq!((second.batches(), second.reads()), (1, 2));
}

#[tokio::test]
async fn a_partial_failure_leaves_the_others_alone() {
    let memory = Memory::new().with("a", b"1").failing("b", Kind::Denied);
    let chain = chain(vec![("only", Arc::new(memory))]);
    let all = chain
        .resolve_many(&["a", "b", "c"].map(name), &Context::system())
        .await;
    let kinds: Vec<_> = all
        .iter()
        .map(|r| r.result.as_ref().err().map(Error::kind))
        .collect();
    assert_eq!(kinds, [None, Some(Kind::Denied), Some(Kind::NotFound)]);
}

#[tokio::test]
async fn equal_places_are_asked_for_once() {
    let memory = Arc::new(Memory::new().with("shared", b"v"));
    let link = [Link::new("only", memory.clone())];
    let at = [("only".parse().unwrap(), At::Here("shared".parse().unwrap()))].into();
    let items = ["a", "b"].map(|n| Item::new(Naming::new(name(n)), &link).at(&at));
    let all = resolve_batch(&items, &Context::system()).await;
    assert!(all.iter().all(|resolution| resolution.result.is_ok()));
    assert_eq!(memory.reads(), 1);
}

#[tokio::test]
async fn an_empty_value_is_unset_in_the_environment_and_a_mistake_elsewhere() {
    let unset = Capabilities::read_only().empty_is_unset();
    let env = Arc::new(Memory::new().with("k", b"").with_capabilities(unset));
    let next = Arc::new(Memory::new().with("k", b"v"));
    let found = chain(vec![("env", env.clone()), ("next", next)])
        .resolve(&name("k"), &Context::system())
        .await;
    assert_eq!(outcomes(&found), [("env", "not_found"), ("next", "hit")]);
    assert_eq!(found.trace.note(), Some("set but empty"));

    let missing = chain(vec![("env", env)])
        .resolve(&name("k"), &Context::system())
        .await;
    let error = missing.result.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::NotFound, "set but empty")
    );

    let stored = chain(vec![("vault", Arc::new(Memory::new().with("k", b"")))]);
    let error = stored
        .resolve(&name("k"), &Context::system())
        .await
        .result
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_default_applies_after_misses_and_never_after_a_stop() {
    let default = Secret::new("587");
    let table = [
        (Kind::NotFound, true),
        (Kind::Denied, false),
        (Kind::Unavailable, false),
    ];
    for (kind, expected) in table {
        let link = [Link::new(
            "only",
            Arc::new(Memory::new().failing("k", kind)),
        )];
        let item = Item::new(Naming::new(name("k")), &link).or(Some(&default));
        let resolution = resolve_batch(&[item], &Context::system()).await.remove(0);
        assert_eq!(resolution.result.is_ok(), expected, "{kind}");
        let defaulted = resolution.trace.steps.last().unwrap().outcome == Outcome::Default;
        assert_eq!(defaulted, expected, "{kind}");
    }
}

#[tokio::test]
async fn an_undeclared_name_is_asked_for_as_written_first() {
    let memory = Memory::new().with("API_KEY", b"as written");
    let link = [Link::new("only", Arc::new(memory))];
    let item = Item::new(Naming::new(name("API_KEY")).undeclared(), &link);
    let resolution = resolve_batch(&[item], &Context::system()).await.remove(0);
    assert_eq!(resolution.result.unwrap().expose(), b"as written");
}

/// Answers only when told to, and tells when it was asked.
#[derive(Debug, Default)]
struct Slow {
    asked: Notify,
    go: Notify,
}

#[async_trait]
impl Provider for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        self.asked.notify_one();
        self.go.notified().await;
        Ok(Secret::new("slow"))
    }
}

#[tokio::test]
async fn different_providers_overlap_in_time() {
    let (one, two) = (Arc::new(Slow::default()), Arc::new(Slow::default()));
    let (first, second) = (
        [Link::new("one", one.clone())],
        [Link::new("two", two.clone())],
    );
    let work = tokio::spawn(async move {
        let items = [
            Item::new(Naming::new(name("a")), &first),
            Item::new(Naming::new(name("b")), &second),
        ];
        resolve_batch(&items, &Context::system()).await
    });
    one.asked.notified().await;
    two.asked.notified().await;
    one.go.notify_one();
    two.go.notify_one();
    assert!(
        work.await
            .unwrap()
            .iter()
            .all(|resolution| resolution.result.is_ok())
    );
}

/// Breaks the contract: answers fewer questions than it was asked.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl Provider for Forgetful {
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
async fn a_provider_that_leaves_questions_open_is_an_internal_error_not_a_mix_up() {
    let chain = Chain::new(vec![Link::new("bad", Arc::new(Forgetful))]);
    let all = chain
        .resolve_many(&["a", "b"].map(name), &Context::system())
        .await;
    assert!(
        all.iter()
            .all(|r| r.result.as_ref().unwrap_err().kind() == Kind::Internal)
    );
}

#[tokio::test]
async fn a_refused_link_is_not_asked_for_this_credential_but_for_others() {
    let memory = Arc::new(Memory::new().with("a", b"1").with("b", b"2"));
    let link = [Link::new("only", memory.clone())];
    let refusal = Error::new(Kind::Untrusted, "not for this one");
    let refused = [("only".parse().unwrap(), refusal)].into();
    let items = [
        Item::new(Naming::new(name("a")), &link).refusing(&refused),
        Item::new(Naming::new(name("b")), &link),
    ];
    let all = resolve_batch(&items, &Context::system()).await;
    assert_eq!(all[0].result.as_ref().unwrap_err().kind(), Kind::Untrusted);
    assert_eq!(all[1].result.as_ref().unwrap().expose(), b"2");
    assert_eq!(memory.reads(), 1);
}

#[tokio::test]
async fn what_was_moved_past_is_told_when_no_later_link_has_the_value() {
    let open = Reactions::closed()
        .next_on_unavailable(true)
        .next_on_unauthenticated(true);
    for kind in [Kind::Unavailable, Kind::Throttled, Kind::Unauthenticated] {
        let first = Memory::new().failing("k", kind);
        let links = vec![
            Link::new("first", Arc::new(first) as _).with_reactions(open),
            Link::new("second", Arc::new(Memory::new()) as _),
        ];
        let default = Secret::new("default");
        let item = Item::new(Naming::new(name("k")), &links).or(Some(&default));
        let resolution = resolve_batch(&[item], &Context::system()).await.remove(0);
        let error = resolution.result.unwrap_err();
        assert_eq!(error.kind(), kind, "neither a miss nor the default");
        assert_eq!(error.link().unwrap().as_str(), "first");
    }
}
