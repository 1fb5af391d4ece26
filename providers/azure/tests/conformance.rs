//! The promises of every provider, kept against a fake of Key Vault.

mod support;

use std::sync::Arc;

use credchain_conformance::Limits;
use credchain_core::{Reference, Version};
use serde_json::json;

use crate::support::FakeKeyVault;

/// Key Vault takes no `_`, which the suite's own names are full of.
fn name(suite: &str) -> String {
    suite.replace('_', "--")
}

fn is_refused(suite: &str) -> bool {
    let name = name(suite);
    name.len() > 127 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

credchain_conformance::suite! {
    name: key_vault,
    start: || async { FakeKeyVault::start() },
    // What is deleted can be written again only after it was purged.
    provider: |vault: &FakeKeyVault| Arc::new(vault.azure(json!({"purge": true}))),
    context: |vault: &FakeKeyVault| vault.cx(),
    secrets: |vault: &FakeKeyVault| vec![vault.entra.secret().to_owned()],
    reference: |suite: &str| Reference::new(name(suite)).expect("a reference"),
    missing_version: Version::new("0".repeat(32)).expect("a version"),
    limits: Limits::none()
        .refuses_names("the characters and the length that Key Vault takes", is_refused)
        .case_insensitive("Key Vault takes two spellings for one name"),
}
