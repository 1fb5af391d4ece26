//! What an API says with a 401: the challenges of RFC 9110 §11.6.1, as far as they are about bearer
//! tokens (RFC 6750 §3).

/// The most that is read of a header: a challenge is short.
const LONGEST: usize = 8 << 10;

/// Whether a 401 with these `WWW-Authenticate` headers says that the token is not good any more.
///
/// It does if a challenge of the scheme `Bearer` gives the error `invalid_token`, or none, and if
/// there is no challenge at all. Another error (`insufficient_scope`, `invalid_request`) is about the
/// request, and other schemes alone are about other credentials.
pub(super) fn is_about_the_token<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut is_bare = true;
    for header in headers {
        is_bare = false;
        let header = &header[..header.len().min(LONGEST)];
        for challenge in challenges(&String::from_utf8_lossy(header)) {
            let is_bearer = challenge.scheme.eq_ignore_ascii_case("bearer");
            let error = challenge.error.as_deref();
            if is_bearer && error.is_none_or(|error| error == "invalid_token") {
                return true;
            }
        }
    }
    is_bare
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    error: Option<String>,
}

fn challenges(header: &str) -> Vec<Challenge> {
    let mut all: Vec<Challenge> = Vec::new();
    for item in items(header) {
        // `name = value` belongs to the scheme before; anything else begins with a scheme.
        let parameter = match item.split_once([' ', '\t']) {
            Some((scheme, rest)) if !rest.trim_start().starts_with('=') && is_word(scheme) => {
                all.push(Challenge {
                    scheme: scheme.to_owned(),
                    error: None,
                });
                rest.trim()
            }
            None if is_word(item) => {
                all.push(Challenge {
                    scheme: item.to_owned(),
                    error: None,
                });
                ""
            }
            _ => item,
        };
        let error = parameter.split_once('=').and_then(|(name, value)| {
            let is_error = name.trim().eq_ignore_ascii_case("error");
            is_error.then(|| unquoted(value.trim()))
        });
        if let (Some(challenge), Some(error)) = (all.last_mut(), error) {
            // SECURITY: the first one counts, whatever comes after it.
            challenge.error.get_or_insert(error);
        }
    }
    all
}

/// What stands between commas that are not in quotes.
fn items(header: &str) -> Vec<&str> {
    let (mut items, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                items.push(&header[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&header[start..]);
    let items = items.into_iter().map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

fn unquoted(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

/// A token of RFC 9110 §5.6.2.
fn is_word(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(headers: &[&str]) -> bool {
        is_about_the_token(headers.iter().map(|header| header.as_bytes()))
    }

    #[test]
    fn a_token_that_is_not_good_any_more_is_told_from_a_request_that_is_not() {
        for headers in [
            &[][..],
            &["Bearer"],
            &["bearer realm=\"api\""],
            &["Bearer error=\"invalid_token\""],
            &[
                "Bearer realm=\"a, b\", error = invalid_token, error_description=\"it \\\"ended\\\"\"",
            ],
            &["Basic realm=\"x\", Bearer realm=\"y\", error=\"invalid_token\""],
            &["Basic realm=\"x\"", "Bearer error=\"invalid_token\""],
            &["Negotiate YWJjZA==, Bearer"],
        ] {
            assert!(says(headers), "{headers:?}");
        }
        for headers in [
            &["Basic realm=\"x\""][..],
            &["Bearer error=\"insufficient_scope\", scope=\"write\""],
            &["Bearer error=\"invalid_request\""],
            &["Bearer error=\"invalid_request\", error=\"invalid_token\""],
            &["Basic realm=\"Bearer error=invalid_token\""],
            &["DPoP error=\"invalid_token\""],
            &["Digest error=\"invalid_token\", Basic"],
        ] {
            assert!(!says(headers), "{headers:?}");
        }
    }

    #[test]
    fn hostile_headers_are_read_to_their_end() {
        let long = format!("Bearer realm=\"{}\"", "a,\\".repeat(100_000));
        for header in [
            ",,, ,",
            "\"",
            "=",
            "Bearer =",
            "Bearer error=",
            "Bearer error=\"",
            "Bearer error=\"\\",
            "\u{0}\u{7f}, \u{fffd}",
            &long,
        ] {
            says(&[header]);
        }
        assert!(!is_about_the_token([&b"\xff\xfe"[..]]));
    }
}
