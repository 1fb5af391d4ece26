//! Writing and removing the file of one secret.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use credchain_core::files::{
    Draft, Refused, directory_of, make_private_directory, occupant, sync_directory,
};
use credchain_core::{Error, Kind, Result};

use crate::directory::TEMPORARY;
use crate::error::refused;

/// Makes a directory, and those above it, for this user alone.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    make_private_directory(path).map_err(|error| refused(Refused::Io(error), path))
}

/// Puts `value` at `path`: whole, synced, with mode 0600.
pub(crate) fn write(path: &Path, value: &[u8]) -> Result<()> {
    replaceable(path)?;
    let written = Draft::private(path, TEMPORARY).and_then(|mut draft| {
        draft.write_all(value)?;
        draft.replace()
    });
    written.map_err(|error| refused(Refused::Io(error), path))
}

/// Removes the file at `path`.
pub(crate) fn remove(path: &Path) -> Result<()> {
    replaceable(path)?;
    let removed = fs::remove_file(path).and_then(|()| sync_directory(directory_of(path)));
    removed.map_err(|error| refused(Refused::Io(error), path))
}

/// A place that holds a file or nothing. Symlinks are how Kubernetes mounts secrets; what is
/// there is not ours to change.
fn replaceable(path: &Path) -> Result<()> {
    let what = match occupant(path) {
        Err(Refused::NotRegular("a symlink")) => "a symlink, and is not written through",
        Err(Refused::NotRegular(_)) => "not a file",
        // What else is wrong with the place, the system says when it is used.
        _ => return Ok(()),
    };
    Err(
        Error::new(Kind::Invalid, format!("`{}` is {what}", path.display()))
            .with_hint("change the secret where it is mounted from"),
    )
}
