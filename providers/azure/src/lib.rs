#![doc = include_str!("../README.md")]

mod address;
mod beside;
mod cli;
mod client;
mod config;
mod document;
mod endpoint;
mod error;
mod escape;
mod failed;
mod http;
mod identity;
mod login;
mod provider;
mod session;
mod token;
mod vault;
mod wire;

use std::sync::Arc;

use credchain_core::{Registration, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Azure;

register_provider!(
    Registration::new(
        "azure",
        "Azure Key Vault secrets",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Azure::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
);
