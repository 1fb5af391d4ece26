//! Key Vault in trouble, and servers that are none.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::{Error, Kind, Provider as _, Result, Secret};
use credchain_provider_azure::Azure;
use credchain_tests::faults::{
    Authority, Certificate, DEADLINE, FakeHttp, Outcome, Reply, Request, Service, matrix,
};
use serde_json::{Value, json};

use crate::support::{FakeEntra, azure, challenge, cx, get, reference, refusal};

const VERSION: &str = "0123456789abcdef0123456789abcdef";

fn bundle(value: &str) -> Reply {
    let id = format!("https://v.vault.azure.net/secrets/db/{VERSION}");
    Reply::json(
        200,
        &json!({"value": value, "id": id, "attributes": {"enabled": true}}),
    )
}

/// Asks a server that answers everything so, and tells how often it was asked.
async fn failure(reply: Reply) -> (Error, usize) {
    let entra = FakeEntra::start();
    let server = FakeHttp::start(move |_| reply.clone());
    let read = get(&azure(&server.url(), &entra, json!({})), "db", &cx(&entra)).await;
    (read.expect_err("a failure"), server.count())
}

#[tokio::test]
async fn a_refusal_is_what_its_codes_say_and_shows_nothing_else() {
    for (status, code, inner, kind) in [
        (404, "SecretNotFound", None, Kind::NotFound),
        (403, "Forbidden", None, Kind::Denied),
        (403, "Forbidden", Some("ForbiddenByRbac"), Kind::Denied),
        (403, "Forbidden", Some("ForbiddenByPolicy"), Kind::Denied),
        (403, "Forbidden", Some("ForbiddenByFirewall"), Kind::Denied),
        (403, "Forbidden", Some("SecretDisabled"), Kind::NotFound),
        (403, "Forbidden", Some("SecretExpired"), Kind::NotFound),
        (401, "Unauthorized", None, Kind::Unauthenticated),
        (429, "Throttled", None, Kind::Throttled),
        (400, "BadParameter", None, Kind::Invalid),
        (500, "InternalServerError", None, Kind::Unavailable),
    ] {
        let (error, asked) = failure(refusal(status, code, inner)).await;
        assert_eq!(error.kind(), kind, "{status} {code} {inner:?}");
        assert_eq!(asked, 1, "{status} {code} is not asked again");
        let shown = format!("{error:?} {error} {:?}", error.hint());
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn a_denial_names_the_role_or_the_permission() {
    let hint = async |inner| {
        let (error, _) = failure(refusal(403, "Forbidden", Some(inner))).await;
        error.hint().unwrap().to_owned()
    };
    assert!(
        hint("ForbiddenByRbac")
            .await
            .contains("`Key Vault Secrets User`")
    );
    assert!(hint("ForbiddenByPolicy").await.contains("permission `get`"));
}

#[tokio::test]
async fn what_is_not_azure_is_judged_by_its_status_and_is_never_a_miss() {
    for (status, kind) in [
        (200, Kind::Unavailable),
        (302, Kind::Unavailable),
        (400, Kind::Unavailable),
        (401, Kind::Unauthenticated),
        (403, Kind::Denied),
        (404, Kind::Unavailable),
        (429, Kind::Throttled),
        (502, Kind::Unavailable),
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
async fn a_redirect_is_not_followed() {
    let other = FakeHttp::start(|_| bundle("canary"));
    let to = format!("{}/secrets/db", other.url());
    let (error, _) = failure(Reply::json(307, "{}").header("Location", &to)).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(other.count(), 0);
}

/// The service that reading one secret asks.
#[derive(Clone)]
struct KeyVault;

impl Service for KeyVault {
    fn fulfilled(&self, _: &Request) -> Reply {
        bundle("v")
    }

    fn failed(&self, status: u16, _: &Request) -> Reply {
        let code = match status {
            400 => "BadParameter",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "SecretNotFound",
            429 => "Throttled",
            _ => "InternalServerError",
        };
        refusal(status, code, None)
    }
}

#[tokio::test]
async fn every_fault_is_what_it_is_in_time_and_shows_nothing() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults.tsv");
    let entra = FakeEntra::start();
    matrix(&KeyVault, &table, &[], async |stage| {
        let mut table = json!({});
        if let Some(ca) = &stage.ca {
            table["ca"] = json!(ca.to_str());
        }
        if stage.url.ends_with(".invalid") {
            table["resource"] = json!("https://invalid");
            // The fake of Entra gives tokens for Key Vault only.
            return resolved_nowhere(&stage.url, table).await;
        }
        let azure = azure(&stage.url, &entra, table);
        let short = cx(&entra).with_timeout(DEADLINE);
        outcome(azure.get(&reference("db"), &short).await, &azure)
    })
    .await;
}

/// Asks a vault whose name no server knows, with a login that takes any question.
async fn resolved_nowhere(vault: &str, mut table: Value) -> Outcome {
    let entra = FakeEntra::start();
    let login = FakeHttp::start(|_| {
        Reply::json(200, &json!({"access_token": "a.b.c", "expires_in": 3599}))
    });
    table["authority"] = json!(login.url());
    let azure = azure(vault, &entra, table);
    let short = cx(&entra).with_timeout(DEADLINE);
    outcome(azure.get(&reference("db"), &short).await, &azure)
}

fn outcome(read: Result<Secret>, azure: &Azure) -> Outcome {
    match read {
        Ok(_) => Outcome::value(),
        Err(error) => Outcome {
            kind: error.kind().to_string(),
            shown: format!("{error} {error:?} {:?} {azure:?}", error.hint()),
            retry_after: error.retry_after(),
        },
    }
}

#[tokio::test]
async fn a_page_at_another_server_is_not_asked_for() {
    let stranger = FakeHttp::start(|_| Reply::json(200, &json!({"value": []})));
    for next in [
        format!("{}/secrets?api-version=2025-07-01", stranger.url()),
        "https://example.com/secrets".to_owned(),
        "//example.com/secrets".to_owned(),
        "file:///secrets".to_owned(),
        "/keys?api-version=2025-07-01".to_owned(),
    ] {
        let entra = FakeEntra::start();
        let page = json!({"value": [], "nextLink": next});
        let server = FakeHttp::start(move |_| Reply::json(200, &page));
        let listed = azure(&server.url(), &entra, json!({}))
            .list(None, &cx(&entra))
            .await;
        let error = listed.expect_err("a page that is refused");
        assert_eq!(error.kind(), Kind::Unavailable, "{next}");
        assert!(error.message().contains("another server"), "{error:?}");
        assert_eq!(server.count(), 1, "{next}");
    }
    assert_eq!(stranger.count(), 0);
}

#[tokio::test]
async fn a_listing_that_goes_round_in_circles_ends() {
    let entra = FakeEntra::start();
    let next = "/secrets?api-version=2025-07-01&$skiptoken=1";
    let page = json!({"value": [], "nextLink": next});
    let server = FakeHttp::start(move |_| Reply::json(200, &page));
    let listed = azure(&server.url(), &entra, json!({}))
        .list(None, &cx(&entra))
        .await;
    assert_eq!(listed.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn what_lists_something_else_than_secrets_is_not_understood() {
    for item in [
        json!({}),
        json!({"id": "x"}),
        json!({"id": "https://v/keys/k"}),
    ] {
        let entra = FakeEntra::start();
        let page = json!({"value": [item], "nextLink": null});
        let server = FakeHttp::start(move |_| Reply::json(200, &page));
        let listed = azure(&server.url(), &entra, json!({}))
            .list(None, &cx(&entra))
            .await;
        assert_eq!(listed.unwrap_err().kind(), Kind::Unavailable);
    }
}

#[tokio::test]
async fn no_token_is_fetched_for_what_a_challenge_demands() {
    for demanded in [
        "https://management.azure.com",
        "https://vault.azure.net.example.com",
        "https://example.com/.default",
    ] {
        let entra = FakeEntra::start();
        let server = FakeHttp::start(move |_| challenge(demanded));
        let read = get(&azure(&server.url(), &entra, json!({})), "db", &cx(&entra)).await;
        let error = read.expect_err("a challenge that is refused");
        assert_eq!(error.kind(), Kind::Misconfigured, "{demanded}");
        assert!(error.message().contains("another service"), "{error:?}");
        assert_eq!((entra.logins(), server.count()), (1, 1));
    }
}

#[tokio::test]
async fn a_vault_of_another_tenant_is_told_as_that() {
    let entra = FakeEntra::start();
    let other = "99999999-8888-7777-6666-555555555555";
    let server = FakeHttp::start(move |_| {
        let value = format!(
            r#"Bearer authorization="https://login.microsoftonline.com/{other}", resource="https://vault.azure.net""#
        );
        refusal(401, "Unauthorized", None).header("WWW-Authenticate", &value)
    });
    let read = get(&azure(&server.url(), &entra, json!({})), "db", &cx(&entra)).await;
    let error = read.expect_err("a refused login");
    assert_eq!(error.kind(), Kind::Unauthenticated);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains(other) && hint.contains(support::TENANT),
        "{hint}"
    );
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_again() {
    let (up, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (state, count) = (up.clone(), asked.clone());
    let entra = FakeEntra::start();
    let server = FakeHttp::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        if state.load(Ordering::SeqCst) {
            bundle("v")
        } else {
            refusal(503, "ServiceUnavailable", None).header("retry-after", "7")
        }
    });
    let azure = azure(&server.url(), &entra, json!({}));
    let error = get(&azure, "db", &cx(&entra)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "a layer retries, not the provider"
    );
    up.store(true, Ordering::SeqCst);
    assert_eq!(get(&azure, "db", &cx(&entra)).await.unwrap(), "v");
}

async fn over_tls(
    certificate: Certificate,
    trusting: impl FnOnce(&Authority) -> Value,
) -> Result<String> {
    let (authority, entra) = (Authority::new(), FakeEntra::start());
    let server = FakeHttp::start_tls(&authority, certificate, |_| bundle("v"));
    let azure = azure(&server.url(), &entra, trusting(&authority));
    get(&azure, "db", &cx(&entra)).await
}

fn named(authority: &Authority) -> Value {
    json!({"ca": authority.pem().to_str()})
}

#[tokio::test]
async fn an_authority_is_trusted_if_the_settings_name_it() {
    assert_eq!(over_tls(Certificate::Right, named).await.unwrap(), "v");
    let error = over_tls(Certificate::Right, |_| json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("certificate"), "{error:?}");
    assert!(error.hint().unwrap().contains("`ca`"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_another_host_or_time_is_not_trusted() {
    for certificate in [Certificate::OtherHost, Certificate::Expired] {
        let error = over_tls(certificate, named).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("certificate"), "{error:?}");
    }
}
