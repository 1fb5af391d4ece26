//! The promises of every provider, kept by the real Keychain and Credential Manager.
//!
//! For machines that nobody uses, such as those of the workflow: the items are the user's own.
#![cfg(any(target_os = "macos", windows))]

mod items;

use credchain_conformance::Limits;
use credchain_provider_keyring::Keyring;

use crate::items::Items;

fn limits() -> Limits {
    if cfg!(windows) {
        Limits::none().case_insensitive("Windows takes names that differ in case for one")
    } else {
        Limits::none()
    }
}

credchain_conformance::suite! {
    name: native,
    start: || async { Items::of(Keyring::of_service("credchain-conformance")) },
    provider: |items: &Items| items.link(),
    limits: limits(),
}
