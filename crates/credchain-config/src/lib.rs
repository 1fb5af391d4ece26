//! `credchain.toml`: finding it, layering it, checking it, and knowing whether to trust it.

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
pub use crate::loader::load;
pub use crate::model::{
    AuditSpec, ChainChoice, CredentialSpec, DEFAULT_CHAIN, DEFAULT_PROFILE, OAuth2Spec, OnFailure,
    Patterns, Project, ProviderSpec, RedactionRule, RedactionSpec, Replace, RotationSpec,
};
pub use crate::reference::reference_markdown;
pub use crate::schema::schema;
pub use crate::source::{Origin, SourceFile};
pub use crate::suggest::nearest as did_you_mean;
pub use crate::trust::{
    LOADER_VARIABLES, TrustStatus, TrustStore, TrustVerdict, TrustedProject, Untrusted, What,
    is_loader_variable,
};
