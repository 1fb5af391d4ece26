//! The Windows Credential Manager: generic credentials, as Python's `keyring` keeps them.
//!
//! Python keeps the last password of a service under the name of the service, with the user as an
//! attribute, and those of its other users under `USER@SERVICE`. Both are looked at here, and a
//! new one is made under the second, so that nothing of Python's has to be moved.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use credchain_core::{Capabilities, Context, Listed, Result, Secret, async_trait};
use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
use windows_native_keyring_store::Store as Credentials;

use crate::backend::Backend;
use crate::config::Settings;
use crate::error::Failure;
use crate::place::Place;
use crate::provider::CAPABILITIES;
use crate::store::Store;
use crate::worker::Workers;

/// A credential has 2560 bytes, and Python's `keyring` writes it as UTF-16: as many characters fit
/// in any case as half of that.
const MAX_VALUE: usize = 1280;

/// The system's service serializes calls anyway, and its notes warn of calls that overlap.
const CALLS_AT_ONCE: usize = 1;

/// The credentials of the logged-in user.
#[derive(Debug)]
pub(crate) struct CredentialManager {
    explicit: bool,
    /// Whether it was there before: from then on, that it is not there is an outage.
    seen: AtomicBool,
    workers: Workers,
}

impl CredentialManager {
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
        call: impl FnOnce(&Credentials) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let work = move || call(&*credentials()?);
        let answer = self.workers.run(cx, work).await;
        if matches!(answer, Ok(_) | Err(Failure::NotFound)) {
            self.seen.store(true, Ordering::Relaxed);
        }
        let expected = self.explicit || self.seen.load(Ordering::Relaxed);
        answer.map_err(|failure| failure.into_error(Store::CredentialManager, expected))
    }
}

#[async_trait]
impl Backend for CredentialManager {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES.text_only().max_value(MAX_VALUE)
    }

    async fn read(&self, place: Place, cx: &Context) -> Result<Secret> {
        self.ask(cx, move |all| {
            let found = existing(all, &place)?;
            match found.first().ok_or(Failure::NotFound)?.get_password() {
                Ok(text) => Ok(Secret::new(text)),
                // Not UTF-16, so it is another program's, and it is given as it is.
                Err(Error::BadEncoding(bytes)) => Ok(Secret::new(bytes)),
                Err(error) => Err(meaning(&error)),
            }
        })
        .await
    }

    async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()> {
        self.ask(cx, move |all| {
            let text = value.expose_text().filter(|text| !text.contains('\0'));
            let text = text.ok_or(Failure::BadValue)?;
            let found = existing(all, &place)?;
            let target = match found.into_iter().next() {
                Some(found) => found,
                None => vacant(all, &place)?,
            };
            target.set_password(text).map_err(|error| meaning(&error))
        })
        .await
    }

    async fn delete(&self, place: Place, cx: &Context) -> Result<()> {
        self.ask(cx, move |all| {
            let found = existing(all, &place)?;
            if found.is_empty() {
                return Err(Failure::NotFound);
            }
            let mut deletions = found.iter().map(Entry::delete_credential);
            deletions.try_for_each(|done| done.map_err(|error| meaning(&error)))
        })
        .await
    }

    async fn list(&self, own: String, everywhere: bool, cx: &Context) -> Result<Vec<Listed>> {
        let service = own.clone();
        let places = self.ask(cx, move |all| {
            let entries = all
                .search(&HashMap::new())
                .map_err(|error| meaning(&error))?;
            let places = entries.iter().filter_map(place_of);
            let places = places.filter(|(of, _)| everywhere || *of == service);
            Ok(places.collect::<BTreeSet<_>>())
        });
        let places = places.await?.into_iter();
        let references =
            places.filter_map(|(service, user)| Place { service, user }.reference(&own));
        Ok(references.map(Listed::new).collect())
    }
}

fn credentials() -> Result<Arc<Credentials>, Failure> {
    let divider = HashMap::from([("divider", "@")]);
    Credentials::new_with_configuration(&divider).map_err(|error| meaning(&error))
}

/// The credentials of this place, the one that Python reads first.
fn existing(all: &Credentials, place: &Place) -> Result<Vec<Entry>, Failure> {
    let mut found = Vec::new();
    for entry in [of_service(all, place)?, of_user(all, place)?] {
        // To Windows, names that differ in case only are one name.
        let user = user_of(&entry)?.map(|user| user.to_lowercase());
        if user == Some(place.user.to_lowercase()) {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Where a place that has no credential gets one.
fn vacant(all: &Credentials, place: &Place) -> Result<Entry, Failure> {
    let entry = of_user(all, place)?;
    match user_of(&entry)? {
        None => Ok(entry),
        // Windows takes two names for one, and not by the case of their letters.
        Some(_) => Err(Failure::BadName),
    }
}

/// The credential under the name of the service.
fn of_service(all: &Credentials, Place { service, user }: &Place) -> Result<Entry, Failure> {
    let target = HashMap::from([("target", service.as_str())]);
    let entry = all.build(service, user, Some(&target));
    entry.map_err(|error| meaning(&error))
}

/// The credential under the names of the user and the service.
fn of_user(all: &Credentials, Place { service, user }: &Place) -> Result<Entry, Failure> {
    let entry = all.build(service, user, None);
    entry.map_err(|error| meaning(&error))
}

/// Whose credential it is; nobody's if there is none.
fn user_of(entry: &Entry) -> Result<Option<String>, Failure> {
    match entry.get_attributes() {
        Ok(mut attributes) => Ok(attributes.remove("username")),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(meaning(&error)),
    }
}

/// The service and the user of a credential; nothing if it has gone since it was found.
fn place_of(entry: &Entry) -> Option<(String, String)> {
    let mut attributes = entry.get_attributes().ok()?;
    let target = attributes.remove("target_name")?;
    let user = attributes.remove("username")?;
    let rest = target.strip_prefix(&user);
    let service = match rest.and_then(|rest| rest.strip_prefix('@')) {
        Some(service) if !user.is_empty() => service.to_owned(),
        _ => target,
    };
    Some((service, user))
}

/// What an error of the store means. Some hold the value that was read: nothing of them is kept
/// but the number of what Windows said, which is all that this one error shows.
fn meaning(error: &Error) -> Failure {
    match error {
        Error::NoEntry => Failure::NotFound,
        Error::NoStorageAccess(_) => Failure::NoStore,
        Error::PlatformFailure(cause) => Failure::Other(cause.to_string()),
        Error::Invalid(..) | Error::TooLong(..) => Failure::BadName,
        _ => Failure::Garbled,
    }
}
