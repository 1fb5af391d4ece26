//! Systems whose keyring is not supported.

use credchain_core::{Context, Error, Kind, Listed, Result, Secret};

use crate::config::Settings;
use crate::place::Place;

/// No keyring.
#[derive(Debug)]
pub(crate) struct Backend;

#[expect(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "the same methods as where there is a keyring"
)]
impl Backend {
    pub(crate) fn new(_: &Settings) -> Self {
        Self
    }

    pub(crate) async fn read(&self, _: Place, _: &Context) -> Result<Secret> {
        Err(not_here())
    }

    pub(crate) async fn write(&self, _: Place, _: Secret, _: &Context) -> Result<()> {
        Err(not_here())
    }

    pub(crate) async fn delete(&self, _: Place, _: &Context) -> Result<()> {
        Err(not_here())
    }

    pub(crate) async fn list(&self, _: String, _: bool, _: &Context) -> Result<Vec<Listed>> {
        Err(not_here())
    }
}

fn not_here() -> Error {
    let message = "this system's keyring is not supported";
    Error::new(Kind::NotApplicable, message).with_hint("use an `age` store here")
}
