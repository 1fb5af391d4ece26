//! One provider under test.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;

use credchain_core::{
    Capabilities, Context, Provider, Reference, Result, Secret, SetOptions, Version,
};
use futures_util::future::LocalBoxFuture;

use crate::fixture::{Planted, plain_reference};
use crate::verdict::must;
use crate::{Broken, Limits, Verdict};

type Seed = Box<dyn Fn(Vec<Planted>) -> LocalBoxFuture<'static, ()>>;

/// One provider under test, with a way to plant values behind it. [`suite!`](crate::suite) makes
/// it from a [`Fixture`](crate::Fixture); to call a single promise, make it directly.
///
/// ```
/// use std::sync::Arc;
/// use credchain_conformance::{Subject, promise};
/// use credchain_core::Memory;
///
/// # credchain_core::doctest(async {
/// let subject = Subject::new(Arc::new(Memory::new()));
/// promise::reads_back_every_byte(&subject).await?;
/// # Ok(()) });
/// ```
pub struct Subject {
    provider: Arc<dyn Provider>,
    context: Box<dyn Fn() -> Context>,
    seed: Option<Seed>,
    reference: Rc<dyn Fn(&str) -> Reference>,
    secrets: Vec<String>,
    missing_version: Version,
    limits: Rc<Limits>,
    nonce: String,
}

impl Subject {
    /// A provider without limits, in the process's own world.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            context: Box::new(Context::system),
            seed: None,
            reference: Rc::new(plain_reference),
            secrets: Vec::new(),
            missing_version: Version::number(987_654_321),
            limits: Rc::new(Limits::none()),
            nonce: format!("{:010x}", RandomState::new().build_hasher().finish() >> 24),
        }
    }

    /// See [`Fixture::context`](crate::Fixture::context).
    pub fn with_context(mut self, context: impl Fn() -> Context + 'static) -> Self {
        self.context = Box::new(context);
        self
    }

    /// See [`Fixture::seed`](crate::Fixture::seed).
    pub fn with_seed(
        mut self,
        seed: impl Fn(Vec<Planted>) -> LocalBoxFuture<'static, ()> + 'static,
    ) -> Self {
        self.seed = Some(Box::new(seed));
        self
    }

    /// See [`Fixture::reference`](crate::Fixture::reference).
    pub fn with_reference(mut self, reference: Rc<dyn Fn(&str) -> Reference>) -> Self {
        self.reference = reference;
        self
    }

    /// See [`Fixture::secrets`](crate::Fixture::secrets).
    pub fn with_secrets(mut self, secrets: Vec<String>) -> Self {
        self.secrets = secrets;
        self
    }

    /// See [`Fixture::missing_version`](crate::Fixture::missing_version).
    pub fn with_missing_version(mut self, version: Version) -> Self {
        self.missing_version = version;
        self
    }

    /// See [`Fixture::limits`](crate::Fixture::limits).
    pub fn with_limits(mut self, limits: impl Into<Rc<Limits>>) -> Self {
        self.limits = limits.into();
        self
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// What the provider claims.
    pub fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    /// The world as it is now.
    pub fn context(&self) -> Context {
        (self.context)()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    pub(crate) fn missing_version(&self) -> &Version {
        &self.missing_version
    }

    /// Differs from one subject to the next, so that a shared backend does not mix them up.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(crate) fn place(&self, name: &str) -> Reference {
        (self.reference)(name)
    }

    /// A place that nobody else uses, under a harmless name.
    pub(crate) fn fresh(&self, label: &str) -> Reference {
        self.place(&format!("c{}_{label}", self.nonce))
    }

    /// Whether the provider claims to hold this value.
    pub(crate) fn can_hold(&self, value: &[u8]) -> bool {
        let capabilities = self.capabilities();
        let text = std::str::from_utf8(value).is_ok_and(|text| !text.contains('\0'));
        (capabilities.binary || text)
            && capabilities.max_value.is_none_or(|max| value.len() <= max)
            && !self.limits.value_refused(value)
    }

    pub(crate) async fn get(&self, reference: &Reference) -> Result<Secret> {
        self.provider.get(reference, &self.context()).await
    }

    pub(crate) async fn set(
        &self,
        reference: &Reference,
        value: &[u8],
        options: &SetOptions,
    ) -> Result<Version> {
        self.provider
            .set(reference, &Secret::new(value), options, &self.context())
            .await
    }

    /// Plants values by the author's hook, or else writes them.
    pub(crate) async fn plant(&self, values: &[Planted]) -> Verdict {
        if let Some(seed) = &self.seed {
            seed(values.to_vec()).await;
            return Ok(());
        }
        if !self.capabilities().write {
            return Err(Broken::new(
                "a provider that cannot write needs `seed` in `suite!`",
            ));
        }
        for (reference, value) in values {
            let options = SetOptions::default();
            let written = self.set(reference, value, &options).await;
            must(&format!("writing `{reference}`"), written)?;
        }
        Ok(())
    }

    /// Plants one harmless value at a fresh place.
    pub(crate) async fn planted(&self, label: &str) -> std::result::Result<Reference, Broken> {
        let reference = self.fresh(label);
        self.plant(&[(reference.clone(), self.value(label))])
            .await?;
        Ok(reference)
    }

    /// A harmless value, different for each label.
    pub(crate) fn value(&self, label: &str) -> Vec<u8> {
        format!("value-{}-{label}", self.nonce).into_bytes()
    }

    /// Checks that reading gives exactly these bytes.
    pub(crate) async fn reads(&self, what: &str, reference: &Reference, value: &[u8]) -> Verdict {
        let secret = must(&format!("reading {what}"), self.get(reference).await)?;
        if secret.expose() == value {
            return Ok(());
        }
        let (got, want) = (secret.expose().len(), value.len());
        let same = secret
            .expose()
            .iter()
            .zip(value)
            .take_while(|(a, b)| a == b)
            .count();
        Err(Broken::new(format!(
            "{what} came back changed: {got} bytes where {want} were stored, equal up to byte {same}"
        )))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("provider", &self.provider)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
