#![doc = include_str!("../README.md")]

mod address;
mod beside;
mod checksum;
mod config;
mod document;
mod endpoint;
mod error;
mod http;
mod login;
mod provider;
mod secrets;
mod session;

use std::sync::Arc;

use credchain_core::{Registration, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Gcp;

register_provider!(
    Registration::new(
        "gcp",
        "Google Cloud Secret Manager",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Gcp::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
);
