//! What each store offers, and which one is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Capabilities, Context, Listed, Result, Secret, async_trait};

use crate::config::Settings;
use crate::elsewhere::Nowhere;
use crate::place::Place;
use crate::store::Store;

/// How long an answer may take that no person has to give.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a person may take who is asked for the keyring's password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_mins(5);

/// One store, reached on first use.
#[async_trait]
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// What this store can do; never more than [`CAPABILITIES`](crate::provider::CAPABILITIES).
    fn capabilities(&self) -> Capabilities;

    /// Reads the value of a place.
    async fn read(&self, place: Place, cx: &Context) -> Result<Secret>;

    /// Writes a value of a size that the capabilities allow.
    async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()>;

    /// Removes the value of a place.
    async fn delete(&self, place: Place, cx: &Context) -> Result<()>;

    /// Lists the places of the service `own`, or those of every service.
    async fn list(&self, own: String, everywhere: bool, cx: &Context) -> Result<Vec<Listed>>;
}

/// The store of these settings.
pub(crate) fn of(settings: &Settings) -> Arc<dyn Backend> {
    match settings.store {
        #[cfg(any(
            target_os = "linux",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd"
        ))]
        Some(Store::SecretService) => Arc::new(crate::secret_service::SecretService::new(settings)),
        #[cfg(target_os = "linux")]
        Some(Store::Keyutils) => Arc::new(crate::keyutils::Keyutils::new(settings)),
        #[cfg(target_os = "macos")]
        Some(Store::Keychain) => Arc::new(crate::keychain::Keychain::new(settings)),
        #[cfg(windows)]
        Some(Store::CredentialManager) => {
            Arc::new(crate::credential_manager::CredentialManager::new(settings))
        }
        // No settings ask for what `Store::here` does not have.
        _ => Arc::new(Nowhere),
    }
}

/// How long an answer may take.
pub(crate) fn patience(cx: &Context) -> Duration {
    let patience = if cx.interactive() {
        PATIENCE_WITH_PEOPLE
    } else {
        PATIENCE
    };
    cx.remaining().map_or(patience, |left| left.min(patience))
}
