//! Secret ids that rotation has a real server make, and what it keeps beside a value.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{account, at, limited, rooted, target, tokens, vault, world};
use credchain_core::{Kind, Provider as _, Secret, SetOptions, Target, Verdict};
use credchain_provider_vault::Vault;
use credchain_tests::faults::{FakeHttp, Reply};
use credchain_tests::servers::OpenBao;
use serde_json::{Value, json};

/// A server with a role, and what the README says is needed for it.
fn with_role(settings: &Value) -> (OpenBao, Arc<Vault>, Arc<dyn Target>) {
    let bao = OpenBao::dev();
    bao.approle("etl", settings);
    let vault = limited(
        &bao,
        r#"
path "auth/approle/role/etl"                              { capabilities = ["read"] }
path "auth/approle/role/etl/role-id"                      { capabilities = ["read"] }
path "auth/approle/role/etl/secret-id"                    { capabilities = ["update", "list"] }
path "auth/approle/role/etl/secret-id-accessor/lookup"    { capabilities = ["update"] }
path "auth/approle/role/etl/secret-id-accessor/destroy"   { capabilities = ["update"] }
"#,
    );
    let target = target(&vault, "vault_approle", json!({"role": "etl"}));
    (bao, vault, target)
}

#[tokio::test]
async fn a_secret_id_is_issued_found_by_its_tag_tried_and_revoked_twice() {
    let (bao, _vault, etl) = with_role(&json!({}));
    let (cx, start) = (
        world(&[]),
        world(&[]).clock().now() - Duration::from_secs(5),
    );
    let nothing_yet = account("", "");
    etl.preflight(&nothing_yet, None, &cx).await.unwrap();
    let before = tokens(&bao);
    let made = etl.issue("run-7", &cx).await.unwrap();
    assert_eq!(etl.probe(&made, &cx).await.unwrap(), Verdict::Accepted);
    assert_eq!(tokens(&bao), before);
    let listed = etl.issued(&cx).await.unwrap();
    assert_eq!(listed.len(), 2, "the one before has no tag: {listed:?}");
    let own = listed.iter().find(|one| one.id == made.id).unwrap();
    assert_eq!(own.tag.as_deref(), Some("run-7"));
    assert!(own.enabled && own.created.is_some_and(|at| at >= start));
    for _ in 0..2 {
        etl.revoke(&made.id, &cx).await.unwrap();
    }
    assert_eq!(etl.probe(&made, &cx).await.unwrap(), Verdict::Refused);
    assert_eq!(etl.issued(&cx).await.unwrap().len(), 1);
    let secret = std::str::from_utf8(made.secret.expose()).unwrap();
    assert!(!format!("{etl:?}{made:?}").contains(secret));
}

#[tokio::test]
async fn what_was_issued_and_never_heard_of_is_found_by_its_tag() {
    let (bao, _vault, _) = with_role(&json!({}));
    let root = bao.root_token().to_owned();
    let cx = world(&[]);
    // Hands on to the server, and loses the answer about a new secret id.
    let lossy = {
        let (url, root) = (bao.url(), root.clone());
        FakeHttp::start(move |request| {
            let path = request.path.trim_start_matches("/v1/").to_owned();
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            let (status, answer) = ask(&url, &request.method, &path, &root, &body);
            if path.ends_with("/secret-id") && request.method == "POST" {
                return Reply::Answer(502, Vec::new(), Vec::new());
            }
            Reply::json(status, &answer)
        })
    };
    let auth = json!({"method": "token", "token": {"credential": "root"}});
    let through = vault(
        json!({"address": lossy.url(), "auth": auth}),
        &[("root", &root)],
    );
    let etl = target(&through, "vault_approle", json!({"role": "etl"}));
    let lost = etl.issue("run-8", &cx).await.unwrap_err();
    assert_eq!(lost.kind(), Kind::Unavailable);
    let listed = etl.issued(&cx).await.unwrap();
    let orphans: Vec<_> = listed
        .iter()
        .filter(|one| one.tag.as_deref() == Some("run-8"))
        .collect();
    assert_eq!(orphans.len(), 1);
    etl.revoke(&orphans[0].id, &cx).await.unwrap();
    assert_eq!(etl.issued(&cx).await.unwrap().len(), 1);
}

fn ask(url: &str, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "-X", method, "-w", "\n%{http_code}", "-H"]);
    curl.arg(format!("X-Vault-Token: {token}"));
    if !body.is_null() {
        curl.args(["--data-binary", &body.to_string()]);
    }
    let output = curl
        .arg(format!("{url}/v1/{path}"))
        .output()
        .expect("curl starts");
    let answer = String::from_utf8(output.stdout).expect("text");
    let (body, status) = answer.rsplit_once('\n').expect("a status");
    (
        status.parse().expect("a number"),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[tokio::test]
async fn a_role_whose_trials_would_mislead_is_refused_before_anything_is_issued() {
    let cx = world(&[]);
    for (settings, word) in [
        (json!({"secret_id_num_uses": 9}), "used up"),
        (
            json!({"bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32"}),
            "without a secret id",
        ),
    ] {
        let bao = OpenBao::dev();
        bao.root("POST", "sys/auth/approle", &json!({"type": "approle"}));
        bao.root("POST", "auth/approle/role/etl", &settings);
        let etl = target(
            &rooted(&bao, json!({})),
            "vault_approle",
            json!({"role": "etl"}),
        );
        let error = etl
            .preflight(&account("", ""), None, &cx)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains(word), "{error}");
    }
    let (bao, vault, _) = with_role(&json!({"secret_id_num_uses": 10}));
    let etl = target(&vault, "vault_approle", json!({"role": "etl"}));
    etl.preflight(&account("", ""), None, &cx).await.unwrap();
    let none = target(
        &rooted(&bao, json!({})),
        "vault_approle",
        json!({"role": "none"}),
    );
    for error in [
        none.preflight(&account("", ""), None, &cx)
            .await
            .unwrap_err(),
        none.issue("tag", &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
    }
    let denied = target(&vault, "vault_approle", json!({"role": "none"}));
    for error in [
        denied
            .preflight(&account("", ""), None, &cx)
            .await
            .unwrap_err(),
        denied.issue("tag", &cx).await.unwrap_err(),
        denied.issued(&cx).await.unwrap_err(),
        denied.revoke("none", &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
}

#[tokio::test]
async fn what_is_beside_a_value_is_no_field_and_no_version_of_it_and_not_listed() {
    let bao = OpenBao::dev();
    bao.mount_kv("old", 1);
    for mount in ["secret", "old"] {
        let vault = rooted(&bao, json!({"mount": mount}));
        let (cx, options, live) = (world(&[]), SetOptions::default(), at("demo/default#db"));
        vault
            .set(&live, &Secret::new("live"), &options, &cx)
            .await
            .unwrap();
        let version = vault.get(&live, &cx).await.unwrap().meta().version.clone();
        let beside = vault.beside(&live).unwrap();
        vault
            .set(&beside, &Secret::new("state"), &options, &cx)
            .await
            .unwrap();
        let read = vault.get(&live, &cx).await.unwrap();
        assert_eq!(
            (read.expose(), &read.meta().version),
            (&b"live"[..], &version)
        );
        assert_eq!(vault.get(&beside, &cx).await.unwrap().expose(), b"state");
        let listed = vault.list(None, &cx).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|one| one.reference.to_string()).collect();
        assert_eq!(listed, ["demo/default#db"]);
        let named = vault
            .list(Some("demo/default/.credchain-rotation/"), &cx)
            .await;
        assert_eq!(named.unwrap().len(), 1);
    }
}
