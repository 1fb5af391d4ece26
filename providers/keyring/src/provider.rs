//! The provider: a reference is a service and a user, and the keyring is asked for these.

use std::sync::Arc;

use credchain_core::{
    Capabilities, Context, Error, Expect, Kind, Listed, Naming, Provider, Reference, Result,
    Secret, SetOptions, Setup, Version, async_trait,
};

use crate::backend::{self, Backend};
use crate::beside::{beside, is_listed};
use crate::config::Settings;
use crate::place::Place;

/// A keyring is written as a whole each time something in it changes, so it is no place for
/// anything large.
const MAX_VALUE: usize = 1 << 20;

/// What the most able of the stores can do.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .encrypted()
    .max_value(MAX_VALUE);

/// Reads and writes the items of the operating system's keyring.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    backend: Arc<dyn Backend>,
}

impl Keyring {
    /// The items of this service, in a keyring that has to be there.
    pub fn of_service(service: impl Into<String>) -> Self {
        Self::with(Settings::one(service.into()))
    }

    /// As a configuration describes it.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self::with(Settings::new(setup)?))
    }

    fn with(settings: Settings) -> Self {
        let backend = backend::of(&settings);
        Self(Arc::new(Inner { settings, backend }))
    }

    /// The service of a path that names none.
    fn own(&self) -> &str {
        &self.0.settings.service
    }

    fn place(&self, reference: &Reference) -> Result<Place> {
        Place::of(reference, self.own())
    }
}

#[async_trait]
impl Provider for Keyring {
    fn capabilities(&self) -> Capabilities {
        self.0.backend.capabilities()
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let secret = self.0.backend.read(self.place(reference)?, cx).await?;
        Ok(secret.with_meta(|meta| meta.reference = Some(reference.clone())))
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        if options.expect != Expect::Any {
            return Err(Error::unsupported("a condition for writing"));
        }
        let place = self.place(reference)?;
        let max = self.capabilities().max_value.unwrap_or(MAX_VALUE);
        if value.expose().len() > max {
            let message = format!("a value in this keyring has at most {max} bytes");
            return Err(
                Error::new(Kind::Invalid, message).with_hint("keep it in a file or an `age` store")
            );
        }
        self.0.backend.write(place, value.clone(), cx).await?;
        Version::new("current")
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        self.0.backend.delete(self.place(reference)?, cx).await
    }

    // A keyring belongs to all programs of a user: without a prefix that names a service, what
    // is listed is this provider's service.
    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let prefix = prefix.unwrap_or_default();
        let everywhere = prefix.contains('/');
        let listed = self.0.backend.list(self.own().to_owned(), everywhere, cx);
        let mut listed = listed.await?;
        listed.retain(|entry| {
            entry.reference.path().starts_with(prefix) && is_listed(&entry.reference, prefix)
        });
        Ok(listed)
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let place = Place {
            service: self.0.settings.service_of(naming),
            user: naming.name.to_string(),
        };
        if place.service.is_empty() {
            return Vec::new();
        }
        place.reference(self.own()).into_iter().collect()
    }

    fn beside(&self, reference: &Reference) -> Option<Reference> {
        beside(reference, self.own())
    }
}
