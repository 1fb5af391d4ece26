//! Finds a few hundred keywords at once, at the speed of memory.
//!
//! A keyword covers two neighbouring grams of three bytes, and one of them begins at an even
//! position. So every second position of the text is looked up in two tables of grams, and the rare
//! hit is compared with the keywords that have the gram. Letters of both cases are one: whether a
//! keyword minds is decided by the comparison. A short keyword has one gram only, and takes the byte
//! before or after it into the other one; what may stand there keeps that gram rare.

use super::spec::Left;

const GRAM: usize = 3;
const STRIDE: usize = 2;
/// A gram has an entry in each of two tables of bytes, 16 KiB each, so that both stay in the fastest
/// cache; a byte has a bit for each of eight kinds of grams. A position is of interest if its two
/// bytes share a bit.
const TABLE_BITS: u32 = 14;
const TABLE: usize = 1 << TABLE_BITS;
/// In how many lists the grams are kept.
const LIST_BITS: u32 = 11;
const LISTS: usize = 1 << LIST_BITS;
/// Makes letters of both cases one, by the bit in which they differ, and four bytes a gram of three.
const FOLD: u32 = 0xff20_2020;
/// How many bytes of text one round of the hot loop covers, and how many it reads.
const BLOCK: usize = 16;
const READ: usize = BLOCK + 4;

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
    tables: [Box<[u8; TABLE]>; 2],
    /// Which keyword has a gram and how far from the keyword's beginning, ordered by list.
    grams: Vec<Gram>,
    /// Where each list begins; one more for the end.
    lists: Vec<u32>,
    longest: usize,
}

struct Gram {
    bytes: u32,
    keyword: usize,
    /// Where the gram is, from the keyword's beginning.
    offset: i8,
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keyword {
    /// At least two bytes.
    pub(super) bytes: Box<[u8]>,
    /// Whether case does not matter.
    pub(super) ignore_case: bool,
    /// What may stand before it; anything if the match begins earlier.
    pub(super) left: Left,
    /// How many characters of a token must follow, at least. Words are short where keywords are.
    pub(super) then: usize,
}

impl Prefilter {
    /// Prepares the search.
    pub(super) fn new(keywords: Vec<Keyword>) -> Self {
        let mut grams = Vec::new();
        for (keyword, sought) in keywords.iter().enumerate() {
            for (bytes, offset) in grams_of(sought) {
                grams.push(Gram {
                    bytes,
                    keyword,
                    offset,
                });
            }
        }
        let key = |gram: &Gram| (list(gram.bytes), gram.bytes, gram.keyword, gram.offset);
        grams.sort_unstable_by_key(key);
        grams.dedup_by_key(|gram| key(gram));
        let mut tables = [Box::new([0; TABLE]), Box::new([0; TABLE])];
        let mut lists = vec![0; LISTS + 1];
        for gram in &grams {
            let [first, second] = slots(gram.bytes);
            let kind = 1 << (list(gram.bytes) & 7);
            tables[0][first] |= kind;
            tables[1][second] |= kind;
            lists[list(gram.bytes) + 1] += 1;
        }
        for list in 0..LISTS {
            lists[list + 1] += lists[list];
        }
        let longest = keywords.iter().map(|keyword| keyword.bytes.len()).max();
        Self {
            keywords,
            tables,
            grams,
            lists,
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
            let mut seen = self.interesting(block);
            while seen != 0 {
                let position = seen.trailing_zeros() as usize / 8;
                self.verify(text, at + position * STRIDE, fresh, hits);
                seen &= !(0xff << (8 * position));
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

    /// Which even positions of the block are of interest: a byte for each, zero if it is not.
    #[inline]
    fn interesting(&self, block: &[u8; READ]) -> u64 {
        let mut seen = 0;
        // Unrolled and without a branch by the compiler.
        for position in 0..BLOCK / STRIDE {
            let at = position * STRIDE;
            let bytes = [block[at], block[at + 1], block[at + 2], block[at + 3]];
            let [first, second] = slots(u32::from_le_bytes(bytes) | FOLD);
            let shared = self.tables[0][first] & self.tables[1][second];
            seen |= u64::from(shared) << (8 * position);
        }
        seen
    }

    /// Compares the keywords that have the gram at this position.
    fn verify(&self, text: &[u8], at: usize, fresh: usize, hits: &mut Vec<Hit>) {
        let bytes = gram_at(text, at);
        let list = list(bytes);
        let range = self.lists[list] as usize..self.lists[list + 1] as usize;
        for gram in self.grams[range].iter().filter(|gram| gram.bytes == bytes) {
            let keyword = &self.keywords[gram.keyword];
            let Some(start) = at.checked_add_signed(-isize::from(gram.offset)) else {
                continue;
            };
            let end = start + keyword.bytes.len();
            if end > fresh && keyword.is_at(text, start) {
                hits.push(Hit {
                    end,
                    start,
                    keyword: gram.keyword,
                });
            }
        }
    }
}

impl Keyword {
    fn is_at(&self, text: &[u8], start: usize) -> bool {
        let Some(found) = text.get(start..start + self.bytes.len()) else {
            return false;
        };
        let same = if self.ignore_case {
            found.eq_ignore_ascii_case(&self.bytes)
        } else {
            *found == *self.bytes
        };
        // Where the text begins, what stands before it is not known here.
        let before = start.checked_sub(1).and_then(|before| text.get(before));
        let mut after = text[start + found.len()..].iter().take(self.then);
        same && before.is_none_or(|&before| self.left.allows(Some(before), found[0]))
            && after.all(|&byte| is_token(byte))
    }
}

/// Where a gram is in the two tables.
#[inline]
fn slots(gram: u32) -> [usize; 2] {
    // Multiplying by large odd numbers mixes all bytes into the upper bits.
    [0x9e37_79b1, 0x85eb_ca6b]
        .map(|factor| (gram.wrapping_mul(factor) >> (32 - TABLE_BITS)) as usize)
}

/// Which list a gram is in.
fn list(gram: u32) -> usize {
    (gram.wrapping_mul(0xc2b2_ae35) >> (32 - LIST_BITS)) as usize
}

/// The gram at this position; past the end of the text there are spaces.
fn gram_at(text: &[u8], at: usize) -> u32 {
    let byte = |offset| text.get(at + offset).copied().unwrap_or(b' ');
    fold([byte(0), byte(1), byte(2)])
}

/// Upper and lower case, and some other pairs, made one by the bit in which letters differ.
fn fold(bytes: [u8; GRAM]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | FOLD
}

/// The grams that find a keyword at an even and at an odd position, and where they are in it.
fn grams_of(keyword: &Keyword) -> Vec<(u32, i8)> {
    let bytes = &keyword.bytes;
    if bytes.len() > GRAM {
        return rarest_pair(bytes);
    }
    let [first, second, ..] = **bytes else {
        return Vec::new();
    };
    let with_before = (0..=u8::MAX)
        .filter(|&before| keyword.left.allows(Some(before), first))
        .map(|before| (fold([before, first, second]), -1));
    // Past the end of the text there are spaces, and what really comes may be anything.
    let after = |byte: &u8| keyword.then == 0 || *byte == b' ' || is_token(*byte);
    let with_after = |a, b, offset| {
        let bytes = (0..=u8::MAX).filter(after);
        bytes.map(move |byte| (fold([a, b, byte]), offset))
    };
    match bytes.get(2) {
        None => with_before.chain(with_after(first, second, 0)).collect(),
        Some(&third) => {
            let whole = std::iter::once((fold([first, second, third]), 0));
            if commonness(first) < commonness(third) {
                whole.chain(with_before).collect()
            } else {
                whole.chain(with_after(second, third, 1)).collect()
            }
        }
    }
}

/// What tokens are made of.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
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

    fn any(word: &str, ignore_case: bool) -> Keyword {
        Keyword {
            bytes: word.as_bytes().into(),
            ignore_case,
            left: Left::Any,
            then: 0,
        }
    }

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
        let filter = Prefilter::new(words.iter().map(|(word, fold)| any(word, *fold)).collect());
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
    fn a_keyword_that_ends_with_the_text_is_found_and_then_not_again() {
        for word in ["s.", "re_", "pat", "sk-", "token"] {
            let keyword = Keyword {
                left: Left::Word,
                then: 4,
                ..any(word, false)
            };
            let filter = Prefilter::new(vec![keyword]);
            for lead in 0..20 {
                let text = format!("{}{word}", " ".repeat(lead));
                let mut hits = Vec::new();
                filter.find(text.as_bytes(), 0, &mut hits);
                assert_eq!(hits.len(), 1, "{text}");
                hits.clear();
                filter.find(format!("{text}abcdef").as_bytes(), text.len(), &mut hits);
                assert_eq!(hits.len(), 0, "{text}");
                filter.find(format!("{text}a cdef").as_bytes(), 0, &mut hits);
                assert_eq!(hits.len(), 0, "{text}");
            }
        }
    }

    #[test]
    fn case_matters_only_where_it_is_said_to() {
        let filter = Prefilter::new(vec![any("AKIA", false), any("token", true)]);
        let mut hits = Vec::new();
        filter.find(b"akia TOKEN AKIA Token", 0, &mut hits);
        let starts: Vec<_> = hits.iter().map(|hit| hit.start).collect();
        assert_eq!(starts, [5, 11, 16]);
    }

    #[test]
    fn what_may_not_stand_before_a_keyword_hides_it_at_every_position() {
        for word in ["s.", "pat", "ghp_"] {
            let keyword = Keyword {
                left: Left::Word,
                ..any(word, false)
            };
            let filter = Prefilter::new(vec![keyword]);
            for lead in 0..40 {
                for (before, wanted) in [(" ", 1), ("-", 1), ("x", 0), ("_", 0)] {
                    let text = format!("{}{before}{word}Q7", ".".repeat(lead));
                    let mut hits = Vec::new();
                    filter.find(text.as_bytes(), 0, &mut hits);
                    assert_eq!(hits.len(), wanted, "{text}");
                }
            }
        }
    }
}
