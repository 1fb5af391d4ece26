//! Why a rule is refused.

use std::fmt;
use std::sync::Arc;

/// A rule that was refused, and why. It never holds the expression: that may hold a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    rule: Arc<str>,
    kind: RuleErrorKind,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleErrorKind {
    /// The name has other characters than lower-case letters, digits and hyphens.
    Name,
    /// Another rule has the name.
    Duplicate,
    /// No rule has the name.
    Unknown,
    /// The expression cannot be read; where, in bytes from its beginning.
    Syntax {
        /// The offset of the mistake.
        at: usize,
    },
    /// The expression, or its group, matches the empty string or nothing at all.
    Empty,
    /// What stands before the group can be longer than a label may be.
    Label,
    /// What stands after the group has no fixed length.
    After,
    /// The expression needs more memory than a rule may have.
    TooLarge,
}

impl RuleError {
    pub(super) fn new(rule: impl Into<Arc<str>>, kind: RuleErrorKind) -> Self {
        Self {
            rule: rule.into(),
            kind,
        }
    }

    /// The name of the rule.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What is wrong.
    pub fn kind(&self) -> RuleErrorKind {
        self.kind
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        self.kind.words().1
    }
}

impl RuleErrorKind {
    /// The message and the hint.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Name => (
                "its name is not made of lower-case letters, digits and hyphens",
                "name it like `acme-token`",
            ),
            Self::Duplicate => (
                "another rule has this name",
                "choose a name that no built-in rule has",
            ),
            Self::Unknown => (
                "there is no such rule",
                "the names are in the list of built-in rules",
            ),
            Self::Syntax { .. } => (
                "its expression cannot be read",
                "write it in the syntax of Rust's `regex`, on bytes: no look-around, no back-references, no \\p",
            ),
            Self::Empty => (
                "it matches the empty string, or nothing at all",
                "demand at least one character of the secret, such as `+` instead of `*`",
            ),
            Self::Label => (
                "what stands before the group may be too long",
                "bound it, such as `.{0,40}` instead of `.*`; 256 bytes are the limit",
            ),
            Self::After => (
                "what stands after the group has no fixed length",
                "end the expression with a boundary or with a fixed number of characters",
            ),
            Self::TooLarge => (
                "its expression needs too much memory",
                "use smaller bounds in its repetitions, or none",
            ),
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule `{}`: {}",
            self.rule.escape_debug(),
            self.kind.words().0
        )?;
        if let RuleErrorKind::Syntax { at } = self.kind {
            write!(f, " (at byte {at})")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleError {}
