//! The built-in rules, read from their data file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::check::Check;
use super::spec::{Judge, Left, MaskFrom, Matcher, Right, Shape, Spec, Tier};

static RULES: &str = include_str!("../../data/rules.toml");

/// How many bytes of a secret may stay undecided, unless the rule says otherwise.
pub(super) const LIMIT: usize = 4096;

/// The matchers of all built-in rules: read once, shared by all.
pub(super) fn builtin() -> &'static [Arc<Matcher>] {
    static BUILTIN: LazyLock<Vec<Arc<Matcher>>> = LazyLock::new(|| {
        let file: File =
            toml::from_str(RULES).expect("the data file is part of the program; a test reads it");
        let fragments = file.fragments;
        file.rules
            .into_iter()
            .flat_map(|rule| rule.matchers(&fragments))
            .map(Arc::new)
            .collect()
    });
    &BUILTIN
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Pieces of expressions, by the name that stands for them.
    fragments: BTreeMap<String, String>,
    #[serde(rename = "rule")]
    rules: Vec<Rule>,
}

/// One rule. Its examples are for tests only, which read the file themselves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    id: String,
    description: String,
    source: String,
    #[serde(default = "provider")]
    tier: Tier,
    #[serde(default = "yes")]
    redact: bool,
    #[serde(default = "yes")]
    scan: bool,
    keywords: Vec<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    lead: usize,
    #[serde(default)]
    then: usize,
    #[serde(default)]
    left: Left,
    #[serde(default)]
    right: Right,
    #[serde(default = "limit")]
    limit: usize,
    #[serde(default)]
    check: Option<Check>,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    shape: Shape,
    regex: Expressions,
    #[serde(rename = "positive")]
    _positive: Vec<String>,
    #[serde(rename = "negative")]
    _negative: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expressions {
    One(String),
    Several(Vec<String>),
}

fn provider() -> Tier {
    Tier::Provider
}

fn yes() -> bool {
    true
}

fn limit() -> usize {
    LIMIT
}

impl Rule {
    fn matchers(self, fragments: &BTreeMap<String, String>) -> Vec<Matcher> {
        let expressions = match self.regex {
            Expressions::One(expression) => vec![expression],
            Expressions::Several(expressions) => expressions,
        };
        let keywords = self.keywords.into_iter();
        let spec = Arc::new(Spec {
            id: self.id.into(),
            description: self.description.into(),
            source: self.source.into(),
            tier: self.tier,
            redact: self.redact,
            scan: self.scan,
            keywords: keywords.map(|word| word.into_bytes().into()).collect(),
            ignore_case: self.ignore_case,
            lead: self.lead,
            then: self.then,
            left: self.left,
            right: self.right,
            mask: MaskFrom::Keyword,
            limit: self.limit,
            judge: Judge {
                check: self.check,
                entropy: self.entropy,
                shape: self.shape,
            },
        });
        expressions
            .into_iter()
            .map(|expression| {
                Matcher::new(Arc::clone(&spec), expand(&expression, fragments).into())
            })
            .collect()
    }
}

/// Puts the pieces in: `<<name>>` is the fragment of that name. Fragments come in the order of
/// their names, and one may hold those that come later.
fn expand(expression: &str, fragments: &BTreeMap<String, String>) -> String {
    fragments
        .iter()
        .fold(expression.to_owned(), |expression, (name, piece)| {
            expression.replace(&format!("<<{name}>>"), piece)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::spec::MAX_STREAM_LEAD;

    #[test]
    fn every_expression_compiles_and_its_names_are_unique_and_plain() {
        let mut seen = BTreeSet::new();
        let troubles: Vec<_> = builtin()
            .iter()
            .filter_map(|matcher| Some((&matcher.spec.id, matcher.trouble()?)))
            .collect();
        assert!(troubles.is_empty(), "{troubles:?}");
        for matcher in builtin() {
            let id = &matcher.spec.id;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(id.chars().all(plain), "{id}");
            seen.insert(Arc::as_ptr(&matcher.spec));
        }
        let names: BTreeSet<_> = builtin().iter().map(|matcher| &matcher.spec.id).collect();
        assert_eq!(names.len(), seen.len(), "two rules share a name");
    }

    #[test]
    fn every_rule_has_keywords_and_says_where_its_format_is_documented() {
        for matcher in builtin() {
            let spec = &matcher.spec;
            assert!(!spec.keywords.is_empty(), "{}", spec.id);
            assert!(
                spec.keywords.iter().all(|word| word.len() >= 2),
                "{}",
                spec.id
            );
            assert!(spec.source.starts_with("https://"), "{}", spec.id);
            assert!(!spec.description.is_empty(), "{}", spec.id);
            assert!(spec.redact || spec.scan, "{} is never on", spec.id);
        }
    }

    #[test]
    fn no_keyword_of_a_rule_begins_with_another() {
        // The place of the longer one would wait for the shorter one's, and its label with it.
        for matcher in builtin() {
            let words = &matcher.spec.keywords;
            for (at, word) in words.iter().enumerate() {
                let longer = words.iter().enumerate().filter(|(other, _)| *other != at);
                let mut longer = longer.filter(|(_, other)| other.starts_with(word));
                assert!(longer.next().is_none(), "{}", matcher.spec.id);
            }
        }
    }

    #[test]
    fn at_least_sixty_formats_of_providers_are_known() {
        let ids: BTreeSet<_> = builtin()
            .iter()
            .filter(|matcher| matcher.spec.tier == Tier::Provider)
            .map(|matcher| &matcher.spec.id)
            .collect();
        assert!(ids.len() >= 60, "{}", ids.len());
    }

    #[test]
    fn what_is_masked_in_a_stream_begins_within_the_match() {
        // A stream has released what stands before a keyword: a secret may have little of itself there.
        for matcher in builtin().iter().filter(|matcher| matcher.spec.redact) {
            assert!(matcher.spec.lead <= MAX_STREAM_LEAD, "{}", matcher.spec.id);
        }
    }
}
