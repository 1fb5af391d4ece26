//! What `[providers.NAME]` with `type = "keyring"` may say.

use credchain_core::{Error, Kind, Naming, Project, Result, Setting, Setup, Shape};

/// The profile that the service's name leaves out.
const DEFAULT_PROFILE: &str = "default";

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[Setting::new(
    "service",
    Shape::Text,
    "The service that credentials are kept under; `{project}` and `{profile}` are replaced. \
     Without it the project's name, and `/PROFILE` after it for another profile than `default`.",
)];

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the configuration sets, expanded.
    fixed: Option<String>,
    /// The service of a path that names none.
    pub(crate) service: String,
    /// Whether the configuration asks for the keyring.
    pub(crate) explicit: bool,
}

impl Settings {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let fixed = setup.settings.text("service")?;
        let fixed = fixed.map(|service| setup.project.expand(service));
        if fixed.as_deref().is_some_and(is_unusable) {
            return Err(Error::new(
                Kind::Misconfigured,
                "setting `service` must be one line of text and cannot be empty",
            )
            .with_hint("leave it out, or name a service such as `service = \"pipeline\"`"));
        }
        let Project { name, profile, .. } = &setup.project;
        Ok(Self {
            service: fixed.clone().unwrap_or_else(|| service(name, profile)),
            fixed,
            explicit: setup.explicit,
        })
    }

    /// The credentials of this service.
    pub(crate) fn one(service: String) -> Self {
        Self {
            fixed: Some(service.clone()),
            service,
            explicit: true,
        }
    }

    /// The service that a credential is kept under by convention.
    pub(crate) fn service_of(&self, naming: &Naming) -> String {
        self.fixed
            .clone()
            .unwrap_or_else(|| service(&naming.project, &naming.profile))
    }
}

fn service(project: &str, profile: &str) -> String {
    if profile == DEFAULT_PROFILE {
        project.to_owned()
    } else {
        format!("{project}/{profile}")
    }
}

fn is_unusable(service: &str) -> bool {
    service.is_empty() || service.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use credchain_core::{LinkName, Settings as Table};
    use serde_json::json;

    use super::*;

    fn settings(table: serde_json::Value, profile: &str) -> Result<Settings> {
        let project = Project::new("demo", "/project").with_profile(profile);
        let setup = Setup::new(LinkName::literal("keyring"))
            .with_settings(Table::from_json(table))
            .in_project(project);
        Settings::new(&setup)
    }

    #[test]
    fn the_service_is_the_project_and_any_other_profile() {
        let service = |table, profile| settings(table, profile).unwrap().service;
        assert_eq!(service(json!({}), "default"), "demo");
        assert_eq!(service(json!({}), "prod"), "demo/prod");
        let fixed = json!({"service": "{project}-{profile}"});
        assert_eq!(service(fixed, "prod"), "demo-prod");
    }

    #[test]
    fn wrong_settings_are_misconfigured() {
        for table in [
            json!({"service": ""}),
            json!({"service": 7}),
            json!({"service": "a\nb"}),
        ] {
            let error = settings(table, "default").unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn a_link_without_a_table_is_not_explicit() {
        let setup = Setup::new(LinkName::literal("keyring"));
        assert!(!Settings::new(&setup).unwrap().explicit);
        assert!(settings(json!({}), "default").unwrap().explicit);
    }
}
