//! The files of a log: their names, and how they are opened.
//!
//! | file | what it is |
//! |---|---|
//! | `audit.jsonl` | the one that is written |
//! | `audit.FIRST-LAST.jsonl` | finished ones, by the numbers of their records |
//! | `head` | how far the log has come |
//! | `manifest` | up to where finished files were removed |
//! | `key` | the key, unless it is elsewhere |
//! | `lock`, `turn` | locks; empty |

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use credchain_core::files::{
    Links, PrivateDirectory, is_private, make_private_directory, open_with, what_it_is,
};
use credchain_core::{Error, Kind, Result};

use crate::error::{At as _, failed};
use crate::settings::Settings;

pub(crate) const CURRENT: &str = "audit.jsonl";

/// The directory of a log.
#[derive(Clone, Debug)]
pub(crate) struct Places(PrivateDirectory);

/// A file that is finished: its name, and the numbers of its first and last record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finished {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) path: PathBuf,
}

impl Places {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self(PrivateDirectory::new(settings.directory()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Whether the directory is there; one that others can look into is refused.
    pub(crate) fn exist(&self) -> Result<bool> {
        self.0.exists()
    }

    /// Makes the directory if it is not there.
    pub(crate) fn make(&self) -> Result<()> {
        if !self.0.exists()? {
            make_private_directory(self.path()).at("create", self.path())?;
            self.0.exists()?;
        }
        Ok(())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.file(CURRENT)
    }

    pub(crate) fn finished_name(&self, first: u64, last: u64) -> PathBuf {
        self.file(&format!("audit.{first:012}-{last:012}.jsonl"))
    }

    /// The finished files, in the order in which they were written.
    pub(crate) fn finished(&self) -> Result<Vec<Finished>> {
        let names = self.0.names()?;
        let mut found: Vec<Finished> = names
            .iter()
            .filter_map(|name| self.is_finished(name))
            .collect();
        found.sort();
        Ok(found)
    }

    fn is_finished(&self, name: &str) -> Option<Finished> {
        let numbers = name.strip_prefix("audit.")?.strip_suffix(".jsonl")?;
        let (first, last) = numbers.split_once('-')?;
        Some(Finished {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            path: self.file(name),
        })
    }
}

/// Opens a file of the log, which has to be private; nothing if it is not there.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<Option<File>> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let file = match open_with(path, options, Links::Refuse) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused_link(path, error)),
    };
    let metadata = file.metadata().at("look at", path)?;
    if !metadata.is_file() {
        let message = format!("`{}` is {}", path.display(), what_it_is(&metadata));
        return Err(Error::new(Kind::Misconfigured, message));
    }
    if !is_private(&metadata) {
        let shown = path.display();
        let message = format!("`{shown}` is not this user's alone and is not used");
        return Err(Error::new(Kind::Misconfigured, message).with_hint(format!(
            "`chmod 600 '{shown}'`, if nobody else has written to it"
        )));
    }
    Ok(Some(file))
}

/// The same for a file that is made if it is not there.
pub(crate) fn open_or_make(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let file = open(path, options.create(true))?;
    file.ok_or_else(|| failed("create", path, ErrorKind::NotFound.into()))
}

/// A link is opened as if it were not allowed at all; what it is says more than the system's words.
fn refused_link(path: &Path, error: io::Error) -> Error {
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => {
            let message = format!("`{}` is a symlink and is not used", path.display());
            Error::new(Kind::Misconfigured, message)
        }
        _ => failed("open", path, error),
    }
}
