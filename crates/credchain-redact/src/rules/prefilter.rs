//! Finds a few hundred keywords at once, at the speed of memory.
//!
//! A keyword covers two neighbouring grams of three bytes, and one of them begins at an even
//! position. So every second position of the text is looked up in a bitmap of grams, and the rare
//! hit is compared with the keywords that have the gram. Letters of both cases are one: whether a
//! keyword minds is decided by the comparison.

const GRAM: usize = 3;
const STRIDE: usize = 2;
/// The bitmap has 2^17 bits: 16 KiB, which stay in the fastest cache.
const BITS: u32 = 17;
const WORDS: usize = 1 << (BITS - 6);
/// How many bytes of text one round of the hot loop covers, and how many it reads.
const BLOCK: usize = 16;
const READ: usize = BLOCK + 4;

/// The shortest keyword that can be searched for.
pub(super) const MIN_KEYWORD: usize = 2;

/// A keyword as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    /// The byte after it. First, since hits are ordered by it.
    pub(super) end: usize,
    /// Its first byte.
    pub(super) start: usize,
    /// Which keyword.
    pub(super) keyword: usize,
}

/// Keywords, ready to be searched for.
pub(super) struct Prefilter {
    keywords: Vec<Keyword>,
    bitmap: Box<[u64; WORDS]>,
    /// Which keyword has a gram and how far from the keyword's beginning, ordered by gram.
    grams: Vec<(u32, u32, i8)>,
    longest: usize,
}

struct Keyword {
    bytes: Box<[u8]>,
    ignore_case: bool,
}

impl Prefilter {
    /// Takes keywords of at least [`MIN_KEYWORD`] bytes; the flag says that case does not matter.
    pub(super) fn new(keywords: impl IntoIterator<Item = (Box<[u8]>, bool)>) -> Self {
        let keywords: Vec<Keyword> = keywords
            .into_iter()
            .map(|(bytes, ignore_case)| Keyword { bytes, ignore_case })
            .collect();
        let mut grams = Vec::new();
        for (index, keyword) in keywords.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            for (gram, offset) in grams_of(&keyword.bytes) {
                grams.push((gram, index, offset));
            }
        }
        grams.sort_unstable();
        grams.dedup();
        let mut bitmap = Box::new([0; WORDS]);
        for &(gram, _, _) in &grams {
            let (word, bit) = slot(gram);
            bitmap[word] |= bit;
        }
        let longest = keywords.iter().map(|keyword| keyword.bytes.len()).max();
        Self {
            keywords,
            bitmap,
            grams,
            longest: longest.unwrap_or(0),
        }
    }

    /// How long the longest keyword is.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// All keywords in `text` that end after `fresh`, ordered by where they end.
    pub(super) fn find(&self, text: &[u8], fresh: usize, hits: &mut Vec<Hit>) {
        if self.grams.is_empty() {
            return;
        }
        let from = fresh.saturating_sub(self.longest);
        let mut at = from;
        while let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk::<READ>) {
            if self.any(block) {
                for offset in (0..BLOCK).step_by(STRIDE) {
                    self.verify(text, at + offset, fresh, hits);
                }
            }
            at += BLOCK;
        }
        while at < text.len() {
            self.verify(text, at, fresh, hits);
            at += STRIDE;
        }
        hits.sort_unstable();
        hits.dedup();
    }

    /// Whether any gram at an even position of the block is one of ours.
    #[inline]
    fn any(&self, block: &[u8; READ]) -> bool {
        let mut seen = 0;
        // Unrolled and without a branch by the compiler: eight loads, eight bits, one test.
        for offset in (0..BLOCK).step_by(STRIDE) {
            let bytes = [
                block[offset],
                block[offset + 1],
                block[offset + 2],
                block[offset + 3],
            ];
            let (word, bit) = slot((u32::from_le_bytes(bytes) & 0x00ff_ffff) | 0x0020_2020);
            seen |= self.bitmap[word] & bit;
        }
        seen != 0
    }

    /// Compares the keywords that have the gram at this position.
    fn verify(&self, text: &[u8], at: usize, fresh: usize, hits: &mut Vec<Hit>) {
        let gram = gram_at(text, at);
        let (word, bit) = slot(gram);
        if self.bitmap[word] & bit == 0 {
            return;
        }
        let first = self.grams.partition_point(|entry| entry.0 < gram);
        for &(_, index, offset) in self.grams[first..]
            .iter()
            .take_while(|entry| entry.0 == gram)
        {
            let keyword = &self.keywords[index as usize];
            let Some(start) = at.checked_add_signed(-isize::from(offset)) else {
                continue;
            };
            let end = start + keyword.bytes.len();
            if end > fresh && text.get(start..end).is_some_and(|found| keyword.is(found)) {
                hits.push(Hit {
                    end,
                    start,
                    keyword: index as usize,
                });
            }
        }
    }
}

impl Keyword {
    fn is(&self, found: &[u8]) -> bool {
        if self.ignore_case {
            found.eq_ignore_ascii_case(&self.bytes)
        } else {
            *found == *self.bytes
        }
    }
}

/// Where the bitmap has the gram.
#[inline]
fn slot(gram: u32) -> (usize, u64) {
    let hash = gram.wrapping_mul(0x9e37_79b1) >> (32 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// The gram at this position; past the end of the text there are spaces.
fn gram_at(text: &[u8], at: usize) -> u32 {
    let byte = |offset| text.get(at + offset).copied().unwrap_or(b' ');
    fold([byte(0), byte(1), byte(2)])
}

/// Upper and lower case, and some other pairs, made one by the bit in which letters differ.
fn fold(bytes: [u8; GRAM]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | 0x0020_2020
}

/// The grams that find a keyword at an even and at an odd position, and where they are in it.
fn grams_of(keyword: &[u8]) -> Vec<(u32, i8)> {
    let any = || (0..=u8::MAX).filter(|byte| byte & 0x20 != 0);
    match *keyword {
        [] | [_] => Vec::new(),
        [a, b] => any()
            .flat_map(|x| [(fold([a, b, x]), 0), (fold([x, a, b]), -1)])
            .collect(),
        [a, b, c] => std::iter::once((fold([a, b, c]), 0))
            .chain(any().map(|x| (fold([b, c, x]), 1)))
            .collect(),
        _ => rarest_pair(keyword),
    }
}

/// Of all neighbouring grams, the two that ordinary text has least often.
fn rarest_pair(keyword: &[u8]) -> Vec<(u32, i8)> {
    let gram = |at: usize| [keyword[at], keyword[at + 1], keyword[at + 2]];
    let common = |at: usize| gram(at).iter().map(|byte| commonness(*byte)).sum::<u32>();
    // Offsets are small: no keyword is longer than a line.
    let last = (keyword.len() - GRAM).min(100);
    let best = (0..last)
        .min_by_key(|at| common(*at) + common(at + 1))
        .unwrap_or(0);
    [best, best + 1]
        .into_iter()
        .map(|at| (fold(gram(at)), i8::try_from(at).unwrap_or(0)))
        .collect()
}

/// How common a byte is in logs and source, roughly and on a scale of its own.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b' ' => 9,
        b's' | b'r' | b'l' | b'd' | b'c' | b'u' | b'm' => 7,
        b'p' | b'h' | b'f' | b'g' | b'0'..=b'9' => 5,
        b'/' | b'.' | b':' | b'-' | b'b' | b'y' | b'w' => 4,
        b'v' | b'k' | b'_' | b'=' | b'"' => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(keywords: &[(&str, bool)], text: &[u8], fresh: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (keyword, (word, ignore_case)) in keywords.iter().enumerate() {
            for start in 0..text.len() {
                let end = start + word.len();
                let Some(found) = text.get(start..end) else {
                    continue;
                };
                let same = if *ignore_case {
                    found.eq_ignore_ascii_case(word.as_bytes())
                } else {
                    found == word.as_bytes()
                };
                if same && end > fresh {
                    hits.push(Hit {
                        end,
                        start,
                        keyword,
                    });
                }
            }
        }
        hits.sort_unstable();
        hits
    }

    #[test]
    fn finds_what_a_naive_search_finds_at_every_position() {
        let words = [
            ("s.", false),
            ("xy", true),
            ("://", false),
            ("akia", false),
            ("abcdefghij", false),
            ("PassWord", true),
        ];
        let filter = Prefilter::new(
            words
                .iter()
                .map(|(word, fold)| (word.as_bytes().into(), *fold)),
        );
        for (word, _) in words {
            for lead in 0..40 {
                let mut text = vec![b'.'; lead];
                text.extend_from_slice(word.as_bytes());
                for tail in 0..24 {
                    let mut text = text.clone();
                    text.extend(std::iter::repeat_n(b'x', tail));
                    for fresh in [0, lead, lead + 1, text.len() - 1] {
                        let mut hits = Vec::new();
                        filter.find(&text, fresh, &mut hits);
                        assert_eq!(hits, naive(&words, &text, fresh), "{word} {lead} {tail}");
                    }
                }
            }
        }
    }

    #[test]
    fn case_matters_only_where_it_is_said_to() {
        let filter = Prefilter::new([(b"AKIA"[..].into(), false), (b"token"[..].into(), true)]);
        let mut hits = Vec::new();
        filter.find(b"akia TOKEN AKIA Token", 0, &mut hits);
        let starts: Vec<_> = hits.iter().map(|hit| hit.start).collect();
        assert_eq!(starts, [5, 11, 16]);
    }
}
