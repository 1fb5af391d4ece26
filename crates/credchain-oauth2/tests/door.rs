//! Tokens on their way to an API, and what happens when it refuses one.

#![cfg(feature = "middleware")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::{Context, Kind, ManualClock};
use credchain_oauth2::{AuthorizationHeader, Store, TokenSource};
use credchain_tests::faults::{Authority, Certificate, FakeHttp, Reply, Request};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::support::{access_token, client, credentials, granting};

fn source(server: &FakeHttp) -> TokenSource {
    TokenSource::new(client(&server.url()), credentials(), Store::memory()).unwrap()
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn web(source: TokenSource, api: &str) -> ClientWithMiddleware {
    let header = AuthorizationHeader::new(source, api).unwrap();
    ClientBuilder::new(http()).with(header).build()
}

/// Which of the fake server's tokens a request carries; 0 for none.
fn token_of(request: &Request) -> usize {
    let header = request.header("authorization");
    let number = |n: &usize| header == Some(&*format!("Bearer {}", access_token(*n)));
    (1..10).find(number).unwrap_or(0)
}

/// An API that takes tokens from this one on.
fn api(from: usize) -> FakeHttp {
    FakeHttp::start(move |request| match token_of(request) {
        n if n >= from => Reply::json(200, "{}"),
        _ => Reply::json(401, "{}").header("www-authenticate", "Bearer error=\"invalid_token\""),
    })
}

fn tokens(api: &FakeHttp) -> Vec<usize> {
    api.requests().iter().map(token_of).collect()
}

#[tokio::test]
async fn a_request_carries_the_token_and_is_sent_again_with_another_after_a_401() {
    let (server, api) = (granting(3600), api(2));
    let web = web(source(&server), &api.url());
    let answer = web.get(format!("{}/items", api.url())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let answer = web.get(format!("{}/more", api.url())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(tokens(&api), [1, 2, 2]);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_401_without_a_reason_counts_and_a_second_one_is_the_answer() {
    let server = granting(3600);
    let api = FakeHttp::start(|_| Reply::json(401, "{}"));
    let web = web(source(&server), &api.url());
    for _ in 0..2 {
        let answer = web.get(api.url()).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    // One was replaced; half a minute must pass before the next one is.
    assert_eq!(tokens(&api), [1, 2, 2]);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_another_token_cannot_mend_is_not_tried_again() {
    for (status, challenge) in [
        (403, "Bearer error=\"insufficient_scope\""),
        (401, "Bearer error=\"insufficient_scope\""),
        (401, "Basic realm=\"x\""),
        (407, "Bearer error=\"invalid_token\""),
        (500, "Bearer error=\"invalid_token\""),
    ] {
        let server = granting(3600);
        let api = FakeHttp::start(move |_| {
            Reply::json(status, "{}").header("www-authenticate", challenge)
        });
        let web = web(source(&server), &api.url());
        let answer = web.get(api.url()).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(tokens(&api), [1], "{status} {challenge}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_are_refused_at_once_there_is_one_exchange() {
    let server = granting(3600);
    let old = Arc::new(AtomicUsize::new(0));
    let seen = old.clone();
    let api = FakeHttp::start(move |request| {
        if token_of(request) > 1 {
            return Reply::json(200, "{}");
        }
        seen.fetch_add(1, Ordering::SeqCst);
        // All are on their way before the first one is refused.
        while seen.load(Ordering::SeqCst) < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        Reply::json(401, "{}")
    });
    let web = web(source(&server), &api.url());
    let calls = (0..20).map(|_| {
        let (web, url) = (web.clone(), api.url());
        tokio::spawn(async move { web.get(url).send().await.unwrap().status() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(old.load(Ordering::SeqCst), 20);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_body_in_memory_is_sent_again_and_a_stream_is_not() {
    let (server, api) = (granting(3600), api(2));
    let web = web(source(&server), &api.url());
    let answer = web.post(api.url()).body("whole").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let bodies: Vec<_> = api.requests().iter().map(|r| r.body.clone()).collect();
    assert_eq!(bodies, [b"whole", b"whole"]);

    let (server, api) = (granting(3600), self::api(2));
    let web = self::web(source(&server), &api.url());
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("piece")]);
    let request = web.post(api.url()).body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(request.send().await.unwrap().status(), 401);
    let posts = api.requests();
    let posts = posts.iter().filter(|request| request.method == "POST");
    assert_eq!(posts.map(token_of).collect::<Vec<_>>(), [1]);
    let answer = web.get(api.url()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the next request has another token");
}

#[tokio::test]
async fn nobody_but_the_api_gets_the_token() {
    let (server, api, other) = (granting(3600), api(1), api(0));
    let web = web(source(&server), &api.url());
    web.get(other.url()).send().await.unwrap();
    assert_eq!(tokens(&other), [0], "another port is another origin");
    assert_eq!(server.requests().len(), 0, "no token is needed for it");

    let elsewhere = other.url();
    let api = FakeHttp::start(move |_| Reply::json(307, "{}").header("location", &elsewhere));
    let web = self::web(source(&server), &api.url());
    let answer = web.get(api.url()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(tokens(&other), [0, 0], "neither does whom it points to");

    let refusing = FakeHttp::start(|_| Reply::json(401, "{}"));
    let elsewhere = refusing.url();
    let api = FakeHttp::start(move |_| Reply::json(302, "{}").header("location", &elsewhere));
    let web = self::web(source(&server), &api.url());
    let answer = web.get(api.url()).send().await.unwrap();
    assert_eq!(answer.status(), 401, "which says nothing of the token");
    assert_eq!(tokens(&refusing), [0]);
}

#[tokio::test]
async fn a_header_of_the_callers_own_stays() {
    let (server, api) = (granting(3600), api(0));
    let web = web(source(&server), &api.url());
    let request = web.get(api.url()).header("authorization", "Basic eDp5");
    request.send().await.unwrap();
    assert_eq!(
        api.requests()[0].header("authorization"),
        Some("Basic eDp5")
    );
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn an_api_in_clear_is_on_this_machine_or_none() {
    let server = granting(3600);
    for api in [
        "http://api.example.com",
        "ftp://api.example.com",
        "",
        "https://",
    ] {
        let error = AuthorizationHeader::new(source(&server), api).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{api}");
    }
    let header = AuthorizationHeader::new(source(&server), "https://api.example.com/v1").unwrap();
    let header = header.also_for("https://eu.example.com:8443").unwrap();
    for url in [
        "https://api.example.com/items?x=1",
        "https://API.example.com:443/",
        "https://eu.example.com:8443",
    ] {
        assert!(header.is_for(url), "{url}");
    }
    for url in [
        "http://api.example.com/items",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.net/",
        "https://evil.net/?https://api.example.com",
        "https://api.example.com@evil.net/",
        "nonsense",
    ] {
        assert!(!header.is_for(url), "{url}");
    }
}

#[tokio::test]
async fn a_redirection_to_plain_http_takes_no_token_along() {
    let authority = Authority::new();
    let (server, plain) = (granting(3600), api(0));
    let elsewhere = plain.url();
    let api = FakeHttp::start_tls(&authority, Certificate::Right, move |_| {
        Reply::json(302, "{}").header("location", &elsewhere)
    });
    let certificate =
        reqwest::Certificate::from_pem(&std::fs::read(authority.pem()).unwrap()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([certificate])
        .build()
        .unwrap();
    let header = AuthorizationHeader::new(source(&server), &api.url()).unwrap();
    let web = ClientBuilder::new(http).with(header).build();
    web.get(api.url()).send().await.unwrap();
    assert_eq!(tokens(&api), [1]);
    assert_eq!(tokens(&plain), [0]);
}

#[tokio::test]
async fn a_header_is_shown_to_nobody_and_can_be_used_without_the_middleware() {
    let server = granting(3600);
    let manual = ManualClock::new();
    let cx = Context::system().with_clock(manual.clock());
    let header = AuthorizationHeader::new(source(&server), "https://api.example.com").unwrap();
    let first = header.value(&cx).await.unwrap();
    assert!(first.value().is_sensitive());
    assert!(!format!("{first:?} {header:?}").contains("access-"));
    assert!(!header.is_refused(&first, 403, [], &cx));
    assert!(header.is_refused(&first, 401, [], &cx));
    let second = header.value(&cx).await.unwrap();
    assert_ne!(first.value(), second.value());
    assert!(!header.is_refused(&second, 401, [], &cx), "it is too new");
    manual.advance(Duration::from_secs(31));
    assert!(header.is_refused(&second, 401, [], &cx));
    assert_eq!(server.requests().len(), 2);
}
