//! The rules over a whole text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::attempt::Text;
use super::engine::{Engine, Piece};
use super::index::Index;

/// Something that looks like a secret. It holds where, and never what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The secret's bytes: a token with its prefix, a password without its key.
    pub secret: Range<usize>,
    /// The match from the beginning of the label to the end of the secret.
    pub whole: Range<usize>,
}

/// Searches a whole text.
pub(super) fn scan(index: Arc<Index>, text: &[u8]) -> Vec<Finding> {
    let mut engine = Engine::new(index);
    let piece = Piece {
        text: Text {
            bytes: text,
            before: None,
            end: true,
        },
        at: 0,
        fresh: 0,
    };
    // A text in memory has no position that `usize` cannot hold.
    let near = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let mut all = Vec::new();
    engine.push(&piece, &mut |found| {
        let secret = near(found.secret.start)..near(found.secret.end);
        all.push((found.matcher, near(found.start).min(secret.start), secret));
    });
    let mut ranked: Vec<_> = all
        .into_iter()
        .map(|(matcher, start, secret)| (engine.matcher(matcher), matcher, start, secret))
        .collect();
    ranked.sort_by_key(|(rule, matcher, _, secret)| (rule.spec.tier, secret.start, *matcher));
    let mut taken: BTreeMap<usize, Finding> = BTreeMap::new();
    for (rule, _, start, secret) in ranked {
        let before = taken.range(..secret.end).next_back();
        if before.is_none_or(|(_, other)| other.secret.end <= secret.start) {
            let whole = start..secret.end;
            let rule = Arc::clone(&rule.spec.id);
            taken.insert(
                secret.start,
                Finding {
                    rule,
                    secret,
                    whole,
                },
            );
        }
    }
    taken.into_values().collect()
}
