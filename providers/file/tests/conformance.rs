//! The promises of every provider, kept by a directory of files.

use std::sync::Arc;

use credchain_conformance::Limits;
use credchain_provider_file::Files;
use tempfile::TempDir;

credchain_conformance::suite! {
    name: file,
    start: || async { tempfile::tempdir().unwrap() },
    provider: |directory: &TempDir| Arc::new(Files::in_directory(directory.path())),
    limits: Limits::none().refuses_names("one file has one name", |name| {
        name.split('/').any(|part| part.is_empty() || part == ".")
    }),
}
