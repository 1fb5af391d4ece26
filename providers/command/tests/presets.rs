//! The presets against the real tools. A tool that is not installed fails its tests; the Debian
//! packages are in `tests/PACKAGES`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credchain_core::{Kind, Provider, Secret, SetOptions};
use serde_json::json;
use support::home::{Home, PasswordStore};
use support::{at, cx, merged};

async fn write(provider: &Arc<dyn Provider>, place: &str, value: &[u8]) {
    let value = Secret::new(value);
    provider
        .set(&at(place), &value, &SetOptions::default(), &cx())
        .await
        .unwrap();
}

async fn read(provider: &Arc<dyn Provider>, place: &str) -> Vec<u8> {
    provider
        .get(&at(place), &cx())
        .await
        .unwrap()
        .expose()
        .to_vec()
}

async fn fails(provider: &Arc<dyn Provider>, place: &str) -> Kind {
    let error = provider.get(&at(place), &cx()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    error.kind()
}

#[tokio::test]
async fn pass_keeps_every_byte_and_finds_fields() {
    let store = PasswordStore::new();
    let provider = store.provider();
    assert!(provider.capabilities().encrypted && provider.capabilities().write);
    let all: Vec<u8> = (0..=255).collect();
    for value in [
        &all[..],
        b"",
        b"line\n\n",
        b"-n",
        "\u{e9}\u{1f511}".as_bytes(),
    ] {
        write(&provider, "team/a b", value).await;
        assert_eq!(read(&provider, "team/a b").await, value);
    }
    // As people write it: `pass insert` ends a value with a newline.
    write(
        &provider,
        "site",
        b"hunter2\nuser: me\nurl: https://x.example",
    )
    .await;
    let places = [
        at("site#password"),
        at("site#user"),
        at("site#url"),
        at("site#nope"),
    ];
    let fields = provider.get_many(&places, &cx()).await;
    assert_eq!(fields[0].as_ref().unwrap().expose(), b"hunter2");
    assert_eq!(fields[1].as_ref().unwrap().expose(), b"me");
    assert_eq!(fields[2].as_ref().unwrap().expose(), b"https://x.example");
    assert_eq!(fields[3].as_ref().unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn pass_failures_have_their_kinds() {
    let store = PasswordStore::new();
    let provider = store.provider();
    assert_eq!(fails(&provider, "nope").await, Kind::NotFound);
    write(&provider, "team/key", b"v").await;
    assert_eq!(
        fails(&provider, "team").await,
        Kind::NotFound,
        "a folder is no value"
    );

    let directory = store.0.path().join("store");
    std::fs::write(directory.join("broken.gpg"), "canary, not encrypted").unwrap();
    assert_eq!(fails(&provider, "broken").await, Kind::Invalid);

    provider.delete(&at("team/key"), &cx()).await.unwrap();
    let error = provider.delete(&at("team/key"), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);

    write(&provider, "locked", b"v").await;
    let keys = store.0.path().join("gnupg");
    std::fs::rename(keys.join("private-keys-v1.d"), keys.join("away")).unwrap();
    store.0.run("gpgconf", &["--kill", "gpg-agent"]);
    assert_eq!(fails(&provider, "locked").await, Kind::Unauthenticated);

    std::fs::remove_file(directory.join(".gpg-id")).unwrap();
    let value = Secret::new("v");
    let error = provider
        .set(&at("x"), &value, &SetOptions::default(), &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn git_helpers_are_asked_through_git() {
    let home = Home::new();
    home.run("git", &["config", "--global", "credential.helper", "store"]);
    let provider = home.provider(json!({"preset": "git-credential"}));
    let place = "https://bob@git.example";
    assert_eq!(fails(&provider, place).await, Kind::NotFound);
    assert_eq!(fails(&provider, "no url").await, Kind::Invalid);
    write(&provider, place, "p=\u{e4} \"1\"".as_bytes()).await;
    assert_eq!(read(&provider, place).await, "p=\u{e4} \"1\"".as_bytes());
    assert_eq!(
        read(&provider, "https://git.example#username").await,
        b"bob"
    );
    assert_eq!(
        fails(&provider, "https://al@git.example").await,
        Kind::NotFound
    );
    provider.delete(&at(place), &cx()).await.unwrap();
    let error = provider.delete(&at(place), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);

    for bad in ["two\nlines", "n\0l"] {
        let value = Secret::new(bad);
        let error = provider
            .set(&at(place), &value, &SetOptions::default(), &cx())
            .await;
        assert_eq!(error.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn git_without_a_helper_is_no_store_and_a_missing_helper_is_a_mistake() {
    let home = Home::new();
    let provider = home.provider(json!({"preset": "git-credential"}));
    let value = Secret::new("v");
    let place = at("https://bob@git.example");
    let error = provider
        .set(&place, &value, &SetOptions::default(), &cx())
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Unsupported,
        "git accepts it and forgets it"
    );
    home.run(
        "git",
        &["config", "--global", "credential.helper", "no-such-helper"],
    );
    assert_eq!(
        fails(&provider, "https://git.example").await,
        Kind::Misconfigured
    );
}

#[tokio::test]
async fn docker_helpers_are_asked_directly() {
    let store = PasswordStore::new();
    let provider = store
        .0
        .provider(json!({"preset": "docker-credential", "program": "docker-credential-pass"}));
    let registry = "https://registry.example/v1/";
    assert_eq!(
        fails(&provider, registry).await,
        Kind::NotFound,
        "an empty store"
    );
    write(&provider, registry, b"tok \"en\"").await;
    assert_eq!(read(&provider, registry).await, b"tok \"en\"");
    assert_eq!(
        read(&provider, &format!("{registry}#Username")).await,
        b"<token>"
    );
    assert_eq!(
        fails(&provider, "https://other.example").await,
        Kind::NotFound
    );
    let trimmed = Secret::new("v\n");
    let options = SetOptions::default();
    let error = provider
        .set(&at("https://x.example"), &trimmed, &options, &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "the helper drops the newline");
    provider
        .delete(&at("https://x.example"), &cx())
        .await
        .unwrap();
    let listed = provider.list(None, &cx()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].reference, at(registry));
    assert!(
        provider
            .list(Some("http://"), &cx())
            .await
            .unwrap()
            .is_empty()
    );
    provider.delete(&at(registry), &cx()).await.unwrap();
    let error = provider.delete(&at(registry), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

fn aws(how: &str) -> Arc<dyn Provider> {
    let secret = format!("{}/canary", "x".repeat(30));
    support::build(json!({
        "preset": "aws-credential-process",
        "program": support::home().join("tests/plugins/aws_process.py"),
        "args": [how],
        "env": {"ACCESS": "AK", "SECRET": secret},
    }))
}

#[tokio::test]
async fn an_aws_credential_process_gives_fields_and_their_expiry() {
    let provider = aws("fine");
    let places = [
        at("p#AccessKeyId"),
        at("p#SecretAccessKey"),
        at("p#SessionToken"),
        at("p"),
    ];
    let values = provider.get_many(&places, &cx()).await;
    let values: Vec<&Secret> = values.iter().map(|value| value.as_ref().unwrap()).collect();
    assert_eq!(values[0].expose(), b"AK");
    assert!(values[1].expose().ends_with(b"/canary"));
    assert_eq!(values[2].expose(), b"a/session");
    assert!(values[3].expose().starts_with(b"{"));
    let eleven = SystemTime::UNIX_EPOCH + Duration::from_hours(498_755);
    assert!(
        values
            .iter()
            .all(|value| value.meta().expires == Some(eleven))
    );

    let provider = aws("long-lived");
    let secret = provider.get(&at("p#AccessKeyId"), &cx()).await.unwrap();
    assert_eq!(secret.meta().expires, None);
    assert_eq!(fails(&provider, "p#SessionToken").await, Kind::NotFound);
}

#[tokio::test]
async fn an_aws_credential_process_that_errs_is_told_apart() {
    for (how, kind) in [
        ("fails", Kind::Unavailable),
        ("version", Kind::Invalid),
        ("date", Kind::Invalid),
        ("text", Kind::Invalid),
    ] {
        assert_eq!(fails(&aws(how), "p#AccessKeyId").await, kind, "{how}");
    }
}

/// The presets that no test can run here: their argument arrays and rules, against a stand-in
/// that answers as their documentation says.
#[tokio::test]
async fn presets_written_from_documentation_ask_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    let tool = directory.path().join("tool");
    std::fs::write(&tool, "#!/bin/sh\nprintf '%s|' \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&tool, mode).unwrap();
    for (preset, asked) in [
        ("op", "read|--no-newline|op://v/i/password|"),
        ("bw", "--nointeraction|--raw|get|password|--|v/i/password|"),
    ] {
        let provider = support::build(merged(json!({"preset": preset}), &json!({"program": tool})));
        assert_eq!(read(&provider, "v/i/password").await, asked.as_bytes());
        let (_, _, verified) = credchain_provider_command::presets()
            .find(|(name, ..)| *name == preset)
            .unwrap();
        assert!(verified.is_none());
    }
}

#[tokio::test]
async fn gopass_folders_and_exit_codes_are_read_as_documented() {
    let directory = tempfile::tempdir().unwrap();
    let tool = directory.path().join("gopass");
    let script = r#"#!/bin/sh
test -p /dev/stdin && exit 99
case "$*" in
    "ls --flat") printf 'v/i/password\nlocked\n' ;;
    "show --noparsing --nosync --unsafe -- locked") exit 11 ;;
    show*) printf 'pw\nuser: me\n' ;;
esac
"#;
    std::fs::write(&tool, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&tool, mode).unwrap();
    let provider = support::build(json!({"preset": "gopass", "program": tool}));
    assert_eq!(read(&provider, "v/i/password").await, b"pw\nuser: me");
    assert_eq!(read(&provider, "v/i/password#user").await, b"me");
    assert_eq!(
        fails(&provider, "v/i").await,
        Kind::NotFound,
        "a folder would be listed"
    );
    assert_eq!(fails(&provider, "locked").await, Kind::Unavailable);
}
