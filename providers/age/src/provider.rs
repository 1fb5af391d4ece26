//! The store as a provider.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use credchain_core::{
    Capabilities, Context, CredentialSource, Description, Error, Kind, Listed, Name, Naming,
    NoCredentials, Provider, Reference, Result, Secret, SetOptions, Setup, Version, VersionState,
    Versioned,
};

use crate::beside::{beside, is_listed};
use crate::codec;
use crate::config::StoreSettings;
use crate::document::{Document, MAX_VALUE, Revision, no_such_version};
use crate::error::invalid;
use crate::identity::{IDENTITY, IDENTITY_FILE, Source};
use crate::passphrase::Unlock;
use crate::store::{Change, Store};

/// What every store can do.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .compare_and_set()
    .encrypted()
    .batched()
    .max_value(MAX_VALUE);

/// One encrypted file as a [`Provider`]; cheap to clone.
///
/// Nothing is read before the first use. The decrypted contents are kept, and wiped when the
/// last clone drops; a change of the file is noticed at the next read.
#[derive(Clone)]
pub struct Age {
    pub(crate) store: Arc<Store>,
    credentials: Arc<dyn CredentialSource>,
}

impl Age {
    /// The store that these settings describe.
    pub fn new(settings: StoreSettings) -> Self {
        Self {
            store: Arc::new(Store::new(settings)),
            credentials: Arc::new(NoCredentials),
        }
    }

    /// The store that a configuration describes.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for a setting that cannot be used.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        let settings = StoreSettings::from_setup(setup)?;
        let credentials = setup.credentials.clone();
        Ok(Self {
            store: Arc::new(Store::new(settings)),
            credentials,
        })
    }

    /// Which store this is, and what opens it.
    pub fn settings(&self) -> &StoreSettings {
        &self.store.settings
    }

    async fn document(&self, cx: &Context) -> Result<Arc<Document>> {
        let store = self.store.clone();
        // First without the identity: it may be a credential that is expensive to resolve.
        if let Some(document) = blocking(move || store.remembered()).await? {
            return Ok(document);
        }
        self.with_store(cx, Store::load).await
    }

    /// Runs `work` where it may block, with everything that may be needed to open the store.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        cx: &Context,
        work: impl FnOnce(&Store, &Unlock) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let settings = &self.store.settings;
        let in_environment = [IDENTITY, IDENTITY_FILE]
            .iter()
            .any(|v| cx.env().text(v).is_some());
        let identity = match &settings.source {
            Source::Credential(name) if !in_environment => self.credential(name, cx).await?,
            _ => None,
        };
        let passphrase = match &settings.passphrase {
            Some(name) => self.credential(name, cx).await?,
            None => None,
        };
        let unlock = Unlock {
            cx: cx.clone(),
            identity,
            passphrase,
        };
        let store = self.store.clone();
        blocking(move || work(&store, &unlock)).await
    }

    async fn credential(&self, name: &Name, cx: &Context) -> Result<Option<Secret>> {
        match self.credentials.credential(name, cx).await {
            Ok(secret) => Ok(Some(secret)),
            // Whether it is missed shows when the store is opened.
            Err(error) if error.kind().is_miss() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for Age {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        read(&*self.document(cx).await?, reference)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        match self.document(cx).await {
            Ok(document) => references
                .iter()
                .map(|reference| read(&document, reference))
                .collect(),
            Err(error) => references.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let path = writable_path(reference)?.to_owned();
        let field = reference.field().map(str::to_owned);
        let (value, options) = (value.clone(), options.clone());
        let now = to_millis(cx.clock().now());
        self.with_store(cx, move |store, unlock| {
            let keep = store.settings.keep;
            store.update(unlock, true, |document, _, _| {
                let whole = match &field {
                    None => value.clone(),
                    Some(field) => {
                        let old = document
                            .entries
                            .get(&path)
                            .map(|entry| &entry.current.value);
                        codec::with_field(old, field, &value)?
                    }
                };
                let (version, changed) = document.set(&path, &whole, &options, now, keep)?;
                Ok(if changed {
                    Change::Made(version)
                } else {
                    Change::None(version)
                })
            })
        })
        .await
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        if reference.field().is_some() {
            return Err(Error::unsupported("deleting one field"));
        }
        let path = writable_path(reference)?.to_owned();
        self.with_store(cx, move |store, unlock| {
            store.update(unlock, false, |document, _, _| {
                document.delete(&path).map(Change::Made)
            })
        })
        .await
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let document = self.document(cx).await?;
        let wanted = |path: &str| {
            prefix.is_none_or(|prefix| path.starts_with(prefix)) && is_listed(path, prefix)
        };
        let entries = document.entries.iter().filter(|(path, _)| wanted(path));
        entries
            .map(|(path, entry)| {
                let mut listed = Listed::new(Reference::new(path)?);
                listed.version = Some(Version::number(entry.current.number));
                listed.created = entry.current.created;
                Ok(listed)
            })
            .collect()
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        let document = self.document(cx).await?;
        read(&document, reference)?;
        let revision = find(&document, reference)?;
        let mut description = Description::default();
        description.version = Some(Version::number(revision.number));
        description.created = revision.created;
        description.metadata = revision.metadata.clone();
        Ok(description)
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let path = format!("{}/{}", naming.profile, naming.name);
        Reference::new(path).into_iter().collect()
    }

    fn beside(&self, reference: &Reference) -> Option<Reference> {
        beside(reference)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        Some(self)
    }
}

#[async_trait]
impl Versioned for Age {
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>> {
        let document = self.document(cx).await?;
        let entry = document
            .entries
            .get(path(reference)?)
            .ok_or_else(Error::not_found)?;
        let labels = ["current", "previous"]
            .into_iter()
            .map(Some)
            .chain(std::iter::repeat(None));
        let states = entry.revisions().zip(labels).map(|(revision, label)| {
            let mut state = VersionState::new(Version::number(revision.number));
            state.created = revision.created;
            state.labels = label.into_iter().map(str::to_owned).collect();
            state
        });
        Ok(states.collect())
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        Err(Error::unsupported("moving stage labels"))
    }

    async fn disable(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("disabling a version"))
    }

    async fn destroy(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        let path = path(reference)?.to_owned();
        let version = version.clone();
        self.with_store(cx, move |store, unlock| {
            store.update(unlock, false, |document, _, _| {
                document.destroy(&path, &version).map(Change::Made)
            })
        })
        .await
    }
}

impl fmt::Debug for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Age")
            .field("path", &self.settings().path())
            .finish_non_exhaustive()
    }
}

fn read(document: &Document, reference: &Reference) -> Result<Secret> {
    let revision = find(document, reference)?;
    let value = match reference.field() {
        None => revision.value.clone(),
        Some(name) => codec::field(&revision.value, name)?,
    };
    Ok(value.with_meta(|meta| {
        meta.reference = Some(reference.clone().without_version());
        meta.version = Some(Version::number(revision.number));
        meta.created = revision.created;
    }))
}

fn find<'a>(document: &'a Document, reference: &Reference) -> Result<&'a Revision> {
    let entry = document
        .entries
        .get(path(reference)?)
        .ok_or_else(Error::not_found)?;
    entry
        .revision(reference.version())
        .ok_or_else(no_such_version)
}

/// The name of the entry: there is no prefix here, so an absolute path is the same.
fn path(reference: &Reference) -> Result<&str> {
    match reference.path().trim_start_matches('/') {
        "" => Err(invalid("a reference's path cannot be empty")),
        path => Ok(path),
    }
}

fn writable_path(reference: &Reference) -> Result<&str> {
    if reference.version().is_some() {
        return Err(
            Error::new(Kind::Invalid, "an old version cannot be changed")
                .with_hint("leave out `?version=`"),
        );
    }
    path(reference)
}

/// The time as precisely as the file keeps it, so that it reads the same before and after.
fn to_millis(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let millis = u64::try_from(since.as_millis()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// Runs what blocks where it stalls nobody. Dropping the future lets a write that has started
/// come to its end: it is one step anyway.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Error::new(
            Kind::Internal,
            "the work on the store broke off",
        ))
    })
}
