//! The provider: a reference becomes an address, and that is asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use credchain_core::{
    Capabilities, Context, Error, Identity, Kind, Listed, Naming, Provider, Reference, Result,
    Rotatable, Secret, SetOptions, Setup, Version, VersionState, Versioned, async_trait,
};
use futures_util::{StreamExt as _, stream};

use crate::address::{Address, Selector, locate};
use crate::beside::{beside, is_listed};
use crate::config::{Service, Settings};
use crate::document::field;
use crate::error::Failed;
use crate::session::{Ask, Session, Sessions};
use crate::{identity, parameters, secrets};

/// What Secrets Manager can do, which is also the most that this provider type can.
pub(crate) const SECRETS: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .compare_and_set()
    .encrypted()
    .batched()
    .max_value(secrets::MAX_VALUE);

const PARAMETERS: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .encrypted()
    .batched()
    .text_only();

/// How many single reads are under way at a time.
const CONCURRENCY: usize = 8;

/// Secrets of AWS Secrets Manager, or parameters of SSM Parameter Store.
pub struct Aws {
    pub(crate) settings: Arc<Settings>,
    pub(crate) sessions: Arc<Sessions>,
    batch: secrets::Batch,
}

impl Aws {
    /// As a configuration describes it. Neither network nor files are touched before the first
    /// use.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self {
            settings: Arc::new(Settings::new(setup)?),
            sessions: Arc::default(),
            batch: secrets::Batch::default(),
        })
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

    fn acceptable(&self, value: &Secret) -> Result<()> {
        let max = self.capabilities().max_value.unwrap_or(usize::MAX);
        match value.expose().len() {
            0 => Err(Error::new(Kind::Invalid, "AWS holds no empty values")),
            length if length > max => {
                let message = format!("the value is larger than the {max} bytes that AWS holds");
                Err(Error::new(Kind::Invalid, message).with_hint(match self.settings.service {
                    Service::SecretsManager => "keep the file elsewhere and only its key here",
                    Service::ParameterStore => {
                        "`tier = \"advanced\"` holds 8 KiB, `service = \"secretsmanager\"` 64 KiB"
                    }
                }))
            }
            _ => Ok(()),
        }
    }

    /// The session of this runtime, fit for this address.
    async fn session(&self, address: &Address, cx: &Context) -> Result<Arc<Session>> {
        let session = self.sessions.current(&self.settings, cx).await?;
        address.check_region(&session.region)?;
        Ok(session)
    }

    fn ask<'a>(&'a self, session: &'a Session, cx: &'a Context) -> Ask<'a> {
        Ask {
            session,
            settings: &self.settings,
            cx,
        }
    }

    /// Whoever is not known any more logs in anew the next time.
    fn noted<T>(&self, answer: Result<T>) -> Result<T> {
        if answer.as_ref().is_err_and(is_unauthenticated) {
            self.sessions.forget();
        }
        answer
    }

    /// One whole value.
    async fn whole(&self, ask: Ask<'_>, place: &Place) -> Result<Secret> {
        match self.settings.service {
            Service::SecretsManager => {
                let version = Selector::of(place.version.as_ref());
                secrets::get(ask, &place.address, &version).await
            }
            Service::ParameterStore => {
                parameters::get(ask, &place.address, place.version.as_ref()).await
            }
        }
    }

    /// The whole values at these places, which differ from each other.
    async fn all(&self, ask: Ask<'_>, places: HashSet<&Place>) -> HashMap<Place, Result<Secret>> {
        let (versioned, current): (Vec<_>, Vec<_>) = places
            .into_iter()
            .partition(|place| place.version.is_some());
        let current: Vec<_> = current
            .into_iter()
            .map(|place| place.address.clone())
            .collect();
        let batch = async {
            match self.settings.service {
                Service::SecretsManager => secrets::get_many(ask, &self.batch, &current).await,
                Service::ParameterStore => parameters::get_many(ask, &current).await,
            }
        };
        // No question about several secrets can name versions.
        let singles: Vec<_> = versioned
            .into_iter()
            .map(|place| async move { (place.clone(), self.whole(ask, place).await) })
            .collect();
        let singles = stream::iter(singles)
            .buffered(CONCURRENCY)
            .collect::<Vec<_>>();
        let (batch, singles) = futures_util::future::join(batch, singles).await;
        let current = batch.into_iter().map(|(address, answer)| {
            let version = None;
            (Place { address, version }, answer)
        });
        current.chain(singles).collect()
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
        let (here, elsewhere): (HashSet<_>, HashSet<_>) = asked
            .into_iter()
            .partition(|place| place.address.check_region(&session.region).is_ok());
        let mut answers = self.all(self.ask(&session, cx), here).await;
        answers.extend(elsewhere.into_iter().map(|place| {
            let refused = place.address.check_region(&session.region);
            (
                place.clone(),
                refused.and_then(|()| Err(Error::not_found())),
            )
        }));
        if answers
            .values()
            .any(|answer| answer.as_ref().is_err_and(is_unauthenticated))
        {
            self.sessions.forget();
        }
        Ok(answers)
    }
}

/// What is fetched for a reference: fields of one secret are one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: Address,
    version: Option<Version>,
}

impl Place {
    fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        Ok(Self {
            address: Address::of(reference, settings)?,
            version: reference.version().cloned(),
        })
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

fn is_unauthenticated(error: &Error) -> bool {
    error.kind() == Kind::Unauthenticated
}

#[async_trait]
impl Provider for Aws {
    fn capabilities(&self) -> Capabilities {
        match self.settings.service {
            Service::SecretsManager => SECRETS,
            Service::ParameterStore => PARAMETERS.max_value(self.settings.tier.max_value()),
        }
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let place = Place::of(reference, &self.settings)?;
        let session = self.session(&place.address, cx).await?;
        let whole = self.whole(self.ask(&session, cx), &place).await;
        part(&self.noted(whole)?, reference)
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
        self.acceptable(value)?;
        let session = self.session(&address, cx).await?;
        let ask = self.ask(&session, cx);
        self.noted(match self.settings.service {
            Service::SecretsManager => secrets::set(ask, &address, value, options).await,
            Service::ParameterStore => parameters::set(ask, &address, value, options).await,
        })
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let address = self.target(reference)?;
        let session = self.session(&address, cx).await?;
        let ask = self.ask(&session, cx);
        self.noted(match self.settings.service {
            Service::SecretsManager => secrets::delete(ask, &address).await,
            Service::ParameterStore => parameters::delete(ask, &address).await,
        })
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let prefix = prefix.unwrap_or_default();
        let session = self.sessions.current(&self.settings, cx).await?;
        let ask = self.ask(&session, cx);
        let mut listed = self.noted(match self.settings.service {
            Service::SecretsManager => secrets::list(ask, prefix).await,
            Service::ParameterStore => parameters::list(ask, prefix).await,
        })?;
        listed.retain(|one| is_listed(&one.reference, prefix));
        Ok(listed)
    }

    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let session = self.sessions.current(&self.settings, cx).await?;
        let told = identity::identity(&session, cx).await;
        self.noted(told.map_err(Failed::into_error))
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

    fn as_rotatable(&self) -> Option<&dyn Rotatable> {
        Some(self)
    }
}

#[async_trait]
impl Versioned for Aws {
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(&address, cx).await?;
        let ask = self.ask(&session, cx);
        self.noted(match self.settings.service {
            Service::SecretsManager => secrets::versions(ask, &address).await,
            Service::ParameterStore => parameters::versions(ask, &address).await,
        })
    }

    async fn stage(
        &self,
        reference: &Reference,
        version: &Version,
        label: &str,
        cx: &Context,
    ) -> Result<()> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(&address, cx).await?;
        let ask = self.ask(&session, cx);
        self.noted(match self.settings.service {
            Service::SecretsManager => secrets::stage(ask, &address, version, label).await,
            Service::ParameterStore => parameters::stage(ask, &address, version, label).await,
        })
    }

    async fn disable(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("disabling a version"))
    }

    async fn destroy(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("destroying a version"))
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
