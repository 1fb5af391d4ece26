//! Credentials for Rust programs: from the environment, `.env` files, an encrypted file, any
//! secret store or any external command, through one ordered chain that `credchain.toml`
//! describes.
//!
//! ```no_run
//! use credchain::Credchain;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = Credchain::open()?;
//! let key = credentials.get("api_key").await?;
//! send_with(key.expose());
//! # Ok(()) }
//! # fn send_with(_: &[u8]) {}
//! ```
//!
//! Programs that need several credentials describe them as a struct: see [`Credentials`].
//! Programs without a runtime wrap a call in [`block_on`].
//!
//! # Features
//! `default` is `env` and `dotenv`; each other provider is a feature of the same name; `local` is
//! all that needs no network, `full` is everything, `derive` is the derive macro. `oauth2` is access
//! tokens, `oauth2-middleware` also what puts them into requests of `reqwest`.

mod assemble;
#[cfg(feature = "audit")]
mod audit;
mod credentials;
mod declared;
#[cfg(feature = "age")]
mod identities;
mod leases;
mod open;
mod providers;
#[cfg(feature = "redact")]
mod redaction;
#[cfg(feature = "rotation")]
mod rotation;
#[cfg(feature = "age")]
mod sharing;
mod store;
#[cfg(feature = "oauth2")]
mod tokens;
mod variables;
mod watch;

#[cfg(feature = "audit")]
pub use credchain_audit as audit_log;
pub use credchain_config as config;
pub use credchain_core::*;
#[cfg(feature = "derive")]
pub use credchain_derive::Credentials;
#[cfg(feature = "oauth2")]
pub use credchain_oauth2 as oauth2;
#[cfg(feature = "age")]
pub use credchain_provider_age as age;
#[cfg(feature = "dotenv")]
pub use credchain_provider_dotenv as dotenv;
#[cfg(feature = "redact")]
pub use credchain_redact as redact;
#[cfg(feature = "rotation")]
pub use credchain_rotation as rotate;
#[cfg(feature = "scan")]
pub use credchain_scan as scan;

pub use crate::credentials::*;
pub use crate::leases::LeaseKeeper;
pub use crate::open::{Credchain, OpenError, Opener};
pub use crate::providers::registry;
#[cfg(feature = "rotation")]
pub use crate::rotation::{Age, Due, Told, Verb};
pub use crate::store::Written;
pub use crate::watch::Watch;
