//! What is wrong with a configuration: all of it, each with its place and the way out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use credchain_core::{Error, Kind};
use serde::Serialize;

use crate::render;
use crate::source::{Place, SourceFile};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and is probably not what was meant.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnostic {
    /// A stable code such as `config::unknown-key`.
    pub code: &'static str,
    /// Whether the configuration can still be used.
    pub severity: Severity,
    /// One line: lower case, no final full stop, no value.
    pub message: String,
    /// The places concerned, the one to change first.
    pub labels: Vec<Label>,
    /// What else to know, such as the environment variable at fault.
    pub notes: Vec<String>,
    /// What to do next.
    pub help: Vec<String>,
}

/// A place in a file, with a word about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Label {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The bytes that are underlined.
    pub span: Range<usize>,
    /// What stands beside the underline.
    pub text: String,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, message: impl AsRef<str>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: printable(message.as_ref()),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl AsRef<str>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// Points at a place; one that is in no file becomes a note.
    pub(crate) fn at(mut self, place: &Place, text: impl AsRef<str>) -> Self {
        match place {
            Place::File(file, span) => self.labels.push(Label {
                file: file.clone(),
                span: span.clone(),
                text: printable(text.as_ref()),
            }),
            Place::Variable(name) => self.notes.push(format!(
                "it comes from the environment variable `{}`",
                printable(name)
            )),
            Place::Argument(key) => {
                self.notes.push(format!(
                    "it comes from the command line: `{}`",
                    printable(key)
                ));
            }
            Place::Default => {}
        }
        self
    }

    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help.push(printable(help.as_ref()));
        self
    }

    pub(crate) fn maybe_help(self, help: Option<String>) -> Self {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    pub(crate) fn note(mut self, note: impl AsRef<str>) -> Self {
        self.notes.push(printable(note.as_ref()));
        self
    }

    /// Whether it is about a part of a file that comes after the given byte of it.
    pub(crate) fn is_after(&self, broken: &[(Arc<SourceFile>, usize)]) -> bool {
        self.labels.first().is_some_and(|label| {
            broken
                .iter()
                .any(|(file, from)| Arc::ptr_eq(file, &label.file) && label.span.end > *from)
        })
    }

    /// The text that a terminal shows, with the lines concerned.
    pub fn render(&self, colour: bool) -> String {
        render::report(std::slice::from_ref(self), colour)
    }

    /// The machine-readable form.
    pub fn to_json(&self) -> serde_json::Value {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|label| {
                let (line, column) = label.file.position(label.span.start);
                let (end_line, end_column) = label.file.position(label.span.end);
                serde_json::json!({
                    "file": label.file.shown(), "line": line, "column": column,
                    "end_line": end_line, "end_column": end_column, "text": label.text,
                })
            })
            .collect();
        serde_json::json!({
            "code": self.code, "severity": self.severity, "message": self.message,
            "labels": labels, "notes": self.notes, "help": self.help,
        })
    }
}

/// Everything that is wrong, errors first in the order of the files; never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// All of `list`, or nothing if it holds no error.
    pub(crate) fn from_list(mut list: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Self> {
        sort(&mut list);
        if list.iter().any(|one| one.severity == Severity::Error) {
            Err(Self(list))
        } else {
            Ok(list)
        }
    }

    /// A single mistake that stops everything else.
    pub(crate) fn single(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many errors there are, warnings left out.
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count()
    }

    /// The text that a terminal shows: all in one go, then a line that counts.
    pub fn render(&self, colour: bool) -> String {
        let mut text = render::report(&self.0, colour);
        let errors = self.errors();
        if errors > 1 {
            text.push_str(&format!("\n{errors} mistakes in the configuration\n"));
        }
        text
    }

    /// The machine-readable form: a list.
    pub fn to_json(&self) -> serde_json::Value {
        self.0.iter().map(Diagnostic::to_json).collect()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        if let Some(label) = first.labels.first() {
            let (line, column) = label.file.position(label.span.start);
            write!(f, "{}:{line}:{column}: ", label.file.shown())?;
        }
        f.write_str(&first.message)?;
        match self.errors() {
            0 | 1 => Ok(()),
            more => write!(f, " (and {} more)", more - 1),
        }
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        let hint = diagnostics
            .0
            .first()
            .and_then(|first| first.help.first())
            .cloned();
        let error = Self::new(Kind::Misconfigured, diagnostics.to_string());
        let error = match hint {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("`resolve config check` shows every mistake with its place"),
        };
        error.with_source(diagnostics)
    }
}

fn sort(list: &mut [Diagnostic]) {
    // Stable, so that what has no place keeps the order of discovery.
    list.sort_by_cached_key(|one| {
        let place = one
            .labels
            .first()
            .map(|label| (label.file.shown().to_owned(), label.span.start));
        (one.severity == Severity::Warning, place)
    });
}

/// Text without what a terminal would obey: keys of a cloned project's file get here.
pub(crate) fn printable(text: &str) -> String {
    credchain_core::printable(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_overrides_are_shown_not_sent() {
        let diagnostic = Diagnostic::error("config::x", "key `\u{1b}[2J` \u{202e}");
        assert_eq!(diagnostic.message, "key `\\u{1b}[2J` \\u{202e}");
    }

    #[test]
    fn an_error_of_the_core_names_the_first_mistake_and_counts_the_rest() {
        let list = vec![
            Diagnostic::warning("config::w", "a warning"),
            Diagnostic::error("config::a", "first").help("do this"),
            Diagnostic::error("config::b", "second"),
        ];
        let error = Error::from(Diagnostics::from_list(list).unwrap_err());
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert_eq!(error.message(), "first (and 1 more)");
        assert_eq!(error.hint(), Some("do this"));
    }
}
