//! Replacing a file so that nobody sees half of it and no writer loses another's work.

use std::fs::{self, File, Metadata};
use std::io::Write as _;
use std::path::Path;

use credchain_core::files::{Draft, Refused};
use credchain_core::{Error, Kind, Result};
use zeroize::Zeroizing;

use crate::error::{FILE_LIMIT, refused};
use crate::lock::{Locked, lock};

/// The new content, or nothing if there is nothing to change.
pub(crate) type Edited = Option<Zeroizing<Vec<u8>>>;

/// Replaces the content of the file at `path` with what `change` makes of it, while holding its
/// lock; tells whether there was a change. With `create` a missing file counts as empty.
///
/// It waits for the lock only while it is `wanted`, and once it has the lock it runs to its end:
/// it belongs on a thread where blocking is allowed.
pub(crate) fn update(
    path: &Path,
    create: bool,
    wanted: &dyn Fn() -> bool,
    change: impl FnOnce(&[u8]) -> Result<Edited>,
) -> Result<bool> {
    let Some(locked) = lock(path, create, wanted)? else {
        return Ok(false);
    };
    let outcome = replace(path, &locked, change);
    if locked.created && locked.is_at(path) {
        // Nothing was written to the file that was made only to be locked.
        let _ = fs::remove_file(path);
    }
    outcome
}

fn replace(
    path: &Path,
    locked: &Locked,
    change: impl FnOnce(&[u8]) -> Result<Edited>,
) -> Result<bool> {
    let io = |error| refused(Refused::Io(error), path);
    let regular = locked
        .regular(path)
        .map_err(|reason| refused(reason, path))?;
    let metadata = regular.as_ref().map(|regular| regular.metadata().clone());
    if metadata
        .as_ref()
        .is_some_and(|metadata| metadata.permissions().readonly())
    {
        let file = path.display();
        return Err(Error::new(Kind::Denied, format!("`{file}` is read-only"))
            .with_hint(format!("`chmod u+w {file}`")));
    }
    let before = regular.map_or(Ok(Vec::new()), |regular| regular.read(FILE_LIMIT));
    let before = Zeroizing::new(before.map_err(|reason| refused(reason, path))?);
    let Some(after) = change(&before)? else {
        return Ok(false);
    };
    if u64::try_from(after.len()).is_ok_and(|length| length > FILE_LIMIT) {
        return Err(refused(Refused::TooLarge, path));
    }
    let mut next = Draft::private(path, ".env.").map_err(io)?;
    next.write_all(&after).map_err(io)?;
    if let Some(metadata) = metadata {
        keep_group(next.file(), &metadata);
        next.file()
            .set_permissions(metadata.permissions())
            .map_err(io)?;
    }
    next.replace().map_err(io)?;
    Ok(true)
}

#[cfg(unix)]
fn keep_group(next: &File, metadata: &Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    // A member of the group may set it; for others the file keeps the group of its writer.
    let _ = std::os::unix::fs::fchown(next, None, Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_group(_: &File, _: &Metadata) {}
