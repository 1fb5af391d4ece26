//! What a right server never does. The server is a fake, and answers as it is told.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::time::Duration;

use credchain_core::{Context, Error, Kind};
use credchain_oauth2::{Endpoints, Grant, Signing, Store, TokenSource};
use credchain_tests::faults::{Authority, Certificate, FakeHttp, Reply};
use rcgen::KeyPair;
use serde_json::json;

use crate::support::{
    Credentials, access_token, client, credentials, field, granted, name, refusal, text,
};

/// No pauses between attempts.
fn cx() -> Context {
    Context::system().with_jitter(0.0)
}

/// What one answer comes to, and how often it was asked for.
async fn failure(reply: Reply) -> (Error, usize) {
    let server = FakeHttp::start(move |_| reply.clone());
    let source = TokenSource::new(client(&server.url()), credentials(), Store::memory()).unwrap();
    let cx = cx().with_timeout(Duration::from_secs(20));
    (source.token(&cx).await.unwrap_err(), server.count())
}

fn page(status: u16, kind: &str, body: &str) -> Reply {
    let kind = ("content-type".to_owned(), kind.to_owned());
    Reply::Answer(status, vec![kind], body.as_bytes().to_vec())
}

#[tokio::test]
async fn every_wrong_answer_has_its_kind_and_shows_nothing() {
    let html = "<html>canary</html>";
    let token = json!({"access_token": "canary"}).to_string();
    for (reply, kind, asked) in [
        (page(200, "text/html", html), Kind::Unavailable, 2),
        (page(200, "application/json", html), Kind::Unavailable, 2),
        (page(200, "application/json", "{}"), Kind::Unavailable, 2),
        (page(200, "text/plain", "canary"), Kind::Unavailable, 2),
        (page(204, "text/html", ""), Kind::Unavailable, 2),
        (page(400, "text/html", html), Kind::Unavailable, 1),
        (page(401, "text/html", html), Kind::Unauthenticated, 1),
        (page(403, "text/html", html), Kind::Denied, 1),
        (page(404, "text/html", html), Kind::Misconfigured, 1),
        (page(429, "text/plain", "canary"), Kind::Throttled, 4),
        (page(500, "text/html", html), Kind::Unavailable, 4),
        (page(502, "text/html", html), Kind::Unavailable, 4),
        (page(503, "text/html", html), Kind::Unavailable, 4),
        (page(504, "text/html", html), Kind::Unavailable, 4),
        // A token in an answer that is no success is none.
        (page(500, "application/json", &token), Kind::Unavailable, 4),
        (refusal(200, "invalid_client"), Kind::Unauthenticated, 1),
        (refusal(400, "invalid_scope"), Kind::Misconfigured, 1),
        (refusal(400, "unauthorized_client"), Kind::Denied, 1),
        (refusal(400, "server_error"), Kind::Unavailable, 4),
        (
            Reply::json(200, &json!({"access_token": "can\nary"})),
            Kind::Invalid,
            1,
        ),
        (
            Reply::json(
                200,
                &json!({"access_token": "canary", "token_type": "DPoP"}),
            ),
            Kind::Invalid,
            1,
        ),
        (Reply::Oversized(100 << 20), Kind::Invalid, 1),
        (
            Reply::Truncated(token.clone().into_bytes(), 10),
            Kind::Unavailable,
            4,
        ),
        (
            Reply::Reset(token.clone().into_bytes(), 10),
            Kind::Unavailable,
            4,
        ),
        (Reply::Raw(b"canary\r\n\r\n".to_vec()), Kind::Unavailable, 4),
    ] {
        let shown = format!("{reply:?}");
        let (error, count) = failure(reply).await;
        assert_eq!(error.kind(), kind, "{shown} {error:?}");
        assert_eq!(count, asked, "{shown}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_points_elsewhere_is_not_followed() {
    let elsewhere = FakeHttp::start(|_| Reply::json(200, &granted(1, 3600)));
    for status in [301, 302, 303, 307, 308] {
        let reply = page(status, "text/html", "").header("location", &elsewhere.url());
        let (error, asked) = failure(reply).await;
        assert_eq!((error.kind(), asked), (Kind::Unavailable, 1));
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn nobody_waits_longer_than_they_said_for_a_server_that_says_nothing() {
    for reply in [
        Reply::Hang,
        Reply::Slow(granted(1, 3600).to_string().into_bytes()),
    ] {
        let server = FakeHttp::start(move |_| reply.clone());
        let client = client(&server.url());
        let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
        let patience = Duration::from_millis(50);
        let error = source
            .token(&cx().with_timeout(patience))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
    }
}

#[tokio::test]
async fn nobody_listening_is_an_outage() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let source = TokenSource::new(client(&url), credentials(), Store::memory()).unwrap();
    let error = source.token(&cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_gets_no_secret() {
    let authority = Authority::new();
    let grant = |_: &_| Reply::json(200, &granted(1, 3600));
    for certificate in [
        Certificate::Right,
        Certificate::Expired,
        Certificate::OtherHost,
    ] {
        let server = FakeHttp::start_tls(&authority, certificate, grant);
        let trusting = client(&server.url()).ca(authority.pem());
        for (client, fine) in [
            (client(&server.url()), false),
            (trusting, certificate == Certificate::Right),
        ] {
            let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
            let answer = source.token(&cx()).await;
            assert_eq!(answer.is_ok(), fine, "{certificate:?}");
            if let Err(error) = answer {
                assert_eq!(error.kind(), Kind::Unavailable);
                assert!(error.message().contains("certificate"), "{error}");
            }
        }
        assert_eq!(
            server.count(),
            usize::from(certificate == Certificate::Right)
        );
    }
}

#[tokio::test]
async fn a_refresh_token_stays_through_faults_of_the_server() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server =
        FakeHttp::start(
            move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0..3 => Reply::json(500, "{}"),
                n => Reply::json(200, &granted(n, 3600)),
            },
        );
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let source = TokenSource::new(login, credentials(), Store::memory()).unwrap();
    assert_eq!(text(&source.token(&cx()).await.unwrap()), access_token(3));
}

#[tokio::test]
async fn a_refresh_token_whose_answer_is_lost_is_not_sent_again() {
    for reply in [
        Reply::Truncated(b"{\"access".to_vec(), 4),
        page(504, "text/html", ""),
    ] {
        let server = FakeHttp::start(move |_| reply.clone());
        let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
        let source = TokenSource::new(login, credentials(), Store::memory()).unwrap();
        let error = source.token(&cx()).await.unwrap_err();
        assert_eq!((error.kind(), server.count()), (Kind::Unavailable, 1));
    }
}

#[tokio::test]
async fn fewer_scopes_are_taken_unless_all_are_required() {
    for (required, kind) in [(false, None), (true, Some(Kind::Denied))] {
        let server = FakeHttp::start(|_| {
            Reply::json(200, &json!({"access_token": "access", "scope": "read"}))
        });
        let client = client(&server.url())
            .scopes(["read", "write"])
            .require_scopes(required);
        let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
        let answer = source.token(&cx()).await;
        assert_eq!(answer.as_ref().err().map(Error::kind), kind);
        if let Ok(token) = answer {
            assert_eq!(token.scopes(), ["read"]);
        }
    }
}

#[tokio::test]
async fn a_missing_secret_is_no_missing_token() {
    let server = FakeHttp::start(|_| Reply::json(200, &granted(1, 3600)));
    let none = Credentials::default().shared();
    let source = TokenSource::new(client(&server.url()), none, Store::memory()).unwrap();
    let error = source.token(&cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("`client_secret`"), "{error}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn an_assertion_is_made_again_by_the_clock_of_a_server_that_has_another_time() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    // In 2030, by whatever clock.
    let server = FakeHttp::start(move |_| {
        let reply = match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => refusal(400, "invalid_grant"),
            n => Reply::json(200, &granted(n, 3600)),
        };
        reply.header("date", "Tue, 01 Jan 2030 00:00:00 GMT")
    });
    let pem = KeyPair::generate().unwrap().serialize_pem();
    let keys = Credentials::default()
        .with("key", pem)
        .with("client_secret", "x")
        .shared();
    let client = client(&server.url()).grant(Grant::JwtBearer {
        key: Signing::new(name("key")),
        issuer: None,
        subject: "jane".to_owned(),
    });
    let source = TokenSource::new(client, keys, Store::memory()).unwrap();
    source.token(&cx()).await.unwrap();
    let issued = |request| {
        use base64::Engine as _;
        let assertion = field(request, "assertion").unwrap();
        let claims = assertion.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
        let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("etl"), &json!("jane"))
        );
        assert_eq!(claims["aud"], format!("{}/token", server.url()));
        claims["iat"].as_u64().unwrap()
    };
    let [first, second] = &server.requests()[..] else {
        panic!("two requests");
    };
    let new_year = 1_893_456_000;
    assert!(issued(second).abs_diff(new_year) < 60);
    assert_ne!(issued(first), issued(second));
}

#[tokio::test]
async fn an_issuer_says_where_tokens_are_requested_and_is_believed_only_about_itself() {
    for (own, fine) in [(true, true), (false, false)] {
        let address = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
        let known = address.clone();
        let server = FakeHttp::start(move |request| {
            let url = known.get().unwrap();
            match &*request.path {
                "/.well-known/oauth-authorization-server/tenant" => Reply::json(
                    200,
                    &json!({
                        "issuer": if own { format!("{url}/tenant") } else { "https://evil".to_owned() },
                        "token_endpoint": format!("{url}/found"),
                    }),
                ),
                "/found" => Reply::json(200, &granted(1, 3600)),
                _ => Reply::json(404, "{}"),
            }
        });
        address.set(server.url()).unwrap();
        let client = credchain_oauth2::Client::new(
            name("crm"),
            Endpoints::issuer(format!("{}/tenant", server.url())),
            "etl",
        )
        .authentication(credchain_oauth2::Authentication::Post(name(
            "client_secret",
        )));
        let source = TokenSource::new(client, credentials(), Store::memory()).unwrap();
        let answer = source.token(&cx()).await;
        assert_eq!(answer.is_ok(), fine, "{answer:?}");
        let asked = server
            .requests()
            .iter()
            .any(|request| request.method == "POST");
        assert_eq!(asked, fine, "no secret goes to a stranger");
    }
}
