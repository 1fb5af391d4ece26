//! Files that are written whole or not at all, and places that no disk keeps.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use credchain::Environment;
use credchain::files::{Draft, Refused, occupant, read_to_limit};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The user alone: it holds secrets.
    Private,
    /// Whoever the user's umask lets.
    Shared,
}

/// How many bytes are asked for at first.
const FIRST: u64 = 16 * 1024;

/// Reads a file the user named, up to a size that no such file has.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let doing = || format!("reading `{}`", path.display());
    let file = File::open(path).map_err(|error| Failure::io(doing(), error))?;
    limited(file, limit).map_err(|error| Failure::io(doing(), error))
}

/// Reads to the end, or fails when there is more than `limit` bytes.
pub(crate) fn limited(mut source: impl io::Read, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    match read_to_limit(&mut source, FIRST.min(limit), limit) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(Refused::Io(error)) => Err(error),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than the {} MiB that are accepted", limit >> 20),
        )),
    }
}

/// Puts `bytes` in the place of whatever is at `path`: readers see the old content or the new,
/// also after a crash. A symlink or anything else that is no plain file is refused.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let doing = |error| Failure::io(format!("writing `{}`", path.display()), error);
    let before = replaceable(path)?.map(|found| found.permissions());
    let draft = match (mode, &before) {
        (Mode::Shared, None) => Draft::shared(path, ".credchain-"),
        _ => Draft::private(path, ".credchain-"),
    };
    let mut draft = draft.map_err(doing)?;
    draft.write_all(bytes).map_err(doing)?;
    if let (Mode::Shared, Some(before)) = (mode, before) {
        draft.file().set_permissions(before).map_err(doing)?;
    }
    draft.replace().map_err(doing)
}

/// Makes a file that is not there yet. Whatever the umask, not everybody can write to it: such a
/// configuration is refused.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let doing = |error| Failure::io(format!("writing `{}`", path.display()), error);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o664);
    let mut file = options.open(path).map_err(doing)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(doing)
}

/// The plain file at `path`, if there is one; anything else there is not written to.
pub(crate) fn replaceable(path: &Path) -> Result<Option<Metadata>, Failure> {
    occupant(path).map_err(|reason| match reason {
        Refused::Io(error) => Failure::io(format!("writing `{}`", path.display()), error),
        reason => not_plain(path, &reason),
    })
}

fn not_plain(path: &Path, reason: &Refused) -> Failure {
    let what = match reason {
        Refused::NotRegular("a symlink") => "a symbolic link, which is not written through",
        Refused::NotRegular("a directory") => "a directory",
        _ => "not a plain file",
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
        .find(|path| path.is_dir() && is_memory(path))
}

/// Whether memory alone keeps what is written there.
#[cfg(target_os = "linux")]
pub(crate) fn is_memory(path: &Path) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    rustix::fs::statfs(path).is_ok_and(|found| matches!(found.f_type, TMPFS_MAGIC | RAMFS_MAGIC))
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
        assert_eq!(*limited(&b"12345"[..], 5).unwrap(), b"12345");
        let long = vec![7; 80 * 1024 + 1];
        assert_eq!(*limited(&long[..], 1 << 20).unwrap(), long);
        assert!(limited(&b"123456"[..], 5).is_err());
    }
}
