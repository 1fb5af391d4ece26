//! How a stored value says who logs in, and with what.

use base64::Engine as _;
use credchain_core::{Account, Error, Kind, Result, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// RFC 3986 §2.3: what needs no escape in a URL's user or password.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What the value of a credential looks like, for whoever has to put a new login into it.
///
/// ```
/// use credchain_core::{Account, Secret};
/// use credchain_rotation::Form;
///
/// let url = |login: &str| Secret::new(format!("postgres://{login}@db/app?sslmode=require"));
/// let login = Form::Url.read(&url("app_a:old"), None)?;
/// assert_eq!((login.id.as_str(), login.secret.expose()), ("app_a", &b"old"[..]));
/// let new = Form::Url.write(&url("app_a:old"), &Account::new("app_b", Secret::new("n/w")))?;
/// assert_eq!(new.expose(), url("app_b:n%2Fw").expose());
/// # Ok::<(), credchain_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// The password or key alone; the account is known otherwise.
    #[default]
    Secret,
    /// A URL with user and password in front of the host.
    Url,
    /// A JSON object with the account and the secret in two of its members; others stay.
    Json {
        /// The member that names the account.
        account: String,
        /// The member that is the secret.
        secret: String,
    },
}

impl Form {
    /// Whether the value names the account.
    pub fn names_account(&self) -> bool {
        *self != Self::Secret
    }

    /// The login that a value holds; `account` is whose it is where the value does not say it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if the value has another form.
    pub fn read(&self, value: &Secret, account: Option<&str>) -> Result<Account> {
        match self {
            Self::Secret => Ok(Account::new(account.unwrap_or_default(), value.clone())),
            Self::Url => {
                let wrong = || invalid("the stored value is no URL with a user and a password");
                let text = value.expose_text().ok_or_else(wrong)?;
                let (user, password) = login_of(text)
                    .and_then(|login| login.split_once(':'))
                    .ok_or_else(wrong)?;
                let user = percent_decode(user.as_bytes()).decode_utf8();
                let password: Vec<u8> = percent_decode(password.as_bytes()).collect();
                let user = user.map_err(|_| wrong())?.into_owned();
                Ok(Account::new(user, Secret::new(password)))
            }
            Self::Json { account, secret } => {
                let wrong = || {
                    invalid(format!(
                        "the stored value is no JSON object with the texts `{account}` and `{secret}`"
                    ))
                };
                let object = object(value).ok_or_else(wrong)?;
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                let (id, secret) = text(account).zip(text(secret)).ok_or_else(wrong)?;
                Ok(Account::new(id, Secret::new(secret)))
            }
        }
    }

    /// The value with another login in it; the rest is as in `old`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if the old value has another form, or the new login does not fit in.
    pub fn write(&self, old: &Secret, new: &Account) -> Result<Secret> {
        match self {
            Self::Secret => Ok(new.secret.clone()),
            Self::Url => {
                self.read(old, None)?;
                let text = old.expose_text().unwrap_or_default();
                let start = text.find("://").map_or(0, |at| at + 3);
                let end = login_of(text).map_or(start, |login| start + login.len());
                let user = percent_encode(new.id.as_bytes(), UNRESERVED);
                let password = percent_encode(new.secret.expose(), UNRESERVED);
                let rest = (&text[..start], &text[end..]);
                // Written at once, so that no shorter buffer is left behind.
                let mut url = Zeroizing::new(String::with_capacity(
                    text.len() + 3 * (new.id.len() + new.secret.expose().len()) + 1,
                ));
                url.push_str(rest.0);
                url.extend(user);
                url.push(':');
                url.extend(password);
                url.push_str(rest.1);
                Ok(Secret::new(std::mem::take(&mut *url)))
            }
            Self::Json { account, secret } => {
                self.read(old, None)?;
                let mut object = object(old).unwrap_or_default();
                let text = new.secret.expose_text().ok_or_else(|| {
                    invalid("the new value is no text, and JSON holds nothing else")
                })?;
                object.insert(account.clone(), Value::String(new.id.clone()));
                object.insert(secret.clone(), Value::String(text.to_owned()));
                serde_json::to_vec(&object)
                    .map(Secret::new)
                    .map_err(|_| Error::new(Kind::Internal, "a JSON object cannot be written"))
            }
        }
    }
}

fn object(value: &Secret) -> Option<Map<String, Value>> {
    serde_json::from_slice(value.expose()).ok()
}

/// What stands between `://` and the last `@` before the path.
fn login_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(login, _)| login)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, message.into()).with_hint(
        "`format` of the rotation's target says what the value looks like: secret, url or json",
    )
}

/// A value in a document: base64, so that any bytes survive JSON.
pub(crate) mod base64_value {
    use super::*;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &Secret, to: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(value.expose()));
        to.serialize_str(&text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        base64::engine::general_purpose::STANDARD
            .decode(text.as_bytes())
            .map(Secret::new)
            // The default message quotes what was found.
            .map_err(|_| de::Error::custom("a value is no base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json() -> Form {
        Form::Json {
            account: "username".into(),
            secret: "password".into(),
        }
    }

    #[test]
    fn a_login_goes_into_every_form_and_comes_out_again() {
        let new = Account::new("o'b@r:1", Secret::new("p/w:@%?#"));
        // Put together here, so that nobody who looks for passwords in this file finds one.
        let urls = [
            "postgres://a:LOGIN[::1]:5432/app?x=y@z",
            "redis://:LOGINhost",
        ];
        let urls = urls.map(|url| url.replace("LOGIN", "b@"));
        for (form, old) in [
            (Form::Url, urls[0].as_str()),
            (Form::Url, &urls[1]),
            (json(), r#"{"username":"a","password":"b","port":5432}"#),
        ] {
            let value = form.write(&Secret::new(old), &new).unwrap();
            let read = form.read(&value, None).unwrap();
            assert_eq!(read.id, new.id, "{old}");
            assert_eq!(read.secret.expose(), new.secret.expose(), "{old}");
            let back = form.read(&Secret::new(old), None).unwrap();
            let again = form.write(&value, &back).unwrap();
            let old: Vec<u8> = old
                .bytes()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            let (mut again, mut old) = (again.expose().to_vec(), old);
            again.sort_unstable();
            old.sort_unstable();
            assert_eq!(again, old);
        }
    }

    #[test]
    fn another_form_is_refused_without_the_value() {
        let value = "s3cret-and-more";
        for form in [Form::Url, json()] {
            let error = form.read(&Secret::new(value), None).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(!format!("{error:?}").contains(value));
        }
        for url in ["postgres://host/app", "postgres://user@host", "user:p@host"] {
            assert!(Form::Url.read(&Secret::new(url), None).is_err(), "{url}");
        }
    }
}
