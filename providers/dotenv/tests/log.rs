//! What is logged, and that it is no value.

use credchain_conformance::Warnings;
use credchain_core::{Context, Provider as _};
use credchain_provider_dotenv::Dotenv;

// The only test of this program: the subscriber is for all threads.
#[tokio::test]
async fn a_line_that_is_left_out_is_told_by_its_number_and_once() {
    let warnings = Warnings::watch();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    std::fs::write(&path, "A=1\n\nB=\"canary\n=canary\n").unwrap();
    let dotenv = Dotenv::file(&path);
    for name in ["A", "B", "A"] {
        let _ = dotenv.get(&name.parse().unwrap(), &Context::system()).await;
    }
    let warnings = warnings.given();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, line) in warnings.iter().zip([3, 4]) {
        assert!(
            warning.contains(&format!("line={line} ")) && warning.contains(".env"),
            "{warning}"
        );
        assert!(!warning.contains("canary"), "{warning}");
    }
}
