//! What a right server never does: refusals, throttling, answers that are none.

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use credchain_core::{Error, Kind, Provider as _, Result, Secret};
use credchain_provider_gcp::Gcp;
use credchain_tests::faults::{
    Authority, Behaviour, Certificate, DEADLINE, FakeHttp, Outcome, Proxy, Reply, Request, Service,
    matrix,
};
use serde_json::json;

use crate::support::{FakeSecretManager, cx, gcp, gcp_with, get, reference, refusal, set};

/// A value as Google sends it, with the checksum of `v`.
fn value() -> Reply {
    let payload = json!({"data": "dg==", "dataCrc32c": "88400052"});
    let name = "projects/123456789/secrets/db/versions/1";
    Reply::json(200, &json!({"name": name, "payload": payload}))
}

async fn failure(reply: Reply) -> (Error, usize) {
    let server = FakeHttp::start(move |_| reply.clone());
    let read = get(&gcp(&server.url(), json!({})), "db").await;
    (read.expect_err("a failure"), server.count())
}

#[tokio::test]
async fn an_error_of_google_is_what_its_status_says_and_shows_nothing_else() {
    for (code, status, kind) in [
        (404, "NOT_FOUND", Kind::NotFound),
        (403, "PERMISSION_DENIED", Kind::Denied),
        (401, "UNAUTHENTICATED", Kind::Unauthenticated),
        (429, "RESOURCE_EXHAUSTED", Kind::Throttled),
        (400, "INVALID_ARGUMENT", Kind::Invalid),
        (409, "ABORTED", Kind::Conflict),
        (500, "INTERNAL", Kind::Unavailable),
        (503, "UNAVAILABLE", Kind::Unavailable),
        (504, "DEADLINE_EXCEEDED", Kind::Unavailable),
        (400, "SOMETHING_NEW", Kind::Invalid),
        (403, "SOMETHING_NEW", Kind::Denied),
    ] {
        let (error, asked) = failure(refusal(code, status)).await;
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(asked, 1, "nothing repeats {status}");
        assert!(
            !format!("{error:?} {error}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_denial_names_the_permission_and_the_role() {
    let (error, _) = failure(refusal(403, "PERMISSION_DENIED")).await;
    let hint = error.hint().unwrap();
    assert!(hint.contains("`secretmanager.versions.access`"), "{hint}");
    assert!(
        hint.contains("`roles/secretmanager.secretAccessor`"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_service_that_is_not_enabled_is_told_with_the_command() {
    let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]);
    let body = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "details": details}});
    let (error, _) = failure(Reply::json(403, &body)).await;
    assert_eq!(error.kind(), Kind::Denied);
    let hint = error.hint().unwrap();
    assert!(hint.contains("gcloud services enable"), "{hint}");
}

#[tokio::test]
async fn what_is_not_google_is_judged_by_its_status_and_is_never_a_miss() {
    for (status, kind) in [
        (400, Kind::Unavailable),
        (401, Kind::Unauthenticated),
        (403, Kind::Denied),
        (404, Kind::Unavailable),
        (429, Kind::Throttled),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
        (302, Kind::Unavailable),
        (200, Kind::Unavailable),
    ] {
        for body in ["<html>canary</html>", "", "{}", "[]", "\u{0}\u{1}"] {
            let reply = Reply::Answer(status, Vec::new(), body.into());
            let (error, asked) = failure(reply).await;
            assert_eq!(error.kind(), kind, "{status} {body:?} {error:?}");
            assert_eq!(asked, 1);
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}

#[tokio::test]
async fn an_answer_that_points_elsewhere_is_not_followed() {
    let elsewhere = FakeHttp::start(|_| value());
    let to = format!("{}/v1/x", elsewhere.url());
    let reply = Reply::Answer(307, vec![("location".to_owned(), to)], Vec::new());
    let (error, _) = failure(reply).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_throttled_request_says_how_long_to_wait() {
    let reply = refusal(429, "RESOURCE_EXHAUSTED").header("retry-after", "7");
    let (error, asked) = failure(reply).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let page = json!({"secrets": [], "nextPageToken": "again"});
    let server = FakeHttp::start(move |_| Reply::json(200, &page));
    let listed = gcp(&server.url(), json!({})).list(None, &cx()).await;
    assert_eq!(listed.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn eight_secrets_are_asked_for_at_a_time_over_as_many_connections() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
    let (seen, grown) = (most.clone(), Condvar::new());
    let server = FakeHttp::start(move |_| {
        let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
        let mut most = seen.lock().unwrap();
        *most = now.max(*most);
        grown.notify_all();
        // The first ones wait for each other; if they never come together, the test fails.
        let patience = Duration::from_secs(5);
        drop(grown.wait_timeout_while(most, patience, |most| *most < 8));
        under_way.fetch_sub(1, Ordering::SeqCst);
        value()
    });
    let places: Vec<_> = (0..40).map(|n| reference(&format!("db{n}"))).collect();
    let answers = gcp(&server.url(), json!({})).get_many(&places, &cx()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(*most.lock().unwrap(), 8);
    assert_eq!(server.count(), 40);
}

#[tokio::test]
async fn a_certificate_is_trusted_if_its_authority_is_named() {
    let authority = Authority::new();
    let server = FakeHttp::start_tls(&authority, Certificate::Right, |_| value());
    let trusting = gcp(&server.url(), json!({"ca": authority.pem()}));
    assert_eq!(get(&trusting, "db").await.unwrap(), "v");
    let error = get(&gcp(&server.url(), json!({})), "db").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
    assert_eq!(server.count(), 1);
}

/// The service that a value is read from.
#[derive(Clone)]
struct SecretManager;

impl Service for SecretManager {
    fn fulfilled(&self, _: &Request) -> Reply {
        value()
    }

    fn failed(&self, status: u16, _: &Request) -> Reply {
        refusal(
            status,
            match status {
                400 => "INVALID_ARGUMENT",
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                503 => "UNAVAILABLE",
                _ => "INTERNAL",
            },
        )
    }
}

#[tokio::test]
async fn every_fault_is_what_it_is_in_time_and_shows_nothing() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults.tsv");
    matrix(&SecretManager, &table, &[], async |stage| {
        let ca = stage.ca.as_ref().map(|ca| json!({"ca": ca.to_str()}));
        let gcp = gcp(&stage.url, ca.unwrap_or_else(|| json!({})));
        let short = cx().with_timeout(DEADLINE);
        outcome(gcp.get(&reference("db"), &short).await, &gcp)
    })
    .await;
}

fn outcome(read: Result<Secret>, gcp: &Gcp) -> Outcome {
    match read {
        Ok(_) => Outcome::value(),
        Err(error) => Outcome {
            kind: error.kind().to_string(),
            shown: format!("{error} {error:?} {:?} {gcp:?}", error.hint()),
            retry_after: error.retry_after(),
        },
    }
}

#[tokio::test]
async fn a_broken_way_to_the_server_is_unavailable_until_it_is_mended() {
    let fake = FakeSecretManager::start();
    let address = fake.url().trim_start_matches("http://").parse();
    let proxy = Proxy::start(address.expect("an address"));
    let url = format!("http://{}", proxy.address());
    let through = gcp_with(&url, json!({}), &fake.token);
    set(&through, "db", &"v".repeat(1000)).await.unwrap();
    for behaviour in [
        Behaviour::Latency(Duration::from_secs(3)),
        Behaviour::Refuse,
        Behaviour::Reset(100),
        Behaviour::Truncate(100),
        Behaviour::Stall,
        Behaviour::BlackHole,
    ] {
        proxy.set(behaviour);
        let (place, short) = (reference("db"), cx().with_timeout(DEADLINE));
        let read = tokio::time::timeout(Duration::from_secs(10), through.get(&place, &short));
        let error = read.await.expect("an end").expect_err("a failure");
        assert_eq!(error.kind(), Kind::Unavailable, "{behaviour:?} {error:?}");
        proxy.set(Behaviour::Pass);
        assert!(get(&through, "db").await.is_ok(), "after {behaviour:?}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_again() {
    let up = Arc::new(AtomicBool::new(false));
    let state = up.clone();
    let server = FakeHttp::start(move |_| {
        if state.load(Ordering::SeqCst) {
            value()
        } else {
            refusal(503, "UNAVAILABLE")
        }
    });
    let gcp = gcp(&server.url(), json!({}));
    assert_eq!(get(&gcp, "db").await.unwrap_err().kind(), Kind::Unavailable);
    up.store(true, Ordering::SeqCst);
    assert_eq!(get(&gcp, "db").await.unwrap(), "v");
}
