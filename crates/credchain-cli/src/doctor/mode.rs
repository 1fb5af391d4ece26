//! Who else may look into a file, and closing it.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use super::{Mend, Problem, Site};

/// What is wrong with the mode of a file that is to be its owner's alone. A link is told, and
/// never mended: somebody else decides where it leads.
pub(crate) fn problem(site: &Site<'_>, path: &Path) -> Option<Problem> {
    let own = path.symlink_metadata().ok()?;
    let shown = site.shown(path);
    if own.is_symlink() {
        let who = exposure(&path.metadata().ok()?)?;
        return Some(Problem {
            evidence: format!("`{shown}` is a link to a file that {who}"),
            fix: format!("chmod 600 \"$(readlink -f {})\"", site.word(path)),
            mend: None,
        });
    }
    let who = exposure(&own)?;
    let (what, mode) = if own.is_dir() {
        ("directory", "700")
    } else {
        ("file", "600")
    };
    Some(Problem {
        evidence: format!("`{shown}` is a {what} that {who}"),
        fix: format!("chmod {mode} {}", site.word(path)),
        mend: Some(Mend::Close(path.to_owned())),
    })
}

/// What others may do, if anything.
#[cfg(unix)]
pub(crate) fn exposure(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode();
    Some(match mode & 0o077 {
        0 => return None,
        _ if mode & 0o002 != 0 => "everybody can change",
        _ if mode & 0o004 != 0 => "everybody can read",
        _ if mode & 0o020 != 0 => "its group can change",
        _ if mode & 0o040 != 0 => "its group can read",
        _ => "is not closed to others",
    })
}

/// Files have no mode here.
#[cfg(not(unix))]
pub(crate) fn exposure(_: &Metadata) -> Option<&'static str> {
    None
}

/// Whether a path is on a file system that nobody here can write to.
#[cfg(unix)]
pub(crate) fn is_mounted_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Not to be told here.
#[cfg(not(unix))]
pub(crate) fn is_mounted_read_only(_: &Path) -> bool {
    false
}

/// Takes away what others may do. What was opened is what is changed, and no link is followed.
#[cfg(unix)]
pub(crate) fn close(path: &Path) -> io::Result<()> {
    use std::fs::{OpenOptions, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use credchain::files::{Links, open_with};

    let file = open_with(path, OpenOptions::new().read(true), Links::Refuse)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.set_permissions(Permissions::from_mode(metadata.mode() & 0o700))
}

/// Files have no mode here.
#[cfg(not(unix))]
pub(crate) fn close(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o7777
    }

    #[test]
    fn closing_takes_away_and_never_gives() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        for (before, after) in [
            (0o644, 0o600),
            (0o666, 0o600),
            (0o444, 0o400),
            (0o755, 0o700),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            assert!(exposure(&fs::metadata(&path).unwrap()).is_some());
            close(&path).unwrap();
            assert_eq!(mode(&path), after, "{before:o}");
            assert_eq!(exposure(&fs::metadata(&path).unwrap()), None);
        }
    }

    #[test]
    fn a_link_is_not_closed_through() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(close(&link).is_err());
        assert_eq!(mode(&path), 0o644);
    }
}
