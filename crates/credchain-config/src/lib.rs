//! `credchain.toml`: finding it, layering it, checking it, and knowing whether to trust it.
//!
//! [`load`] reads every file there is, merges them and gives a [`Project`]: plain data that says
//! which links exist, which chains, which credentials. What is wrong is reported all at once as
//! [`Diagnostics`], each mistake with its line, an underline and the way out. [`TrustStore`] says
//! what a configuration that came with somebody else's project may do.
//!
//! ```
//! use credchain_config::{Discovery, TrustStore, load};
//! use credchain_core::{Environment, Registry};
//!
//! # let directory = tempfile::tempdir()?;
//! # let here = directory.path();
//! std::fs::write(here.join("credchain.toml"), "[chain]\ndefualt = ['env']\nci = 'env'\n")?;
//! let discovery = Discovery::new(here, Environment::fixed([("HOME", here)]));
//! let problems = load(&discovery, &Registry::collect(&[])?).unwrap_err();
//! assert!(problems.render(false).contains("3 | ci = 'env'"));
//!
//! std::fs::write(here.join("credchain.toml"), "[credentials.api_key]\nchain = ['keyring']\n")?;
//! let loaded = load(&discovery, &Registry::collect(&[])?)?;
//! let trust = TrustStore::open(discovery.state_home.unwrap_or_default());
//! let verdict = trust.check(&loaded);
//! assert!(verdict.read(&"keyring".parse()?, &"api_key".parse()?).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//!
//! Each file is parsed once, with the place of every key. One walk over each layer compares it
//! with tables of [`Setting`](credchain_core::Setting)s, the providers' own among them. figment
//! merges the layers and remembers which one a value came from; the place inside that layer is
//! then found by the key's path. The same tables make the JSON [`schema`] and the
//! [reference](reference_markdown).
//!
//! # What it does not do
//!
//! It builds no provider, reads no secret and opens no connection. A regular expression, a time
//! zone or an endpoint is checked for its form only.

mod assemble;
mod check;
mod diagnostic;
mod discovery;
mod environment;
mod layers;
mod loaded;
mod loader;
mod model;
mod reference;
mod render;
mod rotation_tables;
mod schema;
mod shape;
mod source;
mod suggest;
mod tables;
mod tree;
mod trust;

pub use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
pub use crate::discovery::{Discovery, FILE_NAME};
pub use crate::loaded::{ConfigFile, Loaded, Role, Shown};
pub use crate::loader::{check_profiles, load};
pub use crate::model::{
    AssertionSpec, AuditSpec, ChainChoice, CredentialSpec, DEFAULT_CHAIN, DEFAULT_PROFILE,
    OAuth2Spec, OnFailure, Patterns, PolicySpec, Project, ProviderSpec, RedactionRule,
    RedactionSpec, Replace, ReuseSpec, RotationSpec, TargetSpec, TokenPlace, TokenStoreSpec,
};
pub use crate::reference::reference_markdown;
pub use crate::schema::schema;
pub use crate::source::{Origin, SourceFile};
pub use crate::suggest::nearest as did_you_mean;
pub use crate::trust::{
    LOADER_VARIABLES, TrustStatus, TrustStore, TrustVerdict, TrustedProject, Untrusted, What,
    is_loader_variable,
};
