//! What is this user's alone: a directory of mode 0700 with files of mode 0600.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

use super::open::{Links, open_with, read_to_limit};
use super::write::{Draft, sync_directory};
use crate::{Error, Kind, Result};

/// A directory, and the files in it, that nobody but this user may look into.
///
/// What others can look into or write to is refused with the command that closes it; nothing is
/// read through a symlink. Failures are [`Kind::Misconfigured`]; a name that is a path is
/// [`Kind::Invalid`].
///
/// ```
/// use credchain_core::files::PrivateDirectory;
///
/// # let home = tempfile::tempdir()?;
/// let tokens = PrivateDirectory::new(home.path().join("tokens"));
/// assert_eq!(tokens.read("crm", 1024)?, None);
/// tokens.write("crm", b"s3cret")?;
/// assert_eq!(tokens.read("crm", 1024)?.as_deref(), Some(&b"s3cret"[..]));
/// assert!(tokens.remove("crm")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// The directory at `path`, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is there; one that others can look into or write to is refused.
    pub fn exists(&self) -> Result<bool> {
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look at", &self.0, &error)),
            Ok(metadata) if !metadata.is_dir() => Err(Error::new(
                Kind::Misconfigured,
                format!("`{}` is no directory", self.0.display()),
            )),
            Ok(metadata) => check(&metadata, &self.0, "700").map(|()| true),
        }
    }

    /// The names of the files in it, sorted; none if it is not there.
    pub fn names(&self) -> Result<Vec<String>> {
        if !self.exists()? {
            return Ok(Vec::new());
        }
        let failed = |error: io::Error| failed("read", &self.0, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            // Nobody wrote a name here that is no text.
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// What a file says; nothing if it is not there.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.file(name)?;
        if !self.exists()? {
            return Ok(None);
        }
        let mut file = match open_with(&path, OpenOptions::new().read(true), Links::Refuse) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &path, &error)),
        };
        let metadata = file
            .metadata()
            .map_err(|error| failed("look at", &path, &error))?;
        check(&metadata, &path, "600")?;
        let read = read_to_limit(&mut file, metadata.len(), limit);
        read.map(Some).map_err(|refused| {
            Error::new(
                Kind::Misconfigured,
                format!("`{}` {refused}", path.display()),
            )
        })
    }

    /// Writes a file so that a crash leaves the old one or the new one.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.file(name)?;
        if !self.exists()? {
            make_private_directory(&self.0).map_err(|error| failed("create", &self.0, &error))?;
            self.exists()?;
        }
        let written = Draft::private(&path, ".").and_then(|mut draft| {
            draft.write_all(bytes)?;
            draft.replace()
        });
        written.map_err(|error| failed("write", &path, &error))
    }

    /// Removes a file; tells whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let path = self.file(name)?;
        if !self.exists()? {
            return Ok(false);
        }
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_directory(&self.0).map_err(|error| failed("write", &self.0, &error))?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &path, &error)),
        }
    }

    /// The path of the file with this name.
    // SECURITY: a name that was made from what somebody else said must not lead elsewhere.
    pub fn file(&self, name: &str) -> Result<PathBuf> {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(only)), None) if only == name => Ok(self.0.join(name)),
            _ => {
                let message = format!("`{name}` is no name of a file in a private directory");
                Err(Error::new(Kind::Invalid, message))
            }
        }
    }
}

/// Makes a directory, and those above it that are missing, for this user alone.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Makes a file that is not there yet, for this user alone from its first byte on. Nothing is
/// synced: it is for files that do not outlive their program.
pub fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

/// Whether something belongs to this user, and nobody else can look into it or write to it.
#[cfg(unix)]
pub fn is_private(metadata: &Metadata) -> bool {
    is_own(metadata) && is_closed(metadata)
}

/// The file system's permissions are all there is here.
#[cfg(not(unix))]
pub fn is_private(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn is_own(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // Root's files do not count here: what a user keeps in private was made by that user.
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn is_closed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    const OTHERS: u32 = 0o077;
    metadata.mode() & OTHERS == 0
}

/// `mode` is what closes it, for the hint.
#[cfg(unix)]
fn check(metadata: &Metadata, path: &Path, mode: &str) -> Result<()> {
    let shown = path.display();
    if !is_own(metadata) {
        let message = format!("`{shown}` belongs to another user and is not used");
        return Err(Error::new(Kind::Misconfigured, message));
    }
    if !is_closed(metadata) {
        let message = format!("`{shown}` is open to other users and is not used");
        return Err(
            Error::new(Kind::Misconfigured, message).with_hint(format!("`chmod {mode} '{shown}'`"))
        );
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
fn check(_: &Metadata, _: &Path, _: &str) -> Result<()> {
    Ok(())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(
        Kind::Misconfigured,
        format!("cannot {what} `{}`: {}", path.display(), error.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, PrivateDirectory) {
        let home = tempfile::tempdir().unwrap();
        let directory = PrivateDirectory::new(home.path().join("state/tokens"));
        (home, directory)
    }

    #[test]
    fn what_was_never_written_is_not_there_and_not_made() {
        let (_home, directory) = directory();
        assert!(!directory.exists().unwrap());
        assert!(directory.names().unwrap().is_empty());
        assert_eq!(directory.read("a", 10).unwrap(), None);
        assert!(!directory.remove("a").unwrap());
        assert!(!directory.path().exists());
    }

    #[test]
    fn a_name_leads_to_no_other_place() {
        let (_home, directory) = directory();
        for name in ["", ".", "..", "../a", "a/b", "/a", "a/"] {
            let kinds = [
                directory.read(name, 10).unwrap_err().kind(),
                directory.write(name, b"1").unwrap_err().kind(),
                directory.remove(name).unwrap_err().kind(),
            ];
            assert_eq!(kinds, [Kind::Invalid; 3], "{name}");
        }
    }

    #[test]
    fn what_was_written_is_read_listed_and_removed() {
        let (_home, directory) = directory();
        directory.write("b", b"1").unwrap();
        directory.write("a", b"old").unwrap();
        directory.write("a", b"new").unwrap();
        assert_eq!(directory.names().unwrap(), ["a", "b"]);
        assert_eq!(directory.read("a", 3).unwrap().unwrap(), b"new");
        assert!(directory.remove("a").unwrap());
        assert_eq!(directory.names().unwrap(), ["b"]);
        assert!(!directory.remove("a").unwrap());
    }

    #[test]
    fn a_file_above_the_limit_or_in_place_of_the_directory_is_refused() {
        let (home, directory) = directory();
        directory.write("a", b"1234").unwrap();
        let error = directory.read("a", 3).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.message().ends_with("/a` is too large"), "{error}");
        let path = home.path().join("file");
        fs::write(&path, "").unwrap();
        let error = PrivateDirectory::new(path).write("a", b"").unwrap_err();
        assert!(error.message().ends_with("is no directory"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn all_is_made_private_and_what_is_not_is_refused_with_the_command_that_closes_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_home, directory) = directory();
        directory.write("a", b"1").unwrap();
        let file = directory.path().join("a");
        assert!(is_private(&fs::metadata(&file).unwrap()));
        assert!(is_private(&fs::metadata(directory.path()).unwrap()));
        let above = directory.path().parent().unwrap();
        assert!(is_private(&fs::metadata(above).unwrap()));
        for (path, loose, closed) in [(&*file, 0o640, "600"), (directory.path(), 0o755, "700")] {
            fs::set_permissions(path, fs::Permissions::from_mode(loose)).unwrap();
            assert!(!is_private(&fs::metadata(path).unwrap()));
            let error = directory.read("a", 10).unwrap_err();
            let command = format!("`chmod {closed} '{}'`", path.display());
            assert_eq!(error.hint(), Some(&*command));
        }
        assert!(directory.write("a", b"2").is_err() && directory.names().is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_read_through_a_symlink() {
        let (home, directory) = directory();
        directory.write("a", b"1").unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
        assert!(directory.read("link", 10).is_err());
        let link = home.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        assert!(PrivateDirectory::new(link).read("a", 10).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_belongs_to_a_stranger_is_refused() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away. Root's own directories are not this user's.
            assert!(PrivateDirectory::new("/").exists().is_err());
            return;
        }
        let (_home, directory) = directory();
        directory.write("a", b"1").unwrap();
        std::os::unix::fs::chown(directory.path().join("a"), Some(4711), None).unwrap();
        let error = directory.read("a", 10).unwrap_err();
        assert!(error.message().contains("another user"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_created_file_is_private_and_never_one_that_was_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        create_private(&path, b"1").unwrap();
        assert!(is_private(&fs::metadata(&path).unwrap()));
        let again = create_private(&path, b"2").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"1");
    }
}
