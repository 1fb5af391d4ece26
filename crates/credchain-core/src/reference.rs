//! Where a value lives inside a backend, and its text form.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{Error, Kind, LinkName, Result};

/// Longest accepted reference, in bytes.
const MAX_LEN: usize = 4096;

/// What has to be written as `%XX` inside the text form.
const RESERVED: &AsciiSet = &CONTROLS.add(b'#').add(b'?').add(b'%');

/// A place inside a backend: `PATH[#FIELD][?version=V]`.
///
/// The path is relative to the provider's mount or prefix; a leading `/` makes it absolute.
/// `#`, `?` and `%` are percent-encoded in the text form. A parsed reference holds no control
/// character and no `..` segment.
///
/// ```
/// use credchain_core::Reference;
/// let reference: Reference = "prod/db#password?version=3".parse()?;
/// assert_eq!(reference.path(), "prod/db");
/// assert_eq!(reference.field(), Some("password"));
/// assert_eq!(reference.version().unwrap().as_str(), "3");
/// assert_eq!(reference.to_string(), "prod/db#password?version=3");
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    path: Arc<str>,
    field: Option<Arc<str>>,
    version: Option<Version>,
}

/// A backend's name for one version of a value: a number, an id or a stage.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(Arc<str>);

impl Reference {
    /// A reference to the whole value at `path`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an empty or over-long path, a control character or a `..` segment.
    pub fn new(path: impl AsRef<str>) -> Result<Self> {
        let path = path.as_ref();
        check("path", path)?;
        if path.split(['/', '\\']).any(|segment| segment == "..") {
            return Err(Error::new(
                Kind::Invalid,
                "a reference's path cannot contain `..`",
            ));
        }
        Ok(Self {
            path: path.into(),
            field: None,
            version: None,
        })
    }

    /// The same place, narrowed to one field of the document there.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an empty or over-long field or a control character.
    pub fn with_field(mut self, field: impl AsRef<str>) -> Result<Self> {
        check("field", field.as_ref())?;
        self.field = Some(field.as_ref().into());
        Ok(self)
    }

    /// The same place, at one version.
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// The same place, at whatever version is current.
    pub fn without_version(mut self) -> Self {
        self.version = None;
        self
    }

    /// The same document, without a field.
    pub fn without_field(mut self) -> Self {
        self.field = None;
        self
    }

    /// The path, decoded; a leading `/` means "absolute".
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The field inside the document at the path.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The version that was asked for.
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (rest, query) = match text.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (text, None),
        };
        let (path, field) = match rest.split_once('#') {
            Some((path, field)) => (path, Some(field)),
            None => (rest, None),
        };
        if field.is_some_and(|field| field.contains('#')) {
            return Err(Error::new(Kind::Invalid, "a reference has one `#`")
                .with_hint("a `#` that belongs to the path or the field is written `%23`"));
        }
        let mut reference = Self::new(decode(path)?)?;
        if let Some(field) = field {
            reference = reference.with_field(decode(field)?)?;
        }
        if let Some(query) = query {
            let Some(version) = query.strip_prefix("version=") else {
                return Err(Error::new(
                    Kind::Invalid,
                    "after `?` a reference takes only `version=`",
                )
                .with_hint("a `?` that belongs to the path is written `%3F`"));
            };
            reference = reference.with_version(Version::new(decode(version)?)?);
        }
        Ok(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", utf8_percent_encode(&self.path, RESERVED))?;
        if let Some(field) = &self.field {
            write!(f, "#{}", utf8_percent_encode(field, RESERVED))?;
        }
        if let Some(version) = &self.version {
            write!(f, "?version={}", utf8_percent_encode(&version.0, RESERVED))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Version {
    /// A version by the backend's own name for it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an empty or over-long text or a control character.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        check("version", text.as_ref())?;
        Ok(Self(text.as_ref().into()))
    }

    /// A version that is a number.
    pub fn number(number: u64) -> Self {
        Self(number.to_string().into())
    }

    /// The text of the version.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A reference at a named link: `LINK://PATH[#FIELD][?version=V]`.
///
/// ```
/// use credchain_core::Address;
/// let address: Address = "vault://pipeline/prod#api_key".parse()?;
/// assert_eq!(address.link.as_str(), "vault");
/// assert_eq!(address.to_string(), "vault://pipeline/prod#api_key");
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "an address is these two parts by definition"
)]
pub struct Address {
    /// The configured provider.
    pub link: LinkName,
    /// The place at that provider.
    pub reference: Reference,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((link, reference)) = text.split_once("://") else {
            return Err(Error::new(
                Kind::Invalid,
                "an address looks like `LINK://PATH#FIELD`",
            ));
        };
        let link = link
            .parse()
            .map_err(|error: crate::NameError| Error::new(Kind::Invalid, error.to_string()))?;
        Ok(Self {
            link,
            reference: reference.parse()?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.link, self.reference)
    }
}

fn check(what: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::new(
            Kind::Invalid,
            format!("a reference's {what} cannot be empty"),
        ));
    }
    if text.len() > MAX_LEN {
        let message = format!("a reference's {what} has at most {MAX_LEN} bytes");
        return Err(Error::new(Kind::Invalid, message));
    }
    if text.chars().any(char::is_control) {
        let message = format!("a reference's {what} cannot contain control characters");
        return Err(Error::new(Kind::Invalid, message));
    }
    Ok(())
}

fn decode(text: &str) -> Result<Cow<'_, str>> {
    // `percent_decode_str` leaves a malformed `%` as it is; here it is a mistake worth telling.
    let malformed = text.match_indices('%').any(|(at, _)| {
        !text
            .as_bytes()
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if malformed {
        return Err(Error::new(
            Kind::Invalid,
            "a `%` in a reference is followed by two hex digits",
        )
        .with_hint("a `%` that belongs to the path or the field is written `%25`"));
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::new(Kind::Invalid, "a percent-encoded reference must be UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_form_round_trips(
            path in "[^\\x00-\\x1f\\x7f-\\u{9f}./\\\\][^\\x00-\\x1f\\x7f-\\u{9f}.]{0,40}",
            field in proptest::option::of("[^\\x00-\\x1f\\x7f-\\u{9f}]{1,20}"),
            version in proptest::option::of("[^\\x00-\\x1f\\x7f-\\u{9f}]{1,20}"),
        ) {
            let mut reference = Reference::new(&path).unwrap();
            if let Some(field) = &field {
                reference = reference.with_field(field).unwrap();
            }
            if let Some(version) = &version {
                reference = reference.with_version(Version::new(version).unwrap());
            }
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let _ = text.parse::<Reference>();
            let _ = text.parse::<Address>();
        }
    }

    #[test]
    fn traversal_and_control_characters_are_refused_even_encoded() {
        for bad in [
            "../x",
            "a/../b",
            "%2e%2e/x",
            "a%00b",
            "a%0ab",
            "",
            "#f",
            "a#",
            "a?version=",
        ] {
            let error = bad.parse::<Reference>().unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{bad}");
        }
    }

    #[test]
    fn ambiguous_hashes_are_explained() {
        let error = "a#b#c".parse::<Reference>().unwrap_err();
        assert!(error.hint().unwrap().contains("%23"));
        let reference: Reference = "a%23b#c".parse().unwrap();
        assert_eq!((reference.path(), reference.field()), ("a#b", Some("c")));
    }
}
