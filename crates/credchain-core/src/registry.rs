//! Which provider types this program has, and how one is built from settings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Capabilities, Context, Error, Kind, LinkName, Name, Provider, Result, Secret, Setting, Settings,
};

/// One provider type, made known with [`register_provider!`](crate::register_provider).
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Registration {
    /// The type's name: `type = "vault"`.
    pub type_name: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// Every key that `[providers.NAME]` may have for this type, besides those that all have.
    pub settings: &'static [Setting],
    /// What it can do, at most.
    pub capabilities: Capabilities,
    /// When a configuration found in a directory needs the user's trust to use it.
    pub trust: TrustNeed,
    /// How long one attempt takes at the most, by the provider's own settings; without it, and
    /// without `timeout` in its table, it is the default of [`LayerSettings`](crate::layers::LayerSettings).
    pub patience: Option<fn(&Settings) -> Result<Duration>>,
    /// Makes a provider. Touches neither network nor files: that waits for the first use.
    pub build: fn(Setup) -> Result<Arc<dyn Provider>>,
}

/// When a configuration that was found by walking up needs the user's trust to use a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustNeed {
    /// Never for conventional names: it shows nothing that the child would not see anyway.
    Never,
    /// When a path of its settings leads outside the project.
    OutsideProject,
    /// Always: it runs programs, reaches the network, or reads what belongs to others.
    Always,
}

impl Registration {
    /// A type without settings that always needs trust; change what differs.
    pub const fn new(
        type_name: &'static str,
        summary: &'static str,
        capabilities: Capabilities,
        build: fn(Setup) -> Result<Arc<dyn Provider>>,
    ) -> Self {
        Self {
            type_name,
            summary,
            settings: &[],
            capabilities,
            trust: TrustNeed::Always,
            patience: None,
            build,
        }
    }

    /// The keys of its settings table.
    pub const fn with_settings(mut self, settings: &'static [Setting]) -> Self {
        self.settings = settings;
        self
    }

    /// How long one attempt takes at the most, by its settings.
    pub const fn with_patience(mut self, patience: fn(&Settings) -> Result<Duration>) -> Self {
        self.patience = Some(patience);
        self
    }

    /// When it needs trust.
    pub const fn with_trust(mut self, trust: TrustNeed) -> Self {
        self.trust = trust;
        self
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("type_name", &self.type_name)
            .finish_non_exhaustive()
    }
}

inventory::collect!(Registration);

/// Makes a provider type known to every program that links its crate.
///
/// ```
/// use std::sync::Arc;
/// use credchain_core::{Capabilities, Memory, Registration, register_provider};
///
/// register_provider!(Registration::new(
///     "example",
///     "an empty store in memory",
///     Capabilities::read_only(),
///     |_setup| Ok(Arc::new(Memory::new())),
/// ));
/// ```
#[macro_export]
macro_rules! register_provider {
    ($registration:expr $(,)?) => {
        $crate::inventory::submit! { $registration }
    };
}

/// Everything a provider is built from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The name of the link being built.
    pub link: LinkName,
    /// Its settings, checked against the registration's table.
    pub settings: Settings,
    /// The project it is built for.
    pub project: Project,
    /// Whether the configuration has a table for it. A backend that is missing is `Absent` when
    /// nobody asked for it, and `Unavailable` or `Misconfigured` when somebody did.
    pub explicit: bool,
    /// The outside world.
    pub context: Context,
    /// Where its own secrets come from, when `{ credential = "NAME" }` names one.
    pub credentials: Arc<dyn CredentialSource>,
    /// The environment variables of what *other* links log in with. A provider that starts
    /// programs leaves them out of their environment.
    pub withheld: Vec<String>,
}

/// The project a provider is built for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Project {
    /// `[project] name`.
    pub name: String,
    /// The profile in use.
    pub profile: String,
    /// The directory of `credchain.toml`, if there is one. Relative paths start here.
    pub root: Option<PathBuf>,
    /// Where the program was started.
    pub working_directory: PathBuf,
    /// `$XDG_CONFIG_HOME/credchain` or its equal on other systems, if there is a home at all.
    pub config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME/credchain` or its equal on other systems.
    pub state_home: Option<PathBuf>,
}

impl Project {
    /// A project of this name without a configuration file, in `working_directory`.
    pub fn new(name: impl Into<String>, working_directory: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            profile: "default".into(),
            working_directory: working_directory.into(),
            ..Self::default()
        }
    }

    /// The same project with a configuration file in `root`.
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// The same project in another profile.
    pub fn with_profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Where relative paths start: the project's root, else the working directory.
    pub fn base(&self) -> &std::path::Path {
        self.root.as_deref().unwrap_or(&self.working_directory)
    }

    /// Replaces `{project}` and `{profile}`.
    pub fn expand(&self, text: &str) -> String {
        text.replace("{project}", &self.name)
            .replace("{profile}", &self.profile)
    }
}

impl Setup {
    /// A set-up for `link` with no settings, outside of any project; change what differs.
    pub fn new(link: LinkName) -> Self {
        Self {
            link,
            settings: Settings::default(),
            project: Project::new("default", "."),
            explicit: false,
            context: Context::system(),
            credentials: Arc::new(NoCredentials),
            withheld: Vec::new(),
        }
    }

    /// The same, with settings; the link counts as set up explicitly.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.explicit = true;
        self
    }

    /// The same, for a project.
    pub fn in_project(mut self, project: Project) -> Self {
        self.project = project;
        self
    }

    /// The same, in another world.
    pub fn with_context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// The same, with a source for the provider's own secrets.
    pub fn with_credentials(mut self, credentials: Arc<dyn CredentialSource>) -> Self {
        self.credentials = credentials;
        self
    }

    /// The same, keeping these environment variables from programs that the provider starts.
    pub fn withholding(mut self, variables: Vec<String>) -> Self {
        self.withheld = variables;
        self
    }

    /// The same, marked as asked for by the configuration or not.
    pub fn explicit(mut self, explicit: bool) -> Self {
        self.explicit = explicit;
        self
    }
}

/// Resolves a provider's own secrets, such as the secret id it logs in with.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// The credential's value, from links that do not need the asking provider.
    async fn credential(&self, name: &Name, cx: &Context) -> Result<Secret>;

    /// The same for a provider that cannot log in without it. That the key to a store is missing
    /// must not look as if the store lacked the secret: a miss becomes
    /// [`Kind::Unauthenticated`], which stops the chain.
    async fn needed(&self, name: &Name, cx: &Context) -> Result<Secret> {
        let answer = self.credential(name, cx).await;
        answer.map_err(|error| {
            if !error.kind().is_miss() {
                return error;
            }
            let message = format!("`{name}`, the credential to log in with, is missing");
            let hint = format!("`resolve explain {name}` shows where it was looked for");
            Error::new(Kind::Unauthenticated, message)
                .with_hint(hint)
                .with_source(error)
        })
    }
}

/// A source that has none.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "there is nothing to add to nothing"
)]
pub struct NoCredentials;

#[async_trait]
impl CredentialSource for NoCredentials {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        Err(Error::new(Kind::NotFound, "no credentials are configured").for_credential(name))
    }
}

/// The provider types of this program, by name.
#[derive(Clone, Debug)]
pub struct Registry(BTreeMap<&'static str, &'static Registration>);

impl Registry {
    /// Collects what the linked crates registered.
    ///
    /// # Errors
    /// [`Kind::Internal`] if a type in `expected` registered nothing (its crate was linked but
    /// dropped by the linker: use it with `use … as _`), or two types share a name.
    pub fn collect(expected: &[&str]) -> Result<Self> {
        let mut types = BTreeMap::new();
        for registration in inventory::iter::<Registration> {
            if types.insert(registration.type_name, registration).is_some() {
                let name = registration.type_name;
                let message = format!("two provider crates register the type `{name}`");
                return Err(Error::new(Kind::Internal, message));
            }
        }
        match expected.iter().find(|name| !types.contains_key(**name)) {
            None => Ok(Self(types)),
            Some(name) => {
                let message = format!("the provider type `{name}` is enabled but did not register");
                Err(Error::new(Kind::Internal, message)
                    .with_hint("link its crate with `use credchain_provider_… as _`"))
            }
        }
    }

    /// The type with this name.
    pub fn get(&self, type_name: &str) -> Option<&'static Registration> {
        self.0.get(type_name).copied()
    }

    /// Every type, by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static Registration> + '_ {
        self.0.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_was_expected_and_did_not_register_is_an_error() {
        let error = Registry::collect(&["no-such-type"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.to_string().contains("`no-such-type`"));
    }

    #[test]
    fn placeholders_are_expanded() {
        let project = Project::new("pipeline", "/tmp").with_profile("prod");
        assert_eq!(project.expand("{project}/{profile}/x"), "pipeline/prod/x");
    }
}
