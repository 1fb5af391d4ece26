//! The provider: a reference is a file's path inside the directory.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use credchain_core::{
    Capabilities, Context, Error, Expect, Kind, Listed, Naming, Provider, Reference, Result,
    Secret, SetOptions, Setup, Version, async_trait,
};
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::directory::Directory;
use crate::error::refused;
use crate::field::field;
use crate::write;

pub(crate) const CAPABILITIES: Capabilities = Capabilities::read_only()
    .writable()
    .deletable()
    .listable()
    .max_value(16 << 20);

/// Reads and writes secrets that are files of one directory.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// The files of whose line end at the end somebody was told.
    told: Mutex<HashSet<Reference>>,
}

impl Files {
    /// The files of this directory.
    pub fn in_directory(path: impl Into<PathBuf>) -> Self {
        Self::with(Settings::one(path.into()))
    }

    /// As a configuration describes it.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that cannot be right.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self::with(Settings::new(setup)?))
    }

    fn with(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            told: Mutex::default(),
        }))
    }

    /// Runs `work` where waiting is allowed: a mount may hang, and a time limit must still be
    /// able to end the wait. Once begun a write goes on to its end.
    async fn off_thread<T: Send + 'static>(
        &self,
        cx: &Context,
        work: impl FnOnce(&Inner, &Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        let path = inner.settings.directory(cx);
        let done = tokio::task::spawn_blocking(move || work(&inner, &path)).await;
        done.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a task on files did not finish")))
    }
}

impl Inner {
    fn open(&self, path: &Path) -> Result<Directory> {
        Directory::open(path)?.ok_or_else(|| self.missing(path))
    }

    /// What it means that there is no directory.
    fn missing(&self, path: &Path) -> Error {
        let message = format!("there is no directory `{}`", path.display());
        if self.settings.is_explicit() {
            Error::new(Kind::Misconfigured, message).with_hint(format!(
                "mount it or make it: `mkdir -m 700 {}`",
                path.display()
            ))
        } else {
            Error::new(Kind::Absent, message)
        }
    }

    fn read_all(&self, path: &Path, references: &[Reference]) -> Vec<Result<Secret>> {
        match self.open(path) {
            Ok(directory) => directory.consistently(|| {
                references
                    .iter()
                    .map(|reference| self.read(&directory, reference))
                    .collect()
            }),
            Err(error) => references.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn read(&self, directory: &Directory, reference: &Reference) -> Result<Secret> {
        unversioned(reference)?;
        let relative = directory.inside(reference)?;
        let file = directory.file(&relative)?;
        let written = file.metadata().modified().ok();
        let value = file.read(self.settings.max_size);
        let value = value.map_err(|reason| refused(reason, &directory.path.join(&relative)))?;
        let value = match reference.field() {
            Some(name) => field(&Zeroizing::new(value), name)?,
            None => self.trimmed(value, reference),
        };
        Ok(Secret::new(value).with_meta(|meta| meta.created = written))
    }

    fn trimmed(&self, mut value: Vec<u8>, reference: &Reference) -> Vec<u8> {
        let end = value
            .strip_suffix(b"\n")
            .map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
        let Some(length) = end.map(<[u8]>::len) else {
            return value;
        };
        if self.settings.trim {
            value.truncate(length);
        } else if self
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reference.clone())
        {
            tracing::warn!(
                file = reference.path(),
                "the value ends with a line end, which is part of it; `trim = true` drops it"
            );
        }
        value
    }

    fn write(&self, path: &Path, reference: &Reference, value: &Secret) -> Result<()> {
        self.acceptable(value)?;
        if self.settings.is_explicit() && !path.exists() {
            write::make_directory(path)?;
        }
        let directory = self.open(path)?;
        let target = target(&directory, reference)?;
        if let Some(parent) = target.parent()
            && !parent.exists()
        {
            write::make_directory(parent)?;
        }
        write::write(&target, value.expose())
    }

    /// A value that would not be read back as it is must not be written.
    fn acceptable(&self, value: &Secret) -> Result<()> {
        let size = u64::try_from(value.expose().len()).unwrap_or(u64::MAX);
        if size > self.settings.max_size {
            return Err(
                Error::new(Kind::Invalid, "the value is larger than setting `max_size`")
                    .with_hint("raise `max_size` if the value is meant to be so large"),
            );
        }
        if self.settings.trim && value.expose().ends_with(b"\n") {
            return Err(
                Error::new(Kind::Invalid, "`trim` would drop the value's last line end")
                    .with_hint("write the value without it, or unset `trim`"),
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Files {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES.max_value(usize::try_from(self.0.settings.max_size).unwrap_or(usize::MAX))
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let reference = reference.clone();
        let one = self
            .off_thread(cx, move |inner, path| {
                Ok(inner.read_all(path, std::slice::from_ref(&reference)).pop())
            })
            .await?;
        one.unwrap_or_else(|| Err(Error::new(Kind::Internal, "a question without an answer")))
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let count = references.len();
        let references = references.to_vec();
        let read = self.off_thread(cx, move |inner, path| Ok(inner.read_all(path, &references)));
        read.await.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        if options.expect != Expect::Any {
            return Err(Error::unsupported("a condition for writing"));
        }
        let (reference, value) = (reference.clone(), value.clone());
        self.off_thread(cx, move |inner, path| inner.write(path, &reference, &value))
            .await?;
        Version::new("current")
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let reference = reference.clone();
        self.off_thread(cx, move |inner, path| {
            let directory = inner.open(path)?;
            write::remove(&target(&directory, &reference)?)
        })
        .await
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let prefix = prefix.unwrap_or_default().to_owned();
        self.off_thread(cx, move |inner, path| {
            let directory = inner.open(path)?;
            let names = directory.consistently(|| directory.list())?;
            let wanted = names.iter().filter(|name| name.starts_with(&prefix));
            Ok(wanted
                .filter_map(|name| Reference::new(name).ok())
                .map(Listed::new)
                .collect())
        })
        .await
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        let names = [
            Reference::new(naming.name.as_str()),
            Reference::new(naming.env_name()),
        ];
        let mut references: Vec<_> = names.into_iter().flatten().collect();
        references.dedup();
        references
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

fn unversioned(reference: &Reference) -> Result<()> {
    match reference.version() {
        Some(_) => Err(Error::unsupported("a version of a file")),
        None => Ok(()),
    }
}

/// The path that a write changes: below the directory, through no symlink.
fn target(directory: &Directory, reference: &Reference) -> Result<PathBuf> {
    unversioned(reference)?;
    if reference.field().is_some() {
        return Err(Error::unsupported("writing a single field"));
    }
    let relative = directory.inside(reference)?;
    directory.writable(&relative)
}
