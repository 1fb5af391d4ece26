//! Where tokens are kept between requests, and who may ask for the next one.

mod file;
mod memory;
mod record;
mod seal;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use credchain_core::{Context, Result, async_trait};

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
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kind of store. It is used from a thread that may block.
#[async_trait]
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Reads without waiting for anybody. What cannot be read is nothing: whoever has its turn
    /// deals with that.
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>>;

    /// Waits for the turn to change what is kept under a key. One at a time has it, among all that
    /// share the store; when its holder dies, it ends.
    async fn enter(&self, key: &Key, cx: &Context) -> Result<Box<dyn Turn>>;
}

/// The right to change one record, until this is dropped.
#[async_trait]
pub(crate) trait Turn: fmt::Debug + Send {
    /// What is kept. What can never be read again is set aside.
    async fn load(&mut self) -> Result<Option<Record>>;

    /// Keeps a record. When this returns, it survives a crash.
    async fn save(&mut self, record: &Record) -> Result<()>;

    /// Keeps nothing any more.
    async fn clear(&mut self) -> Result<()>;
}
