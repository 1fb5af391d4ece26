//! The protocol's specification is true: its transcripts and its example run, its tables are
//! complete.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command as Process, Stdio};

use credchain_core::Kind;
use credchain_core::{OWN_SECRETS, OWN_SECRETS_PREFIX};
use credchain_provider_command::{PROTOCOL_VERSION, presets};
use serde_json::{Value, json};
use support::{at, build, cx, home};

fn specification() -> String {
    std::fs::read_to_string(home().join("../../docs/plugin-protocol.md")).unwrap()
}

/// The fenced blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    text.split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The message without what differs from run to run.
fn parsed(line: &str) -> Value {
    let mut message: Value = serde_json::from_str(line).unwrap();
    let results = message.get_mut("results").and_then(Value::as_array_mut);
    for created in results
        .into_iter()
        .flatten()
        .filter_map(|result| result.get_mut("created"))
    {
        assert!(created.is_string());
        *created = json!("some time");
    }
    message
}

#[test]
fn the_transcripts_run_against_the_reference_plugin() {
    let transcripts = blocks(&specification(), "transcript");
    assert_eq!(transcripts.len(), 2);
    for transcript in transcripts {
        let directory = tempfile::tempdir().unwrap();
        let mut plugin = Process::new(support::reference_plugin())
            .arg("--store")
            .arg(directory.path().join("store.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = plugin.stdin.take().unwrap();
        let mut answers = BufReader::new(plugin.stdout.take().unwrap()).lines();
        for line in transcript.lines() {
            if let Some(request) = line.strip_prefix("> ") {
                writeln!(stdin, "{request}").unwrap();
            } else {
                let expected = parsed(line.strip_prefix("< ").unwrap());
                assert_eq!(parsed(&answers.next().unwrap().unwrap()), expected);
            }
        }
        drop(stdin);
        assert!(answers.next().is_none());
        assert!(plugin.wait().unwrap().success());
    }
}

#[tokio::test]
async fn the_smallest_plugin_works() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("plugin");
    std::fs::write(&program, &blocks(&specification(), "python")[0]).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let provider = build(json!({ "program": program }));
    let results = provider
        .get_many(&[at("api_key"), at("other")], &cx())
        .await;
    assert_eq!(results[0].as_ref().unwrap().expose(), b"s3cret");
    assert_eq!(results[1].as_ref().unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn the_tables_are_complete() {
    let text = specification();
    for kind in Kind::ALL {
        assert!(
            text.contains(&format!("| `{}` |", kind.as_str())),
            "{kind} is missing"
        );
    }
    for variable in OWN_SECRETS.into_iter().chain([OWN_SECRETS_PREFIX]) {
        assert!(
            text.contains(&format!("`{variable}`")),
            "{variable} is missing"
        );
    }
    assert!(text.contains(&format!("specification, version {PROTOCOL_VERSION}.")));
    let readme = std::fs::read_to_string(home().join("README.md")).unwrap();
    for (name, _, verified) in presets() {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap();
        assert_eq!(row.contains("**unverified**"), verified.is_none(), "{name}");
    }
}
