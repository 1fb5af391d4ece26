//! The contract that every part of credchain agrees on: what a [`Secret`] is, where it lives
//! ([`Reference`]), how a backend is asked for it ([`Provider`]), what a failure means ([`Kind`]),
//! and how several backends make one [`Chain`].
//!
//! Applications use the `credchain` facade; provider authors use this crate.
//!
//! ```
//! use std::sync::Arc;
//! use credchain_core::{Chain, Context, Link, Memory, Name};
//!
//! # credchain_core::doctest(async {
//! let laptop = Memory::new();
//! let vault = Memory::new().with("api_key", b"s3cret");
//! let chain = Chain::new(vec![
//!     Link::new("laptop", Arc::new(laptop)),
//!     Link::new("vault", Arc::new(vault)),
//! ]);
//! let resolution = chain.resolve(&"api_key".parse::<Name>()?, &Context::system()).await;
//! assert_eq!(resolution.result?.expose(), b"s3cret");
//! # Ok(()) });
//! ```
//!
//! Everything asynchronous here runs on a Tokio runtime with its time driver enabled;
//! [`block_on`] makes one for programs that have none.

mod batch;
mod blocking;
mod chain;
mod clock;
mod context;
mod delegate;
mod error;
pub mod files;
pub mod layers;
mod leases;
mod memory;
mod name;
mod naming;
mod printable;
mod provider;
mod random;
mod reaction;
mod reference;
mod refuse;
mod registry;
mod remote;
mod resolver;
mod secret;
mod settings;
mod target;
mod template;
mod trace;
mod units;

pub use async_trait::async_trait;
#[doc(hidden)]
pub use inventory;

pub use crate::batch::{Item, resolve_batch};
#[doc(hidden)]
pub use crate::blocking::doctest;
pub use crate::blocking::{block_on, block_on_at_hand};
pub use crate::chain::{Chain, Link};
pub use crate::clock::{Clock, ManualClock};
pub use crate::context::{
    Context, Environment, FILES_VARIABLE, OWN_SECRETS, OWN_SECRETS_PREFIX, Prompt, is_own_secret,
};
pub use crate::error::{Error, Kind, Result};
pub use crate::leases::Leases;
pub use crate::memory::Memory;
pub use crate::name::{LinkName, Name, NameError};
pub use crate::naming::{At, Naming};
pub use crate::printable::printable;
pub use crate::provider::{
    Capabilities, Description, Empty, Expect, Identity, Interactive, Kept, Lease, Leased, Listed,
    Login, Provider, Rotatable, SetOptions, VersionState, Versioned,
};
pub use crate::random::{random_below, random_bytes, random_text};
pub use crate::reaction::{Reaction, Reactions};
pub use crate::reference::{Address, Reference, Version};
pub use crate::refuse::Refusing;
pub use crate::registry::{
    CredentialSource, NoCredentials, Project, Registration, Registry, Setup, TrustNeed,
};
pub use crate::remote::{append_piece, causes};
pub use crate::resolver::{CachedSecret, Credential, Resolver, ResolverBuilder, Value};
pub use crate::secret::{Secret, SecretMeta};
pub use crate::settings::{Setting, Settings, Shape};
pub use crate::target::{Abilities, Account, Issued, Maker, Target, Verdict};
pub use crate::template::{Filter, Template, TemplateError};
pub use crate::trace::{Outcome, Resolution, Step, Trace};
pub use crate::units::{format_duration, parse_duration, parse_size};
