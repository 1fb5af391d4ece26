//! What was done, and how it ended.

use std::borrow::Cow;
use std::fmt;

/// What somebody did with a credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// A value was asked for.
    Resolve,
    /// A value was stored.
    Set,
    /// A value was removed.
    Delete,
    /// The names of what is stored were asked for.
    List,
    /// Values were printed for another program.
    Export,
    /// Values were given to a program that was started.
    Exec,
    /// Somebody logged in.
    Login,
    /// Somebody logged out.
    Logout,
    /// An access token was asked for.
    TokenAcquire,
    /// An access token was renewed.
    TokenRefresh,
    /// A token was withdrawn.
    TokenRevoke,
    /// A step of a rotation was taken.
    Rotate(Step),
    /// A configuration was trusted.
    Trust,
    /// Values were served from memory; see [`Event::cache_hits`](crate::Event::cache_hits).
    CacheHit,
}

/// The names of all actions, those of the log itself last; `rotate` and `audit` stand before a
/// dot and a step. For whoever offers them to choose from.
pub const ACTIONS: [&str; 19] = [
    "resolve",
    "set",
    "delete",
    "list",
    "export",
    "exec",
    "login",
    "logout",
    "token",
    "token.acquire",
    "token.refresh",
    "token.revoke",
    "rotate",
    "trust",
    "cache.hit",
    "audit",
    "audit.open",
    "audit.rotate",
    "audit.gap",
];

impl Action {
    /// The step of a rotation with this name.
    pub fn rotate(step: &str) -> Self {
        Self::Rotate(Step::new(step))
    }

    /// The name in the log, such as `token.refresh`.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Resolve => "resolve",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Export => "export",
            Self::Exec => "exec",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::TokenAcquire => "token.acquire",
            Self::TokenRefresh => "token.refresh",
            Self::TokenRevoke => "token.revoke",
            Self::Rotate(step) => return Cow::Owned(format!("rotate.{}", step.0)),
            Self::Trust => "trust",
            Self::CacheHit => "cache.hit",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// A step of a rotation, as it stands in the name of an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step(String);

impl Step {
    /// Small letters, digits and `_`, at most 32 of them; anything else becomes `_`.
    pub fn new(name: &str) -> Self {
        let fitting = |c: char| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '_',
        };
        Self(name.chars().take(32).map(fitting).collect())
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    #[default]
    Success,
    /// It was not done.
    Failure,
    /// It was refused.
    Denied,
    /// It may have been done: what is recorded before it is known.
    Unknown,
}

impl Outcome {
    /// Every outcome, for tables and choices.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Denied, Self::Unknown];

    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
        }
    }

    /// The outcome with this name.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == token)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_word_whatever_it_was() {
        assert_eq!(Action::rotate("promote").name(), "rotate.promote");
        assert_eq!(Action::rotate("A b\",\n").name(), "rotate.a_b___");
        assert_eq!(Action::rotate(&"x".repeat(99)).name().len(), 7 + 32);
    }

    #[test]
    fn an_outcome_is_found_by_its_name() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_token(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::from_token("luck"), None);
    }
}
