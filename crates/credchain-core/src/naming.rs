//! What a provider needs to know about a credential to find it by convention.

use std::sync::Arc;

use crate::{Name, Reference};

/// A credential seen by a provider's [`locate`](crate::Provider::locate).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Naming {
    /// The project's name, `[project] name`.
    pub project: Arc<str>,
    /// The profile in use; `default` unless chosen.
    pub profile: Arc<str>,
    /// The credential's name.
    pub name: Name,
    /// Its environment variable, where the configuration sets another than `NAME`.
    pub env: Option<Arc<str>>,
    /// Whether the configuration declares it. Some conveniences, such as `NAME_FILE`, are for
    /// declared credentials only.
    pub declared: bool,
}

impl Naming {
    /// A declared credential of project `default` in profile `default`.
    pub fn new(name: Name) -> Self {
        Self {
            project: "default".into(),
            profile: "default".into(),
            name,
            env: None,
            declared: true,
        }
    }

    /// The same credential in another project and profile.
    pub fn in_project(mut self, project: &str, profile: &str) -> Self {
        self.project = project.into();
        self.profile = profile.into();
        self
    }

    /// The same credential with an environment variable of its own.
    pub fn with_env(mut self, variable: &str) -> Self {
        self.env = Some(variable.into());
        self
    }

    /// The same credential as one that no configuration declares.
    pub fn undeclared(mut self) -> Self {
        self.declared = false;
        self
    }

    /// The name of its environment variable.
    pub fn env_name(&self) -> String {
        self.env
            .as_ref()
            .map_or_else(|| self.name.to_env(), ToString::to_string)
    }
}

/// Where one link keeps a credential, when the configuration says so: `at.LINK`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// Here and nowhere else.
    Here(Reference),
    /// Nowhere: the link is passed over.
    Skip,
}
