//! From a path to text, with the checks that a file full of passwords deserves.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Failure;

/// Largest file that is read.
const LIMIT: u64 = 16 << 20;

/// Reads the whole file.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    // Before it is opened, because opening a pipe waits for its other end.
    check(&fs::metadata(path).map_err(Failure::Io)?)?;
    let mut file = File::open(path).map_err(Failure::Io)?;
    // Again, because only what is open cannot be exchanged any more.
    let metadata = file.metadata().map_err(Failure::Io)?;
    check(&metadata)?;
    // Room for all of it at once, so that growing leaves no copy behind.
    let room = usize::try_from(metadata.len())
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.by_ref()
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::Io)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::TooLarge);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            Err(Failure::Malformed(
                1 + before.iter().filter(|byte| **byte == b'\n').count(),
            ))
        }
    }
}

fn check(metadata: &Metadata) -> Result<(), Failure> {
    if !metadata.is_file() {
        return Err(Failure::NotAFile);
    }
    if metadata.len() > LIMIT {
        return Err(Failure::TooLarge);
    }
    check_owner(metadata)
}

/// Whoever can write the file chooses the passwords that are sent.
#[cfg(unix)]
fn check_owner(metadata: &Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;

    if metadata.mode() & 0o022 != 0 {
        return Err(Failure::OthersCanWrite);
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(Failure::ForeignOwner);
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Metadata) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_not_a_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read(directory.path()), Err(Failure::NotAFile)));
    }

    #[test]
    fn text_that_is_not_utf8_is_told_by_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netrc");
        fs::write(&path, b"machine a\npassword \xff\n").unwrap();
        assert!(matches!(read(&path), Err(Failure::Malformed(2))));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netrc");
        fs::write(&path, "machine a password x\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), fine, "{mode:o}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_refused_unread() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("netrc");
        File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
        assert!(matches!(read(&path), Err(Failure::TooLarge)));
    }
}
