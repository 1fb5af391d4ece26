//! Files that are written whole or not at all, and places that no disk keeps.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use credchain::Environment;

use crate::failure::Failure;

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The user alone: it holds secrets.
    Private,
    /// Whoever the user's umask lets.
    Shared,
}

/// Reads a file the user named, up to a size that no such file has.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let doing = || format!("reading `{}`", path.display());
    let file = File::open(path).map_err(|error| Failure::io(doing(), error))?;
    limited(file, limit).map_err(|error| Failure::io(doing(), error))
}

/// Reads to the end, or fails when there is more than `limit` bytes.
pub(crate) fn limited(source: impl io::Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        let mebibytes = limit >> 20;
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than the {mebibytes} MiB that are accepted"),
        ));
    }
    Ok(bytes)
}

/// Puts `bytes` in the place of whatever is at `path`: readers see the old content or the new,
/// also after a crash. A symlink or anything else that is no plain file is refused.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let doing = |error| Failure::io(format!("writing `{}`", path.display()), error);
    let before = match path.symlink_metadata() {
        Ok(found) if found.is_file() => Some(found.permissions()),
        Ok(found) => return Err(not_plain(path, &found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(doing(error)),
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".credchain-");
    // Otherwise mode 0600 from its first byte.
    #[cfg(unix)]
    if mode == Mode::Shared && before.is_none() {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut fresh = builder.tempfile_in(directory).map_err(doing)?;
    fresh.write_all(bytes).map_err(doing)?;
    if let (Mode::Shared, Some(before)) = (mode, before) {
        fresh.as_file().set_permissions(before).map_err(doing)?;
    }
    fresh.as_file().sync_all().map_err(doing)?;
    fresh.persist(path).map_err(|failed| doing(failed.error))?;
    // The name is on disk only when the directory is; a system that cannot sync one has no
    // better way.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Makes a file that is not there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let doing = |error| Failure::io(format!("writing `{}`", path.display()), error);
    let mut file = File::create_new(path).map_err(doing)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(doing)
}

fn not_plain(path: &Path, found: &std::fs::Metadata) -> Failure {
    let what = if found.is_symlink() {
        "a symbolic link, which is not written through"
    } else if found.is_dir() {
        "a directory"
    } else {
        "not a plain file"
    };
    Failure::usage(format!("`{}` is {what}", path.display()))
}

/// A directory that only memory keeps: `$XDG_RUNTIME_DIR`, else `/dev/shm`.
#[cfg(target_os = "linux")]
pub(crate) fn memory(env: &Environment) -> Option<PathBuf> {
    let runtime = env
        .text("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    runtime
        .into_iter()
        .chain([PathBuf::from("/dev/shm")])
        .find(|path| {
            path.is_dir()
                && rustix::fs::statfs(path).is_ok_and(|found| {
                    const TMPFS_MAGIC: i64 = 0x0102_1994;
                    const RAMFS_MAGIC: i64 = 0x8584_58f6;
                    matches!(found.f_type, TMPFS_MAGIC | RAMFS_MAGIC)
                })
        })
}

/// A directory that only memory keeps; this system has none that can be relied on.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory(_: &Environment) -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_who_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        replace(&path, b"one", Mode::Private).unwrap();
        replace(&path, b"two", Mode::Shared).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_symlink_or_a_directory_is_not_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        std::fs::write(&target, "old").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(replace(&link, b"new", Mode::Private).is_err());
        assert!(replace(directory.path(), b"new", Mode::Private).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(limited(&b"12345"[..], 5).unwrap(), b"12345");
        assert!(limited(&b"123456"[..], 5).is_err());
    }
}
