//! Tools of the user's own: argument arrays in, values out.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    Expect, Kind, LinkName, Naming, Provider, Secret, SetOptions, Settings, Setup,
};
use credchain_provider_command::Command;
use serde_json::{Value, json};
use support::{alive, at, build, cx, eventually, merged};

/// A shell that runs `script` with the path as `$1`.
fn shell(script: &str, more: &Value) -> Arc<dyn Provider> {
    build(merged(
        json!({"program": "sh", "get": ["-c", script, "sh", "{path}"]}),
        more,
    ))
}

async fn fails(provider: &Arc<dyn Provider>, place: &str) -> Kind {
    let error = provider.get(&at(place), &cx()).await.unwrap_err();
    assert!(
        !format!("{error:?} {error}").contains("canary"),
        "{error:?}"
    );
    error.kind()
}

#[tokio::test]
async fn a_path_is_one_argument_whatever_is_in_it() {
    let provider = shell(r#"printf '%s' "$1""#, &json!({"output": "exact"}));
    for path in [
        "a b",
        "$(id)",
        "`id`;id",
        "{path} {field}",
        "a'\"b",
        "\u{e9}*?",
    ] {
        let reference = credchain_core::Reference::new(path).unwrap();
        let secret = provider.get(&reference, &cx()).await.unwrap();
        assert_eq!(secret.expose_text(), Some(path));
    }
    assert_eq!(fails(&provider, "-rf").await, Kind::Invalid);
}

#[tokio::test]
async fn rules_decide_and_without_one_a_failure_is_an_outage() {
    let rules = json!({"rules": [
        {"exit": 4, "kind": "not_found"},
        {"exit": 1, "stderr": "canary: * is locked", "kind": "unauthenticated"},
    ]});
    let provider = shell(
        r#"echo "canary: it is $1" >&2; echo canary; exit "${2:-1}""#,
        &rules,
    );
    assert_eq!(fails(&provider, "locked").await, Kind::Unauthenticated);
    assert_eq!(fails(&provider, "burning").await, Kind::Unavailable);
    assert_eq!(fails(&shell("exit 4", &rules), "p").await, Kind::NotFound);
    assert_eq!(
        fails(&shell("kill -9 $$", &rules), "p").await,
        Kind::Unavailable
    );
}

#[tokio::test]
async fn one_run_answers_all_fields_of_a_document() {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let script = format!(
        r#"echo run >> '{}'; printf '{{"a": "1", "b": "%s"}}' "$1""#,
        runs.display()
    );
    let provider = shell(&script, &json!({"output": "json"}));
    assert!(provider.capabilities().batch);
    let places = [
        at("x#a"),
        at("y#b"),
        at("x#b"),
        at("x#nope"),
        at("x?version=1"),
    ];
    let results = provider.get_many(&places, &cx()).await;
    let texts: Vec<_> = results[..3]
        .iter()
        .map(|r| r.as_ref().unwrap().expose_text())
        .collect();
    assert_eq!(texts, [Some("1"), Some("y"), Some("x")]);
    assert_eq!(results[3].as_ref().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(results[4].as_ref().unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run\nrun\n");
}

#[tokio::test]
async fn a_field_that_the_tool_picks_is_passed_on() {
    let provider = build(json!({
        "program": "printf", "get": ["%s=%s", "{path}", "{field}"], "output": "exact",
    }));
    let secret = provider.get(&at("db#user"), &cx()).await.unwrap();
    assert_eq!(secret.expose_text(), Some("db=user"));
    assert_eq!(fails(&provider, "db").await, Kind::Invalid);
}

#[tokio::test]
async fn a_store_made_of_shell_commands_writes_lists_and_deletes() {
    let directory = tempfile::tempdir().unwrap();
    let run = |script: &str| json!(["-c", script, "sh", "{path}"]);
    let provider = build(json!({
        "program": "sh",
        "env": {"STORE": directory.path()},
        "get": run(r#"cd "$STORE" && { test -e "$1" || exit 4; } && cat -- "$1""#),
        "set": run(r#"cd "$STORE" && cat > "$1""#),
        "delete": run(r#"cd "$STORE" && { test -e "$1" || exit 4; } && rm -- "$1""#),
        "list": ["-c", r#"ls "$STORE""#],
        "output": "exact",
        "rules": [{"exit": 4, "kind": "not_found"}],
    }));
    let (context, options) = (cx(), SetOptions::default());
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for value in [&bytes[..], b"", b"\n"] {
        provider
            .set(&at("k"), &Secret::new(value), &options, &context)
            .await
            .unwrap();
        assert_eq!(
            provider.get(&at("k"), &context).await.unwrap().expose(),
            value
        );
    }
    let listed = provider.list(None, &context).await.unwrap();
    assert_eq!(listed[0].reference, at("k"));
    let only_new = SetOptions::expecting(Expect::Absent);
    let error = provider
        .set(&at("k"), &Secret::new("v"), &only_new, &context)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    provider.delete(&at("k"), &context).await.unwrap();
    assert_eq!(fails(&provider, "k").await, Kind::NotFound);
    let error = provider.delete(&at("k"), &context).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_ended_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let script = format!(
        "echo $$ >> '{0}'; sleep 1000 & echo $! >> '{0}'; wait",
        pids.display()
    );
    let provider = shell(&script, &json!({"output": "exact"}));
    let noted = || std::fs::read_to_string(&pids).unwrap_or_default();
    let context = cx();
    let place = at("p");
    {
        let mut read = std::pin::pin!(provider.get(&place, &context));
        tokio::select! {
            _ = &mut read => panic!("it never ends by itself"),
            () = async { while noted().lines().count() < 2 { tokio::task::yield_now().await } } => {}
        }
    }
    eventually("a cancelled run is gone", || !noted().lines().any(alive));

    let hasty = context.with_timeout(Duration::from_millis(50));
    let error = provider.get(&place, &hasty).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    eventually("a late run is gone", || !noted().lines().any(alive));
}

#[tokio::test]
async fn endless_output_is_cut_off() {
    let provider = shell("cat /dev/zero", &json!({"max_response": "1MiB"}));
    assert_eq!(fails(&provider, "p").await, Kind::Invalid);
    let provider = shell("head -c 50000000 /dev/zero >&2; echo v", &json!({}));
    assert_eq!(provider.get(&at("p"), &cx()).await.unwrap().expose(), b"v");
}

#[tokio::test]
async fn messages_are_in_english_and_the_rest_of_the_environment_is_the_callers() {
    let provider = shell(
        "echo $LC_ALL.$LANGUAGE.$MINE.$PWD",
        &json!({"env": {"MINE": "x"}}),
    );
    let expected = format!("C..x.{}", support::home().display());
    assert_eq!(
        provider.get(&at("p"), &cx()).await.unwrap().expose_text(),
        Some(&*expected)
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let refused = |settings: Value| {
        let setup = Setup::new(LinkName::literal("x")).with_settings(Settings::from_json(settings));
        let error = Command::new(setup).build().unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        error.to_string()
    };
    for (settings, part) in [
        (json!({}), "`program` is missing"),
        (
            json!({"preset": "docker-credential"}),
            "`program` is missing",
        ),
        (json!({"preset": "lastpass"}), "no such preset"),
        (json!({"preset": "pass", "get": ["x"]}), "`get`"),
        (json!({"program": "x", "set": ["y"]}), "`set`"),
        (
            json!({"program": "x", "get": ["y"], "capabilities": ["set"]}),
            "`capabilities`",
        ),
        (
            json!({"program": "x", "get": ["y"], "output": "lines"}),
            "`output`",
        ),
        (
            json!({"program": "x", "get": ["y"], "rules": [{"exit": 1, "kind": "oops"}]}),
            "`kind`",
        ),
        (
            json!({"program": "x", "get": ["y"], "rules": [{"kind": "denied"}]}),
            "at least one",
        ),
        (json!({"program": "x", "path": "a#b#c"}), "`path`"),
        (json!({"program": "x", "env": {"A=B": "c"}}), "`env`"),
    ] {
        let message = refused(settings.clone());
        assert!(message.contains(part), "{settings}: {message}");
    }
}

#[test]
fn the_conventional_place_follows_the_settings() {
    let naming = Naming::new("api_key".parse().unwrap()).in_project("shop", "prod");
    let place = |settings| build(settings).locate(&naming);
    assert_eq!(place(json!({"program": "x"})), [at("api_key")]);
    let deep = json!({"preset": "pass", "path": "{project}/{profile}#{name}"});
    assert_eq!(place(deep), [at("shop/prod#api_key")]);
}
