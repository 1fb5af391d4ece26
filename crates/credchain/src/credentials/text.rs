//! A secret that is text.

use std::fmt;
use std::sync::Arc;

use credchain_core::Secret;
use zeroize::Zeroizing;

/// A secret that is known to be UTF-8 text, wiped from memory when the last clone drops.
///
/// Like [`Secret`] it has no `Display`, no `Serialize` and no `PartialEq`, and
/// [`expose`](Self::expose) is the one door.
///
/// ```
/// use credchain::{Secret, SecretText};
/// let text = SecretText::try_from(Secret::new("s3cret"))?;
/// assert_eq!(text.expose(), "s3cret");
/// assert_eq!(format!("{text:?}"), "SecretText(***)");
/// assert!(SecretText::try_from(Secret::new([0xff])).is_err());
/// # Ok::<(), credchain::Unfit>(())
/// ```
#[derive(Clone)]
pub struct SecretText(Arc<Zeroizing<String>>);

impl SecretText {
    /// Takes ownership of the text; the caller's buffer is the one that is wiped later.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text. Whatever is copied out of it is the caller's to protect.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text has no characters at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Secret> for SecretText {
    type Error = super::Unfit;

    fn try_from(secret: Secret) -> Result<Self, super::Unfit> {
        super::FromSecret::from_secret(&secret)
    }
}

impl From<SecretText> for Secret {
    fn from(text: SecretText) -> Self {
        Self::new(text.expose())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(***)")
    }
}

/// What `Debug` shows in place of a secret; used by the derive.
#[doc(hidden)]
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "it has no content")]
pub struct Masked;

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
