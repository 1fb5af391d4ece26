//! The promises of every provider, kept by a real gnome-keyring.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use credchain_core::{Context, Environment};
use credchain_provider_keyring::Keyring;
use credchain_tests::servers::SecretService;

credchain_conformance::suite! {
    name: keyring,
    start: || async { SecretService::start() },
    provider: |_server: &SecretService| Arc::new(Keyring::of_service("conformance")),
    context: |server: &SecretService| {
        Context::system().with_env(Environment::fixed(server.variables()))
    },
}
