//! Whether a rule matches at one place.

use std::ops::Range;

use regex_automata::util::primitives::StateID;

use super::memo::Memo;
use super::program::{MAX_LABEL, Program, Run};
use super::spec::{MaskFrom, Spec};
use super::value::{Candidate, Purpose, is_secret};

/// The text that is at hand. Positions are relative to it.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// The byte before the text; none where the stream begins.
    pub(super) before: Option<u8>,
    /// Whether nothing comes after it.
    pub(super) end: bool,
}

impl Text<'_> {
    fn byte_before(&self, at: usize) -> Option<u8> {
        match at.checked_sub(1) {
            Some(before) => self.bytes.get(before).copied(),
            None => self.before,
        }
    }
}

/// A place where a rule may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the match would begin.
    pub(super) start: usize,
    /// The byte after the keyword, or the beginning for rules without.
    pub(super) keyword_end: usize,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// No match, whatever follows.
    No,
    /// More text is needed, and what begins here must not be released before.
    More { hold: usize },
    /// A match.
    Match { secret: Range<usize>, mask: usize },
    /// A match whose end is not in sight, longer than what may be held: known up to here.
    Open {
        secret: Range<usize>,
        mask: usize,
        tail: Open,
    },
}

/// A match that goes on. Its positions are relative to the text that it is continued in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    state: StateID,
    /// The first byte that was not read.
    pub(super) at: usize,
    /// Where the longest match ended.
    pub(super) matched: usize,
}

/// A rule, to be tried.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) spec: &'a Spec,
    pub(super) program: &'a Program,
    pub(super) purpose: Purpose,
}

/// What is known of places that were tried before, and where in the stream the text begins.
pub(super) struct Known<'a> {
    pub(super) memo: &'a mut Memo,
    pub(super) at: u64,
}

impl Attempt<'_> {
    /// Tries the rule at a place.
    pub(super) fn at(self, text: Text<'_>, place: Place, known: Option<Known<'_>>) -> Verdict {
        let (spec, program) = (self.spec, self.program);
        let Some(&first) = text.bytes.get(place.start) else {
            return Verdict::No;
        };
        if !spec.left.allows(text.byte_before(place.start), first) {
            return Verdict::No;
        }
        let secret = match label(program, text, place.start) {
            Label::End(end) => end,
            Label::None => return Verdict::No,
            Label::More(hold) if spec.mask == MaskFrom::Match => {
                return Verdict::More {
                    hold: hold.min(place.start),
                };
            }
            Label::More(hold) => return Verdict::More { hold },
        };
        let mask = match spec.mask {
            MaskFrom::Match => place.start,
            MaskFrom::Secret => secret,
            MaskFrom::Keyword => secret.max(place.keyword_end),
        };
        let until = text.bytes.len().min(secret + spec.limit);
        let run = self.body(text, secret..until, known);
        match (run.alive, run.matched) {
            (Some(_), _) if until < secret + spec.limit => Verdict::More {
                hold: mask.min(until),
            },
            (Some(state), Some(matched)) => Verdict::Open {
                secret: secret..matched - program.tail,
                mask,
                tail: Open {
                    state,
                    at: until,
                    matched,
                },
            },
            (None, Some(matched)) => self.judge(text, secret..matched, mask),
            (_, None) => Verdict::No,
        }
    }

    /// Reads the secret.
    fn body(self, text: Text<'_>, span: Range<usize>, known: Option<Known<'_>>) -> Run {
        let body = &self.program.body;
        let Some(start) = body.start(text.byte_before(span.start)) else {
            return Run::FAILED;
        };
        let Some(Known { memo, at }) = known else {
            return body.run(start, text.bytes, span, text.end);
        };
        let mut states = Vec::new();
        let from = at + span.start as u64;
        let run = body.run_while(start, text.bytes, span, text.end, |byte, state| {
            if memo.has_failed(at + byte as u64, state) {
                return false;
            }
            states.push(state);
            true
        });
        // One that lives on has not failed, unless it has read all that it may.
        if run.matched.is_none() && (run.alive.is_none() || states.len() == self.spec.limit) {
            memo.failed(from, &states);
        }
        run
    }

    /// Whether what was matched is a secret.
    fn judge(self, text: Text<'_>, matched: Range<usize>, mask: usize) -> Verdict {
        let spec = self.spec;
        let secret = matched.start..matched.end - self.program.tail;
        // A keyword inside a token is no prefix, and one at its end leaves nothing to hide: that rule
        // is for scans.
        let mask = if mask < secret.end {
            mask
        } else {
            secret.start
        };
        let public = if spec.lead == 0 {
            mask.saturating_sub(secret.start)
        } else {
            0
        };
        let candidate = Candidate {
            secret: &text.bytes[secret.clone()],
            public,
            after: &text.bytes[matched.end..],
        };
        let after = text.bytes.get(matched.end).copied();
        if spec.right.allows(after) && is_secret(&spec.judge, candidate, self.purpose) {
            Verdict::Match { secret, mask }
        } else {
            Verdict::No
        }
    }
}

/// Where the label ends.
enum Label {
    End(usize),
    None,
    /// Not before here.
    More(usize),
}

fn label(program: &Program, text: Text<'_>, start: usize) -> Label {
    let Some(head) = &program.head else {
        return Label::End(start);
    };
    let Some(state) = head.start(text.byte_before(start)) else {
        return Label::None;
    };
    // One byte more than the longest label: only there is its end seen.
    let until = text.bytes.len().min(start + MAX_LABEL + 1);
    let run = head.run(state, text.bytes, start..until, text.end);
    match (run.alive, run.matched) {
        (Some(state), matched) if until == text.bytes.len() => {
            // What the text ends with belongs to the label, and so to what may be seen, unless the
            // next byte takes that back.
            let released = !program.head_looks_ahead && head.matches_at_end(state);
            Label::More(matched.filter(|_| !released).unwrap_or(until))
        }
        (_, Some(end)) => Label::End(end),
        (_, None) => Label::None,
    }
}

/// Goes on with an open match. Answers whether it has ended; `open.matched` is how far it reaches.
pub(super) fn go_on(program: &Program, limit: usize, text: Text<'_>, open: &mut Open) -> bool {
    loop {
        // Measured from the match and not from what was read: cuts must not change the outcome.
        let last = open.matched + limit;
        if open.at >= last {
            return true;
        }
        if open.at == text.bytes.len() && !text.end {
            return false;
        }
        let until = text.bytes.len().min(last);
        let run = program
            .body
            .run(open.state, text.bytes, open.at..until, text.end);
        open.matched = run.matched.unwrap_or(open.matched);
        let Some(state) = run.alive else {
            return true;
        };
        (open.state, open.at) = (state, until);
    }
}
