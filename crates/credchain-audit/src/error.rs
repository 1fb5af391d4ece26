//! What a failure of the file system means for whoever wants something recorded.

use std::io::{self, ErrorKind};
use std::path::Path;

use credchain_core::{Error, Kind, Result};

/// A failure at a file, with what can be done about it.
pub(crate) fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = kind_of(&error);
    let message = format!("cannot {what} `{}`: {}", path.display(), error.kind());
    let made = Error::new(kind, message);
    let made = match hint(&error) {
        Some(hint) => made.with_hint(hint),
        None => made,
    };
    made.with_source(error)
}

/// What can pass by itself is `Unavailable`; what somebody has to put right is `Misconfigured`.
pub(crate) fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename => Kind::Misconfigured,
        // A full disk, a quota, a device that fails, a server that is away.
        _ => Kind::Unavailable,
    }
}

fn hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Some("make room where the access log is kept")
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            Some("the access log is kept where this user may write")
        }
        _ => None,
    }
}

/// Adds to a result of the system at which file it was, and at what.
pub(crate) trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| failed(what, path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_somebody_has_to_put_right() {
        for (error, kind) in [
            (ErrorKind::StorageFull, Kind::Unavailable),
            (ErrorKind::QuotaExceeded, Kind::Unavailable),
            (ErrorKind::FileTooLarge, Kind::Unavailable),
            (ErrorKind::Other, Kind::Unavailable),
            (ErrorKind::ReadOnlyFilesystem, Kind::Misconfigured),
            (ErrorKind::PermissionDenied, Kind::Misconfigured),
            (ErrorKind::NotADirectory, Kind::Misconfigured),
        ] {
            let made = failed("write", Path::new("log"), error.into());
            assert_eq!(made.kind(), kind, "{error}");
            assert!(made.message().starts_with("cannot write `log`: "));
        }
    }
}
