//! Lines and columns, and the line around a finding without what was found.

use std::ops::Range;

use credchain_redact::Redactor;

use crate::allow::Comment;

/// How much is shown before and after a secret.
const BEFORE: usize = 48;
const AFTER: usize = 32;

/// A place in a text that moves forward only, so that a line of any length with any number of
/// findings is looked at once.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    number: u64,
    line: Range<usize>,
    /// How many characters of the line stand before the place.
    characters: u64,
    comments: Option<Vec<Comment>>,
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            number: 1,
            line: line_around(text, 0),
            characters: 0,
            comments: None,
        }
    }

    /// Goes to a byte that is no earlier.
    pub(crate) fn go_to(&mut self, at: usize) {
        let between = |from, to| self.text.get(from..to).unwrap_or_default();
        if at > self.line.end {
            let passed = memchr::memchr_iter(b'\n', between(self.line.end, at)).count();
            self.number += passed as u64;
            self.line = line_around(self.text, at);
            (self.at, self.characters, self.comments) = (self.line.start, 0, None);
        }
        // What continues a character in UTF-8 is no character.
        let begins = |byte: &&u8| **byte & 0xc0 != 0x80;
        self.characters += between(self.at, at).iter().filter(begins).count() as u64;
        self.at = at;
    }

    /// The line's number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Which character of the line it is, from 1.
    pub(crate) fn column(&self) -> u64 {
        self.characters + 1
    }

    /// The bytes of the line, without its end.
    pub(crate) fn line(&self) -> Range<usize> {
        self.line.clone()
    }

    /// Whether a comment in the line allows what a rule finds.
    pub(crate) fn allows(&mut self, rule: &str) -> bool {
        let line = self.text.get(self.line.clone()).unwrap_or_default();
        let comments = self.comments.get_or_insert_with(|| Comment::all_in(line));
        comments.iter().any(|comment| comment.allows(rule))
    }
}

/// The bytes of the line that a byte is in, without its end.
fn line_around(text: &[u8], at: usize) -> Range<usize> {
    let before = text.get(..at).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let after = text.get(at..).unwrap_or_default();
    let end = memchr::memchr(b'\n', after).map_or(text.len(), |length| at + length);
    let has_return = end > at && text.get(end - 1) == Some(&b'\r');
    start..end - usize::from(has_return)
}

/// What stands around a secret in its line, in which each of `secrets`, and whatever a log would
/// hide, is `***`. The secrets are in order and share no byte.
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
    let first = secrets.partition_point(|other| other.end <= start);
    let here = secrets.get(first..).unwrap_or_default().iter();
    for other in here.take_while(|other| other.start < end) {
        masked.extend_from_slice(text.get(shown..other.start).unwrap_or_default());
        masked.extend_from_slice(b"***");
        shown = other.end.min(end);
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
        let text = "a\nbä c\r\nd credchain:allow x-1\n".as_bytes();
        let mut cursor = Cursor::new(text);
        let mut at = |at| {
            cursor.go_to(at);
            (
                cursor.number(),
                cursor.column(),
                cursor.line(),
                cursor.allows("x-1"),
            )
        };
        assert_eq!(at(0), (1, 1, 0..1, false));
        assert_eq!(at(2), (2, 1, 2..7, false));
        assert_eq!(at(6), (2, 4, 2..7, false));
        assert_eq!(at(9), (3, 1, 9..30, true));
        assert_eq!(at(10), (3, 2, 9..30, true));
        assert_eq!(Cursor::new(b"").line(), 0..0);
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
