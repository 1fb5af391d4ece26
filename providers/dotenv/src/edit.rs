//! Changing one key of a file, and not a single byte besides.

use std::ops::Range;

use credchain_core::{Error, Kind, Result};
use zeroize::Zeroizing;

use crate::parse;
use crate::quote::{quote, quote_key};
use crate::scan::{Binding, Content, Statement, statements};

/// The file with `key` set to `value`: the last assignment is changed in place, keeping its
/// `export` and its comment, or a line is added at the end.
pub(crate) fn set(bytes: &[u8], key: &str, value: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let quoted = Zeroizing::new(quote(value).ok_or_else(|| unquotable(value))?);
    let last = bindings(bytes)
        .filter(|(_, binding)| binding.key == key.as_bytes())
        .last();
    let edited = match last {
        Some((
            _,
            Binding {
                value: Some(token), ..
            },
        )) => splice(bytes, token.span, &[&quoted]),
        Some((_, Binding { key_end, .. })) => splice(bytes, key_end..key_end, &["=", &quoted]),
        None => {
            let message = "a `.env` file has no way to write this name";
            let key = quote_key(key).ok_or_else(|| Error::new(Kind::Invalid, message))?;
            let end = line_end(bytes);
            let unfinished = !bytes.is_empty() && !bytes.ends_with(b"\n");
            let first = if unfinished { end } else { "" };
            splice(
                bytes,
                bytes.len()..bytes.len(),
                &[first, &key, "=", &quoted, end],
            )
        }
    };
    if reads_back(bytes, &edited, key, value) {
        return Ok(edited);
    }
    let broken = statements(bytes)
        .filter(|s| matches!(s.content, Content::Broken))
        .last();
    let message = match broken {
        Some(Statement { line, .. }) => {
            format!("line {line} is broken in a way that reaches what is added")
        }
        None => "the file has no place where the value could stand".to_owned(),
    };
    Err(Error::new(Kind::Invalid, message).with_hint("look there for a quote without its partner"))
}

/// The file without any assignment of `key`; nothing if it has none.
pub(crate) fn remove(bytes: &[u8], key: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut from = 0;
    for (span, binding) in bindings(bytes) {
        if binding.key == key.as_bytes() {
            let indented = bytes[..span.start]
                .iter()
                .rposition(|b| matches!(b, b'\n' | b'\r'));
            // A byte order mark at the start of the file is not the line's.
            let line = indented.map_or(mark(bytes), |end| end + 1);
            kept.extend_from_slice(&bytes[from..line]);
            from = span.end;
        }
    }
    (from > 0).then(|| {
        kept.extend_from_slice(&bytes[from..]);
        kept
    })
}

fn bindings(bytes: &[u8]) -> impl Iterator<Item = (Range<usize>, Binding<'_>)> {
    statements(bytes).filter_map(|statement| match statement.content {
        Content::Binding(binding) => Some((statement.span, binding)),
        Content::Nothing | Content::Broken => None,
    })
}

fn splice(bytes: &[u8], at: Range<usize>, parts: &[&str]) -> Zeroizing<Vec<u8>> {
    let added: usize = parts.iter().map(|part| part.len()).sum();
    let mut edited = Zeroizing::new(Vec::with_capacity(bytes.len() + added));
    edited.extend_from_slice(&bytes[..at.start]);
    for part in parts {
        edited.extend_from_slice(part.as_bytes());
    }
    edited.extend_from_slice(&bytes[at.end..]);
    edited
}

/// Whether the edited file says exactly `value`, and what it said of all other keys.
// A quote that somebody left open further up would swallow the new line, or end in it.
fn reads_back(before: &[u8], after: &[u8], key: &str, value: &[u8]) -> bool {
    let others = |bytes| {
        bindings(bytes)
            .filter(|(_, binding)| binding.key != key.as_bytes())
            .map(|(_, binding)| (binding.key, binding.value.map(|token| token.text)))
    };
    let last = bindings(after)
        .filter(|(_, binding)| binding.key == key.as_bytes())
        .last();
    let Some((
        _,
        Binding {
            value: Some(token), ..
        },
    )) = last
    else {
        return false;
    };
    // The value alone: what other lines expand to does not matter here.
    let line = [b"KEY=", &after[token.span]].concat();
    let parsed = parse(&line, &|_| None).ok();
    let read = parsed.as_ref().and_then(|parsed| parsed.get("KEY"));
    let same = read.is_some_and(|read| read.expose() == value);
    same && others(before).eq(others(after))
}

/// The line end that the file uses.
fn line_end(bytes: &[u8]) -> &'static str {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && bytes[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

fn mark(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    }
}

fn unquotable(value: &[u8]) -> Error {
    let what = if value.contains(&0) {
        "a NUL byte"
    } else {
        "bytes that are not UTF-8"
    };
    Error::new(Kind::Invalid, format!("a `.env` file cannot carry {what}"))
        .with_hint("store the value encoded, or in a provider for bytes such as `age`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after_set(before: &str, value: &str) -> String {
        let edited = set(before.as_bytes(), "KEY", value.as_bytes()).unwrap();
        String::from_utf8(edited.to_vec()).unwrap()
    }

    #[test]
    fn an_assignment_is_changed_in_place() {
        for (before, after) in [
            ("KEY=old\n", "KEY='new'\n"),
            (
                "# c\nexport KEY = \"old\"   # why\nB=1\n",
                "# c\nexport KEY = 'new'   # why\nB=1\n",
            ),
            ("KEY=\r\nB=1\r\n", "KEY='new'\r\nB=1\r\n"),
            ("KEY= # why\n", "KEY='new' # why\n"),
            ("KEY # why\n", "KEY='new' # why\n"),
            ("'KEY'\n", "'KEY'='new'\n"),
            ("KEY=1\nKEY=2\n", "KEY=1\nKEY='new'\n"),
            ("KEY=\"a\nb\"\nB=1", "KEY='new'\nB=1"),
        ] {
            assert_eq!(after_set(before, "new"), after);
        }
    }

    #[test]
    fn a_new_key_is_added_at_the_end() {
        for (before, after) in [
            ("", "KEY='new'\n"),
            ("B=1", "B=1\nKEY='new'\n"),
            ("B=1\r\n# c", "B=1\r\n# c\r\nKEY='new'\r\n"),
        ] {
            assert_eq!(after_set(before, "new"), after);
        }
    }

    #[test]
    fn an_open_quote_further_up_is_named_instead_of_swallowing_the_value() {
        let error = set(b"A=1\nB='open\n", "KEY", b"new").unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("line 2"), "{error}");
        assert!(!format!("{error:?}").contains("new"));
    }

    #[test]
    fn a_value_or_a_name_that_cannot_be_written_is_invalid() {
        for (key, value) in [("KEY", &b"\0"[..]), ("KEY", b"\xff"), ("it's = this", b"x")] {
            assert_eq!(set(b"", key, value).unwrap_err().kind(), Kind::Invalid);
        }
    }

    #[test]
    fn removing_takes_every_assignment_with_its_line() {
        let before = b"\xef\xbb\xbfKEY=1\n\n# c\n  export KEY='a\nb' # d\nB=2\nKEY";
        assert_eq!(
            **remove(before, "KEY").unwrap(),
            *b"\xef\xbb\xbf\n# c\nB=2\n"
        );
        assert!(remove(before, "C").is_none());
    }

    proptest! {
        #[test]
        fn whatever_the_file_either_the_value_is_read_back_or_nothing_is_done(
            file in "([A='\"\\\\${}:\\-#\\n\\r ]|export |KEY|KEY=){0,40}",
            value in "[a'\"\\\\${}\\n\\r#]{0,12}",
        ) {
            if let Ok(edited) = set(file.as_bytes(), "KEY", value.as_bytes()) {
                let parsed = parse(&edited, &|_| None).unwrap();
                prop_assert_eq!(parsed.get("KEY").unwrap().expose(), value.as_bytes());
                let removed = remove(&edited, "KEY").unwrap();
                prop_assert!(bindings(&removed).all(|(_, binding)| binding.key != b"KEY"));
            }
        }
    }
}
