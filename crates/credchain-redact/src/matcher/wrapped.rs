//! Base64 that is broken into lines.
//!
//! A line break is inside of base64 if at least [`LINE`] letters of base64 are directly before it:
//! all who break lines do it at 64 or 76. From the first such break on that may matter, the text
//! is looked at without its breaks, until the base64 ends.

use std::collections::VecDeque;
use std::ops::Range;

use super::layer::Layer;
use super::machine::Machine;
use super::needles::Node;
use crate::finder::{Mask, Window};

/// The shortest line that is broken because it is long.
pub(crate) const LINE: usize = 64;

/// The shortest base64 that is looked for across line breaks: one of its parts is long enough to
/// be noticed.
pub(crate) const SHORTEST: usize = 32;

/// How much of the end of a window may be the beginning of broken base64 that has not been noticed.
const UNSEEN: usize = SHORTEST + 2;

/// Base64 over line breaks, for one layer in one stream.
#[derive(Default)]
pub(crate) struct Wrapped {
    zone: Option<Zone>,
    machine: Machine,
    /// Line breaks before this position have been looked at.
    swept: u64,
    /// Where in this window the looking began, and how much base64 is directly before.
    base: usize,
    run: usize,
}

/// A part of the stream that is base64 in lines.
struct Zone {
    /// Where it begins in the stream.
    start: u64,
    /// How many letters there were, line breaks left out.
    letters: u64,
    node: Node,
    /// How many letters there are in this line.
    line: usize,
    after_return: bool,
    /// After how many letters lines were broken, and how many bytes all breaks up to there take.
    breaks: VecDeque<(u64, u64)>,
}

impl Wrapped {
    pub(crate) fn is_base64(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
    }

    /// Goes on in a new window, of which the bytes from `at` on have not been looked at.
    pub(crate) fn begin(
        &mut self,
        layer: &Layer,
        window: &Window<'_>,
        at: usize,
        found: &mut Vec<Mask>,
    ) {
        self.base = at;
        if let Some(zone) = self.zone.take() {
            self.advance(layer, window, zone, at, found);
        }
    }

    /// Ends a window, and says from where on it must be held.
    pub(crate) fn finish(
        &mut self,
        layer: &Layer,
        window: &Window<'_>,
        found: &mut Vec<Mask>,
    ) -> usize {
        let len = window.bytes.len();
        if !window.end {
            self.sweep(layer, window, len.saturating_sub(UNSEEN)..len, found);
        }
        let run = self.run_before(window.bytes, len);
        (self.run, self.base) = (run, len);
        let kept = self.zone.as_ref().map_or(u64::MAX, Zone::held);
        usize::try_from(kept.saturating_sub(window.at))
            .unwrap_or(len)
            .min(len)
    }

    /// Looks at the line breaks in this part of the window.
    pub(crate) fn sweep(
        &mut self,
        layer: &Layer,
        window: &Window<'_>,
        range: Range<usize>,
        found: &mut Vec<Mask>,
    ) {
        if !layer.has_wrapping() {
            return;
        }
        let swept = usize::try_from(self.swept.saturating_sub(window.at)).unwrap_or(usize::MAX);
        let mut at = range.start.max(self.base).max(swept);
        while let Some(found_at) = window
            .bytes
            .get(at..range.end)
            .and_then(|text| memchr::memchr2(b'\r', b'\n', text))
        {
            let end = at + found_at;
            at = end + 1;
            let run = self.run_before(window.bytes, end);
            if run < LINE {
                continue;
            }
            // What is before the window cannot begin a needle any more.
            let before = run.min(end);
            let zone = Zone {
                start: window.at + (end - before) as u64,
                letters: 0,
                node: layer.wrapping().root(),
                line: run - before,
                after_return: false,
                breaks: VecDeque::new(),
            };
            self.advance(layer, window, zone, end - before, found);
            let swept = usize::try_from(self.swept.saturating_sub(window.at)).unwrap_or(at);
            at = at.max(swept);
        }
    }

    fn advance(
        &mut self,
        layer: &Layer,
        window: &Window<'_>,
        mut zone: Zone,
        from: usize,
        found: &mut Vec<Mask>,
    ) {
        let needles = layer.wrapping();
        for (at, &byte) in window.bytes.iter().enumerate().skip(from) {
            if !zone.step(byte, |node| self.machine.step(needles, node, byte)) {
                self.swept = window.at + at as u64;
                return;
            }
            if zone.line == 0 || zone.after_return {
                continue;
            }
            let ending = self.machine.ending(needles, zone.node);
            zone.node = self.machine.settle(needles, zone.node);
            let Some(needle) = ending else { continue };
            let span = needles.span(needle as usize);
            let first = zone.letters - u64::from(span.len);
            // Without a break inside it is an ordinary needle, and that is found elsewhere.
            if zone.is_broken_since(first) {
                let start = zone.position(first).saturating_sub(window.at);
                let start = usize::try_from(start).unwrap_or(at);
                found.push(Mask {
                    start,
                    end: at + 1,
                    label: layer.label(span.owner),
                });
            }
        }
        self.swept = window.at + window.bytes.len() as u64;
        self.zone = (!window.end).then_some(zone);
    }

    /// How much base64 there is directly before this place, as far as it matters.
    fn run_before(&self, text: &[u8], end: usize) -> usize {
        let new = &text[self.base.min(end)..end];
        let run = new
            .iter()
            .rev()
            .take_while(|&&byte| Self::is_base64(byte))
            .count();
        if run == new.len() {
            run + self.run
        } else {
            run
        }
    }
}

impl Zone {
    /// Takes one byte; false if it does not belong here.
    fn step(&mut self, byte: u8, next: impl FnOnce(Node) -> Node) -> bool {
        if self.after_return {
            self.after_return = false;
            return byte == b'\n' && self.end_line(2);
        }
        match byte {
            b'\n' => self.line >= LINE && self.end_line(1),
            b'\r' => {
                self.after_return = true;
                self.line >= LINE
            }
            _ if Wrapped::is_base64(byte) => {
                self.node = next(self.node);
                self.letters += 1;
                self.line += 1;
                true
            }
            _ => false,
        }
    }

    fn end_line(&mut self, bytes: u64) -> bool {
        let before = self.breaks.back().map_or(0, |(_, bytes)| *bytes);
        // Nothing that may still end began before the second break that is kept.
        let first = self.first_letter();
        while self
            .breaks
            .get(1)
            .is_some_and(|(letters, _)| *letters <= first)
        {
            self.breaks.pop_front();
        }
        self.breaks.push_back((self.letters, before + bytes));
        self.line = 0;
        true
    }

    /// The first letter of the needle that may have begun.
    fn first_letter(&self) -> u64 {
        self.letters - u64::from(self.node.depth)
    }

    /// Whether a line was broken after this letter.
    fn is_broken_since(&self, letter: u64) -> bool {
        self.breaks
            .back()
            .is_some_and(|(letters, _)| *letters > letter)
    }

    /// Where in the stream this letter is.
    fn position(&self, letter: u64) -> u64 {
        let passed = self
            .breaks
            .partition_point(|(letters, _)| *letters <= letter);
        let bytes = passed.checked_sub(1).map_or(0, |last| self.breaks[last].1);
        self.start + letter + bytes
    }

    /// Where in the stream the needle begins that may go on.
    fn held(&self) -> u64 {
        if self.node.depth == 0 {
            u64::MAX
        } else {
            self.position(self.first_letter())
        }
    }
}
