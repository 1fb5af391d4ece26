//! Where a needle may begin, looking at a few bytes in every stride of the text.
//!
//! Let `m` be the length of the shortest needle and `q` that of a gram. Whatever the position of a
//! needle in the text, one of its first `m - q + 1` grams begins at a multiple of this stride. So
//! those grams of every needle go into a table, and the text is looked at once in a stride: a load,
//! a multiplication, one bit. Needles are sorted into tiers by length, so that a short one does not
//! shorten the stride for all.

use std::fmt;

use zeroize::Zeroize as _;

use super::needles::Needles;

/// A gram that begins a stride and is in a needle.
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    /// Where the gram begins in the text.
    pub(crate) at: usize,
    /// Bit `o` is set if a needle has the gram at offset `o`.
    pub(crate) offsets: u16,
}

/// Set in [`Hit::offsets`] if the gram is further inside a needle, where it only counts after a
/// line break within base64.
pub(crate) const INSIDE: u16 = 1 << 15;

/// Where the grams are that find the rest of base64 after a line break: no line is so short that
/// the first of them could be before the break and the last one behind the next.
pub(crate) const INSIDE_FROM: usize = 16;

/// The filters of all needles.
pub(crate) struct Filter {
    /// Needles of 16 bytes and more.
    long: Option<Tier<8, 9>>,
    /// Needles of 8 to 15 bytes.
    middle: Option<Tier<4, 5>>,
    /// Needles of 4 to 7 bytes.
    short: Option<Tier<4, 1>>,
    /// What needles of less than 4 bytes begin with.
    tiny: Option<Box<[bool; 256]>>,
    /// Whether a needle may be broken into lines.
    has_wrapping: bool,
}

impl Filter {
    pub(crate) fn new(needles: &Needles) -> Self {
        let spans = needles.spans();
        // A few needles all go into one tier: looking twice costs more than a shorter stride.
        let has_middle = spans.iter().any(|span| (8..16).contains(&span.len));
        let together = needles.len() <= FEW && has_middle;
        let mut counts = [0; 4];
        for span in spans {
            let inside_too = 1 + usize::from(span.wraps);
            match span.len {
                16.. if !together => counts[3] += 9 * inside_too,
                8.. => counts[2] += 5 * inside_too,
                4.. => counts[1] += 1,
                _ => counts[0] += 1,
            }
        }
        let mut filter = Self {
            long: Tier::sized(counts[3]),
            middle: Tier::sized(counts[2]),
            short: Tier::sized(counts[1]),
            tiny: (counts[0] > 0).then(|| Box::new([false; 256])),
            has_wrapping: needles.spans().iter().any(|span| span.wraps),
        };
        for (i, span) in needles.spans().iter().enumerate() {
            filter.add(needles.text(i), span.wraps);
        }
        filter
    }

    fn add(&mut self, text: &[u8], wraps: bool) {
        match (self, text.len()) {
            (
                Self {
                    long: Some(tier), ..
                },
                16..,
            ) => tier.add(text, wraps),
            (
                Self {
                    middle: Some(tier), ..
                },
                8..,
            ) => tier.add(text, wraps),
            (
                Self {
                    short: Some(tier), ..
                },
                4..=7,
            ) => tier.add(text, false),
            (
                Self {
                    tiny: Some(first), ..
                },
                1..=3,
            ) => first[usize::from(text[0])] = true,
            _ => {}
        }
    }

    /// Calls `found` for what the strides of `text` from `from` on begin with, until it is false.
    pub(crate) fn scan(
        &self,
        text: &[u8],
        from: usize,
        found: &mut impl FnMut(Hit) -> bool,
    ) -> bool {
        self.long
            .as_ref()
            .is_none_or(|tier| tier.scan(text, from, found))
            && self
                .middle
                .as_ref()
                .is_none_or(|tier| tier.scan(text, from, found))
            && self
                .short
                .as_ref()
                .is_none_or(|tier| tier.scan(text, from, found))
            && self.tiny.as_ref().is_none_or(|first| {
                text[from..].iter().enumerate().all(|(i, &byte)| {
                    !first[usize::from(byte)]
                        || found(Hit {
                            at: from + i,
                            offsets: 1,
                        })
                })
            })
    }

    pub(crate) fn has_wrapping(&self) -> bool {
        self.has_wrapping
    }

    /// How many bytes at the end of a text may begin a needle without having been looked at.
    pub(crate) fn unseen(&self) -> usize {
        let long = self.long.as_ref().map_or(0, |_| 8 + 9 - 2);
        let middle = self.middle.as_ref().map_or(0, |_| 4 + 5 - 2);
        let short = self.short.as_ref().map_or(0, |_| 4 + 1 - 2);
        long.max(middle).max(short)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

/// How many needles are a few.
const FEW: usize = 512;

/// Grams of `Q` bytes, looked for in every `S`-th place.
struct Tier<const Q: usize, const S: usize> {
    /// A bit for each value that the beginning of a gram's hash can have; a power of two of words.
    bits: Vec<u64>,
    /// By hash: 48 bits of it, and the offsets at which the gram is found; 0 is a free place.
    table: Vec<u64>,
}

/// How many strides are looked at before anything is decided.
const BATCH: usize = 8;

impl<const Q: usize, const S: usize> Tier<Q, S> {
    fn sized(grams: usize) -> Option<Self> {
        // Sparse bits make false alarms rare, dense bits stay in the cache. The sizes are those
        // for which `scan` is compiled.
        let words = match grams {
            0 => return None,
            1..=1_000 => SMALL,
            1_001..=8_000 => MEDIUM,
            8_001..=64_000 => LARGE,
            64_001..=512_000 => HUGE,
            _ => GIANT,
        };
        let places = (2 * grams).next_power_of_two();
        Some(Self {
            bits: vec![0; words],
            table: vec![0; places],
        })
    }

    fn add(&mut self, text: &[u8], inside_too: bool) {
        for (offset, gram) in text.windows(Q).take(S).enumerate() {
            self.insert(hash::<Q>(gram), 1 << offset);
        }
        if inside_too {
            for gram in text[INSIDE_FROM..].windows(Q).take(S) {
                self.insert(hash::<Q>(gram), INSIDE);
            }
        }
    }

    fn insert(&mut self, hash: u64, offsets: u16) {
        let bit = bit(hash, self.bits.len());
        self.bits[bit / 64] |= 1 << (bit % 64);
        let place = self.place(hash);
        self.table[place] |= tag(hash) | u64::from(offsets);
    }

    /// The place of this hash, or the free place for it.
    fn place(&self, hash: u64) -> usize {
        let mask = self.table.len() - 1;
        let mut place = first_place(hash, self.table.len());
        while self.table[place] != 0 && self.table[place] & TAG != tag(hash) {
            place = (place + 1) & mask;
        }
        place
    }

    fn scan(&self, text: &[u8], from: usize, found: &mut impl FnMut(Hit) -> bool) -> bool {
        // A size that the compiler knows makes every look-up one without a check.
        match self.bits.len() {
            SMALL => self.scan_sized::<SMALL>(text, from, found),
            MEDIUM => self.scan_sized::<MEDIUM>(text, from, found),
            LARGE => self.scan_sized::<LARGE>(text, from, found),
            HUGE => self.scan_sized::<HUGE>(text, from, found),
            _ => self.scan_sized::<GIANT>(text, from, found),
        }
    }

    fn scan_sized<const WORDS: usize>(
        &self,
        text: &[u8],
        from: usize,
        found: &mut impl FnMut(Hit) -> bool,
    ) -> bool {
        let Some(bits) = self.bits.first_chunk::<WORDS>() else {
            return true;
        };
        let mut at = from;
        let reach = (BATCH - 1) * S + Q;
        while let Some(block) = text.get(at..at + reach) {
            let mut any = 0;
            for i in 0..BATCH {
                let bit = bit(hash::<Q>(&block[i * S..i * S + Q]), WORDS);
                any |= bits[bit / 64] >> (bit % 64);
            }
            if any & 1 != 0 && !self.look(text, at, BATCH, found) {
                return false;
            }
            at += BATCH * S;
        }
        let rest = text.len().saturating_sub(at + Q - 1).div_ceil(S);
        self.look(text, at, rest, found)
    }

    /// Looks at `count` strides closely.
    #[cold]
    #[inline(never)]
    fn look(
        &self,
        text: &[u8],
        at: usize,
        count: usize,
        found: &mut impl FnMut(Hit) -> bool,
    ) -> bool {
        (0..count).map(|i| at + i * S).all(|at| {
            let hash = hash::<Q>(&text[at..at + Q]);
            let bit = bit(hash, self.bits.len());
            if self.bits[bit / 64] >> (bit % 64) & 1 == 0 {
                return true;
            }
            let entry = self.table[self.place(hash)];
            let offsets = u16::try_from(entry & !TAG).unwrap_or(0);
            offsets == 0 || found(Hit { at, offsets })
        })
    }
}

impl<const Q: usize, const S: usize> Drop for Tier<Q, S> {
    fn drop(&mut self) {
        self.bits.zeroize();
        self.table.zeroize();
    }
}

/// Words of bits: 4 KiB, 32 KiB, 256 KiB, 2 MiB, 8 MiB.
const SMALL: usize = 1 << 9;
const MEDIUM: usize = 1 << 12;
const LARGE: usize = 1 << 15;
const HUGE: usize = 1 << 18;
const GIANT: usize = 1 << 20;

/// The part of a table's entry that is the hash.
const TAG: u64 = !0xFFFF;

fn tag(hash: u64) -> u64 {
    hash & TAG
}

/// The bit for a hash in a power of two of words: its upper bits, which every bit of the gram
/// has a part in.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is left is less than the bits there are"
)]
fn bit(hash: u64, words: usize) -> usize {
    (hash >> (u64::BITS - 6 - words.trailing_zeros())) as usize
}

/// Where in a table of this size a hash is looked for first.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower bits are what is wanted"
)]
fn first_place(hash: u64, size: usize) -> usize {
    (hash ^ (hash >> 32)) as usize & (size - 1)
}

#[inline]
fn hash<const Q: usize>(gram: &[u8]) -> u64 {
    let mut first = [0; 8];
    first[..Q].copy_from_slice(&gram[..Q]);
    u64::from_le_bytes(first).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
