//! From a directory to a resolver.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credchain_config::{Diagnostics, Discovery, Loaded, Project, TrustStore, TrustVerdict};
use credchain_core::{Context, Error, Kind, Name, Registry, Resolution, Resolver, Result, Secret};

#[cfg(feature = "audit")]
use crate::audit::Auditing;
#[cfg(feature = "redact")]
use crate::redaction::Hiding;
#[cfg(feature = "oauth2")]
use crate::tokens::Sources;
use crate::watch::Changes;
use crate::{assemble, providers};

/// The credentials of one project, ready to be resolved. Cheap to clone.
#[derive(Clone)]
pub struct Credchain {
    loaded: Arc<Loaded>,
    verdict: Arc<TrustVerdict>,
    registry: Arc<Registry>,
    resolver: Resolver,
    pub(crate) changes: Changes,
    #[cfg(feature = "audit")]
    pub(crate) auditing: Auditing,
    #[cfg(feature = "redact")]
    pub(crate) hiding: Hiding,
    #[cfg(feature = "oauth2")]
    pub(crate) tokens: Arc<Sources>,
    #[cfg(feature = "rotation")]
    pub(crate) keepers: Arc<assemble::Keepers>,
}

/// Says where the configuration is and how it is to be used; see [`Credchain::opener`].
#[derive(Debug)]
#[must_use]
pub struct Opener {
    directory: Option<PathBuf>,
    config: Option<PathBuf>,
    profile: Option<String>,
    overrides: Vec<(String, String)>,
    timeout: Option<Duration>,
    one_shot: bool,
    context: Context,
}

/// Why a project could not be opened.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "either the configuration is at fault or it is not"
)]
pub enum OpenError {
    /// The configuration has mistakes: all of them.
    Config(Diagnostics),
    /// Something else went wrong.
    Error(Error),
}

impl Credchain {
    /// Opens the project that the working directory belongs to: `credchain.toml` found upward,
    /// or without one the environment and `.env`.
    pub fn open() -> Result<Self, OpenError> {
        Self::opener().open()
    }

    /// Opens a project in another way than [`open`](Self::open) does.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), credchain::OpenError> {
    /// let credentials = credchain::Credchain::opener()
    ///     .config("deploy/credchain.toml")
    ///     .profile("production")
    ///     .open()?;
    /// # Ok(()) }
    /// ```
    pub fn opener() -> Opener {
        Opener {
            directory: None,
            config: None,
            profile: None,
            overrides: Vec::new(),
            timeout: None,
            one_shot: false,
            context: Context::system(),
        }
    }

    /// Resolves one credential.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if `name` is no name; else whatever decided in the chain.
    pub async fn get(&self, name: &str) -> Result<Secret> {
        let name: Name = name.parse().map_err(|error: credchain_core::NameError| {
            Error::new(Kind::Invalid, error.to_string())
        })?;
        self.resolver.resolve(&name).await.result
    }

    /// Resolves several credentials in as few round trips as their providers allow; answers in
    /// the same order, and one that fails leaves the others alone.
    pub async fn resolve_many(&self, names: &[Name]) -> Vec<Resolution> {
        self.resolver.resolve_many(names).await
    }

    /// The resolver, for everything else.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// What the configuration says.
    pub fn project(&self) -> &Project {
        &self.loaded.project
    }

    /// The configuration with its files, warnings and sources.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What the configuration may not do without the user's trust.
    pub fn verdict(&self) -> &TrustVerdict {
        &self.verdict
    }

    /// Where the user's trust in configurations is remembered.
    pub fn trust_store(&self) -> TrustStore {
        TrustStore::open(self.project().state_home.clone().unwrap_or_default())
    }

    /// The provider types of this build.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl fmt::Debug for Credchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credchain")
            .field("resolver", &self.resolver)
            .finish_non_exhaustive()
    }
}

impl Opener {
    /// Starts from this directory instead of the working directory.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Uses this configuration file, as the user's own word: it needs no trust.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Uses this profile.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Sets one key of the configuration, such as `providers.vault.address`, above all files.
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// Lets one resolution take no longer than this.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Does nothing ahead of time, for a program that ends when it has what it wants: a request
    /// for the next token must not be cut off by that.
    pub fn one_shot(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// Replaces the outside world: environment, clock, a way to ask.
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Reads the configuration and builds the resolver. Nothing is asked, connected or decrypted
    /// before the first credential is resolved.
    ///
    /// # Errors
    /// Every mistake in the configuration at once.
    pub fn open(self) -> Result<Credchain, OpenError> {
        let directory = match self.directory {
            Some(directory) => directory,
            None => std::env::current_dir().map_err(|error| {
                Error::new(Kind::Misconfigured, "there is no working directory").with_source(error)
            })?,
        };
        let mut discovery = Discovery::new(directory, self.context.env().clone());
        if let Some(config) = self.config {
            discovery = discovery.with_config(config);
        }
        if let Some(profile) = self.profile {
            discovery = discovery.with_profile(profile);
        }
        for (key, value) in self.overrides {
            discovery = discovery.with_override(key, value);
        }
        let registry = providers::registry()?;
        let mut loaded = credchain_config::load(&discovery, &registry)?;
        if self.one_shot {
            let tokens = loaded.project.oauth2.values_mut();
            tokens.for_each(|spec| spec.advisory = None);
        }
        let verdict = trust_store(&discovery).check(&loaded);
        #[cfg(feature = "oauth2")]
        let mut tokens = Sources::new();
        let (builder, keepers) = assemble::builder(
            &loaded,
            &verdict,
            &registry,
            &self.context,
            self.timeout,
            #[cfg(feature = "oauth2")]
            &mut tokens,
        )?;
        #[cfg(not(feature = "rotation"))]
        drop(keepers);
        let loaded = Arc::new(loaded);
        #[cfg(feature = "audit")]
        let (auditing, builder) =
            Auditing::listening(&loaded, &verdict, &self.context, self.one_shot, builder);
        #[cfg(feature = "redact")]
        let (hiding, builder) = Hiding::listening(&loaded, builder);
        Ok(Credchain {
            loaded,
            verdict: Arc::new(verdict),
            registry: Arc::new(registry),
            resolver: builder.build()?,
            changes: Changes::default(),
            #[cfg(feature = "audit")]
            auditing,
            #[cfg(feature = "redact")]
            hiding,
            #[cfg(feature = "oauth2")]
            tokens: Arc::new(tokens),
            #[cfg(feature = "rotation")]
            keepers: Arc::new(keepers),
        })
    }
}

/// Where trust is remembered. Without a home directory nothing is, and nothing is trusted.
fn trust_store(discovery: &Discovery) -> TrustStore {
    TrustStore::open(discovery.state_home.clone().unwrap_or_default())
}

impl From<Diagnostics> for OpenError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Config(diagnostics)
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(diagnostics) => diagnostics.fmt(f),
            Self::Error(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
