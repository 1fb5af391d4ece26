//! What a token endpoint answers: strict in what matters, lenient in what servers get wrong.

use std::time::Duration;

use credchain_core::Secret;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Failed, Failure};
use crate::http::{Answer, Media};
use crate::life::{LONGEST_LIFE, Moment};

/// The largest token that is taken.
const MAX_TOKEN: usize = 64 << 10;

/// A token as it was granted.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) token: Secret,
    /// Nothing if the server did not say, or said what cannot be.
    pub(crate) life: Option<Duration>,
    /// The next refresh token; nothing if the old one stays.
    pub(crate) refresh: Option<Secret>,
    /// What the token may do; nothing if that is what was asked for.
    pub(crate) scopes: Option<Vec<String>>,
    /// When it was asked for.
    pub(crate) asked: Moment,
}

/// The fields of RFC 6749 §5.1 and §5.2. One that comes twice is an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    error: Option<Value>,
    access_token: Option<Zeroizing<String>>,
    refresh_token: Option<Zeroizing<String>>,
    token_type: Option<Value>,
    expires_in: Option<Value>,
    scope: Option<Value>,
}

impl Granted {
    /// Reads an answer. An error code wins over everything else, whatever the status.
    pub(crate) fn read(answer: &Answer) -> Result<Self, Failed> {
        let fields = match Fields::read(answer) {
            Some(fields) => fields,
            None if answer.is_success() => return Err(answer.failed(Failure::Unreadable)),
            None => return Err(answer.failed(Failure::Status(answer.status))),
        };
        if let Some(code) = fields.error.as_ref().and_then(code) {
            return Err(answer.failed(Failure::Refused(code, answer.status)));
        }
        if !answer.is_success() {
            return Err(answer.failed(Failure::Status(answer.status)));
        }
        fields
            .granted(answer.asked)
            .map_err(|failure| answer.failed(failure))
    }
}

impl Fields {
    fn read(answer: &Answer) -> Option<Self> {
        let first = answer.body.iter().find(|byte| !byte.is_ascii_whitespace());
        if answer.media == Media::Json || first == Some(&b'{') {
            return serde_json::from_slice(&answer.body).ok();
        }
        let form = answer.media == Media::Form && answer.body.contains(&b'=');
        form.then(|| Self::from_form(&answer.body)).flatten()
    }

    /// Some servers answer in the form in which they are asked.
    fn from_form(body: &[u8]) -> Option<Self> {
        let mut fields = Self::default();
        for pair in body.split(|byte| *byte == b'&') {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
            let value = Zeroizing::new(decoded(value.get(1..).unwrap_or_default())?);
            let text = || Some(Value::String(value.to_string()));
            let twice = match name {
                b"access_token" => fields.access_token.replace(value).is_some(),
                b"error" => fields.error.replace(text()?).is_some(),
                b"refresh_token" => fields.refresh_token.replace(value).is_some(),
                b"token_type" => fields.token_type.replace(text()?).is_some(),
                b"expires_in" => fields.expires_in.replace(text()?).is_some(),
                b"scope" => fields.scope.replace(text()?).is_some(),
                _ => false,
            };
            if twice {
                return None;
            }
        }
        Some(fields)
    }

    fn granted(self, asked: Moment) -> Result<Granted, Failure> {
        let token = self.access_token.filter(|token| !token.is_empty());
        let token = token.ok_or(Failure::Unreadable)?;
        check(&token)?;
        match self.token_type {
            None => {}
            Some(Value::String(kind)) if kind.is_empty() || is_bearer(&kind) => {}
            Some(_) => return Err(Failure::TokenType),
        }
        // Absent, null and empty all mean that the old one stays.
        let refresh = self.refresh_token.filter(|token| !token.is_empty());
        if let Some(refresh) = &refresh {
            check(refresh)?;
        }
        Ok(Granted {
            token: Secret::new(token.as_bytes()),
            life: self.expires_in.as_ref().and_then(life),
            refresh: refresh.map(|token| Secret::new(token.as_bytes())),
            scopes: self.scope.as_ref().and_then(scopes),
            asked,
        })
    }
}

/// What an answer to something else than a request for a token says, if it is a failure.
pub(crate) fn refusal(answer: &Answer) -> Option<Failed> {
    let fields = Fields::read(answer);
    let code = fields.and_then(|fields| code(&fields.error?));
    let failure = match code {
        Some(code) => Failure::Refused(code, answer.status),
        None if answer.is_success() => return None,
        None => Failure::Status(answer.status),
    };
    Some(answer.failed(failure))
}

/// An error code, in the forms that there are: a word, or an object with one.
fn code(error: &Value) -> Option<String> {
    match error {
        Value::Null => None,
        Value::String(code) if code.is_empty() => None,
        Value::String(code) => Some(code.clone()),
        Value::Object(fields) => {
            let word = fields.get("status").or_else(|| fields.get("code"));
            Some(word.and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        _ => Some(String::new()),
    }
}

fn is_bearer(kind: &str) -> bool {
    kind.trim().eq_ignore_ascii_case("bearer")
}

// SECURITY: what goes into a header must not end it.
fn check(token: &str) -> Result<(), Failure> {
    if token.len() > MAX_TOKEN {
        return Err(Failure::TooLarge);
    }
    let plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then_some(()).ok_or(Failure::BadToken)
}

/// A number of seconds as servers write it: a number, also with a fraction, or a text with one.
pub(crate) fn life(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // Also refuses what is no number and what is none any more.
    let length = Duration::try_from_secs_f64(seconds).ok()?;
    let whole = Duration::from_secs(length.as_secs());
    (whole <= LONGEST_LIFE).then_some(whole)
}

fn scopes(value: &Value) -> Option<Vec<String>> {
    let words = |text: &str| {
        text.split([' ', ','])
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut scopes = match value {
        Value::String(text) => words(text),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .flat_map(words)
            .collect(),
        _ => return None,
    };
    scopes.retain(|scope| !scope.is_empty());
    Some(scopes)
}

fn decoded(text: &[u8]) -> Option<String> {
    let plain = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let spaced = Zeroizing::new(text.iter().map(plain).collect::<Vec<_>>());
    let decoded: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use credchain_core::Kind;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, media: Media, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            skew: None,
            media,
            body: Zeroizing::new(body.as_bytes().to_vec()),
            asked: Moment {
                wall: SystemTime::UNIX_EPOCH,
                monotonic: Duration::ZERO,
            },
        }
    }

    fn read(status: u16, body: &Value) -> Result<Granted, Failed> {
        Granted::read(&answer(status, Media::Json, &body.to_string()))
    }

    #[test]
    fn a_lifetime_is_read_in_every_form_and_nonsense_is_none() {
        let year = 365 * 24 * 3600;
        for (value, seconds) in [
            (json!(3600), Some(3600)),
            (json!(3600.0), Some(3600)),
            (json!(3599.7), Some(3599)),
            (json!("3600"), Some(3600)),
            (json!(" 3600 "), Some(3600)),
            (json!("3600.0"), Some(3600)),
            (json!(0), Some(0)),
            (json!(10 * year), Some(10 * year)),
            (json!(10 * year + 1), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!(u64::MAX), None),
            (json!(1e300), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!("soon"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([3600]), None),
        ] {
            let granted = read(200, &json!({"access_token": "a", "expires_in": value}));
            let life = granted.unwrap().life;
            assert_eq!(life.map(|life| life.as_secs()), seconds, "{value}");
        }
    }

    #[test]
    fn the_type_is_bearer_in_any_case_or_missing() {
        let kind = |kind: Value| read(200, &json!({"access_token": "a", "token_type": kind}));
        for fine in [
            json!("Bearer"),
            json!("bearer"),
            json!("BEARER"),
            json!(""),
            json!(null),
        ] {
            assert!(kind(fine).is_ok());
        }
        for other in [json!("DPoP"), json!("mac"), json!("N_A"), json!(1)] {
            let failed = kind(other).unwrap_err();
            assert!(matches!(failed.failure, Failure::TokenType));
        }
    }

    #[test]
    fn an_old_refresh_token_stays_unless_there_is_a_new_one() {
        let refresh = |token: Value| {
            let granted = read(200, &json!({"access_token": "a", "refresh_token": token}));
            granted
                .unwrap()
                .refresh
                .map(|token| token.expose().to_vec())
        };
        assert_eq!(refresh(json!(null)), None);
        assert_eq!(refresh(json!("")), None);
        assert_eq!(refresh(json!("next")), Some(b"next".to_vec()));
    }

    #[test]
    fn scopes_are_read_with_spaces_commas_or_as_a_list() {
        for value in [
            json!("a b"),
            json!("a,b"),
            json!(["a", "b"]),
            json!(" a  b "),
        ] {
            let granted = read(200, &json!({"access_token": "t", "scope": value})).unwrap();
            assert_eq!(granted.scopes.unwrap(), ["a", "b"]);
        }
        assert_eq!(
            read(200, &json!({"access_token": "t"})).unwrap().scopes,
            None
        );
    }

    #[test]
    fn an_error_code_wins_whatever_the_status_and_the_form() {
        for status in [200, 400, 401, 503] {
            let body = json!({"error": "invalid_grant", "access_token": "a"});
            assert!(
                read(status, &body)
                    .unwrap_err()
                    .failure
                    .has_code("invalid_grant")
            );
        }
        {
            let media = Media::Form;
            let body = "error=invalid_grant&error_description=canary+b";
            let failed = Granted::read(&answer(200, media, body)).unwrap_err();
            assert!(failed.failure.has_code("invalid_grant"));
            assert!(!format!("{failed:?}").contains("canary"));
        }
    }

    #[test]
    fn a_form_is_read_as_well() {
        let body = "access_token=a%2Bb&expires_in=60&scope=x+y&other=1&refresh_token=r";
        let granted = Granted::read(&answer(200, Media::Form, body)).unwrap();
        assert_eq!(granted.token.expose(), b"a+b");
        assert_eq!(granted.life, Some(Duration::from_mins(1)));
        assert_eq!(granted.scopes.unwrap(), ["x", "y"]);
        assert_eq!(granted.refresh.unwrap().expose(), b"r");
    }

    #[test]
    fn json_is_known_by_its_first_byte_too() {
        let body = " {\"access_token\": \"a\"}";
        assert!(Granted::read(&answer(200, Media::Other, body)).is_ok());
    }

    #[test]
    fn what_is_no_token_is_never_shown() {
        for (media, body) in [
            (Media::Other, "<html>canary</html>"),
            (Media::Form, "canary"),
            (Media::Json, "canary"),
            (Media::Json, "[]"),
            (Media::Json, "{}"),
            (Media::Json, ""),
            (Media::Json, r#"{"access_token": ""}"#),
            (Media::Json, r#"{"access_token": null}"#),
            (Media::Json, r#"{"access_token": ["canary"]}"#),
            (
                Media::Json,
                r#"{"access_token": "canary", "access_token": "b"}"#,
            ),
            (Media::Form, "access_token=canary&access_token=b"),
            (Media::Form, "access_token=canary%ff"),
        ] {
            let failed = Granted::read(&answer(200, media, body)).unwrap_err();
            assert_eq!(failed.kind(), Kind::Unavailable, "{body}");
            assert!(!format!("{failed:?}").contains("canary"));
        }
        let failed = Granted::read(&answer(502, Media::Other, "<html>")).unwrap_err();
        assert!(matches!(failed.failure, Failure::Status(502)));
    }

    #[test]
    fn a_token_that_would_end_a_header_is_refused() {
        for token in ["a\nb", "a b", "a\0", "\u{e9}", "a\u{7f}"] {
            for field in ["access_token", "refresh_token"] {
                let mut body = json!({"access_token": "t"});
                body[field] = json!(token);
                let failed = read(200, &body).unwrap_err();
                assert!(matches!(failed.failure, Failure::BadToken), "{token:?}");
            }
        }
        let long = json!({"access_token": "a".repeat(MAX_TOKEN + 1)});
        assert!(matches!(
            read(200, &long).unwrap_err().failure,
            Failure::TooLarge
        ));
    }
}
