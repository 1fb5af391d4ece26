//! Replacing a file as a whole, so that nobody ever reads half of one.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::open::{Refused, what_it_is};

/// A file in the making, beside the one it becomes. Dropped, it is gone again.
///
/// Its name starts with a prefix of the caller's choice, goes on with what nobody can foresee and
/// ends with `.tmp`. Only its owner can read it, from the first byte on.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    target: PathBuf,
}

impl Draft {
    /// Starts a file that only this user may read.
    pub fn private(target: &Path, prefix: &str) -> io::Result<Self> {
        Self::start(target, tempfile::Builder::new().prefix(prefix))
    }

    /// Starts a file that those may read whom the user's umask lets.
    pub fn shared(target: &Path, prefix: &str) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Self::start(target, builder.prefix(prefix))
    }

    fn start(target: &Path, builder: &mut tempfile::Builder<'_, '_>) -> io::Result<Self> {
        let file = builder.suffix(".tmp").tempfile_in(directory_of(target))?;
        Ok(Self {
            file,
            target: target.to_owned(),
        })
    }

    /// The file, to change its owner or mode before anybody sees it.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Puts it in the place of whatever is there; it is on the disk when this returns.
    pub fn replace(self) -> io::Result<()> {
        self.file().sync_all()?;
        #[cfg(feature = "failpoints")]
        fail::fail_point!("draft written");
        self.file.persist(&self.target)?;
        #[cfg(feature = "failpoints")]
        fail::fail_point!("draft renamed");
        sync_directory(directory_of(&self.target))
    }

    /// Puts it in its place if nothing is there yet; otherwise `false`, and what is there stays.
    pub fn create(self) -> io::Result<bool> {
        self.file().sync_all()?;
        match self.file.persist_noclobber(&self.target) {
            Ok(_) => sync_directory(directory_of(&self.target)).map(|()| true),
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(failed.error),
        }
    }
}

impl io::Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is at a place where a file is to be replaced or removed: a regular file, or nothing.
///
/// Anything else is refused, symlinks first of all: writing through one puts the file where
/// somebody else decided, and replacing one takes away what somebody else arranged.
pub fn occupant(path: &Path) -> Result<Option<Metadata>, Refused> {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(found) => Err(Refused::NotRegular(what_it_is(&found))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refused::Io(error)),
    }
}

/// The directory that a path's last part is in.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

/// Makes what was renamed or removed in a directory last through a power failure.
#[cfg(unix)]
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some file systems cannot, and need not; and one may write to a directory that one may
        // not read. There is no better way then, and what was done is done.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Directories are not synced on this system.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn readers_see_the_old_content_until_they_see_the_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut draft = Draft::private(&path, ".file.").unwrap();
        draft.write_all(b"n").unwrap();
        draft.write_all(b"ew").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        draft.replace().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut draft = Draft::private(&path, ".file.").unwrap();
        draft.write_all(b"half").unwrap();
        let [name] = &names(directory.path())[..] else {
            panic!("one file")
        };
        assert!(name.starts_with(".file."), "{name}");
        assert_eq!(Path::new(name).extension(), Some("tmp".as_ref()));
        drop(draft);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_draft_that_cannot_take_its_place_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        let draft = Draft::private(&path, ".file.").unwrap();
        assert!(draft.replace().is_err());
        assert_eq!(names(directory.path()), ["taken"]);
    }

    #[test]
    fn what_is_there_already_is_not_created() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut first = Draft::private(&path, ".file.").unwrap();
        first.write_all(b"first").unwrap();
        let second = Draft::private(&path, ".file.").unwrap();
        assert!(first.create().unwrap());
        assert!(!second.create().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_draft_is_private_from_its_first_byte_unless_it_is_shared() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mode = |draft: &Draft| draft.file().metadata().unwrap().permissions().mode() & 0o777;
        let private = Draft::private(&path, "").unwrap();
        assert_eq!(mode(&private), 0o600);
        let shared = Draft::shared(&path, "").unwrap();
        let usual = File::create(directory.path().join("usual")).unwrap();
        let usual = usual.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&shared), usual);
    }

    #[cfg(unix)]
    #[test]
    fn a_symlink_or_a_directory_is_no_place_for_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(occupant(&path).unwrap().is_none());
        fs::write(&path, "12").unwrap();
        assert_eq!(occupant(&path).unwrap().unwrap().len(), 2);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for (place, what) in [(&*link, "a symlink"), (directory.path(), "a directory")] {
            let refused = occupant(place).unwrap_err();
            assert!(matches!(refused, Refused::NotRegular(found) if found == what));
        }
        let below = occupant(&path.join("below")).unwrap_err();
        assert!(matches!(below, Refused::Io(_)));
    }

    #[test]
    fn a_bare_name_is_in_the_working_directory() {
        for (path, directory) in [("a", "."), ("a/b", "a"), ("/a", "/")] {
            assert_eq!(directory_of(Path::new(path)), Path::new(directory));
        }
    }
}
