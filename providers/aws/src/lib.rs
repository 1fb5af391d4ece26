#![doc = include_str!("../README.md")]

mod address;
mod answer;
mod beside;
mod config;
mod document;
mod endpoint;
mod error;
mod http;
mod identity;
mod parameters;
mod provider;
mod rotate;
mod secrets;
mod session;

use std::sync::Arc;

use credchain_core::{Registration, register_provider};

pub use crate::config::SETTINGS;
pub use crate::provider::Aws;

register_provider!(
    Registration::new(
        "aws",
        "AWS Secrets Manager or SSM Parameter Store",
        provider::SECRETS,
        |setup| { Ok(Arc::new(Aws::from_setup(&setup)?)) }
    )
    .with_settings(SETTINGS)
);
