//! What each failure means for the chain. The only place that knows.

use std::io;
use std::path::Path;

use credchain_core::{Error, Kind};

/// Why the file could not be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The system said so.
    Io(io::Error),
    /// It is a directory, a pipe or a device.
    NotAFile,
    /// Other users can write to it.
    OthersCanWrite,
    /// It belongs to another user.
    ForeignOwner,
    /// It is larger than any such file.
    TooLarge,
    /// It is not in the format, at this line.
    Malformed(usize),
}

/// `asked_for` tells whether somebody named the file, as opposed to `~/.netrc` that may or may
/// not be there.
pub(crate) fn kind_of(failure: &Failure, asked_for: bool) -> Kind {
    match failure {
        Failure::Io(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if asked_for => {
                Kind::Misconfigured
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::Absent,
            io::ErrorKind::PermissionDenied => Kind::Denied,
            _ => Kind::Unavailable,
        },
        Failure::NotAFile | Failure::OthersCanWrite | Failure::ForeignOwner => Kind::Misconfigured,
        Failure::TooLarge | Failure::Malformed(_) => Kind::Invalid,
    }
}

/// The error to report. It names the file and the line, and quotes nothing of what is in it.
pub(crate) fn unusable(failure: Failure, file: &Path, asked_for: bool) -> Error {
    let kind = kind_of(&failure, asked_for);
    let file = file.display();
    let message = match &failure {
        Failure::Io(_) if kind == Kind::Absent => format!("there is no `{file}`"),
        Failure::Io(_) => format!("`{file}` cannot be read"),
        Failure::NotAFile => format!("`{file}` is not a regular file"),
        Failure::OthersCanWrite => format!("`{file}` can be written by other users"),
        Failure::ForeignOwner => format!("`{file}` belongs to another user"),
        Failure::TooLarge => format!("`{file}` is too large to be a netrc file"),
        Failure::Malformed(line) => format!("line {line} of `{file}` is not in the netrc format"),
    };
    let hint = match &failure {
        Failure::OthersCanWrite => Some(format!("`chmod go-w '{file}'` takes that away")),
        Failure::Io(_) if kind == Kind::Misconfigured => {
            Some("it was named by the settings or by `$NETRC`".to_owned())
        }
        _ => None,
    };
    let mut error = Error::new(kind, message);
    if let Some(hint) = hint {
        error = error.with_hint(hint);
    }
    match failure {
        Failure::Io(cause) => error.with_source(cause),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_kind() {
        let io = |kind: io::ErrorKind| Failure::Io(kind.into());
        let table = [
            (io(io::ErrorKind::NotFound), false, Kind::Absent),
            (io(io::ErrorKind::NotFound), true, Kind::Misconfigured),
            (io(io::ErrorKind::NotADirectory), false, Kind::Absent),
            (io(io::ErrorKind::PermissionDenied), false, Kind::Denied),
            (io(io::ErrorKind::TimedOut), false, Kind::Unavailable),
            (Failure::NotAFile, true, Kind::Misconfigured),
            (Failure::OthersCanWrite, false, Kind::Misconfigured),
            (Failure::ForeignOwner, false, Kind::Misconfigured),
            (Failure::TooLarge, false, Kind::Invalid),
            (Failure::Malformed(3), false, Kind::Invalid),
        ];
        for (failure, asked_for, kind) in table {
            assert_eq!(kind_of(&failure, asked_for), kind, "{failure:?}");
            let error = unusable(failure, Path::new("/home/x/.netrc"), asked_for);
            assert_eq!(error.kind(), kind);
            assert!(error.message().contains("/home/x/.netrc"));
        }
    }
}
