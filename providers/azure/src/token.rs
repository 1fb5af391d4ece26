//! A token of Entra: the header that shows it, how long it is good for, and whose it is.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use credchain_core::Secret;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Failure;

/// A token is replaced so long before its end, or at half of its life if that is later.
const MARGIN: Duration = Duration::from_mins(5);

/// How long a token is taken to be good for whose end is not told.
const UNTOLD: Duration = Duration::from_mins(5);

/// The longest claim that is shown.
const MAX_CLAIM: usize = 128;

/// A token, good for reading from Key Vault.
#[derive(Clone)]
pub(crate) struct Token {
    header: Secret,
    /// When it is to be replaced.
    renew: SystemTime,
    pub(crate) expires: SystemTime,
}

impl Token {
    /// A token that was given now and is good for so long.
    pub(crate) fn new(
        text: &str,
        life: Option<Duration>,
        now: SystemTime,
    ) -> Result<Self, Failure> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || !visible {
            return Err(Failure::Unreadable);
        }
        let life = life.unwrap_or(UNTOLD);
        let expires = now.checked_add(life).ok_or(Failure::Unreadable)?;
        let renew = expires - MARGIN.min(life / 2);
        let mut header = Vec::with_capacity(text.len() + 7);
        header.extend_from_slice(b"Bearer ");
        header.extend_from_slice(text.as_bytes());
        Ok(Self {
            header: Secret::new(header),
            renew,
            expires,
        })
    }

    /// Whether it need not be replaced yet.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.renew
    }

    /// Whether it is still taken.
    pub(crate) fn is_good(&self, now: SystemTime) -> bool {
        now < self.expires
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.header.same_value(&other.header)
    }

    /// The value of `Authorization`.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_bytes(self.header.expose()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What the token says about whose it is. It is shown to a person and decides nothing, so
    /// nobody checks the signature.
    pub(crate) fn claims(&self) -> Claims {
        let text = self.header.expose_text().unwrap_or_default();
        let claims = text.split('.').nth(1);
        let decoded = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
        let decoded = Zeroizing::new(decoded.unwrap_or_default());
        serde_json::from_slice(&decoded).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Who somebody is, by the claims of a token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Claims {
    tid: Value,
    oid: Value,
    appid: Value,
    azp: Value,
    upn: Value,
    preferred_username: Value,
}

impl Claims {
    pub(crate) fn tenant(&self) -> Option<String> {
        shown(&self.tid)
    }

    pub(crate) fn object(&self) -> Option<String> {
        shown(&self.oid)
    }

    pub(crate) fn client(&self) -> Option<String> {
        shown(&self.appid).or_else(|| shown(&self.azp))
    }

    /// A person's name.
    pub(crate) fn person(&self) -> Option<String> {
        shown(&self.upn).or_else(|| shown(&self.preferred_username))
    }
}

fn shown(claim: &Value) -> Option<String> {
    let text = claim.as_str()?;
    let fits = !text.is_empty() && text.len() <= MAX_CLAIM && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_replaced_before_its_end() {
        let token = |life| Token::new("t", Some(Duration::from_secs(life)), at(0)).unwrap();
        let hour = token(3600);
        assert!(hour.is_fresh(at(3299)) && !hour.is_fresh(at(3300)));
        assert!(hour.is_good(at(3599)) && !hour.is_good(at(3600)));
        let minute = token(60);
        assert!(minute.is_fresh(at(29)) && !minute.is_fresh(at(30)));
    }

    #[test]
    fn what_is_no_token_is_none() {
        for text in ["", "a b", "a\r\nb", "ä"] {
            let token = Token::new(text, None, at(0));
            assert_eq!(token.err(), Some(Failure::Unreadable), "{text:?}");
        }
    }

    #[test]
    fn the_claims_tell_whose_it_is_and_debug_tells_nothing() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"tid": "t", "appid": "a", "oid": 3}"#);
        let token = Token::new(&format!("h.{claims}.canary"), None, at(0)).unwrap();
        let told = token.claims();
        assert_eq!(told.tenant().as_deref(), Some("t"));
        assert_eq!(told.client().as_deref(), Some("a"));
        assert_eq!((told.object(), told.person()), (None, None));
        assert!(!format!("{token:?}").contains("canary"));
        let opaque = Token::new("opaque", None, at(0)).unwrap();
        assert_eq!(opaque.claims().tenant(), None);
    }
}
