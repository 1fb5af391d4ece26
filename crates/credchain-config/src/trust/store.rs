//! The trust records on disk: one private file for each project.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

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
pub(super) struct Directory(PathBuf);

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
        Self(home.join("trust"))
    }

    /// The record of a project, if there is one that can be read.
    pub(super) fn read(&self, root: &Path) -> Result<Option<Record>> {
        if !self.usable()? {
            return Ok(None);
        }
        Self::read_file(&self.path_of(root), Some(root))
    }

    /// Every record that can be read.
    pub(super) fn all(&self) -> Result<Vec<Record>> {
        if !self.usable()? {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(|error| failed("read", &self.0, &error))? {
            let path = entry
                .map_err(|error| failed("read", &self.0, &error))?
                .path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(Self::read_file(&path, None)?);
            }
        }
        records.sort_by(|a, b| a.root.cmp(&b.root));
        Ok(records)
    }

    /// Writes a record so that a crash leaves the old one or the new one.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        if !self.0.is_absolute() {
            return Err(no_home());
        }
        self.create()?;
        let path = self.path_of(&record.root);
        let text = serde_json::to_vec(record)
            .map_err(|_| Error::new(Kind::Internal, "a trust record cannot be written as JSON"))?;
        let (temporary, mut file) = self.temporary()?;
        let written = file
            .write_all(&text)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, &path))
            // Without this the new name itself could be lost.
            .and_then(|()| sync_directory(&self.0));
        written.map_err(|error| {
            let _ = fs::remove_file(&temporary);
            failed("write", &path, &error)
        })
    }

    /// Forgets a project; tells whether it was known.
    pub(super) fn remove(&self, root: &Path) -> Result<bool> {
        if !self.usable()? {
            return Ok(false);
        }
        let path = self.path_of(root);
        match fs::remove_file(&path) {
            Ok(()) => {
                sync_directory(&self.0).map_err(|error| failed("write", &self.0, &error))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &path, &error)),
        }
    }

    fn path_of(&self, root: &Path) -> PathBuf {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        self.0.join(format!("{}.json", hex(&digest[..16])))
    }

    /// Whether the directory is there; one that others can look into or write to is refused.
    fn usable(&self) -> Result<bool> {
        if !self.0.is_absolute() {
            return Ok(false);
        }
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("look at", &self.0, &error)),
            Ok(meta) if !meta.is_dir() => Err(Error::new(
                Kind::Misconfigured,
                format!("`{}` is no directory", self.0.display()),
            )),
            Ok(meta) => private(&meta, &self.0, "700").map(|()| true),
        }
    }

    fn create(&self) -> Result<()> {
        if self.usable()? {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.0)
            .map_err(|error| failed("create", &self.0, &error))?;
        self.usable().map(|_| ())
    }

    fn temporary(&self) -> Result<(PathBuf, File)> {
        let process = std::process::id();
        for number in 0..1_000 {
            let path = self.0.join(format!(".{process}-{number}.tmp"));
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("create", &path, &error)),
            }
        }
        let message = format!("`{}` is full of temporary files", self.0.display());
        Err(Error::new(Kind::Misconfigured, message))
    }

    fn read_file(path: &Path, root: Option<&Path>) -> Result<Option<Record>> {
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path, &error)),
        };
        let meta = file
            .metadata()
            .map_err(|error| failed("look at", path, &error))?;
        private(&meta, path, "600")?;
        let mut text = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut text)
            .map_err(|error| failed("read", path, &error))?;
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
            _ => Err(set_aside(path)),
        }
    }
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

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(
        Kind::Misconfigured,
        format!("cannot {what} `{}`: {}", path.display(), error.kind()),
    )
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn private(meta: &fs::Metadata, path: &Path, mode: &str) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        let message = format!(
            "`{}` belongs to another user and is not used",
            path.display()
        );
        return Err(Error::new(Kind::Misconfigured, message));
    }
    if meta.mode() & 0o077 != 0 {
        let message = format!(
            "`{}` is open to other users and is not used",
            path.display()
        );
        return Err(Error::new(Kind::Misconfigured, message)
            .with_hint(format!("`chmod {mode} '{}'`", path.display())));
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &fs::Metadata, _: &Path, _: &str) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
