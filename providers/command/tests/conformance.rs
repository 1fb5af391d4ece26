//! The conformance suite against the reference plugin and against tools.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use credchain_conformance::Limits;
use serde_json::json;
use support::home::PasswordStore;
use tempfile::TempDir;

credchain_conformance::suite! {
    name: reference_plugin,
    start: || async { tempfile::tempdir().unwrap() },
    provider: |directory: &TempDir| support::build(json!({
        "program": support::reference_plugin(),
        "args": ["--store", directory.path().join("store.json")],
        "capabilities": ["set", "delete", "list", "versions", "compare_and_set"],
    })),
}

credchain_conformance::suite! {
    name: pass,
    start: || async { PasswordStore::new() },
    provider: |store: &PasswordStore| store.provider(),
    limits: Limits::none()
        .refuses_names("entries are files in folders", |name| {
            name.len() > 200 || name.split('/').any(|segment| segment.is_empty() || segment == ".")
        }),
}
