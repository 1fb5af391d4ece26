//! Where a reference leads: the project, the secret and the version that Google is asked for.

use std::fmt;

use credchain_core::{Error, Kind, Naming, Reference, Result, Version};

use crate::config::Settings;

/// Longest name of a secret, and of an alias of a version.
const MAX_NAME: usize = 255;
const MAX_ALIAS: usize = 63;

/// Google's name for the newest version, which cannot be given to another.
pub(crate) const LATEST: &str = "latest";

/// The same by the word that credchain has for it at every backend.
const CURRENT: &str = "current";

/// A secret, of the link's project unless the reference names another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    project: Option<String>,
    name: String,
}

impl Address {
    /// Where a reference leads: relative to the prefix; with a leading `/` without it, and with
    /// `/projects/…` to another project.
    pub(crate) fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        let path = reference.path();
        let (project, name) = match path.strip_prefix('/') {
            None => (None, format!("{}{path}", settings.prefix)),
            Some(rest) => match rest.split('/').collect::<Vec<_>>()[..] {
                ["projects", project, "secrets", name] => {
                    check_project(project)?;
                    (Some(project.to_owned()), name.to_owned())
                }
                _ => (None, rest.to_owned()),
            },
        };
        check_name(&name)?;
        Ok(Self { project, name })
    }

    /// The secret itself, given the link's project.
    pub(crate) fn place(&self, project: Option<&str>) -> Result<Place> {
        let project = self.project.as_deref().or(project);
        Ok(Place {
            project: project.ok_or_else(no_project)?.to_owned(),
            name: self.name.clone(),
        })
    }
}

/// What is missing for a reference that names no project.
pub(crate) fn no_project() -> Error {
    Error::new(Kind::Misconfigured, "no Google Cloud project is set")
        .with_hint("set `project = \"…\"` for this provider, or GOOGLE_CLOUD_PROJECT")
}

/// A secret of a project. It is shown as Google writes it: `projects/P/secrets/S`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) project: String,
    pub(crate) name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/secrets/{}", self.project, self.name)
    }
}

/// Which version of a secret: a number or an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Selector(String);

impl Selector {
    /// The version that a reference asks for; the newest one if it asks for none.
    pub(crate) fn of(version: Option<&Version>) -> Result<Self> {
        match version.map(Version::as_str) {
            None | Some(CURRENT) => Ok(Self(LATEST.to_owned())),
            Some(version) if is_number(version) || is_alias(version) => {
                Ok(Self(version.to_owned()))
            }
            Some(_) => Err(
                Error::new(Kind::Invalid, "no version can have such a name").with_hint(
                    "a version is a number, `latest`, or an alias of letters, digits, `_` and `-`",
                ),
            ),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What to write in a command that names the version.
    pub(crate) fn number(&self) -> Option<&str> {
        is_number(&self.0).then_some(&self.0)
    }
}

/// An alias that can be given to a version.
pub(crate) fn check_alias(label: &str) -> Result<()> {
    if label == LATEST || label == CURRENT {
        return Err(Error::unsupported("choosing the current version")
            .with_hint("the newest version is the current one: write the value again"));
    }
    if !is_alias(label) || label.starts_with(|c: char| !c.is_ascii_alphabetic()) {
        return Err(Error::new(Kind::Invalid, "no alias can have such a name")
            .with_hint("an alias has 1 to 63 letters, digits, `_` and `-`, the first a letter"));
    }
    Ok(())
}

/// The number of a version, for Google's table of aliases.
pub(crate) fn numbered(version: &Version) -> Result<&str> {
    let number = version.as_str();
    if is_number(number) {
        Ok(number)
    } else {
        Err(Error::new(
            Kind::Invalid,
            "a label goes to a version by its number",
        ))
    }
}

/// Where a credential is by convention.
pub(crate) fn locate(naming: &Naming, settings: &Settings) -> Option<Reference> {
    let path = settings
        .path
        .replace("{project}", &naming.project)
        .replace("{profile}", &naming.profile);
    let name = naming.name.as_str();
    if path.is_empty() {
        Reference::new(name).ok()
    } else {
        Reference::new(format!("{path}_{name}")).ok()
    }
}

/// The reference that leads to a secret of the link's project, if one does: names without the
/// prefix have none.
pub(crate) fn reference_to(name: &str, settings: &Settings) -> Option<Reference> {
    let relative = name.strip_prefix(settings.prefix.as_str())?;
    let reference = Reference::new(relative).ok()?;
    let leads_back = Address::of(&reference, settings).is_ok_and(|address| address.name == name);
    leads_back.then_some(reference)
}

/// A project's id, perhaps with a domain before it, or its number. It becomes a part of an
/// address and of commands that hints show.
pub(crate) fn check_project(project: &str) -> Result<()> {
    let part = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    let dots = project.chars().all(|c| c == '.');
    if dots || project.len() > MAX_NAME || !project.chars().all(part) {
        return Err(
            Error::new(Kind::Misconfigured, "the Google Cloud project is none")
                .with_hint("a project is an id such as `acme-prod`, or a number"),
        );
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_word) {
        return Err(Error::new(
            Kind::Invalid,
            "no secret of Secret Manager can have such a name",
        )
        .with_hint(
            "a name has 1 to 255 letters, digits, `_` and `-`; another project's secret is `/projects/PROJECT/secrets/NAME`",
        ));
    }
    Ok(())
}

fn is_alias(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ALIAS && text.chars().all(is_word)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table, Setup};
    use serde_json::{Value, json};

    use super::*;

    fn settings(table: Value) -> Settings {
        let setup = Setup::new(LinkName::literal("gcp"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup).unwrap()
    }

    fn place(path: &str, table: Value) -> Result<String> {
        let address = Address::of(&path.parse()?, &settings(table))?;
        address.place(Some("acme")).map(|place| place.to_string())
    }

    #[test]
    fn a_reference_is_relative_to_the_prefix_and_absolute_with_a_slash() {
        let prefix = || json!({"prefix": "ci_"});
        for (path, table, expected) in [
            ("db", json!({}), "projects/acme/secrets/db"),
            ("db", prefix(), "projects/acme/secrets/ci_db"),
            ("/db", prefix(), "projects/acme/secrets/db"),
            (
                "/projects/other/secrets/db",
                prefix(),
                "projects/other/secrets/db",
            ),
            (
                "/projects/123/secrets/db",
                json!({}),
                "projects/123/secrets/db",
            ),
            (
                "/projects/example.com:old/secrets/db",
                json!({}),
                "projects/example.com:old/secrets/db",
            ),
        ] {
            assert_eq!(place(path, table).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_name_that_google_would_refuse_is_invalid_before_it_is_asked() {
        let long = "n".repeat(256);
        for name in [
            "a/b",
            "a.b",
            "a b",
            "schlüssel",
            "/",
            "//db",
            "/projects/other/secrets/db/versions/3",
            "/projects/other/secrets/",
            "projects/other/secrets/db",
            long.as_str(),
        ] {
            let error = place(name, json!({})).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{name}");
        }
        for project in [".", "a%2fb", "a b"] {
            let reference = Reference::new(format!("/projects/{project}/secrets/db")).unwrap();
            let error = Address::of(&reference, &settings(json!({}))).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{project}");
        }
    }

    #[test]
    fn a_missing_project_says_where_to_set_it() {
        let address = Address::of(&"db".parse().unwrap(), &settings(json!({}))).unwrap();
        let error = address.place(None).unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.hint().unwrap().contains("GOOGLE_CLOUD_PROJECT"));
    }

    #[test]
    fn a_version_is_a_number_an_alias_or_the_newest() {
        let selector = |text: &str| Selector::of(Some(&Version::new(text).unwrap()));
        assert_eq!(Selector::of(None).unwrap().as_str(), "latest");
        assert_eq!(selector("current").unwrap().as_str(), "latest");
        assert_eq!(selector("12").unwrap().number(), Some("12"));
        assert_eq!(selector("pending").unwrap().number(), None);
        for odd in ["3:access", "a/b", "no such version", "../1"] {
            assert_eq!(selector(odd).unwrap_err().kind(), Kind::Invalid, "{odd}");
        }
    }

    #[test]
    fn the_newest_version_stays_the_current_one() {
        assert_eq!(check_alias("latest").unwrap_err().kind(), Kind::Unsupported);
        assert_eq!(
            check_alias("current").unwrap_err().kind(),
            Kind::Unsupported
        );
        assert_eq!(check_alias("1st").unwrap_err().kind(), Kind::Invalid);
        assert_eq!(check_alias("").unwrap_err().kind(), Kind::Invalid);
        assert!(check_alias("pending").is_ok());
    }

    #[test]
    fn the_convention_joins_project_profile_and_name() {
        let naming = Naming::new("api_key".parse().unwrap()).in_project("pipeline", "prod");
        let located = |table| locate(&naming, &settings(table)).unwrap().to_string();
        assert_eq!(located(json!({})), "pipeline_prod_api_key");
        assert_eq!(located(json!({"path": "shared"})), "shared_api_key");
        assert_eq!(located(json!({"path": ""})), "api_key");
    }

    #[test]
    fn a_listed_name_leads_back_to_itself() {
        let settings = settings(json!({"prefix": "ci_"}));
        assert_eq!(reference_to("ci_db", &settings).unwrap().path(), "db");
        assert!(reference_to("db", &settings).is_none());
        assert!(reference_to("ci_", &settings).is_none());
    }
}
