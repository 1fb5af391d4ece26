//! Every way of logging in, with a fake of whoever gives out the tokens. It is not Google's.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use credchain_core::{Context, Error, Kind, ManualClock, Provider as _, Result};
use credchain_provider_gcp::Gcp;
use credchain_tests::faults::{DEADLINE, FakeHttp, Reply};
use credchain_tests::servers::fresh_secret;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::crypto::aws_lc_rs::default_provider;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    FakeIssuer, FakeSecretManager, Kept, PROJECT, cx, form, gcp_with, reference, refusal, set,
    setup, world,
};

const ACCOUNT: &str = "reader@acme-test.iam.gserviceaccount.com";

/// A Secret Manager that holds `db`, and somebody who gives out tokens for it.
struct Scene {
    fake: FakeSecretManager,
    issuer: FakeIssuer,
    folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        Self::lasting(3600).await
    }

    /// With tokens that are good for so many seconds.
    async fn lasting(seconds: u32) -> Self {
        let fake = FakeSecretManager::start();
        let owner = gcp_with(&fake.url(), json!({}), &fake.token);
        set(&owner, "db", "v").await.unwrap();
        // What a test reads is read with the tokens that were given out.
        fake.state().tokens.clear();
        let issuer = FakeIssuer::start(&fake, seconds);
        Self {
            fake,
            issuer,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, content: &Value) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content.to_string()).unwrap();
        file
    }

    fn gcp(&self, mut table: Value) -> Gcp {
        table["iam_endpoint"] = json!(self.issuer.url());
        Gcp::from_setup(&setup(&self.fake.url(), table, false)).unwrap()
    }

    fn user(&self) -> Value {
        json!({
            "type": "authorized_user", "client_id": "gcloud", "client_secret": "not so secret",
            "refresh_token": fresh_secret("refresh"), "quota_project_id": "acme-billing",
            "token_uri": format!("{}/token", self.issuer.url()),
        })
    }

    fn workload(&self, source: &Value) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}/sts", self.issuer.url()), "credential_source": source,
        })
    }

    /// The token of each request to Secret Manager.
    fn used(&self) -> Vec<String> {
        let requests = self.fake.requests();
        let tokens = requests
            .iter()
            .map(|request| request.header("authorization"));
        let tokens = tokens.filter_map(|header| header?.strip_prefix("Bearer "));
        tokens.map(str::to_owned).skip(3).collect()
    }
}

/// The key of a service account, as Google gives it out.
struct Account {
    key: KeyPair,
}

impl Account {
    fn new() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        Self { key }
    }

    fn file(&self, token_url: &str) -> Value {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "key-1",
            "private_key": self.key.serialize_pem(), "client_email": ACCOUNT,
            "token_uri": token_url,
        })
    }

    /// The claims of a statement, if this account's key signed it.
    fn claims(&self, assertion: &str) -> Value {
        let (signed, signature) = assertion.rsplit_once('.').expect("a signature");
        let signature = BASE64.decode(signature).expect("base64");
        let provider = default_provider();
        let known = provider.signature_verification_algorithms.all.iter();
        let valid = known.into_iter().any(|algorithm| {
            let key = self.key.public_key_raw();
            algorithm
                .verify_signature(key, signed.as_bytes(), &signature)
                .is_ok()
        });
        assert!(valid, "the signature is not of this key");
        let (header, claims) = signed.split_once('.').expect("two parts");
        let header: Value = serde_json::from_slice(&BASE64.decode(header).unwrap()).unwrap();
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
        );
        serde_json::from_slice(&BASE64.decode(claims).unwrap()).unwrap()
    }
}

async fn read(gcp: &Gcp, cx: &Context) -> Result<String> {
    let secret = gcp.get(&reference("db"), cx).await?;
    Ok(secret.expose_text().unwrap().to_owned())
}

#[tokio::test]
async fn a_service_account_signs_what_it_logs_in_with() {
    let scene = Scene::new().await;
    let account = Account::new();
    let token_url = format!("{}/token", scene.issuer.url());
    let file = scene.file("key.json", &account.file(&token_url));
    let gcp = scene.gcp(json!({}));
    assert_eq!(
        scene.issuer.count(),
        0,
        "nothing is asked before the first use"
    );
    let clock = ManualClock::new();
    let cx = world([("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())])
        .with_clock(clock.clock());
    for _ in 0..3 {
        assert_eq!(read(&gcp, &cx).await.unwrap(), "v");
    }
    assert_eq!(scene.issuer.count(), 1, "the token is used again");
    let sent = form(&scene.issuer.requests()[0]);
    assert_eq!(
        sent["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let claims = account.claims(&sent["assertion"]);
    assert_eq!(claims["iss"], ACCOUNT);
    assert_eq!(claims["aud"], token_url);
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    // The clock of this world stands at the start of 2026.
    let issued = claims["iat"].as_u64().unwrap();
    let start_of_2026 = 1_767_225_600;
    assert!(
        issued <= start_of_2026 && issued > start_of_2026 - 60,
        "{issued}"
    );
    assert!(claims["exp"].as_u64().unwrap() > start_of_2026);
    let identity = gcp.identity(&cx).await.unwrap();
    assert_eq!(identity.name, ACCOUNT);
    assert_eq!(identity.details["project"], PROJECT);
    // A token is renewed before it ends.
    clock.advance(Duration::from_secs(3590));
    read(&gcp, &cx).await.unwrap();
    assert_eq!(scene.issuer.count(), 2);
}

#[tokio::test]
async fn a_key_can_be_a_credential_of_another_link() {
    let scene = Scene::new().await;
    let key = Account::new().file(&format!("{}/token", scene.issuer.url()));
    let kept = Kept::new(&key.to_string());
    let table = json!({"service_account": {"credential": "kept"}});
    let setup = setup(&scene.fake.url(), table, false).with_credentials(kept.clone());
    let gcp = Gcp::from_setup(&setup).unwrap();
    assert_eq!(kept.count(), 0);
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
    let pem = key["private_key"].as_str().unwrap();
    let inside = pem.lines().nth(3).unwrap();
    assert!(!format!("{gcp:?}").contains(inside));
}

#[tokio::test]
async fn gclouds_login_is_found_and_charged_to_its_project() {
    let scene = Scene::new().await;
    let user = scene.user();
    scene.file(".config/gcloud/application_default_credentials.json", &user);
    let gcp = scene.gcp(json!({}));
    let home = scene.folder.path().to_str().unwrap();
    let cx = world([("HOME", home), ("GOOGLE_CLOUD_PROJECT", PROJECT)]);
    assert_eq!(read(&gcp, &cx).await.unwrap(), "v");
    let sent = form(&scene.issuer.requests()[0]);
    assert_eq!(sent["grant_type"], "refresh_token");
    assert_eq!(sent["refresh_token"], user["refresh_token"]);
    assert_eq!(sent["client_secret"], "not so secret");
    let requests = scene.fake.requests();
    let charged = requests.last().unwrap().header("x-goog-user-project");
    assert_eq!(charged, Some("acme-billing"));
}

#[tokio::test]
async fn the_machines_own_account_comes_last() {
    let scene = Scene::new().await;
    let gcp = scene.gcp(json!({"project": PROJECT}));
    let host = scene.issuer.host();
    let home = scene.folder.path().to_str().unwrap();
    let cx = world([("HOME", home), ("GCE_METADATA_HOST", &host)]);
    assert_eq!(read(&gcp, &cx).await.unwrap(), "v");
    let asked = &scene.issuer.requests()[0];
    assert_eq!(
        asked.path,
        "/computeMetadata/v1/instance/service-accounts/default/token"
    );
    assert_eq!(asked.header("metadata-flavor"), Some("Google"));
}

#[tokio::test]
async fn a_workload_exchanges_the_token_of_a_file() {
    let scene = Scene::new().await;
    let subject = fresh_secret("subject");
    let source = scene.file("subject.json", &json!({"value": subject}));
    let format = json!({"type": "json", "subject_token_field_name": "value"});
    let workload = scene.workload(&json!({"file": source, "format": format}));
    let file = scene.file("workload.json", &workload);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
    let asked = &scene.issuer.requests()[0];
    let sent = form(asked);
    assert_eq!(asked.path, "/sts");
    assert_eq!(sent["subject_token"], subject);
    assert_eq!(sent["audience"], "//iam.googleapis.com/pool");
    assert_eq!(
        sent["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
}

#[tokio::test]
async fn a_workload_exchanges_the_token_of_an_address_and_acts_as_an_account() {
    let scene = Scene::new().await;
    let subject = fresh_secret("subject");
    let answer = json!({"value": subject});
    let provider = FakeHttp::start(move |request| {
        assert_eq!(request.header("authorization"), Some("bearer ci"));
        Reply::json(200, &answer)
    });
    let mut workload = scene.workload(&json!({
        "url": format!("{}/?audience=x", provider.url()),
        "headers": {"Authorization": "bearer ci"},
        "format": {"type": "json", "subject_token_field_name": "value"},
    }));
    let act = "v1/projects/-/serviceAccounts";
    let act = format!("{}/{act}/{ACCOUNT}:generateAccessToken", scene.issuer.url());
    workload["service_account_impersonation_url"] = json!(act);
    let file = scene.file("workload.json", &workload);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
    let given = scene.issuer.given();
    let asked = scene.issuer.requests();
    assert_eq!(form(&asked[0])["subject_token"], subject);
    let own = format!("Bearer {}", given[0]);
    assert_eq!(asked[1].header("authorization"), Some(own.as_str()));
    assert_eq!(scene.used(), given[1..]);
    assert_eq!(gcp.identity(&cx()).await.unwrap().name, ACCOUNT);
}

#[tokio::test]
async fn whoever_is_logged_in_can_act_as_a_service_account() {
    let scene = Scene::new().await;
    let file = scene.file("user.json", &scene.user());
    let table = json!({"project": PROJECT, "credentials_file": file, "impersonate": ACCOUNT});
    let gcp = scene.gcp(table);
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
    let asked = scene.issuer.requests();
    assert_eq!(
        asked[1].path,
        format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
    );
    let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
    assert_eq!(
        body["scope"],
        json!(["https://www.googleapis.com/auth/cloud-platform"])
    );
    assert_eq!(scene.used(), scene.issuer.given()[1..]);
    assert_eq!(gcp.identity(&cx()).await.unwrap().name, ACCOUNT);
}

#[tokio::test]
async fn everybody_who_waits_is_served_by_one_login() {
    let scene = Scene::new().await;
    let file = scene.file("user.json", &scene.user());
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let (cx, place) = (cx(), reference("db"));
    let reads = (0..50).map(|_| gcp.get(&place, &cx));
    let answers = futures_util::future::join_all(reads).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scene.issuer.count(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_known_any_more_is_renewed_once() {
    let scene = Scene::new().await;
    let file = scene.file("user.json", &scene.user());
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    read(&gcp, &cx()).await.unwrap();
    scene.fake.state().tokens.clear();
    assert_eq!(read(&gcp, &cx()).await.unwrap(), "v");
    assert_eq!(scene.issuer.count(), 2);
}

#[tokio::test]
async fn a_given_token_is_not_tried_twice_and_is_read_anew() {
    let scene = Scene::new().await;
    let kept = Kept::new("canary-unknown\n");
    let table = json!({"access_token": {"credential": "kept"}, "project": PROJECT});
    let setup = setup(&scene.fake.url(), table, false).with_credentials(kept.clone());
    let gcp = Gcp::from_setup(&setup).unwrap();
    let before = scene.fake.requests().len();
    let error = read(&gcp, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(!format!("{error:?}").contains("canary"));
    assert_eq!(scene.fake.requests().len(), before + 1);
    let first = kept.count();
    read(&gcp, &cx()).await.unwrap_err();
    assert!(kept.count() > first);
}

/// What reading says if the token endpoint answers like this.
async fn refused(reply: Reply) -> (Error, usize) {
    let scene = Scene::new().await;
    let endpoint = FakeHttp::start(move |_| reply.clone());
    let mut user = scene.user();
    user["token_uri"] = json!(endpoint.url());
    let file = scene.file("user.json", &user);
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let error = read(&gcp, &cx()).await.unwrap_err();
    let refresh = user["refresh_token"].as_str().unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("login.json");
    std::fs::write(&file, content).unwrap();
    with_path(&file).await
}

async fn with_path(file: &Path) -> Error {
    let server = FakeHttp::start(|_| refusal(500, "INTERNAL"));
    let table = json!({"project": PROJECT, "credentials_file": file});
    let gcp = Gcp::from_setup(&setup(&server.url(), table, false)).unwrap();
    let error = read(&gcp, &cx()).await.unwrap_err();
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

#[tokio::test]
async fn a_missing_project_is_told_with_where_to_set_it() {
    let scene = Scene::new().await;
    let file = scene.file("user.json", &scene.user());
    let gcp = scene.gcp(json!({"credentials_file": file}));
    let error = read(&gcp, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().contains("GOOGLE_CLOUD_PROJECT"));
    // A reference that names its project needs no other.
    let whole = reference(&format!("/projects/{PROJECT}/secrets/db"));
    assert!(gcp.get(&whole, &cx()).await.is_ok());
}

#[tokio::test]
async fn short_lived_tokens_are_never_used_past_their_end() {
    let scene = Scene::lasting(90).await;
    let file = scene.file("user.json", &scene.user());
    let gcp = scene.gcp(json!({"project": PROJECT, "credentials_file": file}));
    let clock = ManualClock::new();
    let cx = cx().with_clock(clock.clock());
    read(&gcp, &cx).await.unwrap();
    read(&gcp, &cx).await.unwrap();
    assert_eq!(scene.issuer.count(), 1);
    clock.advance(Duration::from_secs(31));
    read(&gcp, &cx).await.unwrap();
    assert_eq!(scene.issuer.count(), 2);
}
