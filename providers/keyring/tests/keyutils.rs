//! The real kernel's keyrings, shared with `keyctl`, refused and filtered.
#![cfg(target_os = "linux")]

mod items;
mod keyctl;
mod keys;

use std::time::Duration;

use credchain_core::{
    Context, Error, Kind, LinkName, Provider, Reference, Secret, SetOptions, Settings, Setup,
};
use credchain_provider_keyring::Keyring;
use credchain_tests::servers::fresh_secret;
use keyring_core::api::CredentialStoreApi as _;
use serde_json::json;

use crate::keyctl::{Filter, adds, finds, in_own_session, keyctl, number_of, reads};
use crate::keys::setup;

/// Far more than anything here takes that works.
const LONG: Duration = Duration::from_mins(1);

/// The largest value of a key.
const LARGEST: usize = 32_767;

/// How a test tells another run of this program what to expect.
const SERVICE: &str = "CREDCHAIN_TEST_SERVICE";
const EXPECTED: &str = "CREDCHAIN_TEST_EXPECTED";

fn place(text: &str) -> Reference {
    text.parse().expect("a reference")
}

async fn get(link: &dyn Provider, path: &str) -> Result<Vec<u8>, Error> {
    let secret = link.get(&place(path), &Context::system()).await?;
    Ok(secret.expose().to_vec())
}

async fn set(link: &dyn Provider, path: &str, value: &[u8]) -> Result<(), Error> {
    let options = SetOptions::default();
    let (place, value) = (place(path), Secret::new(value));
    link.set(&place, &value, &options, &Context::system())
        .await
        .map(drop)
}

async fn kind_of_get(link: &dyn Provider, path: &str) -> Kind {
    get(link, path).await.expect_err("it fails").kind()
}

#[tokio::test]
async fn keyctl_and_we_share_one_key() {
    for (ring, spec) in [("user", "@u"), ("session", "@s")] {
        let spec = &number_of(spec);
        let service = fresh_secret("shared");
        let items = keys::of_service(ring, &service);
        let link = items.link();
        let description = format!("keyring:api_key@{service}");

        let ours = b"\0 \xff $HOME\n";
        set(&*link, "api_key", ours).await.unwrap();
        let id = finds(spec, &description);
        assert_eq!(reads(&id), ours);

        let theirs = fresh_secret("theirs");
        adds(spec, &description, theirs.as_bytes());
        assert_eq!(get(&*link, "api_key").await.unwrap(), theirs.as_bytes());
        assert_eq!(
            finds(spec, &description),
            id,
            "the key was changed, not doubled"
        );

        let elsewhere = format!("https://{service}/x");
        adds(spec, &format!("keyring:me@example.com@{elsewhere}"), b"v");
        let path = format!("{elsewhere}/me@example.com");
        assert_eq!(get(&*link, &path).await.unwrap(), b"v");
        let cx = Context::system();
        link.delete(&place(&path), &cx).await.unwrap();
        link.delete(&place("api_key"), &cx).await.unwrap();
        assert!(
            !keyctl(["search", spec, "user", &description])
                .status
                .success()
        );
    }
}

#[tokio::test]
async fn another_session_of_the_user_shares_the_persistent_keyring() {
    let service = fresh_secret("persistent");
    let items = keys::of_service("persistent", &service);
    let link = items.link();
    set(&*link, "ours", b"value").await.unwrap();
    let script = "persistent=$(keyctl get_persistent @s) && \
        keyctl pipe $(keyctl search @s user \"keyring:ours@$1\") && \
        printf %s theirs | keyctl padd user \"keyring:theirs@$1\" $persistent >/dev/null";
    let output = in_own_session(&["sh", "-c", script, "sh", &service]);
    assert_eq!(output, b"value");
    assert_eq!(get(&*link, "theirs").await.unwrap(), b"theirs");
    let cx = Context::system();
    link.delete(&place("theirs"), &cx).await.unwrap();
}

#[tokio::test]
async fn the_keyring_crates_and_we_share_one_key() {
    let service = fresh_secret("crates");
    let items = keys::of_service("persistent", &service);
    let link = items.link();
    set(&*link, "me@example.com", b"ours").await.unwrap();
    // They need a login session.
    let mut run = keyctl::other_session("asks_as_the_keyring_crates_do");
    assert!(run.env(SERVICE, &service).status().unwrap().success());
    assert_eq!(get(&*link, "me@example.com").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn the_session_s_keyring_gets_no_links() {
    let linked = || {
        let output = keyctl(["rlist", "@s"]);
        assert!(output.status.success());
        let keys = String::from_utf8(output.stdout).expect("numbers");
        let mut rings: Vec<_> = keys
            .split_whitespace()
            .map(|id| keyctl(["rdescribe", id]).stdout)
            .filter(|described| described.starts_with(b"keyring"))
            .collect();
        rings.sort();
        rings
    };
    let before = linked();
    for ring in ["persistent", "user"] {
        let items = keys::of(ring);
        set(&*items.link(), "key", b"v").await.unwrap();
        get(&*items.link(), "key").await.unwrap();
    }
    assert_eq!(linked(), before);
}

#[tokio::test]
async fn a_key_that_expires_is_not_found_and_can_be_set_again() {
    let service = fresh_secret("expiring");
    let items = keys::of_service("user", &service);
    let link = items.link();
    set(&*link, "key", b"first").await.unwrap();
    let id = finds("@u", &format!("keyring:key@{service}"));
    assert!(keyctl(["timeout", &id, "1"]).status.success());
    let expiry = async {
        loop {
            match get(&*link, "key").await {
                Ok(value) => assert_eq!(value, b"first"),
                Err(error) => break error,
            }
            tokio::task::yield_now().await;
        }
    };
    let error = tokio::time::timeout(LONG, expiry).await.unwrap();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let listed = link.list(None, &Context::system()).await.unwrap();
    assert_eq!(listed, []);
    set(&*link, "key", b"second").await.unwrap();
    assert_eq!(get(&*link, "key").await.unwrap(), b"second");
}

#[tokio::test]
async fn a_revoked_key_is_not_found_and_can_be_set_again() {
    let service = fresh_secret("revoked");
    let items = keys::of_service("user", &service);
    let link = items.link();
    set(&*link, "key", b"first").await.unwrap();
    let id = finds("@u", &format!("keyring:key@{service}"));
    assert!(keyctl(["revoke", &id]).status.success());
    assert_eq!(kind_of_get(&*link, "key").await, Kind::NotFound);
    set(&*link, "key", b"second").await.unwrap();
    assert_eq!(get(&*link, "key").await.unwrap(), b"second");
}

#[tokio::test]
async fn a_key_whose_permissions_refuse_us_is_denied_and_not_missing() {
    // What those may do who possess the key: all but finding it, and all but changing it.
    const UNSEEN: &str = "0x37010000";
    const FIXED: &str = "0x3b010000";
    let service = fresh_secret("denied");
    let items = keys::of_service("user", &service);
    let link = items.link();
    let value = fresh_secret("value");
    set(&*link, "key", value.as_bytes()).await.unwrap();
    let id = finds("@u", &format!("keyring:key@{service}"));
    let permit = |permissions| assert!(keyctl(["setperm", &id, permissions]).status.success());

    permit(FIXED);
    assert_eq!(get(&*link, "key").await.unwrap(), value.as_bytes());
    let mut errors = vec![set(&*link, "key", b"new").await.unwrap_err()];
    permit(UNSEEN);
    let cx = Context::system();
    errors.push(get(&*link, "key").await.unwrap_err());
    errors.push(link.delete(&place("key"), &cx).await.unwrap_err());
    for error in errors {
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        assert!(error.hint().is_some());
        assert!(!format!("{error} {error:?} {link:?}").contains(&value));
    }
    // What nobody can find, nobody can permit again.
    assert!(keyctl(["unlink", &id, "@u"]).status.success());
}

#[tokio::test]
async fn a_key_holds_32767_bytes_and_never_none() {
    let items = keys::of("user");
    let link = items.link();
    let largest = vec![0xff; LARGEST];
    set(&*link, "key", &largest).await.unwrap();
    assert_eq!(link.capabilities().max_value, Some(LARGEST));
    for refused in [vec![0xff; LARGEST + 1], Vec::new()] {
        let error = set(&*link, "key", &refused).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    assert_eq!(get(&*link, "key").await.unwrap(), largest);
    let long = "n".repeat(4096);
    let error = set(&*link, &long, b"v").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
}

#[tokio::test]
async fn nothing_that_does_not_last_counts_as_encrypted() {
    let items = keys::of("user");
    assert!(!items.link().capabilities().encrypted);
    let desktop = Keyring::of_service("demo");
    assert!(desktop.capabilities().encrypted);
}

#[tokio::test]
async fn other_services_are_listed_only_when_asked_for() {
    let service = fresh_secret("listed");
    let items = keys::of_service("user", &service);
    let link = items.link();
    let (below, odd) = (format!("{service}/prod/c"), format!("{service}@x/d"));
    for path in ["b", "a%25", &below, &odd] {
        set(&*link, path, b"v").await.unwrap();
    }
    let others = format!("{service}/");
    for (prefix, expected) in [
        (None, vec!["a%", "b"]),
        (Some("b"), vec!["b"]),
        (Some(others.as_str()), vec![below.as_str()]),
        (Some(odd.as_str()), vec![odd.as_str()]),
    ] {
        let listed = link.list(prefix, &Context::system()).await.unwrap();
        let paths: Vec<_> = listed.iter().map(|entry| entry.reference.path()).collect();
        assert_eq!(paths, expected, "{prefix:?}");
    }
    // The keys of another keyring are not this one's.
    let elsewhere = keys::of_service("persistent", &service);
    let listed = elsewhere.link().list(None, &Context::system()).await;
    assert_eq!(listed.unwrap(), []);
}

#[tokio::test]
async fn deleting_a_key_uncovers_no_other() {
    let service = fresh_secret("covered");
    let (below, above) = (
        keys::of_service("user", &service),
        keys::of_service("session", &service),
    );
    set(&*below.link(), "key", b"below").await.unwrap();
    set(&*above.link(), "key", b"above").await.unwrap();
    assert_eq!(get(&*above.link(), "key").await.unwrap(), b"above");
    let cx = Context::system();
    above.link().delete(&place("key"), &cx).await.unwrap();
    let error = above.link().delete(&place("key"), &cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(kind_of_get(&*above.link(), "key").await, Kind::NotFound);
}

#[test]
fn a_store_of_another_system_is_misconfigured_and_those_of_this_one_are_named() {
    for store in ["keychain", "credential-manager"] {
        let setup = Setup::new(LinkName::literal("keyring"));
        let setup = setup.with_settings(Settings::from_json(json!({"store": store})));
        let error = Keyring::from_setup(&setup).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().contains(store), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("`secret-service` or `keyutils`"), "{hint}");
    }
}

#[test]
fn a_filter_of_system_calls_makes_the_keyring_absent_unless_it_was_asked_for() {
    for error in ["EPERM", "ENOSYS"] {
        for expected in [Kind::Absent, Kind::Unavailable] {
            let mut run = Filter::answering(error).run("asks_for_a_key_in_another_world");
            run.env(EXPECTED, expected.as_str());
            assert!(run.status().unwrap().success(), "{error}, {expected}");
        }
    }
}

#[tokio::test]
async fn a_session_without_the_user_s_keyring_reads_it_all_the_same() {
    let service = fresh_secret("service");
    for ring in ["user", "persistent"] {
        let items = keys::of_service(ring, &service);
        set(&*items.link(), "key", b"v").await.unwrap();
        let mut run = keyctl::other_session("asks_for_a_key_in_another_world");
        run.env(SERVICE, &service).env(EXPECTED, ring);
        assert!(run.status().unwrap().success(), "{ring}");
    }
}

#[tokio::test]
#[ignore = "the tests above start it, each in a world of its own"]
async fn asks_for_a_key_in_another_world() {
    let env = Context::system().env().clone();
    let expected = env.text(EXPECTED).expect("it is told what to expect");
    if let Some(service) = env.text(SERVICE) {
        let link = Keyring::from_setup(&setup(&expected, &service)).unwrap();
        assert_eq!(get(&link, "key").await.unwrap(), b"v");
        return;
    }
    for ring in ["persistent", "user", "session"] {
        let explicit = expected == Kind::Unavailable.as_str();
        let link = Keyring::from_setup(&setup(ring, "demo").explicit(explicit)).unwrap();
        let errors = [
            get(&link, "key").await.unwrap_err(),
            set(&link, "key", b"v").await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind().as_str(), expected, "{ring}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("seccomp")));
        }
    }
}

#[test]
#[ignore = "a test above starts it, in a session of its own"]
fn asks_as_the_keyring_crates_do() {
    let env = Context::system().env().clone();
    let service = env.text(SERVICE).expect("it is told which");
    let store = linux_keyutils_keyring_store::Store::new().unwrap();
    let entry = store.build(&service, "me@example.com", None).unwrap();
    assert_eq!(entry.get_secret().unwrap(), b"ours");
    entry.set_secret(b"theirs").unwrap();
}
