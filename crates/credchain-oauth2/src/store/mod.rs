//! Where tokens are kept between requests, and who may ask for the next one.

mod file;
mod guarded;
mod lock;
mod memory;
mod record;
mod seal;
mod shared;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use credchain_core::{Context, Error, Provider, Reference, Result, async_trait};

use crate::key::Key;

pub(crate) use self::record::Record;
pub use self::seal::Sealing;

/// Where tokens are kept. Everybody who uses the same store has the same token for the same
/// client, and waits for the same request. Cheap to clone.
///
/// Neither a client's secret nor a key to sign with is ever kept.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<dyn Backend>);

impl Store {
    /// In memory, for this program alone.
    pub fn memory() -> Self {
        Self(Arc::new(memory::Memory::default()))
    }

    /// In a directory, for all programs of this user on this machine. Its files are encrypted, of
    /// mode 0600, and replaced as a whole.
    ///
    /// It has to be on a disk of this machine: on many network file systems locks do not exclude
    /// the programs of other machines, and two of them would use up one refresh token.
    pub fn directory(path: impl Into<PathBuf>, sealing: Sealing) -> Self {
        Self(Arc::new(file::Directory::new(path.into(), sealing)))
    }

    /// Below a path of a provider that belongs to one user of one machine, such as the desktop's
    /// keyring, for all programs of this user. Whose turn it is, locks in the directory say.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`](credchain_core::Kind::Misconfigured) if the provider cannot be
    /// written to.
    pub fn guarded(
        provider: Arc<dyn Provider>,
        path: impl Into<String>,
        locks: impl Into<PathBuf>,
        sealing: Sealing,
    ) -> Result<Self> {
        let locks = locks.into();
        let guarded = guarded::Guarded::new(provider, path, locks, sealing)?;
        Ok(Self(Arc::new(guarded)))
    }

    /// Below a path of a provider that compares before it sets, such as Vault's or `OpenBao`'s
    /// key-value store, for a fleet of machines. The provider must not be one that caches.
    ///
    /// One machine at a time asks for the next token, for a minute at most; then another one takes
    /// over, and what the first one brings later is not kept. Every machine needs the same key; a key
    /// file is of one machine only.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`](credchain_core::Kind::Misconfigured) if the provider does not compare.
    pub fn shared(
        provider: Arc<dyn Provider>,
        path: impl Into<String>,
        sealing: Sealing,
    ) -> Result<Self> {
        Ok(Self(Arc::new(shared::Shared::new(
            provider, path, sealing,
        )?)))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a provider keeps what belongs to a key.
fn below(path: &str, key: &Key) -> Result<Reference> {
    let path = path.trim_end_matches('/');
    Reference::new(format!("{path}/{}", key.as_str()))
}

/// What a provider that keeps tokens says, told as such: whoever wants a token has not asked for
/// that provider.
fn at_the_store(error: &Error) -> Error {
    let message = format!("the store of tokens cannot be used: {}", error.message());
    let mut told = Error::new(error.kind(), message);
    if let Some(hint) = error.hint() {
        told = told.with_hint(hint.to_owned());
    }
    if let Some(wait) = error.retry_after() {
        told = told.with_retry_after(wait);
    }
    told
}

/// A kind of store. It is used from a thread that may block.
#[async_trait]
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Reads without waiting for anybody. What cannot be read is nothing: whoever has its turn
    /// deals with that.
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>>;

    /// Whether [`peek`](Self::peek) only reads files of this machine, and so never waits.
    fn is_at_hand(&self) -> bool {
        false
    }

    /// Waits for the turn to change what is kept under a key. One at a time has it, among all that
    /// share the store; when its holder dies, it ends. Nothing if what is kept meanwhile is enough.
    async fn enter(
        &self,
        key: &Key,
        enough: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>>;
}

/// Whether a record is all that somebody wants who waits for a turn.
pub(crate) type Enough<'a> = dyn Fn(&Record) -> bool + Send + Sync + 'a;

/// The right to change one record, until this is dropped. Where others cannot see that, it lasts
/// until it is left, or for a while.
#[async_trait]
pub(crate) trait Turn: fmt::Debug + Send {
    /// What is kept. What can never be read again is set aside.
    async fn load(&mut self) -> Result<Option<Record>>;

    /// Keeps a record. When this returns, it survives a crash.
    async fn save(&mut self, record: &Record) -> Result<()>;

    /// Keeps a record, and ends the turn.
    ///
    /// # Errors
    /// `Conflict` if somebody else has taken over: what is kept is theirs, and stays.
    async fn save_and_leave(&mut self, record: &Record) -> Result<()> {
        self.save(record).await
    }

    /// Keeps nothing any more, and ends the turn.
    async fn clear(&mut self) -> Result<()>;

    /// Ends the turn.
    async fn leave(&mut self) {}
}
