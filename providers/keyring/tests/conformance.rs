//! The promises of every provider, kept by a real gnome-keyring and by the real kernel.
#![cfg(target_os = "linux")]

mod items;
mod keys;

use std::sync::Arc;

use credchain_conformance::Limits;
use credchain_core::{Context, Environment};
use credchain_provider_keyring::Keyring;
use credchain_tests::servers::SecretService;

use crate::items::Items;

credchain_conformance::suite! {
    name: keyring,
    start: || async { SecretService::start() },
    provider: |_server: &SecretService| Arc::new(Keyring::of_service("conformance")),
    context: |server: &SecretService| {
        Context::system().with_env(Environment::fixed(server.variables()))
    },
}

fn of_kernel() -> Limits {
    Limits::none().refuses_values("the kernel keeps no empty key", <[u8]>::is_empty)
}

credchain_conformance::suite! {
    name: keyutils_persistent,
    start: || async { keys::of("persistent") },
    provider: |items: &Items| items.link(),
    limits: of_kernel(),
}

credchain_conformance::suite! {
    name: keyutils_user,
    start: || async { keys::of("user") },
    provider: |items: &Items| items.link(),
    limits: of_kernel(),
}

credchain_conformance::suite! {
    name: keyutils_session,
    start: || async { keys::of("session") },
    provider: |items: &Items| items.link(),
    limits: of_kernel(),
}
