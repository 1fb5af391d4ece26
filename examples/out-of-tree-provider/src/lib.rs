#![doc = include_str!("../README.md")]

mod config;
mod error;
mod parse;
mod provider;
mod read;

use std::sync::Arc;

use credchain_core::{Registration, TrustNeed, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Netrc;

register_provider!(
    Registration::new(
        "netrc",
        "the ~/.netrc file",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Netrc::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
    // It reads what other programs keep there, so a cloned project has to be trusted first.
    .with_trust(TrustNeed::Always)
);
