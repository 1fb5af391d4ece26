//! Replacing a file as a whole, so that nobody ever reads half of one.

use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::path::Path;

use credchain_core::{Error, Kind, Result};

use crate::directory::TEMPORARY;
use crate::error::refused;
use crate::regular::Refused;

/// Makes a directory, and those above it, for this user alone.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| refused(Refused::Io(error), path))
}

/// Puts `value` at `path`: whole, synced, with mode 0600.
pub(crate) fn write(path: &Path, value: &[u8]) -> Result<()> {
    let io = |error| refused(Refused::Io(error), path);
    let parent = path.parent().unwrap_or(path);
    replaceable(path)?;
    let mut next = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(parent)
        .map_err(io)?;
    next.write_all(value).map_err(io)?;
    next.as_file().sync_all().map_err(io)?;
    next.persist(path).map_err(|failed| io(failed.error))?;
    sync(parent).map_err(io)
}

/// Removes the file at `path`.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let io = |error| refused(Refused::Io(error), path);
    replaceable(path)?;
    fs::remove_file(path).map_err(io)?;
    sync(path.parent().unwrap_or(path)).map_err(io)
}

/// A place that holds a file or nothing. Symlinks are how Kubernetes mounts secrets; what is
/// there is not ours to change.
fn replaceable(path: &Path) -> Result<()> {
    let what = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        Ok(metadata) if metadata.is_symlink() => "a symlink, and is not written through",
        Ok(_) => "not a file",
        Err(_) => return Ok(()),
    };
    Err(
        Error::new(Kind::Invalid, format!("`{}` is {what}", path.display()))
            .with_hint("change the secret where it is mounted from"),
    )
}

#[cfg(unix)]
fn sync(directory: &Path) -> std::io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> std::io::Result<()> {
    Ok(())
}
