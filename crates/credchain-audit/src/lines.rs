//! The lines of a file, in constant memory, whatever the file holds.

use std::io::{self, ErrorKind, Read};

use crate::line::MOST;

/// How much is read at a time.
const PIECE: usize = 256 << 10;

/// A line, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Without its line break. Of a line that is longer than any record, the beginning.
    pub(crate) bytes: &'a [u8],
    pub(crate) start: u64,
    /// Where the next line starts.
    pub(crate) end: u64,
    /// Whether it ends with a line break.
    pub(crate) complete: bool,
    /// Whether it is longer than any record.
    pub(crate) too_long: bool,
}

/// Reads lines, beginning at a place of a file where one starts.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// What of the buffer was read and not given out.
    filled: std::ops::Range<usize>,
    /// Where in the file that begins.
    offset: u64,
    /// The beginning of a line that is too long.
    long: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R, offset: u64) -> Self {
        Self::with_piece(source, offset, PIECE)
    }

    /// With less memory, for what is short in all likelihood.
    pub(crate) fn short(source: R, offset: u64) -> Self {
        Self::with_piece(source, offset, 4 * MOST)
    }

    fn with_piece(source: R, offset: u64, piece: usize) -> Self {
        Self {
            source,
            buffer: vec![0; piece],
            filled: 0..0,
            offset,
            long: Vec::new(),
        }
    }

    /// The next line; nothing at the end of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        // Where a line break was not found yet.
        let mut looked = 0;
        loop {
            let unread = &self.buffer[self.filled.clone()];
            if let Some(at) = memchr::memchr(b'\n', &unread[looked..]) {
                return Ok(Some(self.give(looked + at, true)));
            }
            looked = unread.len();
            if looked > MOST {
                return self.long(looked).map(Some);
            }
            if self.fill()? == 0 {
                let rest = self.filled.len();
                return Ok((rest > 0).then(|| self.give(rest, false)));
            }
        }
    }

    fn give(&mut self, length: usize, complete: bool) -> Line<'_> {
        let from = self.filled.start;
        let start = self.offset;
        let whole = length + usize::from(complete);
        self.skip(whole);
        let too_long = whole > MOST;
        Line {
            bytes: &self.buffer[from..from + length.min(MOST)],
            start,
            end: self.offset,
            complete,
            too_long,
        }
    }

    /// Skips the rest of a line of which as much as is of interest was read.
    fn long(&mut self, read: usize) -> io::Result<Line<'_>> {
        let start = self.offset;
        self.long.clear();
        let beginning = &self.buffer[self.filled.start..][..MOST];
        self.long.extend_from_slice(beginning);
        let mut skip = read;
        let complete = loop {
            self.skip(skip);
            if self.fill()? == 0 {
                break false;
            }
            let unread = &self.buffer[self.filled.clone()];
            if let Some(at) = memchr::memchr(b'\n', unread) {
                self.skip(at + 1);
                break true;
            }
            skip = unread.len();
        };
        Ok(Line {
            bytes: &self.long,
            start,
            end: self.offset,
            complete,
            too_long: true,
        })
    }

    fn skip(&mut self, bytes: usize) {
        self.filled.start += bytes;
        self.offset += bytes as u64;
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.filled.start > 0 && self.buffer.len() - self.filled.end < MOST {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        loop {
            match self.source.read(&mut self.buffer[self.filled.end..]) {
                Ok(count) => {
                    self.filled.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives as much at a time as it is told.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(text: &[u8], step: usize) -> Vec<(Vec<u8>, u64, u64, bool, bool)> {
        let mut lines = Lines::short(Slow(text, step), 10);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let bytes = line.bytes.to_vec();
            found.push((bytes, line.start, line.end, line.complete, line.too_long));
        }
        found
    }

    #[test]
    fn lines_are_told_apart_and_the_last_may_be_unfinished() {
        let line = |text: &[u8], start, end, complete| (text.to_vec(), start, end, complete, false);
        let found = all(b"a\n\nbc", 1);
        let expected = [
            line(b"a", 10, 12, true),
            line(b"", 12, 13, true),
            line(b"bc", 13, 15, false),
        ];
        assert_eq!(found, expected);
        assert!(all(b"", 1).is_empty());
    }

    proptest! {
        #[test]
        fn lines_of_any_length_are_found_however_they_arrive(
            lengths in prop::collection::vec(prop_oneof![0..20_usize, MOST - 3..MOST + 3, 0..60_000_usize], 0..6),
            ends in any::<bool>(),
            step in prop_oneof![1..10_usize, 4_000..5_000_usize, Just(1 << 20)],
        ) {
            let mut text: Vec<u8> = Vec::new();
            for length in &lengths {
                text.extend(std::iter::repeat_n(b'a' + u8::try_from(*length % 26).unwrap(), *length));
                text.push(b'\n');
            }
            if !ends && text.last().is_some() {
                text.pop();
            }
            let mut at = 0;
            for (bytes, start, end, complete, too_long) in all(&text, step) {
                prop_assert_eq!(start, 10 + at as u64);
                let whole = usize::try_from(end - start).unwrap();
                let kept = &text[at..at + whole];
                let kept = kept.strip_suffix(b"\n").unwrap_or(kept);
                prop_assert_eq!(&bytes[..], &kept[..kept.len().min(MOST)]);
                prop_assert_eq!(too_long, whole > MOST);
                at += whole;
                prop_assert!(complete || at == text.len());
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
