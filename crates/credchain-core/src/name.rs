//! Names of credentials and links: parsed once, safe to print afterwards.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a credential.
///
/// Any name that a person may ask for: ASCII letters, digits, `_`, `-` and `.`, starting with a
/// letter or `_`, at most 255 bytes, without `..`. Names declared in a configuration are
/// narrower: see [`Name::is_declarable`]. Being parsed makes a name safe to print, to join to a
/// path and to send in a header.
///
/// ```
/// use credchain_core::Name;
/// assert!("api_key".parse::<Name>().is_ok());
/// assert!("../api_key".parse::<Name>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`] or [`LinkName`]. It does not repeat the text: that could be a
/// misplaced secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError(&'static str);

impl Name {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name may stand in `[credentials]`: `[a-z][a-z0-9_]{0,62}`.
    pub fn is_declarable(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() <= 63
            && bytes[0].is_ascii_lowercase()
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
    }

    /// The conventional environment variable: `api_key` is `API_KEY`.
    pub fn to_env(&self) -> String {
        self.0.to_ascii_uppercase().replace(['-', '.'], "_")
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let Some(first) = bytes.first() else {
            return Err(NameError("a credential's name cannot be empty"));
        };
        if bytes.len() > 255 {
            return Err(NameError("a credential's name has at most 255 bytes"));
        }
        if !(first.is_ascii_alphabetic() || *first == b'_') {
            return Err(NameError("a credential's name starts with a letter or `_`"));
        }
        if !bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        {
            return Err(NameError(
                "a credential's name has only letters, digits, `_`, `-` and `.`",
            ));
        }
        if text.contains("..") {
            return Err(NameError("a credential's name cannot contain `..`"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The name of one configured provider in a chain, such as `vault` or `prod-aws`:
/// `[a-z][a-z0-9_-]{0,62}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(Arc<str>);

impl LinkName {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name known at compile time to be right.
    ///
    /// # Panics
    /// If it is not; meant for literals.
    pub fn literal(text: &'static str) -> Self {
        match text.parse() {
            Ok(name) => name,
            Err(error) => panic!("`{text}` is not a link name: {error}"),
        }
    }
}

impl FromStr for LinkName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let starts_well = bytes.first().is_some_and(u8::is_ascii_lowercase);
        let well_made = bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if starts_well && well_made && bytes.len() <= 63 {
            Ok(Self(text.into()))
        } else {
            Err(NameError(
                "a provider's name is a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`",
            ))
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(10_000);
        for bad in [
            "", "a/b", "..", "a..b", "a\nb", "a\0b", "-rf", "1a", "ä", "a b", &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn declarable_names_are_narrower() {
        assert!("api_key".parse::<Name>().unwrap().is_declarable());
        for wide in ["API_KEY", "api-key", "_x", "a.b"] {
            assert!(!wide.parse::<Name>().unwrap().is_declarable(), "{wide}");
        }
        assert!("a".repeat(63).parse::<Name>().unwrap().is_declarable());
        assert!(!"a".repeat(64).parse::<Name>().unwrap().is_declarable());
    }

    #[test]
    fn link_names_are_lower_case() {
        assert!("prod-aws".parse::<LinkName>().is_ok());
        for bad in ["", "Prod", "9a", "a.b", "a/b", "a\n"] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad:?}");
        }
    }
}
