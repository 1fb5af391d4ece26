//! What a file that cannot be read or written means for the chain.

use std::io::ErrorKind;
use std::path::Path;

use credchain_core::files::Refused;
use credchain_core::{Error, Kind};

/// Largest file that is read.
pub(crate) const FILE_LIMIT: u64 = 16 << 20;

/// The only place that decides. A file that is missing is a miss, and handled before.
pub(crate) fn kind_of(refused: &Refused) -> Kind {
    match refused {
        Refused::Io(error) => match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename => Kind::Misconfigured,
            _ => Kind::Unavailable,
        },
        Refused::NotRegular(_) | Refused::WorldWritable | Refused::ForeignOwner(_) => {
            Kind::Misconfigured
        }
        Refused::TooLarge => Kind::Invalid,
    }
}

/// The whole error: which file, what is wrong with it, and what to do.
pub(crate) fn refused(refused: Refused, path: &Path) -> Error {
    let kind = kind_of(&refused);
    let file = path.display();
    let hint = match &refused {
        Refused::Io(_) => format!("`ls -l {file}` shows what is there"),
        Refused::NotRegular(_) => "setting `files` names regular files".to_owned(),
        Refused::WorldWritable => format!("`chmod o-w {file}`"),
        Refused::ForeignOwner(_) => format!("`ls -l {file}` shows whose it is"),
        Refused::TooLarge => {
            "a `.env` file holds short values; large ones fit in files of their own".to_owned()
        }
    };
    let message = match &refused {
        Refused::TooLarge => format!("`{file}` has more than {} MiB", FILE_LIMIT >> 20),
        other => format!("`{file}` {other}"),
    };
    let error = Error::new(kind, message).with_hint(hint);
    match refused {
        Refused::Io(source) => error.with_source(source),
        _ => error,
    }
}

/// A file of a repository that is in truth elsewhere.
pub(crate) fn leads_out(path: &Path) -> Error {
    let message = format!("`{}` is a link out of its repository", path.display());
    Error::new(Kind::Untrusted, message).with_hint(
        "if it is yours, name its target in `files` of `[providers.dotenv]`, then `resolve trust`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_kind() {
        let io = |kind: ErrorKind| Refused::Io(kind.into());
        for (reason, kind) in [
            (io(ErrorKind::PermissionDenied), Kind::Denied),
            (io(ErrorKind::ReadOnlyFilesystem), Kind::Denied),
            (io(ErrorKind::NotFound), Kind::Misconfigured),
            (io(ErrorKind::NotADirectory), Kind::Misconfigured),
            (io(ErrorKind::StorageFull), Kind::Unavailable),
            (io(ErrorKind::Other), Kind::Unavailable),
            (Refused::NotRegular("a pipe"), Kind::Misconfigured),
            (Refused::WorldWritable, Kind::Misconfigured),
            (Refused::ForeignOwner(4711), Kind::Misconfigured),
            (Refused::TooLarge, Kind::Invalid),
        ] {
            assert_eq!(kind_of(&reason), kind, "{reason:?}");
            let error = refused(reason, Path::new("/p/.env"));
            assert_eq!(error.kind(), kind);
            assert!(
                error.message().contains("`/p/.env`") && error.hint().is_some(),
                "{error:?}"
            );
        }
    }
}
