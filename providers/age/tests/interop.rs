//! The standard `age` tool reads what is written here, and the other way round.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{World, at, create, get, set, text, tool};
use credchain_core::{Kind, Provider as _, Secret, SetOptions};
use credchain_provider_age::{
    Age, Passphrase, Protection, StoreSettings, generate_identity, recipients_of,
};
use serde_json::{Value, json};

fn decrypted(world: &World, identity: &str) -> Value {
    let output = tool("age", &["-d", "-i", identity, text(&world.path())]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_age_tool_shows_a_readable_document() {
    let world = World::with_value("first").await;
    set(&world.age(), "default/api_key", b"second")
        .await
        .unwrap();
    set(&world.age(), "default/bytes", b"\0\xff").await.unwrap();
    let document = decrypted(&world, text(&world.identity));
    assert_eq!(document["version"], 1);
    assert_eq!(document["recipients"][0]["key"], world.recipient.key());
    let entry = &document["entries"]["default/api_key"];
    assert_eq!(
        (&entry["value"], &entry["version"]),
        (&json!("second"), &json!(2))
    );
    assert_eq!(entry["previous"][0]["value"], "first");
    assert_eq!(document["entries"]["default/bytes"]["value_base64"], "AP8=");
    assert!(fs::read(world.path()).unwrap().is_ascii());
}

#[tokio::test]
async fn a_document_encrypted_by_the_age_tool_is_a_store() {
    for armor in ["--armor", "--encrypt"] {
        let world = World::new();
        let plain = world.directory.path().join("plain.json");
        fs::write(
            &plain,
            r#"{"version": 1, "entries": {"default/api_key": {"value": "a\u00e9"}}}"#,
        )
        .unwrap();
        let path = world.path();
        tool(
            "age",
            &[
                armor,
                "-r",
                world.recipient.key(),
                "-o",
                text(&path),
                text(&plain),
            ],
        );
        assert_eq!(
            get(&world.age(), "default/api_key").await.unwrap(),
            "a\u{e9}".as_bytes()
        );
        set(&world.age(), "default/more", b"x").await.unwrap();
        assert_eq!(
            world
                .age()
                .recipients(&common::world(&[]))
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            decrypted(&world, text(&world.identity))["entries"]["default/more"]["value"],
            "x"
        );
    }
}

#[tokio::test]
async fn a_store_that_names_no_recipients_is_not_written_for_fewer_than_it_had() {
    let world = World::new();
    let (other, other_recipient) = world.other("other");
    let plain = world.directory.path().join("plain.json");
    fs::write(&plain, r#"{"version": 1, "entries": {}}"#).unwrap();
    let path = world.path();
    let (ours, theirs) = (world.recipient.key(), other_recipient.key());
    tool(
        "age",
        &["-r", ours, "-r", theirs, "-o", text(&path), text(&plain)],
    );
    let before = fs::read(&path).unwrap();
    let error = set(&world.age(), "default/x", b"x").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.hint().unwrap().contains("recipients add"));
    assert_eq!(fs::read(&path).unwrap(), before);
    world
        .age()
        .add_recipient(other_recipient, &common::world(&[]))
        .await
        .unwrap();
    set(&world.age(), "default/x", b"x").await.unwrap();
    assert_eq!(
        get(&world.age_with(&other), "default/x").await.unwrap(),
        b"x"
    );
}

fn ssh_key(world: &World, kind: &str, passphrase: &str) -> PathBuf {
    let path = world
        .directory
        .path()
        .join(format!("home/id_{kind}_{}", passphrase.len()));
    let mut arguments = vec![
        "-q",
        "-t",
        kind,
        "-N",
        passphrase,
        "-C",
        "me@host",
        "-f",
        text(&path),
    ];
    if !passphrase.is_empty() {
        // One round: the default is slow without optimisation.
        arguments.extend(["-a", "1"]);
    }
    tool("ssh-keygen", &arguments);
    path
}

#[tokio::test]
async fn ssh_keys_and_age_keys_open_the_same_store() {
    let world = World::new();
    let keys = [ssh_key(&world, "ed25519", ""), ssh_key(&world, "rsa", "")];
    create(&world.age(), &[&world.recipient]).await;
    for key in &keys {
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let recipient: credchain_provider_age::Recipient = public.parse().unwrap();
        assert_eq!(recipient.label(), Some("me@host"));
        let own = recipients_of(key, &common::world(&[])).unwrap();
        assert_eq!(own, std::slice::from_ref(&recipient));
        assert!(
            world
                .age()
                .add_recipient(recipient, &common::world(&[]))
                .await
                .unwrap()
        );
    }
    set(&world.age_with(&keys[0]), "default/api_key", b"from ssh")
        .await
        .unwrap();
    for identity in keys.iter().chain([&world.identity]) {
        assert_eq!(
            get(&world.age_with(identity), "default/api_key")
                .await
                .unwrap(),
            b"from ssh"
        );
        let document = decrypted(&world, text(identity));
        assert_eq!(document["recipients"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn an_ssh_key_with_a_passphrase_is_unlocked_when_it_is_needed() {
    let world = World::new();
    let key = ssh_key(&world, "ed25519", "open sesame");
    let store = Age::new(
        StoreSettings::new(world.path())
            .with_identity(&key)
            .with_identity(&world.identity),
    );
    // The public half needs no passphrase, and neither does a store that the other key opens.
    set(&store, "default/api_key", b"x").await.unwrap();
    assert_eq!(get(&store, "default/api_key").await.unwrap(), b"x");
    let only_ssh = world.age_with(&key);
    let error = get(&only_ssh, "default/api_key").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    for (passphrase, outcome) in [
        ("wrong", Err(Kind::Unauthenticated)),
        ("open sesame", Ok(())),
    ] {
        let cx = common::world(&[("CREDCHAIN_PASSPHRASE", passphrase)]);
        let read = only_ssh.get(&at("default/api_key"), &cx).await;
        assert_eq!(read.map(|_| ()).map_err(|error| error.kind()), outcome);
    }
}

/// The `age` tool asks for a passphrase on a terminal only, which `script` provides.
fn age_with_passphrase(arguments: &str, passphrase: &str) -> String {
    let mut child = Command::new("script")
        .args(["-qec", &format!("age -d {arguments}"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`script` is needed: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{passphrase}").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_age_tool_opens_a_store_with_an_identity_that_has_a_passphrase() {
    let world = World::new();
    let identity = world.directory.path().join("home/locked");
    let passphrase = Passphrase::new(&Secret::new("open sesame"))
        .unwrap()
        .with_work_factor(8);
    let recipient = generate_identity(&identity, Some(&passphrase)).unwrap();
    create(&world.age(), &[&recipient, &world.recipient]).await;
    set(&world.age(), "default/k", b"v").await.unwrap();
    let arguments = format!("-i {} {}", text(&identity), text(&world.path()));
    let shown = age_with_passphrase(&arguments, "open sesame");
    assert!(shown.contains(r#""value": "v""#), "{shown}");
}

#[tokio::test]
async fn a_store_with_a_passphrase_alone_opens_with_it_here_and_there() {
    let world = World::new();
    let passphrase = Passphrase::new(&Secret::new("open sesame"))
        .unwrap()
        .with_work_factor(8);
    let store = Age::new(StoreSettings::new(world.path()));
    store
        .create_store(Protection::Passphrase(passphrase))
        .await
        .unwrap();
    let cx = common::world(&[("CREDCHAIN_PASSPHRASE", "open sesame")]);
    let fresh = Age::new(StoreSettings::new(world.path()));
    fresh
        .set(
            &at("default/k"),
            &Secret::new("v"),
            &SetOptions::default(),
            &cx,
        )
        .await
        .unwrap();
    let shown = age_with_passphrase(text(&world.path()), "open sesame");
    assert!(shown.contains(r#""value": "v""#), "{shown}");

    let refused = store
        .add_recipient(world.recipient.clone(), &cx)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported);
    assert!(refused.message().contains("beside a passphrase"));
    for passphrase in ["canary", ""] {
        let cx = common::world(&[("CREDCHAIN_PASSPHRASE", passphrase)]);
        let age = Age::new(StoreSettings::new(world.path()));
        let error = age.get(&at("default/k"), &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(!format!("{error:?}").contains("canary"));
    }
    // From a passphrase to recipients and back is one step each.
    let own = Protection::Recipients(vec![world.recipient.clone()]);
    fresh.protect(own, true, &cx).await.unwrap();
    assert_eq!(get(&world.age(), "default/k").await.unwrap(), b"v");
}
