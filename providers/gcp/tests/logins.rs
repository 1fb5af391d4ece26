//! Every way of logging in, with a fake of whoever gives out the tokens. It is not Google's.

mod support;

use std::time::Duration;

use credchain_core::{Kind, ManualClock, Provider as _};
use credchain_provider_gcp::Gcp;
use credchain_tests::faults::{FakeHttp, Reply};
use credchain_tests::servers::fresh_secret;
use serde_json::{Value, json};

use crate::support::{
    ACCOUNT, Account, Kept, PROJECT, Scene, cx, form, read, reference, setup, world,
};

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
