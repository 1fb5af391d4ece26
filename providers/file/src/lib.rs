#![doc = include_str!("../README.md")]

mod config;
mod directory;
mod error;
mod field;
mod provider;
mod write;

use std::sync::Arc;

use credchain_core::{Registration, TrustNeed, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Files;

register_provider!(
    Registration::new(
        "file",
        "a directory of secret files",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Files::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
    .with_trust(TrustNeed::OutsideProject)
);
