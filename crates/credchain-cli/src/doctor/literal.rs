//! Whether `NAME = VALUE` is a secret that was written down.

use credchain::redact::{Options, Redactor, Registration, Rules};

/// Names, or their last parts, that the redactor's rules leave alone because logs are full of them.
const MORE_NAMES: [&str; 9] = [
    "pass",
    "pwd",
    "pat",
    "credential",
    "credentials",
    "api_token",
    "master_key",
    "license_key",
    "account_key",
];

/// Judges by the redactor's rules: a name that sounds like a secret, and a value that is neither
/// a reference to one nor a placeholder.
#[derive(Debug)]
pub(crate) struct Judge {
    patterns: Redactor,
}

impl Judge {
    pub(crate) fn new() -> Self {
        let patterns = Redactor::builder().patterns(Rules::builtin()).build();
        Self { patterns }
    }

    /// Whether somebody wrote a secret here. An everyday word such as `postgres` is none: it
    /// guards nothing but a service that is thrown away.
    pub(crate) fn is_secret(&self, name: &str, value: &str) -> bool {
        let value = value.trim();
        let is_line = !value.is_empty() && !value.chars().any(char::is_control);
        if !is_line || is_reference(value) || is_placeholder(value) || is_everyday(value) {
            return false;
        }
        let plain = name.to_ascii_lowercase().replace(['-', '.'], "_");
        if is_words(value) && !plain.contains("pass") {
            return false;
        }
        let more = MORE_NAMES.iter().any(|one| {
            let rest = plain.strip_suffix(one);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        });
        let name = if more { "password" } else { name };
        let line = format!("{name}: \"{}\"", value.replace(['"', '\\'], "_"));
        let hidden = self.patterns.redact(line.as_bytes());
        hidden != line.as_bytes()
    }
}

/// Whether a value is taken from somewhere else when it is used.
fn is_reference(value: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(' | '[');
    let expands = |rest: &str| rest.starts_with(starts);
    value.split('$').skip(1).any(expands) || value.contains("{{") || value.contains("<<")
}

/// Whether a value stands for one.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let words = [
        "example",
        "changeme",
        "change_me",
        "change-me",
        "placeholder",
        "redacted",
        "dummy",
    ];
    let begins = ["your", "my-", "my_", "<", "xxx", "***", "todo", "replace"];
    words.iter().any(|word| lower.contains(word))
        || begins.iter().any(|word| lower.starts_with(word))
}

/// Whether a value is a few words, as no machine makes a key or token.
fn is_words(value: &str) -> bool {
    let mut parts = value.split(['-', '_', ' ', '.']);
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    value.contains(['-', '_', ' ', '.']) && parts.all(is_word)
}

fn is_everyday(value: &str) -> bool {
    let registered = Redactor::new().register("value", value.as_bytes(), Options::default());
    matches!(registered, Registration::Unmasked(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_sounds_like_a_secret_with_a_value_that_could_be_one() {
        let judge = Judge::new();
        for (name, value) in [
            ("DEPLOY_TOKEN", "q8Zt1xLw04"), // credchain:allow
            ("password", "correct horse"),
            ("DB_PASS", "hunter22"),
            ("apiKey", "9f8e7d6c5b4a"), // credchain:allow
            ("client-secret", "9f8e\"7d6c"),
            ("aws_secret_access_key", "q8Zt1xLw04"), // credchain:allow
            ("GH_PAT", "q8Zt1xLw04"),
        ] {
            assert!(judge.is_secret(name, value), "{name}");
        }
    }

    #[test]
    fn references_placeholders_everyday_words_and_other_names() {
        let judge = Judge::new();
        for (name, value) in [
            ("DEPLOY_TOKEN", "${{ secrets.DEPLOY_TOKEN }}"),
            ("DEPLOY_TOKEN", "$DEPLOY_TOKEN"),
            ("PASSWORD", "${PASSWORD:-}"),
            ("PASSWORD", "$(cat /run/secrets/x)"),
            ("PASSWORD", ""),
            ("POSTGRES_PASSWORD", "postgres"),
            ("PASSWORD", "changeme"),
            ("API_KEY", "your-api-key-here"),
            ("TOKEN", "<token>"),
            ("persist-credentials", "false"),
            ("PASSWORD_FILE", "/run/secrets/password"),
            ("NODE_VERSION", "q8Zt1xLw04"),
            ("id-token", "write"),
            ("BYPASS", "q8Zt1xLw04"),
            ("API_KEY", "from-the-environment"),
        ] {
            assert!(!judge.is_secret(name, value), "{name} {value}");
        }
    }
}
