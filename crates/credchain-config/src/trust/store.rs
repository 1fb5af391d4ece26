//! The trust records on disk: one private file for each project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use credchain_core::files::PrivateDirectory;
use credchain_core::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::facts::hex;

/// The version of the record's form.
pub(super) const VERSION: u32 = 1;

/// A record of 100,000 credentials has about 8 MB.
const MAX_BYTES: u64 = 256 << 20;

/// What was trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) root: PathBuf,
    /// Seconds since 1970.
    pub(super) recorded: u64,
    /// The project's files by name, with the digest of what was parsed.
    pub(super) files: BTreeMap<String, String>,
    /// The programs inside the project, with the digest of what they were.
    pub(super) programs: BTreeMap<String, String>,
    /// The digests of what the files held; see [`super::facts`].
    pub(super) facts: Vec<String>,
}

/// A directory of records.
#[derive(Clone, Debug)]
pub(super) struct Directory(PrivateDirectory);

/// Without a home there is no place that a cloned project could not have filled.
fn no_home() -> Error {
    Error::new(
        Kind::Misconfigured,
        "there is no directory to remember trust in",
    )
    .with_hint("set HOME or XDG_STATE_HOME to an absolute path")
}

impl Directory {
    pub(super) fn new(home: &Path) -> Self {
        Self(PrivateDirectory::new(home.join("trust")))
    }

    /// The record of a project, if there is one that can be read.
    pub(super) fn read(&self, root: &Path) -> Result<Option<Record>> {
        if !self.has_home() {
            return Ok(None);
        }
        self.read_file(&name_of(root), Some(root))
    }

    /// Every record that can be read.
    pub(super) fn all(&self) -> Result<Vec<Record>> {
        if !self.has_home() {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for name in self.0.names()? {
            if Path::new(&name).extension() == Some("json".as_ref()) {
                records.extend(self.read_file(&name, None)?);
            }
        }
        records.sort_by(|a, b| a.root.cmp(&b.root));
        Ok(records)
    }

    /// Writes a record so that a crash leaves the old one or the new one.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        if !self.has_home() {
            return Err(no_home());
        }
        let text = serde_json::to_vec(record)
            .map_err(|_| Error::new(Kind::Internal, "a trust record cannot be written as JSON"))?;
        self.0.write(&name_of(&record.root), &text)
    }

    /// Forgets a project; tells whether it was known.
    pub(super) fn remove(&self, root: &Path) -> Result<bool> {
        if !self.has_home() {
            return Ok(false);
        }
        self.0.remove(&name_of(root))
    }

    fn has_home(&self) -> bool {
        self.0.path().is_absolute()
    }

    fn read_file(&self, name: &str, root: Option<&Path>) -> Result<Option<Record>> {
        let Some(text) = self.0.read(name, MAX_BYTES)? else {
            return Ok(None);
        };
        let path = self.0.file(name)?;
        let version = serde_json::from_slice::<Version>(&text).map(|found| found.version);
        if version.is_ok_and(|version| version > VERSION) {
            return Err(Error::new(
                Kind::Misconfigured,
                format!("`{}` was written by a newer release", path.display()),
            )
            .with_hint("use that release, or `resolve trust` to write it anew"));
        }
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if root.is_none_or(|root| record.root == root) => Ok(Some(record)),
            _ => Err(set_aside(&path)),
        }
    }
}

/// The name of the file that a project's record is in.
fn name_of(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    format!("{}.json", hex(&digest[..16]))
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Moves a damaged record out of the way: the next `resolve trust` writes a new one.
fn set_aside(path: &Path) -> Error {
    let aside = path.with_extension("damaged");
    let moved = fs::rename(path, &aside);
    let message = match moved {
        Ok(()) => format!(
            "the trust record was damaged and is now `{}`",
            aside.display()
        ),
        Err(_) => format!("the trust record `{}` is damaged", path.display()),
    };
    Error::new(Kind::Misconfigured, message)
        .with_hint("look at the configuration, then `resolve trust` records it again")
}
