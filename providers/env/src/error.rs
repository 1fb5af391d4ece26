//! What a `NAME_FILE` that cannot be read means for the chain.

use std::io::ErrorKind;
use std::path::Path;

use credchain_core::files::Refused;
use credchain_core::{Error, Kind};

use crate::provider::FILE_LIMIT;

/// The only place that decides.
pub(crate) fn kind_of(refused: &Refused) -> Kind {
    match refused {
        Refused::Io(error) => match error.kind() {
            ErrorKind::PermissionDenied => Kind::Denied,
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                Kind::Misconfigured
            }
            _ => Kind::Unavailable,
        },
        Refused::NotRegular(_) | Refused::WorldWritable | Refused::ForeignOwner(_) => {
            Kind::Misconfigured
        }
        Refused::TooLarge => Kind::Invalid,
    }
}

/// The whole error: which variable, what is wrong with its file, and what to do. `given` is what
/// the variable holds, where that may be shown if it looks like a path.
pub(crate) fn unreadable(refused: Refused, variable: &str, given: Option<&Path>) -> Error {
    let kind = kind_of(&refused);
    let what = match &refused {
        Refused::Io(error) => match error.kind() {
            ErrorKind::PermissionDenied => "that this user may not read".to_owned(),
            ErrorKind::NotFound | ErrorKind::NotADirectory => "that does not exist".to_owned(),
            _ => "that cannot be read".to_owned(),
        },
        Refused::NotRegular(what) => format!("that is {what}"),
        Refused::WorldWritable => "that every user may change".to_owned(),
        Refused::ForeignOwner(_) => "that belongs to another user".to_owned(),
        Refused::TooLarge => format!("of more than {} MiB", FILE_LIMIT >> 20),
    };
    let shown = given.and_then(showable);
    let hint = match (&refused, &shown) {
        (Refused::WorldWritable, Some(path)) => format!("`chmod o-w {path}`"),
        (Refused::ForeignOwner(_), Some(path)) => format!("`ls -l {path}` shows whose it is"),
        (Refused::Io(_), Some(path)) => format!("`{variable}` is set to `{path}`"),
        (_, Some(path)) => format!("`{variable}` names the regular file with the value: `{path}`"),
        (_, None) => format!("`{variable}` holds the absolute path of a file, not the value"),
    };
    let error = Error::new(kind, format!("`{variable}` names a file {what}")).with_hint(hint);
    match refused {
        Refused::Io(source) => error.with_source(source),
        _ => error,
    }
}

/// The path, if it looks like one.
// SECURITY: a person may have put the value itself where its file's path belongs.
fn showable(path: &Path) -> Option<String> {
    let looks_right = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    looks_right.then(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_kind() {
        let io = |kind: ErrorKind| Refused::Io(kind.into());
        for (refused, kind) in [
            (io(ErrorKind::PermissionDenied), Kind::Denied),
            (io(ErrorKind::NotFound), Kind::Misconfigured),
            (io(ErrorKind::NotADirectory), Kind::Misconfigured),
            (io(ErrorKind::InvalidFilename), Kind::Misconfigured),
            (io(ErrorKind::Other), Kind::Unavailable),
            (Refused::NotRegular("a pipe"), Kind::Misconfigured),
            (Refused::WorldWritable, Kind::Misconfigured),
            (Refused::ForeignOwner(4711), Kind::Misconfigured),
            (Refused::TooLarge, Kind::Invalid),
        ] {
            assert_eq!(kind_of(&refused), kind, "{refused:?}");
            let error = unreadable(refused, "X_FILE", Some("/run/x".as_ref()));
            assert_eq!(error.kind(), kind);
            assert!(
                error.hint().is_some_and(|hint| hint.contains("/run/x")),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_value_in_place_of_a_path_is_not_shown() {
        let error = unreadable(
            Refused::Io(ErrorKind::NotFound.into()),
            "X_FILE",
            Some("canary".as_ref()),
        );
        assert!(!format!("{error:?} {error}").contains("canary"));
        assert!(error.hint().unwrap().contains("X_FILE"));
    }
}
