//! End-to-end tests of credchain and the harness that they stand on.
//!
//! A test of the command is a sentence. [`Resolve`] runs the real binary in a scratch project with
//! an empty home directory and an empty environment:
//!
//! ```no_run
//! use credchain_tests::Resolve;
//!
//! Resolve::new()
//!     .config("[chain]\ndefault = [\"env\"]\n[credentials.api_key]\n")
//!     .env("API_KEY", "s3cret-value")
//!     .args(["get", "api_key"])
//!     .run()
//!     .success()
//!     .stdout_is("s3cret-value");
//! ```
//!
//! Several commands in one project share a [`Project`]:
//!
//! ```no_run
//! use credchain_tests::Project;
//!
//! let project = Project::new();
//! project.resolve(["init"]).run().success();
//! project.resolve(["set", "api_key"]).stdin("s3cret-value").secret("s3cret-value").run().success();
//! project.resolve(["get", "api_key"]).run().success().stdout_is("s3cret-value");
//! ```
//!
//! Every run fails the test if a value given to [`Resolve::env`] or [`Resolve::secret`] shows up
//! on standard error.

#![expect(
    clippy::missing_panics_doc,
    reason = "a harness panics: that is how a test fails"
)]

mod binary;
#[cfg(unix)]
pub mod faults;
mod output;
mod process;
mod project;
mod resolve;
pub mod scenario;
#[cfg(unix)]
pub mod servers;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod tmux;
#[cfg(unix)]
pub mod workflow;

pub use crate::binary::{is_root, repository, resolve_binary};
pub use crate::output::Output;
pub use crate::project::Project;
pub use crate::resolve::Resolve;
#[cfg(unix)]
pub use crate::terminal::{Screen, Terminal};
#[cfg(unix)]
pub use crate::tmux::Tmux;
