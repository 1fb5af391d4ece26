//! Bytes in, bytes out: the core that every door of this crate stands on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::buffer::Buffer;
use crate::finder::{Finder, Label, Mask, Window};
use crate::matcher::scan::Scan;
use crate::redactor::{Redactor, Snapshot};

/// Redacts one stream of bytes.
///
/// The output is the same however the input is cut. What is held back is exactly what may still
/// become a secret: the longest end of the input that is the beginning of some form of a registered
/// value. It comes out with more input or with [`finish`](Self::finish), never because time passes.
/// Everything that is not masked comes out as it is, whether it is text or not.
///
/// Memory is bounded by the longest registered form and one block, whatever the length of the
/// stream.
///
/// # Examples
/// ```
/// use credchain_redact::Redactor;
///
/// let redactor = Redactor::new();
/// redactor.register("api_key", b"correct horse", Default::default());
/// let (mut stream, mut out) = (redactor.stream(), Vec::new());
/// stream.push(b"it is corr", &mut out);
/// assert_eq!(out, b"it is ");
/// stream.push(b"ect horse, ", &mut out);
/// stream.push(b"correct", &mut out);
/// stream.finish(&mut out);
/// assert_eq!(out, b"it is ***, correct");
/// ```
pub struct Stream {
    redactor: Redactor,
    snapshot: Arc<Snapshot>,
    scans: Vec<Scan>,
    patterns: Option<Box<dyn Finder>>,
    held: Buffer,
    /// How many bytes have been released, and the last of them.
    at: u64,
    before: Option<u8>,
    /// Where the last mask ends that was written, or begun to be.
    masked_until: Option<u64>,
    /// Masks of what has not been released.
    pending: Vec<Stretch>,
    found: Vec<Mask>,
    /// How many masks there were, by the label's place in memory, which it keeps as long as it is
    /// here: comparing names would take longer than finding what they stand for.
    counts: HashMap<usize, (Label, u64)>,
    /// Whether it stays with the values that it has.
    is_pinned: bool,
}

/// A mask by its place in the stream.
struct Stretch {
    start: u64,
    end: u64,
    label: Label,
}

/// How much is looked at in one go: it stays in the cache until it has been copied.
const BLOCK: usize = 64 << 10;

/// How much new text is put behind what was held back, at least.
const JOIN: usize = 4 << 10;

impl Stream {
    pub(crate) fn new(redactor: Redactor) -> Self {
        let snapshot = redactor.snapshot();
        Self::with(redactor, snapshot)
    }

    /// A stream that begins with a certain snapshot.
    pub(crate) fn with(redactor: Redactor, snapshot: Arc<Snapshot>) -> Self {
        let patterns = redactor.pattern_finder();
        Self {
            patterns,
            ..Self::of_values(redactor, snapshot)
        }
    }

    /// A stream that looks for registered values only.
    pub(crate) fn of_values(redactor: Redactor, snapshot: Arc<Snapshot>) -> Self {
        let mut stream = Self {
            is_pinned: false,
            patterns: None,
            redactor,
            snapshot: Arc::clone(&snapshot),
            scans: Vec::new(),
            held: Buffer::default(),
            at: 0,
            before: None,
            masked_until: None,
            pending: Vec::new(),
            found: Vec::new(),
            counts: HashMap::new(),
        };
        stream.adopt(snapshot);
        stream
    }

    /// Takes the next bytes of the input and appends to `out` what is safe to show.
    ///
    /// Values that were registered meanwhile are masked from what was held back on.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if !self.is_pinned
            && let Some(snapshot) = self.redactor.newer_than(&self.snapshot)
        {
            self.adopt(snapshot);
        }
        // What is held back is put together with a part of the input, until it is released.
        let mut taken = 0;
        while !self.held.is_empty() && taken < input.len() {
            let held = self.held.len();
            let most = JOIN.max(held).min(input.len() - taken);
            let mut window = std::mem::take(&mut self.held);
            window.extend(&input[taken..taken + most]);
            taken += most;
            let released = self.process(&window, held, false, out);
            if released >= held {
                // From here on the input itself is looked at.
                return self.slide(input, taken - (window.len() - released), taken, out);
            }
            window.drop_front(released);
            self.held = window;
        }
        self.slide(input, taken, taken, out);
    }

    /// Ends the stream: appends what was held back, which did not become a secret.
    ///
    /// The next `push` begins another stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let window = std::mem::take(&mut self.held);
        let fresh = window.len();
        self.process(&window, fresh, true, out);
        (self.at, self.before, self.masked_until) = (0, None, None);
        self.pending.clear();
        // A stream of values alone stays one.
        if self.patterns.is_some() {
            self.patterns = self.redactor.pattern_finder();
        }
        self.scans.clear();
        self.adopt(Arc::clone(&self.snapshot));
    }

    /// Stays with the values that it has, so that no lock is ever waited for.
    pub(crate) fn pin(&mut self) {
        self.is_pinned = true;
    }

    /// How many secrets have been replaced, in all.
    pub fn replaced(&self) -> u64 {
        self.counts.values().map(|(_, count)| count).sum()
    }

    /// How many secrets have been replaced, by the name of the credential or the rule.
    ///
    /// In the order of the names.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut named = BTreeMap::new();
        for (label, count) in self.counts.values() {
            *named.entry(label.name()).or_default() += count;
        }
        named.into_iter()
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Goes over the input itself, of which the bytes before `start` have been released and those
    /// before `seen` looked at. Keeps what is left.
    fn slide(&mut self, input: &[u8], mut start: usize, mut seen: usize, out: &mut Vec<u8>) {
        while seen < input.len() {
            let end = input.len().min(seen + BLOCK);
            start += self.process(&input[start..end], seen - start, false, out);
            seen = end;
        }
        self.held.extend(&input[start..]);
    }

    /// Shows a window to all finders and releases what none of them needs.
    fn process(&mut self, bytes: &[u8], fresh: usize, end: bool, out: &mut Vec<u8>) -> usize {
        let window = Window {
            bytes,
            at: self.at,
            before: self.before,
            fresh,
            end,
        };
        let mut kept = bytes.len();
        for scan in &mut self.scans {
            kept = kept.min(scan.find(&window, &mut self.found));
        }
        if let Some(patterns) = &mut self.patterns {
            kept = kept.min(patterns.find(&window, &mut self.found));
        }
        self.release(&bytes[..kept], out);
        kept
    }

    fn release(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let (start, limit) = (self.at, self.at + bytes.len() as u64);
        self.pending
            .extend(self.found.drain(..).map(|mask| Stretch {
                start: start + mask.start as u64,
                end: start + mask.end as u64,
                label: mask.label,
            }));
        let slice = |from: u64, to: u64| {
            let index = |position: u64| usize::try_from(position - start).unwrap_or(bytes.len());
            &bytes[index(from)..index(to)]
        };
        let mut shown = self
            .masked_until
            .map_or(start, |end| end.clamp(start, limit));
        if !self.pending.is_empty() {
            self.pending.sort_by(Stretch::order);
            let due = self.pending.partition_point(|mask| mask.start < limit);
            for mask in self.pending.drain(..due) {
                if self.masked_until.is_none_or(|end| end < mask.start) {
                    out.extend_from_slice(slice(shown, mask.start));
                    self.snapshot.writer().write(&mask.label, out);
                    let place = mask.label.place();
                    let count = self.counts.entry(place).or_insert((mask.label, 0));
                    count.1 += 1;
                }
                let end = self.masked_until.map_or(mask.end, |end| end.max(mask.end));
                self.masked_until = Some(end);
                shown = end.min(limit);
            }
        }
        out.extend_from_slice(slice(shown, limit));
        self.at = limit;
        self.before = bytes.last().copied().or(self.before);
    }

    /// Goes on with other values. What was found with the old ones stays found.
    fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        let mut old = std::mem::take(&mut self.scans);
        for layer in snapshot.layers() {
            let same = old.iter().position(|scan| Arc::ptr_eq(scan.layer(), layer));
            let scan = same.map(|i| old.swap_remove(i));
            self.scans
                .push(scan.unwrap_or_else(|| Scan::new(Arc::clone(layer))));
        }
        self.snapshot = snapshot;
    }
}

impl Stretch {
    /// By place. Which of several at one place gives its name must not depend on the order in
    /// which they were found or registered, nor on how much of an endless one has been seen.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |stretch: &Self| match &stretch.label {
            Label::Value(_) => (0, Reverse(stretch.end)),
            Label::Rule(_) => (1, Reverse(0)),
        };
        let by_place = self.start.cmp(&other.start);
        by_place
            .then_with(|| rank(self).cmp(&rank(other)))
            .then_with(|| self.label.name().cmp(other.label.name()))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
