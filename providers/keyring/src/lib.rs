#![doc = include_str!("../README.md")]

mod backend;
mod beside;
mod config;
#[cfg(windows)]
mod credential_manager;
mod elsewhere;
mod error;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(target_os = "linux")]
mod keyutils;
mod message;
mod place;
mod provider;
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod secret_service;
#[cfg(any(target_os = "macos", test))]
mod status;
mod store;
#[cfg(any(target_os = "linux", target_os = "macos", windows))]
mod worker;

use std::sync::Arc;

use credchain_core::{Registration, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Keyring;

register_provider!(
    Registration::new(
        "keyring",
        "the operating system's keyring",
        provider::CAPABILITIES,
        |setup| Ok(Arc::new(Keyring::from_setup(&setup)?))
    )
    .with_settings(SETTINGS)
);
