//! A scenario is a folder: a configuration, what its backends answer, and what has to come out.
//!
//! | file | what |
//! |---|---|
//! | `credchain.toml` | the configuration |
//! | `env.json` | the environment: names and values |
//! | `backends.toml` | what plugins answer; see `tests/servers/backend.py` |
//! | `expect.toml` | why the scenario is there, the commands, and what each one must do |
//!
//! Every value in `env.json`, `backends.toml` and the scenario's `.env` counts as a secret that
//! must not show up on standard error.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{Output, Project, Resolve, repository};

/// `expect.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// The claim that the scenario proves, for whoever breaks it.
    why: String,
    /// Let the command find the configuration by itself, so that it has to be trusted.
    #[serde(default)]
    found: bool,
    /// More files of the project, by path.
    #[serde(default)]
    files: BTreeMap<String, String>,
    run: Vec<Run>,
}

/// One command and what it must do; what is not said is not checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
    code: i32,
    stdout: Option<String>,
    #[serde(default)]
    stdout_has: Vec<String>,
    #[serde(default)]
    stderr_has: Vec<String>,
    #[serde(default)]
    stderr_lacks: Vec<String>,
    /// What standard output must have as JSON, at least.
    json: Option<Value>,
    /// What the backends were asked, by this command and the ones before.
    log: Option<Vec<String>>,
}

/// Runs one scenario.
///
/// # Panics
/// If something else comes out than `expect.toml` says.
#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it beside a failure"
)]
pub fn run(dir: &Path) {
    let read = |file: &str| fs::read_to_string(dir.join(file)).ok();
    let expect = read("expect.toml").expect("a scenario has an `expect.toml`");
    let scenario: Scenario = toml::from_str(&expect).expect("`expect.toml` is understood");
    assert!(!scenario.run.is_empty(), "`expect.toml` has no `[[run]]`");
    let project = Project::new();
    let mut secrets = Vec::new();
    for (path, content) in &scenario.files {
        project.write(path, content);
        if Path::new(path)
            .file_name()
            .is_some_and(|name| name == ".env")
        {
            secrets.extend(
                content
                    .lines()
                    .filter_map(|line| line.split_once('='))
                    .map(value_of),
            );
        }
    }
    if let Some(config) = read("credchain.toml") {
        project.write("credchain.toml", config);
    }
    if let Some(backends) = read("backends.toml") {
        let table: toml::Table = backends.parse().expect("`backends.toml` is TOML");
        secrets.extend(texts(&table.into()));
        project.write("backends.toml", backends);
        let plugin = repository().join("tests/servers/backend.py");
        #[cfg(unix)]
        std::os::unix::fs::symlink(plugin, project.dir().join("backend")).expect("a new link");
        #[cfg(not(unix))]
        fs::copy(plugin, project.dir().join("backend"))
            .map(drop)
            .expect("a new file");
    }
    let env: BTreeMap<String, String> = read("env.json")
        .map(|json| serde_json::from_str(&json).expect("`env.json` maps names to values"))
        .unwrap_or_default();
    for run in &scenario.run {
        let mut command = project.resolve(&run.args).stdin(&run.stdin);
        if !scenario.found && project.dir().join("credchain.toml").exists() {
            command = command.trusted();
        }
        for (name, value) in &env {
            command = command.env(name, value);
        }
        command = secrets.iter().fold(command, Resolve::secret);
        eprintln!("claim: {}", scenario.why);
        check(run, command.run(), &project);
    }
}

fn check(run: &Run, output: Output, project: &Project) {
    let mut output = output.code(run.code);
    if let Some(stdout) = &run.stdout {
        output = output.stdout_is(stdout);
    }
    output = run
        .stdout_has
        .iter()
        .fold(output, |output, text| output.stdout_contains(text));
    output = run
        .stderr_has
        .iter()
        .fold(output, |output, text| output.stderr_contains(text));
    output = run
        .stderr_lacks
        .iter()
        .fold(output, |output, text| output.stderr_lacks(text));
    if let Some(expected) = &run.json {
        let found = output.json();
        assert!(
            covers(&found, expected),
            "expected at least {expected:#}\nfound {found:#}"
        );
    }
    if let Some(expected) = &run.log {
        let log = fs::read_to_string(project.dir().join("backend.log")).unwrap_or_default();
        assert_eq!(
            log.lines().collect::<Vec<_>>(),
            *expected,
            "what the backends were asked"
        );
    }
}

/// Whether a document says everything that another one says: objects may have more keys.
fn covers(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| covers(found, expected))
        }
        _ => found == expected,
    }
}

/// Every value in `backends.toml`; the kinds of errors are none.
fn texts(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Table(table) => {
            let values = table.iter().filter(|(key, _)| *key != "error");
            values.flat_map(|(_, value)| texts(value)).collect()
        }
        _ => Vec::new(),
    }
}

fn value_of((_, value): (&str, &str)) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::covers;

    #[test]
    fn a_document_covers_what_it_says_and_not_more() {
        let found = json!({"a": 1, "b": [{"c": 2, "d": 3}]});
        assert!(covers(&found, &json!({"b": [{"c": 2}]})));
        assert!(!covers(&found, &json!({"b": []})));
        assert!(!covers(&found, &json!({"a": 2})));
        assert!(!covers(&found, &json!({"e": null})));
    }
}
