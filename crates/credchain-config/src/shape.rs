//! Whether one plain value has the shape that its key asks for.

use credchain_core::{Shape, format_duration, parse_duration, parse_size};

use crate::diagnostic::Diagnostic;
use crate::suggest::suggestion;
use crate::tree::{Node, Value};

/// What is wrong with a value. No part of it repeats the value.
pub(crate) struct Problem {
    code: &'static str,
    /// What the key must be: `must be a duration`.
    message: String,
    pub(crate) label: String,
    help: Option<String>,
    /// Whether the value has to stay out of the snippet.
    pub(crate) hide: bool,
}

impl Problem {
    fn new(code: &'static str, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            label: label.into(),
            help: None,
            hide: false,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn diagnostic(&self, path: &str) -> Diagnostic {
        Diagnostic::error(self.code, format!("`{path}` {}", self.message))
            .maybe_help(self.help.clone())
    }
}

/// How well-known secrets begin.
const SECRET_STARTS: [&str; 12] = [
    "AGE-SECRET-KEY-",
    "AKIA",
    "-----BEGIN",
    "ghp_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "sk-",
    "sk_live_",
    "rk_live_",
    "xoxb-",
    "xoxp-",
];

/// Whether a text has the form of a well-known secret, so that it should stand in no file.
pub(crate) fn looks_like_secret(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 20 && SECRET_STARTS.iter().any(|start| text.starts_with(start))
}

/// Checks a value against a shape that has no parts.
pub(crate) fn check(node: &Node, shape: Shape) -> Result<(), Problem> {
    match (shape, &node.value) {
        (Shape::Integer { min, max }, Value::Integer(number)) => integer(*number, min, max),
        (Shape::Size, Value::Integer(number)) if *number >= 0 => Ok(()),
        (Shape::Text, Value::Text(text)) if text.contains('\0') => Err(Problem::new(
            "config::bad-text",
            "cannot contain a NUL character",
            "NUL in here",
        )),
        (Shape::Bool, Value::Bool(_)) | (Shape::Text, Value::Text(_)) => Ok(()),
        (Shape::Duration, Value::Text(text)) => duration(text),
        (Shape::Size, Value::Text(text)) => size(text),
        (Shape::Path | Shape::Program, Value::Text(text)) => path(text),
        (Shape::Url, Value::Text(text)) => url(text),
        (Shape::Choice(words), Value::Text(text)) => choice(text, words),
        _ => Err(wrong_kind(node, shape)),
    }
}

/// The mistake of a value of another kind, with the way to write it right.
pub(crate) fn wrong_kind(node: &Node, shape: Shape) -> Problem {
    let problem = Problem::new(
        "config::wrong-type",
        format!("must be {}", expected(shape)),
        format!("this is {}", node.describe()),
    );
    match (shape, &node.value) {
        (
            Shape::Text | Shape::Path | Shape::Program,
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Date(_),
        ) => problem.help("write it in quotes"),
        (Shape::Duration, Value::Integer(_)) => {
            problem.help("a duration has a unit: `\"30s\"`, `\"5m\"`, `\"90d\"`")
        }
        (Shape::List(_), Value::Text(_)) => problem.help("write it in brackets: `[\"…\"]`"),
        (Shape::Bool, Value::Text(_)) => problem.help("write it without quotes"),
        (Shape::Integer { .. }, Value::Text(text)) if text.parse::<i64>().is_ok() => {
            problem.help("write it without quotes")
        }
        _ => problem,
    }
}

/// Whether the value is at least the kind of thing that the shape is, right or wrong inside.
pub(crate) fn same_kind(node: &Node, shape: Shape) -> bool {
    match shape {
        Shape::Bool => matches!(node.value, Value::Bool(_)),
        Shape::Integer { .. } => matches!(node.value, Value::Integer(_)),
        Shape::Size => matches!(node.value, Value::Integer(_) | Value::Text(_)),
        Shape::List(_) => matches!(node.value, Value::List(_)),
        Shape::Map(_) | Shape::Table(_) | Shape::Tagged { .. } | Shape::Credential => {
            node.table().is_some()
        }
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| same_kind(node, *shape)),
        _ => node.text().is_some(),
    }
}

/// A shape in words, as in "must be …".
pub(crate) fn expected(shape: Shape) -> String {
    match shape {
        Shape::Bool => "`true` or `false`".into(),
        Shape::Integer { min, max: i64::MAX } => format!("a whole number from {min}"),
        Shape::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Shape::Duration => "a duration such as `\"5m\"`".into(),
        Shape::Size => "a size such as `\"64KiB\"`".into(),
        Shape::Path => "a path".into(),
        Shape::Program => "a program".into(),
        Shape::Url => "a URL".into(),
        Shape::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(" or ")
        }
        Shape::List(_) => "a list".into(),
        Shape::Map(_) | Shape::Table(_) | Shape::Tagged { .. } => "a table".into(),
        Shape::Credential => "`{ credential = \"NAME\" }`".into(),
        Shape::AnyOf(shapes) => {
            let shapes: Vec<_> = shapes.iter().map(|shape| expected(*shape)).collect();
            shapes.join(" or ")
        }
        _ => "text".into(),
    }
}

fn integer(number: i64, min: i64, max: i64) -> Result<(), Problem> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    let message = format!("must be {}", expected(Shape::Integer { min, max }));
    Err(Problem::new(
        "config::out-of-range",
        message,
        "out of range",
    ))
}

fn duration(text: &str) -> Result<(), Problem> {
    if parse_duration(text).is_some() {
        return Ok(());
    }
    let problem = Problem::new(
        "config::bad-duration",
        "must be a duration such as `\"5m\"`",
        "no duration",
    );
    let number: Option<u64> = text.trim().parse().ok();
    Err(
        problem.help(match number.map(std::time::Duration::from_secs) {
            Some(seconds) if !seconds.is_zero() => {
                format!(
                    "it needs a unit; for seconds write `\"{}\"`",
                    format_duration(seconds)
                )
            }
            _ => "a number and a unit: `ms`, `s`, `m`, `h`, `d`, `w`".to_owned(),
        }),
    )
}

fn size(text: &str) -> Result<(), Problem> {
    match parse_size(text) {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            "config::bad-size",
            "must be a size such as `\"64KiB\"`",
            "no size",
        )
        .help("a number and a unit: `B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`")),
    }
}

fn path(text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.contains('\0') {
        return Err(Problem::new(
            "config::bad-path",
            "must be a path",
            "no path",
        ));
    }
    Ok(())
}

fn url(text: &str) -> Result<(), Problem> {
    let bad = |label: &str| Problem::new("config::bad-url", "must be a URL", label.to_owned());
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(bad("there is no scheme").help("a URL begins with `https://`"));
    };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let mut problem = Problem::new(
            "config::secret-in-url",
            "cannot hold a user or password",
            "user in here",
        )
        .help("a login is set up with keys of its own, secrets as `{ credential = \"NAME\" }`");
        problem.hide = true;
        return Err(problem);
    }
    if !scheme_fits || authority.is_empty() && scheme != "unix" {
        return Err(
            bad("there is no host").help("a URL looks like `https://vault.example.com:8200`")
        );
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(bad("a URL has no blanks"));
    }
    Ok(())
}

fn choice(text: &str, words: &[&str]) -> Result<(), Problem> {
    if words.contains(&text) {
        return Ok(());
    }
    let mut problem = Problem::new(
        "config::unknown-choice",
        "has an unknown value",
        "not one of the known words",
    );
    problem.help = suggestion(text, words.iter().copied());
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_problem(text: &str) -> Option<&'static str> {
        url(text).err().map(|problem| problem.code)
    }

    #[test]
    fn well_known_secrets_are_recognised() {
        assert!(looks_like_secret(&format!(
            "sk{}live_{}",
            '_',
            "x".repeat(24)
        )));
        assert!(looks_like_secret(&format!(
            "AGE-SECRET-{}-1{}",
            "KEY",
            "Q".repeat(58)
        )));
        for harmless in [
            "sk-short",
            "skeleton-of-a-description-text",
            "prod/db#password",
        ] {
            assert!(!looks_like_secret(harmless), "{harmless}");
        }
    }

    #[test]
    fn urls_are_checked_without_being_opened() {
        for good in [
            "https://vault:8200",
            "http://127.0.0.1",
            "unix:///run/x.sock",
            "https://a/b?c",
        ] {
            assert_eq!(url_problem(good), None, "{good}");
        }
        for bad in ["vault:8200", "https://", "://x", "https://a b", ""] {
            assert_eq!(url_problem(bad), Some("config::bad-url"), "{bad}");
        }
        assert_eq!(
            url_problem("https://u:p@host/"),
            Some("config::secret-in-url")
        );
        assert_eq!(url_problem("https://host/@x"), None);
    }
}
