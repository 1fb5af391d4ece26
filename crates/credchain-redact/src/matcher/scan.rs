//! One layer's needles in one stream.

use std::sync::Arc;

use super::filter::{Hit, INSIDE, INSIDE_FROM};
use super::layer::Layer;
use super::machine::Machine;
use super::needles::Node;
use super::wrapped::Wrapped;
use crate::finder::{Finder, Mask, Window};

/// Looks for the needles of one layer.
///
/// Between two calls its whole state is a node: the longest end of the text that begins a needle.
pub(crate) struct Scan {
    layer: Arc<Layer>,
    node: Node,
    machine: Machine,
    wrapped: Wrapped,
    started: bool,
    /// How many bytes may be compared before the text counts as made to be slow.
    credit: usize,
    /// Up to here every byte is looked at once, because comparing took too long.
    slow_until: u64,
    slow_for: u64,
}

/// With a longer beginning of a needle at the end of what was looked at, going on byte by byte is
/// cheaper than beginning again.
const QUIET: u32 = 8;

/// How many bytes may be compared for each byte of the text, and how many may be saved up.
const CREDIT: usize = 16;
const MOST_CREDIT: usize = 1 << 20;

/// For how many bytes to be slow, at first and at most.
const SLOW: u64 = 1 << 16;
const SLOWEST: u64 = 1 << 24;

impl Scan {
    pub(crate) fn new(layer: Arc<Layer>) -> Self {
        Self {
            node: layer.needles().root(),
            layer,
            machine: Machine::default(),
            wrapped: Wrapped::default(),
            started: false,
            credit: MOST_CREDIT,
            slow_until: 0,
            slow_for: SLOW,
        }
    }

    pub(crate) fn layer(&self) -> &Arc<Layer> {
        &self.layer
    }

    /// Looks at the text from `at` on in strides. Gives up where it began if that takes too long.
    fn skim(&mut self, window: &Window<'_>, at: usize, found: &mut Vec<Mask>) -> usize {
        let text = window.bytes;
        let layer = Arc::clone(&self.layer);
        let start = at - self.node.depth as usize;
        self.credit = (self.credit + CREDIT * (text.len() - at)).min(MOST_CREDIT);
        let mut candidates = Candidates {
            layer: &layer,
            text,
            open: None,
            work: 0,
            breaks: Vec::new(),
            found,
        };
        let credit = self.credit;
        let mut scanned = layer.filter().scan(text, start, &mut |hit| {
            candidates.hit(hit, start);
            candidates.work <= credit
        });
        let unseen = layer.filter().unseen();
        for from in start.max(text.len().saturating_sub(unseen))..text.len() {
            scanned &= candidates.work <= credit;
            if window.end || !scanned {
                break;
            }
            candidates.begin(from);
        }
        let Candidates {
            open,
            work,
            mut breaks,
            ..
        } = candidates;
        // A later break must not hide an earlier one.
        breaks.sort_unstable();
        for (from, to) in breaks {
            self.wrapped.sweep(&layer, window, from..to, found);
        }
        if !scanned {
            self.slow_until = window.at + at as u64 + self.slow_for;
            self.slow_for = (2 * self.slow_for).min(SLOWEST);
            self.credit = 0;
            return at;
        }
        self.credit -= work.min(self.credit);
        if (text.len() - at) as u64 > SLOW / 4 {
            self.slow_for = (self.slow_for / 2).max(SLOW);
        }
        self.node = open.map_or_else(|| layer.needles().root(), |(_, node)| node);
        text.len()
    }

    /// Looks at every byte from `at` on, until it is quiet.
    fn walk(&mut self, window: &Window<'_>, at: usize, found: &mut Vec<Mask>) -> usize {
        let layer = Arc::clone(&self.layer);
        let needles = layer.needles();
        let mut end = at;
        let mut last: Option<Mask> = None;
        while end < window.bytes.len() && self.is_slow(window.at + end as u64) {
            self.node = self.machine.step(needles, self.node, window.bytes[end]);
            end += 1;
            let ending = self.machine.ending(needles, self.node);
            self.node = self.machine.settle(needles, self.node);
            let Some(needle) = ending else { continue };
            let span = needles.span(needle as usize);
            let start = end - span.len as usize;
            match &mut last {
                // One long mask instead of one for each byte of it.
                Some(mask) if mask.start < start && start <= mask.end => mask.end = end,
                _ => {
                    found.extend(last.take());
                    last = Some(Mask {
                        start,
                        end,
                        label: layer.label(span.owner),
                    });
                }
            }
        }
        found.extend(last);
        self.wrapped.sweep(&layer, window, at..end, found);
        end
    }

    fn is_slow(&self, position: u64) -> bool {
        self.node.depth > QUIET || position < self.slow_until
    }
}

impl Finder for Scan {
    fn find(&mut self, window: &Window<'_>, found: &mut Vec<Mask>) -> usize {
        let mut at = if self.started { window.fresh } else { 0 };
        self.started = true;
        self.wrapped.begin(&self.layer, window, at, found);
        while at < window.bytes.len() {
            at = if self.is_slow(window.at + at as u64) {
                self.walk(window, at, found)
            } else {
                self.skim(window, at, found)
            };
        }
        let kept = self.wrapped.finish(&self.layer, window, found);
        if window.end {
            return window.bytes.len();
        }
        kept.min(window.bytes.len() - self.node.depth as usize)
    }
}

/// What the filter has found in a window.
struct Candidates<'a> {
    layer: &'a Layer,
    text: &'a [u8],
    /// The first place that begins a needle which goes on after the window.
    open: Option<(usize, Node)>,
    work: usize,
    /// Where a line break may be inside of base64.
    breaks: Vec<(usize, usize)>,
    found: &'a mut Vec<Mask>,
}

impl Candidates<'_> {
    fn hit(&mut self, hit: Hit, start: usize) {
        let mut offsets = hit.offsets & !INSIDE;
        while offsets != 0 {
            let offset = offsets.trailing_zeros() as usize;
            offsets &= offsets - 1;
            if hit.at >= start + offset {
                let from = hit.at - offset;
                self.begin(from);
                self.note_break(from);
            }
        }
        if hit.offsets & INSIDE != 0 {
            // The needle began up to 24 bytes before, and a line break is in between.
            let from = hit.at.saturating_sub(2 * INSIDE_FROM);
            if memchr::memchr(b'\n', &self.text[from..hit.at]).is_some() {
                self.breaks.push((from, hit.at));
            }
        }
    }

    /// Looks which needles begin here.
    fn begin(&mut self, from: usize) {
        let needles = self.layer.needles();
        let beginning = needles.begin(&self.text[from..]);
        self.work += beginning.work + 1;
        if let Some(needle) = beginning.longest {
            let span = needles.span(needle);
            self.found.push(Mask {
                start: from,
                end: from + span.len as usize,
                label: self.layer.label(span.owner),
            });
        }
        if let Some(node) = beginning.open
            && self.open.is_none_or(|(first, _)| from < first)
        {
            self.open = Some((from, node));
        }
    }

    /// Remembers the line break that ends the base64 which begins here.
    fn note_break(&mut self, from: usize) {
        if !self.layer.has_wrapping() {
            return;
        }
        let run = self.text[from..]
            .iter()
            .take_while(|&&byte| Wrapped::is_base64(byte))
            .count();
        self.work += run;
        let end = from + run;
        // Only what goes on after the break matters: a value at the end of a line does not.
        if matches!(self.text.get(end), Some(b'\r' | b'\n'))
            && self
                .layer
                .needles()
                .begin(&self.text[from..end])
                .open
                .is_some()
        {
            self.breaks.push((end, end + 1));
        }
    }
}
