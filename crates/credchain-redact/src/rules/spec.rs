//! What a rule says, apart from its compiled expression.

use std::sync::{Arc, OnceLock};

use super::check::Check;
use super::error::RuleErrorKind;
use super::program::Program;

/// How much of a token a stream may have let out before its keyword comes.
pub(super) const MAX_STREAM_LEAD: usize = 14;

/// A rule as the engine needs it. A rule with several expressions has one matcher for each.
pub(super) struct Matcher {
    pub(super) spec: Arc<Spec>,
    expression: Box<str>,
    program: OnceLock<Option<Program>>,
}

/// What all expressions of a rule share.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) id: Arc<str>,
    pub(super) description: Box<str>,
    pub(super) source: Box<str>,
    pub(super) tier: Tier,
    /// Whether it is on for streams.
    pub(super) redact: bool,
    /// Whether it is on for scans.
    pub(super) scan: bool,
    /// One of these stands at the beginning of each match; none for rules of users.
    pub(super) keywords: Vec<Box<[u8]>>,
    pub(super) ignore_case: bool,
    /// How many bytes of the match stand before the keyword.
    pub(super) lead: usize,
    /// How many letters, digits, `_` and `-` follow the keyword at least.
    pub(super) then: usize,
    pub(super) left: Left,
    pub(super) right: Right,
    pub(super) mask: MaskFrom,
    /// How many bytes of a secret may stay undecided.
    pub(super) limit: usize,
    pub(super) judge: Judge,
}

/// Which of two findings about the same bytes is the better one; the first is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tier {
    /// A user's own.
    Custom,
    /// The format of one provider.
    Provider,
    /// A known place, such as a header or a URL.
    Place,
    /// A name that sounds like a secret.
    Generic,
}

/// What may stand before a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Left {
    /// Anything but a letter, a digit or an underscore.
    #[default]
    Word,
    /// Anything but a letter or a digit, or a small letter before a capital one.
    Segment,
    /// A digit.
    Digit,
    /// Anything.
    Any,
}

impl Left {
    pub(super) fn allows(self, before: Option<u8>, first: u8) -> bool {
        let Some(before) = before else {
            return self != Self::Digit;
        };
        match self {
            Self::Word => !before.is_ascii_alphanumeric() && before != b'_',
            Self::Segment => {
                !before.is_ascii_alphanumeric()
                    || (before.is_ascii_lowercase() && first.is_ascii_uppercase())
            }
            Self::Digit => before.is_ascii_digit(),
            Self::Any => true,
        }
    }
}

/// What may stand after a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Right {
    /// Anything but a letter, a digit or an underscore.
    #[default]
    Word,
    /// As `word`, and no hyphen.
    Token,
    /// Anything but what base64 is made of.
    Base64,
    /// White space.
    Line,
    /// Anything.
    Any,
}

impl Right {
    pub(super) fn allows(self, after: Option<u8>) -> bool {
        let Some(after) = after else { return true };
        let word = after.is_ascii_alphanumeric() || after == b'_';
        match self {
            Self::Word => !word,
            Self::Token => !word && after != b'-',
            Self::Base64 => !after.is_ascii_alphanumeric() && !b"+/=".contains(&after),
            Self::Line => after.is_ascii_whitespace(),
            Self::Any => true,
        }
    }
}

/// Where the mask of a match begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MaskFrom {
    /// After the keyword, which says whose token it is; and where the secret begins, if later.
    #[default]
    Keyword,
    /// Where the secret begins.
    Secret,
    /// Where the match begins: the label is hidden too.
    Match,
}

/// What a secret has to be, besides matching.
#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    /// Its checksum or structure.
    pub(super) check: Option<Check>,
    /// The least entropy, in bits a byte.
    pub(super) entropy: f64,
    /// What kind of value a generic rule is after.
    pub(super) shape: Shape,
}

/// How much a value must look like a secret, when only the name before it says that it is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// Whatever is no placeholder.
    #[default]
    Any,
    /// What people choose.
    Password,
    /// What machines make.
    Token,
    /// A password before a host, in a URL.
    Url,
}

impl Matcher {
    pub(super) fn new(spec: Arc<Spec>, expression: Box<str>) -> Self {
        Self {
            spec,
            expression,
            program: OnceLock::new(),
        }
    }

    /// Compiles the expression now, to see whether it can be.
    pub(super) fn compiled(spec: Arc<Spec>, expression: Box<str>) -> Result<Self, RuleErrorKind> {
        let program = Program::new(&expression)?;
        let this = Self::new(spec, expression);
        // The cell is new, so nobody else can have filled it.
        let _ = this.program.set(Some(program));
        Ok(this)
    }

    /// The same rule, on for everything.
    pub(super) fn switched_on(&self) -> Self {
        let spec = Spec {
            redact: self.spec.lead <= MAX_STREAM_LEAD,
            scan: true,
            ..(*self.spec).clone()
        };
        Self::new(Arc::new(spec), self.expression.clone())
    }

    /// Why the expression does not compile, if it does not.
    #[cfg(test)]
    pub(super) fn trouble(&self) -> Option<RuleErrorKind> {
        Program::new(&self.expression).err()
    }

    /// The compiled expression. Most rules never meet their keyword, so this happens on first use;
    /// a test compiles every built-in one.
    pub(super) fn program(&self) -> Option<&Program> {
        self.program
            .get_or_init(|| Program::new(&self.expression).ok())
            .as_ref()
    }
}
