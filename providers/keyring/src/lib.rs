#![doc = include_str!("../README.md")]

mod config;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod error;
mod place;
mod provider;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod secret_service;
#[cfg(target_os = "linux")]
mod session;

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
