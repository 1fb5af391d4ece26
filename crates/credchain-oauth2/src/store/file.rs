//! In a directory, for all programs of one user on one machine.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use credchain_core::files::PrivateDirectory;
use credchain_core::{Clock, Context, Error, Kind, Result, async_trait};

use super::lock::{is_unwritable, lock};
use super::seal::{Cipher, Sealing};
use super::{Backend, Enough, Record, Turn};
use crate::key::Key;

/// More than any record has.
const MAX_FILE: u64 = 1 << 20;

/// A directory of mode 0700, with a file and a lock for each key.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    files: PrivateDirectory,
    sealing: Sealing,
}

impl Directory {
    pub(super) fn new(path: PathBuf, sealing: Sealing) -> Self {
        Self {
            files: PrivateDirectory::new(path),
            sealing,
        }
    }
}

#[async_trait]
impl Backend for Directory {
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>> {
        let Some(file) = self.files.read(key.as_str(), MAX_FILE)? else {
            return Ok(None);
        };
        Ok(self.sealing.cipher(key, cx).await?.open(&file))
    }

    fn is_at_hand(&self) -> bool {
        self.sealing.is_file()
    }

    async fn enter(
        &self,
        key: &Key,
        _: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>> {
        match self.turn(key, cx).await {
            Ok(held) => Ok(Some(Box::new(held))),
            Err(why) if is_unwritable(&why) => Ok(Some(Box::new(Unkept {
                directory: self.clone(),
                key: key.clone(),
                context: cx.clone().without_deadline(),
            }))),
            Err(error) => Err(error),
        }
    }
}

impl Directory {
    async fn turn(&self, key: &Key, cx: &Context) -> Result<Held> {
        let lock = lock(&self.files, key, cx).await?;
        Ok(Held {
            cipher: self.sealing.cipher(key, cx).await?,
            files: self.files.clone(),
            name: key.as_str().to_owned(),
            clock: cx.clock().clone(),
            _lock: lock,
        })
    }
}

/// The turn of somebody who can write nothing: it excludes nobody, and what has to be kept before it
/// is used, a refresh token, is not used.
#[derive(Debug)]
struct Unkept {
    directory: Directory,
    key: Key,
    context: Context,
}

#[async_trait]
impl Turn for Unkept {
    async fn load(&mut self) -> Result<Option<Record>> {
        self.directory.peek(&self.key, &self.context).await
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        // There may be room by now.
        let mut held = self.directory.turn(&self.key, &self.context).await?;
        held.save(record).await
    }

    async fn clear(&mut self) -> Result<()> {
        let mut held = self.directory.turn(&self.key, &self.context).await?;
        held.clear().await
    }
}

#[derive(Debug)]
struct Held {
    files: PrivateDirectory,
    name: String,
    cipher: Cipher,
    clock: Clock,
    _lock: File,
}

#[async_trait]
impl Turn for Held {
    async fn load(&mut self) -> Result<Option<Record>> {
        let Some(file) = self.files.read(&self.name, MAX_FILE)? else {
            return Ok(None);
        };
        let record = self.cipher.open(&file);
        if record.is_none() {
            self.set_aside()?;
        }
        Ok(record)
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        self.files.write(&self.name, &self.cipher.seal(record)?)
    }

    async fn clear(&mut self) -> Result<()> {
        self.files.remove(&self.name).map(drop)
    }
}

impl Held {
    /// A file that is damaged, or was sealed with another key, is kept for whoever wants to know
    /// why, and is in nobody's way.
    fn set_aside(&self) -> Result<()> {
        let since = self.clock.now().duration_since(UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        let from = self.files.file(&self.name)?;
        let to = self
            .files
            .file(&format!("{}.corrupt-{seconds}", self.name))?;
        tracing::warn!(file = %from.display(), "a kept token cannot be read and was set aside");
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let message = format!("cannot rename `{}`: {}", from.display(), error.kind());
                Err(Error::new(Kind::Misconfigured, message))
            }
            _ => Ok(()),
        }
    }
}
