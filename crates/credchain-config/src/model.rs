//! What a configuration says, checked: plain data that the facade makes a resolver from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{At, LinkName, Name, Registry, Secret, Settings, Template, TrustNeed};
use serde_json::Map;

use crate::assemble::paths;
use crate::source::{Origin, Place};
use crate::tables::is_known_type;

/// The name of the profile that is in use when nobody chose one.
pub const DEFAULT_PROFILE: &str = "default";

/// The name of the chain for credentials without a chain of their own.
pub const DEFAULT_CHAIN: &str = "default";

/// A project and everything it declares.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Project {
    /// `[project] name`, else the name of its directory with unusual characters replaced.
    pub name: String,
    /// The profile in use.
    pub profile: String,
    /// Every profile that some file has a table for, and `default`.
    pub profiles: Vec<String>,
    /// The directory of `credchain.toml`, if there is one. Relative paths start here.
    pub root: Option<PathBuf>,
    /// Where the program was started.
    pub working_directory: PathBuf,
    /// The directory of the user's own files.
    pub config_home: Option<PathBuf>,
    /// The directory of what credchain remembers.
    pub state_home: Option<PathBuf>,
    /// The chains by name; [`DEFAULT_CHAIN`] is always among them.
    pub chains: BTreeMap<String, Arc<[LinkName]>>,
    /// `[chain] write`.
    pub write: Option<LinkName>,
    /// Every link that has a table or that a chain names.
    pub providers: BTreeMap<LinkName, ProviderSpec>,
    /// `[credentials]`.
    pub credentials: BTreeMap<Name, CredentialSpec>,
    /// `[oauth2]`.
    pub oauth2: BTreeMap<Name, OAuth2Spec>,
    /// `[redaction]`, with its defaults.
    pub redaction: RedactionSpec,
    /// `[rotation]`, with its defaults.
    pub rotation: RotationSpec,
    /// `[audit]`; without the table there is no log.
    pub audit: Option<AuditSpec>,
}

impl Project {
    /// A project of which nothing else is known yet.
    pub(crate) fn named(name: String) -> Self {
        Self {
            name,
            profile: DEFAULT_PROFILE.to_owned(),
            profiles: Vec::new(),
            root: None,
            working_directory: PathBuf::new(),
            config_home: None,
            state_home: None,
            chains: BTreeMap::new(),
            write: None,
            providers: BTreeMap::new(),
            credentials: BTreeMap::new(),
            oauth2: BTreeMap::new(),
            redaction: RedactionSpec::default(),
            rotation: RotationSpec::default(),
            audit: None,
        }
    }

    /// The links that are asked for undeclared names.
    pub fn default_chain(&self) -> &[LinkName] {
        self.chains.get(DEFAULT_CHAIN).map_or(&[], |links| links)
    }

    /// The declared names, those of `[credentials]` and of `[oauth2]`, in alphabetical order.
    pub fn declared(&self) -> impl Iterator<Item = &Name> {
        let mut names: Vec<&Name> = self.credentials.keys().chain(self.oauth2.keys()).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// Whether a name is declared.
    pub fn declares(&self, name: &Name) -> bool {
        self.credentials.contains_key(name) || self.oauth2.contains_key(name)
    }

    /// What programs get: each declared name with the environment variable it is injected as.
    pub fn injected(&self) -> impl Iterator<Item = (&Name, String)> {
        let credentials = self.credentials.values().filter(|spec| spec.inject);
        let tokens = self.oauth2.values().filter(|spec| spec.inject);
        credentials
            .map(|spec| (&spec.name, spec.variable()))
            .chain(tokens.map(|spec| (&spec.name, spec.variable())))
    }

    /// Where relative paths start.
    pub fn base(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.working_directory)
    }

    /// The project as providers see it.
    pub fn for_providers(&self) -> credchain_core::Project {
        let mut project =
            credchain_core::Project::new(self.name.clone(), self.working_directory.clone())
                .with_profile(self.profile.clone());
        project.root.clone_from(&self.root);
        project.config_home.clone_from(&self.config_home);
        project.state_home.clone_from(&self.state_home);
        project
    }
}

/// One link: `[providers.NAME]`, or a name in a chain that is itself a type.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProviderSpec {
    /// The link's name.
    pub name: LinkName,
    /// The provider's type.
    pub type_name: String,
    /// The keys of the type's own table, relative paths as written.
    pub settings: Settings,
    /// The keys that every provider has: `timeout`, `cache`, `retry`, `rate_limit`,
    /// `on_unavailable`, `on_unauthenticated`.
    pub common: Settings,
    /// Whether the configuration has a table for it.
    pub explicit: bool,
    /// Whether this build has the type. The link of a type that it lacks is in the model, so
    /// that the resolver can say which build has it.
    pub built: bool,
    /// The credentials that its settings name: what it needs to log in.
    pub needs: Vec<Name>,
    /// When a configuration found in a directory needs the user's trust to use it.
    pub trust: TrustNeed,
    /// What its settings, defaults included, say at keys that are paths.
    pub(crate) paths: Vec<String>,
    pub(crate) place: Place,
}

impl ProviderSpec {
    /// The link that a bare type name stands for, if there is such a type.
    pub fn implicit(name: &LinkName, registry: &Registry) -> Option<Self> {
        let registration = registry.get(name.as_str());
        is_known_type(name.as_str(), registry).then(|| Self {
            name: name.clone(),
            type_name: name.as_str().to_owned(),
            settings: Settings::default(),
            common: Settings::default(),
            explicit: false,
            built: registration.is_some(),
            needs: Vec::new(),
            trust: registration.map_or(TrustNeed::Always, |found| found.trust),
            paths: registration.map_or_else(Vec::new, |found| paths(&Map::new(), found.settings)),
            place: Place::Default,
        })
    }

    /// Where its table, or the chain that first names it, was written.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }
}

impl fmt::Debug for ProviderSpec {
    // What stands at a path may be a secret that was put in the wrong place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSpec")
            .field("name", &self.name)
            .field("type_name", &self.type_name)
            .field("settings", &self.settings)
            .field("common", &self.common)
            .field("explicit", &self.explicit)
            .field("built", &self.built)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// Which links a credential is asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainChoice {
    /// The chain `default`.
    Default,
    /// A chain by its name.
    Named(String),
    /// A list of its own.
    Inline,
}

/// One credential of `[credentials]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the table")]
pub struct CredentialSpec {
    /// Its name.
    pub name: Name,
    /// What it is for.
    pub description: Option<String>,
    /// How its links were chosen.
    pub chain: ChainChoice,
    /// The links to ask, in order; none for a template.
    pub links: Arc<[LinkName]>,
    /// Where single links keep it.
    pub at: BTreeMap<LinkName, At>,
    /// The environment variable, where it is not the conventional one.
    pub env: Option<String>,
    /// The text it is made from.
    pub template: Option<Template>,
    /// The value when every link missed.
    pub default: Option<Secret>,
    /// Whether it is to be kept secret.
    pub secret: bool,
    /// Whether an empty value counts.
    pub allow_empty: bool,
    /// Whether programs get a file.
    pub as_file: bool,
    /// How old it may become.
    pub rotate: Option<Duration>,
    /// Whether it is masked in output; nothing leaves it to its length.
    pub mask: Option<bool>,
    /// Whether programs get it.
    pub inject: bool,
    pub(crate) place: Place,
}

impl CredentialSpec {
    /// The environment variable that it is read from and injected as.
    pub fn variable(&self) -> String {
        self.env.clone().unwrap_or_else(|| self.name.to_env())
    }

    /// Where it is declared.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }
}

/// One token of `[oauth2]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OAuth2Spec {
    /// The credential's name.
    pub name: Name,
    /// What it is for.
    pub description: Option<String>,
    /// What entitles to a token, in the word of the configuration.
    pub grant: String,
    /// Where tokens are requested; this or `issuer` is set.
    pub token_url: Option<String>,
    /// The server that says where it is asked.
    pub issuer: Option<String>,
    /// Where a login on another device begins.
    pub device_url: Option<String>,
    /// Where a browser is sent to log in.
    pub authorization_url: Option<String>,
    /// Where tokens are revoked.
    pub revocation_url: Option<String>,
    /// The client's public name.
    pub client_id: String,
    /// The credential that is the client's secret.
    pub client_secret: Option<Name>,
    /// How the client says who it is, in the word of the configuration.
    pub authentication: String,
    /// What assertions are signed with, and what they say.
    pub assertion: AssertionSpec,
    /// The credential that is the refresh token of somebody who logged in elsewhere.
    pub refresh_token: Option<Name>,
    /// What the token may do.
    pub scopes: Vec<String>,
    /// Whether a token that may do less is refused.
    pub require_scopes: bool,
    /// Whom the token is for, as several vendors have it.
    pub audience: Option<String>,
    /// What the token is for.
    pub resources: Vec<String>,
    /// Further parameters of each request.
    pub parameters: BTreeMap<String, String>,
    /// Whether a refresh token is sent twice.
    pub reuse: ReuseSpec,
    /// How long before its end a token is replaced without anybody waiting.
    pub advisory: Option<Duration>,
    /// The port that a browser comes back to.
    pub redirect_port: Option<u16>,
    /// Where tokens are kept.
    pub store: TokenStoreSpec,
    /// Authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// Whether `http://` goes further than this machine.
    pub allow_http: bool,
    /// Whether programs get it.
    pub inject: bool,
    pub(crate) place: Place,
}

impl OAuth2Spec {
    /// The environment variable that it is injected as: `NAME_TOKEN`.
    pub fn variable(&self) -> String {
        format!("{}_TOKEN", self.name.to_env())
    }

    /// The credentials that are needed to get the token.
    pub fn needs(&self) -> impl Iterator<Item = &Name> {
        self.client_secret
            .iter()
            .chain(&self.refresh_token)
            .chain(&self.assertion.key)
            .chain(&self.store.key)
            .chain(&self.store.needs)
    }

    /// Where it is declared.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }
}

/// What a client signs (RFC 7523).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssertionSpec {
    /// The credential that is the key to sign with.
    pub key: Option<Name>,
    /// What the server calls the key.
    pub key_id: Option<String>,
    /// Whom assertions are for.
    pub audience: Option<String>,
    /// Who says what is said.
    pub issuer: Option<String>,
    /// Whom it is said of.
    pub subject: Option<String>,
}

/// Whether a refresh token is sent again of which the first answer was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReuseSpec {
    /// Where the server was seen to bear it.
    #[default]
    Observed,
    /// Always.
    Accept,
    /// For so long.
    Within(Duration),
}

/// Where the tokens of a table are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenStoreSpec {
    /// In what.
    pub place: TokenPlace,
    /// The credential that they are encrypted with; without it a key file is.
    pub key: Option<Name>,
    /// What the provider that keeps them logs in with.
    pub(crate) needs: Vec<Name>,
}

/// What tokens are kept in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenPlace {
    /// Files of this user.
    #[default]
    Files,
    /// Nothing that outlives the program.
    Memory,
    /// A link.
    Link {
        /// Its name.
        link: LinkName,
        /// Where it keeps them.
        path: String,
        /// Whether no other user and no other machine sees them.
        of_one_user: bool,
    },
}

/// `[redaction]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedactionSpec {
    /// Which well-known formats are masked.
    pub patterns: Patterns,
    /// Rules of the project's own.
    pub rules: Vec<RedactionRule>,
    /// Shorter values are not masked.
    pub min_length: u32,
    /// What stands in the place of a value.
    pub replace: Replace,
}

impl Default for RedactionSpec {
    fn default() -> Self {
        Self {
            patterns: Patterns::All,
            rules: Vec::new(),
            min_length: 4,
            replace: Replace::Stars,
        }
    }
}

/// Which well-known formats are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patterns {
    /// All of them.
    All,
    /// None.
    Off,
    /// Those with these names.
    Named(Vec<String>),
}

/// One entry of `[[redaction.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedactionRule {
    /// The rule's name.
    pub name: String,
    /// The regular expression.
    pub pattern: String,
}

/// What stands in the place of a masked value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replace {
    /// `***`.
    Stars,
    /// The credential's name.
    Name,
    /// A keyed fingerprint.
    Fingerprint,
}

/// `[rotation]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RotationSpec {
    /// The time zone of dates and schedules, by its IANA name.
    pub timezone: String,
    /// `[rotation.policies]`, by name.
    pub policies: BTreeMap<String, PolicySpec>,
    /// `[rotation.targets]`, by the credential.
    pub targets: BTreeMap<Name, TargetSpec>,
}

impl Default for RotationSpec {
    fn default() -> Self {
        Self {
            timezone: "UTC".into(),
            policies: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }
}

/// When several credentials are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicySpec {
    /// Which: names in which `*` stands for any characters and `?` for one.
    pub matches: Vec<String>,
    /// How old a value may become; this or `schedule` is set.
    pub every: Option<Duration>,
    /// When values are replaced, as in crontab.
    pub schedule: Option<String>,
    /// Over how much time the starts are spread.
    pub jitter: Option<Duration>,
}

/// What accepts a credential, and how its value is replaced there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TargetSpec {
    /// The credential.
    pub name: Name,
    /// The type.
    pub type_name: String,
    /// The keys of its table.
    pub settings: Settings,
    /// The credentials that it names: what it needs to change others.
    pub needs: Vec<Name>,
    pub(crate) place: Place,
}

impl TargetSpec {
    /// Where it was written.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }
}

/// `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditSpec {
    /// What a read does when the log cannot be written.
    pub on_failure: OnFailure,
    /// The directory of the log, if it is not the usual one.
    pub path: Option<PathBuf>,
    /// The file with the newest record's number, if it is not the usual one.
    pub anchor: Option<PathBuf>,
    /// Whether reads wait for the disk.
    pub durable: bool,
    /// Whether records hold a fingerprint of the value.
    pub fingerprint: bool,
    /// How large one file becomes, in bytes.
    pub max_size: u64,
    /// How many files are kept; nothing keeps all.
    pub keep: Option<u32>,
}

/// What a read does when the log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It goes on.
    Continue,
    /// It fails.
    Stop,
}
