//! Splits a file into statements, byte for byte as python-dotenv's parser does.
//!
//! The rules are its regular expressions, read as a scanner: whatever fails in the middle of a
//! statement makes the rest of that line broken, and the next line starts anew. Each byte is
//! looked at a bounded number of times: a quote that is never closed is searched for at most
//! once for each kind of quote, because no later quote of that kind can open anything.

use std::ops::Range;

/// One statement: a binding, a comment, blank space, or something broken.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    /// From its first byte after blank space to the end of its last line.
    pub(crate) span: Range<usize>,
    pub(crate) content: Content<'a>,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    /// A comment, or blank space before the end of the file.
    Nothing,
    /// Not understood.
    Broken,
    Binding(Binding<'a>),
}

#[derive(Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) key: &'a [u8],
    /// Where the key ends, its quote included.
    pub(crate) key_end: usize,
    /// Nothing for a key without `=`.
    pub(crate) value: Option<Token<'a>>,
}

/// A value as written.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) style: Style,
    /// Between the quotes, if there are any.
    pub(crate) text: &'a [u8],
    /// Where it stands, quotes included.
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Unquoted,
    Single,
    Double,
}

/// All statements of a file.
pub(crate) fn statements(bytes: &[u8]) -> Statements<'_> {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    Statements {
        bytes,
        at: start,
        line: 1,
    }
}

#[derive(Debug)]
pub(crate) struct Statements<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

/// The statement cannot be read further.
struct Broken;

impl<'a> Iterator for Statements<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Statement<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let before = self.at;
        self.skip(|_| true);
        self.line += newlines(&self.bytes[before..self.at]);
        let (start, line) = (self.at, self.line);
        let content = self.statement().unwrap_or_else(|Broken| {
            self.rest_of_line();
            self.newline();
            Content::Broken
        });
        self.line += newlines(&self.bytes[start..self.at]);
        Some(Statement {
            line,
            span: start..self.at,
            content,
        })
    }
}

impl<'a> Statements<'a> {
    fn statement(&mut self) -> Result<Content<'a>, Broken> {
        if self.at == self.bytes.len() {
            return Ok(Content::Nothing);
        }
        self.export();
        if self.peek() == Some(b'#') {
            self.end()?;
            return Ok(Content::Nothing);
        }
        let key = self.key()?;
        let key_end = self.at;
        self.skip(not_newline);
        let value = if self.peek() == Some(b'=') {
            Some(self.assigned()?)
        } else {
            None
        };
        self.end()?;
        Ok(Content::Binding(Binding {
            key,
            key_end,
            value,
        }))
    }

    fn export(&mut self) {
        let start = self.at;
        if self.bytes[start..].starts_with(b"export") {
            self.at += b"export".len();
            if self.skip(not_newline) == 0 {
                self.at = start;
            }
        }
    }

    fn key(&mut self) -> Result<&'a [u8], Broken> {
        if self.peek() == Some(b'\'') {
            let rest = &self.bytes[self.at + 1..];
            let length = rest.iter().position(|byte| *byte == b'\'').ok_or(Broken)?;
            if length == 0 {
                return Err(Broken);
            }
            self.at += length + 2;
            return Ok(&rest[..length]);
        }
        let start = self.at;
        while let Some(byte) = self.peek() {
            if matches!(byte, b'=' | b'#') || self.space().is_some() {
                break;
            }
            self.at += 1;
        }
        if self.at == start {
            Err(Broken)
        } else {
            Ok(&self.bytes[start..self.at])
        }
    }

    /// From the `=` to the end of the value.
    fn assigned(&mut self) -> Result<Token<'a>, Broken> {
        self.at += 1;
        let after_equals = self.at;
        let spaces = self.skip(not_newline);
        match self.peek() {
            Some(b'\'') => self.quoted(b'\'', Style::Single),
            Some(b'"') => self.quoted(b'"', Style::Double),
            // After space a `#` starts a comment; right after the `=` it belongs to the value.
            Some(b'#') if spaces > 0 => Ok(self.unquoted(after_equals, after_equals)),
            None | Some(b'\n' | b'\r') => Ok(self.unquoted(after_equals, after_equals)),
            Some(_) => {
                let start = self.at;
                self.rest_of_line();
                let end = start + without_comment(&self.bytes[start..self.at]);
                Ok(self.unquoted(start, end))
            }
        }
    }

    fn unquoted(&self, start: usize, end: usize) -> Token<'a> {
        Token {
            style: Style::Unquoted,
            text: &self.bytes[start..end],
            span: start..end,
        }
    }

    fn quoted(&mut self, quote: u8, style: Style) -> Result<Token<'a>, Broken> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            match self.bytes.get(at) {
                None => return Err(Broken),
                Some(byte) if *byte == quote => break,
                // A backslash always takes the next character with it. Of a character of several
                // bytes the first is enough: none of the others looks like a quote.
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(Token {
            style,
            text: &self.bytes[start + 1..at],
            span: start..self.at,
        })
    }

    /// A comment, if there is one, and the end of the line.
    fn end(&mut self) -> Result<(), Broken> {
        self.skip(not_newline);
        if self.peek() == Some(b'#') {
            self.rest_of_line();
        }
        if self.at == self.bytes.len() || self.newline() {
            Ok(())
        } else {
            Err(Broken)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&self) -> Option<usize> {
        space(&self.bytes[self.at..])
    }

    /// Skips white space of which the first byte is as wanted; tells how many bytes.
    fn skip(&mut self, wanted: fn(u8) -> bool) -> usize {
        let start = self.at;
        while let (Some(byte), Some(length)) = (self.peek(), self.space())
            && wanted(byte)
        {
            self.at += length;
        }
        self.at - start
    }

    fn rest_of_line(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !not_newline(*byte))
            .unwrap_or(rest.len());
        self.at += length;
    }

    /// Skips one line end.
    fn newline(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let length = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        self.at += length;
        length > 0
    }
}

fn not_newline(byte: u8) -> bool {
    !matches!(byte, b'\n' | b'\r')
}

/// The length of the white space character at the start, as Python's `\s` has it: Unicode's,
/// and the four separators of ASCII. Bytes that are not UTF-8 are never white space.
pub(crate) fn space(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\t'..=b'\r' | 0x1c..=0x1f | b' ', ..] => Some(1),
        [0xc2, 0x85 | 0xa0, ..] => Some(2),
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => Some(3),
        _ => None,
    }
}

/// Where an unquoted value ends: before white space with a `#`, and before space at its end.
fn without_comment(line: &[u8]) -> usize {
    let (mut at, mut end) = (0, 0);
    while at < line.len() {
        match space(&line[at..]) {
            Some(length) => at += length,
            None if line[at] == b'#' && end < at => return end,
            None => {
                at += 1;
                end = at;
            }
        }
    }
    end
}

/// How many line ends there are; `\r\n` is one.
fn newlines(bytes: &[u8]) -> usize {
    let (mut count, mut previous) = (0, 0);
    for byte in bytes {
        if *byte == b'\r' || (*byte == b'\n' && previous != b'\r') {
            count += 1;
        }
        previous = *byte;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(text: &str) -> Vec<(String, Option<String>)> {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        statements(text.as_bytes())
            .filter_map(|statement| match statement.content {
                Content::Binding(b) => Some((show(b.key), b.value.map(|v| show(v.text)))),
                _ => None,
            })
            .collect()
    }

    fn broken(text: &str) -> Vec<usize> {
        let is_broken = |s: &Statement<'_>| matches!(s.content, Content::Broken);
        statements(text.as_bytes())
            .filter(is_broken)
            .map(|s| s.line)
            .collect()
    }

    #[test]
    fn white_space_agrees_with_python_for_every_character() {
        for c in '\0'..=char::MAX {
            let python = c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
            let expected = python.then(|| c.len_utf8());
            assert_eq!(
                space(c.encode_utf8(&mut [0; 4]).as_bytes()),
                expected,
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_broken_line_is_counted_and_the_next_one_is_read() {
        let text = "A=1\n\n =x\r\nB=\"1\n2\" y\n'C\nD=4\rE=5";
        assert_eq!(broken(text), [3, 4, 6]);
        let keys: Vec<_> = bindings(text).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["A", "D", "E"]);
    }

    #[test]
    fn an_unquoted_value_ends_at_its_comment() {
        for (line, value) in [
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=b#c # d", "b#c"),
            ("A=#b", "#b"),
            ("A= #b", ""),
            ("A=a b \t", "a b"),
            ("A=b\u{a0}#c", "b"),
        ] {
            assert_eq!(
                bindings(line),
                [("A".into(), Some(value.to_owned()))],
                "{line}"
            );
        }
    }

    #[test]
    fn spans_cover_values_with_their_quotes() {
        let text = b"\xef\xbb\xbfexport A = 'x' # c\n";
        let statement = statements(text).next().unwrap();
        assert_eq!(statement.span, 3..text.len());
        let Content::Binding(binding) = statement.content else {
            panic!("{statement:?}")
        };
        assert_eq!(&text[binding.value.unwrap().span], b"'x'");
        assert_eq!(&text[..binding.key_end], b"\xef\xbb\xbfexport A");
    }
}
