#![doc = include_str!("../README.md")]

mod beside;
mod codec;
mod config;
mod document;
mod envelope;
mod error;
mod files;
mod identity;
mod passphrase;
mod provider;
mod recipients;
mod sharing;
mod store;

use std::sync::Arc;

use credchain_core::{Registration, TrustNeed, register_provider};

pub use crate::config::StoreSettings;
pub use crate::identity::{SECRET_VARIABLES, generate_identity, new_identity, recipients_of};
pub use crate::passphrase::Passphrase;
pub use crate::provider::Age;
pub use crate::recipients::Recipient;
pub use crate::sharing::Removed;
pub use crate::store::Protection;

register_provider!(
    Registration::new(
        "age",
        "one encrypted file, safe to commit",
        provider::CAPABILITIES,
        |setup| { Ok(Arc::new(Age::from_setup(&setup)?)) }
    )
    .with_settings(config::SETTINGS)
    .with_trust(TrustNeed::OutsideProject)
);
