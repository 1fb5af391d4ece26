//! An expression as two automata: one for the label before the secret, one for the secret.
//!
//! Both are deterministic and built in full, so that a search costs one table look-up a byte,
//! never goes back, and can stop at the end of a write and go on in the next one: its whole
//! memory is one number.

use std::ops::Range;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::{primitives::StateID, start};
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Hir, HirKind};

use super::error::RuleErrorKind;

/// The longest label, in bytes.
pub(super) const MAX_LABEL: usize = 256;
/// How much memory one automaton may have, and how much its construction may need.
const MAX_AUTOMATON: usize = 1 << 20;
const MAX_CONSTRUCTION: usize = 8 << 20;

/// A compiled expression.
pub(super) struct Program {
    /// What stands before the secret.
    pub(super) head: Option<Automaton>,
    /// The secret and what stands after it.
    pub(super) body: Automaton,
    /// How many bytes stand after the secret.
    pub(super) tail: usize,
    /// Whether a label that ends where the text ends may be taken back by what follows.
    pub(super) head_looks_ahead: bool,
    /// Which bytes can begin a match.
    pub(super) first: Box<[bool; 256]>,
}

impl Program {
    /// Compiles an expression. The group is the secret; without one, all of it.
    pub(super) fn new(expression: &str) -> Result<Self, RuleErrorKind> {
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .nest_limit(64)
            .build()
            .parse(expression)
            .map_err(|error| RuleErrorKind::Syntax { at: offset(&error) })?;
        if hir.properties().minimum_len().unwrap_or(0) == 0 {
            return Err(RuleErrorKind::Empty);
        }
        let [head, secret, after] = split(hir);
        if secret.properties().minimum_len().unwrap_or(0) == 0 {
            return Err(RuleErrorKind::Empty);
        }
        if head
            .properties()
            .maximum_len()
            .is_none_or(|len| len > MAX_LABEL)
        {
            return Err(RuleErrorKind::Label);
        }
        let tail = match (
            after.properties().minimum_len(),
            after.properties().maximum_len(),
        ) {
            (Some(least), Some(most)) if least == most => most,
            _ => return Err(RuleErrorKind::After),
        };
        let head_looks_ahead = !head.properties().look_set_suffix_any().is_empty();
        let head = if matches!(head.kind(), HirKind::Empty) {
            None
        } else {
            Some(Automaton::new(&head, MatchKind::All)?)
        };
        let body = Automaton::new(&Hir::concat(vec![secret, after]), MatchKind::LeftmostFirst)?;
        let first = Box::new(head.as_ref().unwrap_or(&body).first_bytes());
        Ok(Self {
            head,
            body,
            tail,
            head_looks_ahead,
            first,
        })
    }
}

/// What stands before the group, in it, and after it. Only a single group on the outermost level
/// can be told apart; with others, or none, all of it is the secret: too much rather than too little.
fn split(hir: Hir) -> [Hir; 3] {
    let HirKind::Concat(parts) = hir.kind() else {
        return [Hir::empty(), hir, Hir::empty()];
    };
    let groups = |part: &Hir| part.properties().explicit_captures_len();
    let marked: Vec<usize> = (0..parts.len())
        .filter(|&at| groups(&parts[at]) > 0)
        .collect();
    let [at] = marked[..] else {
        return [Hir::empty(), hir, Hir::empty()];
    };
    let HirKind::Capture(group) = parts[at].kind() else {
        return [Hir::empty(), hir, Hir::empty()];
    };
    let before = Hir::concat(parts[..at].to_vec());
    let after = Hir::concat(parts[at + 1..].to_vec());
    [before, (*group.sub).clone(), after]
}

fn offset(error: &regex_syntax::Error) -> usize {
    match error {
        regex_syntax::Error::Parse(error) => error.span().start.offset,
        regex_syntax::Error::Translate(error) => error.span().start.offset,
        _ => 0,
    }
}

/// A deterministic automaton that is run by hand, byte by byte, from a fixed beginning.
pub(super) struct Automaton(dense::DFA<Vec<u32>>);

/// How far a run came.
pub(super) struct Run {
    /// Where the longest match ended.
    pub(super) matched: Option<usize>,
    /// Where it can go on; nothing if no more input can change the outcome.
    pub(super) alive: Option<StateID>,
}

impl Run {
    /// One that cannot begin.
    pub(super) const FAILED: Self = Self {
        matched: None,
        alive: None,
    };
}

impl Automaton {
    fn new(hir: &Hir, kind: MatchKind) -> Result<Self, RuleErrorKind> {
        let nfa: NFA = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_CONSTRUCTION)),
            )
            .build_from_hir(hir)
            .map_err(|_| RuleErrorKind::TooLarge)?;
        dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(kind)
                    .start_kind(StartKind::Anchored)
                    .accelerate(false)
                    .dfa_size_limit(Some(MAX_AUTOMATON))
                    .determinize_size_limit(Some(MAX_CONSTRUCTION)),
            )
            .build_from_nfa(&nfa)
            .map(Self)
            .map_err(|_| RuleErrorKind::TooLarge)
    }

    /// Where a run begins after this byte; nothing if it cannot.
    pub(super) fn start(&self, before: Option<u8>) -> Option<StateID> {
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(before);
        // The errors are unsupported anchors and quitting bytes, and there are none of either.
        let state = self.0.start_state(&config).ok()?;
        (!self.0.is_dead_state(state)).then_some(state)
    }

    /// Reads the span, and the end of the text if `end` is set and the span reaches it.
    pub(super) fn run(&self, from: StateID, text: &[u8], span: Range<usize>, end: bool) -> Run {
        self.run_while(from, text, span, end, |_, _| true)
    }

    /// As [`Automaton::run`], as long as `go` says so, which sees each state before the first match.
    /// When it does not, the run has failed.
    pub(super) fn run_while(
        &self,
        from: StateID,
        text: &[u8],
        span: Range<usize>,
        end: bool,
        mut go: impl FnMut(usize, StateID) -> bool,
    ) -> Run {
        let (mut state, mut matched) = (from, None);
        for at in span.clone() {
            state = self.0.next_state(state, text[at]);
            if self.0.is_match_state(state) {
                // Matches are seen one byte late.
                matched = Some(at);
            } else if self.0.is_dead_state(state) {
                return Run {
                    matched,
                    alive: None,
                };
            }
            if matched.is_none() && !go(at, state) {
                return Run {
                    matched,
                    alive: None,
                };
            }
        }
        if end && span.end == text.len() {
            if self.matches_at_end(state) {
                matched = Some(span.end);
            }
            return Run {
                matched,
                alive: None,
            };
        }
        let alive = (!self.is_over(state)).then_some(state);
        Run { matched, alive }
    }

    /// Whether the state has only told of a match, and nothing can follow.
    fn is_over(&self, state: StateID) -> bool {
        self.0.is_match_state(state)
            && !self.matches_at_end(state)
            && (0..=u8::MAX).all(|byte| self.0.is_dead_state(self.0.next_state(state, byte)))
    }

    /// Whether the text up to here is a match if it ends here.
    pub(super) fn matches_at_end(&self, state: StateID) -> bool {
        self.0.is_match_state(self.0.next_eoi_state(state))
    }

    /// Which bytes can follow the beginning, whatever stands before it.
    fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        for before in [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')] {
            let Some(start) = self.start(before) else {
                continue;
            };
            for byte in 0..=u8::MAX {
                first[usize::from(byte)] |= !self.0.is_dead_state(self.0.next_state(start, byte));
            }
        }
        first
    }
}
