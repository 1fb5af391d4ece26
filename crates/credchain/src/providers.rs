//! The providers of this build. A new one adds its line to each list; the rest is in its crate.

use credchain_core::{Registry, Result};

// Linked for their registration alone.
#[cfg(feature = "age")]
use credchain_provider_age as _;
#[cfg(feature = "aws")]
use credchain_provider_aws as _;
#[cfg(feature = "azure")]
use credchain_provider_azure as _;
#[cfg(feature = "command")]
use credchain_provider_command as _;
#[cfg(feature = "dotenv")]
use credchain_provider_dotenv as _;
#[cfg(feature = "env")]
use credchain_provider_env as _;
#[cfg(feature = "file")]
use credchain_provider_file as _;
#[cfg(feature = "gcp")]
use credchain_provider_gcp as _;
#[cfg(feature = "keyring")]
use credchain_provider_keyring as _;
#[cfg(feature = "vault")]
use credchain_provider_vault as _;

const ENABLED: &[&str] = &[
    #[cfg(feature = "age")]
    "age",
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "azure")]
    "azure",
    #[cfg(feature = "command")]
    "command",
    #[cfg(feature = "dotenv")]
    "dotenv",
    #[cfg(feature = "env")]
    "env",
    #[cfg(feature = "file")]
    "file",
    #[cfg(feature = "gcp")]
    "gcp",
    #[cfg(feature = "keyring")]
    "keyring",
    #[cfg(feature = "vault")]
    "vault",
];

/// Every provider type of this build.
///
/// # Errors
/// [`Kind::Internal`](credchain_core::Kind::Internal) if an enabled one did not register.
pub fn registry() -> Result<Registry> {
    Registry::collect(ENABLED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_enabled_provider_registers() {
        let registry = registry().unwrap();
        for name in ENABLED {
            assert!(registry.get(name).is_some(), "{name}");
        }
    }
}
