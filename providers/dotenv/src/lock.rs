//! One writer at a time, among those that take locks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use credchain_core::files::{Refused, Regular};
use credchain_core::{Error, Kind, Result};

use crate::error::refused;

/// How often another writer is waited for, and how long each time: ten seconds in all.
const ATTEMPTS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// The right to replace a file, until this is dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    /// Whether the file was made only to be locked.
    pub(crate) created: bool,
}

/// Waits for the lock of the file at `path`; nothing if there is no file and none is to be made.
/// Gives up as soon as nobody has `wanted` it any more.
pub(crate) fn lock(path: &Path, create: bool, wanted: &dyn Fn() -> bool) -> Result<Option<Locked>> {
    for _ in 0..ATTEMPTS {
        if !wanted() {
            break;
        }
        let Some(locked) = system::open(path, create)? else {
            return Ok(None);
        };
        match locked.file.try_lock() {
            // Another writer may have replaced the file while this one waited: then the lock is
            // on what was there before.
            Ok(()) if locked.is_at(path) => return Ok(Some(locked)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(refused(Refused::Io(error), path)),
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        format!("`{}` stays locked", path.display()),
    )
    .with_hint("another program is writing it; try again when that has ended"))
}

impl Locked {
    /// Whether the path still names the file that was locked, so that nobody has replaced it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        system::is_at(&self.file, path)
    }

    /// What is there now; nothing if the file is still to be made.
    pub(crate) fn regular(&self, path: &Path) -> Result<Option<Regular>, Refused> {
        system::regular(self, path)
    }
}

/// The file itself is locked, so that nothing is left behind.
#[cfg(unix)]
mod system {
    use std::fs::OpenOptions;
    use std::io::ErrorKind;
    use std::os::unix::fs::OpenOptionsExt as _;

    use credchain_core::files::{self, Links};

    use super::{Error, Kind, Locked, Path, Refused, Regular, Result, io, refused};

    pub(super) use credchain_core::files::is_still_at as is_at;

    pub(super) fn open(path: &Path, create: bool) -> Result<Option<Locked>> {
        let there = files::open_with(path, OpenOptions::new().read(true), Links::Refuse);
        match there {
            Ok(file) => {
                return Ok(Some(Locked {
                    file,
                    created: false,
                }));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error, path)),
            Err(_) if !create => return Ok(None),
            Err(_) => {}
        }
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match made {
            Ok(file) => Ok(Some(Locked {
                file,
                created: true,
            })),
            // Another writer was faster; its file is opened without making one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => open(path, false),
            Err(error) => Err(failed(error, path)),
        }
    }

    pub(super) fn regular(locked: &Locked, _: &Path) -> Result<Option<Regular>, Refused> {
        files::check(locked.file.try_clone().map_err(Refused::Io)?).map(Some)
    }

    fn failed(error: io::Error, path: &Path) -> Error {
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink())
        {
            let message = format!(
                "`{}` is a symlink, and is not written through",
                path.display()
            );
            return Error::new(Kind::Misconfigured, message)
                .with_hint("name the file it points to in `files`");
        }
        refused(Refused::Io(error), path)
    }
}

/// An open file cannot be replaced there, so a file beside it is locked, and stays.
#[cfg(not(unix))]
mod system {
    use std::fs::OpenOptions;
    use std::io::ErrorKind;

    use credchain_core::files;

    use super::{File, Locked, Path, Refused, Regular, Result, io, refused};

    pub(super) fn open(path: &Path, create: bool) -> Result<Option<Locked>> {
        if !create && !path.exists() {
            return Ok(None);
        }
        let beside = path.with_added_extension("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&beside);
        let file = file.map_err(|error: io::Error| refused(Refused::Io(error), &beside))?;
        Ok(Some(Locked {
            file,
            created: false,
        }))
    }

    pub(super) fn is_at(_: &File, _: &Path) -> bool {
        true
    }

    pub(super) fn regular(_: &Locked, path: &Path) -> Result<Option<Regular>, Refused> {
        match files::open(path) {
            Err(Refused::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }
}
