//! Who can open a store.

use std::fmt;
use std::str::FromStr;

use credchain_core::{Error, Kind};

use crate::error::invalid;

/// Longest accepted label, in characters.
const MAX_LABEL: usize = 128;

/// A public key that a store is encrypted to, with an optional label that says whose it is.
///
/// Its text form is one line: an age recipient (`age1…`) or an SSH public key (`ssh-ed25519 …`,
/// `ssh-rsa …`), then the label. Two recipients are equal when their keys are.
///
/// ```
/// use credchain_provider_age::Recipient;
/// let line = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj alice";
/// let recipient: Recipient = line.parse()?;
/// assert_eq!(recipient.label(), Some("alice"));
/// assert_eq!(recipient.to_string(), line);
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    text: String,
    label: Option<String>,
}

#[derive(Clone)]
enum Key {
    X25519(age::x25519::Recipient),
    Ssh(Box<age::ssh::Recipient>),
}

impl Recipient {
    /// The same key with another label; an empty label is none.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for an over-long label or one with control characters.
    pub fn with_label(mut self, label: &str) -> Result<Self, Error> {
        let label = label.trim();
        if label.chars().count() > MAX_LABEL || label.chars().any(char::is_control) {
            let message =
                format!("a recipient's label is one line of at most {MAX_LABEL} characters");
            return Err(invalid(message));
        }
        self.label = Some(label.to_owned()).filter(|label| !label.is_empty());
        Ok(self)
    }

    /// The public key alone, as the `age` tool takes it.
    pub fn key(&self) -> &str {
        &self.text
    }

    /// Whose key it is, by the word of whoever added it.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(crate) fn from_x25519(key: age::x25519::Recipient) -> Self {
        Self {
            text: key.to_string(),
            key: Key::X25519(key),
            label: None,
        }
    }

    pub(crate) fn from_ssh(key: age::ssh::Recipient) -> Self {
        Self {
            text: key.to_string(),
            key: Key::Ssh(Box::new(key)),
            label: None,
        }
    }

    pub(crate) fn as_age(&self) -> &dyn age::Recipient {
        match &self.key {
            Key::X25519(key) => key,
            Key::Ssh(key) => &**key,
        }
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        // SECURITY: nothing of the text is repeated in an error; it may be a private key.
        if text.to_ascii_uppercase().contains("SECRET-KEY") || text.contains("PRIVATE KEY") {
            return Err(invalid("this is a private key; a recipient is a public one").with_hint(
                "`age-keygen -y FILE` or `ssh-keygen -y -f FILE` prints the public key of a private one",
            ));
        }
        let (first, rest) = split_word(text);
        match first {
            "ssh-ed25519" | "ssh-rsa" => {
                let (body, label) = split_word(rest);
                let key = format!("{first} {body}")
                    .parse()
                    .map_err(|error| ssh_error(&error))?;
                Self::from_ssh(key).with_label(label)
            }
            _ if first.starts_with("age1") => match first.parse() {
                Ok(key) => Self::from_x25519(key).with_label(rest),
                Err(_) => Err(unusable(
                    "not a complete age recipient, or one that needs a plugin",
                )),
            },
            _ => Err(unusable("not a recipient")),
        }
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.label
            .as_ref()
            .map_or(Ok(()), |label| write!(f, " {label}"))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn unusable(message: &'static str) -> Error {
    Error::new(Kind::Invalid, message)
        .with_hint("a recipient is `age1…`, `ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`")
}

fn ssh_error(error: &age::ssh::ParseRecipientKeyError) -> Error {
    use age::ssh::ParseRecipientKeyError as E;
    unusable(match error {
        E::RsaModulusTooSmall => "an RSA key with less than 2048 bits is too weak",
        E::RsaModulusTooLarge => "the RSA key is too large",
        _ => "not a complete SSH public key",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    #[test]
    fn lines_round_trip_with_and_without_label() {
        for line in [
            AGE,
            SSH,
            &format!("{AGE} alice b"),
            &format!("{SSH} alice@host"),
        ] {
            let recipient: Recipient = line.parse().unwrap();
            assert_eq!(recipient.to_string(), line);
            assert_eq!(
                recipient.to_string().parse::<Recipient>().unwrap(),
                recipient
            );
        }
    }

    #[test]
    fn the_label_is_no_part_of_the_identity() {
        let plain: Recipient = AGE.parse().unwrap();
        assert_eq!(plain.clone().with_label("x").unwrap(), plain);
        assert!(plain.with_label("two\nlines").is_err());
    }

    #[test]
    fn wrong_texts_are_refused_without_repeating_them() {
        let private = format!("{}-{}", "AGE-SECRET", "KEY-1CANARY");
        let pem = format!("-----BEGIN OPENSSH {} KEY-----canary", "PRIVATE");
        for text in [
            "",
            "canary",
            "age1canary",
            "ssh-ed25519 canary",
            "ssh-dss AAAA",
            &private,
            &pem,
        ] {
            let error = text.parse::<Recipient>().unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text}");
            assert!(error.hint().is_some());
            assert!(
                !format!("{error:?}").to_lowercase().contains("canary"),
                "{text}"
            );
        }
    }
}
