//! From a secret's bytes to a field's type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use credchain_core::Secret;

use super::SecretText;

/// Why a value does not fit a field's type. It never quotes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(Cow<'static, str>);

impl Unfit {
    /// What the value has to be and is not: `is not …`, without a word of the value itself.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// How a type is made from a secret: from its bytes, [`ViaSecret`], or as text by
/// [`FromStr`], [`ViaText`].
///
/// Implement `FromSecret<ViaSecret>` for a type of your own that takes bytes, or that is not
/// `FromStr`.
///
/// ```
/// use credchain::{FromSecret, Secret, Unfit, ViaSecret};
///
/// struct Key([u8; 4]);
///
/// impl FromSecret<ViaSecret> for Key {
///     fn from_secret(secret: &Secret) -> Result<Self, Unfit> {
///         secret.expose().try_into().map(Key).map_err(|_| Unfit::new("is not 4 bytes"))
///     }
/// }
/// # let Key(bytes) = FromSecret::from_secret(&Secret::new("abcd")).unwrap();
/// # assert_eq!(&bytes, b"abcd");
/// ```
///
/// Other types are refused when the program is compiled:
///
/// ```compile_fail,E0277
/// struct Opaque;
/// fn fits<T: credchain::FromSecret<Via>, Via>() {}
/// fits::<Opaque, _>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a credential",
    label = "neither `Secret`, `SecretText` nor `FromStr`",
    note = "use `Secret` for bytes, `SecretText` for text, or a type that implements `FromStr`",
    note = "a struct of credentials needs `#[credential(nested)]`"
)]
pub trait FromSecret<Via>: Sized {
    /// Makes the value.
    ///
    /// # Errors
    /// [`Unfit`] if the bytes are none.
    fn from_secret(secret: &Secret) -> Result<Self, Unfit>;
}

/// Marks a type that takes a secret's bytes; see [`FromSecret`].
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a mark for the type system, never a value"
)]
pub enum ViaSecret {}

/// Marks a type that is parsed from a secret's text; see [`FromSecret`].
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a mark for the type system, never a value"
)]
pub enum ViaText {}

impl FromSecret<ViaSecret> for Secret {
    fn from_secret(secret: &Secret) -> Result<Self, Unfit> {
        Ok(secret.clone())
    }
}

impl FromSecret<ViaSecret> for SecretText {
    fn from_secret(secret: &Secret) -> Result<Self, Unfit> {
        text(secret).map(Self::new)
    }
}

impl<T: FromStr> FromSecret<ViaText> for T {
    fn from_secret(secret: &Secret) -> Result<Self, Unfit> {
        let text = text(secret)?;
        // SECURITY: the parser's own error may quote the value, so it is not passed on.
        text.parse().map_err(|_| {
            let wanted = short_name(std::any::type_name::<T>());
            Unfit::new(if text.ends_with('\n') {
                format!("is not a valid `{wanted}`: it ends with a newline")
            } else {
                format!("is not a valid `{wanted}`")
            })
        })
    }
}

fn text(secret: &Secret) -> Result<&str, Unfit> {
    secret
        .expose_text()
        .ok_or(Unfit(Cow::Borrowed("is not UTF-8 text")))
}

/// `url::Url` is `Url`; a type with parameters stays as it is.
fn short_name(full: &str) -> &str {
    if full.contains('<') {
        full
    } else {
        full.rsplit("::").next().unwrap_or(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_parse_is_not_quoted() {
        let unfit = u16::from_secret(&Secret::new("canary")).unwrap_err();
        assert_eq!(unfit.to_string(), "is not a valid `u16`");
        let unfit = std::net::IpAddr::from_secret(&Secret::new("canary\n")).unwrap_err();
        assert_eq!(
            unfit.to_string(),
            "is not a valid `IpAddr`: it ends with a newline"
        );
    }

    #[test]
    fn text_has_to_be_text() {
        assert!(SecretText::from_secret(&Secret::new([0xff])).is_err());
        assert!(bool::from_secret(&Secret::new([0xff])).is_err());
        assert_eq!(
            Secret::from_secret(&Secret::new([0xff])).unwrap().expose(),
            [0xff]
        );
    }
}
