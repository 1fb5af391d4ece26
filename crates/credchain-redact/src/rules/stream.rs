//! The rules as a stream's finder.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::attempt::Text;
use super::engine::{Engine, Piece};
use super::index::Index;
use crate::finder::{Finder, Label, Mask, Window};

/// How much of a window is searched at once: what a cache holds.
const BLOCK: usize = 64 << 10;

/// Finds what matches a rule in a stream.
///
/// Labels are released at once: they are public, and a prompt must appear. So the finder keeps its
/// own copy of the few bytes before the window that a rule may still look at.
pub(crate) struct PatternFinder {
    engine: Engine,
    /// The end of what was seen, from where the engine needs it.
    text: Zeroizing<Vec<u8>>,
    /// Where in the stream `text` begins.
    at: u64,
    /// The byte before it.
    before: Option<u8>,
    /// Up to where nothing is held.
    released: u64,
}

impl PatternFinder {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self {
            engine: Engine::new(index),
            text: Zeroizing::new(Vec::new()),
            at: 0,
            before: None,
            released: 0,
        }
    }

    /// Searches one block of new bytes.
    fn search(&mut self, new: &[u8], end: bool, window: &Window<'_>, found: &mut Vec<Mask>) {
        let fresh = self.text.len();
        self.append(new);
        let piece = Piece {
            text: Text {
                bytes: &self.text,
                before: self.before,
                end,
            },
            at: self.at,
            fresh,
        };
        let first = window.at;
        let mut masks = Vec::new();
        let hold = self.engine.push(&piece, &mut |hit| {
            masks.push((hit.matcher, hit.mask, hit.secret.end));
        });
        for (matcher, start, end) in masks {
            let near = |at: u64| usize::try_from(at.saturating_sub(first)).unwrap_or(usize::MAX);
            let (start, end) = (near(start), near(end).min(window.bytes.len()));
            if start < end {
                found.push(Mask {
                    start,
                    end,
                    label: Label::Rule(Arc::clone(&self.engine.matcher(matcher).spec.id)),
                });
            }
        }
        self.released = self.released.max(hold);
        self.forget();
    }

    /// Adds to the text; what a growing buffer leaves behind is wiped.
    fn append(&mut self, new: &[u8]) {
        if self.text.capacity() - self.text.len() < new.len() {
            let mut larger = Vec::with_capacity((self.text.len() + new.len()).next_power_of_two());
            larger.extend_from_slice(&self.text);
            *self.text = {
                self.text.zeroize();
                larger
            };
        }
        self.text.extend_from_slice(new);
    }

    /// Drops what no rule needs any more.
    fn forget(&mut self) {
        let end = self.at + self.text.len() as u64;
        let needed = self.engine.needs(end).max(self.at);
        let drop = usize::try_from(needed - self.at)
            .unwrap_or(0)
            .min(self.text.len());
        if drop > 0 {
            self.before = self.text.get(drop - 1).copied();
            self.text.drain(..drop);
            self.at += drop as u64;
        }
    }
}

impl Finder for PatternFinder {
    fn find(&mut self, window: &Window<'_>, found: &mut Vec<Mask>) -> usize {
        let new = window.bytes.get(window.fresh..).unwrap_or_default();
        let mut blocks = new.chunks(BLOCK).peekable();
        if blocks.peek().is_none() {
            self.search(&[], window.end, window, found);
        }
        while let Some(block) = blocks.next() {
            let last = blocks.peek().is_none();
            self.search(block, window.end && last, window, found);
        }
        if window.end {
            return window.bytes.len();
        }
        let held = self.released.saturating_sub(window.at);
        usize::try_from(held)
            .unwrap_or(usize::MAX)
            .min(window.bytes.len())
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
