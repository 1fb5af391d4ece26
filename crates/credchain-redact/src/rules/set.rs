//! A set of rules.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use super::custom::Rule;
use super::data;
use super::error::{RuleError, RuleErrorKind};
use super::index::Index;
use super::scan::{Finding, scan};
use super::spec::{Matcher, Spec};
use super::stream::PatternFinder;
use super::value::Purpose;

/// A set of pattern rules: for [`Rules::find`] in whole texts, and for a redactor's streams.
///
/// Clones are cheap and share what is compiled, which happens when a rule's keyword is met for the
/// first time.
#[derive(Clone)]
pub struct Rules {
    matchers: Vec<Arc<Matcher>>,
    /// One for scans and one for streams.
    indexes: Arc<[OnceLock<Arc<Index>>; 2]>,
}

/// What there is to know about a rule.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RuleInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it finds.
    pub description: &'a str,
    /// Where the format is documented; empty for a rule of one's own.
    pub source: &'a str,
    /// Whether streams are searched for it.
    pub redacts: bool,
    /// Whether scans are.
    pub scans: bool,
}

impl Rules {
    /// The built-in rules.
    pub fn builtin() -> Self {
        Self::of(data::builtin().to_vec())
    }

    /// No rules at all, to add one's own to.
    pub fn none() -> Self {
        Self::of(Vec::new())
    }

    fn of(matchers: Vec<Arc<Matcher>>) -> Self {
        Self {
            matchers,
            indexes: Arc::default(),
        }
    }

    /// Adds a rule, for streams and for scans.
    ///
    /// # Errors
    /// When the name is taken or the expression is not acceptable; [`RuleErrorKind`] says why.
    pub fn with(mut self, rule: Rule) -> Result<Self, RuleError> {
        let matcher = rule.matcher()?;
        let id = &matcher.spec.id;
        if self.matchers.iter().any(|known| known.spec.id == *id) {
            return Err(RuleError::new(Arc::clone(id), RuleErrorKind::Duplicate));
        }
        self.matchers.push(Arc::new(matcher));
        Ok(Self::of(self.matchers))
    }

    /// Keeps the rules with these names, and switches each on for streams and for scans: whoever
    /// names a rule wants it. A few stay off for streams, where most of the token would be out
    /// before it is recognised.
    ///
    /// # Errors
    /// When no rule has one of the names.
    pub fn only<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Result<Self, RuleError> {
        let wanted: BTreeSet<&str> = names.into_iter().collect();
        let known: BTreeSet<&str> = self.matchers.iter().map(|rule| &*rule.spec.id).collect();
        if let Some(unknown) = wanted.difference(&known).next() {
            return Err(RuleError::new(*unknown, RuleErrorKind::Unknown));
        }
        let kept = self
            .matchers
            .iter()
            .filter(|rule| wanted.contains(&*rule.spec.id));
        let kept = kept.map(|rule| {
            if rule.spec.redact && rule.spec.scan {
                return Arc::clone(rule);
            }
            Arc::new(rule.switched_on())
        });
        Ok(Self::of(kept.collect()))
    }

    /// All rules, each once, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = RuleInfo<'_>> {
        let mut last: Option<&Arc<str>> = None;
        self.matchers.iter().filter_map(move |rule| {
            let again = last == Some(&rule.spec.id);
            last = Some(&rule.spec.id);
            (!again).then(|| RuleInfo::of(&rule.spec))
        })
    }

    /// What the rules find in a whole text, ordered by position. No two findings share a byte of
    /// their secrets: of several rules that find the same, the most specific one reports it.
    pub fn find(&self, text: &[u8]) -> Vec<Finding> {
        scan(self.index(Purpose::Scan), text)
    }

    /// The finder for one stream.
    pub(crate) fn finder(&self) -> PatternFinder {
        PatternFinder::new(self.index(Purpose::Redact))
    }

    fn index(&self, purpose: Purpose) -> Arc<Index> {
        let cell = &self.indexes[usize::from(purpose == Purpose::Redact)];
        Arc::clone(cell.get_or_init(|| Arc::new(Index::new(purpose, &self.matchers))))
    }
}

impl<'a> RuleInfo<'a> {
    fn of(spec: &'a Spec) -> Self {
        Self {
            name: &spec.id,
            description: &spec.description,
            source: &spec.source,
            redacts: spec.redact,
            scans: spec.scan,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|rule| rule.name))
            .finish()
    }
}
