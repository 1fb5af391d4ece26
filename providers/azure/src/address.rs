//! Where a reference leads: the name of a secret, and perhaps one of its versions.

use std::hash::{Hash, Hasher};

use credchain_core::{Error, Kind, Naming, Reference, Result, Version};

use crate::config::Settings;
use crate::escape;

/// The longest name that Key Vault takes.
const MAX_NAME: usize = 127;

/// How long the name of a version is.
const VERSION: usize = 32;

/// The name of a secret. Two that differ in case only are one.
#[derive(Clone, Debug)]
pub(crate) struct Address(String);

impl Address {
    /// Where a reference leads: relative to the prefix, or with a leading `/` to exactly that name.
    pub(crate) fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        let path = reference.path();
        let name = match path.strip_prefix('/') {
            Some(name) => name.to_owned(),
            None => format!("{}{path}", settings.prefix),
        };
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_taken) {
            return Err(
                Error::new(Kind::Invalid, "no secret of Key Vault can have such a name")
                    .with_hint("a name has 1 to 127 letters, digits and `-`"),
            );
        }
        Ok(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Address {}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

/// Where a credential is by convention.
pub(crate) fn locate(naming: &Naming, settings: &Settings) -> Option<Reference> {
    let mut name = String::new();
    for part in settings.path.split('/').filter(|part| !part.is_empty()) {
        let part = part
            .replace("{project}", &naming.project)
            .replace("{profile}", &naming.profile);
        name.push_str(&escape::part(&part));
        name.push('-');
    }
    name.push_str(&escape::name(naming.name.as_str()));
    Reference::new(name).ok()
}

/// The reference that leads to a name, if one does: names outside the prefix have none.
pub(crate) fn reference_to(name: &str, settings: &Settings) -> Option<Reference> {
    let length = settings.prefix.len();
    let begins = name.get(..length)?;
    let relative = name.get(length..)?;
    begins
        .eq_ignore_ascii_case(&settings.prefix)
        .then(|| Reference::new(relative).ok())
        .flatten()
}

/// The version that a reference asks for.
pub(crate) fn version(reference: &Reference) -> Result<Option<&str>> {
    reference.version().map(checked).transpose()
}

/// A version as Key Vault writes it. It becomes a part of an address.
pub(crate) fn checked(version: &Version) -> Result<&str> {
    let text = version.as_str();
    if text.len() != VERSION || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(
            Error::new(Kind::Invalid, "no version of Key Vault is called so")
                .with_hint("a version is 32 letters and digits, the last part of a secret's id"),
        );
    }
    Ok(text)
}

/// The name and the version at the end of an id: `https://HOST/secrets/NAME[/VERSION]`.
pub(crate) fn of_id(id: &str) -> Option<(&str, Option<Version>)> {
    let (_, rest) = id.split_once("://")?;
    let mut parts = rest.split('/').skip(1);
    let (kind, name) = (parts.next()?, parts.next()?);
    let version = parts.next().and_then(|version| Version::new(version).ok());
    let usable = kind == "secrets" && !name.is_empty() && name.chars().all(is_taken);
    usable.then_some((name, version))
}

/// Whether Key Vault takes a character in names.
pub(crate) fn is_taken(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table, Setup};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Settings {
        let setup = Setup::new(LinkName::literal("azure"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup).unwrap()
    }

    fn address(path: &str, table: serde_json::Value) -> Result<String> {
        let reference = Reference::new(path).unwrap();
        Address::of(&reference, &settings(table)).map(|address| address.0)
    }

    #[test]
    fn a_place_is_relative_to_the_prefix_or_exactly_that_name() {
        for (table, path, name) in [
            (json!({}), "db", "db"),
            (json!({}), "/db", "db"),
            (json!({"prefix": "team-"}), "db", "team-db"),
            (json!({"prefix": "team-"}), "/db", "db"),
        ] {
            assert_eq!(address(path, table).unwrap(), name, "{path}");
        }
    }

    #[test]
    fn names_that_key_vault_refuses_are_refused_before_it_is_asked() {
        let long = "n".repeat(128);
        for path in ["a_b", "a b", "a/b", "a.b", "ä", "/", long.as_str(), "a%2fb"] {
            let error = address(path, json!({})).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{path}");
        }
    }

    #[test]
    fn two_spellings_of_a_name_are_one_place() {
        assert_eq!(Address("Api-Key".into()), Address("api-key".into()));
        assert_ne!(Address("api-key".into()), Address("apikey".into()));
    }

    #[test]
    fn the_convention_is_project_profile_name() {
        let naming = Naming::new("api_key".parse().unwrap()).in_project("my-app", "prod");
        let located = |table| locate(&naming, &settings(table)).unwrap().to_string();
        assert_eq!(located(json!({})), "my--app-prod-api-key");
        assert_eq!(located(json!({"path": "/shared/"})), "shared-api-key");
        assert_eq!(located(json!({"path": ""})), "api-key");
    }

    #[test]
    fn what_is_listed_leads_back_to_its_name() {
        let team = settings(json!({"prefix": "Team-"}));
        let to = |name| reference_to(name, &team).map(|reference| reference.path().to_owned());
        assert_eq!(to("team-db").as_deref(), Some("db"));
        assert_eq!(to("other-db"), None);
        assert_eq!(to("team-"), None);
        assert_eq!(to("te"), None);
    }

    #[test]
    fn an_id_tells_the_name_and_the_version() {
        let id = "https://v.vault.azure.net/secrets/db/0123456789abcdef0123456789abcdef";
        let (name, version) = of_id(id).unwrap();
        assert_eq!((name, version.is_some()), ("db", true));
        assert_eq!(of_id("https://v/secrets/db").unwrap(), ("db", None));
        for id in [
            "db",
            "https://v/keys/db",
            "https://v/secrets/",
            "https://v/secrets/a%2fb",
        ] {
            assert!(of_id(id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_version_is_what_key_vault_calls_one() {
        let of = |text: &str| checked(&Version::new(text).unwrap()).map(str::to_owned);
        assert!(of("0123456789abcdef0123456789abcdef").is_ok());
        for odd in ["3", "current", "../../../../../../../../../../keys"] {
            assert_eq!(of(odd).unwrap_err().kind(), Kind::Invalid, "{odd}");
        }
    }
}
