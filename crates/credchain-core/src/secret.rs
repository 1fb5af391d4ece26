//! The one type that holds a value.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::{LinkName, Reference, Version};

/// A secret value: bytes, never forced to be text, wiped from memory when the last clone drops.
///
/// There is no `Display`, no `Serialize` and no `PartialEq`; [`Secret::expose`] is the one door to
/// the bytes, so that `grep expose` finds every place where a value is looked at. Clones share
/// the same bytes.
///
/// ```
/// use credchain_core::Secret;
/// let secret = Secret::new(b"s3cret".to_vec());
/// assert_eq!(format!("{secret:?}"), "Secret(***)");
/// assert_eq!(secret.expose(), b"s3cret");
/// ```
#[derive(Clone)]
pub struct Secret {
    value: Arc<Zeroizing<Vec<u8>>>,
    meta: Option<Arc<SecretMeta>>,
}

/// What is known about a [`Secret`] besides its value; all of it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretMeta {
    /// The link that supplied the value; set by the chain.
    pub link: Option<LinkName>,
    /// Where in the backend the value was found.
    pub reference: Option<Reference>,
    /// The backend's version of the value.
    pub version: Option<Version>,
    /// When this version was written, by the backend's word.
    pub created: Option<SystemTime>,
    /// When the value stops being valid.
    pub expires: Option<SystemTime>,
    /// The lease the value is bound to.
    pub lease: Option<String>,
    /// Whether the lease can be extended.
    pub renewable: bool,
    /// Set when the value came from a cache after its backend became unavailable: how long ago
    /// it was fetched.
    pub stale: Option<Duration>,
    /// Set when the value was served by a cache.
    pub cached: bool,
}

impl Secret {
    /// Takes ownership of the bytes; the caller's buffer is the one that is wiped later.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self {
            value: Arc::new(Zeroizing::new(value.into())),
            meta: None,
        }
    }

    /// The bytes. Whatever is copied out of them is the caller's to protect.
    pub fn expose(&self) -> &[u8] {
        &self.value
    }

    /// The bytes as text, if they are UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }

    /// Whether the value has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Everything known about the value.
    pub fn meta(&self) -> &SecretMeta {
        static UNKNOWN: SecretMeta = SecretMeta {
            link: None,
            reference: None,
            version: None,
            created: None,
            expires: None,
            lease: None,
            renewable: false,
            stale: None,
            cached: false,
        };
        self.meta.as_deref().unwrap_or(&UNKNOWN)
    }

    /// Changes the metadata of this clone; other clones keep theirs.
    ///
    /// ```
    /// use credchain_core::Secret;
    /// let secret = Secret::new("v").with_meta(|meta| meta.renewable = true);
    /// assert!(secret.meta().renewable);
    /// ```
    pub fn with_meta(mut self, change: impl FnOnce(&mut SecretMeta)) -> Self {
        let mut meta = self
            .meta
            .take()
            .map_or_else(SecretMeta::default, Arc::unwrap_or_clone);
        change(&mut meta);
        self.meta = Some(Arc::new(meta));
        self
    }

    /// Whether both hold the same bytes, compared in time that depends on the length only.
    pub fn same_value(&self, other: &Self) -> bool {
        let (left, right) = (self.expose(), other.expose());
        left.len() == right.len()
            && left
                .iter()
                .zip(right)
                .fold(0_u8, |seen, (a, b)| seen | (a ^ b))
                == 0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(value: Vec<u8>) -> Self {
        Self::new(value)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_the_value_nor_its_length() {
        let short = format!("{:?}", Secret::new("a"));
        let long = format!("{:?}", Secret::new("a".repeat(100)));
        assert_eq!(short, long);
    }

    #[test]
    fn clones_share_the_bytes_but_not_later_metadata() {
        let first = Secret::new("v");
        let second = first.clone().with_meta(|m| m.cached = true);
        assert_eq!(first.expose().as_ptr(), second.expose().as_ptr());
        assert!(!first.meta().cached);
    }

    #[test]
    fn same_value_compares_bytes() {
        assert!(Secret::new("ab").same_value(&Secret::new("ab")));
        assert!(!Secret::new("ab").same_value(&Secret::new("ac")));
        assert!(!Secret::new("ab").same_value(&Secret::new("abc")));
    }
}
