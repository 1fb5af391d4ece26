//! The plugin protocol, against plugins that keep it and plugins that break it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    Chain, Context, Environment, Expect, Kind, Link, ManualClock, Memory, Name, Provider,
    Reactions, Result, Secret, SetOptions, async_trait,
};
use credchain_provider_command::Command;
use serde_json::json;
use support::{
    World, alive, at, build, cx, eventually, hostile, hostile_settings, hostile_with, setup,
};

/// The reference plugin with `names` in its store.
fn reference_world(names: &[String]) -> World {
    let directory = tempfile::tempdir().unwrap();
    let entries: Vec<_> = names
        .iter()
        .map(|name| {
            let version = json!({"version": "1", "value": "djE=", "key": null, "created": "2026-01-02T03:04:05Z", "metadata": {}});
            json!({"path": name, "field": null, "versions": [version]})
        })
        .collect();
    let store = directory.path().join("store.json");
    std::fs::write(&store, json!(entries).to_string()).unwrap();
    let provider = build(json!({
        "program": support::reference_plugin(),
        "args": ["--store", store, "--log", directory.path().join("requests")],
    }));
    World {
        provider,
        directory,
    }
}

#[tokio::test]
async fn two_hundred_credentials_are_one_process_and_one_request() {
    let names: Vec<String> = (0..200).map(|n| format!("key_{n}")).collect();
    let world = reference_world(&names[..199]);
    let references: Vec<_> = names.iter().map(|name| at(name)).collect();
    let mut results = world.provider.get_many(&references, &cx()).await;
    assert_eq!(results.len(), 200);
    assert_eq!(results.pop().unwrap().unwrap_err().kind(), Kind::NotFound);
    assert!(
        results
            .into_iter()
            .all(|result| result.unwrap().expose() == b"v1")
    );
    drop(world.provider);

    let log = std::fs::read_to_string(world.directory.path().join("requests")).unwrap();
    let pid = log.split(' ').next().unwrap();
    assert_eq!(log, format!("{pid} start\n{pid} get 200\n{pid} end\n"));
}

#[tokio::test]
async fn more_than_a_thousand_items_are_several_requests_to_the_same_process() {
    let world = hostile("plain");
    let references: Vec<_> = (0..2500).map(|n| at(&format!("k{n}"))).collect();
    let results = world.provider.get_many(&references, &cx()).await;
    for (n, result) in results.iter().enumerate() {
        let text = result.as_ref().unwrap().expose_text().unwrap();
        assert!(text.starts_with(&format!("k{n} from ")), "{text}");
    }
    assert_eq!((world.notes("requests").len(), world.pids().len()), (3, 1));
}

#[tokio::test]
async fn a_plugin_without_batches_is_asked_one_by_one() {
    let world = hostile("single");
    let results = world
        .provider
        .get_many(&[at("a"), at("b"), at("c")], &cx())
        .await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((world.notes("requests").len(), world.pids().len()), (3, 1));
}

#[tokio::test]
async fn the_greeting_tells_the_link_the_project_and_the_profile() {
    let world = hostile("plain");
    world.get("a").await.unwrap();
    let greeting: serde_json::Value = serde_json::from_str(&world.notes("greeting")[0]).unwrap();
    let expected = json!({"protocol": 1, "link": "corp", "project": "shop", "profile": "prod", "max_response": 33_554_432});
    assert_eq!(greeting, expected);
}

#[tokio::test]
async fn nothing_is_started_before_the_first_request() {
    let world = hostile("plain");
    let _ = world.provider.capabilities();
    assert!(world.provider.get_many(&[], &cx()).await.is_empty());
    assert!(world.pids().is_empty());
}

#[tokio::test]
async fn many_first_requests_at_once_start_one_process() {
    let world = hostile("plain");
    let references: Vec<_> = (0..50).map(|n| at(&format!("k{n}"))).collect();
    let context = cx();
    let reads = references
        .iter()
        .map(|reference| world.provider.get(reference, &context));
    let results = futures_util::future::join_all(reads).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(world.pids().len(), 1);
}

#[tokio::test]
async fn each_kind_of_error_arrives_and_an_unknown_one_is_invalid() {
    let world = hostile("kinds");
    for kind in Kind::ALL {
        let error = world
            .get(&format!("{}#policy_7", kind.as_str()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains("`policy_7`"), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
        assert!(!format!("{error:?}").contains("canary"));
    }
    let error = world.get("surprise").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let error = world.get("denied").await.unwrap_err();
    assert!(
        !format!("{error:?}").contains("CANARY"),
        "a code that is no token is dropped"
    );
    assert_eq!(world.pids().len(), 1, "an error is an answer");
}

#[tokio::test]
async fn an_error_for_the_whole_request_is_everyones() {
    let world = hostile("whole");
    let results = world
        .provider
        .get_many(&[at("unavailable"), at("b")], &cx())
        .await;
    assert!(
        results
            .iter()
            .all(|r| r.as_ref().is_err_and(|e| e.kind() == Kind::Unavailable))
    );
}

#[tokio::test]
async fn violations_are_invalid_and_end_the_process() {
    for mode in ["garbage", "wrong-id"] {
        let world = hostile(mode);
        let error = world.get("a").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{mode}");
        assert!(!format!("{error:?}").contains("canary"), "{mode}");
        eventually("the plugin is gone", || !alive(&world.pids()[0]));
    }
}

#[tokio::test]
async fn malformed_results_are_invalid_and_leave_the_process_alone() {
    for mode in ["count", "both", "base64"] {
        let world = hostile(mode);
        for _ in 0..2 {
            assert_eq!(
                world.get("not base64!").await.unwrap_err().kind(),
                Kind::Invalid,
                "{mode}"
            );
        }
        assert_eq!(world.pids().len(), 1, "{mode}");
    }
}

#[tokio::test]
async fn dying_in_the_middle_of_a_line_is_unavailable() {
    let error = hostile("half").get("a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("middle of a line"), "{error}");
}

#[tokio::test]
async fn a_gibibyte_is_cut_off_at_the_limit() {
    let world = hostile_with("giant", &json!({"max_response": "1MiB"}));
    let error = world.get("a").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.hint().unwrap().contains("max_response"));
    eventually("the plugin is gone", || !alive(&world.pids()[0]));
    assert!(world.notes("survived").is_empty());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 256 * 1024, "peak memory {kib} KiB");
}

#[tokio::test]
async fn what_never_becomes_a_plugin_is_told_apart() {
    for (mode, kind) in [
        ("exit", Kind::Misconfigured),
        ("garbage-hello", Kind::Invalid),
        ("future", Kind::Misconfigured),
        ("silent", Kind::Unavailable),
    ] {
        let world = hostile_with(
            mode,
            &json!({"startup_timeout": if mode == "silent" { "400ms" } else { "30s" }}),
        );
        let error = world.get("a").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{mode}: {error}");
        assert!(error.hint().is_some(), "{mode}");
        assert!(!format!("{error:?}").contains("canary"), "{mode}");
        eventually("the process is gone", || {
            !world.pids().iter().any(|pid| alive(pid))
        });
    }
}

#[tokio::test]
async fn a_program_that_cannot_run_is_misconfigured() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "no program").unwrap();
    let orphan = directory.path().join("orphan");
    std::fs::write(&orphan, "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&orphan, mode).unwrap();
    for program in [
        "no-such-program".as_ref(),
        "./no/such".as_ref(),
        text.as_path(),
        &orphan,
    ] {
        let provider = build(json!({ "program": program }));
        let error = provider.get(&at("a"), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_hanging_request_times_out_alone_and_its_late_answer_is_dropped() {
    let world = hostile("slow");
    let manual = ManualClock::new();
    let context = Context::system().with_clock(manual.clock());
    let (provider, waiting) = (world.provider.clone(), context.clone());
    let slow = tokio::spawn(async move { provider.get(&at("slow"), &waiting).await });
    while world.notes("requests").is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    manual.advance(Duration::from_secs(31));
    assert_eq!(slow.await.unwrap().unwrap_err().kind(), Kind::Unavailable);

    // The next request makes the plugin answer the old one first.
    let secret = world.provider.get(&at("c"), &context).await.unwrap();
    assert!(secret.expose_text().unwrap().starts_with("c from "));
    assert_eq!(world.pids().len(), 1);
}

#[tokio::test]
async fn the_deadline_is_told_to_the_plugin() {
    let world = hostile("plain");
    let context = cx().with_timeout(Duration::from_secs(7));
    world.provider.get(&at("a"), &context).await.unwrap();
    world.get("b").await.unwrap();
    let told: Vec<u64> = world
        .notes("requests")
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().parse().unwrap())
        .collect();
    assert!(
        (1..=7_000).contains(&told[0]) && (7_001..=30_000).contains(&told[1]),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_plugin_that_stops_reading_delays_nobody_beyond_the_deadline() {
    let world = hostile_with(
        "deaf",
        &json!({"request_timeout": "300ms", "capabilities": ["set"]}),
    );
    let large = Secret::new(vec![b'x'; 4 << 20]);
    let context = cx();
    let options = SetOptions::default();
    let error = world
        .provider
        .set(&at("a"), &large, &options, &context)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let pid = world.pids()[0].clone();
    drop(world.provider);
    assert!(!alive(&pid));
}

#[tokio::test]
async fn a_plugin_that_owes_too_many_answers_is_replaced() {
    let world = hostile("slow");
    let slow: Vec<_> = (0..70).map(|_| at("slow")).collect();
    for reference in &slow {
        let context = cx();
        let mut read = std::pin::pin!(world.provider.get(reference, &context));
        // Gives the request away as soon as it is under way.
        let seen = world.notes("requests").len();
        let under_way = async {
            while world.notes("requests").len() == seen {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            _ = &mut read => {}
            () = under_way => {}
        }
        if world.pids().len() > 1 {
            break;
        }
    }
    world.get("b").await.unwrap();
    assert_eq!(world.pids().len(), 2);
    eventually("the stuck one is gone", || !alive(&world.pids()[0]));
}

#[tokio::test]
async fn a_crashed_plugin_is_started_again_at_the_next_request() {
    let world = hostile("crash-once");
    assert_eq!(world.get("a").await.unwrap_err().kind(), Kind::Unavailable);
    assert!(world.get("a").await.unwrap().starts_with("a from "));
    assert_eq!(world.pids().len(), 2);
}

#[tokio::test]
async fn a_plugin_that_keeps_crashing_is_started_ever_more_rarely() {
    let world = hostile("crash");
    let manual = ManualClock::new();
    let context = Context::system().with_clock(manual.clock());
    let mut refused = 0;
    for _ in 0..100 {
        let error = world.provider.get(&at("a"), &context).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        refused += u32::from(error.retry_after().is_some());
    }
    assert_eq!((world.pids().len(), refused), (2, 98));
    manual.advance(Duration::from_millis(100));
    for _ in 0..10 {
        assert!(world.provider.get(&at("a"), &context).await.is_err());
    }
    assert_eq!(world.pids().len(), 3);
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_plugin_usable() {
    let world = hostile("slow");
    let context = cx();
    let reference = at("slow");
    {
        let mut read = std::pin::pin!(world.provider.get(&reference, &context));
        tokio::select! {
            _ = &mut read => panic!("it never answers"),
            () = async { while world.notes("requests").is_empty() { tokio::task::yield_now().await } } => {}
        }
    }
    assert!(world.get("b").await.unwrap().starts_with("b from "));
    assert_eq!(world.pids().len(), 1);
}

#[tokio::test]
async fn what_the_plugin_writes_to_stderr_is_drained_and_shown_to_nobody() {
    let world = hostile("chatty");
    assert!(world.get("a").await.unwrap().starts_with("a from "));
}

#[tokio::test]
async fn dropping_the_provider_ends_the_whole_family() {
    for mode in ["family", "stubborn"] {
        let world = hostile(mode);
        world.get("a").await.unwrap();
        let pids = world.pids();
        assert!(
            pids.len() == 2 && pids.iter().all(|pid| alive(pid)),
            "{mode}"
        );
        drop(world.provider);
        assert!(
            !alive(&pids[0]),
            "{mode}: the plugin is reaped before drop returns"
        );
        eventually("the grandchild is gone", || !alive(&pids[1]));
    }
}

#[test]
fn the_plugin_outlives_the_runtime_that_started_it() {
    let world = hostile("plain");
    let first = credchain_core::block_on(world.get("a")).unwrap().unwrap();
    let second = credchain_core::block_on(world.get("a")).unwrap().unwrap();
    assert_eq!(first, second);
    let pid = world.pids()[0].clone();
    drop(world.provider);
    assert!(!alive(&pid), "reaped without any runtime");
}

#[derive(Debug)]
struct Vaulted(Memory);

#[async_trait]
impl credchain_core::CredentialSource for Vaulted {
    async fn credential(&self, name: &Name, cx: &Context) -> Result<Secret> {
        self.0.get(&at(name.as_str()), cx).await
    }
}

#[tokio::test]
async fn the_environment_is_the_callers_without_what_is_not_the_plugins() {
    let directory = tempfile::tempdir().unwrap();
    let mut variables: Vec<(_, std::ffi::OsString)> =
        vec![("PATH".to_owned(), cx().env().get("PATH").unwrap())];
    for name in [
        "SEEN",
        "CREDCHAIN_IDENTITY",
        "CREDCHAIN_PASSPHRASE",
        "CREDCHAIN_TOKEN_KEY",
        "VAULT_SECRET_ID",
    ] {
        variables.push((name.to_owned(), "from the caller".into()));
    }
    let settings = support::merged(
        hostile_settings("env", directory.path()),
        &json!({"env": {"EXTRA": "plain", "LOGIN": {"credential": "login"}}}),
    );
    let setup = setup(settings)
        .with_context(Context::system().with_env(Environment::fixed(variables)))
        .with_credentials(Arc::new(Vaulted(Memory::new().with("login", b"s3cret"))));
    let provider = Command::new(setup)
        .without_variables(["VAULT_SECRET_ID"])
        .build()
        .unwrap();
    for (name, value) in [
        ("SEEN", "from the caller"),
        ("EXTRA", "plain"),
        ("LOGIN", "s3cret"),
    ] {
        let secret = provider.get(&at(name), &cx()).await.unwrap();
        assert_eq!(secret.expose_text(), Some(value), "{name}");
    }
    for name in [
        "CREDCHAIN_IDENTITY",
        "CREDCHAIN_PASSPHRASE",
        "CREDCHAIN_TOKEN_KEY",
        "VAULT_SECRET_ID",
    ] {
        let error = provider.get(&at(name), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{name} was passed on");
    }
}

#[tokio::test]
async fn a_missing_credential_for_the_environment_is_no_missing_secret() {
    let directory = tempfile::tempdir().unwrap();
    let settings = support::merged(
        hostile_settings("env", directory.path()),
        &json!({"env": {"LOGIN": {"credential": "login"}}}),
    );
    let error = build(settings).get(&at("LOGIN"), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.message().contains("`login`"), "{error:?}");
}

#[tokio::test]
async fn metadata_arrives() {
    let world = hostile("times");
    let secret = world.provider.get(&at("a"), &cx()).await.unwrap();
    let meta = secret.meta();
    assert_eq!(meta.version.as_ref().unwrap().as_str(), "7");
    let hour = Duration::from_hours(1);
    assert_eq!(meta.expires.unwrap(), meta.created.unwrap() + hour);
    assert_eq!((meta.lease.as_deref(), meta.renewable), (Some("l/1"), true));
}

#[tokio::test]
async fn what_was_not_declared_or_is_not_offered_is_unsupported() {
    let options = SetOptions::default();
    let value = Secret::new("v");

    let undeclared = hostile("plain");
    let error = undeclared
        .provider
        .set(&at("a"), &value, &options, &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.hint().unwrap().contains("`capabilities`"));
    assert!(undeclared.pids().is_empty(), "it was not even started");
    let error = undeclared.get("a?version=3").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);

    let declared = hostile_with("plain", &json!({"capabilities": ["set", "delete", "list"]}));
    assert!(declared.provider.capabilities().delete);
    let error = declared.provider.delete(&at("a"), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let error = declared.provider.list(None, &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    let only_new = SetOptions::expecting(Expect::Absent);
    let error = declared
        .provider
        .set(&at("a"), &value, &only_new, &cx())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn debug_shows_no_settings() {
    let provider = build(json!({"program": "x", "args": ["canary"], "env": {"A": "canary"}}));
    assert!(!format!("{provider:?}").contains("canary"));
}

#[tokio::test]
async fn a_denial_or_an_outage_stops_the_chain_although_the_next_link_has_the_value() {
    let name: Name = "denied".parse().unwrap();
    let chain = |mode, reactions| {
        let world = hostile(mode);
        let plugin = Link::new("corp", world.provider.clone()).with_reactions(reactions);
        let next = Memory::new().with("denied", b"v").with("unavailable", b"v");
        (
            world,
            Chain::new(vec![plugin, Link::new("next", Arc::new(next))]),
        )
    };
    let (_world, closed) = chain("kinds", Reactions::closed());
    for (name, code) in [("denied", 4), ("unavailable", 5)] {
        let resolution = closed.resolve(&name.parse().unwrap(), &cx()).await;
        assert_eq!(resolution.result.unwrap_err().kind().exit_code(), code);
    }
    let (_world, open) = chain("kinds", Reactions::closed().next_on_unavailable(true));
    let resolution = open.resolve(&"unavailable".parse().unwrap(), &cx()).await;
    assert_eq!(resolution.result.unwrap().expose(), b"v");
    assert_eq!(
        open.resolve(&name, &cx()).await.result.unwrap_err().kind(),
        Kind::Denied
    );
}
