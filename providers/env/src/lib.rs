#![doc = include_str!("../README.md")]

mod config;
mod error;
mod provider;

use std::sync::Arc;

use credchain_core::{Registration, TrustNeed, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Env;

register_provider!(
    Registration::new(
        "env",
        "environment variables",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Env::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
    .with_trust(TrustNeed::Never)
);
