//! Every grant against a real authorization server, the certified `oidc-provider`. It needs Node
//! and npm.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credchain_core::{Context, Kind, ManualClock, Result};
use credchain_oauth2::{
    Authentication, Client, Endpoints, Grant, LoggedOut, Show, Signing, Step, Store, TokenSource,
};
use credchain_tests::servers::OidcProvider;

use crate::support::{Credentials, client_secret, credentials, directory, name, text};

fn service(server: &OidcProvider, id: &str, authentication: Authentication) -> Client {
    Client::new(name("crm"), Endpoints::issuer(server.url()), id)
        .authentication(authentication)
        .scopes(["api:read"])
}

fn person_client(server: &OidcProvider, grant: Grant) -> Client {
    Client::new(name("crm"), Endpoints::issuer(server.url()), "cli")
        .grant(grant)
        .scopes(["openid", "offline_access", "api:read"])
        .parameter("prompt", "consent")
}

#[tokio::test]
async fn a_client_with_a_secret_or_a_key_gets_a_token() {
    let server = OidcProvider::start(3600);
    let keys = Credentials::default()
        .with("client_secret", client_secret())
        .with("client_key", server.client_key())
        .shared();
    let key = Signing::new(name("client_key")).with_key_id("c1");
    for (id, authentication) in [
        ("svc-basic", Authentication::Basic(name("client_secret"))),
        ("svc-post", Authentication::Post(name("client_secret"))),
        ("svc-jwt", Authentication::PrivateKey(key)),
    ] {
        let client = service(&server, id, authentication);
        let source = TokenSource::new(client, keys.clone(), Store::memory()).unwrap();
        let token = source.token(&Context::system()).await.unwrap();
        assert_eq!(token.scopes(), ["api:read"], "{id}");
    }
}

#[tokio::test]
async fn a_client_that_the_server_does_not_know_is_unauthenticated() {
    let server = OidcProvider::start(3600);
    let wrong = Credentials::default()
        .with("client_secret", "wrong")
        .shared();
    let client = service(
        &server,
        "svc-basic",
        Authentication::Basic(name("client_secret")),
    );
    let source = TokenSource::new(client, wrong, Store::memory()).unwrap();
    let error = source.token(&Context::system()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn the_issuer_has_to_be_the_very_same() {
    let server = OidcProvider::start(3600);
    let issuer = Endpoints::issuer(format!("{}/", server.url()));
    let client = Client::new(name("crm"), issuer, "svc-post")
        .authentication(Authentication::Post(name("client_secret")));
    let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
    let error = source.token(&Context::system()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[derive(Debug)]
struct Person(Mutex<Sender<Step>>);

impl Show for Person {
    fn show(&self, step: &Step) -> Result<()> {
        self.0.lock().unwrap().send(step.clone()).unwrap();
        Ok(())
    }
}

/// Logs in, and does what `person` does with what is shown.
async fn log_in<F: Future<Output = ()>>(
    source: &TokenSource,
    cx: &Context,
    person: impl FnOnce(Step) -> F,
) -> Result<String> {
    let (sender, steps) = channel();
    let show = Arc::new(Person(Mutex::new(sender)));
    let login = tokio::spawn({
        let (source, cx) = (source.clone(), cx.clone());
        async move { source.log_in(show, &cx).await }
    });
    let step = tokio::task::spawn_blocking(move || steps.recv().unwrap());
    person(step.await.unwrap()).await;
    login.await.unwrap().map(|token| text(&token))
}

#[tokio::test]
async fn a_person_logs_in_on_another_device_or_refuses() {
    let server = OidcProvider::start(3600);
    for (deny, kind) in [(false, None), (true, Some(Kind::Denied))] {
        let client = person_client(&server, Grant::DeviceCode);
        let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
        let clock = ManualClock::new();
        let cx = Context::system().with_clock(clock.clock());
        let answer = log_in(&source, &cx, async |step| {
            let Step::Device { code, .. } = step else {
                panic!("a device");
            };
            server.enter_code(&code, deny);
            while clock.sleepers() < 2 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(5));
        });
        assert_eq!(answer.await.err().map(|error| error.kind()), kind);
    }
}

#[tokio::test]
async fn a_login_in_a_browser_lasts_while_its_refresh_tokens_are_replaced() {
    let server = OidcProvider::start(3600);
    let home = tempfile::tempdir().unwrap();
    let cx = Context::system();
    let client = person_client(&server, Grant::AuthorizationCode);
    let new = || TokenSource::new(client.clone(), credentials(), directory(&home)).unwrap();
    let program = new();
    let first = log_in(&program, &cx, async |step| {
        let Step::Browser { url, .. } = step else {
            panic!("a browser");
        };
        server.log_in(&url);
    });
    let mut seen = vec![first.await.unwrap()];
    for _ in 0..4 {
        // Each time another program, which knows what is on the disk only.
        let source = new();
        let kept = source.token(&cx).await.unwrap();
        assert_eq!(Some(&text(&kept)), seen.last());
        assert!(source.invalidate(kept.generation(), &cx));
        let next = text(&source.token(&cx).await.unwrap());
        assert!(!seen.contains(&next));
        seen.push(next);
    }
    let ended = new().log_out(&cx).await.unwrap();
    assert!(matches!(ended, LoggedOut::Revoked), "{ended:?}");
    assert_eq!(
        new().token(&cx).await.unwrap_err().kind(),
        Kind::Unauthenticated
    );
}
