//! Where a reference leads: the name or ARN that AWS is asked for.

use credchain_core::{Error, Kind, Naming, Reference, Result, Version};

use crate::config::{Service, Settings};

/// Longest name of a secret, and of a parameter.
const MAX_SECRET: usize = 512;
const MAX_PARAMETER: usize = 1011;

/// How deep a parameter may lie.
const MAX_LEVELS: usize = 15;

/// What versions are called everywhere, and what Secrets Manager calls them.
const STAGES: [(&str, &str); 3] = [
    ("current", CURRENT),
    ("previous", "AWSPREVIOUS"),
    ("pending", "AWSPENDING"),
];

/// The stage of the version that is in use.
pub(crate) const CURRENT: &str = "AWSCURRENT";

/// What AWS is asked for: a name, or an ARN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(String);

impl Address {
    /// Where a reference leads.
    ///
    /// Relative to the prefix; with a leading `/` from the account's root; an ARN as it is.
    pub(crate) fn of(reference: &Reference, settings: &Settings) -> Result<Self> {
        let path = reference.path();
        if path.starts_with("arn:") {
            return arn(path, settings.service);
        }
        let name = match (path.strip_prefix('/'), settings.service) {
            (None, _) => format!("{}{path}", settings.prefix),
            (Some(rest), Service::SecretsManager) => rest.to_owned(),
            (Some(_), Service::ParameterStore) => path.to_owned(),
        };
        match settings.service {
            Service::SecretsManager => check_secret(&name)?,
            Service::ParameterStore => check_parameter(&name)?,
        }
        Ok(Self(name))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an ARN, which names what is there already.
    pub(crate) fn is_arn(&self) -> bool {
        self.0.starts_with("arn:")
    }

    /// An ARN names its region, and AWS finds nothing when another one is asked.
    pub(crate) fn check_region(&self, region: &str) -> Result<()> {
        match self.0.split(':').nth(3).filter(|_| self.is_arn()) {
            Some(named) if named != region => {
                let message = format!("the ARN is of region `{named}`, this link asks `{region}`");
                Err(Error::new(Kind::Misconfigured, message).with_hint(
                    "a link asks one region: set up another with `type = \"aws\"` and that `region`",
                ))
            }
            _ => Ok(()),
        }
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
        Reference::new(format!("{path}/{name}")).ok()
    }
}

/// The reference that leads to a name, if one does: names outside the prefix have none.
pub(crate) fn reference_to(name: &str, settings: &Settings) -> Option<Reference> {
    let relative = name.strip_prefix(settings.prefix.as_str())?;
    let reference = Reference::new(relative).ok()?;
    // A name that would be read as something else cannot be asked for.
    let leads_back = Address::of(&reference, settings).is_ok_and(|address| address.0 == name);
    leads_back.then_some(reference)
}

/// Which version of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Id(String),
    Stage(String),
}

impl Selector {
    /// The version that a reference asks for; the current one if it asks for none.
    pub(crate) fn of(version: Option<&Version>) -> Self {
        let Some(version) = version.map(Version::as_str) else {
            return Self::Stage(CURRENT.to_owned());
        };
        // An id has 32 to 64 characters; a stage that long would be odd.
        if (32..=64).contains(&version.len()) {
            Self::Id(version.to_owned())
        } else {
            Self::Stage(stage(version).to_owned())
        }
    }
}

/// What Secrets Manager calls a stage.
pub(crate) fn stage(label: &str) -> &str {
    let known = STAGES.iter().find(|(name, _)| *name == label);
    known.map_or(label, |(_, theirs)| theirs)
}

/// The characters and length that Secrets Manager takes.
fn check_secret(name: &str) -> Result<()> {
    let taken = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if name.is_empty() || name.len() > MAX_SECRET || !name.chars().all(taken) {
        return Err(Error::new(
            Kind::Invalid,
            "no secret of Secrets Manager can have such a name",
        )
        .with_hint("a name has 1 to 512 letters, digits and `/_+=.@-`"));
    }
    Ok(())
}

/// The characters, length and depth that Parameter Store takes.
fn check_parameter(name: &str) -> Result<()> {
    let taken = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    let mut levels = name.strip_prefix('/').unwrap_or(name).split('/');
    let fits = name.len() <= MAX_PARAMETER && levels.clone().count() <= MAX_LEVELS;
    if !fits || levels.any(str::is_empty) || !name.chars().all(taken) {
        return Err(
            Error::new(Kind::Invalid, "no parameter can have such a name").with_hint(
                "a name has letters, digits and `_.-`, in at most 15 levels between single `/`",
            ),
        );
    }
    Ok(())
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
fn arn(text: &str, service: Service) -> Result<Address> {
    let (name, resource) = match service {
        Service::SecretsManager => ("secretsmanager", "secret:"),
        Service::ParameterStore => ("ssm", "parameter/"),
    };
    let parts: Vec<_> = text.splitn(6, ':').collect();
    // What a name may have, and colons: an ARN ends up in commands that hints show.
    let taken = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-:".contains(c);
    let fits = matches!(parts[..], [_, _, service, region, _, of]
        if service == name && !region.is_empty() && of.len() > resource.len() && of.starts_with(resource));
    if !fits || text.len() > 2048 || !text.chars().all(taken) {
        let message = format!("the ARN is none of `{name}`");
        return Err(Error::new(Kind::Invalid, message).with_hint(format!(
            "it looks like `arn:aws:{name}:REGION:ACCOUNT:{resource}NAME`"
        )));
    }
    Ok(Address(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Project, Settings as Table, Setup};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value) -> Settings {
        let setup = Setup::new(LinkName::literal("aws"))
            .with_settings(Table::from_json(table))
            .in_project(Project::new("pipeline", "/project").with_profile("prod"));
        Settings::new(&setup).unwrap()
    }

    fn address(path: &str, table: serde_json::Value) -> Result<String> {
        let reference = Reference::new(path).unwrap();
        Address::of(&reference, &settings(table)).map(|address| address.0)
    }

    #[test]
    fn a_place_is_relative_to_the_prefix_or_to_the_account() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf";
        for (table, path, name) in [
            (json!({}), "prod/db", "prod/db"),
            (json!({}), "/prod/db", "prod/db"),
            (json!({}), "//prod/db", "/prod/db"),
            (json!({"prefix": "team/{profile}/"}), "db", "team/prod/db"),
            (json!({"prefix": "team/"}), "/db", "db"),
            (json!({}), arn, arn),
            (json!({"service": "ssm"}), "prod/db", "/prod/db"),
            (json!({"service": "ssm"}), "/prod/db", "/prod/db"),
            (
                json!({"service": "ssm", "prefix": "/team/"}),
                "db",
                "/team/db",
            ),
            (json!({"service": "ssm", "prefix": ""}), "db", "db"),
        ] {
            assert_eq!(
                address(path, table.clone()).unwrap(),
                name,
                "{table} {path}"
            );
        }
    }

    #[test]
    fn names_that_aws_refuses_are_refused_before_it_is_asked() {
        let long = "n".repeat(513);
        for path in ["a b", "a%20b", "schlüssel", "a:b", "a*", long.as_str(), "/"] {
            assert_eq!(
                address(path, json!({})).unwrap_err().kind(),
                Kind::Invalid,
                "{path}"
            );
        }
        let deep = "a/".repeat(15) + "a";
        for path in [
            "a b",
            "a//b",
            "a/",
            "a+b",
            "a@b",
            "a=b",
            "//a",
            "/",
            deep.as_str(),
        ] {
            let error = address(path, json!({"service": "ssm"})).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{path}");
        }
        for arn in [
            "arn:aws:ssm:eu-central-1:123456789012:parameter/x",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a;b",
            "arn:aws:secretsmanager",
            "arn:",
        ] {
            assert_eq!(
                address(arn, json!({})).unwrap_err().kind(),
                Kind::Invalid,
                "{arn}"
            );
        }
    }

    #[test]
    fn an_arn_of_another_region_is_no_miss() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
        let address = Address(arn.to_owned());
        assert!(address.check_region("us-east-1").is_ok());
        let error = address.check_region("eu-central-1").unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(Address("db".into()).check_region("eu-central-1").is_ok());
    }

    #[test]
    fn the_convention_is_project_profile_name() {
        let naming = Naming::new("api_key".parse().unwrap()).in_project("pipeline", "prod");
        let located = |table| locate(&naming, &settings(table)).unwrap().to_string();
        assert_eq!(located(json!({})), "pipeline/prod/api_key");
        assert_eq!(located(json!({"path": "/shared/"})), "shared/api_key");
        assert_eq!(located(json!({"path": ""})), "api_key");
    }

    #[test]
    fn what_is_listed_leads_back_to_its_name() {
        let secrets = settings(json!({"prefix": "team/"}));
        let to = |name| reference_to(name, &secrets).map(|reference| reference.path().to_owned());
        assert_eq!(to("team/db").as_deref(), Some("db"));
        assert_eq!(to("other/db"), None);
        assert_eq!(to("team/"), None);
        assert_eq!(to("team//db"), None);
    }

    #[test]
    fn a_version_is_an_id_or_a_stage() {
        let of = |text: &str| Selector::of(Some(&Version::new(text).unwrap()));
        let id = "0a1b2c3d-0000-4000-8000-0123456789ab";
        assert_eq!(of(id), Selector::Id(id.into()));
        assert_eq!(of("previous"), Selector::Stage("AWSPREVIOUS".into()));
        assert_eq!(of("AWSPENDING"), Selector::Stage("AWSPENDING".into()));
        assert_eq!(of("blue"), Selector::Stage("blue".into()));
        assert_eq!(Selector::of(None), Selector::Stage("AWSCURRENT".into()));
    }
}
