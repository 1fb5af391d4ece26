//! How the suite gets at a provider, and at the backend behind it.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Context, Provider, Reference, Version};
use futures_util::future::LocalBoxFuture;

use crate::{Limits, Subject};

/// How long one promise may take unless [`Fixture::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Values to plant: where, and which bytes.
pub type Planted = (Reference, Vec<u8>);

type Start<S> = Rc<dyn Fn() -> LocalBoxFuture<'static, S>>;
type Hook<S, T> = Rc<dyn Fn(&S) -> T>;
type Seed<S> = Rc<dyn Fn(Arc<S>, Vec<Planted>) -> LocalBoxFuture<'static, ()>>;

/// How to start a backend and to make a provider for it: what [`suite!`](crate::suite) is given.
/// Its optional keys are the methods of this type.
pub struct Fixture<S> {
    start: Start<S>,
    provider: Hook<S, Arc<dyn Provider>>,
    context: Hook<S, Context>,
    seed: Option<Seed<S>>,
    reference: Rc<dyn Fn(&str) -> Reference>,
    secrets: Hook<S, Vec<String>>,
    missing_version: Version,
    limits: Rc<Limits>,
    timeout: Duration,
}

impl<S: 'static> Fixture<S> {
    /// A backend started by `start`, and a provider for it.
    pub fn new<P: IntoProvider>(
        start: impl AsyncFn() -> S + 'static,
        provider: impl Fn(&S) -> P + 'static,
    ) -> Self {
        let start = Rc::new(start);
        Self {
            start: Rc::new(move || {
                let start = start.clone();
                Box::pin(async move { start().await })
            }),
            provider: Rc::new(move |server| provider(server).into_provider()),
            context: Rc::new(|_| Context::system()),
            seed: None,
            reference: Rc::new(plain_reference),
            secrets: Rc::new(|_| Vec::new()),
            missing_version: Version::number(987_654_321),
            limits: Rc::new(Limits::none()),
            timeout: TIMEOUT,
        }
    }

    /// Plants values behind the provider's back. A provider that cannot write needs it; for one
    /// that can, it replaces [`Provider::set`] as the way in.
    pub fn seed(mut self, seed: impl AsyncFn(&S, &[Planted]) + 'static) -> Self {
        let seed = Rc::new(seed);
        self.seed = Some(Rc::new(move |server, values| {
            let seed = seed.clone();
            Box::pin(async move { seed(&server, &values).await })
        }));
        self
    }

    /// The world handed to the provider; asked for again before each operation, so that it may
    /// follow what [`Fixture::seed`] planted.
    pub fn context(mut self, context: impl Fn(&S) -> Context + 'static) -> Self {
        self.context = Rc::new(context);
        self
    }

    /// Where the suite's name for a value lives in this backend; the name itself by default. If
    /// these references have a field, a missing field has to be `NotFound`.
    pub fn reference(mut self, reference: impl Fn(&str) -> Reference + 'static) -> Self {
        self.reference = Rc::new(reference);
        self
    }

    /// Secrets of the provider itself, such as its token: they must not be shown either.
    pub fn secrets(mut self, secrets: impl Fn(&S) -> Vec<String> + 'static) -> Self {
        self.secrets = Rc::new(secrets);
        self
    }

    /// A well-formed version that does not exist; a large number by default.
    pub fn missing_version(mut self, version: Version) -> Self {
        self.missing_version = version;
        self
    }

    /// What the backend openly cannot hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Rc::new(limits);
        self
    }

    /// How long one promise may take; two minutes by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts the backend and makes the provider.
    pub async fn subject(&self) -> Subject {
        let server = Arc::new((self.start)().await);
        let provider = (self.provider)(&server);
        let secrets = (self.secrets)(&server);
        let (context, world) = (self.context.clone(), server.clone());
        let mut subject = Subject::new(provider)
            .with_context(move || context(&world))
            .with_reference(self.reference.clone())
            .with_secrets(secrets)
            .with_missing_version(self.missing_version.clone())
            .with_limits(self.limits.clone());
        if let Some(seed) = self.seed.clone() {
            subject = subject.with_seed(move |values| seed(server.clone(), values));
        }
        subject
    }

    pub(crate) fn time_allowed(&self) -> Duration {
        self.timeout
    }
}

/// What the `provider` closure may return: an `Arc` of a provider, or of `dyn Provider`.
pub trait IntoProvider {
    /// The provider, its type forgotten.
    fn into_provider(self) -> Arc<dyn Provider>;
}

impl<P: Provider> IntoProvider for Arc<P> {
    fn into_provider(self) -> Arc<dyn Provider> {
        self
    }
}

impl IntoProvider for Arc<dyn Provider> {
    fn into_provider(self) -> Self {
        self
    }
}

impl<S> fmt::Debug for Fixture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("limits", &self.limits)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The reference whose path is the name.
///
/// # Panics
/// If the name is none; the suite's own names all are.
pub(crate) fn plain_reference(name: &str) -> Reference {
    match Reference::new(name) {
        Ok(reference) => reference,
        Err(error) => panic!("`{}` is no reference: {error}", name.escape_default()),
    }
}
