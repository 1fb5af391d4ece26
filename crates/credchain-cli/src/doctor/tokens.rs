//! `token-files`: what other programs keep in plain text in the user's home.

use std::path::PathBuf;

use credchain::files::Links;
use serde_json::Value;

use super::mode;
use super::tree;
use super::{Report, Site};

/// Larger files are not what they are called.
const LIMIT: u64 = 1 << 20;

/// A file that some program keeps.
struct Known {
    /// The variable that moves it.
    variable: Option<&'static str>,
    /// Where it is below that variable's value; empty if the variable names the file itself.
    below: &'static str,
    /// Where it is below the home directory.
    home: &'static str,
    /// Whether a file with this content holds a secret.
    holds: fn(&str) -> bool,
    /// What to do instead.
    instead: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        variable: None,
        below: "",
        home: ".vault-token",
        holds: |text| !text.trim().is_empty(),
        instead: "a token helper that encrypts, or a login in the provider's `auth`",
    },
    Known {
        variable: Some("XDG_DATA_HOME"),
        below: "python_keyring/keyring_pass.cfg",
        home: ".local/share/python_keyring/keyring_pass.cfg",
        holds: |text| text.contains('='),
        instead: "a keyring that encrypts (`keyring diagnose` tells which is used)",
    },
    Known {
        variable: Some("NETRC"),
        below: "",
        home: ".netrc",
        holds: |text| text.split_ascii_whitespace().any(|word| word == "password"),
        instead: "a file that `resolve inject` makes for `curl --netrc-file`",
    },
    Known {
        variable: Some("PGPASSFILE"),
        below: "",
        home: ".pgpass",
        holds: |text| lines(text).any(|line| line.contains(':')),
        instead: "PGPASSWORD from `resolve exec`",
    },
    Known {
        variable: Some("AWS_SHARED_CREDENTIALS_FILE"),
        below: "",
        home: ".aws/credentials",
        holds: |text| lines(text).any(|line| is_set(line, "aws_secret_access_key", "")),
        instead: "`aws sso login`, or `credential_process` in `~/.aws/config`",
    },
    Known {
        variable: Some("DOCKER_CONFIG"),
        below: "config.json",
        home: ".docker/config.json",
        holds: has_docker_login,
        instead: "`credsStore` in it, which names a helper that encrypts",
    },
    Known {
        variable: None,
        below: "",
        home: ".git-credentials",
        holds: |text| lines(text).any(|line| line.contains('@')),
        instead: "`git config --global credential.helper libsecret`, or another that encrypts",
    },
    Known {
        variable: Some("NPM_CONFIG_USERCONFIG"),
        below: "",
        home: ".npmrc",
        holds: |text| {
            let secret =
                |line| ["_authToken", "_auth", "_password"].map(|key| is_set(line, key, "${"));
            lines(text).any(|line| secret(line).contains(&true))
        },
        instead: "`_authToken=${NPM_TOKEN}` in it, and `resolve exec`",
    },
    Known {
        variable: None,
        below: "",
        home: ".pypirc",
        holds: |text| lines(text).any(|line| is_set(line, "password", "%(")),
        instead: "Python's `keyring`, or TWINE_PASSWORD from `resolve exec`",
    },
];

/// Whether others can read such a file, and which ones there are. That a program keeps its login
/// in plain text is told and no finding: it is that program's way, and may be the only one.
pub(crate) fn look(site: &Site<'_>) -> Report {
    let mut report = Report::default();
    for known in KNOWN {
        let Some(path) = known.path(site) else {
            continue;
        };
        let Some(bytes) = tree::read(&path, Links::Follow, LIMIT) else {
            continue;
        };
        if !(known.holds)(&String::from_utf8_lossy(&bytes)) {
            continue;
        }
        report.extend(mode::problem(site, &path));
        report.note(format!(
            "`{}` holds a secret in plain text; instead: {}",
            site.shown(&path),
            known.instead
        ));
    }
    report
}

impl Known {
    fn path(&self, site: &Site<'_>) -> Option<PathBuf> {
        let moved = self.variable.and_then(|name| site.env().text(name));
        match moved.map(PathBuf::from) {
            Some(path) if self.below.is_empty() => Some(path),
            Some(directory) => Some(directory.join(self.below)),
            None => Some(site.home()?.join(self.home)),
        }
    }
}

/// The lines that are no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Whether `KEY = VALUE`, with something before the key or not, has a value that is no `reference`.
fn is_set(line: &str, key: &str, reference: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else {
        return false;
    };
    let name = name.trim_end();
    let is_key = name == key
        || name
            .strip_suffix(key)
            .is_some_and(|rest| rest.ends_with(':'));
    let is_reference = !reference.is_empty() && value.trim().starts_with(reference);
    is_key && !value.trim().is_empty() && !is_reference
}

fn has_docker_login(text: &str) -> bool {
    let Ok(config) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    let logins = config.get("auths").and_then(Value::as_object);
    let is_set = |login: &Value, key| {
        let value = login.get(key).and_then(Value::as_str);
        value.is_some_and(|value| !value.is_empty())
    };
    logins.is_some_and(|logins| {
        let mut logins = logins.values();
        logins.any(|login| is_set(login, "auth") || is_set(login, "identitytoken"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(home: &str, text: &str) -> bool {
        let known = KNOWN.iter().find(|known| known.home == home).unwrap();
        (known.holds)(text)
    }

    #[test]
    fn only_what_holds_a_secret_is_told() {
        for (home, text, secret) in [
            (".vault-token", "\n", false),
            (".vault-token", "x", true),
            (".netrc", "machine a login b", false),
            (".netrc", "machine a login b\n password c", true),
            (
                ".aws/credentials",
                "[a]\n# aws_secret_access_key = x",
                false,
            ),
            (".aws/credentials", "[a]\naws_secret_access_key = x", true),
            (
                ".docker/config.json",
                r#"{"auths":{"a":{}},"credsStore":"x"}"#,
                false,
            ),
            (
                ".docker/config.json",
                r#"{"auths":{"a":{"auth":"eDp5"}}}"#,
                true,
            ),
            (".docker/config.json", "{", false),
            (".npmrc", "//r/:_authToken=${NPM_TOKEN}", false),
            (".npmrc", "registry=https://r/", false),
            (".npmrc", "//r/:_authToken=abc", true),
            (".pypirc", "[pypi]\nusername = __token__", false),
            (".pypirc", "[pypi]\npassword: x", false),
            (".pypirc", "[pypi]\npassword = x", true),
            (".git-credentials", "https://u:p@host", true),
            (".pgpass", "# a:b", false),
            (".pgpass", "h:1:d:u:p", true),
        ] {
            assert_eq!(holds(home, text), secret, "{home}: {text}");
        }
    }
}
