//! Replacing a file so that nobody sees half of it and no writer loses another's work.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

use credchain_core::{Error, Kind, Result};
use zeroize::Zeroizing;

use crate::error::{FILE_LIMIT, refused};
use crate::regular::{self, Refused};

/// How often another writer is waited for, and how long each time: ten seconds in all.
const ATTEMPTS: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// The new content, or nothing if there is nothing to change.
type Edited = Option<Zeroizing<Vec<u8>>>;

/// Replaces the content of the file at `path` with what `change` makes of it, while holding its
/// lock; tells whether there was a change. With `create` a missing file counts as empty.
///
/// Runs to its end once started: it belongs on a thread where blocking is allowed.
pub(crate) fn update(
    path: &Path,
    create: bool,
    change: impl FnOnce(&[u8]) -> Result<Edited>,
) -> Result<bool> {
    let Some(locked) = lock(path, create)? else {
        return Ok(false);
    };
    let outcome = replace(path, &locked.file, change);
    if locked.created && !matches!(outcome, Ok(true)) {
        // Nothing was written to the file that was made only to be locked.
        let _ = fs::remove_file(path);
    }
    outcome
}

/// A file of which this process is the only writer, among those that take locks.
struct Locked {
    file: File,
    created: bool,
}

fn lock(path: &Path, create: bool) -> Result<Option<Locked>> {
    for _ in 0..ATTEMPTS {
        let (file, created) = match open(path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == ErrorKind::NotFound && !create => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => match make(path) {
                Ok(file) => (file, true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(refused(Refused::Io(error), path)),
            },
            Err(error) => return Err(not_opened(error, path)),
        };
        match file.try_lock() {
            // Another writer may have replaced the file while this one waited: then the lock is
            // on what was there before.
            Ok(()) if is_at(&file, path) => return Ok(Some(Locked { file, created })),
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

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

fn make(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn not_opened(error: std::io::Error, path: &Path) -> Error {
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

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

// An open file cannot be replaced there, so what was locked is what is named.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

fn replace(
    path: &Path,
    locked: &File,
    change: impl FnOnce(&[u8]) -> Result<Edited>,
) -> Result<bool> {
    let io = |error| refused(Refused::Io(error), path);
    let regular = regular::check(locked.try_clone().map_err(io)?);
    let before = regular.and_then(|regular| regular.read(FILE_LIMIT));
    let before = Zeroizing::new(before.map_err(|reason| refused(reason, path))?);
    let metadata = locked.metadata().map_err(io)?;
    if metadata.permissions().readonly() {
        let file = path.display();
        return Err(Error::new(Kind::Denied, format!("`{file}` is read-only"))
            .with_hint(format!("`chmod u+w {file}`")));
    }
    let Some(after) = change(&before)? else {
        return Ok(false);
    };
    if u64::try_from(after.len()).is_ok_and(|length| length > FILE_LIMIT) {
        return Err(refused(Refused::TooLarge, path));
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    // Created with mode 0600, under a name that nobody can foresee.
    let mut next = tempfile::Builder::new()
        .prefix(".env.")
        .tempfile_in(directory)
        .map_err(io)?;
    next.write_all(&after).map_err(io)?;
    keep_group(next.as_file(), &metadata);
    next.as_file()
        .set_permissions(metadata.permissions())
        .map_err(io)?;
    next.as_file().sync_all().map_err(io)?;
    next.persist(path).map_err(|failed| io(failed.error))?;
    sync_directory(directory).map_err(io)?;
    Ok(true)
}

#[cfg(unix)]
fn keep_group(next: &File, metadata: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    // A member of the group may set it; for others the file keeps the group of its writer.
    let _ = std::os::unix::fs::fchown(next, None, Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_group(_: &File, _: &fs::Metadata) {}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> std::io::Result<()> {
    Ok(())
}
