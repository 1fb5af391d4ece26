//! One writer at a time, among those that take locks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use credchain_core::{Error, Kind, Result};

use crate::error::refused;
use crate::regular::{Refused, Regular};

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
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

    use rustix::fs::OFlags;

    use super::{Error, File, Kind, Locked, Path, Refused, Regular, Result, io, refused};
    use crate::regular;

    pub(super) fn open(path: &Path, create: bool) -> Result<Option<Locked>> {
        // A symlink is not followed, and a pipe not waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = flags.bits().cast_signed();
        let there = OpenOptions::new().read(true).custom_flags(flags).open(path);
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

    pub(super) fn is_at(file: &File, path: &Path) -> bool {
        match (file.metadata(), path.symlink_metadata()) {
            (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
            _ => false,
        }
    }

    pub(super) fn regular(locked: &Locked, _: &Path) -> Result<Option<Regular>, Refused> {
        regular::check(locked.file.try_clone().map_err(Refused::Io)?).map(Some)
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

    use super::{File, Locked, Path, Refused, Regular, Result, io, refused};
    use crate::regular;

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
        match regular::open(path) {
            Err(Refused::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }
}
