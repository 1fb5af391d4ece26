//! What rotation changes at a real server: passwords and static roles.

mod common;

use std::time::Duration;

use common::{account, limited, rooted, target, tokens, world};
use credchain_core::{Kind, Maker, Rotatable as _, Settings, Verdict};
use credchain_tests::servers::{OpenBao, Postgres, fresh_secret};
use serde_json::{Value, json};

/// After this many wrong passwords the server locks a user out.
const LOCKOUT: usize = 5;

/// A server with a user, and the user's password.
fn with_user() -> (OpenBao, String) {
    let (bao, password) = (OpenBao::dev(), fresh_secret("password"));
    bao.root("POST", "sys/auth/userpass", &json!({"type": "userpass"}));
    let user = json!({"password": password, "token_policies": "default"});
    bao.root("POST", "auth/userpass/users/ada", &user);
    (bao, password)
}

#[tokio::test]
async fn a_new_password_works_the_old_one_is_refused_and_no_token_is_left() {
    let (bao, old) = with_user();
    let (cx, new) = (world(&[]), fresh_secret("password"));
    let ada = target(
        &rooted(&bao, json!({})),
        "vault_userpass",
        json!({"user": "ada"}),
    );
    assert_eq!(ada.abilities().maker, Maker::Us);
    let (old, new) = (account("ada", &old), account("", &new));
    ada.preflight(&old, None, &cx).await.unwrap();
    let before = tokens(&bao);
    assert_eq!(ada.probe(&old, &cx).await.unwrap(), Verdict::Accepted);
    assert_eq!(ada.probe(&new, &cx).await.unwrap(), Verdict::Refused);
    for _ in 0..2 {
        ada.apply(&new, &cx).await.unwrap();
    }
    assert_eq!(ada.probe(&new, &cx).await.unwrap(), Verdict::Accepted);
    assert_eq!(ada.probe(&old, &cx).await.unwrap(), Verdict::Refused);
    assert_eq!(tokens(&bao), before);
}

#[tokio::test]
async fn a_user_who_is_locked_out_is_not_refused() {
    let (bao, password) = with_user();
    let cx = world(&[]);
    let ada = target(
        &rooted(&bao, json!({})),
        "vault_userpass",
        json!({"user": "ada"}),
    );
    let wrong = account("ada", &fresh_secret("wrong"));
    for _ in 0..LOCKOUT {
        assert_eq!(ada.probe(&wrong, &cx).await.unwrap(), Verdict::Refused);
    }
    for tried in [&wrong, &account("ada", &password)] {
        let error = ada.probe(tried, &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Throttled);
        assert!(error.message().contains("locked out"), "{error}");
    }
}

#[tokio::test]
async fn what_the_server_cannot_keep_is_invalid_and_who_is_not_there_is_misconfigured() {
    let (bao, password) = with_user();
    let cx = world(&[]);
    let vault = rooted(&bao, json!({}));
    let ada = target(&vault, "vault_userpass", json!({"user": "ada"}));
    let long = fresh_secret("password").repeat(9);
    for odd in [long.as_str(), ""] {
        let error = ada.apply(&account("ada", odd), &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(odd.is_empty() || !format!("{error:?}").contains(odd));
    }
    let current = account("ada", &password);
    let nobody = ada.preflight(&current, Some("bob"), &cx).await.unwrap_err();
    assert_eq!(nobody.kind(), Kind::Misconfigured);
    assert!(nobody.message().contains("`bob`"), "{nobody}");
    let elsewhere = json!({"user": "ada", "mount": "nowhere"});
    let nowhere = target(&vault, "vault_userpass", elsewhere);
    for error in [
        nowhere.preflight(&current, None, &cx).await.unwrap_err(),
        nowhere.apply(&current, &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
    }
    for wrong in [
        json!({}),
        json!({"user": "a/b"}),
        json!({"user": "a", "mount": "../sys"}),
    ] {
        let settings = Settings::from_json(wrong);
        let error = vault.target("vault_userpass", &settings).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
    }
    let other = vault
        .target("vault_ldap", &Settings::default())
        .unwrap_err();
    assert_eq!(other.kind(), Kind::Unsupported);
}

#[tokio::test]
async fn without_the_right_it_is_denied_before_and_while_it_is_changed() {
    let (bao, password) = with_user();
    let cx = world(&[]);
    let ada = account("ada", &password);
    let nothing = limited(
        &bao,
        r#"path "auth/userpass/users/ada" { capabilities = ["read"] }"#,
    );
    let target_ = target(&nothing, "vault_userpass", json!({"user": "ada"}));
    for error in [
        target_.preflight(&ada, None, &cx).await.unwrap_err(),
        target_.apply(&ada, &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Denied);
        let hint = error.hint().unwrap();
        assert!(hint.contains("auth/userpass/users/ada/password"), "{hint}");
        assert!(!format!("{error:?}{target_:?}").contains(&password));
    }
    let enough = r#"path "auth/userpass/users/ada/password" { capabilities = ["update"] }"#;
    let enough = target(
        &limited(&bao, enough),
        "vault_userpass",
        json!({"user": "ada"}),
    );
    enough.preflight(&ada, None, &cx).await.unwrap();
    enough.apply(&ada, &cx).await.unwrap();
}

#[tokio::test]
async fn a_static_role_is_rotated_once_although_asked_twice() {
    let (bao, postgres) = (OpenBao::dev(), Postgres::start());
    bao.database(&postgres, "app", "1h", "2h");
    postgres.sql("create role reports login password 'none yet'");
    let role = json!({"db_name": "postgres", "username": "reports", "rotation_period": "1h"});
    bao.root("POST", "database/static-roles/reports", &role);
    let served = || {
        bao.root("GET", "database/static-creds/reports", &Value::Null)["data"]["password"].clone()
    };
    let (cx, first) = (world(&[]), served());
    let vault = limited(
        &bao,
        r#"
path "database/static-creds/reports" { capabilities = ["read"] }
path "database/rotate-role/reports"  { capabilities = ["update"] }
"#,
    );
    let reports = target(&vault, "vault_database", json!({"role": "reports"}));
    assert_eq!(reports.abilities().maker, Maker::Owner);
    let current = account("reports", "unknown");
    reports.preflight(&current, None, &cx).await.unwrap();
    let made = reports.rotated(&cx).await.unwrap().unwrap();
    let since = made + Duration::from_nanos(1);
    for _ in 0..2 {
        reports.rotate(since, &cx).await.unwrap();
    }
    assert_eq!(bao.count("database/rotate-role/reports"), 1);
    assert!(reports.rotated(&cx).await.unwrap().unwrap() >= since);
    assert_ne!(served(), first);
    let unjudged = reports.probe(&current, &cx).await.unwrap_err();
    assert_eq!(unjudged.kind(), Kind::Unsupported);
    let other = target(&vault, "vault_database", json!({"role": "other"}));
    let denied = other.preflight(&current, None, &cx).await.unwrap_err();
    assert_eq!(denied.kind(), Kind::Denied);
    let none = target(
        &rooted(&bao, json!({})),
        "vault_database",
        json!({"role": "none"}),
    );
    for error in [
        none.preflight(&current, None, &cx).await.unwrap_err(),
        none.rotate(since, &cx).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
    }
}

#[tokio::test]
async fn a_sealed_or_stopped_server_judges_and_changes_nothing() {
    let mut bao = OpenBao::with_tls();
    bao.root("POST", "sys/auth/userpass", &json!({"type": "userpass"}));
    let (cx, vault) = (world(&[]), rooted(&bao, json!({"ca": bao.ca()})));
    let ada = target(&vault, "vault_userpass", json!({"user": "ada"}));
    let etl = target(&vault, "vault_approle", json!({"role": "etl"}));
    let reports = target(&vault, "vault_database", json!({"role": "reports"}));
    let secret = fresh_secret("password");
    let current = account("ada", &secret);
    for stop in [false, true] {
        if stop {
            bao.stop();
        } else {
            bao.seal();
        }
        for error in [
            ada.preflight(&current, None, &cx).await.unwrap_err(),
            ada.probe(&current, &cx).await.unwrap_err(),
            ada.apply(&current, &cx).await.unwrap_err(),
            etl.issue("tag", &cx).await.unwrap_err(),
            etl.revoke("id", &cx).await.unwrap_err(),
            reports.rotate(cx.clock().now(), &cx).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(!format!("{error:?}").contains(&secret));
        }
    }
}
