//! What a real server does to us, and we to it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{at, rooted, vault, world};
use credchain_core::{Expect, Kind, Provider, Reference, Secret, SetOptions, Version};
use credchain_provider_vault::Vault;
use credchain_tests::servers::OpenBao;
use serde_json::{Value, json};

const READ_DEMO: &str = r#"
path "secret/data/demo/*" { capabilities = ["create", "update", "read"] }
path "secret/metadata/demo/*" { capabilities = ["list", "read"] }
"#;

/// A document with fifty fields, and fifty documents with one.
fn filled() -> OpenBao {
    let bao = OpenBao::dev();
    let fields: Value = (0..50)
        .map(|n| (format!("f{n}"), json!(format!("value-{n}"))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    bao.root(
        "POST",
        "secret/data/demo/default",
        &json!({ "data": fields }),
    );
    bao
}

fn approle(bao: &OpenBao, settings: &Value) -> (Value, String) {
    bao.policy("demo", READ_DEMO);
    let (role_id, secret_id) = bao.approle("demo", settings);
    let auth = json!({
        "address": bao.url(),
        "kv_version": 2,
        "auth": {"method": "approle", "role_id": role_id, "secret_id": {"credential": "sid"}},
    });
    (auth, secret_id)
}

async fn text(vault: &Vault, reference: &str) -> credchain_core::Result<String> {
    let secret = vault.get(&at(reference), &world(&[])).await?;
    Ok(String::from_utf8(secret.expose().to_vec()).expect("the value is text"))
}

async fn kind(vault: &Vault, reference: &str) -> Kind {
    let failure = text(vault, reference).await;
    failure.expect_err("a failure").kind()
}

#[tokio::test]
async fn fifty_fields_of_one_document_are_one_login_and_one_read() {
    let bao = filled();
    let (settings, secret_id) = approle(&bao, &json!({"token_policies": "demo"}));
    let vault = vault(settings, &[("sid", &secret_id)]);
    let before = bao.requests().len();
    let references: Vec<Reference> = (0..50).map(|n| at(&format!("demo/default#f{n}"))).collect();
    let values = vault.get_many(&references, &world(&[])).await;
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value.unwrap().expose(), format!("value-{n}").as_bytes());
    }
    let asked: Vec<String> = bao.requests()[before..]
        .iter()
        .map(|request| request["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked, ["auth/approle/login", "secret/data/demo/default"]);
}

#[tokio::test]
async fn the_version_of_a_mount_is_looked_up_once() {
    let bao = filled();
    let vault = rooted(&bao, json!({}));
    let reads = ["f1", "f2", "f3"].map(|field| {
        let vault = vault.clone();
        tokio::spawn(async move { text(&vault, &format!("demo/default#{field}")).await })
    });
    for read in reads {
        read.await.unwrap().unwrap();
    }
    assert_eq!(bao.count("sys/internal/ui/mounts/secret"), 1);
    let lost = rooted(&bao, json!({"mount": "nowhere"}));
    let error = lost.get(&at("a#b"), &world(&[])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.message().contains("`nowhere`"), "{error}");
}

#[tokio::test]
async fn each_login_gets_in_and_a_wrong_one_does_not() {
    let bao = filled();
    bao.policy("demo", READ_DEMO);
    bao.root("POST", "sys/auth/userpass", &json!({"type": "userpass"}));
    let user = json!({"password": "the-password", "token_policies": "demo"});
    bao.root("POST", "auth/userpass/users/ada", &user);
    let token = bao.token(&["demo"], "1h", true);
    let login = |auth: Value, known: &str| {
        let settings = json!({"address": bao.url(), "kv_version": 2, "auth": auth});
        vault(settings, &[("it", known)])
    };
    let it = json!({"credential": "it"});
    let userpass = json!({"method": "userpass", "username": "ada", "password": it});
    let by_token = json!({"method": "token", "token": it});
    for (auth, right) in [(&userpass, "the-password"), (&by_token, token.as_str())] {
        let found = text(&login(auth.clone(), right), "demo/default#f7").await;
        assert_eq!(found.unwrap(), "value-7", "{auth}");
        let refused = kind(&login(auth.clone(), "wrong"), "demo/default#f7").await;
        assert_eq!(refused, Kind::Unauthenticated, "{auth}");
    }
    let (settings, secret_id) = approle(&bao, &json!({"token_policies": "demo"}));
    let right = vault(settings.clone(), &[("sid", &secret_id)]);
    assert_eq!(text(&right, "demo/default#f7").await.unwrap(), "value-7");
    let wrong = vault(settings, &[("sid", "wrong")]);
    assert_eq!(kind(&wrong, "demo/default#f7").await, Kind::Unauthenticated);
}

#[tokio::test]
async fn a_wrapped_secret_id_is_unwrapped_once_and_a_stolen_one_is_noticed() {
    let bao = filled();
    let (mut settings, _) = approle(&bao, &json!({"token_policies": "demo", "token_ttl": "1h"}));
    settings["auth"]["wrapped"] = json!(true);
    let wrap = || {
        let output = std::process::Command::new(OpenBao::program())
            .args(["write", "-wrap-ttl=60s", "-field=wrapping_token", "-f"])
            .arg("auth/approle/role/demo/secret-id")
            .env("BAO_ADDR", bao.url())
            .env("BAO_TOKEN", bao.root_token())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let fresh = wrap();
    let vault_of = |token: &str| vault(settings.clone(), &[("sid", token)]);
    assert_eq!(
        text(&vault_of(&fresh), "demo/default#f1").await.unwrap(),
        "value-1"
    );
    let error = vault_of(&fresh)
        .get(&at("demo/default#f1"), &world(&[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("unwrapped"), "{error}");
}

#[tokio::test]
async fn the_environment_says_where_the_server_is_and_who_we_are() {
    let bao = filled();
    let vault = vault(json!({}), &[]);
    let url = bao.url();
    let cx = world(&[
        ("VAULT_ADDR", url.as_str()),
        ("VAULT_TOKEN", bao.root_token()),
    ]);
    assert_eq!(
        vault
            .get(&at("demo/default#f3"), &cx)
            .await
            .unwrap()
            .expose(),
        b"value-3"
    );

    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join(".vault-token"),
        format!("{}\n", bao.root_token()),
    )
    .unwrap();
    let home = home.path().to_str().unwrap();
    let left = common::vault(json!({}), &[]);
    let cx = world(&[("BAO_ADDR", url.as_str()), ("HOME", home)]);
    assert_eq!(
        left.get(&at("demo/default#f3"), &cx)
            .await
            .unwrap()
            .expose(),
        b"value-3"
    );

    let nobody = common::vault(json!({}), &[]);
    let cx = world(&[("VAULT_ADDR", url.as_str())]);
    let error = nobody.get(&at("demo/default#f3"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.hint().unwrap().contains("VAULT_TOKEN"));
}

#[tokio::test]
async fn a_refusal_by_policy_is_a_denial_and_a_lost_token_is_not() {
    let bao = filled();
    bao.policy("demo", READ_DEMO);
    let token = bao.token(&["demo"], "1h", true);
    let settings = json!({
        "address": bao.url(),
        "kv_version": 2,
        "auth": {"method": "token", "token": {"credential": "it"}},
    });
    let vault = vault(settings, &[("it", &token)]);
    let error = vault.get(&at("other#x"), &world(&[])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(
        error.hint().unwrap().contains("secret/data/other"),
        "{error:?}"
    );
    bao.root("POST", "auth/token/revoke", &json!({ "token": token }));
    assert_eq!(kind(&vault, "demo/default#f1").await, Kind::Unauthenticated);
}

#[tokio::test]
async fn a_hundred_readers_with_a_dead_token_log_in_once() {
    let bao = filled();
    let (settings, secret_id) = approle(&bao, &json!({"token_policies": "demo"}));
    let vault = vault(settings, &[("sid", &secret_id)]);
    text(&vault, "demo/default#f1").await.unwrap();
    let accessors = bao.root("GET", "auth/token/accessors/?list=true", &Value::Null);
    for accessor in accessors["data"]["keys"].as_array().unwrap() {
        let looked = json!({ "accessor": accessor });
        let found = bao.root("POST", "auth/token/lookup-accessor", &looked);
        if found["data"]["path"] == "auth/approle/login" {
            bao.root("POST", "auth/token/revoke-accessor", &looked);
        }
    }
    let readers = (0..100).map(|_| {
        let vault = vault.clone();
        tokio::spawn(async move { text(&vault, "demo/default#f1").await })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap().unwrap(), "value-1");
    }
    let logins = bao.count("auth/approle/login");
    assert_eq!(logins, 2, "the first one, and one for all");
}

#[tokio::test]
async fn a_short_login_is_renewed_while_it_may_be_and_replaced_after_that() {
    let bao = filled();
    let role = json!({"token_policies": "demo", "token_ttl": "2s", "token_max_ttl": "4s"});
    let (settings, secret_id) = approle(&bao, &role);
    let vault = vault(settings, &[("sid", &secret_id)]);
    for _ in 0..400 {
        assert_eq!(text(&vault, "demo/default#f1").await.unwrap(), "value-1");
        if bao.count("auth/approle/login") > 1 {
            assert!(
                bao.count("auth/token/renew-self") >= 1,
                "it was renewed first"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a token outlived its maximum");
}

#[tokio::test]
async fn a_sealed_or_stopped_server_is_unavailable_and_its_return_is_noticed() {
    let mut bao = OpenBao::with_tls();
    bao.root(
        "POST",
        "secret/data/demo/default",
        &json!({"data": {"a": "b"}}),
    );
    let ca = bao.ca();
    let vault = rooted(&bao, json!({"ca": ca}));
    assert_eq!(text(&vault, "demo/default#a").await.unwrap(), "b");
    bao.seal();
    assert_eq!(kind(&vault, "demo/default#a").await, Kind::Unavailable);
    bao.unseal();
    assert_eq!(text(&vault, "demo/default#a").await.unwrap(), "b");
    bao.restart();
    assert_eq!(kind(&vault, "demo/default#a").await, Kind::Unavailable);
    bao.unseal();
    assert_eq!(text(&vault, "demo/default#a").await.unwrap(), "b");
    bao.stop();
    assert_eq!(kind(&vault, "demo/default#a").await, Kind::Unavailable);
}

#[tokio::test]
async fn a_certificate_of_nobody_we_know_is_refused_with_the_way_out() {
    let bao = OpenBao::with_tls();
    let vault = rooted(&bao, json!({}));
    let error = vault.get(&at("a#b"), &world(&[])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("certificate") && error.hint().unwrap().contains("`ca`"));
    let plain = bao.url().replace("https", "http");
    let mut settings = json!({ "address": plain });
    settings["auth"] = json!({"method": "token", "token": {"credential": "root"}});
    let plain = common::vault(settings, &[("root", bao.root_token())]);
    let error = plain.get(&at("a#b"), &world(&[])).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Unavailable,
        "HTTP to a TLS port is a 400"
    );
    assert!(error.hint().unwrap().contains("`address`"), "{error:?}");
}

#[tokio::test]
async fn versions_deletions_and_their_undoing_are_told() {
    let bao = OpenBao::dev();
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    for value in ["one", "two"] {
        let options = SetOptions::default();
        vault
            .set(&at("demo/v#a"), &Secret::new(value), &options, &cx)
            .await
            .unwrap();
    }
    assert_eq!(text(&vault, "demo/v#a?version=1").await.unwrap(), "one");
    assert_eq!(
        text(&vault, "demo/v#a?version=previous").await.unwrap(),
        "one"
    );
    let current = vault.get(&at("demo/v#a"), &cx).await.unwrap();
    assert_eq!(current.meta().version, Some(Version::number(2)));
    assert!(current.meta().created.is_some());
    bao.root("DELETE", "secret/data/demo/v", &Value::Null);
    let error = vault.get(&at("demo/v#a"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(
        error.hint().unwrap().contains("vault kv undelete"),
        "{error:?}"
    );
    // Writing over a deleted version is no conflict.
    let options = SetOptions::expecting(Expect::Absent);
    let written = vault
        .set(&at("demo/v#a"), &Secret::new("three"), &options, &cx)
        .await;
    assert_eq!(written.unwrap(), Version::number(3));
}

#[tokio::test]
async fn writing_one_field_leaves_the_others_exactly_as_they_were() {
    let bao = OpenBao::dev();
    let document = json!({"data": {"n": 1.50, "o": {"a": [1, null]}, "t": "x"}});
    bao.root("POST", "secret/data/demo/default", &document);
    let vault = rooted(&bao, json!({}));
    let mut options = SetOptions::default();
    options.metadata.insert("owner".into(), "billing".into());
    let cx = world(&[]);
    vault
        .set(&at("demo/default#t"), &Secret::new("y"), &options, &cx)
        .await
        .unwrap();
    assert_eq!(
        text(&vault, "demo/default#o").await.unwrap(),
        r#"{"a":[1,null]}"#
    );
    assert_eq!(text(&vault, "demo/default#n").await.unwrap(), "1.5");
    let described = vault.describe(&at("demo/default#t"), &cx).await.unwrap();
    assert_eq!(described.metadata["owner"], "billing");
    vault.delete(&at("demo/default#n"), &cx).await.unwrap();
    assert_eq!(kind(&vault, "demo/default#n").await, Kind::NotFound);
    assert_eq!(text(&vault, "demo/default#t").await.unwrap(), "y");
}

#[tokio::test]
async fn what_cannot_be_answered_is_explained() {
    let bao = OpenBao::dev();
    bao.root(
        "POST",
        "secret/data/two",
        &json!({"data": {"a": "1", "b": "2"}}),
    );
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    let error = vault.get(&at("two"), &cx).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint().unwrap().ends_with("a, b")),
        (Kind::Invalid, true)
    );
    let error = vault.get(&at("two#c"), &cx).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.hint().unwrap().ends_with("a, b")),
        (Kind::NotFound, true)
    );
    assert_eq!(kind(&vault, "two#a?version=7").await, Kind::NotFound);
    let engine = rooted(&bao, json!({"mount": "cubbyhole"}));
    assert_eq!(kind(&engine, "x#y").await, Kind::Misconfigured);
    let small = rooted(&bao, json!({"max_size": "100B"}));
    assert_eq!(kind(&small, "two#a").await, Kind::Invalid);
    for odd in ["a//b#c", "a/./b#c"] {
        assert_eq!(kind(&vault, odd).await, Kind::Invalid, "{odd}");
    }
}

#[tokio::test]
async fn who_is_logged_in_is_told_without_the_token() {
    let bao = filled();
    let (settings, secret_id) =
        approle(&bao, &json!({"token_policies": "demo", "token_ttl": "1h"}));
    let vault = vault(settings, &[("sid", &secret_id)]);
    let identity = vault.identity(&world(&[])).await.unwrap();
    assert_eq!(identity.name, "approle");
    assert!(identity.details["policies"].contains("demo") && identity.expires.is_some());
    assert!(!format!("{identity:?}").contains("s."), "{identity:?}");
}

#[tokio::test]
async fn a_namespace_is_a_world_of_its_own() {
    let bao = OpenBao::dev();
    bao.root("POST", "sys/namespaces/team", &json!({}));
    let root = bao.root_token().to_owned();
    let mount = json!({"type": "kv", "options": {"version": "1"}});
    bao.api_in("team", "POST", "sys/mounts/kv", &root, &mount);
    bao.api_in(
        "team",
        "POST",
        "kv/demo/default",
        &root,
        &json!({"a": "inside"}),
    );
    let inside = rooted(&bao, json!({"namespace": "team", "mount": "kv"}));
    assert_eq!(text(&inside, "demo/default#a").await.unwrap(), "inside");
    let outside: Arc<Vault> = rooted(&bao, json!({"mount": "kv", "kv_version": 1}));
    assert_eq!(kind(&outside, "demo/default#a").await, Kind::Misconfigured);
    let nowhere = rooted(
        &bao,
        json!({"namespace": "none", "mount": "kv", "kv_version": 1}),
    );
    assert_eq!(kind(&nowhere, "demo/default#a").await, Kind::Misconfigured);
}

#[tokio::test]
async fn a_mount_of_another_version_than_was_set_is_misconfigured() {
    let bao = filled();
    bao.mount_kv("old", 1);
    bao.root(
        "POST",
        "old/demo/default",
        &json!({"data": {"a": 1}, "metadata": {"version": 3}}),
    );
    let as_v1 = rooted(&bao, json!({"kv_version": 1}));
    assert_eq!(kind(&as_v1, "demo/default#f1").await, Kind::Misconfigured);
    let options = SetOptions::default();
    let written = as_v1
        .set(
            &at("demo/default#f1"),
            &Secret::new("x"),
            &options,
            &world(&[]),
        )
        .await;
    assert_eq!(written.unwrap_err().kind(), Kind::Misconfigured);
    // A document of KV v1 may look like an answer of KV v2.
    let old = rooted(&bao, json!({"mount": "old"}));
    assert_eq!(text(&old, "demo/default#data").await.unwrap(), r#"{"a":1}"#);
    assert_eq!(
        text(&old, "/old/demo/default#data").await.unwrap(),
        r#"{"a":1}"#
    );
    // And one of KV v2 is read by its whole path, too.
    assert_eq!(
        text(&old, "/secret/data/demo/default#f1").await.unwrap(),
        "value-1"
    );
}

#[tokio::test]
async fn odd_paths_lead_to_what_they_name_and_nowhere_else() {
    let bao = OpenBao::dev();
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    for path in ["a b", "a%2fb", "a%252Fb", "a%3Fb", "a%23b", "ä", "a+b&c=d"] {
        let place = at(&format!("demo/{path}#x"));
        let options = SetOptions::default();
        let value = Secret::new(path);
        vault.set(&place, &value, &options, &cx).await.unwrap();
    }
    for path in ["a b", "a%2fb", "a%252Fb", "a%3Fb", "a%23b", "ä", "a+b&c=d"] {
        assert_eq!(text(&vault, &format!("demo/{path}#x")).await.unwrap(), path);
    }
    let keys = bao.root("GET", "secret/metadata/demo?list=true", &Value::Null);
    assert_eq!(keys["data"]["keys"].as_array().unwrap().len(), 7, "{keys}");
    for odd in ["demo/../sys/x#a", "demo/%2e%2e/x#a", "demo/a%0ab#a"] {
        let refused = odd.parse::<Reference>();
        let refused = match refused {
            Ok(reference) => vault.get(&reference, &cx).await.unwrap_err().kind(),
            Err(error) => error.kind(),
        };
        assert!(
            matches!(refused, Kind::Invalid | Kind::NotFound),
            "{odd}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn what_is_said_beside_a_value_is_added_to_what_was_said_before() {
    let bao = OpenBao::dev();
    let vault = rooted(&bao, json!({}));
    let cx = world(&[]);
    for (key, value) in [("owner", "billing"), ("ticket", "7")] {
        let mut options = SetOptions::default();
        options.metadata.insert(key.into(), value.into());
        vault
            .set(&at("demo/default#t"), &Secret::new(value), &options, &cx)
            .await
            .unwrap();
    }
    let described = vault.describe(&at("demo/default#t"), &cx).await.unwrap();
    assert_eq!(described.metadata.len(), 2, "{described:?}");
}
