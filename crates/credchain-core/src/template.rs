//! Text with credentials in it: `postgres://app:{{ db_password | url }}@{{ db_host }}/app`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use crate::{Error, Kind, Name, Result, Secret};

/// RFC 3986 §2.3: what needs no escape anywhere in a URL.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text with places for values: `{{ NAME | FILTER … }}`.
///
/// Everything else stays as it is, `${…}` and single braces included; `{{ "{{" }}` writes two
/// braces. Values are bytes and go in unchanged unless a [`Filter`] says otherwise.
///
/// ```
/// use credchain_core::{Secret, Template};
/// let template: Template = "p={{ db_password | url }}".parse()?;
/// let rendered = template.render(|_| Ok(Secret::new("a/b")))?;
/// assert_eq!(rendered.expose(), b"p=a%2Fb");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value {
        name: Name,
        filters: Vec<Filter>,
        span: Range<usize>,
    },
}

/// How a value is written into a [`Template`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// `url`: percent-encoded for any part of a URL.
    Url,
    /// `json`: a JSON string with its quotes; the value must be UTF-8.
    Json,
    /// `base64`: standard alphabet with padding (RFC 4648 §4).
    Base64,
    /// `sh`: one word for a POSIX shell, in single quotes; the value must be free of NUL.
    Sh,
}

/// Where and why a text is no [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    message: String,
    span: Range<usize>,
}

impl Template {
    /// The credentials it needs, in order of appearance, repeated as they are.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.values().map(|(name, _, _)| name)
    }

    /// Every place for a value: the credential, its filters, and where in the text it stands.
    pub fn values(&self) -> impl Iterator<Item = (&Name, &[Filter], Range<usize>)> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value {
                name,
                filters,
                span,
            } => Some((name, filters.as_slice(), span.clone())),
        })
    }

    /// The text before the first place for a value; tells whether this is going to be a URL.
    pub fn prefix(&self) -> &str {
        match self.0.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// Fills in the values.
    ///
    /// # Errors
    /// Whatever `value` fails with; [`Kind::Invalid`] when a filter cannot carry a value.
    pub fn render(&self, value: impl FnMut(&Name) -> Result<Secret>) -> Result<Secret> {
        self.render_within(usize::MAX, value)
    }

    /// The same, refusing to make more than `limit` bytes.
    pub(crate) fn render_within(
        &self,
        limit: usize,
        mut value: impl FnMut(&Name) -> Result<Secret>,
    ) -> Result<Secret> {
        let mut out = Zeroizing::new(Vec::new());
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value { name, filters, .. } => {
                    let secret = value(name)?;
                    let mut bytes = Zeroizing::new(secret.expose().to_vec());
                    for filter in filters {
                        bytes = filter
                            .apply(&bytes)
                            .map_err(|error| error.for_credential(name))?;
                    }
                    out.extend_from_slice(&bytes);
                }
            }
            if out.len() > limit {
                return Err(Error::new(
                    Kind::Invalid,
                    "templates make more than the 64 MiB that they may make together",
                )
                .with_hint("a template that repeats others grows with each of them"));
            }
        }
        Ok(Secret::new(std::mem::take(&mut *out)))
    }
}

impl Filter {
    /// Every filter, for messages and documentation.
    pub const ALL: [Self; 4] = [Self::Url, Self::Json, Self::Base64, Self::Sh];

    /// The word that stands in the template.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Json => "json",
            Self::Base64 => "base64",
            Self::Sh => "sh",
        }
    }

    fn apply(self, value: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let unable = |why: &'static str| Error::new(Kind::Invalid, why);
        Ok(Zeroizing::new(match self {
            Self::Url => percent_encode(value, UNRESERVED).to_string().into_bytes(),
            Self::Json => {
                let text = std::str::from_utf8(value)
                    .map_err(|_| unable("the `json` filter takes only UTF-8"))?;
                serde_json::to_vec(text).map_err(|_| unable("the value is no JSON text"))?
            }
            Self::Base64 => STANDARD.encode(value).into_bytes(),
            Self::Sh if value.contains(&0) => {
                return Err(unable("a NUL byte cannot be written in a shell word"));
            }
            Self::Sh => {
                let mut word = Vec::with_capacity(value.len() + 2);
                word.push(b'\'');
                for byte in value {
                    match byte {
                        b'\'' => word.extend_from_slice(br"'\''"),
                        other => word.push(*other),
                    }
                }
                word.push(b'\'');
                word
            }
        }))
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> std::result::Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(open) = text[at..].find("{{").map(|found| at + found) {
            if open > at {
                parts.push(Part::Text(text[at..open].to_owned()));
            }
            let Some(end) = close(text, open + 2) else {
                return Err(TemplateError::new("`{{` is never closed", open..open + 2));
            };
            parts.push(expression(text, open + 2..end)?);
            at = end + 2;
        }
        if at < text.len() {
            parts.push(Part::Text(text[at..].to_owned()));
        }
        Ok(Self(parts))
    }
}

/// Where the expression that starts at `from` ends, quoted text passed over.
fn close(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    (from..bytes.len()).find(|&at| {
        quoted ^= bytes[at] == b'"';
        !quoted && bytes[at..].starts_with(b"}}")
    })
}

fn expression(text: &str, span: Range<usize>) -> std::result::Result<Part, TemplateError> {
    let inside = text[span.clone()].trim();
    if let Some(quoted) = inside
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        return Ok(Part::Text(quoted.to_owned()));
    }
    let mut words = inside.split('|').map(str::trim);
    let name = words.next().unwrap_or_default();
    let name = match name.parse::<Name>() {
        Ok(name) => name,
        Err(_) if name.is_empty() => {
            return Err(TemplateError::new("a credential's name is missing", span));
        }
        Err(error) => return Err(TemplateError::new(error.to_string(), span)),
    };
    let filters = words
        .map(|word| {
            Filter::ALL
                .into_iter()
                .find(|filter| filter.as_str() == word)
                .ok_or_else(|| {
                    let known = Filter::ALL
                        .map(|filter| format!("`{}`", filter.as_str()))
                        .join(", ");
                    let message = format!("no such filter; there are {known}");
                    TemplateError::new(message, span.clone())
                })
        })
        .collect::<std::result::Result<_, _>>()?;
    Ok(Part::Value {
        name,
        filters,
        span,
    })
}

impl TemplateError {
    fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self {
            message: message.into(),
            span,
        }
    }

    /// The bytes of the template's text that are at fault.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, value: &[u8]) -> Result<Vec<u8>> {
        let template: Template = template.parse().expect("a template");
        Ok(template
            .render(|_| Ok(Secret::new(value)))?
            .expose()
            .to_vec())
    }

    #[test]
    fn filters_write_what_their_target_reads_back() {
        let value = "a'b\"c\\ $d/é\n".as_bytes();
        assert_eq!(render("{{ x }}", value).unwrap(), value);
        assert_eq!(
            render("{{ x | url }}", b"a/b c\xff").unwrap(),
            b"a%2Fb%20c%FF"
        );
        let json = render("{{x|json}}", value).unwrap();
        assert_eq!(
            serde_json::from_slice::<String>(&json).unwrap().as_bytes(),
            value
        );
        assert_eq!(render("{{ x | base64 }}", b"\x00\xff").unwrap(), b"AP8=");
        assert_eq!(render("{{ x | sh }}", b"it's").unwrap(), br"'it'\''s'");
        assert_eq!(
            render("{{ x | base64 | json }}", b"a").unwrap(),
            b"\"YQ==\""
        );
    }

    #[test]
    fn a_filter_that_cannot_carry_a_value_says_so() {
        assert_eq!(
            render("{{ x | json }}", b"\xff").unwrap_err().kind(),
            Kind::Invalid
        );
        assert_eq!(
            render("{{ x | sh }}", b"a\0").unwrap_err().kind(),
            Kind::Invalid
        );
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "${HOME} {x} }} $", "{ {x} }"] {
            assert_eq!(render(text, b"v").unwrap(), text.as_bytes());
        }
        assert_eq!(
            render("{{ \"{{\" }} .Values }}", b"v").unwrap(),
            b"{{ .Values }}"
        );
    }

    #[test]
    fn mistakes_point_at_their_place() {
        for (text, at) in [
            ("ab{{ x", 2..4),
            ("{{ x | nope }}", 2..12),
            ("a{{}}", 3..3),
            ("{{ a/b }}", 2..7),
        ] {
            assert_eq!(text.parse::<Template>().unwrap_err().span(), at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[{}\"| a-zé]{0,40}") {
            let _ = text.parse::<Template>();
        }

        #[test]
        fn a_value_is_never_scanned_for_templates(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(render("{{ x }}", &value).unwrap(), value);
        }
    }
}
