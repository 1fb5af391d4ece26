//! The age stores of a project, for what only they can: changing who can open them.

use std::fmt;

use credchain_core::{
    Context, CredentialSource, Error, Kind, LinkName, Name, Resolver, Result, Secret, Setup,
    async_trait,
};
use credchain_provider_age::Age;

use crate::Credchain;

impl Credchain {
    /// The age store behind a link, with the settings and logins that the link has.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if there is no such link, or if its settings are wrong;
    /// [`Kind::Unsupported`] if it is no age store; [`Kind::Untrusted`] if it may not be used.
    pub fn age_store(&self, link: &LinkName) -> Result<Age> {
        self.link(link)?;
        let spec = self.project().providers.get(link);
        let Some(spec) = spec.filter(|spec| spec.type_name == "age") else {
            return Err(Error::new(Kind::Unsupported, "it is no age store").at(link.clone()));
        };
        if let Some(untrusted) = self.verdict().link(link) {
            return Err(untrusted.error());
        }
        let setup = Setup::new(link.clone())
            .with_settings(spec.settings.clone())
            .explicit(spec.explicit)
            .in_project(self.project().for_providers())
            .with_context(self.resolver().context())
            .with_credentials(std::sync::Arc::new(Logins(self.resolver().clone())));
        Age::from_setup(&setup).map_err(|error| error.at(link.clone()))
    }
}

/// The project's own credentials, for what a store needs to be opened. The link itself is built
/// by the resolver, so that a circle ends there.
struct Logins(Resolver);

#[async_trait]
impl CredentialSource for Logins {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        self.0.resolve(name).await.result
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}
