//! Turns among the programs of one user on one machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::time::Duration;

use credchain_core::files::{Links, PrivateDirectory, make_private_directory, open_with};
use credchain_core::{Context, Error, Kind, Result};

use crate::key::Key;

/// How often another program's turn is looked at, and how many times: longer in all than any
/// exchange takes.
const PAUSE: Duration = Duration::from_millis(5);
const LOOKS: u32 = 8000;

/// Waits for the lock of a key. It is of the operating system, and ends with the process that
/// holds it.
pub(super) async fn lock(directory: &PrivateDirectory, key: &Key, cx: &Context) -> Result<File> {
    let file = open(directory, key)?;
    for _ in 0..LOOKS {
        if cx.remaining().is_some_and(|left| left.is_zero()) {
            break;
        }
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(unlockable(directory, &error)),
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "another program is asking for this token and does not finish",
    ))
}

/// The file that is locked. It is never removed: whoever waits for it has opened it already.
fn open(directory: &PrivateDirectory, key: &Key) -> Result<File> {
    let path = directory.file(&format!("{}.lock", key.as_str()))?;
    let failed = |error: std::io::Error| {
        let message = format!("cannot open `{}`: {}", path.display(), error.kind());
        Error::new(Kind::Misconfigured, message)
            .with_hint("tokens are kept in a directory that this user may write to")
            .with_source(error)
    };
    if !directory.exists()? {
        make_private_directory(directory.path()).map_err(failed)?;
        directory.exists()?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    open_with(&path, &mut options, Links::Refuse).map_err(failed)
}

fn unlockable(directory: &PrivateDirectory, error: &std::io::Error) -> Error {
    let message = format!(
        "no file in `{}` can be locked: {}",
        directory.path().display(),
        error.kind()
    );
    Error::new(Kind::Misconfigured, message)
        .with_hint("tokens are kept on a disk of this machine, not on a network's")
}

/// Whether there is nothing wrong but that nothing can be written: a disk that is full or read-only,
/// a home that is somebody else's.
pub(super) fn is_unwritable(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::ReadOnlyFilesystem
                | ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::PermissionDenied
        )
    })
}
