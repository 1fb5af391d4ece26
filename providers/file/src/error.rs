//! What a file that cannot be read or written means for the chain.

use std::io::{self, ErrorKind};
use std::path::Path;

use credchain_core::files::Refused;
use credchain_core::{Error, Kind};

/// The only place that decides.
pub(crate) fn kind_of(refused: &Refused) -> Kind {
    match refused {
        Refused::Io(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Kind::NotFound,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            ErrorKind::InvalidFilename | ErrorKind::InvalidInput | ErrorKind::IsADirectory => {
                Kind::Invalid
            }
            _ if is_loop(error) => Kind::Invalid,
            _ => Kind::Unavailable,
        },
        Refused::NotRegular(_) | Refused::TooLarge => Kind::Invalid,
        Refused::WorldWritable | Refused::ForeignOwner(_) => Kind::Misconfigured,
    }
}

/// The whole error: which file, what is wrong with it, and what to do.
pub(crate) fn refused(refused: Refused, path: &Path) -> Error {
    let kind = kind_of(&refused);
    if kind == Kind::NotFound {
        return Error::not_found();
    }
    let file = path.display();
    let hint = match &refused {
        Refused::Io(_) | Refused::NotRegular(_) | Refused::ForeignOwner(_) => {
            format!("`ls -l {file}` shows what is there")
        }
        Refused::WorldWritable => format!("`chmod o-w {file}`"),
        Refused::TooLarge => "raise `max_size` if the file is meant to be so large".to_owned(),
    };
    let message = match &refused {
        Refused::TooLarge => format!("`{file}` is larger than setting `max_size`"),
        other => format!("`{file}` {other}"),
    };
    let error = Error::new(kind, message).with_hint(hint);
    match refused {
        Refused::Io(source) => error.with_source(source),
        _ => error,
    }
}

/// A path that leads out of the directory, by a symlink or by being absolute.
pub(crate) fn outside(directory: &Path) -> Error {
    let message = format!("the reference leads out of `{}`", directory.display());
    Error::new(Kind::Invalid, message)
        .with_hint("only files below the provider's `path` are read, wherever links point")
}

/// A loop of symlinks, which has no stable [`ErrorKind`] yet.
#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_kind() {
        let io = |kind: ErrorKind| Refused::Io(kind.into());
        for (reason, kind) in [
            (io(ErrorKind::NotFound), Kind::NotFound),
            (io(ErrorKind::NotADirectory), Kind::NotFound),
            (io(ErrorKind::PermissionDenied), Kind::Denied),
            (io(ErrorKind::ReadOnlyFilesystem), Kind::Denied),
            (io(ErrorKind::InvalidFilename), Kind::Invalid),
            (io(ErrorKind::IsADirectory), Kind::Invalid),
            (io(ErrorKind::StorageFull), Kind::Unavailable),
            (io(ErrorKind::Other), Kind::Unavailable),
            (Refused::NotRegular("a pipe"), Kind::Invalid),
            (Refused::TooLarge, Kind::Invalid),
            (Refused::WorldWritable, Kind::Misconfigured),
            (Refused::ForeignOwner(4711), Kind::Misconfigured),
        ] {
            assert_eq!(kind_of(&reason), kind, "{reason:?}");
            assert_eq!(refused(reason, Path::new("/run/secrets/x")).kind(), kind);
        }
    }
}
