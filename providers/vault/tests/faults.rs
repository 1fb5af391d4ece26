//! Servers and ways to them that are bad: each is what it is, in time, and shows no secret.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{at, vault, world};
use credchain_core::{Error, Kind, Provider as _, Reference, Result};
use credchain_provider_vault::Vault;
use credchain_tests::faults::{
    Behaviour, DEADLINE, FakeHttp, Outcome, Proxy, Reply, Request, Service, matrix,
};
use credchain_tests::servers::{OpenBao, fresh_secret};
use serde_json::{Value, json};

/// What answers in time for the deadline.
const PUNCTUAL: Duration = Duration::from_millis(1500);

/// A provider with a token for whatever listens there.
fn asking(url: &str, token: &str, mut more: Value) -> Arc<Vault> {
    more["address"] = json!(url);
    more["auth"] = json!({"method": "token", "token": {"credential": "it"}});
    vault(more, &[("it", token)])
}

async fn read(vault: &Vault) -> Result<String> {
    let cx = world(&[]).with_timeout(DEADLINE);
    let (one, cx) = (at("demo/default#a"), &cx);
    let answer = tokio::time::timeout(PUNCTUAL, vault.get(&one, cx)).await;
    let secret = answer.expect("it keeps to its deadline")?;
    Ok(String::from_utf8(secret.expose().to_vec()).expect("the value is text"))
}

/// What a server that always answers so leads to, and how often it was asked.
async fn failure(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Error, usize) {
    let token = fresh_secret("token");
    let fake = FakeHttp::start(script);
    let vault = asking(&fake.url(), &token, json!({"kv_version": 2}));
    let error = read(&vault).await.expect_err("a failure");
    let shown = format!("{error} {error:?} {vault:?}");
    assert!(!shown.contains(&token), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    (error, fake.count())
}

fn page(status: u16) -> Reply {
    let html = ("content-type".to_owned(), "text/html".to_owned());
    Reply::Answer(status, vec![html], b"<html>canary</html>".to_vec())
}

fn reason(status: u16) -> Reply {
    Reply::json(status, &json!({"errors": ["canary"]}))
}

/// The server that a token reads a KV v2 document from.
#[derive(Clone)]
struct Kv;

impl Service for Kv {
    fn fulfilled(&self, _: &Request) -> Reply {
        let document = json!({"data": {"a": "b"}, "metadata": {"version": 1}});
        Reply::json(200, &json!({ "data": document }))
    }

    fn failed(&self, status: u16, request: &Request) -> Reply {
        match (status, request.path.as_str()) {
            // The token itself is a right one.
            (403, "/v1/auth/token/lookup-self") => Reply::json(200, r#"{"data":{}}"#),
            (404, _) => Reply::json(404, r#"{"errors":[]}"#),
            _ => reason(status),
        }
    }
}

#[tokio::test]
async fn every_fault_is_what_it_is_in_time_and_shows_nothing() {
    let token = fresh_secret("token");
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults.tsv");
    matrix(&Kv, &table, &["403"], async |stage| {
        let mut settings = json!({"kv_version": 2, "max_size": "64KiB"});
        if let Some(ca) = &stage.ca {
            settings["ca"] = json!(ca);
        }
        let vault = asking(&stage.url, &token, settings);
        match read(&vault).await {
            Ok(_) => Outcome::value(),
            Err(error) => {
                let shown = format!("{error} {error:?} {:?} {vault:?}", error.hint());
                assert!(!shown.contains(&token), "{shown}");
                Outcome {
                    kind: error.kind().to_string(),
                    shown,
                    retry_after: error.retry_after(),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_what_its_status_and_its_form_say() {
    let nothing = Reply::json(404, r#"{"errors":[]}"#);
    for (reply, kind) in [
        (reason(400), Kind::Invalid),
        (reason(401), Kind::Unauthenticated),
        (nothing, Kind::NotFound),
        (reason(404), Kind::Misconfigured),
        (reason(405), Kind::Unsupported),
        (reason(429), Kind::Throttled),
        (reason(472), Kind::Unavailable),
        (reason(473), Kind::Unavailable),
        (reason(500), Kind::Unavailable),
        (reason(502), Kind::Unavailable),
        (reason(503), Kind::Unavailable),
        (page(200), Kind::Unavailable),
        (page(302), Kind::Unavailable),
        (page(400), Kind::Unavailable),
        (page(404), Kind::Unavailable),
        (page(503), Kind::Unavailable),
    ] {
        let case = format!("{reply:?}");
        let (error, asked) = failure(move |_| reply.clone()).await;
        assert_eq!(error.kind(), kind, "{case}: {error:?}");
        assert_eq!(asked, 1, "nothing is asked twice here: {case}");
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_is_an_outage_and_a_value_that_is_wrong_is_not() {
    let body = || br#"{"data":{"data":{"a":"canary"},"metadata":{"version":1}}}"#.to_vec();
    for (reply, kind) in [
        (Reply::Raw(b"canary\r\n\r\n".to_vec()), Kind::Unavailable),
        (Reply::Truncated(body(), 30), Kind::Unavailable),
        (Reply::Reset(body(), 30), Kind::Unavailable),
        (Reply::Slow(body()), Kind::Unavailable),
        (Reply::Hang, Kind::Unavailable),
        (Reply::json(200, "canary"), Kind::Unavailable),
        (Reply::json(200, r#"{"data":"canary"}"#), Kind::Unavailable),
        (Reply::json(200, "{}"), Kind::Unavailable),
        (Reply::Oversized(20 << 20), Kind::Invalid),
        (
            Reply::json(
                200,
                r#"{"data":{"data":["canary"],"metadata":{"version":1}}}"#,
            ),
            Kind::Invalid,
        ),
        (
            Reply::json(
                200,
                r#"{"data":{"data":{"a":"\ud800canary"},"metadata":{"version":1}}}"#,
            ),
            Kind::Invalid,
        ),
    ] {
        let mut case = format!("{reply:?}");
        case.truncate(80);
        let (error, _) = failure(move |_| reply.clone()).await;
        assert_eq!(error.kind(), kind, "{case}: {error:?}");
    }
}

#[tokio::test]
async fn a_throttled_request_says_how_long_to_wait() {
    let (error, _) = failure(|_| reason(429).header("retry-after", "7")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let (error, _) = failure(|_| reason(429)).await;
    assert_eq!(error.retry_after(), None);
}

#[tokio::test]
async fn one_look_at_the_token_tells_a_denial_from_a_lost_token() {
    let known = |request: &Request| match request.path.as_str() {
        "/v1/auth/token/lookup-self" => Reply::json(200, r#"{"data":{}}"#),
        _ => reason(403),
    };
    let (error, asked) = failure(known).await;
    assert_eq!((error.kind(), asked), (Kind::Denied, 2));
    let (error, asked) = failure(|_| reason(403)).await;
    assert_eq!((error.kind(), asked), (Kind::Unauthenticated, 2));
    let undecided = |request: &Request| match request.path.as_str() {
        "/v1/auth/token/lookup-self" => reason(503),
        _ => reason(403),
    };
    let (error, _) = failure(undecided).await;
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn the_token_goes_only_where_it_was_allowed_to() {
    let token = fresh_secret("token");
    let value = r#"{"data":{"data":{"a":"b"},"metadata":{"version":1}}}"#;
    let other = FakeHttp::start(move |_| Reply::json(200, value));
    let there = other.url().replace("127.0.0.1", "localhost");
    let first = FakeHttp::start(move |request| {
        reason(307).header("location", &format!("{there}{}", request.path))
    });
    let careful = asking(&first.url(), &token, json!({"kv_version": 2}));
    let error = read(&careful).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.hint().unwrap().contains("redirect_hosts"));
    assert_eq!(other.count(), 0);

    let listed = json!({"kv_version": 2, "redirect_hosts": ["localhost"]});
    let trusting = asking(&first.url(), &token, listed);
    assert_eq!(read(&trusting).await.unwrap(), "b");
    let asked = other.requests();
    assert_eq!(asked[0].header("x-vault-token"), Some(token.as_str()));

    let round = FakeHttp::start(|request| reason(307).header("location", &request.path));
    let circling = asking(&round.url(), &token, json!({"kv_version": 2}));
    assert_eq!(read(&circling).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(round.count(), 6);

    let far = FakeHttp::start(|_| reason(307).header("location", "http://vault.example.com/"));
    let listed = json!({"kv_version": 2, "redirect_hosts": ["vault.example.com"]});
    let plain = asking(&far.url(), &token, listed);
    let error = read(&plain).await.unwrap_err();
    assert!(error.message().contains("no TLS"), "{error:?}");
}

#[tokio::test]
async fn a_broken_way_to_a_right_server_is_an_outage_until_it_is_mended() {
    let bao = OpenBao::dev();
    let document = json!({"data": {"a": "b", "long": "x".repeat(4000)}});
    bao.root("POST", "secret/data/demo/default", &document);
    let proxy = Proxy::start(([127, 0, 0, 1], bao.port()).into());
    let url = format!("http://{}", proxy.address());
    let vault = asking(&url, bao.root_token(), json!({}));
    assert_eq!(read(&vault).await.unwrap(), "b");
    for behaviour in [
        Behaviour::Refuse,
        Behaviour::Reset(2000),
        Behaviour::Truncate(2000),
        Behaviour::Stall,
        Behaviour::BlackHole,
        Behaviour::Latency(Duration::from_secs(3)),
    ] {
        proxy.set(behaviour);
        let error = read(&vault).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{behaviour:?}: {error:?}");
        assert!(!format!("{error:?}").contains(bao.root_token()));
        proxy.set(Behaviour::Pass);
        assert_eq!(read(&vault).await.unwrap(), "b", "after {behaviour:?}");
    }
    proxy.set(Behaviour::Latency(Duration::from_millis(50)));
    assert_eq!(read(&vault).await.unwrap(), "b");
}

#[tokio::test]
async fn nobody_at_that_name_is_an_outage() {
    let settings = json!({"kv_version": 2, "allow_http": true});
    let vault = asking("http://vault.invalid:8200", "none", settings);
    let error = read(&vault).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn fifty_documents_share_one_connection_over_tls() {
    let bao = OpenBao::with_tls();
    for n in 0..50 {
        let document = json!({"data": {"a": format!("value-{n}")}});
        bao.root("POST", &format!("secret/data/demo/{n}"), &document);
    }
    let proxy = Proxy::start(([127, 0, 0, 1], bao.port()).into());
    proxy.set(Behaviour::Latency(Duration::from_millis(20)));
    let url = format!("https://{}", proxy.address());
    let vault = asking(&url, bao.root_token(), json!({"ca": bao.ca()}));
    let references: Vec<Reference> = (0..50).map(|n| at(&format!("demo/{n}#a"))).collect();
    let answers = vault.get_many(&references, &world(&[])).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().expose(), format!("value-{n}").as_bytes());
    }
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_were_allowed() {
    let (under_way, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let fake = FakeHttp::start(move |_| {
        let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(now, Ordering::SeqCst);
        // Long enough for others to come, if they may.
        std::thread::sleep(Duration::from_millis(5));
        under_way.fetch_sub(1, Ordering::SeqCst);
        let document = json!({"data": {"a": "b"}, "metadata": {"version": 1}});
        Reply::json(200, &json!({ "data": document }))
    });
    let settings = json!({"kv_version": 2, "max_connections": 4});
    let vault = asking(&fake.url(), &fresh_secret("token"), settings);
    let reads = (0..30).map(|n| {
        let vault = vault.clone();
        tokio::spawn(async move { vault.get(&at(&format!("demo/{n}#a")), &world(&[])).await })
    });
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap().unwrap().expose(), b"b");
    }
    assert_eq!(fake.count(), 30);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most}");
}
