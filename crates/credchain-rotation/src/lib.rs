//! How old credentials are, and new ones in their place.
//!
//! - **Ages.** A [`Policy`] says how old a value may become, a [`Calendar`] when it is replaced, a
//!   [`Register`] when it was made; a [`Row`] is what that means now.
//! - **New values.** A [`Rotation`] replaces a value at a [`Target`](credchain_core::Target) and in
//!   every [`Store`] that readers use, by one of five [strategies](Strategy). It is a state machine
//!   that can be killed at any step: its [`Journal`] says where to look, what is true is what store
//!   and target answer, and whoever comes next goes on.
//! - **Targets.** [`target`] has `PostgreSQL`, HTTP APIs and programs of the user's own; providers
//!   offer their own.
//!
//! ```
//! use std::sync::Arc;
//! use credchain_core::{Context, Memory};
//! use credchain_rotation::{How, Journal, Quiet, Rotation, State, Store, Strategy};
//!
//! # credchain_core::doctest(async {
//! # let directory = tempfile::tempdir()?;
//! # let locks = directory.path().join("locks");
//! let vault = Arc::new(Memory::new().with("session_key", b"first"));
//! let journal = Journal::beside(vault.clone(), "session_key.state".parse()?, locks);
//! let store = Store::new("vault".parse()?, vault, "session_key".parse()?);
//! let rotation =
//!     Rotation::new("session_key".parse()?, Strategy::Versioned, vec![store], journal);
//! let progress = rotation.run(How::Planned, &Quiet, &Context::system()).await?;
//! assert_eq!(progress.state, State::Overlap); // readers have the new key, and the old one counts
//! # Ok(()) });
//! ```
//!
//! # What it does not do
//!
//! It has no timer: whoever has one calls [`Rotation::run`] for what is due. It keeps no log: an
//! [`Observer`] is told every step before it has an effect, and may veto it.

mod engine;
mod form;
mod journal;
mod lease;
mod machine;
mod point;
mod policy;
mod recipe;
mod record;
mod register;
mod schedule;
mod status;
pub mod target;
mod zone;

pub use crate::engine::{
    Action, How, Look, Observer, Previous, Progress, Quiet, Rotation, Step, Store,
};
pub use crate::form::Form;
pub use crate::journal::Journal;
pub use crate::policy::Policy;
pub use crate::recipe::{Recipe, passphrase};
pub use crate::record::{Past, State, Strategy};
pub use crate::register::{Entry, REGISTER, Register};
pub use crate::schedule::Calendar;
pub use crate::status::{Level, Row, Status, prometheus};
pub use crate::zone::{Zone, rfc3339};
