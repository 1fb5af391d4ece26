//! The provider: files in order, each parsed once, and the way back into them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_core::files::{self, Refused};
use credchain_core::{
    Capabilities, Context, Error, Expect, Kind, Listed, Naming, Provider, Reference, Result,
    Secret, SetOptions, Setup, Version, async_trait,
};
use tokio::sync::Mutex;

use crate::config::Settings;
use crate::error::{self, refused};
use crate::loaded::{Loaded, Stamp};
use crate::parse::Warning;
use crate::{edit, store};

pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .batched()
    .text_only()
    .empty_is_unset();

/// Up to this many bytes a file is parsed where it is asked for: handing the work to another
/// thread would take longer.
const INLINE: u64 = 256 << 10;

/// Reads and edits `.env` files.
///
/// Each file is parsed once for each instance, and again only when it or a variable that it
/// refers to has changed. Clones share what was parsed.
#[derive(Clone)]
pub struct Dotenv {
    settings: Arc<Settings>,
    /// What was parsed, by path. The lock is held while parsing, so that many readers parse once.
    loaded: Arc<Mutex<HashMap<PathBuf, Arc<Loaded>>>>,
}

impl Dotenv {
    /// Exactly this file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::with(Settings::one(path.into()))
    }

    /// As a configuration describes it.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self::with(Settings::new(setup)?))
    }

    /// The lines of all files that were not understood.
    ///
    /// # Errors
    /// As [`Provider::get`], except for a miss: without a file there are no such lines.
    pub async fn warnings(&self, cx: &Context) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        for path in self.settings.places() {
            if let Some(loaded) = self.load(&path, cx).await? {
                warnings.extend_from_slice(&loaded.warnings);
            }
        }
        Ok(warnings)
    }

    /// The files that are read, most important first, whether they exist or not.
    pub fn files(&self) -> Vec<PathBuf> {
        self.settings.places()
    }

    fn with(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            loaded: Arc::default(),
        }
    }

    /// The key that a reference stands for.
    fn key<'a>(&self, reference: &'a Reference) -> Result<Cow<'a, str>> {
        if reference.version().is_some() {
            return Err(Error::unsupported("a version of a value"));
        }
        if reference.field().is_some() {
            return Err(
                Error::new(Kind::Invalid, "a value of a `.env` file has no fields")
                    .with_hint("leave out the `#` and what follows it"),
            );
        }
        let path = reference.path();
        Ok(match path.strip_prefix('/') {
            Some(absolute) => Cow::Borrowed(absolute),
            None if self.settings.prefix.is_empty() => Cow::Borrowed(path),
            None => Cow::Owned(format!("{}{path}", self.settings.prefix)),
        })
    }

    /// What the file at `path` says; nothing if there is no file.
    async fn load(&self, path: &Path, cx: &Context) -> Result<Option<Arc<Loaded>>> {
        let regular = match files::open(path) {
            Ok(regular) => regular,
            Err(reason) if self.is_missing(&reason) => return Ok(None),
            Err(reason) => return Err(refused(reason, path)),
        };
        if self.settings.leads_out(path) {
            return Err(error::leads_out(path));
        }
        let mut files = self.loaded.lock().await;
        let known = files.get(path).cloned();
        if let Some(known) = &known
            && known.is_current(&Stamp::of(regular.metadata()), cx.env())
        {
            return Ok(Some(known.clone()));
        }
        let loaded = Arc::new(if regular.metadata().len() <= INLINE {
            Loaded::new(regular, path, cx)?
        } else {
            let (path, cx) = (path.to_owned(), cx.clone());
            off_thread(move || Loaded::new(regular, &path, &cx)).await?
        });
        if known.is_none_or(|known| known.warnings != loaded.warnings) {
            for Warning { line, .. } in &loaded.warnings {
                tracing::warn!(file = ?path, line, "a line is not understood and left out");
            }
        }
        files.insert(path.to_owned(), loaded.clone());
        Ok(Some(loaded))
    }

    fn is_missing(&self, reason: &Refused) -> bool {
        match reason {
            Refused::Io(error) => {
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
            }
            // A virtual environment is often called `.env`. Where nobody asked for a file of that
            // name, the directory is none of our business.
            Refused::NotRegular("a directory") => !self.settings.explicit,
            _ => false,
        }
    }

    fn miss(&self, any_file: bool) -> Error {
        if any_file || self.settings.explicit {
            return Error::not_found();
        }
        Error::new(Kind::Absent, "there is no `.env` file")
    }

    /// Runs `change` on the file at `path`, on a thread where waiting is allowed. Once begun it
    /// goes on to its end even if nobody waits for it any more.
    async fn update<F>(&self, path: PathBuf, create: bool, change: F) -> Result<bool>
    where
        F: FnOnce(&[u8]) -> Result<store::Edited> + Send + 'static,
    {
        // Dropped with this future: then the thread need not wait for the file's lock any longer.
        let waiting = Arc::new(());
        let watched = Arc::downgrade(&waiting);
        let wanted = move || watched.strong_count() > 0;
        let updated = off_thread(move || store::update(&path, create, &wanted, change)).await;
        drop(waiting);
        updated
    }

    /// The file to write a key to: where it takes effect now, else the one that counts most.
    async fn home_of(&self, key: &str, cx: &Context) -> Result<PathBuf> {
        let mut places = self.settings.places();
        for path in &places {
            if self
                .load(path, cx)
                .await?
                .is_some_and(|loaded| loaded.get(key).is_some())
            {
                return Ok(path.clone());
            }
        }
        Ok(places.swap_remove(0))
    }
}

#[async_trait]
impl Provider for Dotenv {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let one = self
            .get_many(std::slice::from_ref(reference), cx)
            .await
            .pop();
        one.unwrap_or_else(|| Err(Error::new(Kind::Internal, "a question without an answer")))
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let keys: Vec<_> = references
            .iter()
            .map(|reference| self.key(reference))
            .collect();
        let mut answers: Vec<Option<Result<Secret>>> = keys
            .iter()
            .map(|key| key.as_ref().err().cloned().map(Err))
            .collect();
        let mut any_file = false;
        for path in self.settings.places() {
            if answers.iter().all(Option::is_some) {
                break;
            }
            let loaded = self.load(&path, cx).await;
            any_file |= matches!(loaded, Ok(Some(_)));
            for (key, answer) in keys.iter().zip(&mut answers) {
                let Ok(key) = key else { continue };
                if answer.is_none() {
                    *answer = match &loaded {
                        Ok(Some(loaded)) => loaded.get(key).cloned().map(Ok),
                        Ok(None) => None,
                        Err(error) => Some(Err(error.clone())),
                    };
                }
            }
        }
        let miss = self.miss(any_file);
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(miss.clone())))
            .collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let key = self.key(reference)?.into_owned();
        // Under the lock it could be checked, but an editor takes no lock.
        if options.expect != Expect::Any {
            return Err(Error::unsupported("a condition for writing"));
        }
        let path = self.home_of(&key, cx).await?;
        let value = value.clone();
        self.update(path, true, move |before| {
            edit::set(before, &key, value.expose()).map(Some)
        })
        .await?;
        Version::new("current")
    }

    async fn delete(&self, reference: &Reference, _: &Context) -> Result<()> {
        let key = self.key(reference)?.into_owned();
        let mut removed = false;
        // From the least important file on: if this is cut short, an old value that the first
        // file hides does not come back into effect.
        for path in self.settings.places().into_iter().rev() {
            let key = key.clone();
            removed |= self
                .update(path, false, move |before| Ok(edit::remove(before, &key)))
                .await?;
        }
        if removed {
            Ok(())
        } else {
            Err(Error::not_found())
        }
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let prefix = prefix.unwrap_or_default();
        let mut references = BTreeSet::new();
        for path in self.settings.places() {
            let Some(loaded) = self.load(&path, cx).await? else {
                continue;
            };
            references.extend(loaded.keys().filter_map(|key| {
                let name = key.strip_prefix(&self.settings.prefix)?;
                // A leading `/` would read as "without the prefix".
                let wanted = name.starts_with(prefix) && !name.starts_with('/');
                wanted.then(|| Reference::new(name).ok()).flatten()
            }));
        }
        Ok(references.into_iter().map(Listed::new).collect())
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let conventional = Reference::new(naming.env_name()).ok();
        // A name that nobody declared is first taken as it was typed.
        let typed = Reference::new(naming.name.as_str())
            .ok()
            .filter(|_| !naming.declared);
        let mut references: Vec<_> = typed.into_iter().chain(conventional).collect();
        references.dedup();
        references
    }
}

impl fmt::Debug for Dotenv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dotenv")
            .field("files", &self.settings.files)
            .finish_non_exhaustive()
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Error::new(
            Kind::Internal,
            "the task for a file did not finish",
        ))
    })
}
