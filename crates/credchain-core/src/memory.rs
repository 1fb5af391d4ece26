//! A provider that keeps everything in memory: for tests, doctests and examples.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    Capabilities, Context, Error, Expect, Kind, Listed, Provider, Reference, Result, Secret,
    SetOptions, Version,
};

/// A store in memory with every core capability, and with failures on demand.
///
/// ```
/// use credchain_core::{Context, Kind, Memory, Provider as _};
///
/// # credchain_core::doctest(async {
/// let memory = Memory::new().with("api_key", b"s3cret").failing("db", Kind::Denied);
/// let cx = Context::system();
/// assert_eq!(memory.get(&"api_key".parse()?, &cx).await?.expose(), b"s3cret");
/// assert_eq!(memory.get(&"db".parse()?, &cx).await.unwrap_err().kind(), Kind::Denied);
/// # Ok(()) });
/// ```
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    capabilities: Option<Capabilities>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Reference, Entry>,
    failures: BTreeMap<Reference, Error>,
    reads: usize,
    batches: usize,
}

struct Entry {
    value: Secret,
    version: u64,
    key: Option<String>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store with a value at `reference`.
    ///
    /// # Panics
    /// If `reference` is none; meant for literals.
    pub fn with(self, reference: &str, value: &[u8]) -> Self {
        let reference = literal(reference);
        let entry = Entry {
            value: Secret::new(value),
            version: 1,
            key: None,
        };
        self.lock().entries.insert(reference, entry);
        self
    }

    /// The same store, in which reading `reference` fails.
    ///
    /// # Panics
    /// If `reference` is none; meant for literals.
    pub fn failing(self, reference: &str, kind: Kind) -> Self {
        self.fail(reference, Some(Error::new(kind, "as the test asked")));
        self
    }

    /// The same store with other capabilities than it really has; for tests of their use.
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// Makes reading `reference` fail from now on, or succeed again.
    ///
    /// # Panics
    /// If `reference` is none; meant for literals.
    pub fn fail(&self, reference: &str, error: Option<Error>) {
        let reference = literal(reference);
        let mut state = self.lock();
        match error {
            Some(error) => state.failures.insert(reference, error),
            None => state.failures.remove(&reference),
        };
    }

    /// How many single values have been read so far.
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// How many batches have been asked for so far.
    pub fn batches(&self) -> usize {
        self.lock().batches
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, reference: &Reference) -> Result<Secret> {
        let mut state = self.lock();
        state.reads += 1;
        let place = reference.clone().without_version();
        if let Some(error) = state.failures.get(&place) {
            return Err(error.clone());
        }
        let entry = state.entries.get(&place).ok_or_else(Error::not_found)?;
        let version = Version::number(entry.version);
        if reference.version().is_some_and(|asked| *asked != version) {
            return Err(Error::new(Kind::NotFound, "no such version"));
        }
        Ok(entry.value.clone().with_meta(|meta| {
            meta.reference = Some(place);
            meta.version = Some(version);
        }))
    }
}

#[async_trait]
impl Provider for Memory {
    fn capabilities(&self) -> Capabilities {
        const REAL: Capabilities = Capabilities::read_only()
            .writable()
            .deletable()
            .listable()
            .versioned()
            .compare_and_set()
            .batched();
        self.capabilities.unwrap_or(REAL)
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        self.read(reference)
    }

    async fn get_many(&self, references: &[Reference], _: &Context) -> Vec<Result<Secret>> {
        self.lock().batches += 1;
        references
            .iter()
            .map(|reference| self.read(reference))
            .collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        _: &Context,
    ) -> Result<Version> {
        let mut state = self.lock();
        let place = reference.clone().without_version();
        let current = state.entries.get(&place);
        let version = current.map(|entry| Version::number(entry.version));
        let repeated = current.is_some_and(|entry| {
            options.idempotency_key.is_some()
                && entry.key == options.idempotency_key
                && entry.value.same_value(value)
        });
        if let (true, Some(version)) = (repeated, &version) {
            return Ok(version.clone());
        }
        let holds = match &options.expect {
            Expect::Any => true,
            Expect::Absent => version.is_none(),
            Expect::Version(expected) => version.as_ref() == Some(expected),
        };
        if !holds {
            return Err(Error::new(Kind::Conflict, "another version is there"));
        }
        let version = current.map_or(1, |entry| entry.version + 1);
        let key = options.idempotency_key.clone();
        state.entries.insert(
            place,
            Entry {
                value: value.clone(),
                version,
                key,
            },
        );
        Ok(Version::number(version))
    }

    async fn delete(&self, reference: &Reference, _: &Context) -> Result<()> {
        let removed = self.lock().entries.remove(reference);
        removed.map(|_| ()).ok_or_else(Error::not_found)
    }

    async fn list(&self, prefix: Option<&str>, _: &Context) -> Result<Vec<Listed>> {
        let state = self.lock();
        let wanted = |reference: &&Reference| {
            prefix.is_none_or(|prefix| reference.path().starts_with(prefix))
        };
        Ok(state
            .entries
            .keys()
            .filter(wanted)
            .cloned()
            .map(Listed::new)
            .collect())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

fn literal(text: &str) -> Reference {
    match text.parse() {
        Ok(reference) => reference,
        Err(error) => panic!("{error}"),
    }
}
