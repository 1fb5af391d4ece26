//! `oauth2-refresh`: access tokens that somebody stored, and that nothing renews.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use credchain::{Context, Name, format_duration};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Report, Site};

/// What lives longer was not made to be renewed by a program.
const SOON: Duration = Duration::from_hours(24);

/// Larger than any token that fits into a header.
const LARGEST: usize = 64 << 10;

/// A token that is to be renewed, and by nobody is.
#[derive(Debug)]
pub(crate) struct Ending {
    name: Name,
    /// How long it lasts; nothing once it has ended.
    left: Option<Duration>,
}

/// The one claim that is read (RFC 7519, 4.1.4).
#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

/// Whether a stored value is an access token that has ended or will within a day. Declared in
/// `[oauth2]`, it is got and renewed when it is needed.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let values = match site.values() {
        Ok(values) => values,
        Err(why) => return Report::skipped(why),
    };
    let mut report = Report::default();
    for Ending { name, left } in values.ending() {
        let when = match left {
            Some(left) => format!("ends in {}", format_duration(*left)),
            None => "has ended".to_owned(),
        };
        report.problem(
            format!("`{name}` is an access token that {when}, and nothing renews it"),
            format!("`[oauth2.{name}]` in `credchain.toml` instead of `[credentials.{name}]`"),
        );
    }
    report
}

impl Ending {
    /// What there is to be said of a value, without keeping any of it.
    pub(crate) fn of(name: &Name, value: &[u8], cx: &Context) -> Option<Self> {
        let now = cx.clock().now().duration_since(UNIX_EPOCH).ok()?;
        let left = expiry(value)?.checked_sub(now);
        // Whole minutes are enough to know.
        let left = left.map(|left| Duration::from_mins(left.as_secs() / 60));
        let is_soon = left.is_none_or(|left| left < SOON);
        is_soon.then(|| Self {
            name: name.clone(),
            left,
        })
    }
}

/// When a JSON web token ends, counted from 1970. Its signature is not checked: nothing is
/// allowed because of it.
fn expiry(value: &[u8]) -> Option<Duration> {
    let value = value.trim_ascii();
    if value.len() > LARGEST {
        return None;
    }
    let mut parts = value.split(|byte| *byte == b'.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Duration::try_from_secs_f64(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", part(r#"{"alg":"none"}"#), part(claims))
    }

    #[test]
    fn the_end_of_a_token_is_its_claim() {
        let end = expiry(token(r#"{"sub":"a","exp":1700000000}"#).as_bytes());
        assert_eq!(end, Some(Duration::from_secs(1_700_000_000)));
        for other in [
            token(r#"{"sub":"a"}"#),
            token(r#"{"exp":"soon"}"#),
            token(r#"{"exp":-1}"#),
            token(r#"{"exp":1e300}"#),
            token("[]"),
            "a.b".to_owned(),
            "a.b.c".to_owned(),
            format!("{}.x", token(r#"{"exp":1}"#)),
        ] {
            assert_eq!(expiry(other.as_bytes()), None, "{other}");
        }
    }
}
