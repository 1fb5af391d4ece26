//! Reading, writing and listing, against a fake of Key Vault.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_core::{
    Expect, Kind, LinkName, ManualClock, Provider as _, Reference, Registry, Result, Secret,
    SetOptions, Setup, Version,
};
use credchain_tests::servers::fresh_secret;
use serde_json::json;

use crate::support::{CLIENT, FakeKeyVault, TENANT, get, reference, set, setup, world};

#[tokio::test]
async fn fields_and_spellings_of_one_secret_are_one_request() {
    let vault = FakeKeyVault::start();
    let document = r#"{"user": "app", "port": 5432}"#;
    vault.plant("prod-db", document, json!({}));
    vault.plant("other", "value", json!({}));
    let texts = [
        "prod-db#user",
        "Prod-DB#port",
        "other",
        "/prod-db",
        "prod-db#none",
        "a_b",
    ];
    let azure = vault.azure(json!({}));
    let answers = azure.get_many(&texts.map(reference), &vault.cx()).await;
    let told: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or(&b"none"[..], Secret::expose))
        .collect();
    let expected = [
        &b"app"[..],
        b"5432",
        b"value",
        document.as_bytes(),
        b"none",
        b"none",
    ];
    assert_eq!(told, expected);
    assert_eq!(answers[4].as_ref().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(answers[5].as_ref().unwrap_err().kind(), Kind::Invalid);
    assert_eq!(vault.asked().len(), 2, "{:?}", vault.asked());
}

#[tokio::test]
async fn a_batch_is_one_login_and_one_request_for_each_secret() {
    let vault = FakeKeyVault::start();
    let names: Vec<_> = (0..50).map(|index| format!("many-{index}")).collect();
    for name in &names {
        vault.plant(name, &format!("value of {name}"), json!({}));
    }
    let references: Vec<_> = names.iter().map(|name| reference(name)).collect();
    let azure = vault.azure(json!({"max_connections": 4}));
    for _ in 0..2 {
        let answers = azure.get_many(&references, &vault.cx()).await;
        for (name, answer) in names.iter().zip(answers) {
            let value = format!("value of {name}");
            assert_eq!(answer.unwrap().expose(), value.as_bytes());
        }
    }
    assert_eq!((vault.entra.logins(), vault.asked().len()), (1, 100));
}

#[tokio::test]
async fn a_batch_tries_a_refused_login_once() {
    let vault = FakeKeyVault::start();
    let wrong = fresh_secret("wrong");
    let cx = world([
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", wrong.as_str()),
    ]);
    let references = ["a", "b", "c"].map(reference);
    for answer in vault.azure(json!({})).get_many(&references, &cx).await {
        assert_eq!(answer.unwrap_err().kind(), Kind::Unauthenticated);
    }
    assert_eq!((vault.entra.logins(), vault.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_listing_has_all_pages_and_only_the_prefix() {
    let vault = FakeKeyVault::start();
    for index in 0..60 {
        vault.plant(&format!("Team-{index}"), "v", json!({}));
    }
    vault.plant("other", "v", json!({}));
    vault.plant("team-disabled", "v", json!({"enabled": false}));
    vault.plant("team-expired", "v", json!({"exp": 1}));
    let team = vault.azure(json!({"prefix": "team-"}));
    let listed = team.list(None, &vault.cx()).await.unwrap();
    assert_eq!(listed.len(), 60);
    assert!(listed.iter().all(|one| one.created.is_some()));
    assert_eq!(vault.asked().len(), 3);
    assert_eq!(team.list(Some("5"), &vault.cx()).await.unwrap().len(), 11);
    assert!(team.list(Some("ä"), &vault.cx()).await.unwrap().is_empty());
    let all = vault.azure(json!({}));
    let listed = all.list(Some("TEAM-1"), &vault.cx()).await.unwrap();
    assert_eq!(listed.len(), 11);
    assert!(listed[0].reference.path().starts_with("Team-1"));
}

#[tokio::test]
async fn what_may_not_be_used_is_missing_and_says_what_changes_that() {
    let vault = FakeKeyVault::start();
    vault.plant("disabled", "canary", json!({"enabled": false}));
    vault.plant("expired", "canary", json!({"exp": 1_600_000_000}));
    vault.plant("early", "canary", json!({"nbf": 9_000_000_000_u64}));
    let azure = vault.azure(json!({}));
    for (name, command) in [
        ("disabled", "--name disabled --enabled true`"),
        ("expired", "--name expired --expires"),
        ("early", "--name early --not-before"),
    ] {
        let error = get(&azure, name, &vault.cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{name}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("`az keyvault secret set-attributes --vault-name"),
            "{hint}"
        );
        assert!(hint.contains(command), "{hint}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn an_end_is_told_and_kept_by_the_clock_that_is_handed_in() {
    let vault = FakeKeyVault::start();
    let manual = ManualClock::new();
    let cx = vault.cx().with_clock(manual.clock());
    let now = seconds(cx.clock().now());
    vault.plant("db", "v", json!({"exp": now + 60}));
    let azure = vault.azure(json!({}));
    let secret = azure.get(&reference("db"), &cx).await.unwrap();
    assert_eq!(secret.meta().expires.map(seconds), Some(now + 60));
    manual.advance(Duration::from_mins(1));
    assert_eq!(
        get(&azure, "db", &cx).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}

#[tokio::test]
async fn a_deleted_secret_blocks_its_name_and_says_how_to_have_it_back() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    set(&azure, "db", "v", &vault.cx()).await.unwrap();
    azure.delete(&reference("db"), &vault.cx()).await.unwrap();
    let read = get(&azure, "db", &vault.cx()).await.unwrap_err();
    assert_eq!(read.kind(), Kind::NotFound);
    let error = set(&azure, "db", "v", &vault.cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("`az keyvault secret recover --vault-name"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_purge_waits_until_the_deletion_is_complete() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({"purge": true}));
    set(&azure, "db", "v", &vault.cx()).await.unwrap();
    vault.delete_slowly("db", 1);
    azure.delete(&reference("db"), &vault.cx()).await.unwrap();
    let purges = vault.asked();
    let purges = purges
        .iter()
        .filter(|asked| *asked == "DELETE /deletedsecrets/db");
    assert_eq!(purges.count(), 2);
    set(&azure, "db", "v", &vault.cx()).await.unwrap();
}

#[tokio::test]
async fn a_purge_that_takes_too_long_ends_at_the_deadline() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({"purge": true}));
    set(&azure, "db", "v", &vault.cx()).await.unwrap();
    vault.delete_slowly("db", 1_000);
    let short = vault.cx().with_timeout(Duration::from_millis(300));
    let error = azure.delete(&reference("db"), &short).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn only_a_whole_secret_is_written_and_nothing_is_promised_about_others() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    let version = "0".repeat(32);
    for text in ["db#user", &format!("db?version={version}")] {
        let error = set(&azure, text, "v", &vault.cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{text}");
        let error = azure
            .delete(&reference(text), &vault.cx())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{text}");
    }
    for expect in [
        Expect::Absent,
        Expect::Version(Version::new(version).unwrap()),
    ] {
        let options = SetOptions::expecting(expect);
        let value = Secret::new("v");
        let written = azure
            .set(&reference("db"), &value, &options, &vault.cx())
            .await;
        assert_eq!(written.unwrap_err().kind(), Kind::Unsupported);
    }
    assert!(vault.asked().is_empty(), "{:?}", vault.asked());
}

#[tokio::test]
async fn what_is_no_text_is_refused_with_the_way_out() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    for value in [&b"\xff\xfe"[..], b"a\0b"] {
        let (value, options) = (Secret::new(value), SetOptions::default());
        let written = azure
            .set(&reference("db"), &value, &options, &vault.cx())
            .await;
        let error = written.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.hint().unwrap().contains("base64"));
    }
    assert!(vault.asked().is_empty());
}

#[tokio::test]
async fn what_is_stored_beside_a_value_is_told_without_it() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    let mut options = SetOptions::default();
    options.metadata = BTreeMap::from([("owner".to_owned(), "billing".to_owned())]);
    let value = Secret::new("canary");
    let written = azure
        .set(&reference("db"), &value, &options, &vault.cx())
        .await;
    let described = azure.describe(&reference("db"), &vault.cx()).await.unwrap();
    assert_eq!(described.version, Some(written.unwrap()));
    assert_eq!(described.metadata["owner"], "billing");
    assert!(!format!("{described:?}").contains("canary"));
    for index in 0..16 {
        options
            .metadata
            .insert(format!("tag{index}"), String::new());
    }
    let written = azure
        .set(&reference("db"), &value, &options, &vault.cx())
        .await;
    assert_eq!(written.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn of_versions_of_one_second_the_current_one_is_the_newest() {
    let vault = FakeKeyVault::start();
    vault.stop_time();
    let azure = vault.azure(json!({}));
    let cx = vault.cx();
    set(&azure, "db", "one", &cx).await.unwrap();
    set(&azure, "db", "two", &cx).await.unwrap();
    let last = set(&azure, "db", "three", &cx).await.unwrap();
    let history = azure.as_versioned().unwrap();
    let states = history.versions(&reference("db"), &cx).await.unwrap();
    assert_eq!((&states[0].version, states.len()), (&last, 3));
}

#[tokio::test]
async fn a_disabled_version_is_listed_as_one_and_stages_there_are_none() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    let (cx, place) = (vault.cx(), reference("db"));
    let first = set(&azure, "db", "one", &cx).await.unwrap();
    set(&azure, "db", "two", &cx).await.unwrap();
    let history = azure.as_versioned().unwrap();
    history.disable(&place, &first, &cx).await.unwrap();
    let states = history.versions(&place, &cx).await.unwrap();
    let enabled: Vec<_> = states.iter().map(|state| state.enabled).collect();
    assert_eq!(enabled, [true, false]);
    let error = get(&azure, &format!("db?version={first}"), &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let staged = history.stage(&place, &first, "current", &cx).await;
    assert_eq!(staged.unwrap_err().kind(), Kind::Unsupported);
    let destroyed = history.destroy(&place, &first, &cx).await;
    assert_eq!(destroyed.unwrap_err().kind(), Kind::Unsupported);
    let odd = Version::new("../../keys").unwrap();
    let error = history.disable(&place, &odd, &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn who_is_logged_in_is_told_by_name_and_not_by_token() {
    let vault = FakeKeyVault::start();
    let azure = vault.azure(json!({}));
    let identity = azure.identity(&vault.cx()).await.unwrap();
    assert_eq!(identity.name, CLIENT);
    assert_eq!(identity.details["tenant"], TENANT);
    assert_eq!(identity.details["object_id"], "object-of-the-app");
    assert!(identity.expires.is_some());
    let shown = format!("{identity:?} {azure:?}");
    assert!(!shown.contains("signature-"), "{shown}");
    assert!(vault.asked().is_empty(), "nothing is read for that");
}

#[tokio::test]
async fn the_vault_comes_from_the_environment_if_no_setting_names_it() {
    let vault = FakeKeyVault::start();
    vault.plant("db", "v", json!({}));
    let provider = credchain_provider_azure::Azure::from_setup(&setup(json!({}))).unwrap();
    let (url, login) = (vault.url(), vault.entra.url());
    let cx = world([
        ("AZURE_KEYVAULT_URL", url.as_str()),
        ("AZURE_AUTHORITY_HOST", login.as_str()),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", vault.entra.secret()),
    ]);
    assert_eq!(get(&provider, "db", &cx).await.unwrap(), "v");
    let elsewhere = credchain_provider_azure::Azure::from_setup(&setup(json!({}))).unwrap();
    let stranger = world([("AZURE_KEYVAULT_URL", "https://example.com")]);
    let error = get(&elsewhere, "db", &stranger).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn a_deadline_ends_a_read_of_a_server_that_does_not_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let vault = FakeKeyVault::start();
    let azure = support::azure(&silent, &vault.entra, json!({}));
    let short = vault.cx().with_timeout(Duration::from_millis(300));
    let place = reference("db");
    let read = tokio::time::timeout(Duration::from_secs(20), azure.get(&place, &short));
    assert_eq!(read.await.unwrap().unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn the_type_is_registered_and_builds_without_touching_anything() -> Result<()> {
    let registry = Registry::collect(&["azure"])?;
    let registration = registry.get("azure").unwrap();
    let wrong = setup(json!({"vault": "http://a.vault.azure.net"}));
    let error = (registration.build)(wrong).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let provider = (registration.build)(Setup::new(LinkName::literal("azure")))?;
    assert_eq!(provider.capabilities(), registration.capabilities);
    let absent = provider.get(&Reference::new("db")?, &world([])).await;
    assert_eq!(absent.unwrap_err().kind(), Kind::Absent);
    Ok(())
}

#[tokio::test]
async fn what_is_beside_a_value_is_no_version_of_it_and_not_listed() {
    let vault = FakeKeyVault::start();
    let (azure, cx) = (vault.azure(json!({})), vault.cx());
    let (live, options) = (reference("db"), SetOptions::default());
    let beside = azure.beside(&live).unwrap();
    for (place, value) in [(&live, "live"), (&beside, "state")] {
        let value = Secret::new(value);
        azure.set(place, &value, &options, &cx).await.unwrap();
    }
    assert_eq!(azure.get(&live, &cx).await.unwrap().expose(), b"live");
    assert_eq!(azure.get(&beside, &cx).await.unwrap().expose(), b"state");
    let history = azure.as_versioned().unwrap();
    assert_eq!(history.versions(&live, &cx).await.unwrap().len(), 1);
    let listed = azure.list(None, &cx).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| one.reference.path()).collect();
    assert_eq!(listed, ["db"]);
    let named = azure.list(Some(beside.path()), &cx).await.unwrap();
    assert_eq!(named.len(), 1);
}
