//! Why a scan could not be made at all.

use std::fmt;

/// A scan that could not be made. What merely could not be read is in the report instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    about: String,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A path to scan that is not there.
    NoSuchPath,
    /// A pattern of allowed paths that is none.
    Pattern,
    /// A baseline that cannot be understood.
    Baseline,
    /// git is not installed, or cannot be started.
    GitMissing,
    /// The directory is in no repository that git would use.
    NotARepository,
    /// git failed in the middle of its work.
    GitFailed,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, about: impl Into<String>) -> Self {
        Self {
            kind,
            about: about.into(),
        }
    }

    /// What went wrong, to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            ErrorKind::NoSuchPath => "name files or folders that exist",
            ErrorKind::Pattern => "patterns are written as in `.gitignore`: `tests/**`, `*.snap`",
            ErrorKind::Baseline => "write it anew with `--write-baseline`",
            ErrorKind::GitMissing => "install git, or scan files instead",
            ErrorKind::NotARepository => {
                "`git status` in that directory says why; files can be scanned without git"
            }
            ErrorKind::GitFailed => "`git fsck` says what is damaged",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = &self.about;
        match self.kind {
            ErrorKind::NoSuchPath => write!(f, "there is no `{about}`"),
            ErrorKind::Pattern => write!(f, "`{about}` is no pattern of paths"),
            ErrorKind::Baseline => write!(f, "the baseline cannot be understood: {about}"),
            ErrorKind::GitMissing => write!(f, "git cannot be started: {about}"),
            ErrorKind::NotARepository => write!(f, "`{about}` is in no git repository"),
            ErrorKind::GitFailed => write!(f, "git failed: {about}"),
        }
    }
}

impl std::error::Error for Error {}
