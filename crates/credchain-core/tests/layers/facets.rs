//! The layers hold for leases and version histories as well.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use credchain_core::layers::{
    Cache, CacheSettings, Flight, Guard, RateLimit, RateLimitSettings, Retry, RetrySettings,
    Timeout,
};
use credchain_core::{
    Capabilities, Context, Error, Kind, Lease, Leased, Provider, Reference, Result, Secret,
    Version, VersionState, Versioned, async_trait,
};

use crate::support::{MINUTE, SECOND, Say, act, all, at, settle, until, world};

/// A backend with leases and versions. Every request but `get` does the next thing it is told.
#[derive(Default)]
struct Faceted {
    script: Mutex<Vec<Say>>,
    asked: Mutex<Vec<&'static str>>,
}

impl Faceted {
    fn told(script: impl IntoIterator<Item = Say>) -> Arc<Self> {
        let mut script: Vec<_> = script.into_iter().collect();
        script.reverse();
        Arc::new(Self {
            script: Mutex::new(script),
            asked: Mutex::default(),
        })
    }

    async fn act(&self, what: &'static str) -> Result<()> {
        self.asked.lock().unwrap().push(what);
        let say = self.script.lock().unwrap().pop();
        match say {
            Some(say) => act(say).await.map(drop),
            None => Ok(()),
        }
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }
}

impl std::fmt::Debug for Faceted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faceted")
    }
}

#[async_trait]
impl Provider for Faceted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        let lease = reference.path().to_owned();
        Ok(Secret::new("v").with_meta(|meta| meta.lease = Some(lease)))
    }

    fn as_leased(&self) -> Option<&dyn Leased> {
        Some(self)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        Some(self)
    }
}

#[async_trait]
impl Leased for Faceted {
    async fn renew(&self, lease: &str, increment: Duration, _: &Context) -> Result<Lease> {
        self.act("renew")
            .await
            .map(|()| Lease::new(lease, increment, true))
    }

    async fn revoke(&self, _: &str, _: &Context) -> Result<()> {
        self.act("revoke").await
    }
}

#[async_trait]
impl Versioned for Faceted {
    async fn versions(&self, _: &Reference, _: &Context) -> Result<Vec<VersionState>> {
        self.act("versions").await.map(|()| Vec::new())
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        self.act("stage").await
    }

    async fn disable(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        self.act("disable").await
    }

    async fn destroy(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        self.act("destroy").await
    }
}

const REQUESTS: [&str; 6] = ["renew", "revoke", "versions", "stage", "disable", "destroy"];

async fn ask(what: &str, provider: &dyn Provider, cx: &Context) -> Result<()> {
    let (leased, versioned) = (
        provider.as_leased().unwrap(),
        provider.as_versioned().unwrap(),
    );
    let (doc, version) = (at("doc"), Version::number(1));
    match what {
        "renew" => leased.renew("doc", SECOND, cx).await.map(drop),
        "revoke" => leased.revoke("doc", cx).await,
        "versions" => versioned.versions(&doc, cx).await.map(drop),
        "stage" => versioned.stage(&doc, &version, "current", cx).await,
        "disable" => versioned.disable(&doc, &version, cx).await,
        "destroy" => versioned.destroy(&doc, &version, cx).await,
        other => panic!("no such request: {other}"),
    }
}

#[tokio::test]
async fn a_panic_in_a_facet_is_an_internal_error() {
    let (_, cx) = world();
    for request in REQUESTS {
        let guard = Guard::new(Faceted::told([Say::Panic]));
        assert_eq!(
            ask(request, &guard, &cx).await.unwrap_err().kind(),
            Kind::Internal
        );
    }
}

#[tokio::test]
async fn a_facet_that_takes_too_long_is_unavailable() {
    for request in REQUESTS {
        let (clock, cx) = world();
        let timeout = Timeout::new(Faceted::told([Say::Hang]), SECOND);
        let asking = tokio::spawn(async move { ask(request, &timeout, &cx).await });
        until(|| clock.sleepers() == 1).await;
        clock.advance(SECOND);
        assert_eq!(
            asking.await.unwrap().unwrap_err().kind(),
            Kind::Unavailable,
            "{request}"
        );
    }
}

#[tokio::test]
async fn requests_to_a_facet_count_for_the_rate_limit() {
    let (clock, cx) = world();
    let faceted = Faceted::told([]);
    let rate = RateLimitSettings::new(std::num::NonZeroU32::MIN);
    let limit = Arc::new(RateLimit::new(faceted.clone(), rate));
    limit.get(&at("doc"), &cx).await.unwrap();
    let asking = tokio::spawn(async move { ask("renew", &*limit, &cx).await });
    settle().await;
    assert!(faceted.asked().is_empty());
    clock.advance(SECOND);
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_changes_something_for_good_is_not_repeated() {
    let (_, cx) = world();
    let cx = cx.with_jitter(0.0);
    for request in REQUESTS {
        let lost = Say::Fail(Error::new(Kind::Unavailable, "lost"));
        let faceted = Faceted::told([lost]);
        let retry = Retry::new(faceted.clone(), RetrySettings::default());
        let repeated = ask(request, &retry, &cx).await.is_ok();
        assert_eq!(
            repeated,
            matches!(request, "renew" | "versions"),
            "{request}"
        );
        assert_eq!(
            faceted.asked().len(),
            if repeated { 2 } else { 1 },
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_value_whose_lease_or_version_was_changed_is_forgotten() {
    let (_, cx) = world();
    for request in REQUESTS {
        let cache = Cache::new(Faceted::told([]), CacheSettings::new(MINUTE));
        let both = all(&["doc#field", "other"]);
        cache.get_many(&both, &cx).await;
        ask(request, &cache, &cx).await.unwrap();
        let answers = cache.get_many(&both, &cx).await;
        let cached: Vec<_> = answers
            .iter()
            .map(|a| a.as_ref().unwrap().meta().cached)
            .collect();
        let kept = matches!(request, "renew" | "versions");
        assert_eq!(cached, [kept, true], "{request}");
    }
}

#[tokio::test]
async fn a_lost_login_at_a_facet_purges_everything() {
    let (_, cx) = world();
    for request in REQUESTS {
        let lost = Say::Fail(Error::new(Kind::Unauthenticated, "log in"));
        let cache = Cache::new(Faceted::told([lost]), CacheSettings::new(MINUTE));
        cache.get(&at("other"), &cx).await.unwrap();
        assert!(ask(request, &cache, &cx).await.is_err());
        assert!(
            !cache.get(&at("other"), &cx).await.unwrap().meta().cached,
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_facet_asked_behind_its_back_is_unsupported() {
    let (_, cx) = world();
    let flight = Flight::new(crate::support::Scripted::new());
    assert!(flight.as_leased().is_none());
    let error = Leased::revoke(&flight, "lease", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let error = Versioned::versions(&flight, &at("doc"), &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}
