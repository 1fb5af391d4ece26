//! The rules that are on for one purpose, and what leads to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::prefilter::{Keyword, Prefilter};
use super::spec::{Left, Matcher};
use super::value::Purpose;

/// Rules, ready to be searched for.
pub(super) struct Index {
    pub(super) purpose: Purpose,
    pub(super) matchers: Vec<Arc<Matcher>>,
    /// Finds the keywords.
    pub(super) prefilter: Prefilter,
    /// Which matchers each keyword leads to.
    pub(super) by_keyword: Vec<Vec<usize>>,
    /// The matchers that no keyword leads to.
    pub(super) free: Vec<usize>,
    /// How far before a keyword's end a match can begin, and one byte more for the boundary.
    pub(super) reach: usize,
}

impl Index {
    pub(super) fn new(purpose: Purpose, all: &[Arc<Matcher>]) -> Self {
        let on = |matcher: &&Arc<Matcher>| match purpose {
            Purpose::Redact => matcher.spec.redact,
            Purpose::Scan => matcher.spec.scan,
        };
        let matchers: Vec<_> = all.iter().filter(on).cloned().collect();
        let mut keywords: BTreeMap<Keyword, Vec<usize>> = BTreeMap::new();
        let mut free = Vec::new();
        for (index, matcher) in matchers.iter().enumerate() {
            let spec = &matcher.spec;
            if spec.keywords.is_empty() {
                free.push(index);
            }
            for word in &spec.keywords {
                let key = Keyword {
                    bytes: word.clone(),
                    ignore_case: spec.ignore_case,
                    left: if spec.lead == 0 { spec.left } else { Left::Any },
                    then: spec.then,
                };
                keywords.entry(key).or_default().push(index);
            }
        }
        let (words, by_keyword): (Vec<_>, Vec<_>) = keywords.into_iter().unzip();
        let prefilter = Prefilter::new(words);
        let lead = matchers.iter().map(|matcher| matcher.spec.lead).max();
        let reach = prefilter.longest() + lead.unwrap_or(0) + 1;
        Self {
            purpose,
            matchers,
            prefilter,
            by_keyword,
            free,
            reach,
        }
    }
}
