//! One token, one request, never expired.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::{Context, Kind, ManualClock};
use credchain_oauth2::{Authentication, Client, Grant, Store, TokenSource};
use credchain_tests::faults::{FakeHttp, Gate, Reply};
use serde_json::json;

use crate::support::{
    access_token, client, client_secret, credentials, directory, field, granted, granting, name,
    refusal, text,
};

const MINUTE: Duration = Duration::from_mins(1);

fn source(client: Client, store: Store) -> TokenSource {
    TokenSource::new(client, credentials(), store).unwrap()
}

/// A clock that stands still until it is moved, and no pauses.
fn standing() -> (Arc<ManualClock>, Context) {
    let manual = ManualClock::new();
    let cx = Context::system()
        .with_clock(manual.clock())
        .with_jitter(0.0);
    (manual, cx)
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_gets_a_token_for_itself_and_uses_it_again() {
    let server = granting(3600);
    let client = client(&server.url()).scopes(["read", "write"]);
    let source = source(
        client.audience("api").parameter("tenant", "7"),
        Store::memory(),
    );
    let cx = Context::system();
    let token = source.token(&cx).await.unwrap();
    assert_eq!(text(&token), access_token(1));
    let header = token.authorization();
    assert_eq!(
        header.expose_text().unwrap(),
        format!("Bearer {}", access_token(1))
    );
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    let [request] = &server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!((&*request.method, &*request.path), ("POST", "/token"));
    for (key, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "etl"),
        ("client_secret", &client_secret()),
        ("scope", "read write"),
        ("audience", "api"),
        ("tenant", "7"),
    ] {
        assert_eq!(field(request, key).as_deref(), Some(value), "{key}");
    }
    assert!(request.header("authorization").is_none());
}

#[tokio::test]
async fn a_client_says_who_it_is_in_one_way_only() {
    let server = granting(3600);
    let basic = client(&server.url()).authentication(Authentication::Basic(name("client_secret")));
    source(basic, Store::memory())
        .token(&Context::system())
        .await
        .unwrap();
    let request = server.requests().pop().unwrap();
    assert!(
        request
            .header("authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    assert!(field(&request, "client_id").is_none() && field(&request, "client_secret").is_none());
}

#[tokio::test]
async fn a_token_is_replaced_a_minute_before_its_end() {
    let (clock, cx) = standing();
    let server = granting("3600");
    let source = source(client(&server.url()), Store::memory());
    source.token(&cx).await.unwrap();
    clock.advance(58 * MINUTE + Duration::from_secs(59));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    clock.advance(Duration::from_secs(1));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(2));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_without_a_lifetime_lives_an_hour_and_one_without_any_is_not_kept() {
    for (expires_in, requests) in [(json!(null), 1), (json!(0), 2)] {
        let (_clock, cx) = standing();
        let server = granting(expires_in);
        let source = source(client(&server.url()), Store::memory());
        source.token(&cx).await.unwrap();
        source.token(&cx).await.unwrap();
        assert_eq!(server.count(), requests);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_make_one_request() {
    let server = granting(3600);
    let source = source(client(&server.url()), Store::memory());
    let tasks = (0..10_000).map(|_| {
        let source = source.clone();
        tokio::spawn(async move { source.token(&Context::system()).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(text(&task.await.unwrap().unwrap()), access_token(1));
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn whoever_gives_up_waiting_ends_nobodys_request() {
    let gate = Gate::default();
    let gated = gate.clone();
    let server = FakeHttp::start(move |_| {
        gated.pass();
        Reply::json(200, &granted(1, 3600))
    });
    let source = source(client(&server.url()), Store::memory());
    let first = tokio::spawn({
        let source = source.clone();
        async move { source.token(&Context::system()).await }
    });
    until(|| server.count() == 1).await;
    let second = tokio::spawn({
        let source = source.clone();
        async move { source.token(&Context::system()).await }
    });
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let late = Context::system().with_timeout(Duration::ZERO);
    assert_eq!(
        source.token(&late).await.unwrap_err().kind(),
        Kind::Unavailable
    );
    gate.open();
    assert_eq!(text(&second.await.unwrap().unwrap()), access_token(1));
    assert_eq!(server.count(), 1);
}

#[test]
fn a_request_outlives_the_runtime_that_it_was_made_on() {
    let gate = Gate::default();
    let gated = gate.clone();
    let server = FakeHttp::start(move |_| {
        gated.pass();
        Reply::json(200, &granted(1, 3600))
    });
    let source = source(client(&server.url()), Store::memory());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    first.block_on(async {
        let asked = source.clone();
        tokio::spawn(async move { asked.token(&Context::system()).await });
        until(|| server.count() == 1).await;
    });
    drop(first);
    gate.open();
    let token = runtime().block_on(source.token(&Context::system()));
    assert_eq!(text(&token.unwrap()), access_token(1));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_the_next_one_survives_the_program() {
    let server = FakeHttp::start(|request| {
        let sent = field(request, "refresh_token").unwrap();
        let n = match &*sent {
            "first-refresh" => 1,
            "refresh-1" => 2,
            "refresh-2" => 3,
            _ => return refusal(400, "invalid_grant"),
        };
        let mut body = granted(n, 3600);
        body["refresh_token"] = json!(format!("refresh-{n}"));
        Reply::json(200, &body)
    });
    let home = tempfile::tempdir().unwrap();
    let (clock, cx) = standing();
    for n in 1..=3 {
        let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
        // A new one each time, as if it were another program.
        let source = source(login, directory(&home));
        assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(n));
        clock.advance(60 * MINUTE);
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_leaves_the_old_one() {
    let server = granting(3600);
    let (clock, cx) = standing();
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let source = source(login, Store::memory());
    for _ in 0..3 {
        source.token(&cx).await.unwrap();
        clock.advance(60 * MINUTE);
    }
    for request in server.requests() {
        assert_eq!(field(&request, "refresh_token").unwrap(), "first-refresh");
    }
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_login_that_is_over_is_not_tried_again_and_says_how_to_log_in() {
    let server = FakeHttp::start(|_| refusal(400, "invalid_grant"));
    let home = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
        let source = source(login, directory(&home));
        let error = source.token(&Context::system()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.hint().unwrap().contains("`resolve set login`"));
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_token_that_still_holds_is_given_out_while_the_server_is_out() {
    let up = Arc::new(AtomicUsize::new(1));
    let state = up.clone();
    let server = FakeHttp::start(move |_| match state.load(Ordering::SeqCst) {
        0 => Reply::json(400, &json!({"error": "temporarily_unavailable"})),
        n => Reply::json(200, &granted(n, 3600)),
    });
    let (clock, cx) = standing();
    let source = source(client(&server.url()), Store::memory());
    source.token(&cx).await.unwrap();
    up.store(0, Ordering::SeqCst);
    clock.advance(59 * MINUTE + Duration::from_secs(30));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    let asked = server.count();
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    assert_eq!(server.count(), asked, "nobody asks again at once");
    clock.advance(MINUTE);
    assert_eq!(
        source.token(&cx).await.unwrap_err().kind(),
        Kind::Unavailable
    );
    up.store(2, Ordering::SeqCst);
    clock.advance(MINUTE);
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(2));
}

#[tokio::test]
async fn a_refusal_is_shared_and_remembered_for_a_while() {
    let server = FakeHttp::start(|_| refusal(401, "invalid_client"));
    let (clock, cx) = standing();
    let source = source(client(&server.url()), Store::memory());
    let all = futures_util::future::join_all((0..100).map(|_| source.token(&cx))).await;
    for answer in all {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert_eq!(server.count(), 1);
    clock.advance(MINUTE);
    source.token(&cx).await.unwrap_err();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_throttled_client_asks_again_when_it_may() {
    let count = AtomicUsize::new(0);
    let server = FakeHttp::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Answer(429, Vec::new(), b"slow".to_vec()).header("retry-after", "120"),
        n => Reply::json(200, &granted(n, 3600)),
    });
    let (clock, cx) = standing();
    let source = source(client(&server.url()), Store::memory());
    for _ in 0..100 {
        let error = source.token(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Throttled);
        assert_eq!(error.retry_after(), Some(2 * MINUTE));
    }
    clock.advance(2 * MINUTE);
    source.token(&cx).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_throttled_client_holds_up_no_other() {
    let server = FakeHttp::start(|request| match field(request, "scope").as_deref() {
        Some("slow") => Reply::Answer(429, Vec::new(), b"slow".to_vec()),
        _ => Reply::json(200, &granted(1, 3600)),
    });
    let (_, cx) = standing();
    let (client, store) = (client(&server.url()), Store::memory());
    let slow = source(client.clone().scopes(["slow"]), store.clone());
    let error = slow
        .token(&cx.clone().with_timeout(MINUTE))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Throttled);
    assert_eq!(
        text(&source(client, store).token(&cx).await.unwrap()),
        access_token(1)
    );
}

#[tokio::test]
async fn fifty_refusals_of_one_token_make_one_request_and_a_second_round_makes_none() {
    let server = granting(3600);
    let (clock, cx) = standing();
    let source = source(client(&server.url()), Store::memory());
    let first = source.token(&cx).await.unwrap();
    for _ in 0..50 {
        assert!(source.invalidate(first.generation(), &cx));
        let next = source.token(&cx).await.unwrap();
        assert_eq!(text(&next), access_token(2));
    }
    let second = source.token(&cx).await.unwrap();
    assert!(!source.invalidate(second.generation(), &cx));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(2));
    clock.advance(MINUTE);
    assert!(source.invalidate(second.generation(), &cx));
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(3));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn the_next_token_is_asked_for_ahead_of_time_and_nobody_waits_for_it() {
    let server = granting(3600);
    let (clock, cx) = standing();
    let client = client(&server.url()).advisory(5 * MINUTE);
    let source = source(client, Store::memory());
    source.token(&cx).await.unwrap();
    clock.advance(57 * MINUTE);
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    until(|| {
        source
            .cached(&cx)
            .is_some_and(|token| text(&token) == access_token(2))
    })
    .await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let server = granting(3600);
    let source = source(client(&server.url()), Store::memory());
    let token = source.token(&Context::system()).await.unwrap();
    let shown = format!("{source:?} {token:?}");
    assert!(!shown.contains(&access_token(1)) && !shown.contains(&client_secret()));
}
