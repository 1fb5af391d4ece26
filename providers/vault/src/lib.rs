#![doc = include_str!("../README.md")]
#![expect(
    clippy::doc_markdown,
    reason = "HashiCorp and OpenBao are names, and no code"
)]

mod auth;
mod beside;
mod client;
mod config;
mod document;
mod error;
mod interactive;
mod kv;
mod lease;
mod login;
mod provider;
mod rotate;
mod tls;

use std::sync::Arc;

use credchain_core::{Registration, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Vault;

register_provider!(
    Registration::new(
        "vault",
        "HashiCorp Vault or OpenBao",
        provider::CAPABILITIES,
        |setup| Ok(Arc::new(Vault::from_setup(&setup)?)),
    )
    .with_settings(SETTINGS)
);
