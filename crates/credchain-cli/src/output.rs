//! Data to standard output, words to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use credchain::{Error, Kind};
use serde::Serialize;

use crate::cli::{Color, Global};
use crate::failure::{self, Failure};

/// How to speak to the user.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent choice of the user"
)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
}

/// A few colours, named after what they say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Good,
    Bad,
    Warning,
    Hint,
    Dim,
    Bold,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            color_out: colored(global.color, io::stdout().is_terminal()),
            color_err: colored(global.color, io::stderr().is_terminal()),
        }
    }

    /// Whether the user asked for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether the user asked for few words.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    /// Whether standard error has colour.
    pub(crate) fn color_err(&self) -> bool {
        self.color_err
    }

    /// Writes data as it is.
    #[expect(
        clippy::unused_self,
        reason = "the one place that writes to standard output"
    )]
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(writing)
    }

    /// Writes one JSON document.
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Failure> {
        let mut bytes = serde_json::to_vec_pretty(document).map_err(|_| {
            Error::new(
                credchain::Kind::Internal,
                "the answer cannot be written as JSON",
            )
        })?;
        bytes.push(b'\n');
        self.data(&bytes)
    }

    /// Says a word to the user, unless asked to be quiet.
    pub(crate) fn note(&self, text: &str) {
        self.rendered(&printable(text));
    }

    /// The same for text that has its colours, and is known to be harmless.
    pub(crate) fn rendered(&self, text: &str) {
        if !self.quiet && !self.json {
            self.words(text);
        }
    }

    /// Warns, even when asked to be quiet; not in JSON, where standard error holds one document
    /// or nothing.
    pub(crate) fn warn(&self, text: &str) {
        if self.json {
            return;
        }
        self.words(&format!(
            "{} {}",
            self.err_style(Style::Warning, "warning:"),
            printable(text)
        ));
    }

    /// Colours a piece of standard output.
    pub(crate) fn style(&self, style: Style, text: &str) -> String {
        paint(self.color_out, style, text)
    }

    /// Colours a piece of standard error.
    pub(crate) fn err_style(&self, style: Style, text: &str) -> String {
        paint(self.color_err, style, text)
    }

    /// Tells why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let document = ErrorDocument::new(failure);
            self.words(&serde_json::to_string_pretty(&document).unwrap_or_default());
            return;
        }
        match failure {
            Failure::Credentials(errors) => {
                for (at, error) in errors.iter().enumerate() {
                    self.words(&format!(
                        "{}{}",
                        if at > 0 { "\n" } else { "" },
                        self.error(error)
                    ));
                }
            }
            Failure::Config(diagnostics) => {
                self.words(diagnostics.render(self.color_err).trim_end());
            }
            Failure::Usage { message, hint } => self.sentence(message, hint.as_deref()),
            Failure::Io { doing, source } => {
                self.sentence(&printable_line(&format!("{doing}: {source}")), None);
            }
            Failure::Interrupted => self.words("interrupted"),
        }
    }

    /// One error in words: what, to which credential, where, and the next step.
    fn error(&self, error: &Error) -> String {
        let kind = error.kind();
        let place = error
            .link()
            .map(|link| format!(" at `{link}`"))
            .unwrap_or_default();
        let what = match error.credential() {
            // The other kinds are adjectives.
            Some(name) if kind == Kind::Conflict => {
                format!("credential `{name}` is in conflict{place}")
            }
            Some(name) if kind == Kind::Internal => format!("credential `{name}` failed{place}"),
            Some(name) => format!("credential `{name}` is {kind}{place}"),
            None => format!("{kind}{place}"),
        };
        let mut text = format!(
            "{} {}\n  {}",
            self.err_style(Style::Bad, "error:"),
            self.err_style(Style::Bold, &what),
            printable(error.message())
        );
        if let Some(hint) = error.hint() {
            text += &format!(
                "\n\n{} {}",
                self.err_style(Style::Hint, "hint:"),
                printable(hint)
            );
        }
        text
    }

    fn sentence(&self, message: &str, hint: Option<&str>) {
        self.words(&format!(
            "{} {}",
            self.err_style(Style::Bad, "error:"),
            printable(message)
        ));
        if let Some(hint) = hint {
            self.words(&format!(
                "\n{} {}",
                self.err_style(Style::Hint, "hint:"),
                printable(hint)
            ));
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "the one place that writes to standard error"
    )]
    fn words(&self, text: &str) {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// `{version, error: {kind, code, credential, link, message, hint}}` on standard error.
#[derive(Debug, Serialize)]
struct ErrorDocument {
    version: u8,
    error: ErrorBody,
    /// All failures, when there is more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorBody>,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    kind: String,
    code: u8,
    credential: Option<String>,
    link: Option<String>,
    message: String,
    hint: Option<String>,
}

impl ErrorDocument {
    fn new(failure: &Failure) -> Self {
        let code = failure.exit_code();
        let plain = |kind: &str, message: String, hint: Option<String>| ErrorBody {
            kind: kind.to_owned(),
            code,
            credential: None,
            link: None,
            message,
            hint,
        };
        let mut errors = Vec::new();
        let error = match failure {
            Failure::Credentials(all) => {
                let decisive = failure::kind(all);
                if all.len() > 1 {
                    errors = all.iter().map(ErrorBody::new).collect();
                }
                let first = all.iter().find(|error| error.kind() == decisive);
                first.map_or_else(|| plain("internal", String::new(), None), ErrorBody::new)
            }
            Failure::Config(diagnostics) => {
                let message = diagnostics.render(false).trim_end().to_owned();
                plain("misconfigured", message, None)
            }
            Failure::Usage { message, hint } => plain("usage", message.clone(), hint.clone()),
            Failure::Io { doing, source } => plain("io", format!("{doing}: {source}"), None),
            Failure::Interrupted => plain("interrupted", "interrupted".to_owned(), None),
        };
        Self {
            version: 1,
            error,
            errors,
        }
    }
}

impl ErrorBody {
    fn new(error: &Error) -> Self {
        Self {
            kind: error.kind().as_str().to_owned(),
            code: error.kind().exit_code(),
            credential: error.credential().map(ToString::to_string),
            link: error.link().map(ToString::to_string),
            message: error.message().to_owned(),
            hint: error.hint().map(ToOwned::to_owned),
        }
    }
}

/// Text in which control characters are shown instead of sent to the terminal; its lines stay.
pub(crate) fn printable(text: &str) -> String {
    text.split('\n')
        .map(printable_line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The same for what somebody else wrote: it stays one line, so that it cannot pass for another.
pub(crate) fn printable_line(text: &str) -> String {
    credchain::printable(text).into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "these two variables are about this very terminal"
)]
fn colored(asked: Color, terminal: bool) -> bool {
    match asked {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    if !color {
        return text.to_owned();
    }
    let code = match style {
        Style::Good => "32",
        Style::Bad => "1;31",
        Style::Warning => "1;33",
        Style::Hint => "1;36",
        Style::Dim => "2",
        Style::Bold => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn writing(error: io::Error) -> Failure {
    Failure::io("writing to standard output", error)
}

#[cfg(test)]
mod tests {
    use credchain::Kind;

    use super::*;

    #[test]
    fn several_failures_become_one_document_with_the_most_pressing_first() {
        let failure = Failure::Credentials(vec![
            Error::new(Kind::NotFound, "not at `env`").for_credential(&"a".parse().unwrap()),
            Error::new(Kind::Denied, "no").for_credential(&"b".parse().unwrap()),
        ]);
        let document = serde_json::to_value(ErrorDocument::new(&failure)).unwrap();
        assert_eq!(document["version"], 1);
        assert_eq!(document["error"]["kind"], "denied");
        assert_eq!(document["error"]["code"], 4);
        assert_eq!(document["error"]["credential"], "b");
        assert_eq!(document["errors"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
