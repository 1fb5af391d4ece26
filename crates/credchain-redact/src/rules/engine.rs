//! Runs all rules over a text that comes in pieces.
//!
//! A whole text is a stream of one piece, so there is one search for scans and for streams, and
//! that cuts do not matter is a property of this one. Places are tried in an order that cuts do not
//! change: by where their keyword ends. A rule whose outcome at one place is open keeps its later
//! places waiting, since a match there would swallow them.

use std::ops::Range;
use std::sync::Arc;

use super::attempt::{Attempt, Known, Open, Place, Text, Verdict, go_on};
use super::index::Index;
use super::memo::Memo;
use super::prefilter::Hit;
use super::spec::Matcher;

/// A piece of the stream, and some of what came before it.
pub(super) struct Piece<'a> {
    pub(super) text: Text<'a>,
    /// Where in the stream the text begins.
    pub(super) at: u64,
    /// Where in the text the new bytes begin.
    pub(super) fresh: usize,
}

/// What a rule found, or one more part of it. Positions are in the stream.
pub(super) struct Found {
    pub(super) matcher: usize,
    pub(super) start: u64,
    pub(super) secret: Range<u64>,
    pub(super) mask: u64,
}

/// The search.
pub(super) struct Engine {
    index: Arc<Index>,
    /// Places that are not decided, in their order.
    waiting: Vec<Waiting>,
    states: Vec<State>,
    /// The rules whose match goes on.
    open: Vec<usize>,
    /// What is known of failed runs, for each rule that no keyword leads to.
    memos: Vec<Memo>,
    /// How many pieces there were.
    pieces: u64,
    /// Kept for its memory.
    hits: Vec<Hit>,
}

/// A place to try, in the stream.
#[derive(Clone, Copy)]
struct Waiting {
    matcher: usize,
    start: u64,
    keyword_end: u64,
}

/// What is remembered of each rule.
#[derive(Clone, Copy, Default)]
struct State {
    /// Where its last match ends: none begins before.
    covered: u64,
    /// Where the next place may be, for rules that no keyword leads to.
    cursor: u64,
    /// A match that goes on.
    open: Option<OpenAt>,
    /// The latest piece in which an earlier place was undecided.
    undecided: u64,
}

/// An open match, in the stream.
#[derive(Clone, Copy)]
struct OpenAt {
    start: u64,
    secret: u64,
    /// How far it has been reported.
    reported: u64,
    /// Relative to `base`.
    tail: Open,
    base: u64,
}

impl Engine {
    pub(super) fn new(index: Arc<Index>) -> Self {
        let states = vec![State::default(); index.matchers.len()];
        let memos = index.free.iter().map(|_| Memo::default()).collect();
        Self {
            index,
            waiting: Vec::new(),
            states,
            open: Vec::new(),
            memos,
            pieces: 0,
            hits: Vec::new(),
        }
    }

    /// The rule behind the number in a [`Found`].
    pub(super) fn matcher(&self, number: usize) -> &Matcher {
        &self.index.matchers[number]
    }

    /// How much of a text that was searched must come again with the next piece.
    pub(super) fn needs(&self, end: u64) -> u64 {
        let places = self.waiting.iter().map(|place| place.start);
        let cursors = self.index.free.iter().map(|&free| self.states[free].cursor);
        let open = self.open.iter().filter_map(|&open| self.states[open].open);
        let open = open.map(|open| open.base + open.tail.matched as u64);
        let first = places.chain(cursors).chain(open).min().unwrap_or(end);
        first
            .saturating_sub(1)
            .min(end.saturating_sub(self.index.reach as u64))
    }

    /// Searches a piece, and answers up to where the stream may be released.
    pub(super) fn push(&mut self, piece: &Piece<'_>, found: &mut impl FnMut(Found)) -> u64 {
        let mut hold = piece.at + piece.text.bytes.len() as u64;
        self.pieces += 1;
        self.go_on(piece, &mut hold, found);
        self.enqueue(piece);
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&place| self.try_at(piece, place, &mut hold, found));
        self.waiting = waiting;
        for free in 0..self.index.free.len() {
            self.roam(piece, free, &mut hold, found);
        }
        hold
    }

    /// Continues the open matches.
    fn go_on(&mut self, piece: &Piece<'_>, hold: &mut u64, found: &mut impl FnMut(Found)) {
        let index = Arc::clone(&self.index);
        let states = &mut self.states;
        self.open.retain(|&number| {
            let rule = &index.matchers[number];
            let state = &mut states[number];
            let (Some(mut open), Some(program)) = (state.open.take(), rule.program()) else {
                return false;
            };
            open.rebase(piece.at);
            let ended = go_on(program, rule.spec.limit, piece.text, &mut open.tail);
            let reach = piece.at + (open.tail.matched - program.tail) as u64;
            if reach > open.reported {
                found(Found {
                    matcher: number,
                    start: open.start,
                    secret: open.secret..reach,
                    mask: open.reported,
                });
            }
            open.reported = reach;
            state.covered = reach;
            if !ended {
                state.open = Some(open);
                *hold = (*hold).min(reach);
            }
            !ended
        });
    }

    /// Finds the new keywords.
    fn enqueue(&mut self, piece: &Piece<'_>) {
        let index = Arc::clone(&self.index);
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        index
            .prefilter
            .find(piece.text.bytes, piece.fresh, &mut hits);
        for hit in &hits {
            for &matcher in &index.by_keyword[hit.keyword] {
                let lead = index.matchers[matcher].spec.lead;
                let Some(start) = hit.start.checked_sub(lead) else {
                    continue;
                };
                self.waiting.push(Waiting {
                    matcher,
                    start: piece.at + start as u64,
                    keyword_end: piece.at + hit.end as u64,
                });
            }
        }
        self.hits = hits;
    }

    /// Tries a place, and answers whether it must be tried again.
    fn try_at(
        &mut self,
        piece: &Piece<'_>,
        place: Waiting,
        hold: &mut u64,
        found: &mut impl FnMut(Found),
    ) -> bool {
        let state = self.states[place.matcher];
        if place.start < state.covered {
            return false;
        }
        if state.undecided == self.pieces || state.open.is_some() {
            *hold = (*hold).min(place.keyword_end);
            return true;
        }
        let verdict = self.verdict(piece, place);
        match self.settle(piece, place.matcher, place.start, verdict, found) {
            Some(undecided) => {
                *hold = (*hold).min(undecided);
                // An open match is not tried again: it goes on.
                let state = &mut self.states[place.matcher];
                state.undecided = self.pieces;
                state.open.is_none()
            }
            None => false,
        }
    }

    /// Tries a rule without keywords wherever it can begin.
    fn roam(
        &mut self,
        piece: &Piece<'_>,
        free: usize,
        hold: &mut u64,
        found: &mut impl FnMut(Found),
    ) {
        let index = Arc::clone(&self.index);
        let matcher = index.free[free];
        let Some(program) = index.matchers[matcher].program() else {
            return;
        };
        let end = piece.at + piece.text.bytes.len() as u64;
        while self.states[matcher].open.is_none() {
            let state = &mut self.states[matcher];
            state.cursor = state.cursor.max(state.covered).max(piece.at);
            let from = usize::try_from(state.cursor - piece.at).unwrap_or(usize::MAX);
            let rest = piece.text.bytes.get(from..).unwrap_or_default();
            let Some(next) = rest
                .iter()
                .position(|&byte| program.first[usize::from(byte)])
            else {
                state.cursor = end;
                return;
            };
            let start = state.cursor + next as u64;
            state.cursor = start;
            let place = Place {
                start: from + next,
                keyword_end: from + next,
            };
            let attempt = Attempt {
                spec: &index.matchers[matcher].spec,
                program,
                purpose: index.purpose,
            };
            let known = Known {
                memo: &mut self.memos[free],
                at: piece.at,
            };
            let verdict = attempt.at(piece.text, place, Some(known));
            if let Some(undecided) = self.settle(piece, matcher, start, verdict, found) {
                *hold = (*hold).min(undecided);
                return;
            }
            self.states[matcher].cursor = start + 1;
        }
        let state = &mut self.states[matcher];
        state.cursor = state.cursor.max(state.covered);
    }

    fn verdict(&self, piece: &Piece<'_>, waiting: Waiting) -> Verdict {
        let matcher = &self.index.matchers[waiting.matcher];
        let near = |at: u64| usize::try_from(at - piece.at).unwrap_or(usize::MAX);
        let place = Place {
            start: near(waiting.start),
            keyword_end: near(waiting.keyword_end),
        };
        let Some(program) = matcher.program() else {
            return Verdict::No;
        };
        let attempt = Attempt {
            spec: &matcher.spec,
            program,
            purpose: self.index.purpose,
        };
        attempt.at(piece.text, place, None)
    }

    /// Notes what came of a place. Answers from where the stream is to be held, if it is.
    fn settle(
        &mut self,
        piece: &Piece<'_>,
        matcher: usize,
        start: u64,
        verdict: Verdict,
        found: &mut impl FnMut(Found),
    ) -> Option<u64> {
        let far = |at: usize| piece.at + at as u64;
        match verdict {
            Verdict::No => None,
            Verdict::More { hold } => Some(far(hold)),
            Verdict::Match { secret, mask } => {
                self.states[matcher].covered = far(secret.end);
                found(Found {
                    matcher,
                    start,
                    secret: far(secret.start)..far(secret.end),
                    mask: far(mask),
                });
                None
            }
            Verdict::Open { secret, mask, tail } => {
                let index = Arc::clone(&self.index);
                let rule = &index.matchers[matcher];
                let program = rule.program()?;
                let mut tail = tail;
                let ended = go_on(program, rule.spec.limit, piece.text, &mut tail);
                let reach = far(tail.matched - program.tail);
                found(Found {
                    matcher,
                    start,
                    secret: far(secret.start)..reach,
                    mask: far(mask),
                });
                let state = &mut self.states[matcher];
                state.covered = reach;
                state.open = (!ended).then_some(OpenAt {
                    start,
                    secret: far(secret.start),
                    reported: reach,
                    tail,
                    base: piece.at,
                });
                if ended {
                    return None;
                }
                self.open.push(matcher);
                Some(reach)
            }
        }
    }
}

impl OpenAt {
    /// Makes the positions relative to a later text.
    fn rebase(&mut self, at: u64) {
        // What it refers to is held, or has just been read: it is in the text, or at its beginning.
        let move_by = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        self.tail.at = self.tail.at.saturating_sub(move_by);
        self.tail.matched = self.tail.matched.saturating_sub(move_by);
        self.base = at;
    }
}
