//! The trait that every backend implements, and the plain data it speaks in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::{Context, Error, Name, Naming, Reference, Result, Secret, Settings, Target, Version};

/// How many single reads the default [`Provider::get_many`] keeps under way.
const DEFAULT_CONCURRENCY: usize = 8;

/// A backend that holds secrets.
///
/// Only [`capabilities`](Provider::capabilities) and [`get`](Provider::get) are required; every
/// other method has a default that is honest about what is missing. `Debug` is a supertrait so
/// that the conformance suite can prove of every provider that it shows no secret.
///
/// Each method's *Contract* is enforced by the `credchain-conformance` crate. A wrapper uses
/// [`delegate_provider!`](crate::delegate_provider) so that it cannot forget a method.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// What this provider can really do; constant for the value's lifetime.
    fn capabilities(&self) -> Capabilities;

    /// Reads one value.
    ///
    /// # Contract
    /// - [`Kind::NotFound`](crate::Kind::NotFound) only when the backend itself said so; a refused
    ///   login is `Unauthenticated`, silence is `Unavailable`.
    /// - An empty value is `Ok`. Bytes come back exactly as stored.
    /// - Without a version in the reference the current one is read.
    /// - Dropping the future leaves nothing half done.
    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret>;

    /// Reads several values in as few round trips as the backend allows.
    ///
    /// # Contract
    /// - One answer for each reference, in the same order; a failure of one is no failure of
    ///   the others.
    /// - Agrees with [`get`](Provider::get) on every one of them.
    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        // Collected first: a borrowing `map` closure inside the stream defeats the `Send` bound.
        let reads: Vec<_> = references
            .iter()
            .map(|reference| self.get(reference, cx))
            .collect();
        stream::iter(reads)
            .buffered(DEFAULT_CONCURRENCY)
            .collect()
            .await
    }

    /// Writes one value and tells its new version.
    ///
    /// # Contract
    /// - [`Expect`] is checked and the value is written as one step; a lost race is `Conflict`.
    /// - When it returns `Ok`, a [`get`](Provider::get) that starts later sees the value, and a
    ///   crash does not lose it.
    /// - Two writes with the same idempotency key and value count as one.
    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let _ = (reference, value, options, cx);
        Err(Error::unsupported("writing"))
    }

    /// Removes one value.
    ///
    /// # Contract
    /// - `NotFound` if there was none.
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let _ = (reference, cx);
        Err(Error::unsupported("deleting"))
    }

    /// Lists what is stored, without values: everything, or what starts with `prefix`.
    ///
    /// # Contract
    /// - Each listed reference can be read with [`get`](Provider::get), if policy allows it.
    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let _ = (prefix, cx);
        Err(Error::unsupported("listing"))
    }

    /// Tells what is known about a value without returning it. The default reads the value and
    /// drops it.
    ///
    /// # Contract
    /// - Fails exactly when [`get`](Provider::get) would.
    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        let secret = self.get(reference, cx).await?;
        let meta = secret.meta();
        Ok(Description {
            version: meta.version.clone(),
            created: meta.created,
            expires: meta.expires,
            metadata: BTreeMap::new(),
        })
    }

    /// Tells who the backend takes this program for, logging in if need be: what a person who
    /// wonders why something is refused wants to know first.
    ///
    /// # Contract
    /// - Nothing in it is a secret: no token, no key.
    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let _ = cx;
        Err(Error::unsupported("telling who is logged in"))
    }

    /// Where this provider keeps a credential by convention, best place first; nothing if it
    /// has no place for it. The default is the credential's name.
    ///
    /// # Contract
    /// - Pure: depends on the settings and `naming` only.
    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        Reference::new(naming.name.as_str()).into_iter().collect()
    }

    /// The place next to a value where what belongs to its rotation is kept: a value of its own,
    /// that whoever reads this one never sees. Nothing, the default, if there is no such place.
    ///
    /// # Contract
    /// - Pure, and different for every reference.
    fn beside(&self, reference: &Reference) -> Option<Reference> {
        let _ = reference;
        None
    }

    /// The leases of this backend, if values are bound to leases.
    fn as_leased(&self) -> Option<&dyn Leased> {
        None
    }

    /// The version history of this backend, if it keeps one.
    fn as_versioned(&self) -> Option<&dyn Versioned> {
        None
    }

    /// How a person logs in to this backend, if its settings leave that to a person.
    fn as_interactive(&self) -> Option<&dyn Interactive> {
        None
    }

    /// The accounts and keys of this backend, if rotation can change them.
    fn as_rotatable(&self) -> Option<&dyn Rotatable> {
        None
    }
}

/// What a provider can do, as plain data. Start from [`Capabilities::read_only`].
///
/// ```
/// use credchain_core::Capabilities;
/// const CAPABILITIES: Capabilities = Capabilities::read_only().writable().deletable().listable();
/// assert!(CAPABILITIES.write && !CAPABILITIES.encrypted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Capabilities {
    /// [`Provider::set`] works.
    pub write: bool,
    /// [`Provider::delete`] works.
    pub delete: bool,
    /// [`Provider::list`] works.
    pub list: bool,
    /// A version in a reference is understood.
    pub versions: bool,
    /// [`Expect`] is honoured by [`Provider::set`].
    pub compare_and_set: bool,
    /// Values are encrypted at rest.
    pub encrypted: bool,
    /// [`Provider::get_many`] needs fewer round trips than one for each reference.
    pub batch: bool,
    /// Any byte can be stored, NUL and non-UTF-8 included.
    pub binary: bool,
    /// What an empty value means.
    pub empty: Empty,
    /// Largest value in bytes, if there is a limit below memory.
    pub max_value: Option<usize>,
}

/// What an empty value at a provider means for a declared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Empty {
    /// Nobody set it: an unset CI secret arrives as an empty variable.
    Unset,
    /// Somebody stored it, which is a mistake for a secret.
    Stored,
}

impl Capabilities {
    /// Reads any bytes, and nothing else.
    pub const fn read_only() -> Self {
        Self {
            write: false,
            delete: false,
            list: false,
            versions: false,
            compare_and_set: false,
            encrypted: false,
            batch: false,
            binary: true,
            empty: Empty::Stored,
            max_value: None,
        }
    }

    /// Can also write.
    pub const fn writable(mut self) -> Self {
        self.write = true;
        self
    }

    /// Can also delete.
    pub const fn deletable(mut self) -> Self {
        self.delete = true;
        self
    }

    /// Can also list.
    pub const fn listable(mut self) -> Self {
        self.list = true;
        self
    }

    /// Understands versions.
    pub const fn versioned(mut self) -> Self {
        self.versions = true;
        self
    }

    /// Honours [`Expect`].
    pub const fn compare_and_set(mut self) -> Self {
        self.compare_and_set = true;
        self
    }

    /// Encrypts at rest.
    pub const fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// Reads several values in fewer round trips.
    pub const fn batched(mut self) -> Self {
        self.batch = true;
        self
    }

    /// Holds text only.
    pub const fn text_only(mut self) -> Self {
        self.binary = false;
        self
    }

    /// An empty value means that nobody set it.
    pub const fn empty_is_unset(mut self) -> Self {
        self.empty = Empty::Unset;
        self
    }

    /// Refuses values of more bytes.
    pub const fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = Some(bytes);
        self
    }
}

/// How to write; see [`Provider::set`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SetOptions {
    /// What has to be there before.
    pub expect: Expect,
    /// Makes a repeated write count once.
    pub idempotency_key: Option<String>,
    /// Stored beside the value in clear, where the backend can.
    pub metadata: BTreeMap<String, String>,
}

/// What has to be there before a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Anything or nothing.
    #[default]
    Any,
    /// Nothing.
    Absent,
    /// Exactly this version.
    Version(Version),
}

impl SetOptions {
    /// Writes only if `expect` holds.
    pub fn expecting(expect: Expect) -> Self {
        Self {
            expect,
            ..Self::default()
        }
    }
}

/// One stored value, as [`Provider::list`] tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Where it is.
    pub reference: Reference,
    /// Its current version, if the backend says so in passing.
    pub version: Option<Version>,
    /// When it was last written, if the backend says so in passing.
    pub created: Option<SystemTime>,
}

impl Listed {
    /// An entry of which only the place is known.
    pub fn new(reference: Reference) -> Self {
        Self {
            reference,
            version: None,
            created: None,
        }
    }
}

/// What is known about one value; see [`Provider::describe`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The version that was described.
    pub version: Option<Version>,
    /// When it was written.
    pub created: Option<SystemTime>,
    /// When it stops being valid.
    pub expires: Option<SystemTime>,
    /// What is stored beside it in clear.
    pub metadata: BTreeMap<String, String>,
}

/// Who a backend takes this program for; see [`Provider::identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The name of a user, role or token, as the backend writes it.
    pub name: String,
    /// When the login ends, if it does.
    pub expires: Option<SystemTime>,
    /// What else may be shown, such as the names of policies.
    pub details: BTreeMap<String, String>,
}

impl Identity {
    /// Somebody of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expires: None,
            details: BTreeMap::new(),
        }
    }
}

/// The leases of a backend whose values expire unless renewed.
#[async_trait]
pub trait Leased: Send + Sync {
    /// Extends a lease by about `increment` and tells what was granted.
    async fn renew(&self, lease: &str, increment: Duration, cx: &Context) -> Result<Lease>;

    /// Ends a lease, and with it the value bound to it.
    async fn revoke(&self, lease: &str, cx: &Context) -> Result<()>;

    /// Goes on renewing, on the current runtime, what this provider holds: the runtime that it
    /// was read on may be gone. Nothing by default, which suits a provider that holds nothing;
    /// [`Leases`](crate::Leases) is the way to hold something.
    fn resume(&self, cx: &Context) {
        let _ = cx;
    }

    /// Ends what this provider holds, because nobody is going to use it any more: revokes it if
    /// the provider's settings ask for that. Nothing by default.
    async fn close(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        Ok(())
    }
}

/// A login by a person, of which a token is kept for the programs that come later.
#[async_trait]
pub trait Interactive: Send + Sync {
    /// What the person is asked for, such as `password of jane`; the answer is a secret.
    fn question(&self) -> String;

    /// Logs in with the answer.
    ///
    /// # Contract
    /// - After a failure nothing is kept, and what was kept before is still there.
    async fn log_in(&self, answer: &Secret, cx: &Context) -> Result<Login>;

    /// Ends the login that is kept, at the backend and here.
    ///
    /// # Contract
    /// - [`Kind::NotFound`](crate::Kind::NotFound) if none is kept.
    async fn log_out(&self, cx: &Context) -> Result<Kept>;
}

/// The accounts and keys that a backend itself accepts or owns.
pub trait Rotatable: Send + Sync {
    /// The target of this type, with the settings of its table, spoken to with this provider's
    /// own login. Touches neither network nor files.
    ///
    /// # Contract
    /// - [`Kind::Unsupported`](crate::Kind::Unsupported) for a type that this backend lacks.
    fn target(&self, type_name: &str, settings: &Settings) -> Result<Arc<dyn Target>>;
}

/// What came of [`Interactive::log_in`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Login {
    /// As whom.
    pub identity: Identity,
    /// Where the token is.
    pub kept: Kept,
}

impl Login {
    /// A login of this identity.
    pub fn new(identity: Identity, kept: Kept) -> Self {
        Self { identity, kept }
    }
}

/// Where the token of a login is kept.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kept {
    /// In this file, by the provider itself.
    File(PathBuf),
    /// In this credential. A provider sees no other provider, so its caller stores the token; after
    /// a log-out there is none, and the caller deletes it.
    Credential(Name, Option<Secret>),
}

/// A granted lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The backend's name for it.
    pub id: String,
    /// How long it holds from now.
    pub duration: Duration,
    /// Whether it can be extended again.
    pub renewable: bool,
}

impl Lease {
    /// A lease as granted.
    pub fn new(id: impl Into<String>, duration: Duration, renewable: bool) -> Self {
        Self {
            id: id.into(),
            duration,
            renewable,
        }
    }
}

/// The version history of a backend that keeps one.
#[async_trait]
pub trait Versioned: Send + Sync {
    /// All versions of the value at a reference, newest first.
    async fn versions(&self, reference: &Reference, cx: &Context) -> Result<Vec<VersionState>>;

    /// Moves a stage label such as `current`, `pending` or `previous` to a version.
    async fn stage(
        &self,
        reference: &Reference,
        version: &Version,
        label: &str,
        cx: &Context,
    ) -> Result<()>;

    /// Makes a version unreadable, in a way that can be undone.
    async fn disable(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()>;

    /// Removes a version for good.
    async fn destroy(&self, reference: &Reference, version: &Version, cx: &Context) -> Result<()>;
}

/// One entry of a version history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionState {
    /// The version.
    pub version: Version,
    /// When it was written.
    pub created: Option<SystemTime>,
    /// Whether it can be read now.
    pub enabled: bool,
    /// The stage labels on it.
    pub labels: Vec<String>,
}

impl VersionState {
    /// An enabled version without labels.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            created: None,
            enabled: true,
            labels: Vec::new(),
        }
    }
}
