//! A whole file: its values and the lines that were not understood.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use credchain_core::{Error, Kind, Result, Secret};
use zeroize::Zeroizing;

use crate::expand::{Piece, pieces, unescape};
use crate::scan::{Content, Style, Token, statements};

/// How much all `${NAME}` of one file may add up to. Each can double what came before it.
const EXPANDED_LIMIT: usize = 16 << 20;

/// What a `.env` file says.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Parsed {
    /// Every key once, in the order in which the keys first appear.
    pub entries: Vec<Entry>,
    /// The lines that were left out.
    pub warnings: Vec<Warning>,
}

/// One key of a `.env` file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value that its last assignment has; nothing for a key without `=`.
    pub value: Option<Secret>,
    /// The line of that assignment, from 1.
    pub line: usize,
}

/// A line that was not understood and is left out. The content is not told: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The file, if it was read from one.
    pub file: Option<PathBuf>,
    /// The line, from 1.
    pub line: usize,
}

impl Parsed {
    /// The value of a key that has one.
    pub fn get(&self, key: &str) -> Option<&Secret> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)?
            .value
            .as_ref()
    }
}

impl Warning {
    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.file {
            Some(file) => {
                // A file's name may hold what a terminal would obey.
                let file = file.to_string_lossy();
                write!(
                    f,
                    "line {} of `{}` is not understood",
                    self.line,
                    file.escape_debug()
                )
            }
            None => write!(f, "line {} is not understood", self.line),
        }
    }
}

/// Parses the bytes of a `.env` file. `lookup` tells the value of a variable that the file uses
/// as `${NAME}` without having set it further up: usually the environment's.
///
/// The rules are those of python-dotenv's `dotenv_values()`, except that nothing is expanded
/// inside single quotes. Takes time linear in the size of the file and its expansion.
///
/// ```
/// use credchain_provider_dotenv::parse;
///
/// let parsed = parse(b"A=$2a$10$abc\nB=${A}x\n= broken\n", &|_| None)?;
/// assert_eq!(parsed.get("A").unwrap().expose(), b"$2a$10$abc");
/// assert_eq!(parsed.get("B").unwrap().expose(), b"$2a$10$abcx");
/// assert_eq!(parsed.warnings[0].line, 3);
/// # Ok::<(), credchain_core::Error>(())
/// ```
///
/// # Errors
/// [`Kind::Invalid`] for a file in UTF-16, and if the expanded values add up to more than 16 MiB.
pub fn parse(bytes: &[u8], lookup: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Parsed> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Error::new(Kind::Invalid, "the file is UTF-16")
            .with_hint("save it as UTF-8; PowerShell does with `-Encoding utf8`"));
    }
    let mut parser = Parser {
        lookup,
        parsed: Parsed::default(),
        index: HashMap::new(),
        added: 0,
    };
    for statement in statements(bytes) {
        match statement.content {
            Content::Nothing => {}
            Content::Broken => parser.warn(statement.line),
            Content::Binding(binding) => match std::str::from_utf8(binding.key) {
                Ok(key) => parser.bind(key, binding.value.as_ref(), statement.line)?,
                // Nobody could ask for it.
                Err(_) => parser.warn(statement.line),
            },
        }
    }
    Ok(parser.parsed)
}

struct Parser<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    parsed: Parsed,
    index: HashMap<Cow<'a, str>, usize>,
    /// How many bytes `${NAME}` added so far.
    added: usize,
}

impl<'a> Parser<'a> {
    fn warn(&mut self, line: usize) {
        self.parsed.warnings.push(Warning { file: None, line });
    }

    fn bind(&mut self, key: &'a str, token: Option<&Token<'_>>, line: usize) -> Result<()> {
        let value = token.map(|token| self.value(token, line)).transpose()?;
        let entries = &mut self.parsed.entries;
        // A quoted key may span lines, and line ends are alike in it as in values.
        let key = if key.contains('\r') {
            Cow::Owned(key.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            Cow::Borrowed(key)
        };
        if let Some(at) = self.index.get(&key) {
            entries[*at].value = value;
            entries[*at].line = line;
        } else {
            entries.push(Entry {
                key: key.clone().into_owned(),
                value,
                line,
            });
            self.index.insert(key, entries.len() - 1);
        }
        Ok(())
    }

    fn value(&mut self, token: &Token<'_>, line: usize) -> Result<Secret> {
        let value = Zeroizing::new(unescape(token));
        // The one difference from python-dotenv: single quotes are literal, as in every shell.
        // There has to be a way to write a value that happens to hold `${…}`.
        if token.style == Style::Single || !value.contains(&b'$') {
            return Ok(take(value));
        }
        let mut expanded = Vec::new();
        let mut length = 0_usize;
        for piece in pieces(&value) {
            let part = match piece {
                Piece::Literal(text) => Part::Borrowed(text),
                Piece::Variable { name, default } => self.variable(name, default),
            };
            length = length.saturating_add(part.bytes().len());
            if self.added.saturating_add(length) > EXPANDED_LIMIT.saturating_add(value.len()) {
                return Err(Error::new(
                    Kind::Invalid,
                    format!(
                        "line {line} expands to more than {} MiB",
                        EXPANDED_LIMIT >> 20
                    ),
                )
                .with_hint("a value that repeats others may be meant for single quotes"));
            }
            expanded.push(part);
        }
        self.added = self
            .added
            .saturating_add(length.saturating_sub(value.len()));
        // Allocated once, so that growing leaves no copy behind.
        let mut whole = Vec::with_capacity(length);
        for part in &expanded {
            whole.extend_from_slice(part.bytes());
        }
        Ok(Secret::new(whole))
    }

    /// What a variable stands for. A key of this file wins over the environment, also one
    /// without a value; the default is only for what is not there at all.
    fn variable<'v>(&self, name: &'v [u8], default: &'v [u8]) -> Part<'v> {
        let Ok(name) = std::str::from_utf8(name) else {
            return Part::Borrowed(default);
        };
        if let Some(at) = self.index.get(name) {
            return match &self.parsed.entries[*at].value {
                Some(secret) => Part::Shared(secret.clone()),
                None => Part::Borrowed(b""),
            };
        }
        // No variable has an empty name, so that `${:-$}` is always a dollar sign.
        match Some(name)
            .filter(|name| !name.is_empty())
            .and_then(self.lookup)
        {
            Some(value) => Part::Shared(Secret::new(value)),
            None => Part::Borrowed(default),
        }
    }
}

enum Part<'a> {
    Borrowed(&'a [u8]),
    Shared(Secret),
}

impl Part<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(secret) => secret.expose(),
        }
    }
}

fn take(mut value: Zeroizing<Vec<u8>>) -> Secret {
    Secret::new(std::mem::take(&mut *value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn none(_: &str) -> Option<Vec<u8>> {
        None
    }

    fn value(text: &str, key: &str) -> Vec<u8> {
        parse(text.as_bytes(), &none)
            .unwrap()
            .get(key)
            .unwrap()
            .expose()
            .to_vec()
    }

    #[test]
    fn a_dollar_without_braces_stays() {
        assert_eq!(value("A=$2a$10$abc\nB=${A}x\n", "A"), b"$2a$10$abc");
        assert_eq!(value("A=$2a$10$abc\nB=${A}x\n", "B"), b"$2a$10$abcx");
    }

    #[test]
    fn single_quotes_are_literal() {
        assert_eq!(value("A=1\nB='${A} $A'\nC=\"${A} $A\"", "B"), b"${A} $A");
        assert_eq!(value("A=1\nB='${A} $A'\nC=\"${A} $A\"", "C"), b"1 $A");
    }

    #[test]
    fn a_key_further_up_wins_over_the_environment_and_that_over_the_default() {
        let env = |name: &str| (name == "A" || name == "E").then(|| b"env".to_vec());
        let text = b"B=${A:-d}\nA=file\nC=${A:-d}\nD=${X:-d}\nF\nG=${F:-d}|${E}\n";
        let parsed = parse(text, &env).unwrap();
        for (key, expected) in [("B", "env"), ("C", "file"), ("D", "d"), ("G", "|env")] {
            assert_eq!(
                parsed.get(key).unwrap().expose(),
                expected.as_bytes(),
                "{key}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_survive_in_every_style() {
        for text in [
            &b"A=\xff\xfe\x00x\n"[..],
            b"A='\xff\xfe\x00x'",
            b"A=\"\xff\xfe\x00x\"",
        ] {
            let parsed = parse(text, &none).unwrap();
            assert_eq!(parsed.get("A").unwrap().expose(), b"\xff\xfe\x00x");
        }
        let parsed = parse(b"\xff=1\nA=2", &none).unwrap();
        assert_eq!(
            parsed.warnings,
            [Warning {
                file: None,
                line: 1
            }]
        );
        assert_eq!(parsed.get("A").unwrap().expose(), b"2");
    }

    #[test]
    fn an_expansion_bomb_is_invalid() {
        let mut bomb = format!("A0={}\n", "x".repeat(1024));
        for level in 1..40 {
            use std::fmt::Write as _;
            writeln!(bomb, "A{level}=${{A{0}}}${{A{0}}}", level - 1).unwrap();
        }
        let error = parse(bomb.as_bytes(), &none).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.message().contains("line 15 "), "{error}");
    }

    #[test]
    fn utf_16_is_named_as_the_reason() {
        let error = parse(b"\xff\xfeA\0=\0", &none).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }

    #[test]
    fn a_hundred_thousand_lines_and_hostile_ones_come_to_an_end() {
        use std::fmt::Write as _;
        let mut text = String::new();
        for line in 0..100_000 {
            writeln!(text, "KEY_{line}=\"value {line}\" # comment").unwrap();
        }
        assert_eq!(
            parse(text.as_bytes(), &none).unwrap().entries.len(),
            100_000
        );
        for hostile in [
            "A=\"\\\"\n",
            "'\n",
            "A='\\'\n",
            "=\n",
            "A= \t#",
            " #",
            "export ",
            "A=${",
        ] {
            let text = hostile.repeat(2_000_000 / hostile.len());
            assert!(parse(text.as_bytes(), &none).is_ok(), "{hostile}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, &none);
        }

        #[test]
        fn no_mix_of_its_own_tokens_makes_it_panic(
            text in "([A='\"\\\\${}:\\-#\\n\\r \t]|export ){0,80}",
        ) {
            let parsed = parse(text.as_bytes(), &none).unwrap();
            let lines = text.split(['\n', '\r']).count();
            prop_assert!(parsed.warnings.iter().all(|warning| warning.line <= lines));
        }
    }
}
