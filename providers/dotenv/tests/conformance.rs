//! The promises of every provider, kept by a `.env` file.

use std::sync::Arc;

use credchain_provider_dotenv::Dotenv;
use tempfile::TempDir;

credchain_conformance::suite! {
    name: dotenv,
    start: || async { tempfile::tempdir().unwrap() },
    provider: |directory: &TempDir| Arc::new(Dotenv::file(directory.path().join(".env"))),
}
