//! Logins that are refused, hang, or are none, with a fake of whoever gives out tokens.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use credchain_core::{Error, Kind, Provider as _};
use credchain_provider_gcp::Gcp;
use credchain_tests::faults::{DEADLINE, FakeHttp, Reply};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::support::{ACCOUNT, Kept, PROJECT, Scene, cx, read, reference, refusal, setup, world};

/// What reading says if the token endpoint answers like this.
async fn refused(reply: Reply) -> (Error, usize) {
    let scene = Scene::new().await;
    let endpoint = FakeHttp::start(move |_| reply.clone());
    let mut user = scene.user();
    user["token_uri"] = json!(endpoint.url());
    let file = scene.file("user.json", &user);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let error = read(&gcp, &cx()).await.expect_err("a refusal");
    let refresh = user["refresh_token"].as_str().unwrap_or_default();
    let shown = format!("{error} {error:?} {:?} {gcp:?}", error.hint());
    assert!(
        !shown.contains("canary") && !shown.contains(refresh),
        "{shown}"
    );
    (error, endpoint.count())
}

fn oauth(status: u16, code: &str) -> Reply {
    let text = "canary in the description";
    Reply::json(status, &json!({"error": code, "error_description": text}))
}

#[tokio::test]
async fn a_refused_login_is_what_its_code_says_and_is_never_a_miss() {
    let page = |status| Reply::Answer(status, Vec::new(), b"<html>canary</html>".to_vec());
    for (reply, kind) in [
        (oauth(400, "invalid_grant"), Kind::Unauthenticated),
        (oauth(401, "invalid_client"), Kind::Unauthenticated),
        (oauth(400, "invalid_scope"), Kind::Unauthenticated),
        (oauth(400, "something_new"), Kind::Unauthenticated),
        (oauth(500, "internal_failure"), Kind::Unavailable),
        (oauth(429, "rate_limit"), Kind::Throttled),
        (refusal(403, "PERMISSION_DENIED"), Kind::Denied),
        (refusal(404, "NOT_FOUND"), Kind::Unauthenticated),
        (refusal(503, "UNAVAILABLE"), Kind::Unavailable),
        (page(200), Kind::Unavailable),
        (page(404), Kind::Unavailable),
        (page(502), Kind::Unavailable),
        (page(307), Kind::Unavailable),
        (Reply::Oversized(1 << 30), Kind::Invalid),
        (
            Reply::json(200, &json!({"access_token": ""})),
            Kind::Unavailable,
        ),
        (Reply::json(200, &json!({"canary": 1})), Kind::Unavailable),
    ] {
        let shown = format!("{reply:?}");
        let (error, asked) = refused(reply).await;
        assert_eq!(error.kind(), kind, "{shown} {error:?}");
        assert_eq!(asked, 1, "{shown}");
    }
}

#[tokio::test]
async fn one_refusal_is_enough_for_everybody_who_waits() {
    let scene = Scene::new().await;
    let endpoint = FakeHttp::start(|_| oauth(400, "invalid_grant"));
    let mut user = scene.user();
    user["token_uri"] = json!(endpoint.url());
    let file = scene.file("user.json", &user);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let (cx, place) = (cx(), reference("db"));
    let reads = (0..50).map(|_| gcp.get(&place, &cx));
    for answer in futures_util::future::join_all(reads).await {
        assert_eq!(answer.unwrap_err().kind(), Kind::Unauthenticated);
    }
    assert_eq!(endpoint.count(), 1);
    let places: Vec<_> = (0..50).map(|n| reference(&format!("db{n}"))).collect();
    for answer in gcp.get_many(&places, &cx).await {
        assert_eq!(answer.unwrap_err().kind(), Kind::Unauthenticated);
    }
    assert_eq!(endpoint.count(), 2, "it is tried again, once");
}

#[tokio::test]
async fn a_refused_grant_points_at_the_clock_and_the_key() {
    let (error, _) = refused(oauth(400, "invalid_grant")).await;
    assert!(error.message().contains("invalid_grant"), "{error:?}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("clock") && hint.contains("key"), "{hint}");
}

#[tokio::test]
async fn a_throttled_login_says_how_long_to_wait() {
    let reply = oauth(429, "rate_limit").header("retry-after", "7");
    let (error, _) = refused(reply).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn acting_as_an_account_without_permission_names_the_role() {
    let scene = Scene::new().await;
    let iam = FakeHttp::start(|_| refusal(403, "PERMISSION_DENIED"));
    let file = scene.file("user.json", &scene.user());
    let table = json!({"project": PROJECT, "credentials_file": file,
        "impersonate": ACCOUNT, "iam_endpoint": iam.url()});
    let gcp = Gcp::from_setup(&setup(&scene.fake.url(), table, false)).unwrap();
    let error = read(&gcp, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("`roles/iam.serviceAccountTokenCreator`"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_login_that_hangs_ends_in_time_and_is_tried_anew() {
    let scene = Scene::new().await;
    let up = Arc::new(AtomicBool::new(false));
    let state = up.clone();
    let token = scene.fake.token.clone();
    let endpoint = FakeHttp::start(move |_| {
        if state.load(Ordering::SeqCst) {
            Reply::json(200, &json!({"access_token": token, "expires_in": 3600}))
        } else {
            Reply::Hang
        }
    });
    scene.fake.state().tokens.insert(scene.fake.token.clone());
    let mut user = scene.user();
    user["token_uri"] = json!(endpoint.url());
    let file = scene.file("user.json", &user);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let short = cx().with_timeout(DEADLINE);
    let hung = tokio::time::timeout(Duration::from_secs(10), read(&gcp, &short));
    let error = hung.await.expect("an end").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    up.store(true, Ordering::SeqCst);
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
}

/// What reading says with this file to log in with.
async fn with_file(content: &str) -> Error {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("login.json");
    std::fs::write(&file, content).expect("a file");
    with_path(&file).await
}

async fn with_path(file: &Path) -> Error {
    let server = FakeHttp::start(|_| refusal(500, "INTERNAL"));
    let table = json!({"project": PROJECT, "credentials_file": file});
    let gcp = Gcp::from_setup(&setup(&server.url(), table, false)).expect("right settings");
    let error = read(&gcp, &cx()).await.expect_err("no login");
    assert_eq!(server.count(), 0);
    error
}

#[tokio::test]
async fn a_file_that_is_no_login_is_misconfigured_and_not_shown() {
    let account = |key: &str, url: &str| {
        json!({"type": "service_account", "client_email": ACCOUNT, "private_key": key,
            "token_uri": url})
    };
    let workload = |source: Value| {
        json!({"type": "external_account", "audience": "x", "subject_token_type": "jwt",
            "token_url": "https://sts.googleapis.com/v1/token", "credential_source": source})
    };
    let elliptic = KeyPair::generate().unwrap().serialize_pem();
    let inner = json!({"type": "impersonated_service_account", "source_credentials": {},
        "service_account_impersonation_url": "https://iam.example.com"});
    let nested = json!({"type": "impersonated_service_account", "source_credentials": inner,
        "service_account_impersonation_url": "https://iam.example.com"});
    for content in [
        String::new(),
        "canary".to_owned(),
        r#"{"type": "canary"}"#.to_owned(),
        r#"{"client_email": "canary"}"#.to_owned(),
        r#"{"type": "service_account", "private_key": 7, "canary": 1}"#.to_owned(),
        account("canary", "https://oauth2.googleapis.com/token").to_string(),
        account(&elliptic, "https://oauth2.googleapis.com/token").to_string(),
        account("canary", "http://oauth2.example.com/token").to_string(),
        workload(json!({"executable": {"command": "/bin/canary"}})).to_string(),
        workload(json!({"environment_id": "aws1", "url": "https://canary.example.com"}))
            .to_string(),
        workload(json!({"url": "http://canary.example.com"})).to_string(),
        workload(json!({"file": "/canary", "format": {"type": "xml"}})).to_string(),
        workload(json!({"url": "https://example.com", "headers": {"a b": "canary"}})).to_string(),
        nested.to_string(),
    ] {
        let error = with_file(&content).await;
        assert_eq!(error.kind(), Kind::Misconfigured, "{content} {error:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_that_was_named_and_is_missing_is_misconfigured() {
    let missing = with_path(Path::new("/no/such/login.json")).await;
    assert_eq!(missing.kind(), Kind::Misconfigured);
    let scene = Scene::new().await;
    let gcp = scene.gcp(json!({"project": PROJECT}));
    let cx = world([("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/login.json")]);
    let error = read(&gcp, &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let hint = error.hint().unwrap();
    assert!(hint.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{hint}");
}

#[tokio::test]
async fn a_workloads_missing_token_is_no_login() {
    let scene = Scene::new().await;
    let workload = scene.workload(&json!({"file": "/no/such/token"}));
    let file = scene.file("workload.json", &workload);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let error = read(&gcp, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("/no/such/token"), "{error:?}");
}

#[tokio::test]
async fn a_missing_key_is_no_missing_secret() {
    let scene = Scene::new().await;
    for key in ["service_account", "access_token"] {
        let table = json!({"project": PROJECT, key: {"credential": "other"}});
        let setup = setup(&scene.fake.url(), table, false).with_credentials(Kept::new("v"));
        let gcp = Gcp::from_setup(&setup).unwrap();
        let error = read(&gcp, &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
        assert!(error.message().contains("`other`"), "{error:?}");
    }
}
