#![doc = include_str!("../README.md")]

mod config;
mod edit;
mod error;
mod expand;
mod loaded;
mod lock;
mod parse;
mod provider;
mod quote;
mod scan;
mod store;

use std::sync::Arc;

use credchain_core::{Registration, TrustNeed, register_provider};

pub use crate::config::SETTINGS;
pub use crate::parse::{Entry, Parsed, Warning, parse};
pub use crate::provider::Dotenv;
pub use crate::quote::quote;

register_provider!(
    Registration::new("dotenv", "`.env` files", provider::CAPABILITIES, |setup| {
        Ok(Arc::new(Dotenv::from_setup(&setup)?))
    })
    .with_settings(SETTINGS)
    .with_trust(TrustNeed::OutsideProject)
);
