//! Every needle in order: one binary search tells what a text begins with, and a range of needles
//! with a common beginning is a node of the trie that nobody has to build.

use std::fmt;

use zeroize::Zeroize as _;

use crate::buffer::Buffer;

/// What is looked for, without the bytes.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Where it begins in the bytes of all.
    pub(crate) start: usize,
    pub(crate) len: u32,
    /// Whose it is, as the layer counts them.
    pub(crate) owner: u32,
    /// Whether it is base64 that may be broken into lines.
    pub(crate) wraps: bool,
}

/// All needles that begin with the same `depth` bytes: `lo..hi` in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    pub(crate) lo: u32,
    pub(crate) hi: u32,
    pub(crate) depth: u32,
}

/// What a text begins with.
pub(crate) struct Beginning {
    /// The longest needle that the text begins with.
    pub(crate) longest: Option<usize>,
    /// The needles of which the whole text is only the beginning.
    pub(crate) open: Option<Node>,
    /// How many bytes were compared.
    pub(crate) work: usize,
}

/// Needles in order, each once.
pub(crate) struct Needles {
    bytes: Buffer,
    spans: Vec<Span>,
    /// The first eight bytes of each as a number, which orders almost all.
    keys: Vec<u64>,
    /// How many bytes each has in common with the one before.
    common: Vec<u32>,
    /// The longest other needle that each begins with.
    parents: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Needles {
    /// Puts needles in order. Of two that are the same the one with the smaller owner stays.
    pub(crate) fn new(bytes: Buffer, mut spans: Vec<Span>) -> Self {
        let text = |span: &Span| &bytes[span.start..span.start + span.len as usize];
        let mut keyed: Vec<(u64, Span)> = spans
            .drain(..)
            .map(|span| (key(text(&span)), span))
            .collect();
        keyed.sort_unstable_by(|(a_key, a), (b_key, b)| {
            a_key
                .cmp(b_key)
                .then_with(|| text(a).cmp(text(b)))
                .then_with(|| (a.owner, !a.wraps).cmp(&(b.owner, !b.wraps)))
        });
        keyed.dedup_by(|(a_key, a), (b_key, b)| {
            let same = a_key == b_key && text(a) == text(b);
            // The one that goes may be the one that wraps.
            b.wraps |= same && a.wraps;
            same
        });
        let keys = keyed.iter().map(|(key, _)| *key).collect();
        let spans = keyed.iter().map(|(_, span)| *span).collect();
        for (key, _) in &mut keyed {
            key.zeroize();
        }
        Self::ordered(bytes, spans, keys)
    }

    /// The needles that may be broken into lines, in the same order.
    pub(crate) fn wrapping(&self) -> Self {
        let chosen: Vec<usize> = (0..self.len()).filter(|&i| self.spans[i].wraps).collect();
        let size = chosen.iter().map(|&i| self.spans[i].len as usize).sum();
        let mut bytes = Buffer::with_capacity(size);
        let mut spans = Vec::with_capacity(chosen.len());
        for &i in &chosen {
            let start = bytes.len();
            bytes.extend(self.text(i));
            spans.push(Span {
                start,
                ..self.spans[i]
            });
        }
        let keys = chosen.iter().map(|&i| self.keys[i]).collect();
        Self::ordered(bytes, spans, keys)
    }

    fn ordered(bytes: Buffer, spans: Vec<Span>, keys: Vec<u64>) -> Self {
        let mut needles = Self {
            bytes,
            spans,
            keys,
            common: Vec::new(),
            parents: Vec::new(),
        };
        let mut common = Vec::with_capacity(needles.len());
        let mut parents = Vec::with_capacity(needles.len());
        for i in 0..needles.len() {
            let shared = if i == 0 {
                0
            } else {
                shared(needles.text(i - 1), needles.text(i))
            };
            // Whatever this one begins with begins the one before as well, or is the one before.
            let mut parent = i.checked_sub(1).map_or(NONE, index);
            while parent != NONE && needles.spans[parent as usize].len as usize > shared {
                parent = parents[parent as usize];
            }
            common.push(index(shared));
            parents.push(parent);
        }
        needles.common = common;
        needles.parents = parents;
        needles
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn span(&self, i: usize) -> Span {
        self.spans[i]
    }

    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(crate) fn text(&self, i: usize) -> &[u8] {
        let span = &self.spans[i];
        &self.bytes[span.start..span.start + span.len as usize]
    }

    /// Whether this is so for one of them.
    pub(crate) fn any(&self, is_so: impl Fn(&[u8]) -> bool) -> bool {
        (0..self.len()).any(|i| is_so(self.text(i)))
    }

    /// The depth from which on nodes are numbered by this needle: what it shares with the one before.
    pub(crate) fn common(&self, i: usize) -> u32 {
        self.common[i]
    }

    pub(crate) fn root(&self) -> Node {
        Node {
            lo: 0,
            hi: index(self.len()),
            depth: 0,
        }
    }

    /// What a text begins with.
    pub(crate) fn begin(&self, text: &[u8]) -> Beginning {
        let wanted = key(text);
        let first = self.keys.partition_point(|&key| key < wanted);
        let mut after = first;
        let mut work = 0;
        if self.keys.get(first) == Some(&wanted) {
            let same = partition(self.len() - first, |i| self.keys[first + i] == wanted);
            after += partition(same, |i| {
                let needle = self.text(first + i);
                work += needle.len().min(text.len());
                needle <= text
            });
        }
        let longest = after
            .checked_sub(1)
            .and_then(|i| self.longest(i, text, &mut work));
        let is_open = after < self.len() && self.text(after).starts_with(text);
        let open = is_open.then(|| {
            work += text.len();
            let rest = self.len() - after;
            let hi = after + partition(rest, |i| self.text(after + i).starts_with(text));
            // A needle that is the text itself belongs to the node, and numbers it.
            let ends_here = longest.is_some_and(|i| self.text(i).len() == text.len());
            let lo = after - usize::from(ends_here);
            Node {
                lo: index(lo),
                hi: index(hi),
                depth: index(text.len()),
            }
        });
        Beginning {
            longest,
            open,
            work,
        }
    }

    /// The longest needle that this text begins with, which is needle `i` or begins it.
    fn longest(&self, i: usize, text: &[u8], work: &mut usize) -> Option<usize> {
        let shared = shared(self.text(i), text);
        *work += shared;
        let mut i = index(i);
        while i != NONE && self.spans[i as usize].len as usize > shared {
            *work += 1;
            i = self.parents[i as usize];
        }
        (i != NONE).then_some(i as usize)
    }

    /// The node one byte further down.
    pub(crate) fn child(&self, node: Node, byte: u8) -> Option<Node> {
        let depth = node.depth as usize;
        let mut lo = node.lo as usize;
        let hi = node.hi as usize;
        // The needle that ends here comes before all that go on.
        if lo < hi && self.spans[lo].len as usize == depth {
            lo += 1;
        }
        if hi - lo > 1 {
            let at = |i: usize| self.text(lo + i)[depth];
            let below = partition(hi - lo, |i| at(i) < byte);
            let same = partition(hi - lo - below, |i| at(below + i) == byte);
            lo += below;
            let child = Node {
                lo: index(lo),
                hi: index(lo + same),
                depth: node.depth + 1,
            };
            return (same > 0).then_some(child);
        }
        let goes_on = lo < hi && self.text(lo)[depth] == byte;
        goes_on.then(|| Node {
            lo: index(lo),
            hi: index(hi),
            depth: node.depth + 1,
        })
    }

    /// The node one byte further up.
    pub(crate) fn above(&self, node: Node) -> Node {
        let depth = node.depth as usize - 1;
        if depth == 0 {
            return self.root();
        }
        let prefix = &self.text(node.lo as usize)[..depth];
        // Most nodes are on the way of one needle alone, which this finds at once.
        let mut lo = node.lo as usize;
        if self.common[lo] as usize >= depth {
            lo = partition(lo, |i| self.text(i) < prefix);
        }
        let hi = node.hi as usize;
        let more = partition(self.len() - hi, |i| self.text(hi + i).starts_with(prefix));
        Node {
            lo: index(lo),
            hi: index(hi + more),
            depth: node.depth - 1,
        }
    }

    /// Whether a needle ends at this node.
    pub(crate) fn ends(&self, node: Node) -> bool {
        node.depth > 0 && self.spans[node.lo as usize].len == node.depth
    }
}

impl Drop for Needles {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Needles").finish_non_exhaustive()
    }
}

/// The first eight bytes, the first one most significant; a shorter text is filled with zeros,
/// so that numbers are never in another order than texts, at most equal.
fn key(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(8);
    first[..len].copy_from_slice(&text[..len]);
    u64::from_be_bytes(first)
}

/// How many bytes two texts have in common at their beginning.
fn shared(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let blocks = a
        .chunks_exact(BLOCK)
        .zip(b.chunks_exact(BLOCK))
        .take_while(|(a, b)| a == b)
        .count();
    let start = blocks * BLOCK;
    let rest = a[start..].iter().zip(&b[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

/// How many of `0..count` are before the first for which this is false.
fn partition(count: usize, mut holds: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    // The answer is mostly near the beginning.
    let mut step = 1;
    while low + step <= high && holds(low + step - 1) {
        low += step;
        step *= 2;
    }
    high = high.min(low + step - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Needles are counted and measured in 32 bits: what is longer than that is not registered.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}
