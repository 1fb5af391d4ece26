//! The provider: from references to documents, and back to values.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credchain_core::{
    Capabilities, Context, Description, Error, Expect, Identity, Interactive, Kind, Lease, Leased,
    Leases, Listed, Naming, Provider, Reference, Result, Rotatable, Secret, SetOptions, Setup,
    Version, VersionState, Versioned, async_trait,
};
use futures_util::stream::{self, StreamExt as _};

use crate::beside::beside;
use crate::client::Client;
use crate::config::Settings;
use crate::document::Document;
use crate::kv::{Kv, Place};
use crate::lease::LeaseApi;
use crate::login::{Own, Server};

/// How often a write is tried when others write to the same document.
const ATTEMPTS: usize = 20;

/// Values are JSON texts, and a document has one version for all its fields.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .versioned()
    .compare_and_set()
    .encrypted()
    .batched()
    .text_only();

/// Reads and writes secrets of HashiCorp Vault or OpenBao.
pub struct Vault {
    kv: Kv,
    server: Arc<Server>,
    leases: Leases<Arc<Document>>,
    lease_api: Arc<LeaseApi>,
    capabilities: Capabilities,
}

type Read = Result<(Arc<Document>, Option<SystemTime>)>;

impl Vault {
    /// As a configuration describes it. Nothing is asked before the first secret is.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        let settings = Settings::new(setup)?;
        let mut capabilities = CAPABILITIES;
        if settings.kv_version == Some(1) {
            capabilities.versions = false;
            capabilities.compare_and_set = false;
        }
        // Text that fits into an answer of that size, with what JSON adds.
        capabilities.max_value = usize::try_from(settings.max_size / 8).ok();
        let client = Arc::new(Client::new(settings));
        let server = Arc::new(Server::new(client, setup.credentials.clone()));
        let lease_api = Arc::new(LeaseApi(server.clone()));
        Ok(Self {
            kv: Kv::new(server.clone()),
            leases: Leases::new(lease_api.clone()),
            server,
            lease_api,
            capabilities,
        })
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.server.client.settings
    }

    /// One document. What comes with a lease is made anew by every read, so it is held.
    async fn document(&self, place: &Place, version: Option<&Version>, cx: &Context) -> Read {
        let read = || async {
            let document = self.kv.read(place, version, cx).await?;
            let lease = document.lease.clone();
            Ok((Arc::new(document), lease))
        };
        match place {
            Place::Any(path) => self.leases.get_or(path, cx, read).await,
            Place::Kv(_) => read().await.map(|(document, _)| (document, None)),
        }
    }

    /// Changes one field of a document, again if somebody else changed the document meanwhile.
    async fn change(
        &self,
        reference: &Reference,
        value: Option<&str>,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let path = writable(reference)?;
        for _ in 0..ATTEMPTS {
            let (document, before) = self.kv.to_change(path, cx).await?;
            let field = match reference.field() {
                Some(field) => field,
                None => document.only_field()?,
            };
            if let Some(version) = repeated(&document, field, value, options) {
                return Ok(version);
            }
            expected(&document, field, before, options)?;
            if value.is_none() && !document.has(field) {
                return Err(Error::not_found());
            }
            let fields = document.with(field, value);
            let emptied = value.is_none() && document.names().count() == 1;
            let written = if emptied {
                self.kv
                    .delete(path, before, cx)
                    .await
                    .and_then(|()| Version::new("deleted"))
            } else {
                self.kv.write(path, &fields, before, cx).await
            };
            match written {
                Err(error) if error.kind() == Kind::Conflict && options.expect == Expect::Any => {}
                other => return other,
            }
            // Those who lost together must not come back together.
            cx.clock()
                .sleep(Duration::from_millis(50).mul_f64(cx.fraction()))
                .await;
        }
        Err(Error::new(
            Kind::Unavailable,
            "others write to this document all the time",
        ))
    }
}

#[async_trait]
impl Provider for Vault {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let place = Place::of(reference);
        let read = self.document(&place, reference.version(), cx).await;
        secret(reference, &read)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let mut wanted: HashMap<(Place, Option<&Version>), usize> = HashMap::new();
        let mut places: Vec<(Place, Option<&Version>)> = Vec::new();
        let mut at = Vec::with_capacity(references.len());
        for reference in references {
            let key = (Place::of(reference), reference.version());
            let place = *wanted.entry(key.clone()).or_insert_with(|| {
                places.push(key);
                places.len() - 1
            });
            at.push(place);
        }
        let reads: Vec<_> = places
            .iter()
            .map(|(place, version)| self.document(place, *version, cx))
            .collect();
        let read: Vec<Read> = stream::iter(reads)
            .buffered(self.settings().max_connections)
            .collect()
            .await;
        let answers = references.iter().zip(at);
        answers
            .map(|(reference, at)| secret(reference, &read[at]))
            .collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let text = value.expose_text().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| {
            Error::new(Kind::Invalid, "the value is no text, and Vault holds texts")
                .with_hint("encode it first, for example with base64")
        })?;
        if self
            .capabilities
            .max_value
            .is_some_and(|max| text.len() > max)
        {
            return Err(Error::new(
                Kind::Invalid,
                "the value is too large for `max_size`",
            ));
        }
        let version = self.change(reference, Some(text), options, cx).await?;
        if !options.metadata.is_empty() && self.kv.version(cx).await? == 2 {
            self.kv
                .annotate(reference.path(), &options.metadata, cx)
                .await?;
        }
        Ok(version)
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let options = SetOptions::default();
        self.change(reference, None, &options, cx).await.map(drop)
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let own = self.settings().path.clone();
        let wanted = prefix.unwrap_or(&own);
        let folder = match prefix {
            Some(prefix) => prefix.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => &own,
        };
        let mut paths = self.kv.documents(folder, cx).await?;
        if prefix.is_none() {
            paths.push(own.clone());
        }
        paths.retain(|path| path.starts_with(wanted));
        paths.sort_unstable();
        paths.dedup();
        let reads: Vec<_> = paths.iter().map(|path| self.entries(path, cx)).collect();
        let listed: Vec<Result<Vec<Listed>>> = stream::iter(reads)
            .buffered(self.settings().max_connections)
            .collect()
            .await;
        let listed: Result<Vec<Vec<Listed>>> = listed.into_iter().collect();
        Ok(listed?.into_iter().flatten().collect())
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        let place = Place::of(reference);
        let (document, expires) = self.document(&place, reference.version(), cx).await?;
        document.value(reference.field())?;
        let mut description = Description::default();
        description.version.clone_from(&document.version);
        description.created = document.created;
        description.expires = expires;
        description.metadata.clone_from(&document.metadata);
        Ok(description)
    }

    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let own = self.server.own(cx).await?;
        Ok(identity(own, cx))
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let document = Reference::new(&self.settings().path);
        let field = document.and_then(|document| document.with_field(naming.name.as_str()));
        field.into_iter().collect()
    }

    fn beside(&self, reference: &Reference) -> Option<Reference> {
        beside(reference)
    }

    fn as_leased(&self) -> Option<&dyn Leased> {
        Some(self)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        self.capabilities.versions.then_some(self as &dyn Versioned)
    }

    fn as_interactive(&self) -> Option<&dyn Interactive> {
        self.person().map(|_| self as &dyn Interactive)
    }

    fn as_rotatable(&self) -> Option<&dyn Rotatable> {
        Some(self)
    }
}

/// What may be shown of a token.
pub(crate) fn identity(own: Own, cx: &Context) -> Identity {
    let mut identity = Identity::new(own.display_name);
    identity.expires = (own.ttl > 0).then(|| cx.clock().now() + Duration::from_secs(own.ttl));
    let details = &mut identity.details;
    details.insert("policies".into(), own.policies.join(", "));
    details.insert("login".into(), own.path);
    identity
}

impl Vault {
    /// The fields of one document, as entries of a listing.
    async fn entries(&self, path: &str, cx: &Context) -> Result<Vec<Listed>> {
        let place = Place::Kv(path.to_owned());
        let document = match self.kv.read(&place, None, cx).await {
            Ok(document) => document,
            // Its name may be seen, and nothing else.
            Err(error) if error.kind() == Kind::Denied => {
                return Ok(Reference::new(path).map(Listed::new).into_iter().collect());
            }
            Err(error) if error.kind() == Kind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // The only field is what a path without a field means.
        let only = document.names().count() == 1;
        let references = document.names().map(|name| {
            let reference = Reference::new(path)?;
            if only && name == "value" {
                Ok(reference)
            } else {
                reference.with_field(name)
            }
        });
        let listed = references.filter_map(Result::ok).map(|reference| {
            let mut listed = Listed::new(reference);
            listed.version.clone_from(&document.version);
            listed.created = document.created;
            listed
        });
        Ok(listed.collect())
    }
}

#[async_trait]
impl Leased for Vault {
    async fn renew(&self, lease: &str, increment: Duration, cx: &Context) -> Result<Lease> {
        self.lease_api.renew(lease, increment, cx).await
    }

    async fn revoke(&self, lease: &str, cx: &Context) -> Result<()> {
        self.leases.forget(lease);
        self.lease_api.revoke(lease, cx).await
    }

    fn resume(&self, cx: &Context) {
        self.leases.resume(cx);
        self.server.resume(cx);
    }

    async fn close(&self, cx: &Context) -> Result<()> {
        if !self.settings().revoke_on_exit {
            return Ok(());
        }
        let leases = self.leases.revoke_all(cx).await;
        // Last, because revoking the leases needs it.
        leases.and(self.server.log_out(cx).await)
    }
}

#[async_trait]
impl Versioned for Vault {
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>> {
        self.versioned(cx).await?;
        self.kv.history(writable(reference)?, cx).await
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        Err(Error::unsupported("moving a label between versions"))
    }

    async fn disable(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        self.versioned(cx).await?;
        self.kv
            .take_away(writable(reference)?, version, "delete", cx)
            .await
    }

    async fn destroy(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()> {
        self.versioned(cx).await?;
        self.kv
            .take_away(writable(reference)?, version, "destroy", cx)
            .await
    }
}

impl Vault {
    async fn versioned(&self, cx: &Context) -> Result<()> {
        match self.kv.version(cx).await? {
            1 => Err(Error::unsupported("keeping versions in KV v1")),
            _ => Ok(()),
        }
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.server.abandon();
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

/// The path of a document that can be changed.
fn writable(reference: &Reference) -> Result<&str> {
    if reference.version().is_some() {
        return Err(Error::unsupported("writing a version that exists"));
    }
    match reference.path().strip_prefix('/') {
        Some(_) => Err(Error::unsupported("writing outside of the KV mount")
            .with_hint("a path without a leading `/` is inside the mount")),
        None => Ok(reference.path()),
    }
}

/// One value of a document that was read for it.
fn secret(reference: &Reference, read: &Read) -> Result<Secret> {
    let (document, expires) = read.as_ref().map_err(Clone::clone)?;
    let value = document.value(reference.field())?;
    Ok(value.with_meta(|meta| {
        meta.version.clone_from(&document.version);
        meta.created = document.created;
        meta.expires = *expires;
        if let Some(lease) = &document.lease {
            meta.lease = Some(lease.id.clone());
            meta.renewable = lease.renewable;
        }
    }))
}

/// The version that a repeated write has made already.
fn repeated(
    document: &Document,
    field: &str,
    value: Option<&str>,
    options: &SetOptions,
) -> Option<Version> {
    options.idempotency_key.as_ref()?;
    let there = document.value(Some(field)).ok()?;
    if there.expose() != value?.as_bytes() {
        return None;
    }
    document
        .version
        .clone()
        .or_else(|| Version::new("current").ok())
}

/// Whether the document is as the writer expects.
fn expected(
    document: &Document,
    field: &str,
    before: Option<u64>,
    options: &SetOptions,
) -> Result<()> {
    let holds = match &options.expect {
        Expect::Any => return Ok(()),
        _ if before.is_none() => {
            return Err(Error::unsupported("a condition for writing to KV v1"));
        }
        Expect::Absent => !document.has(field),
        Expect::Version(version) => document.version.as_ref() == Some(version),
        _ => return Err(Error::unsupported("this condition for writing")),
    };
    if holds {
        Ok(())
    } else {
        Err(Error::new(
            Kind::Conflict,
            "it is not what was expected to be there",
        ))
    }
}
