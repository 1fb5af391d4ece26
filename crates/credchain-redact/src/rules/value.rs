//! Which values are no secrets, although they stand where one would.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

use super::spec::{Judge, Shape};
use crate::finder::is_mask;

static PLACEHOLDERS: &str = include_str!("../../data/placeholders.toml");

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A stream: hiding too much costs little.
    Redact,
    /// A scan: a report about nothing costs the reader's trust.
    Scan,
}

/// A secret and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// All of it.
    pub(super) secret: &'a [u8],
    /// How many of its bytes are the provider's prefix.
    pub(super) public: usize,
    /// What follows the match.
    pub(super) after: &'a [u8],
}

/// Whether what a rule has matched is a secret.
pub(super) fn is_secret(judge: &Judge, candidate: Candidate<'_>, purpose: Purpose) -> bool {
    let secret = candidate.secret;
    let own = secret.get(candidate.public..).unwrap_or_default();
    if own.is_empty() || is_mask(secret) || is_mask(own) || is_reference(own) {
        return false;
    }
    if purpose == Purpose::Redact {
        return entropy(own) >= judge.entropy;
    }
    !is_placeholder(secret, own)
        && entropy(own) >= judge.entropy
        && judge.check.is_none_or(|check| check.passes(secret))
        && match judge.shape {
            Shape::Any => true,
            Shape::Password => looks_chosen(own),
            Shape::Token => looks_made(own),
            Shape::Url => own.len() >= 5 && !is_example_host(candidate.after),
        }
}

/// Shannon's entropy of the bytes, in bits a byte.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in value {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placeholders {
    /// What says that there is no value.
    nothing: BTreeSet<String>,
    /// How something begins that is replaced by the value later, or names where it is.
    references: Vec<String>,
    /// How code begins that fetches the value from somewhere.
    code: Vec<String>,
    /// Whole values that people write where a value goes.
    words: BTreeSet<String>,
    /// What gives a placeholder away wherever it stands in it.
    parts: Vec<String>,
    /// Keys that documentation uses, in pieces.
    examples: Vec<Vec<String>>,
}

fn placeholders() -> &'static Placeholders {
    static DATA: LazyLock<Placeholders> = LazyLock::new(|| {
        let mut data: Placeholders = toml::from_str(PLACEHOLDERS)
            .expect("the data file is part of the program; a test reads it");
        data.examples = data
            .examples
            .into_iter()
            .map(|pieces| vec![pieces.concat()])
            .collect();
        data
    });
    &DATA
}

/// Whether the value is none, or is put in later, or says where it is: nobody's secret.
fn is_reference(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let data = placeholders();
    let lower = text.to_ascii_lowercase();
    data.nothing
        .contains(lower.trim_end_matches(|c: char| ")]}.".contains(c)))
        || data
            .references
            .iter()
            .any(|start| lower.starts_with(start.as_str()))
        || is_variable(text)
}

/// `$NAME`, `%NAME%`, `@NAME@`, `<name>`, `{name}`, `[[name]]`.
fn is_variable(text: &str) -> bool {
    let name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let between = |open: char, close: char| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
    };
    text.strip_prefix('$')
        .is_some_and(|rest| name(rest) && rest.bytes().all(|b| !b.is_ascii_lowercase()))
        || between('%', '%').is_some_and(name)
        || between('@', '@').is_some_and(name)
        || between('<', '>').is_some()
        || between('{', '}').is_some()
        || text.starts_with("[[")
}

/// Whether this is what people write where a value goes, or a key from documentation.
fn is_placeholder(secret: &[u8], own: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(own) else {
        return false;
    };
    let data = placeholders();
    let lower = text.to_ascii_lowercase();
    data.words.contains(&lower)
        || data
            .code
            .iter()
            .any(|start| lower.starts_with(start.as_str()))
        || data.parts.iter().any(|part| lower.contains(part.as_str()))
        || data
            .examples
            .iter()
            .flatten()
            .any(|example| example.as_bytes() == secret)
        || is_monotonous(own)
}

/// One character, or a few, again and again, or characters in their order.
fn is_monotonous(value: &[u8]) -> bool {
    let distinct: BTreeSet<_> = value.iter().collect();
    let in_order = |step: u8| {
        value
            .windows(2)
            .filter(|pair| pair[0].wrapping_add(step) == pair[1])
            .count()
            * 4
            >= value.len().saturating_sub(1) * 3
    };
    distinct.len() <= 2 || (value.len() >= 4 && (in_order(1) || in_order(u8::MAX)))
}

/// Whether a person may have chosen this as a password: not a word or a name, and not code.
fn looks_chosen(value: &[u8]) -> bool {
    let Some(text) = printable(value) else {
        return false;
    };
    let letters_only = text.chars().all(char::is_alphabetic);
    let plain_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".,:".contains(&byte));
    text.len() >= 5
        && !(letters_only && (text.len() < 16 || !mixes_cases(text)))
        && !plain_number
        && !text.contains(' ')
        && !is_uuid(text)
        && !is_code(text)
        && !is_place(text)
        && !(is_name(text) && text.bytes().any(|byte| b"_-./:".contains(&byte)))
}

/// Whether a machine may have made this: long, mixed, and neither a name nor a known kind of number.
fn looks_made(value: &[u8]) -> bool {
    let Some(text) = printable(value) else {
        return false;
    };
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    let mixed = (digits && letters) || (text.len() >= 20 && mixes_cases(text));
    let wanted = if text.len() >= 20 { 3.0 } else { 2.5 };
    text.len() >= 10
        && mixed
        && entropy(value) >= wanted
        && !text.contains(' ')
        && !is_uuid(text)
        && !is_code(text)
        && !is_place(text)
        && !is_name(text)
}

/// A host that documentation and tests use.
fn is_example_host(after: &[u8]) -> bool {
    let host = after
        .split(|&byte| b"/:?#\"'`<>()[] \r\n".contains(&byte))
        .next();
    let host = host.map(|host| String::from_utf8_lossy(host).to_ascii_lowercase());
    host.is_some_and(|host| {
        let reserved = ["example", "test", "invalid", "localhost"];
        let mut labels = host.rsplit('.');
        let last = labels.next().unwrap_or_default();
        let domain = labels.next().unwrap_or_default();
        reserved.contains(&last)
            || domain == "example"
            || host.starts_with("127.")
            || host.contains(['{', '$', '<'])
            || ["host", "hostname", "server", "proxy"].contains(&last)
    })
}

fn printable(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.chars().all(|c| !c.is_control()).then_some(text)
}

/// Capital letters inside, not only at the beginnings of words.
fn mixes_cases(text: &str) -> bool {
    let upper = text.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = text.bytes().filter(u8::is_ascii_lowercase).count();
    upper >= 3 && lower >= 3 && !is_name(text)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A call, an index, a template, a type, markup.
fn is_code(text: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    // Generated keys have all kinds of signs; a call has a name before its parenthesis.
    let is_call = || text.split_once('(').is_some_and(|(name, _)| is_name(name));
    is_call()
        || has(&[
            "=>", "->", "::", "${", "{{", "</", "&&", "||", "[\"", "['", "%s", "%d", "{}", "...",
        ])
        || (text.ends_with(['{', ';', ',', '[', ':']) && is_name(text))
        || text.starts_with(['&', '*', '@']) && is_name(&text[1..])
}

/// A path, an address, a file name, a query, an option.
fn is_place(text: &str) -> bool {
    const ENDINGS: [&str; 16] = [
        ".json", ".yml", ".yaml", ".toml", ".txt", ".pem", ".key", ".crt", ".env", ".js", ".py",
        ".go", ".rs", ".html", ".com", ".local",
    ];
    let lower = text.to_ascii_lowercase();
    let path = text.starts_with(['/', '~', '.'])
        && text.split('/').all(|part| is_name(part) || part.is_empty());
    text.contains("://")
        || path
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
        || (text.contains('/') && is_name(text))
        || (text.contains('=') && text.split(|c: char| "?&=".contains(c)).all(is_name))
}

/// Words and what joins them: `my_service.api-token`, `fooBar2`, `OAUTH2_TOKEN`, `/etc/app`.
fn is_name(text: &str) -> bool {
    text.split(|c: char| "_-./:".contains(c)).all(is_word)
}

/// Letters that read like words, perhaps with a small number after them.
fn is_word(text: &str) -> bool {
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if text.len() - letters.len() > 3 {
        return letters.is_empty() && text.len() <= 4;
    }
    let mut humps = 0;
    let (mut run, mut longest) = (0, 0);
    for byte in letters.bytes() {
        if !byte.is_ascii_alphabetic() {
            // `oauth2_token`, `base64url`: one digit inside a word.
            return letters.len() <= 10
                && letters.bytes().filter(|b| !b.is_ascii_alphabetic()).count() == 1
                && letters.bytes().all(|b| b.is_ascii_alphanumeric());
        }
        let vowel = b"aeiouyAEIOUY".contains(&byte);
        run = if vowel { 0 } else { run + 1 };
        longest = longest.max(run);
        humps += usize::from(byte.is_ascii_uppercase());
    }
    let shouted = letters.bytes().all(|byte| byte.is_ascii_uppercase());
    let humped = humps * 5 <= letters.len().max(4) * 2;
    letters.len() <= 24 && longest <= 5 && (shouted || humped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(secret: &str, purpose: Purpose) -> bool {
        let candidate = Candidate {
            secret: secret.as_bytes(),
            public: 0,
            after: b"",
        };
        is_secret(&Judge::default(), candidate, purpose)
    }

    #[test]
    fn what_is_put_in_later_is_no_secret_for_anybody() {
        for value in [
            "${API_KEY}",
            "$(cat /run/key)",
            "{{ api_key }}",
            "$API_KEY",
            "%API_KEY%",
            "<your-key>",
            "os.environ['K']",
            "process.env.KEY",
            "null",
            "None",
            "secretsmanager:prod/db",
            "***",
            "[api_key]",
            "op://vault/item/field",
            "true",
        ] {
            assert!(!any(value, Purpose::Scan), "{value}");
            assert!(!any(value, Purpose::Redact), "{value}");
        }
    }

    #[test]
    fn words_are_placeholders_for_a_scan_and_secrets_for_a_stream() {
        for value in [
            "changeme",
            "password",
            "xxxxxxxx",
            "your-api-key-here",
            "12345678",
            "example",
        ] {
            assert!(!any(value, Purpose::Scan), "{value}");
            assert!(any(value, Purpose::Redact), "{value}");
        }
    }

    #[test]
    fn names_are_told_from_what_machines_make() {
        for value in [
            "my_service_token",
            "accessTokenSecret",
            "OAUTH2_TOKEN",
            "prod/db/password",
            "550e8400-e29b-41d4-a716-446655440000",
            "get_token(request)",
            "./keys/id_rsa.pem",
            "https://example.org/token",
            "github.com/owner/repo",
            "application/json",
        ] {
            assert!(!looks_made(value.as_bytes()), "{value}");
            assert!(!looks_chosen(value.as_bytes()), "{value}");
        }
        for value in ["q8ZkT3vXw0Lp", "9f86d081884c7d65", "vXQkTzWmPbLsRnDfGhJc"] {
            assert!(looks_made(value.as_bytes()), "{value}");
        }
        for value in ["hunter2", "S3cret!pass", "tr0ub4dor&3"] {
            assert!(looks_chosen(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn hosts_that_documentation_uses_are_known() {
        for host in [
            "example.com/x",
            "db.example:5432",
            "localhost/app",
            "127.0.0.1",
            "${HOST}",
            "a.test",
        ] {
            assert!(is_example_host(host.as_bytes()), "{host}");
        }
        for host in ["db.internal/app", "example.acme.io", "db:5432/x", ""] {
            assert!(!is_example_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn keys_from_documentation_are_known_whole() {
        let key = ["AKIAIOSFODNN7", "EXAMPLE"].concat();
        assert!(!any(&key, Purpose::Scan));
    }

    #[test]
    fn entropy_of_equal_shares_is_the_logarithm_of_their_number() {
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-9);
        assert!(entropy(b"aaaa").abs() < 1e-9);
    }
}
