//! The provider: a reference becomes an address, and that is asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;

use credchain_core::{
    Capabilities, Context, Description, Error, Identity, Kind, Listed, Naming, Provider, Reference,
    Result, Secret, SetOptions, Setup, Version, VersionState, Versioned, async_trait,
};
use futures_util::{StreamExt as _, stream};

use crate::address::{Address, checked, locate, version};
use crate::beside::{beside, is_listed};
use crate::client::Ask;
use crate::config::Settings;
use crate::document::field;
use crate::failed::Problem;
use crate::identity;
use crate::session::{Session, Sessions};
use crate::vault::{self, MAX_VALUE, Stored};

pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .encrypted()
    .text_only()
    .max_value(MAX_VALUE);

/// Secrets of one Azure Key Vault.
pub struct Azure {
    settings: Settings,
    sessions: Sessions,
}

impl Azure {
    /// As a configuration describes it. Neither network nor files are touched before the first
    /// use.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self {
            settings: Settings::new(setup)?,
            sessions: Sessions::default(),
        })
    }

    fn ask<'a>(&'a self, session: &'a Session, cx: &'a Context) -> Ask<'a> {
        Ask {
            session,
            settings: &self.settings,
            cx,
        }
    }

    /// Where a reference leads, on the way to a write.
    fn target(&self, reference: &Reference) -> Result<Address> {
        if reference.version().is_some() {
            return Err(Error::unsupported("changing one version"));
        }
        if reference.field().is_some() {
            return Err(Error::unsupported("changing a single field")
                .with_hint("write the whole JSON object, without `#FIELD`"));
        }
        Address::of(reference, &self.settings)
    }

    /// The whole value that a reference leads to.
    async fn whole(&self, reference: &Reference, cx: &Context) -> Result<Stored> {
        let place = Place::of(reference, &self.settings)?;
        let session = self.sessions.current(&self.settings, cx).await?;
        let whole = vault::get(self.ask(&session, cx), &place.address, place.version());
        whole.await.map_err(Problem::into_error)
    }

    /// Reads whole values; a place that cannot be asked has its own error.
    async fn read(
        &self,
        places: &[Result<Place>],
        cx: &Context,
    ) -> Result<HashMap<Place, Result<Secret>>> {
        let asked: HashSet<&Place> = places
            .iter()
            .filter_map(|place| place.as_ref().ok())
            .collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let session = self.sessions.current(&self.settings, cx).await?;
        let ask = self.ask(&session, cx);
        // Once for all of them, so that a wrong login is not tried again for each.
        ask.token().await.map_err(Problem::into_error)?;
        let reads: Vec<_> = asked
            .into_iter()
            .map(|place| async move {
                let whole = vault::get(ask, &place.address, place.version()).await;
                let whole = whole.map(|stored| stored.secret);
                (place.clone(), whole.map_err(Problem::into_error))
            })
            .collect();
        let reads = stream::iter(reads).buffer_unordered(self.settings.max_connections);
        Ok(reads.collect().await)
    }
}

/// What is fetched for a reference: fields of one secret are one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: Address,
    version: Option<String>,
}

impl Place {
    fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        Ok(Self {
            address: Address::of(reference, settings)?,
            version: version(reference)?.map(str::to_owned),
        })
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// The part of a whole value that a reference asks for.
fn part(whole: &Secret, reference: &Reference) -> Result<Secret> {
    let part = match reference.field() {
        Some(name) => field(whole, name)?,
        None => whole.clone(),
    };
    Ok(part.with_meta(|meta| meta.reference = Some(reference.clone())))
}

fn acceptable(value: &Secret) -> Result<()> {
    if value.expose().len() > MAX_VALUE {
        let message =
            format!("the value is larger than the {MAX_VALUE} bytes that Key Vault holds");
        return Err(Error::new(Kind::Invalid, message)
            .with_hint("keep the file elsewhere and only its key here"));
    }
    match value.expose_text() {
        Some(text) if !text.contains('\0') => Ok(()),
        _ => Err(Error::new(Kind::Invalid, "Key Vault holds text only")
            .with_hint("store the value in base64, and decode it where it is used")),
    }
}

#[async_trait]
impl Provider for Azure {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        part(&self.whole(reference, cx).await?.secret, reference)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let places: Vec<_> = references
            .iter()
            .map(|reference| Place::of(reference, &self.settings))
            .collect();
        let answers = self.read(&places, cx).await;
        let answered = |place: &Place| match &answers {
            Ok(answers) => answers
                .get(place)
                .cloned()
                .unwrap_or_else(|| Err(Error::new(Kind::Internal, "a question without an answer"))),
            Err(error) => Err(error.clone()),
        };
        references
            .iter()
            .zip(&places)
            .map(|(reference, place)| {
                let place = place.as_ref().map_err(Clone::clone)?;
                part(&answered(place)?, reference)
            })
            .collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let address = self.target(reference)?;
        acceptable(value)?;
        let session = self.sessions.current(&self.settings, cx).await?;
        let version = vault::set(self.ask(&session, cx), &address, value, options);
        version.await.map_err(Problem::into_error)
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let address = self.target(reference)?;
        let session = self.sessions.current(&self.settings, cx).await?;
        let deleted = vault::delete(self.ask(&session, cx), &address);
        deleted.await.map_err(Problem::into_error)
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let session = self.sessions.current(&self.settings, cx).await?;
        let prefix = prefix.unwrap_or_default();
        let listed = vault::list(self.ask(&session, cx), prefix).await;
        let mut listed = listed.map_err(Problem::into_error)?;
        listed.retain(|one| is_listed(&one.reference, prefix));
        Ok(listed)
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        let whole = self.whole(reference, cx).await?;
        let secret = part(&whole.secret, reference)?;
        let mut description = Description::default();
        let meta = secret.meta();
        description.version.clone_from(&meta.version);
        (description.created, description.expires) = (meta.created, meta.expires);
        description.metadata = whole.tags;
        Ok(description)
    }

    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let session = self.sessions.current(&self.settings, cx).await?;
        let told = identity::identity(self.ask(&session, cx)).await;
        told.map_err(Problem::into_error)
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        locate(naming, &self.settings).into_iter().collect()
    }

    fn beside(&self, reference: &Reference) -> Option<Reference> {
        beside(reference, &self.settings)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        Some(self)
    }
}

#[async_trait]
impl Versioned for Azure {
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.sessions.current(&self.settings, cx).await?;
        let states = vault::versions(self.ask(&session, cx), &address).await;
        states.map_err(Problem::into_error)
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        Err(Error::unsupported("moving a stage"))
    }

    async fn disable(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        let address = Address::of(reference, &self.settings)?;
        let version = checked(version)?;
        let session = self.sessions.current(&self.settings, cx).await?;
        let disabled = vault::disable(self.ask(&session, cx), &address, version).await;
        disabled.map_err(Problem::into_error)
    }

    async fn destroy(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("destroying a version"))
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
