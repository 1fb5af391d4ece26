//! Reading a file that somebody else may have put there: a regular file of bounded size that
//! only its owner, who is us or root, can have written.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not used.
///
/// Shown after the file's name it makes a sentence: "`.env` belongs to another user".
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each caller has to say what each reason means to it"
)]
pub enum Refused {
    /// The system refused.
    Io(io::Error),
    /// What it is instead of a regular file, as [`what_it_is`] says it.
    NotRegular(&'static str),
    /// Every user of this machine may have changed it.
    WorldWritable,
    /// The id of its owner, who is neither this user nor root.
    ForeignOwner(u32),
    /// It holds more than is accepted.
    TooLarge,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(error) => match error.kind() {
                ErrorKind::PermissionDenied => "cannot be opened by this user",
                ErrorKind::ReadOnlyFilesystem => "is on a read-only file system",
                ErrorKind::NotFound | ErrorKind::NotADirectory => "is in no directory",
                ErrorKind::InvalidFilename => "has a name that no file can have",
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "does not fit on its disk",
                _ => "cannot be read or written",
            },
            Self::NotRegular(what) => return write!(f, "is {what}"),
            Self::WorldWritable => "can be changed by every user",
            Self::ForeignOwner(_) => "belongs to another user",
            Self::TooLarge => "is too large",
        })
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Whether the last part of a path may be a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a yes or no with a name")]
pub enum Links {
    /// It is followed.
    Follow,
    /// Opening it fails.
    Refuse,
}

/// Opens `path` so that opening alone has no effect: a pipe is not waited for, and a terminal does
/// not become ours. What was opened is still to be [checked](check).
pub fn open_with(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        if links == Links::Refuse {
            flags |= OFlags::NOFOLLOW;
        }
        options.custom_flags(flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = links;
    options.open(path)
}

/// Opens the file at `path` for reading, following symlinks, and checks what was opened.
pub fn open(path: &Path) -> Result<Regular, Refused> {
    let file = open_with(path, OpenOptions::new().read(true), Links::Follow);
    check(file.map_err(Refused::Io)?)
}

/// Checks an opened file. The handle is asked, not the path: what was checked is what is read.
pub fn check(file: File) -> Result<Regular, Refused> {
    let metadata = file.metadata().map_err(Refused::Io)?;
    if !metadata.is_file() {
        return Err(Refused::NotRegular(what_it_is(&metadata)));
    }
    if let Some(owner) = foreign_owner(&metadata) {
        return Err(Refused::ForeignOwner(owner));
    }
    if is_world_writable(&metadata) {
        return Err(Refused::WorldWritable);
    }
    Ok(Regular { file, metadata })
}

/// An opened file that may be read.
#[derive(Debug)]
pub struct Regular {
    file: File,
    metadata: Metadata,
}

impl Regular {
    /// What the system knew about the file when it was checked.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file itself.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Reads at most `limit` bytes; a longer file is refused, also when it grows meanwhile.
    pub fn read(mut self, limit: u64) -> Result<Vec<u8>, Refused> {
        read_to_limit(&mut self.file, self.metadata.len(), limit)
    }
}

/// Reads the rest of a file or a stream, of which about `expected` bytes are expected and at most
/// `limit` accepted. It is refused at once if more is expected.
// SECURITY: where it is longer than expected, the old buffer is wiped and not just freed.
pub fn read_to_limit(
    source: &mut impl io::Read,
    expected: u64,
    limit: u64,
) -> Result<Vec<u8>, Refused> {
    if expected > limit {
        return Err(Refused::TooLarge);
    }
    // One byte more than expected, so that the end of the file is seen without growing.
    let mut buffer = Zeroizing::new(vec![0; size(expected) + 1]);
    let mut filled = 0;
    loop {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Refused::Io(error)),
        }
        if filled > size(limit) {
            return Err(Refused::TooLarge);
        }
        if filled == buffer.len() {
            let mut larger = Zeroizing::new(vec![0; filled * 2]);
            larger[..filled].copy_from_slice(&buffer);
            buffer = larger;
        }
    }
    buffer.truncate(filled);
    Ok(std::mem::take(&mut *buffer))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX - 1)
}

/// The owner, if that is neither this user nor root. Root's own files are taken: root can change
/// anything that this user runs anyway, and images are built by root.
#[cfg(unix)]
pub fn foreign_owner(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = metadata.uid();
    (owner != 0 && owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Nobody is foreign where files have no owner's number.
#[cfg(not(unix))]
pub fn foreign_owner(_: &Metadata) -> Option<u32> {
    None
}

/// Whether every user of this machine may change it.
#[cfg(unix)]
pub fn is_world_writable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.mode() & 0o002 != 0
}

/// Files have no mode here.
#[cfg(not(unix))]
pub fn is_world_writable(_: &Metadata) -> bool {
    false
}

/// Whether `path` itself still leads to the file that was opened, so that nobody has replaced it.
#[cfg(unix)]
pub fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        _ => false,
    }
}

/// An open file is not replaced on this system.
#[cfg(not(unix))]
pub fn is_still_at(_: &File, _: &Path) -> bool {
    true
}

/// What something is, in words: "a directory".
pub fn what_it_is(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    match kind {
        kind if kind.is_file() => "a file",
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symlink",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, content).unwrap();
        (directory, path)
    }

    #[test]
    fn a_file_is_read_byte_for_byte_up_to_its_limit() {
        let (_directory, path) = file(b"\0\xff\n");
        assert_eq!(open(&path).unwrap().read(3).unwrap(), b"\0\xff\n");
        let longer = open(&path).unwrap().read(2);
        assert!(matches!(longer, Err(Refused::TooLarge)), "{longer:?}");
    }

    #[test]
    fn a_file_that_grows_is_read_to_its_new_end_or_refused_beyond_the_limit() {
        let (_directory, path) = file(b"0123456789");
        let read = |limit| read_to_limit(&mut File::open(&path).unwrap(), 1, limit);
        assert_eq!(read(10).unwrap(), b"0123456789");
        assert!(matches!(read(9), Err(Refused::TooLarge)));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_replaced_removed_or_linked_to_is_no_longer_there() {
        let (directory, path) = file(b"1");
        let opened = File::open(&path).unwrap();
        assert!(is_still_at(&opened, &path));
        let aside = directory.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        assert!(!is_still_at(&opened, &path));
        fs::write(&path, "2").unwrap();
        assert!(!is_still_at(&opened, &path));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(!is_still_at(&opened, &path) && is_still_at(&opened, &aside));
    }

    #[test]
    fn what_is_missing_or_a_directory_is_not_read() {
        let (directory, path) = file(b"");
        let missing = open(&path.with_extension("missing")).unwrap_err();
        assert!(matches!(missing, Refused::Io(error) if error.kind() == ErrorKind::NotFound));
        #[cfg(unix)]
        {
            let refused = open(directory.path()).unwrap_err();
            assert!(matches!(refused, Refused::NotRegular("a directory")));
        }
        drop(directory);
    }

    #[cfg(unix)]
    #[test]
    fn neither_pipe_nor_socket_nor_device_is_waited_for() {
        let (directory, _) = file(b"");
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        assert!(matches!(open(&pipe), Err(Refused::NotRegular("a pipe"))));
        let device = open(Path::new("/dev/null"));
        assert!(matches!(device, Err(Refused::NotRegular("a device"))));
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(what_it_is(&fs::metadata(&socket).unwrap()), "a socket");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_where_they_may_be() {
        let (directory, path) = file(b"there");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(open(&link).unwrap().read(5).unwrap(), b"there");
        let mut options = OpenOptions::new();
        assert!(open_with(&link, options.read(true), Links::Refuse).is_err());
        let metadata = link.symlink_metadata().unwrap();
        assert_eq!(what_it_is(&metadata), "a symlink");
    }

    #[cfg(unix)]
    #[test]
    fn what_everybody_can_change_is_refused_and_what_everybody_can_read_is_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_directory, path) = file(b"");
        for (mode, refused) in [(0o644, false), (0o664, false), (0o602, true), (0o666, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let opened = open(&path);
            assert_eq!(
                matches!(opened, Err(Refused::WorldWritable)),
                refused,
                "{mode:o}"
            );
            assert_eq!(opened.is_ok(), !refused, "{mode:o}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_belongs_to_a_stranger_is_refused() {
        let (_directory, path) = file(b"");
        if !rustix::process::geteuid().is_root() {
            // Only root can give a file away; root's own files are taken.
            let root = fs::metadata("/").unwrap();
            assert_eq!(foreign_owner(&root), None);
            return;
        }
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        let refused = open(&path);
        assert!(
            matches!(refused, Err(Refused::ForeignOwner(4711))),
            "{refused:?}"
        );
    }

    #[test]
    fn each_refusal_completes_a_sentence() {
        let io = |kind: ErrorKind| Refused::Io(kind.into());
        for (refused, words) in [
            (
                io(ErrorKind::PermissionDenied),
                "cannot be opened by this user",
            ),
            (io(ErrorKind::StorageFull), "does not fit on its disk"),
            (io(ErrorKind::Other), "cannot be read or written"),
            (Refused::NotRegular("a pipe"), "is a pipe"),
            (Refused::WorldWritable, "can be changed by every user"),
            (Refused::ForeignOwner(7), "belongs to another user"),
            (Refused::TooLarge, "is too large"),
        ] {
            assert_eq!(refused.to_string(), words);
        }
    }
}
