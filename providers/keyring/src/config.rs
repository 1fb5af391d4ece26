//! What `[providers.NAME]` with `type = "keyring"` may say.

use credchain_core::{Error, Kind, Naming, Project, Result, Setting, Setup, Shape};

use crate::store::Store;

/// The profile that the service's name leaves out.
const DEFAULT_PROFILE: &str = "default";

/// Every key of the provider's table.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "service",
        Shape::Text,
        "The service that credentials are kept under; `{project}` and `{profile}` are replaced. \
         Without it the project's name, and `/PROFILE` after it for another profile than \
         `default`.",
    ),
    Setting::new(
        "store",
        Shape::Choice(&[
            "secret-service",
            "keyutils",
            "keychain",
            "credential-manager",
        ]),
        "What keeps the credentials. Without it the system's own: `secret-service` on Linux and \
         BSD, `keychain` on macOS, `credential-manager` on Windows; `keyutils`, on Linux, keeps \
         them in the kernel's memory.",
    ),
    Setting::new(
        "keyring",
        Shape::Choice(&["persistent", "user", "session"]),
        "With `store = \"keyutils\"`: the kernel's keyring, which decides how long a key lives. \
         Without it `persistent`.",
    ),
];

/// One of the kernel's keyrings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ring {
    /// The user's, for some days after it was used last, logged in or not.
    #[default]
    Persistent,
    /// The user's, until the last session ends.
    User,
    /// That of the login session.
    Session,
}

/// Settings that are known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the configuration sets, expanded.
    fixed: Option<String>,
    /// The service of a path that names none.
    pub(crate) service: String,
    /// Whether the configuration asks for the keyring.
    pub(crate) explicit: bool,
    /// What keeps the values; nothing on a system whose keyring is not supported.
    pub(crate) store: Option<Store>,
    /// Which of the kernel's keyrings, if it is the kernel that keeps them.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "no other system has them")
    )]
    pub(crate) ring: Ring,
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
        let store = match setup.settings.text("store")? {
            Some(name) => Some(Store::chosen(name)?),
            None => Store::here().first().copied(),
        };
        let ring = match setup.settings.text("keyring")? {
            Some(_) if store != Some(Store::Keyutils) => return Err(needless_ring()),
            Some(name) => Ring::named(name)?,
            None => Ring::default(),
        };
        let Project { name, profile, .. } = &setup.project;
        Ok(Self {
            service: fixed.clone().unwrap_or_else(|| service(name, profile)),
            fixed,
            explicit: setup.explicit,
            store,
            ring,
        })
    }

    /// The credentials of this service.
    pub(crate) fn one(service: String) -> Self {
        Self {
            fixed: Some(service.clone()),
            service,
            explicit: true,
            store: Store::here().first().copied(),
            ring: Ring::default(),
        }
    }

    /// The service that a credential is kept under by convention.
    pub(crate) fn service_of(&self, naming: &Naming) -> String {
        self.fixed
            .clone()
            .unwrap_or_else(|| service(&naming.project, &naming.profile))
    }
}

impl Ring {
    /// Until when its keys are there.
    #[cfg(target_os = "linux")]
    pub(crate) const fn lasts(self) -> &'static str {
        match self {
            Self::Persistent => "it has not been used for some days, or the machine stops",
            Self::User => "the user's last process ends, or the machine stops",
            Self::Session => "this login session ends",
        }
    }

    fn named(name: &str) -> Result<Self> {
        match name {
            "persistent" => Ok(Self::Persistent),
            "user" => Ok(Self::User),
            "session" => Ok(Self::Session),
            _ => {
                let message = "setting `keyring` names no keyring of the kernel";
                let hint = "it is `persistent`, `user` or `session`";
                Err(Error::new(Kind::Misconfigured, message).with_hint(hint))
            }
        }
    }
}

fn needless_ring() -> Error {
    let message = "setting `keyring` is for the kernel's keyrings only";
    Error::new(Kind::Misconfigured, message)
        .with_hint("add `store = \"keyutils\"`, or leave `keyring` out")
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
            json!({"store": "drawer"}),
            json!({"store": ["keyutils"]}),
            json!({"keyring": "user"}),
            json!({"store": "keyutils", "keyring": "thread"}),
        ] {
            let error = settings(table, "default").unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured);
        }
    }

    #[test]
    fn every_store_can_be_written_in_the_settings() {
        let shape = SETTINGS.iter().find(|setting| setting.key == "store");
        let Some(Shape::Choice(words)) = shape.map(|setting| setting.shape) else {
            panic!("`store` is a choice");
        };
        assert_eq!(Store::ALL.map(Store::name), words);
        let settings = settings(json!({}), "default").unwrap();
        assert_eq!(settings.store.as_ref(), Store::here().first());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_s_keyring_is_the_persistent_one_unless_another_is_named() {
        let ring = |table| settings(table, "default").unwrap().ring;
        assert_eq!(ring(json!({"store": "keyutils"})), Ring::Persistent);
        for (name, expected) in [
            ("persistent", Ring::Persistent),
            ("user", Ring::User),
            ("session", Ring::Session),
        ] {
            let table = json!({"store": "keyutils", "keyring": name});
            assert_eq!(ring(table), expected);
        }
    }

    #[test]
    fn a_link_without_a_table_is_not_explicit() {
        let setup = Setup::new(LinkName::literal("keyring"));
        assert!(!Settings::new(&setup).unwrap().explicit);
        assert!(settings(json!({}), "default").unwrap().explicit);
    }
}
