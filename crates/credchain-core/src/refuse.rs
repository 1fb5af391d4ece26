//! A link that answers every question with the same refusal.

use async_trait::async_trait;

use crate::{
    Capabilities, Context, Error, Listed, Provider, Reference, Result, Secret, SetOptions, Version,
};

/// Stands in a chain for a provider that may or can not be used here: one that the configuration
/// names without the user's trust, or one that this build does not have.
///
/// ```
/// use credchain_core::{Context, Error, Kind, Provider as _, Refusing};
///
/// # credchain_core::doctest(async {
/// let untrusted = Refusing::new(Error::new(Kind::Untrusted, "runs a program"));
/// let refused = untrusted.get(&"api_key".parse()?, &Context::system()).await;
/// assert_eq!(refused.unwrap_err().kind(), Kind::Untrusted);
/// # Ok(()) });
/// ```
#[derive(Clone, Debug)]
pub struct Refusing(Error);

impl Refusing {
    /// Answers everything with `error`.
    pub fn new(error: Error) -> Self {
        Self(error)
    }
}

#[async_trait]
impl Provider for Refusing {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        Err(self.0.clone())
    }

    async fn set(&self, _: &Reference, _: &Secret, _: &SetOptions, _: &Context) -> Result<Version> {
        Err(self.0.clone())
    }

    async fn delete(&self, _: &Reference, _: &Context) -> Result<()> {
        Err(self.0.clone())
    }

    async fn list(&self, _: Option<&str>, _: &Context) -> Result<Vec<Listed>> {
        Err(self.0.clone())
    }
}
