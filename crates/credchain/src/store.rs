//! Writing: where a value goes, and proof that it arrived.

use credchain_core::{
    Address, Context, Error, Kind, Link, LinkName, Name, Reference, Result, Secret, SetOptions,
    Version,
};

use crate::Credchain;
#[cfg(feature = "audit")]
use crate::audit_log::Action;

/// What a write did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Where the value is now.
    pub address: Address,
    /// Its new version.
    pub version: Version,
    /// An earlier link that has a value of its own, and so is served instead.
    pub shadowed_by: Option<LinkName>,
}

impl Credchain {
    /// The link that [`set`](Self::set) writes a credential to: `to`, else `[chain] write`, else
    /// the first link of its chain that can be written and encrypts.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if there is no such link; [`Kind::Unsupported`] if `to` cannot be
    /// written.
    pub fn write_link(&self, name: &Name, to: Option<&LinkName>) -> Result<&Link> {
        let resolver = self.resolver();
        if let Some(to) = to.or(self.project().write.as_ref()) {
            let link = self.link(to)?;
            self.check_writable(link)?;
            return Ok(link);
        }
        let fits = |link: &&Link| {
            let capabilities = link.provider().capabilities();
            capabilities.write && capabilities.encrypted
        };
        resolver.chain(name).iter().find(fits).ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                "no link of its chain can be written and encrypts",
            )
            .for_credential(name)
            .with_hint("`resolve init` makes an encrypted store; `--to dotenv` writes in clear")
        })
    }

    /// Writes a credential's value, reads it back, and tells where it went.
    ///
    /// # Errors
    /// As [`write_link`](Self::write_link) and the provider's
    /// [`set`](credchain_core::Provider::set); [`Kind::Internal`] if something else is read back.
    pub async fn set(
        &self,
        name: &Name,
        value: &Secret,
        to: Option<&LinkName>,
        options: &SetOptions,
    ) -> Result<Written> {
        let link = self.write_link(name, to)?;
        let place = self.resolver().place(name, link)?;
        let version = self
            .write(link, &place, value, options)
            .await
            .map_err(|error| error.for_credential(name))?;
        self.forget(name);
        #[cfg(feature = "rotation")]
        if let Err(error) = self.note_age(name, version.1) {
            tracing::warn!("the age of `{name}` could not be noted: {error}");
        }
        let version = version.0;
        let shadowed_by = self.shadowing(name, link).await;
        let address = Address {
            link: link.name().clone(),
            reference: place,
        };
        Ok(Written {
            address,
            version,
            shadowed_by,
        })
    }

    /// Removes a credential's value from the link that [`set`](Self::set) would write to.
    ///
    /// # Errors
    /// As [`write_link`](Self::write_link) and the provider's
    /// [`delete`](credchain_core::Provider::delete).
    pub async fn delete(&self, name: &Name, from: Option<&LinkName>) -> Result<Address> {
        let link = self.write_link(name, from)?;
        let place = self.resolver().place(name, link)?;
        let cx = self.resolver().context();
        let delete = link.provider().delete(&place, &cx);
        #[cfg(feature = "audit")]
        let delete = self.audited(Action::Delete, link.name(), &place, None, delete);
        let deleted = delete.await;
        deleted.map_err(|error| error.for_credential(name).at(link.name().clone()))?;
        self.forget(name);
        Ok(Address {
            link: link.name().clone(),
            reference: place,
        })
    }

    /// Drops what is remembered of a credential that was changed, and tells who watches it.
    pub(crate) fn forget(&self, name: &Name) {
        self.resolver().forget(name);
        self.changes.announce();
    }

    /// Writes the value of one place at one link, reads it back, and tells its new version.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn set_at(
        &self,
        address: &Address,
        value: &Secret,
        options: &SetOptions,
    ) -> Result<Version> {
        let link = self.link(&address.link)?;
        self.check_writable(link)?;
        let written = self.write(link, &address.reference, value, options).await?;
        Ok(written.0)
    }

    /// Removes the value of one place at one link.
    ///
    /// # Errors
    /// As the provider's [`delete`](credchain_core::Provider::delete).
    pub async fn delete_at(&self, address: &Address) -> Result<()> {
        let link = self.link(&address.link)?;
        let cx = self.resolver().context();
        let delete = link.provider().delete(&address.reference, &cx);
        #[cfg(feature = "audit")]
        let delete = self.audited(
            Action::Delete,
            link.name(),
            &address.reference,
            None,
            delete,
        );
        delete.await.map_err(|error| error.at(address.link.clone()))
    }

    /// Whether a link can be written.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if it may not be used at all, else [`Kind::Unsupported`] if it can
    /// only be read.
    pub fn check_writable(&self, link: &Link) -> Result<()> {
        if let Some(untrusted) = self.verdict().link(link.name()) {
            return Err(untrusted.error());
        }
        if link.provider().capabilities().write {
            return Ok(());
        }
        Err(Error::new(Kind::Unsupported, "it cannot be written").at(link.name().clone()))
    }

    /// The link of this name.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if the configuration has none.
    pub fn link(&self, name: &LinkName) -> Result<&Link> {
        self.resolver().link(name).ok_or_else(|| {
            Error::new(
                Kind::Misconfigured,
                format!("no provider is named `{name}`"),
            )
            .with_hint("`resolve providers` lists the providers of this project")
        })
    }

    /// The new version, and whether the backend says when it was made.
    async fn write(
        &self,
        link: &Link,
        place: &Reference,
        value: &Secret,
        options: &SetOptions,
    ) -> Result<(Version, bool)> {
        let cx: Context = self.resolver().context();
        let at_link = |error: Error| error.at(link.name().clone());
        let set = link.provider().set(place, value, options, &cx);
        #[cfg(feature = "audit")]
        let set = self.audited(Action::Set, link.name(), place, Some(value), set);
        let version = set.await.map_err(at_link)?;
        let back = link.provider().get(place, &cx).await.map_err(at_link)?;
        if back.same_value(value) {
            return Ok((version, back.meta().created.is_some()));
        }
        Err(at_link(Error::new(
            Kind::Internal,
            "what was read back is not what was written",
        )))
    }

    /// The first link before `link` that has a value of its own.
    async fn shadowing(&self, name: &Name, link: &Link) -> Option<LinkName> {
        let resolution = self.resolver().resolve(name).await;
        let served = resolution.result.ok()?.meta().link.clone()?;
        let chain = self.resolver().chain(name);
        let place = |wanted: &LinkName| chain.iter().position(|link| link.name() == wanted);
        (place(&served)? < place(link.name())?).then_some(served)
    }
}
