// ANCHOR: head
//! The provider: a reference becomes a machine and a field, and that is looked up.

use std::path::PathBuf;

use credchain_core::{
    Capabilities, Context, Error, Kind, Listed, Naming, Provider, Reference, Result, Secret, Setup,
    async_trait,
};

use crate::config::Settings;
use crate::error::unusable;
use crate::parse::{Entry, FIELDS, parse};
use crate::read::read;

/// What this provider can do, as plain data. The suite tests what is claimed here, and that
/// everything else answers `Unsupported`.
pub(crate) const CAPABILITIES: Capabilities =
    Capabilities::read_only().listable().batched().text_only();

/// Reads logins and passwords from a netrc file.
#[derive(Clone, Debug, Default)]
pub struct Netrc {
    settings: Settings,
}
// ANCHOR_END: head

// ANCHOR: own
impl Netrc {
    /// Reads `$NETRC`, else `~/.netrc`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file.
    #[must_use]
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.settings.file = Some(file.into());
        self
    }

    /// As a configuration describes it.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] if a setting is wrong.
    pub fn from_setup(setup: &Setup) -> Result<Self> {
        Ok(Self {
            settings: Settings::new(setup)?,
        })
    }

    /// The file, and whether somebody named it.
    fn file(&self, cx: &Context) -> Result<(PathBuf, bool)> {
        if let Some(file) = &self.settings.file {
            return Ok((file.clone(), true));
        }
        let variable = |name| cx.env().get(name).filter(|value| !value.is_empty());
        if let Some(file) = variable("NETRC") {
            return Ok((file.into(), true));
        }
        let (home, file) = if cfg!(windows) {
            ("USERPROFILE", "_netrc")
        } else {
            ("HOME", ".netrc")
        };
        match variable(home) {
            Some(home) => Ok((PathBuf::from(home).join(file), false)),
            None => Err(Error::new(Kind::Absent, "there is no home directory")),
        }
    }

    /// All entries. The file is read each time: it is small, and the cache is a layer's work.
    async fn entries(&self, cx: &Context) -> Result<Vec<Entry>> {
        let (file, asked_for) = self.file(cx)?;
        // Off the runtime's thread: a file can be on a disk that takes its time.
        let read = tokio::task::spawn_blocking(move || {
            let entries = read(&file).and_then(|text| parse(&text));
            entries.map_err(|failure| unusable(failure, &file, asked_for))
        });
        let stopped = |_| Error::new(Kind::Unavailable, "reading was stopped");
        read.await.map_err(stopped)?
    }

    /// The value that a reference asks for.
    fn find(&self, entries: &[Entry], reference: &Reference) -> Result<Secret> {
        if reference.version().is_some() {
            return Err(Error::unsupported("a version"));
        }
        let named = |entry: &&Entry| entry.machine.as_deref() == Some(reference.path());
        let fallback = |entry: &&Entry| self.settings.use_default && entry.machine.is_none();
        let entry = entries
            .iter()
            .find(named)
            .or_else(|| entries.iter().find(fallback));
        let field = reference.field().unwrap_or("password");
        let value = entry.and_then(|entry| entry.field(field));
        let secret = Secret::new(value.ok_or_else(Error::not_found)?);
        Ok(secret.with_meta(|meta| meta.reference = Some(reference.clone())))
    }
}
// ANCHOR_END: own

// ANCHOR: trait
#[async_trait]
impl Provider for Netrc {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        self.find(&self.entries(cx).await?, reference)
    }

    // All references are answered from one reading of the file: that is what `batched` claims.
    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        match self.entries(cx).await {
            Ok(entries) => references
                .iter()
                .map(|reference| self.find(&entries, reference))
                .collect(),
            Err(error) => vec![Err(error); references.len()],
        }
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let mut listed: Vec<Listed> = Vec::new();
        for entry in self.entries(cx).await? {
            let Some(machine) = &entry.machine else {
                continue;
            };
            if !machine.starts_with(prefix.unwrap_or_default()) {
                continue;
            }
            // A name that no reference can have cannot be asked for either.
            let Ok(place) = Reference::new(machine) else {
                continue;
            };
            for field in FIELDS
                .into_iter()
                .filter(|field| entry.field(field).is_some())
            {
                let reference = place.clone().with_field(field)?;
                // A second entry for the same machine is never served.
                if !listed
                    .iter()
                    .any(|seen| seen.reference.path() == machine && seen.reference == reference)
                {
                    listed.push(Listed::new(reference));
                }
            }
        }
        Ok(listed)
    }

    // No machine follows from a credential's name: only `at` can tell the place.
    fn locate(&self, _: &Naming) -> Vec<Reference> {
        Vec::new()
    }
}
// ANCHOR_END: trait
