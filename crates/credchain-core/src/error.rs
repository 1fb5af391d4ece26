//! What went wrong, named after what the caller does next.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::printable::printed;
use crate::{LinkName, Name};

/// A result with credchain's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What a failure means for the caller. The chain's reaction to each is
/// [`Reactions`](crate::Reactions); the exit code of the command is [`Kind::exit_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The backend answered: no such secret, field or version.
    NotFound,
    /// This link cannot address the credential: no mapping, not on this system, being bootstrapped.
    NotApplicable,
    /// The backend is not there at all and was not set up explicitly: no `.env`, no D-Bus.
    Absent,
    /// The backend could not answer: timeout, refused connection, 5xx, sealed.
    Unavailable,
    /// The backend asked for fewer requests: 429.
    Throttled,
    /// The backend knows who asks and refuses: 403.
    Denied,
    /// The backend does not know who asks: 401, expired login, locked store.
    Unauthenticated,
    /// The settings are wrong.
    Misconfigured,
    /// A value or name cannot be decoded or accepted.
    Invalid,
    /// The configuration asks for something that needs the user's trust first.
    Untrusted,
    /// The backend does not offer this operation.
    Unsupported,
    /// A compare-and-set was lost: somebody else wrote first.
    Conflict,
    /// A defect in credchain or in a provider.
    Internal,
}

impl Kind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::NotFound,
        Self::NotApplicable,
        Self::Absent,
        Self::Unavailable,
        Self::Throttled,
        Self::Denied,
        Self::Unauthenticated,
        Self::Misconfigured,
        Self::Invalid,
        Self::Untrusted,
        Self::Unsupported,
        Self::Conflict,
        Self::Internal,
    ];

    /// The stable token used in JSON, logs and the plugin protocol, such as `not_found`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotApplicable => "not_applicable",
            Self::Absent => "absent",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Misconfigured => "misconfigured",
            Self::Invalid => "invalid",
            Self::Untrusted => "untrusted",
            Self::Unsupported => "unsupported",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
        }
    }

    /// The kind with this token.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == token)
    }

    /// The exit code of a command that failed with this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::NotApplicable | Self::Absent => 3,
            Self::Denied | Self::Unauthenticated => 4,
            Self::Unavailable | Self::Throttled => 5,
            Self::Misconfigured | Self::Invalid => 6,
            Self::Untrusted => 7,
            Self::Unsupported | Self::Conflict | Self::Internal => 1,
        }
    }

    /// Whether the value is simply not there, as opposed to something having gone wrong.
    pub const fn is_miss(self) -> bool {
        matches!(self, Self::NotFound | Self::NotApplicable | Self::Absent)
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Throttled)
    }

    /// Of several failures in one command, the kind that decides the exit code: the first of
    /// 7, 6, 4, 5, 3, then the rest.
    pub fn most_pressing(kinds: impl IntoIterator<Item = Self>) -> Option<Self> {
        const ORDER: [u8; 6] = [7, 6, 4, 5, 3, 1];
        kinds
            .into_iter()
            .min_by_key(|kind| ORDER.iter().position(|code| *code == kind.exit_code()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotFound => "not found",
            Self::NotApplicable => "not applicable",
            other => other.as_str(),
        })
    }
}

/// A failure: its [`Kind`], the credential and link it concerns, one line of text, and apart from
/// that a hint for people. It never holds a value, a response body or a child's output.
///
/// ```
/// use credchain_core::{Error, Kind, LinkName};
/// let error = Error::new(Kind::Denied, "read refused by policy")
///     .at(LinkName::literal("vault"))
///     .with_hint("`vault token capabilities secret/data/app` shows what the token may do");
/// assert_eq!(error.to_string(), "denied at `vault`: read refused by policy");
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    credential: Option<Name>,
    link: Option<LinkName>,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// A failure with one line of text: lower case, no final full stop, no secret.
    ///
    /// Names of files may be in it, whoever chose them: what a terminal would obey is written out.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            credential: None,
            link: None,
            message: printed(message.into()),
            hint: None,
            retry_after: None,
            source: None,
        }))
    }

    /// The miss that almost every provider reports.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "no such secret")
    }

    /// An operation that a provider does not offer.
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(
            Kind::Unsupported,
            format!("{operation} is not offered here"),
        )
    }

    /// Adds the credential, unless one is named already.
    pub fn for_credential(mut self, name: &Name) -> Self {
        self.0.credential.get_or_insert_with(|| name.clone());
        self
    }

    /// Adds the link, unless one is named already.
    pub fn at(mut self, link: LinkName) -> Self {
        self.0.link.get_or_insert(link);
        self
    }

    /// Sets the next step for the person who reads this.
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(printed(hint.into()));
        self
    }

    /// Sets how long the backend asked to be left alone.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Keeps the cause. Its own text must be free of secrets as well.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// What the failure means.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The credential concerned.
    pub fn credential(&self) -> Option<&Name> {
        self.0.credential.as_ref()
    }

    /// The link concerned.
    pub fn link(&self) -> Option<&LinkName> {
        self.0.link.as_ref()
    }

    /// The line of text alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long the backend asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        match (&self.0.credential, &self.0.link) {
            (Some(name), Some(link)) => write!(f, ": `{name}` at `{link}`")?,
            (Some(name), None) => write!(f, ": `{name}`")?,
            (None, Some(link)) => write!(f, " at `{link}`")?,
            (None, None) => {}
        }
        f.write_str(": ")?;
        // SECURITY: a message may quote a path or a setting; what reaches a terminal or a log
        // must not carry its escapes.
        self.0.message.chars().try_for_each(|c| match c {
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => fmt::Write::write_char(f, c),
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("credential", &self.0.credential)
            .field("link", &self.0.link)
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_exit_codes_cover_every_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_token(kind.as_str()), Some(kind));
            assert!(matches!(kind.exit_code(), 1 | 3..=7));
        }
        assert_eq!(Kind::from_token("surprise"), None);
    }

    #[test]
    fn the_most_pressing_kind_follows_the_published_order() {
        let order = [
            Kind::Untrusted,
            Kind::Invalid,
            Kind::Denied,
            Kind::Throttled,
            Kind::NotFound,
        ];
        for (at, kind) in order.into_iter().enumerate() {
            let rest = order[at..].iter().rev().copied();
            assert_eq!(Kind::most_pressing(rest), Some(kind));
        }
        assert_eq!(
            Kind::most_pressing([Kind::Internal, Kind::NotFound]),
            Some(Kind::NotFound)
        );
        assert_eq!(Kind::most_pressing([]), None);
    }

    #[test]
    fn terminal_escapes_in_messages_are_shown_not_sent() {
        let error = Error::new(Kind::Invalid, "path \u{1b}[31mred\n");
        assert_eq!(error.to_string(), "invalid: path \\u{1b}[31mred\\n");
    }

    #[test]
    fn the_first_link_and_credential_stay() {
        let error = Error::not_found()
            .at(LinkName::literal("env"))
            .at(LinkName::literal("vault"));
        assert_eq!(error.link().unwrap().as_str(), "env");
    }
}
