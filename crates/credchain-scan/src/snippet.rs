//! Lines and columns, and the line around a finding without what was found.

use std::ops::Range;

use credchain_redact::Redactor;

/// How much is shown before and after a secret.
const BEFORE: usize = 48;
const AFTER: usize = 32;

/// Where lines begin, asked for places in ascending order.
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            number: 1,
        }
    }

    /// The number of the line that a byte is in; no smaller than asked for before.
    pub(crate) fn number(&mut self, at: usize) -> u64 {
        let between = self.text.get(self.at..at).unwrap_or_default();
        self.number += memchr::memchr_iter(b'\n', between).count() as u64;
        self.at = self.at.max(at);
        self.number
    }
}

/// The bytes of the line that a byte is in, without its end.
pub(crate) fn line_around(text: &[u8], at: usize) -> Range<usize> {
    let before = text.get(..at).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let after = text.get(at..).unwrap_or_default();
    let end = memchr::memchr(b'\n', after).map_or(text.len(), |length| at + length);
    let has_return = end > start && text.get(end - 1) == Some(&b'\r');
    start..end - usize::from(has_return)
}

/// How many characters of a line stand before a byte, and one.
pub(crate) fn column(text: &[u8], line: &Range<usize>, at: usize) -> u64 {
    let before = text.get(line.start..at).unwrap_or_default();
    // What continues a character in UTF-8 is no character.
    let continues = |byte: &&u8| **byte & 0xc0 != 0x80;
    before.iter().filter(continues).count() as u64 + 1
}

/// What stands around a secret in its line, in which each of `secrets`, and whatever a log would
/// hide, is `***`.
pub(crate) fn snippet(
    text: &[u8],
    line: &Range<usize>,
    secret: &Range<usize>,
    secrets: &[Range<usize>],
    redactor: &Redactor,
) -> String {
    let start = line.start.max(secret.start.saturating_sub(BEFORE));
    let end = line.end.min(secret.end.saturating_add(AFTER)).max(start);
    let mut masked = Vec::new();
    let mut shown = start;
    for other in secrets {
        if other.end <= start || other.start >= end {
            continue;
        }
        if other.start > shown {
            masked.extend_from_slice(text.get(shown..other.start).unwrap_or_default());
        }
        if other.start >= shown || shown == start {
            masked.extend_from_slice(b"***");
        }
        shown = shown.max(other.end.min(end));
    }
    masked.extend_from_slice(text.get(shown..end).unwrap_or_default());
    let clean = redactor.redact(&masked);
    let clean = String::from_utf8_lossy(&clean);
    // A character may have been cut in the middle.
    let clean = clean.trim_matches(char::REPLACEMENT_CHARACTER).trim();
    let cut = |is_cut: bool| if is_cut { "…" } else { "" };
    format!("{}{clean}{}", cut(start > line.start), cut(end < line.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a\nbä c\r\nd".as_bytes();
        let mut lines = Lines::new(text);
        assert_eq!(
            (lines.number(0), lines.number(6), lines.number(9)),
            (1, 2, 3)
        );
        let line = line_around(text, 6);
        assert_eq!(&text[line.clone()], "bä c".as_bytes());
        assert_eq!(column(text, &line, 6), 4);
        assert_eq!(line_around(b"", 0), 0..0);
    }

    #[test]
    fn a_long_line_is_cut_and_no_secret_of_it_is_shown() {
        let text = format!("{} k=SECRET1,SECRET2 {}", "x".repeat(500), "y".repeat(500));
        let at = text.find("SECRET1").unwrap();
        let secrets = [at..at + 7, at + 8..at + 15];
        let shown = snippet(
            text.as_bytes(),
            &(0..text.len()),
            &secrets[0],
            &secrets,
            &Redactor::new(),
        );
        assert!(shown.contains("k=***,*** y"), "{shown}");
        assert!(shown.starts_with("…x") && shown.ends_with("y…"), "{shown}");
        assert!(shown.len() < 120, "{shown}");
    }
}
