//! Programs as a target of rotation: real ones, run by `sh`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{
    Account, Context, Environment, Kind, Project, Secret, Settings, Target, Verdict,
};
use credchain_rotation::target::{self, Setup};
use credchain_tests::servers::fresh_secret;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A project with one hook, `./hook`, which gets the action as its first argument.
struct Hook {
    directory: TempDir,
    secret: String,
}

impl Hook {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hook");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            directory,
            secret: fresh_secret("hook"),
        }
    }

    /// A target that takes values.
    fn accepting(&self) -> Arc<dyn Target> {
        self.target(json!({
            "verify": ["./hook", "verify", "{id}"],
            "apply": ["./hook", "apply", "{id}"],
            "disable": ["./hook", "disable", "{id}"],
            "enable": ["./hook", "enable", "{id}"],
            "revoke": ["./hook", "revoke", "{id}"],
        }))
    }

    /// A target that makes them.
    fn issuing(&self) -> Arc<dyn Target> {
        self.target(json!({
            "verify": ["./hook", "verify"],
            "issue": ["./hook", "issue", "{tag}"],
            "issued": ["./hook", "issued"],
            "revoke": ["./hook", "revoke", "{id}"],
        }))
    }

    fn target(&self, mut settings: Value) -> Arc<dyn Target> {
        if let Value::Object(settings) = &mut settings {
            settings.entry("timeout").or_insert_with(|| json!("20s"));
        }
        let project = Project::new("p", self.directory.path()).with_root(self.directory.path());
        let setup = Setup::new(project).withholding(vec!["VAULT_SECRET_ID".into()]);
        target::build("command", &Settings::from_json(settings), &setup).unwrap()
    }

    fn account(&self) -> Account {
        Account::new("app", Secret::new(self.secret.clone()))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

fn cx() -> Context {
    Context::system()
}

/// Whether a process is there and not just waited for.
#[cfg(target_os = "linux")]
fn is_alive(id: &str) -> bool {
    let status = std::fs::read_to_string(std::path::Path::new("/proc").join(id).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

#[tokio::test]
async fn a_value_comes_by_standard_input_and_by_nothing_else() {
    let hook = Hook::new(
        r#"printf '%s ' "$@" >>args; env >>environment; cat >"value.$1"
           [ "$1" = verify ] && ! cmp -s value.apply value.verify && exit 1; exit 0"#,
    );
    let target = hook.accepting();
    let account = hook.account();
    target.preflight(&account, None, &cx()).await.unwrap();
    target.apply(&account, &cx()).await.unwrap();
    assert_eq!(
        target.probe(&account, &cx()).await.unwrap(),
        Verdict::Accepted
    );
    let other = Account::new("app", Secret::new(fresh_secret("other")));
    assert_eq!(target.probe(&other, &cx()).await.unwrap(), Verdict::Refused);
    target.disable("app", &cx()).await.unwrap();
    target.enable("app", &cx()).await.unwrap();
    target.revoke("app", &cx()).await.unwrap();
    assert_eq!(
        hook.read("args"),
        "apply app verify app verify app disable app enable app revoke app "
    );
    assert_eq!(hook.read("value.apply"), hook.secret);
    assert_eq!(hook.read("value.disable"), "");
    assert!(!hook.read("environment").contains(&hook.secret));
    assert!(target.abilities().disable);
}

#[tokio::test]
async fn a_program_sees_the_callers_variables_but_no_secret_of_ours() {
    let hook = Hook::new("env >environment; pwd >directory");
    let target = hook.target(json!({
        "verify": ["./hook"], "apply": ["./hook"], "env": {"EXTRA": "1", "HOME": "/nowhere"},
    }));
    let env = Environment::fixed([
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/home/me"),
        ("KEPT", "yes"),
        ("VAULT_SECRET_ID", "a"),
        ("CREDCHAIN_PASSPHRASE", "b"),
        ("CREDCHAIN_TOKEN_KEY", "c"),
    ]);
    target
        .probe(&hook.account(), &cx().with_env(env))
        .await
        .unwrap();
    let seen = hook.read("environment");
    for there in ["KEPT=yes\n", "EXTRA=1\n", "HOME=/nowhere\n"] {
        assert!(seen.contains(there), "{there}: {seen}");
    }
    for withheld in [
        "VAULT_SECRET_ID",
        "CREDCHAIN_PASSPHRASE",
        "CREDCHAIN_TOKEN_KEY",
    ] {
        assert!(!seen.contains(withheld), "{seen}");
    }
    let here = hook.directory.path().canonicalize().unwrap();
    assert_eq!(hook.read("directory").trim_end(), here.to_str().unwrap());
}

#[tokio::test]
async fn exit_codes_say_done_refused_again_or_never() {
    for (code, probed, applied) in [
        ("exit 0", Ok(Verdict::Accepted), Ok(())),
        ("exit 1", Ok(Verdict::Refused), Err(Kind::Invalid)),
        ("exit 2", Err(Kind::Misconfigured), Err(Kind::Invalid)),
        ("exit 75", Err(Kind::Unavailable), Err(Kind::Unavailable)),
        (
            "exit 127",
            Err(Kind::Misconfigured),
            Err(Kind::Misconfigured),
        ),
        ("kill -9 $$", Err(Kind::Unavailable), Err(Kind::Unavailable)),
    ] {
        let hook = Hook::new(code);
        let (target, account) = (hook.accepting(), hook.account());
        let verdict = target
            .probe(&account, &cx())
            .await
            .map_err(|error| error.kind());
        assert_eq!(verdict, probed, "{code}");
        let done = target
            .apply(&account, &cx())
            .await
            .map_err(|error| error.kind());
        assert_eq!(done, applied, "{code}");
    }
}

#[tokio::test]
async fn a_program_that_says_it_is_done_and_did_nothing_is_found_out_by_verify() {
    let hook = Hook::new(r#"[ "$1" = apply ] && exit 0; exit 1"#);
    let (target, account) = (hook.accepting(), hook.account());
    target.apply(&account, &cx()).await.unwrap();
    assert_eq!(
        target.probe(&account, &cx()).await.unwrap(),
        Verdict::Refused
    );
    let error = hook.issuing().issue("tag", &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    let hook = Hook::new("exit 0");
    let error = hook.issuing().issue("tag", &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.message().contains("no value"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let hook = Hook::new("sleep 600 & echo $! $$ >ids.part; mv ids.part ids; wait");
    let target = hook.target(json!({"verify": ["./hook"], "apply": ["./hook"], "timeout": "1s"}));
    let error = target.apply(&hook.account(), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let ids = hook.read("ids");
    assert_eq!(ids.split_whitespace().count(), 2);
    // The kill is sent; that the system acts on it is observed.
    while ids.split_whitespace().any(is_alive) {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_stops_waiting_ends_the_program() {
    let hook = Hook::new("echo $$ >ids.part; mv ids.part ids; exec sleep 600");
    let (target, account) = (hook.accepting(), hook.account());
    let applying = tokio::spawn(async move { target.apply(&account, &cx()).await });
    while hook.read("ids").is_empty() {
        tokio::task::yield_now().await;
    }
    let id = hook.read("ids").trim().to_owned();
    assert!(is_alive(&id));
    applying.abort();
    assert!(applying.await.unwrap_err().is_cancelled());
    while is_alive(&id) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_deadline_of_the_caller_counts_as_well() {
    let hook = Hook::new("sleep 600");
    let hurried = cx().with_timeout(Duration::from_millis(200));
    let error = hook
        .accepting()
        .probe(&hook.account(), &hurried)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn what_a_program_prints_is_never_repeated() {
    let hook = Hook::new("value=$(cat); echo \"$value\"; echo \"$value\" >&2; exit 3");
    let (target, account) = (hook.accepting(), hook.account());
    for error in [
        target.probe(&account, &cx()).await.unwrap_err(),
        target.apply(&account, &cx()).await.unwrap_err(),
    ] {
        let shown = format!("{error} {error:?} {target:?}");
        assert!(!shown.contains(&hook.secret), "{shown}");
        assert!(error.hint().unwrap().contains("by hand"), "{error:?}");
    }
    let silent = Hook::new("exit 3");
    let error = silent.accepting().probe(&account, &cx()).await.unwrap_err();
    assert_eq!(error.hint(), None);
}

#[tokio::test]
async fn endless_output_neither_fills_the_memory_nor_blocks_the_program() {
    let flood = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2";
    let hook = Hook::new(flood);
    let (target, account) = (hook.accepting(), hook.account());
    assert_eq!(
        target.probe(&account, &cx()).await.unwrap(),
        Verdict::Accepted
    );
    let error = hook.issuing().issue("tag", &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.message().contains("64 KiB"), "{error}");
}

#[tokio::test]
async fn a_large_value_that_nobody_reads_is_no_failure() {
    let hook = Hook::new("exit 0");
    let large = Account::new("app", Secret::new(vec![b'x'; 1 << 20]));
    hook.accepting().apply(&large, &cx()).await.unwrap();
    let hook = Hook::new("wc -c >count");
    hook.accepting().apply(&large, &cx()).await.unwrap();
    assert_eq!(hook.read("count").trim(), "1048576");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_us_up() {
    let hook = Hook::new("setsid sleep 600 & echo $! >id; echo value; exit 0");
    let account = hook.target(json!({
        "verify": ["./hook"], "issue": ["./hook"], "issued": ["true"], "revoke": ["./hook"],
        "timeout": "20s",
    }));
    let account = account.issue("tag", &cx()).await.unwrap();
    assert_eq!(account.secret.expose(), b"value");
    let id = hook.read("id");
    let id = id
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn keys_are_printed_as_values_or_as_objects_and_listed_by_lines() {
    let hook = Hook::new(
        r#"case $1 in
             issue) echo "secret-$2" ;;
             issued) echo '{"id": "k1", "created": "2026-01-02T03:04:05Z", "tag": "run-1"}'
                     echo '{"id": "k2", "enabled": false}' ;;
             revoke) echo "$2" >>revoked ;;
           esac"#,
    );
    let target = hook.issuing();
    let account = target.issue("run-1", &cx()).await.unwrap();
    // The value was printed alone; its tag tells which key it is of.
    assert_eq!(
        (&*account.id, account.secret.expose()),
        ("k1", &b"secret-run-1"[..])
    );
    let keys = target.issued(&cx()).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!((keys[0].enabled, keys[1].enabled), (true, false));
    target.revoke("k2", &cx()).await.unwrap();
    assert_eq!(hook.read("revoked"), "k2\n");

    let hook = Hook::new(r#"printf '{"id": "k%s", "secret": "a\\nb"}' "$2""#);
    let account = hook.issuing().issue("7", &cx()).await.unwrap();
    assert_eq!(
        (&*account.id, account.secret.expose()),
        ("k7", &b"a\nb"[..])
    );
    let hook = Hook::new("echo nonsense");
    let error = hook.issuing().issued(&cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!error.to_string().contains("nonsense"));
}

#[tokio::test]
async fn an_id_never_becomes_an_option_another_argument_or_a_command() {
    let hook = Hook::new(r#"printf '%s|' "$@" >args"#);
    let target = hook.accepting();
    for id in [
        "a b; touch pwned $(touch pwned) `touch pwned`",
        "'\"*",
        "{tag}",
        "é",
    ] {
        target.disable(id, &cx()).await.unwrap();
        assert_eq!(hook.read("args"), format!("disable|{id}|"));
    }
    for id in ["-rf", "--help", "a\nb", "a\0b", "a\u{1b}[2J"] {
        let error = target.disable(id, &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{id:?}");
    }
    let error = target.disable("", &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(!hook.path("pwned").exists());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_misconfigured_before_anything_happens() {
    let hook = Hook::new("touch ran");
    std::fs::write(hook.path("data"), "no program").unwrap();
    for program in ["./missing", "no-such-program-anywhere", "./data"] {
        let target = hook.target(json!({"verify": ["./hook"], "apply": [program]}));
        let error = target
            .preflight(&hook.account(), None, &cx())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{program}");
        assert!(error.hint().is_some());
        let error = target.apply(&hook.account(), &cx()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{program}");
    }
    let only_path = hook.target(json!({"verify": ["hook"], "apply": ["hook"]}));
    for path in [".", ""] {
        let env = Environment::fixed([("PATH", path)]);
        let error = only_path
            .probe(&hook.account(), &cx().with_env(env))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured, "{path:?}");
    }
    assert!(!hook.path("ran").exists());
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(hook.path("data"), mode).unwrap();
    let target = hook.target(json!({"verify": ["./data"], "apply": ["./hook"]}));
    let error = target.probe(&hook.account(), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}

#[tokio::test]
async fn what_is_not_described_is_unsupported() {
    let hook = Hook::new("exit 0");
    let target = hook.target(json!({"verify": ["./hook"], "apply": ["./hook"]}));
    assert!(!target.abilities().disable);
    let kinds = [
        target.issue("t", &cx()).await.err(),
        target.issued(&cx()).await.err(),
        target.disable("a", &cx()).await.err(),
        target.enable("a", &cx()).await.err(),
        target.revoke("a", &cx()).await.err(),
    ];
    for error in kinds {
        assert_eq!(error.unwrap().kind(), Kind::Unsupported);
    }
}
