//! In a directory, for all programs of one user on one machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use credchain_core::files::{Links, PrivateDirectory, make_private_directory, open_with};
use credchain_core::{Clock, Context, Error, Kind, Result, async_trait};

use super::seal::{Cipher, Sealing};
use super::{Backend, Enough, Record, Turn};
use crate::key::Key;

/// How often another program's turn is looked at, and how many times: longer in all than any
/// exchange takes.
const PAUSE: Duration = Duration::from_millis(5);
const LOOKS: u32 = 8000;

/// More than any record has.
const MAX_FILE: u64 = 1 << 20;

/// A directory of mode 0700, with a file and a lock for each key.
#[derive(Debug)]
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

    /// The lock of a key. It is never removed: whoever waits for it has opened it already.
    fn open_lock(&self, key: &Key) -> Result<File> {
        let path = self.files.file(&format!("{}.lock", key.as_str()))?;
        let failed = |error: std::io::Error| {
            let message = format!("cannot open `{}`: {}", path.display(), error.kind());
            Error::new(Kind::Misconfigured, message)
                .with_hint("tokens are kept in a directory that this user may write to")
        };
        if !self.files.exists()? {
            make_private_directory(self.files.path()).map_err(failed)?;
            self.files.exists()?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        open_with(&path, &mut options, Links::Refuse).map_err(failed)
    }
}

#[async_trait]
impl Backend for Directory {
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>> {
        let Some(file) = self.files.read(key.as_str(), MAX_FILE)? else {
            return Ok(None);
        };
        let text = self.sealing.cipher(key, cx).await?.open(&file);
        Ok(text.and_then(|text| Record::decode(&text)))
    }

    async fn enter(
        &self,
        key: &Key,
        _: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>> {
        // The lock is of the operating system, and ends with the process that holds it.
        let lock = self.open_lock(key)?;
        for _ in 0..LOOKS {
            if cx.remaining().is_some_and(|left| left.is_zero()) {
                break;
            }
            match lock.try_lock() {
                Ok(()) => {
                    return Ok(Some(Box::new(Held {
                        cipher: self.sealing.cipher(key, cx).await?,
                        files: self.files.clone(),
                        name: key.as_str().to_owned(),
                        clock: cx.clock().clone(),
                        _lock: lock,
                    })));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(unlockable(&self.files, &error)),
            }
        }
        Err(Error::new(
            Kind::Unavailable,
            "another program is asking for this token and does not finish",
        ))
    }
}

fn unlockable(files: &PrivateDirectory, error: &std::io::Error) -> Error {
    let message = format!(
        "no file in `{}` can be locked: {}",
        files.path().display(),
        error.kind()
    );
    Error::new(Kind::Misconfigured, message)
        .with_hint("tokens are kept on a disk of this machine, not on a network's")
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
        let text = self.cipher.open(&file);
        let record = text.and_then(|text| Record::decode(&text));
        if record.is_none() {
            self.set_aside()?;
        }
        Ok(record)
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        let sealed = self.cipher.seal(record.encode());
        let sealed = sealed.ok_or_else(|| Error::new(Kind::Internal, "nothing can be sealed"))?;
        self.files.write(&self.name, &sealed)
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

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher")
    }
}
