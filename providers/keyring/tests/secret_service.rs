//! A real gnome-keyring, shared with other programs, locked, stopped and killed.
#![cfg(target_os = "linux")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use credchain_core::{
    Context, Environment, Error, Kind, LinkName, Naming, Project, Provider as _, Reference, Secret,
    SetOptions, Settings, Setup,
};
use credchain_provider_keyring::Keyring;
use credchain_tests::servers::{SecretService, fresh_secret};

use crate::support::{
    Daemon, daemon_id, items, kill_daemon, python_gets, python_keyring, python_sets, secret_tool,
    signal,
};

/// Far more than anything here takes that works.
const LONG: Duration = Duration::from_mins(1);

/// Well below the time that an answer may take without a deadline.
const SOON: Duration = Duration::from_secs(10);

fn context(server: &SecretService) -> Context {
    Context::system().with_env(Environment::fixed(server.variables()))
}

fn place(text: &str) -> Reference {
    text.parse().expect("a reference")
}

async fn get(keyring: &Keyring, path: &str, cx: &Context) -> Result<Vec<u8>, Error> {
    let secret = keyring.get(&place(path), cx).await?;
    Ok(secret.expose().to_vec())
}

async fn set(keyring: &Keyring, path: &str, value: &[u8], cx: &Context) -> Result<(), Error> {
    let options = SetOptions::default();
    let (place, value) = (place(path), Secret::new(value));
    keyring.set(&place, &value, &options, cx).await.map(drop)
}

/// A link that no table in the configuration asks for.
fn implicit() -> Keyring {
    Keyring::from_setup(&Setup::new(LinkName::literal("keyring"))).expect("right settings")
}

#[tokio::test]
async fn python_and_we_share_one_item() {
    let server = SecretService::start();
    let cx = context(&server);
    let naming = Naming::new("api_key".parse().unwrap());
    for (profile, service) in [("default", "my_pipeline"), ("prod", "my_pipeline/prod")] {
        let project = Project::new("my_pipeline", "/").with_profile(profile);
        let setup = Setup::new(LinkName::literal("keyring")).in_project(project);
        let keyring = Keyring::from_setup(&setup).unwrap();
        let located = keyring.locate(&naming.clone().in_project("my_pipeline", profile));
        let at = [service, "api_key"];

        let theirs = format!("{} ключ\n", fresh_secret("python"));
        python_sets(&server, at, theirs.as_bytes());
        let read = keyring.get(&located[0], &cx).await.unwrap();
        assert_eq!(read.expose(), theirs.as_bytes());

        let ours = format!("{} \"$HOME\"\n", fresh_secret("ours"));
        let value = Secret::new(ours.as_bytes());
        keyring
            .set(&located[0], &value, &SetOptions::default(), &cx)
            .await
            .unwrap();
        assert_eq!(python_gets(&server, at), ours.as_bytes());
        assert_eq!(items(&server, at), 1, "the item was changed, not doubled");

        keyring.delete(&located[0], &cx).await.unwrap();
        assert_eq!(items(&server, at), 0);
    }
}

#[tokio::test]
async fn what_we_made_python_changes_and_removes() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = Keyring::of_service("unused");
    let at = ["https://example.com/x", "me@example.com"];
    let path = "https://example.com/x/me@example.com";
    set(&keyring, path, b"first", &cx).await.unwrap();
    assert_eq!(python_gets(&server, at), b"first");
    python_sets(&server, at, b"second");
    assert_eq!(items(&server, at), 1);
    assert_eq!(get(&keyring, path, &cx).await.unwrap(), b"second");
    python_keyring(&server, "keyring.delete_password(service, user)", at, b"");
    let error = get(&keyring, path, &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn secret_tool_and_we_read_each_other() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = Keyring::of_service("demo");
    let names = ["service", "demo", "username", "theirs"];
    secret_tool(
        &server,
        &[&["store", "--label=x"][..], &names].concat(),
        b"stored",
    );
    assert_eq!(get(&keyring, "theirs", &cx).await.unwrap(), b"stored");
    let binary = b"\0\xff\n\x80";
    set(&keyring, "ours", binary, &cx).await.unwrap();
    let names = ["lookup", "service", "demo", "username", "ours"];
    assert_eq!(secret_tool(&server, &names, b""), binary);
}

#[tokio::test]
async fn several_items_of_one_place_are_changed_and_removed_together() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = Keyring::of_service("demo");
    for extra in ["one", "two"] {
        let names = ["service", "demo", "username", "key", "extra", extra];
        secret_tool(
            &server,
            &[&["store", "--label=x"][..], &names].concat(),
            b"old",
        );
    }
    set(&keyring, "key", b"new", &cx).await.unwrap();
    for extra in ["one", "two"] {
        assert_eq!(
            secret_tool(&server, &["lookup", "extra", extra], b""),
            b"new"
        );
    }
    assert_eq!(items(&server, ["demo", "key"]), 2);
    keyring.delete(&place("key"), &cx).await.unwrap();
    assert_eq!(items(&server, ["demo", "key"]), 0);
}

#[tokio::test]
async fn of_several_items_the_one_written_last_is_read() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = Keyring::of_service("demo");
    set(&keyring, "key", b"old", &cx).await.unwrap();
    let written = keyring.get(&place("key"), &cx).await.unwrap();
    let written = written.meta().created.expect("the service keeps times");
    // It keeps them in whole seconds.
    while cx.clock().now() < written + Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let names = ["service", "demo", "username", "key", "extra", "1"];
    secret_tool(
        &server,
        &[&["store", "--label=x"][..], &names].concat(),
        b"new",
    );
    assert_eq!(items(&server, ["demo", "key"]), 2);
    assert_eq!(get(&keyring, "key", &cx).await.unwrap(), b"new");
}

#[tokio::test]
async fn other_services_are_listed_only_when_asked_for() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = Keyring::of_service("demo");
    for path in ["b", "a", "other/c", "demo/prod/d"] {
        set(&keyring, path, b"v", &cx).await.unwrap();
    }
    // Neither can be named by a reference.
    secret_tool(
        &server,
        &["store", "--label=x", "service", "nameless"],
        b"v",
    );
    let slash = ["store", "--label=x", "service", "demo", "username", "x/y"];
    secret_tool(&server, &slash, b"v");
    for (prefix, expected) in [
        (None, &["a", "b"][..]),
        (Some("b"), &["b"]),
        (Some("other/"), &["other/c"]),
        (Some("demo/"), &["demo/prod/d"]),
        (Some("nameless/"), &[]),
        (Some("x/"), &[]),
    ] {
        let listed = keyring.list(prefix, &cx).await.unwrap();
        let paths: Vec<_> = listed.iter().map(|entry| entry.reference.path()).collect();
        assert_eq!(paths, expected, "{prefix:?}");
        let is_dated = |time| time > UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert!(
            listed
                .iter()
                .all(|entry| entry.created.is_some_and(is_dated))
        );
    }
}

#[tokio::test]
async fn a_locked_keyring_is_never_taken_for_an_empty_one() {
    let server = SecretService::start();
    let keyring = implicit();
    let value = fresh_secret("locked");
    let bare = context(&server);
    set(&keyring, "key", value.as_bytes(), &bare).await.unwrap();
    server.lock();
    // There is no display, so a question is dismissed at once.
    for cx in [bare.clone(), bare.clone().with_interactive(true)] {
        let errors = [
            get(&keyring, "key", &cx).await.unwrap_err(),
            get(&keyring, "missing", &cx).await.unwrap_err(),
            set(&keyring, "key", value.as_bytes(), &cx)
                .await
                .unwrap_err(),
            keyring.delete(&place("key"), &cx).await.unwrap_err(),
            keyring.list(None, &cx).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), Kind::Unauthenticated, "{error}");
            assert!(error.hint().is_some());
            assert!(!format!("{error} {error:?} {keyring:?}").contains(&value));
        }
    }
    server.unlock();
    assert_eq!(get(&keyring, "key", &bare).await.unwrap(), value.as_bytes());
}

#[tokio::test]
async fn no_bus_is_absent_unless_the_keyring_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = format!("unix:path={}/bus", directory.path().display());
    let nowhere = Environment::fixed([("DBUS_SESSION_BUS_ADDRESS", path.as_str())]);
    let unset = Environment::fixed([("LANG", "C")]);
    let disabled = Environment::fixed([("DBUS_SESSION_BUS_ADDRESS", "disabled:")]);
    for env in [nowhere, unset, disabled] {
        let cx = Context::system().with_env(env);
        let error = get(&implicit(), "key", &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Absent, "{error}");
        let setup = Setup::new(LinkName::literal("keyring"));
        let setup = setup.with_settings(Settings::from_json(serde_json::json!({})));
        let explicit = Keyring::from_setup(&setup).unwrap();
        let error = get(&explicit, "key", &cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    }
    let odd = Environment::fixed([("DBUS_SESSION_BUS_ADDRESS", "no address")]);
    let cx = Context::system().with_env(odd);
    let error = get(&implicit(), "key", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
}

#[tokio::test]
async fn a_daemon_that_is_killed_is_an_outage_and_its_return_is_noticed() {
    let server = SecretService::start();
    let cx = context(&server);
    let used = implicit();
    set(&used, "key", b"v", &cx).await.unwrap();
    kill_daemon(&server);
    let error = get(&used, "key", &cx).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Unavailable,
        "it was there before: {error}"
    );
    let error = get(&implicit(), "key", &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Absent, "{error}");
    let error = get(&Keyring::of_service("default"), "key", &cx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");

    let _daemon = Daemon::start(&server);
    let back = async {
        loop {
            match get(&used, "key", &cx).await {
                Ok(value) => break value,
                Err(error) => assert_ne!(error.kind(), Kind::NotFound, "{error}"),
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::time::timeout(LONG, back).await.unwrap(), b"v");
}

#[tokio::test]
async fn a_restarted_daemon_is_used_without_a_failure() {
    let server = SecretService::start();
    let cx = context(&server);
    let used = implicit();
    set(&used, "key", b"v", &cx).await.unwrap();
    kill_daemon(&server);
    let _daemon = Daemon::start(&server);
    // Somebody else waits until it is up.
    let is_up = async {
        while get(&Keyring::of_service("default"), "key", &cx)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, is_up).await.unwrap();
    assert_eq!(get(&used, "key", &cx).await.unwrap(), b"v");
}

#[tokio::test]
async fn a_daemon_that_hangs_holds_up_nobody_past_the_deadline() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = implicit();
    set(&keyring, "key", b"v", &cx).await.unwrap();
    let daemon = daemon_id(&server);
    signal("-STOP", &daemon);
    let short = cx.clone().with_timeout(Duration::from_millis(200));
    let both = async {
        let (read, written) = tokio::join!(
            get(&keyring, "key", &short),
            set(&keyring, "key", b"w", &short)
        );
        [read.map(drop).unwrap_err(), written.unwrap_err()]
    };
    // On one thread: a call that blocked would keep this timer from firing.
    let errors = tokio::time::timeout(SOON, both).await.unwrap();
    for error in errors {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    }
    signal("-CONT", &daemon);
    assert!(get(&keyring, "key", &cx).await.is_ok());
}

#[tokio::test]
async fn a_daemon_that_dies_while_it_is_asked_is_an_outage() {
    let server = SecretService::start();
    let cx = context(&server);
    let keyring = implicit();
    set(&keyring, "key", b"v", &cx).await.unwrap();
    let daemon = daemon_id(&server);
    signal("-STOP", &daemon);
    let asked = {
        let (keyring, cx) = (keyring.clone(), cx.clone());
        tokio::spawn(async move { get(&keyring, "key", &cx).await })
    };
    tokio::task::yield_now().await;
    signal("-KILL", &daemon);
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_make_one_item() {
    let server = SecretService::start();
    let cx = context(&server);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..16 {
        // A provider of its own for each: they share no session, like processes.
        let (keyring, cx) = (Keyring::of_service("demo"), cx.clone());
        writers.spawn(async move {
            let value = format!("value {number}");
            set(&keyring, "key", value.as_bytes(), &cx).await
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap().unwrap();
    }
    assert_eq!(items(&server, ["demo", "key"]), 1);
    let value = get(&Keyring::of_service("demo"), "key", &cx).await.unwrap();
    assert!(value.starts_with(b"value "));
}
