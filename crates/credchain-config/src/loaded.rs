//! A configuration that was loaded: the project, and where every setting came from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use credchain_core::{Registry, TrustNeed};
use figment::value::{Dict, Value};
use sha2::{Digest as _, Sha256};

use crate::diagnostic::Diagnostic;
use crate::discovery::Discovery;
use crate::layers::{Layer, Merged};
use crate::model::Project;
use crate::shape::looks_like_secret;
use crate::source::{Origin, SourceFile};

/// A checked configuration.
#[non_exhaustive]
pub struct Loaded {
    /// What it says.
    pub project: Project,
    /// What is probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The files it was read from, lowest layer first.
    pub files: Vec<ConfigFile>,
    /// Whether the user named the file, by `--config` or `CREDCHAIN_CONFIG`: no trust needed.
    pub explicit: bool,
    /// Whether there is a configuration at all: a project's file, or a user's file or variables
    /// that set up chains, providers or credentials.
    pub configured: bool,
    pub(crate) merged: Merged,
    /// The tables of profiles that are not in use.
    pub(crate) idle: Vec<Layer>,
    /// The provider types that do not always need trust: they run no programs.
    pub(crate) gentle_types: Vec<&'static str>,
}

/// What the loader has found out.
pub(crate) struct Parts {
    pub(crate) project: Project,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) files: Vec<ConfigFile>,
    pub(crate) merged: Merged,
    pub(crate) idle: Vec<Layer>,
}

/// One file of a configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigFile {
    /// What the file is for.
    pub role: Role,
    source: Arc<SourceFile>,
}

/// What a file of the configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The user's own settings for all projects.
    User,
    /// The project's file, found by walking up.
    Project,
    /// The file that the user named.
    Explicit,
    /// The file beside the project's that is not shared: `credchain.local.toml`.
    Local,
}

impl ConfigFile {
    pub(crate) fn new(source: Arc<SourceFile>, role: Role) -> Self {
        Self { role, source }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// The SHA-256 of the bytes that were parsed.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.source.text().as_bytes()).into()
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        self.source.text()
    }
}

/// One setting, as `resolve config show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown {
    /// The key's path, such as `providers.vault.address`.
    pub key: String,
    /// The value as TOML; `"***"` where it could be a secret.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl Loaded {
    pub(crate) fn new(parts: Parts, discovery: &Discovery, registry: &Registry) -> Self {
        let Parts {
            project,
            warnings,
            files,
            merged,
            idle,
        } = parts;
        let sets = |key: &str| merged.find(&[key]).is_some();
        let configured = files.iter().any(|file| file.role != Role::User)
            || ["chain", "providers", "credentials", "oauth2"]
                .into_iter()
                .any(sets);
        let gentle = registry.iter().filter(|one| one.trust != TrustNeed::Always);
        Self {
            project,
            warnings,
            files,
            explicit: discovery.explicit.is_some(),
            configured,
            merged,
            idle,
            gentle_types: gentle.map(|one| one.type_name).collect(),
        }
    }

    /// The project's file: found by walking up, or named by the user.
    pub fn project_file(&self) -> Option<&ConfigFile> {
        self.files
            .iter()
            .find(|file| matches!(file.role, Role::Project | Role::Explicit))
    }

    /// Where the setting at a path of keys was made.
    pub fn origin(&self, path: &[&str]) -> Origin {
        self.merged.value_place(path).origin()
    }

    /// Every setting with its source, defaults of the project's own tables included. What could
    /// be a secret is left out.
    pub fn show(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        if let Value::Dict(_, root) = self.merged.root() {
            self.walk(root, &mut Vec::new(), &mut shown);
        }
        for (key, value) in [
            ("project.name", self.project.name.as_str()),
            ("rotation.timezone", self.project.rotation.timezone.as_str()),
        ] {
            if !shown.iter().any(|one| one.key == key) {
                shown.push(Shown {
                    key: key.into(),
                    value: quoted(value),
                    origin: Origin::Default,
                });
            }
        }
        if !shown.iter().any(|one| one.key == "chain.default") {
            let links: Vec<_> = self
                .project
                .default_chain()
                .iter()
                .map(|link| quoted(link.as_str()))
                .collect();
            let value = format!("[{}]", links.join(", "));
            shown.push(Shown {
                key: "chain.default".into(),
                value,
                origin: Origin::Default,
            });
        }
        shown.sort_by(|a, b| a.key.cmp(&b.key));
        shown
    }

    fn walk<'a>(&'a self, dict: &'a Dict, path: &mut Vec<&'a str>, shown: &mut Vec<Shown>) {
        for (key, value) in dict {
            path.push(key);
            match value {
                Value::Dict(_, inner) if !inner.is_empty() => self.walk(inner, path, shown),
                _ => shown.push(Shown {
                    key: path
                        .iter()
                        .map(|key| bare_or_quoted(key))
                        .collect::<Vec<_>>()
                        .join("."),
                    value: if self.may_be_secret(path) {
                        quoted("***")
                    } else {
                        toml(value)
                    },
                    origin: self.origin(path),
                }),
            }
            path.pop();
        }
    }

    /// Whether what stands here could be a secret: the default of a secret credential, a text in
    /// a table that this build cannot check.
    fn may_be_secret(&self, path: &[&str]) -> bool {
        match path {
            ["credentials", name, "default"] => name
                .parse()
                .ok()
                .and_then(|name| self.project.credentials.get(&name))
                .is_none_or(|spec| spec.secret),
            ["providers", link, .., key] => {
                let built = link
                    .parse()
                    .ok()
                    .and_then(|link| self.project.providers.get(&link))
                    .is_some_and(|spec| spec.built);
                // Tables inside a provider's may have free keys, such as a program's variables.
                let unchecked = !built || path.len() > 3;
                unchecked && speaks_of_a_secret(key)
            }
            _ => false,
        }
    }
}

/// Parts of keys that speak of secrets.
const SECRET_WORDS: [&str; 6] = [
    "secret",
    "token",
    "password",
    "passphrase",
    "key",
    "credential",
];

/// Whether a key speaks of a secret, and neither of its name nor of where it is.
fn speaks_of_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let harmless = ["_url", "_id", "_file", "_path"]
        .iter()
        .any(|end| key.ends_with(end));
    key != "credential" && !harmless && SECRET_WORDS.iter().any(|word| key.contains(word))
}

fn toml(value: &Value) -> String {
    match value {
        Value::String(_, text) if looks_like_secret(text) => quoted("***"),
        Value::String(_, text) => quoted(&without_user(text)),
        Value::Char(_, one) => quoted(&one.to_string()),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => match number.to_i128() {
            Some(whole) => whole.to_string(),
            None => number.to_f64().unwrap_or_default().to_string(),
        },
        Value::Empty(..) => "\"\"".into(),
        Value::Dict(_, dict) => {
            let pairs: Vec<_> = dict
                .iter()
                .map(|(key, value)| format!("{} = {}", bare_or_quoted(key), toml(value)))
                .collect();
            if pairs.is_empty() {
                "{}".into()
            } else {
                format!("{{ {} }}", pairs.join(", "))
            }
        }
        Value::Array(_, items) => {
            format!(
                "[{}]",
                items.iter().map(toml).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// A URL without a password written into it. Places of templates stay.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, password)) if !password.trim_start().starts_with("{{") => {
                format!("{scheme}://{user}:***@{host}{}", &rest[authority_end..])
            }
            _ => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// A basic TOML string; control characters escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn bare_or_quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_owned() } else { quoted(key) }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("project", &self.project.name)
            .field("profile", &self.project.profile)
            .field("files", &self.files)
            .field("explicit", &self.explicit)
            .field("configured", &self.configured)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_toml_and_holds_no_password() {
        assert_eq!(quoted("a\"b\u{1b}"), "\"a\\\"b\\u001B\"");
        assert_eq!(
            without_user("postgres://app:hunter2@db/x"),
            "postgres://app:***@db/x"
        );
        let template = "postgres://app:{{ pw | url }}@db/x";
        assert_eq!(without_user(template), template);
        assert_eq!(without_user("https://host/a@b"), "https://host/a@b");
    }
}
