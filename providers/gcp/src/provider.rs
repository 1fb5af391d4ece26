//! The provider: a reference becomes an address, and that is asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use credchain_core::{
    Capabilities, Context, Description, Error, Identity, Kind, Listed, Naming, Provider, Reference,
    Result, Secret, SetOptions, Setup, Version, VersionState, Versioned, async_trait,
};
use futures_util::{StreamExt as _, stream};

use crate::address::{Address, Place, Selector, locate};
use crate::beside::{beside, is_listed};
use crate::config::Settings;
use crate::document::field;
use crate::error::Failed;
use crate::secrets;
use crate::session::{Ask, Session, Sessions};

pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .encrypted()
    .max_value(secrets::MAX_VALUE);

/// How many reads are under way at a time.
const CONCURRENCY: usize = 8;

/// Secrets of Google Cloud Secret Manager.
pub struct Gcp {
    settings: Settings,
    sessions: Sessions,
}

impl Gcp {
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

    fn ask<'a>(&'a self, session: &'a Session, cx: &'a Context) -> Ask<'a> {
        Ask {
            session,
            settings: &self.settings,
            cx,
        }
    }

    /// Whoever is not known any more starts anew the next time, with whatever file is there then.
    fn noted<T>(&self, answer: Result<T>) -> Result<T> {
        if answer.as_ref().is_err_and(is_unauthenticated) {
            self.sessions.forget();
        }
        answer
    }

    /// The session of this runtime.
    async fn session(&self, cx: &Context) -> Result<Arc<Session>> {
        self.noted(self.sessions.current(&self.settings, cx).await)
    }

    /// The same, logged in: a refusal concerns all questions at once.
    async fn ready(&self, cx: &Context) -> Result<Arc<Session>> {
        let session = self.session(cx).await?;
        let login = self.ask(&session, cx).login().await;
        self.noted(login.map_err(Failed::into_error))?;
        Ok(session)
    }

    /// The whole value that a reference leads to, with its place.
    async fn whole(&self, reference: &Reference, cx: &Context) -> Result<(Place, Secret)> {
        let read = Read::of(reference, &self.settings)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&read.address)?;
        let secret = self.noted(secrets::get(ask, &place, &read.version).await)?;
        Ok((place, secret))
    }

    /// Reads each of these once. That Google is not asked for several at a time is its own doing.
    async fn all(
        &self,
        reads: HashSet<(Place, Selector)>,
        ask: Ask<'_>,
    ) -> HashMap<(Place, Selector), Result<Secret>> {
        let reads: Vec<_> = reads
            .into_iter()
            .map(|read| async move {
                let answer = secrets::get(ask, &read.0, &read.1).await;
                (read, answer)
            })
            .collect();
        stream::iter(reads)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }
}

/// What is fetched for a reference: fields of one secret are one read.
struct Read {
    address: Address,
    version: Selector,
}

impl Read {
    fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        Ok(Self {
            address: Address::of(reference, settings)?,
            version: Selector::of(reference.version())?,
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

fn acceptable(value: &Secret) -> Result<()> {
    match value.expose().len() {
        0 => Err(Error::new(
            Kind::Invalid,
            "Secret Manager holds no empty values",
        )),
        length if length > secrets::MAX_VALUE => Err(Error::new(
            Kind::Invalid,
            "the value is larger than the 64 KiB that Secret Manager holds",
        )
        .with_hint("keep the file elsewhere and only its key here")),
        _ => Ok(()),
    }
}

fn is_unauthenticated(error: &Error) -> bool {
    error.kind() == Kind::Unauthenticated
}

#[async_trait]
impl Provider for Gcp {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let (_, whole) = self.whole(reference, cx).await?;
        part(&whole, reference)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let reads: Vec<_> = references
            .iter()
            .map(|reference| Read::of(reference, &self.settings))
            .collect();
        if reads.iter().all(Result::is_err) {
            return reads
                .into_iter()
                .map(|read| read.and_then(|_| Err(Error::not_found())))
                .collect();
        }
        let session = match self.ready(cx).await {
            Ok(session) => session,
            Err(error) => {
                return reads
                    .into_iter()
                    .map(|read| read.and_then(|_| Err(error.clone())))
                    .collect();
            }
        };
        let ask = self.ask(&session, cx);
        let asked: Vec<_> = reads
            .into_iter()
            .map(|read| read.and_then(|read| Ok((ask.place(&read.address)?, read.version))))
            .collect();
        let distinct = asked.iter().flatten().cloned().collect();
        let answers = self.all(distinct, ask).await;
        if answers
            .values()
            .any(|answer| answer.as_ref().is_err_and(is_unauthenticated))
        {
            self.sessions.forget();
        }
        references
            .iter()
            .zip(asked)
            .map(|(reference, read)| match answers.get(&read?) {
                Some(answer) => part(answer.as_ref().map_err(Clone::clone)?, reference),
                None => Err(Error::new(Kind::Internal, "a question without an answer")),
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
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::set(ask, &place, value, options).await)
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let address = self.target(reference)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::delete(ask, &place).await)
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let prefix = prefix.unwrap_or_default();
        let mut listed = self.noted(secrets::list(ask, prefix).await)?;
        listed.retain(|one| is_listed(&one.reference, prefix));
        Ok(listed)
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        let (place, whole) = self.whole(reference, cx).await?;
        let secret = part(&whole, reference)?;
        let session = self.session(cx).await?;
        self.noted(secrets::describe(self.ask(&session, cx), &place, &secret).await)
    }

    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let session = self.session(cx).await?;
        let told = self.ask(&session, cx).identity().await;
        let (name, project) = self.noted(told.map_err(Failed::into_error))?;
        let mut identity = Identity::new(name);
        if let Some(project) = project {
            identity.details.insert("project".to_owned(), project);
        }
        Ok(identity)
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
impl Versioned for Gcp {
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::versions(ask, &place).await)
    }

    async fn stage(
        &self,
        reference: &Reference,
        version: &Version,
        label: &str,
        cx: &Context,
    ) -> Result<()> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::stage(ask, &place, version, label).await)
    }

    async fn disable(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::disable(ask, &place, version).await)
    }

    async fn destroy(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        let address = Address::of(reference, &self.settings)?;
        let session = self.session(cx).await?;
        let ask = self.ask(&session, cx);
        let place = ask.place(&address)?;
        self.noted(secrets::destroy(ask, &place, version).await)
    }
}

impl fmt::Debug for Gcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcp")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
