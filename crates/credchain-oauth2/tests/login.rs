//! A person logs in, on another device or in a browser; the servers here are fakes.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use credchain_core::{Context, Kind, ManualClock, Result};
use credchain_oauth2::{
    Authentication, Client, Endpoints, Grant, LoggedOut, Show, Step, Store, Token, TokenSource,
};
use credchain_tests::faults::{FakeHttp, Reply, Request};
use serde_json::{Value, json};

use crate::support::{access_token, credentials, field, granted, name, refusal, text};

/// Somebody who sees what is shown.
#[derive(Debug)]
struct Person(Mutex<Sender<Step>>);

impl Show for Person {
    fn show(&self, step: &Step) -> Result<()> {
        self.0.lock().unwrap().send(step.clone()).unwrap();
        Ok(())
    }
}

fn person() -> (Arc<Person>, Receiver<Step>) {
    let (sender, steps) = channel();
    (Arc::new(Person(Mutex::new(sender))), steps)
}

fn client(url: &str, grant: Grant) -> Client {
    let endpoints = Endpoints::token(format!("{url}/token"))
        .with_device(format!("{url}/device"))
        .with_authorization(format!("{url}/authorize?tenant=7"))
        .with_revocation(format!("{url}/revoke"));
    Client::new(name("crm"), endpoints, "cli")
        .authentication(Authentication::None)
        .grant(grant)
        .scopes(["read"])
}

fn source(client: Client) -> TokenSource {
    TokenSource::new(client, credentials(), Store::memory()).unwrap()
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

fn with_refresh(n: usize) -> Value {
    let mut body = granted(n, 3600);
    body["refresh_token"] = json!(format!("refresh-{n}"));
    body
}

fn begun() -> Value {
    json!({
        "device_code": "device", "user_code": "AB\u{1b}[2J-CD", "verification_uri": "https://as/device",
        "verification_uri_complete": "javascript:alert(1)", "expires_in": 600,
    })
}

/// Answers the polls with these, one after the other.
fn device_server(replies: Vec<Reply>) -> FakeHttp {
    let count = AtomicUsize::new(0);
    FakeHttp::start(move |request| match &*request.path {
        "/device" => Reply::json(200, &begun()),
        "/token" => replies[count.fetch_add(1, Ordering::SeqCst)].clone(),
        _ => Reply::json(200, "{}"),
    })
}

fn polls(server: &FakeHttp) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| request.path == "/token")
        .count()
}

#[tokio::test]
async fn a_person_logs_in_on_another_device_and_is_asked_for_no_faster_than_the_server_likes() {
    let server = device_server(vec![
        refusal(400, "authorization_pending"),
        refusal(400, "slow_down"),
        refusal(400, "slow_down"),
        Reply::json(200, &with_refresh(1)),
    ]);
    let clock = ManualClock::new();
    let cx = Context::system().with_clock(clock.clock());
    let source = source(client(&server.url(), Grant::DeviceCode));
    let (show, steps) = person();
    let login = tokio::spawn({
        let (source, cx) = (source.clone(), cx.clone());
        async move { source.log_in(show, &cx).await }
    });
    for (n, gap) in [5, 5, 10, 15].into_iter().enumerate() {
        // One sleeps until the next poll, the other until the end of all patience.
        until(|| clock.sleepers() == 2 && polls(&server) == n).await;
        clock.advance(Duration::from_secs(gap));
        until(|| polls(&server) == n + 1).await;
    }
    assert_eq!(text(&login.await.unwrap().unwrap()), access_token(1));
    let Step::Device {
        url,
        code,
        complete,
        left,
        ..
    } = steps.recv().unwrap()
    else {
        panic!("a device");
    };
    assert_eq!(url, "https://as/device");
    assert_eq!(code, "AB\\u{1b}[2J-CD", "nothing that a terminal obeys");
    assert_eq!((complete, left), (None, Duration::from_mins(10)));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    let status = source.status(&cx).await.unwrap();
    assert!(status.expires.is_some() && !status.needs_login);
    for request in server.requests() {
        assert_eq!(field(&request, "client_id").unwrap(), "cli");
    }
}

#[tokio::test]
async fn a_person_who_says_no_is_believed() {
    for (code, kind) in [
        ("access_denied", Kind::Denied),
        ("expired_token", Kind::Unauthenticated),
    ] {
        let server = device_server(vec![refusal(400, code)]);
        let clock = ManualClock::new();
        let cx = Context::system().with_clock(clock.clock());
        let source = source(client(&server.url(), Grant::DeviceCode));
        let (show, _steps) = person();
        let login = tokio::spawn(async move { source.log_in(show, &cx).await });
        until(|| clock.sleepers() == 2).await;
        clock.advance(Duration::from_secs(5));
        let error = login.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_login_that_nobody_finishes_ends() {
    let server = device_server(Vec::new());
    let clock = ManualClock::new();
    let cx = Context::system()
        .with_clock(clock.clock())
        .with_timeout(Duration::from_secs(3));
    let source = source(client(&server.url(), Grant::DeviceCode));
    let (show, _steps) = person();
    let login = tokio::spawn(async move { source.log_in(show, &cx).await });
    until(|| clock.sleepers() == 2).await;
    clock.advance(Duration::from_secs(3));
    let error = login.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(polls(&server), 0);
}

#[tokio::test]
async fn without_a_login_there_is_no_token_and_the_error_says_how_to_get_one() {
    let server = device_server(Vec::new());
    let source = source(client(&server.url(), Grant::DeviceCode));
    let cx = Context::system();
    let error = source.token(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(error.hint(), Some("`resolve login crm`"));
    assert!(source.status(&cx).await.unwrap().needs_login);
    assert_eq!(
        source.log_out(&cx).await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert_eq!(server.count(), 0);
}

/// What the browser was sent to.
struct Sent {
    redirect: String,
    state: String,
    challenge: String,
}

fn sent(step: &Step) -> Sent {
    let Step::Browser { url, .. } = step else {
        panic!("a browser");
    };
    let url = reqwest::Url::parse(url).unwrap();
    let part = |key: &str| {
        let found = url.query_pairs().find(|(name, _)| name == key);
        found.unwrap_or_else(|| panic!("no {key}")).1.into_owned()
    };
    assert_eq!((&*part("tenant"), &*part("response_type")), ("7", "code"));
    assert_eq!((&*part("scope"), &*part("client_id")), ("read", "cli"));
    assert_eq!(part("code_challenge_method"), "S256");
    Sent {
        redirect: part("redirect_uri"),
        state: part("state"),
        challenge: part("code_challenge"),
    }
}

async fn open(url: String) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(url).send().await.unwrap().status().as_u16()
}

async fn next(steps: Receiver<Step>) -> Step {
    let step = tokio::task::spawn_blocking(move || steps.recv().unwrap());
    step.await.unwrap()
}

fn code_request(server: &FakeHttp) -> Request {
    server.requests().pop().unwrap()
}

#[tokio::test]
async fn a_person_logs_in_with_a_browser_and_only_the_right_answer_counts() {
    use base64::Engine as _;
    let server = FakeHttp::start(|_| Reply::json(200, &with_refresh(1)));
    let source = source(client(&server.url(), Grant::AuthorizationCode));
    let (show, steps) = person();
    let login = tokio::spawn({
        let source = source.clone();
        async move { source.log_in(show, &Context::system()).await }
    });
    let Sent {
        redirect,
        state,
        challenge,
    } = sent(&next(steps).await);
    assert_eq!(
        open(format!("{redirect}?code=forged&state=guess")).await,
        404
    );
    assert_eq!(open(format!("{redirect}?code=forged")).await, 404);
    assert_eq!(open(redirect.replace("callback", "favicon.ico")).await, 404);
    assert_eq!(server.count(), 0);
    assert_eq!(
        open(format!("{redirect}?code=right&state={state}")).await,
        200
    );
    assert_eq!(text(&login.await.unwrap().unwrap()), access_token(1));
    let request = code_request(&server);
    assert_eq!(field(&request, "grant_type").unwrap(), "authorization_code");
    assert_eq!(field(&request, "code").unwrap(), "right");
    assert_eq!(field(&request, "redirect_uri").unwrap(), redirect);
    let verifier = field(&request, "code_verifier").unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let expected = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    assert_eq!((challenge, verifier.len()), (expected, 43));
}

/// What comes of a login in which the browser is sent back with this answer.
async fn answered(source: &TokenSource, answer: &str) -> Result<Token> {
    let (show, steps) = person();
    let login = tokio::spawn({
        let source = source.clone();
        async move { source.log_in(show, &Context::system()).await }
    });
    let Sent {
        redirect, state, ..
    } = sent(&next(steps).await);
    open(format!("{redirect}?{answer}&state={state}")).await;
    login.await.unwrap()
}

#[tokio::test]
async fn a_browser_that_brings_an_error_ends_the_login() {
    let server = FakeHttp::start(|_| Reply::json(200, &granted(1, 3600)));
    let source = source(client(&server.url(), Grant::AuthorizationCode));
    let error = answered(&source, "error=access_denied").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_code_is_sent_once() {
    let server = FakeHttp::start(|_| Reply::json(500, "{}"));
    let source = source(client(&server.url(), Grant::AuthorizationCode));
    let error = answered(&source, "code=right").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_login_is_given_up_at_the_server_and_here_even_if_the_server_is_out() {
    for (status, expected) in [(200, "Revoked"), (503, "NotRevoked")] {
        let server = FakeHttp::start(move |request| match &*request.path {
            "/revoke" => Reply::Answer(status, Vec::new(), Vec::new()),
            _ => Reply::json(200, &with_refresh(1)),
        });
        let source = source(client(&server.url(), Grant::AuthorizationCode));
        answered(&source, "code=right").await.unwrap();
        let cx = Context::system();
        let ended = source.log_out(&cx).await.unwrap();
        assert!(format!("{ended:?}").starts_with(expected));
        if let LoggedOut::NotRevoked(error) = &ended {
            assert_eq!(error.kind(), Kind::Unavailable);
        }
        let revoked = server
            .requests()
            .into_iter()
            .find(|request| request.path == "/revoke");
        assert_eq!(field(&revoked.unwrap(), "token").unwrap(), "refresh-1");
        let error = source.token(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_in_at_the_same_time_waits_for_the_one_login() {
    let server = FakeHttp::start(|_| Reply::json(200, &with_refresh(1)));
    let store = Store::memory();
    let client = client(&server.url(), Grant::AuthorizationCode);
    let (show, steps) = person();
    let logins: Vec<_> = (0..3)
        .map(|_| {
            let source = TokenSource::new(client.clone(), credentials(), store.clone()).unwrap();
            let show = show.clone();
            tokio::spawn(async move { source.log_in(show, &Context::system()).await })
        })
        .collect();
    drop(show);
    let step = steps.recv().unwrap();
    let Sent {
        redirect, state, ..
    } = sent(&step);
    assert_eq!(
        open(format!("{redirect}?code=right&state={state}")).await,
        200
    );
    for login in logins {
        assert_eq!(text(&login.await.unwrap().unwrap()), access_token(1));
    }
    assert_eq!(steps.iter().count(), 0, "nobody else was asked");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn logins_of_several_programs_do_not_want_the_same_port() {
    let server = FakeHttp::start(|_| Reply::json(200, &with_refresh(1)));
    let mut seen = std::collections::BTreeSet::new();
    let mut running = Vec::new();
    for _ in 0..3 {
        let source = source(client(&server.url(), Grant::AuthorizationCode));
        let (show, steps) = person();
        running.push(tokio::spawn(async move {
            source.log_in(show, &Context::system()).await
        }));
        seen.insert(sent(&next(steps).await).redirect);
    }
    assert_eq!(seen.len(), 3);
    running.iter().for_each(tokio::task::JoinHandle::abort);
}
