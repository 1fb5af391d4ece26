//! Everything that can end a command, with its words and its exit code.

use std::io;

use credchain::config::Diagnostics;
use credchain::{Error, Kind};

/// The exit code of a command that did what it was asked, and found something.
pub(crate) const FINDINGS: u8 = 8;

/// Why a command failed.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// One or more credentials could not be resolved, written or found.
    Credentials(Vec<Error>),
    /// The configuration is wrong.
    Config(Diagnostics),
    /// The command line asks for something that makes no sense.
    Usage {
        /// One line.
        message: String,
        /// The next step.
        hint: Option<String>,
    },
    /// A file or stream of the user's cannot be read or written.
    Io {
        /// What was being done, with the path.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The user pressed Ctrl-C at a prompt.
    Interrupted,
}

impl Failure {
    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// A command line that makes no sense, and what would.
    pub(crate) fn usage_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// A file or stream that cannot be read or written.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }

    /// The code the command ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Credentials(errors) => self::kind(errors).exit_code(),
            Self::Config(_) => Kind::Misconfigured.exit_code(),
            Self::Usage { .. } => 2,
            Self::Io { .. } => 1,
            Self::Interrupted => 130,
        }
    }

    /// Whether it is only that nobody reads our output any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The kind that decides among several.
pub(crate) fn kind(errors: &[Error]) -> Kind {
    Kind::most_pressing(errors.iter().map(Error::kind)).unwrap_or(Kind::Internal)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Credentials(vec![error])
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Config(diagnostics)
    }
}

impl From<credchain::OpenError> for Failure {
    fn from(error: credchain::OpenError) -> Self {
        match error {
            credchain::OpenError::Config(diagnostics) => Self::Config(diagnostics),
            credchain::OpenError::Error(error) => error.into(),
        }
    }
}
