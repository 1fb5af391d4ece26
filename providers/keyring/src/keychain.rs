//! The macOS Keychain: generic passwords of the login keychain, as Python's `keyring` keeps them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use apple_native_keyring_store::keychain::{Cred, MacKeychainDomain, Store as Items};
use credchain_core::{Capabilities, Context, Listed, Result, Secret, async_trait};
use keyring_core::Error;
use keyring_core::api::{CredentialApi as _, CredentialStoreApi as _};
use security_framework::base::Error as Status;
use security_framework::os::macos::keychain::SecKeychain;

use crate::backend::Backend;
use crate::config::Settings;
use crate::error::Failure;
use crate::place::Place;
use crate::provider::CAPABILITIES;
use crate::status;
use crate::store::Store;
use crate::worker::Workers;

/// Whether questions may be shown is said for a whole process, so that calls must not overlap.
const CALLS_AT_ONCE: usize = 1;

/// The user's default keychain.
#[derive(Debug)]
pub(crate) struct Keychain {
    explicit: bool,
    /// Whether it was there before: from then on, that it is not there is an outage.
    seen: AtomicBool,
    workers: Workers,
}

impl Keychain {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            explicit: settings.explicit,
            seen: AtomicBool::new(false),
            workers: Workers::new(CALLS_AT_ONCE),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        cx: &Context,
        call: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T> {
        let interactive = cx.interactive();
        let work = move || {
            // Else a program that nobody watches would wait for an answer to a question on the
            // desktop. Questions are allowed again when this is dropped.
            let quiet = (!interactive).then(SecKeychain::disable_user_interaction);
            let _quiet = quiet
                .transpose()
                .map_err(|error| status::of(error.code()))?;
            call().map_err(meaning)
        };
        let answer = self.workers.run(cx, work).await;
        if matches!(answer, Ok(_) | Err(Failure::NotFound)) {
            self.seen.store(true, Ordering::Relaxed);
        }
        let expected = self.explicit || self.seen.load(Ordering::Relaxed);
        answer.map_err(|failure| failure.into_error(Store::Keychain, expected))
    }
}

#[async_trait]
impl Backend for Keychain {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn read(&self, place: Place, cx: &Context) -> Result<Secret> {
        let read = self.ask(cx, move || item(place).get_secret().map(Secret::new));
        read.await
    }

    async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()> {
        self.ask(cx, move || item(place).set_secret(value.expose()))
            .await
    }

    async fn delete(&self, place: Place, cx: &Context) -> Result<()> {
        self.ask(cx, move || item(place).delete_credential()).await
    }

    async fn list(&self, own: String, everywhere: bool, cx: &Context) -> Result<Vec<Listed>> {
        let service = own.clone();
        let places = self.ask(cx, move || {
            let mut wanted = HashMap::new();
            if !everywhere {
                wanted.insert("service", service.as_str());
            }
            let items = Items::new()?.search(&wanted)?;
            Ok(items
                .iter()
                .filter_map(keyring_core::Entry::get_specifiers)
                .collect::<BTreeSet<_>>())
        });
        let places = places.await?.into_iter();
        let references =
            places.filter_map(|(service, user)| Place { service, user }.reference(&own));
        Ok(references.map(Listed::new).collect())
    }
}

fn item(Place { service, user }: Place) -> Cred {
    Cred {
        domain: MacKeychainDomain::User,
        service,
        account: user,
    }
}

/// What an error of the store means. Some hold the value that was read: nothing of them is kept
/// but a number.
fn meaning(error: Error) -> Failure {
    match error {
        Error::NoEntry => Failure::NotFound,
        Error::NoStorageAccess(cause) | Error::PlatformFailure(cause) => cause
            .downcast_ref::<Status>()
            .map_or(Failure::Garbled, |error| status::of(error.code())),
        Error::Invalid(..) | Error::TooLong(..) => Failure::BadName,
        _ => Failure::Garbled,
    }
}
