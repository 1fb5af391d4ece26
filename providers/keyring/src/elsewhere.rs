//! Systems whose keyring is not supported.

use credchain_core::{Capabilities, Context, Error, Kind, Listed, Result, Secret, async_trait};

use crate::backend::Backend;
use crate::place::Place;
use crate::provider::CAPABILITIES;

/// No keyring.
#[derive(Debug)]
pub(crate) struct Nowhere;

#[async_trait]
impl Backend for Nowhere {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn read(&self, _: Place, _: &Context) -> Result<Secret> {
        Err(not_here())
    }

    async fn write(&self, _: Place, _: Secret, _: &Context) -> Result<()> {
        Err(not_here())
    }

    async fn delete(&self, _: Place, _: &Context) -> Result<()> {
        Err(not_here())
    }

    async fn list(&self, _: String, _: bool, _: &Context) -> Result<Vec<Listed>> {
        Err(not_here())
    }
}

fn not_here() -> Error {
    let message = "this system's keyring is not supported";
    Error::new(Kind::NotApplicable, message).with_hint("use an `age` store here")
}
