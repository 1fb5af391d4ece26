//! What the tests of this crate share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod home;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Context, LinkName, Project, Provider, Reference, Settings, Setup};
use credchain_provider_command::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plugin under test and the directory where it leaves its traces.
pub(crate) struct World {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) directory: TempDir,
}

/// The directory of this crate.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn reference_plugin() -> PathBuf {
    home().join("../../examples/plugin/reference_plugin.py")
}

pub(crate) fn setup(settings: Value) -> Setup {
    Setup::new(LinkName::literal("corp"))
        .with_settings(Settings::from_json(settings))
        .in_project(Project::new("shop", home()).with_profile("prod"))
}

pub(crate) fn build(settings: Value) -> Arc<dyn Provider> {
    Command::new(setup(settings))
        .build()
        .expect("the settings are right")
}

/// `settings` with those of `more` on top.
pub(crate) fn merged(mut settings: Value, more: &Value) -> Value {
    if let (Some(table), Some(more)) = (settings.as_object_mut(), more.as_object()) {
        table.extend(more.clone());
    }
    settings
}

/// The settings of the hostile plugin in one of its modes.
pub(crate) fn hostile_settings(mode: &str, directory: &Path) -> Value {
    let program = home().join("tests/plugins/hostile.py");
    json!({ "program": program, "args": [mode, directory] })
}

/// The hostile plugin in one of its modes.
pub(crate) fn hostile_with(mode: &str, extra: &Value) -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let provider = build(merged(hostile_settings(mode, directory.path()), extra));
    World {
        provider,
        directory,
    }
}

pub(crate) fn hostile(mode: &str) -> World {
    hostile_with(mode, &json!({}))
}

pub(crate) fn at(text: &str) -> Reference {
    text.parse().expect("a reference")
}

pub(crate) fn cx() -> Context {
    Context::system()
}

impl World {
    /// The lines that the plugin noted.
    pub(crate) fn notes(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The processes that the plugin told of.
    pub(crate) fn pids(&self) -> Vec<String> {
        self.notes("pids")
    }

    pub(crate) async fn get(&self, reference: &str) -> credchain_core::Result<String> {
        let secret = self.provider.get(&at(reference), &cx()).await?;
        Ok(String::from_utf8_lossy(secret.expose()).into_owned())
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Looks until it is true.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = cx().clock().clone();
    let start = clock.monotonic();
    while !is_so() {
        assert!(
            clock.monotonic() < start + PATIENCE,
            "it never happened: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
