//! Rules of users.

use std::fmt;
use std::sync::Arc;

use super::data::LIMIT;
use super::error::{RuleError, RuleErrorKind};
use super::spec::{Judge, Left, MaskFrom, Matcher, Right, Spec, Tier};

/// A rule of one's own: a name and an expression.
///
/// If the expression has one group, on its outermost level, the group is the secret and the rest its
/// label, which matches as much as it can. With other groups, or none, the whole match is the secret.
///
/// ```
/// use credchain_redact::rules::{Rule, Rules};
/// let rule = Rule::new("acme-key", r"\bacme_([0-9a-f]{8,})\b");
/// let rules = Rules::builtin().with(rule)?;
/// let text = format!("used acme_{}", "0a1b2c3d".repeat(4));
/// assert_eq!(&text[rules.find(text.as_bytes())[0].secret.clone()], "0a1b2c3d".repeat(4));
/// # Ok::<_, credchain_redact::rules::RuleError>(())
/// ```
#[derive(Clone)]
pub struct Rule {
    name: String,
    expression: String,
    keep_label: bool,
}

impl Rule {
    /// A rule with a name of lower-case letters, digits and hyphens, and an expression in the
    /// syntax of the `regex` crate, on bytes.
    pub fn new(name: impl Into<String>, expression: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expression: expression.into(),
            keep_label: true,
        }
    }

    /// Whether a stream shows what stands before the group. It does, unless this says otherwise.
    pub fn keep_label(mut self, keep: bool) -> Self {
        self.keep_label = keep;
        self
    }

    /// Compiles the rule.
    pub(super) fn matcher(self) -> Result<Matcher, RuleError> {
        let refused = |kind| RuleError::new(self.name.as_str(), kind);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err(refused(RuleErrorKind::Name));
        }
        let spec = Spec {
            id: self.name.as_str().into(),
            description: "a rule of your own".into(),
            source: "".into(),
            tier: Tier::Custom,
            redact: true,
            scan: true,
            keywords: Vec::new(),
            ignore_case: false,
            lead: 0,
            then: 0,
            left: Left::Any,
            right: Right::Any,
            mask: if self.keep_label {
                MaskFrom::Secret
            } else {
                MaskFrom::Match
            },
            limit: LIMIT,
            judge: Judge::default(),
        };
        Matcher::compiled(Arc::new(spec), self.expression.as_str().into()).map_err(refused)
    }
}

impl fmt::Debug for Rule {
    /// Without the expression, which may hold a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("name", &self.name)
            .field("keep_label", &self.keep_label)
            .finish_non_exhaustive()
    }
}
