//! What is logged, and that it is no value.

use credchain_conformance::Warnings;
use credchain_core::{Context, Provider as _};
use credchain_provider_file::Files;

// The only test of this program: the subscriber is for all threads.
#[tokio::test]
async fn a_line_end_that_is_kept_is_told_once_for_each_file() {
    let warnings = Warnings::watch();
    let directory = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("one", "canary\n"),
        ("two", "canary\r\n"),
        ("none", "canary"),
    ] {
        std::fs::write(directory.path().join(name), value).unwrap();
    }
    let files = Files::in_directory(directory.path());
    for name in ["one", "two", "one", "none", "two", "one"] {
        files
            .get(&name.parse().unwrap(), &Context::system())
            .await
            .unwrap();
    }
    let warnings = warnings.given();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, name) in warnings.iter().zip(["one", "two"]) {
        assert!(warning.contains(&format!("file=\"{name}\"")), "{warning}");
        assert!(
            warning.contains("trim = true") && !warning.contains("canary"),
            "{warning}"
        );
    }
}
