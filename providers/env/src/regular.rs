//! Reading a file that somebody else may have put there: a regular file of bounded size that
//! only its owner, who is us or root, can have written.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not read.
#[derive(Debug)]
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "owner and mode are checked on Unix only")
)]
pub(crate) enum Refused {
    Io(io::Error),
    /// What it is instead of a regular file.
    NotRegular(&'static str),
    WorldWritable,
    ForeignOwner,
    TooLarge,
}

/// An opened file that may be read.
#[derive(Debug)]
pub(crate) struct Regular {
    file: File,
    metadata: Metadata,
}

/// Opens the file at `path`, following symlinks, and checks what was opened.
pub(crate) fn open(path: &Path) -> Result<Regular, Refused> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Opening a FIFO waits for its writer, and a terminal could become ours.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    check(options.open(path).map_err(Refused::Io)?)
}

/// Checks an opened file. The handle is asked, not the path: what was checked is what is read.
pub(crate) fn check(file: File) -> Result<Regular, Refused> {
    let metadata = file.metadata().map_err(Refused::Io)?;
    if !metadata.is_file() {
        return Err(Refused::NotRegular(what_else(&metadata)));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.mode() & 0o002 != 0 {
            return Err(Refused::WorldWritable);
        }
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(Refused::ForeignOwner);
        }
    }
    Ok(Regular { file, metadata })
}

impl Regular {
    /// Reads at most `limit` bytes; a longer file is refused, also when it grows meanwhile.
    pub(crate) fn read(mut self, limit: u64) -> Result<Vec<u8>, Refused> {
        if self.metadata.len() > limit {
            return Err(Refused::TooLarge);
        }
        // One byte more than expected, so that the end of the file is seen without growing.
        // SECURITY: where it does grow, the old buffer is wiped and not just freed.
        let mut buffer = Zeroizing::new(vec![0; size(self.metadata.len()) + 1]);
        let mut filled = 0;
        loop {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX - 1)
}

#[cfg(unix)]
fn what_else(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match metadata.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn what_else(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "a directory"
    } else {
        "a device"
    }
}
