//! The conformance suite against the reference plugin.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
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
