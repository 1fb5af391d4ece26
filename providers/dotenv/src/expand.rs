//! From a value as written to the value that is meant: escapes, then `${NAME}`.

use crate::scan::{Style, Token};

/// Undoes escapes and, inside quotes, the differences between line ends, which python-dotenv
/// does not see because it reads files as text.
pub(crate) fn unescape(token: &Token<'_>) -> Vec<u8> {
    // What comes out is never longer, so that no secret is left behind by growing.
    let mut value = Vec::with_capacity(token.text.len());
    if token.style == Style::Unquoted {
        value.extend_from_slice(token.text);
        return value;
    }
    let mut rest = token.text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'\r' => {
                value.push(b'\n');
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            b'\\' => match rest
                .split_first()
                .and_then(|(next, _)| escape(*next, token.style))
            {
                Some(meant) => {
                    value.push(meant);
                    rest = &rest[1..];
                }
                None => value.push(b'\\'),
            },
            other => value.push(*other),
        }
    }
    value
}

fn escape(after_backslash: u8, style: Style) -> Option<u8> {
    match (after_backslash, style) {
        (b'\\' | b'\'', _) => Some(after_backslash),
        (_, Style::Single) => None,
        (b'"', _) => Some(b'"'),
        (b'a', _) => Some(0x07),
        (b'b', _) => Some(0x08),
        (b'f', _) => Some(0x0c),
        (b'n', _) => Some(b'\n'),
        (b'r', _) => Some(b'\r'),
        (b't', _) => Some(b'\t'),
        (b'v', _) => Some(0x0b),
        _ => None,
    }
}

/// A piece of a value that may refer to others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a [u8]),
    Variable { name: &'a [u8], default: &'a [u8] },
}

/// Splits a value at `${NAME}` and `${NAME:-default}`; everything else is literal.
pub(crate) fn pieces(value: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut literal, mut at) = (0, 0);
    // The next `}` or `:` is remembered: many `${` may share one, and each byte is to be
    // searched once.
    let mut stop = 0;
    while let Some(offset) = find_opening(&value[at..]) {
        let start = at + offset;
        let name = start + 2;
        if stop < name {
            let Some(next) = value[name..].iter().position(|b| matches!(b, b'}' | b':')) else {
                break;
            };
            stop = name + next;
        }
        at = name;
        let variable = if value[stop] == b'}' {
            Some((&value[stop..stop], stop))
        } else if value[stop..].starts_with(b":-") {
            // Without a `}` here there is none for any later `${` either.
            let Some(length) = value[stop + 2..].iter().position(|b| *b == b'}') else {
                break;
            };
            let end = stop + 2 + length;
            Some((&value[stop + 2..end], end))
        } else {
            None
        };
        if let Some((default, end)) = variable {
            if literal < start {
                pieces.push(Piece::Literal(&value[literal..start]));
            }
            pieces.push(Piece::Variable {
                name: &value[name..stop],
                default,
            });
            at = end + 1;
            literal = at;
        }
    }
    if literal < value.len() {
        pieces.push(Piece::Literal(&value[literal..]));
    }
    pieces
}

fn find_opening(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|window| window == b"${")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece<'_> {
        Piece::Literal(text.as_bytes())
    }

    fn variable<'a>(name: &'a str, default: &'a str) -> Piece<'a> {
        Piece::Variable {
            name: name.as_bytes(),
            default: default.as_bytes(),
        }
    }

    #[test]
    fn only_braced_names_are_variables() {
        for (value, expected) in [
            ("$2a$10$abc", vec![literal("$2a$10$abc")]),
            ("${A}x", vec![variable("A", ""), literal("x")]),
            (
                "a${A:-b}c",
                vec![literal("a"), variable("A", "b"), literal("c")],
            ),
            ("${A:-$}{B}", vec![variable("A", "$"), literal("{B}")]),
            ("${:-$}{A}", vec![variable("", "$"), literal("{A}")]),
            ("${A:x}", vec![literal("${A:x}")]),
            ("${A:x}${B}", vec![literal("${A:x}"), variable("B", "")]),
            ("${A", vec![literal("${A")]),
            ("${a${b}", vec![variable("a${b", "")]),
            ("${A:-${B}}", vec![variable("A", "${B"), literal("}")]),
            ("${A:${B}", vec![literal("${A:"), variable("B", "")]),
            ("", vec![]),
        ] {
            assert_eq!(pieces(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn many_openings_without_an_end_are_searched_once() {
        for tail in ["", ":", ":-", ":x", "}"] {
            let value = format!("{}{tail}", "${".repeat(2_000_000));
            assert!(pieces(value.as_bytes()).len() <= 2);
        }
    }
}
