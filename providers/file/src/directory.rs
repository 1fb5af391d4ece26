//! Files below one directory, and never anything outside of it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use credchain_core::files::{self, Refused, Regular};
use credchain_core::{Error, Kind, Reference, Result};

use crate::error::{outside, refused};

/// How often a read begins again because the files were being replaced meanwhile.
const ATTEMPTS: usize = 100;

/// How deep directories inside the directory are listed, and how many files at most.
const MAX_DEPTH: usize = 8;
const MAX_LISTED: usize = 100_000;

/// What this crate calls the files it is about to rename.
pub(crate) const TEMPORARY: &str = ".credchain-new-";

/// A directory of secret files.
#[derive(Debug)]
pub(crate) struct Directory {
    /// As configured, for messages.
    pub(crate) path: PathBuf,
    /// Without symlinks.
    real: PathBuf,
}

impl Directory {
    /// Opens what is at `path`; nothing if nothing is there.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        match path.canonicalize() {
            Ok(real) if real.is_dir() => Ok(Some(Self {
                path: path.to_owned(),
                real,
            })),
            Ok(_) => {
                let message = format!("`{}` is not a directory", path.display());
                Err(Error::new(Kind::Misconfigured, message)
                    .with_hint("setting `path` names a directory with one file for each secret"))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(refused(Refused::Io(error), path)),
        }
    }

    /// The path of a reference inside the directory.
    ///
    /// An absolute reference counts if it names a place inside the directory.
    pub(crate) fn inside(&self, reference: &Reference) -> Result<PathBuf> {
        let path = Path::new(reference.path());
        let relative = path
            .strip_prefix(&self.path)
            .or_else(|_| path.strip_prefix(&self.real))
            .unwrap_or(path);
        // SECURITY: what is left has plain names only: no root, no drive, no `.` or `..`.
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        // One file has one name: `a/`, `a/.` and `a//b` are none.
        let mut names = reference.path().trim_start_matches('/').split('/');
        if !plain || names.any(|name| name.is_empty() || name == ".") {
            return Err(outside(&self.path));
        }
        Ok(relative.to_owned())
    }

    /// Runs `read` such that all it reads is of one generation.
    ///
    /// Kubernetes keeps the files of a mounted secret in a directory of their own, reached by the
    /// symlink `..data`, and replaces that symlink when the secret changes. A read during which
    /// it changed may have found half of each, or nothing, and is done again.
    pub(crate) fn consistently<T>(&self, mut read: impl FnMut() -> T) -> T {
        let generation = || fs::read_link(self.real.join("..data")).ok();
        let mut before = generation();
        let mut answer = read();
        for _ in 1..ATTEMPTS {
            let after = generation();
            if after == before {
                break;
            }
            before = after;
            answer = read();
        }
        answer
    }

    /// Opens the file at `relative`, following symlinks that stay inside the directory.
    pub(crate) fn file(&self, relative: &Path) -> Result<Regular> {
        let path = self.path.join(relative);
        let io = |error| refused(Refused::Io(error), &path);
        let real = self.real.join(relative).canonicalize().map_err(io)?;
        let target = real
            .strip_prefix(&self.real)
            .map_err(|_| outside(&self.path))?;
        let file = open_beneath(&self.real, target).map_err(io)?;
        files::check(file).map_err(|reason| refused(reason, &path))
    }

    /// The path that a write at `relative` changes, if no symlink is on the way to it.
    pub(crate) fn writable(&self, relative: &Path) -> Result<PathBuf> {
        let mut path = self.real.clone();
        for part in relative.parent().into_iter().flatten() {
            path.push(part);
            match path.symlink_metadata() {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    let message = format!("`{}` is not a directory of its own", path.display());
                    return Err(Error::new(Kind::Invalid, message)
                        .with_hint("a secret is written through no symlink and below no file"));
                }
                Err(error) if is_missing(&error) => break,
                Err(error) => return Err(refused(Refused::Io(error), &path)),
            }
        }
        Ok(self.real.join(relative))
    }

    /// Every file below, by its path with `/`.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut waiting = vec![(PathBuf::new(), 0)];
        while let Some((relative, depth)) = waiting.pop() {
            let path = self.real.join(&relative);
            let io = |error| refused(Refused::Io(error), &path);
            let entries = match fs::read_dir(&path) {
                Err(error) if is_missing(&error) => continue,
                other => other.map_err(io)?,
            };
            for entry in entries {
                let entry = entry.map_err(io)?;
                let name = entry.file_name();
                // A name that is no text cannot be asked for. `..data` and what it leads to
                // belong to Kubernetes, which links each file at the top as well.
                let Some(text) = name.to_str().filter(|name| is_listable(name)) else {
                    continue;
                };
                let relative = relative.join(text);
                let kind = entry.file_type().map_err(io)?;
                if kind.is_dir() && depth < MAX_DEPTH {
                    waiting.push((relative, depth + 1));
                } else if kind.is_file() || (kind.is_symlink() && self.file(&relative).is_ok()) {
                    names.push(slashed(&relative));
                }
            }
            if names.len() > MAX_LISTED {
                let message = format!("`{}` has too many files to list", self.path.display());
                return Err(Error::new(Kind::Invalid, message));
            }
        }
        names.sort();
        Ok(names)
    }
}

fn is_listable(name: &str) -> bool {
    !name.starts_with("..") && !name.starts_with(TEMPORARY) && !name.contains('\\')
}

fn slashed(relative: &Path) -> String {
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Opens `target`, a path of plain names, below `directory`, following no symlink at all.
// SECURITY: the check that a symlink stays inside was made on a path, and a path can be changed
// behind one's back. So the file is reached from the directory's handle by names alone; whoever
// swaps one of them for a symlink makes this fail. `openat2` could do both in one call, but on
// Linux only, and it refuses absolute symlinks that do stay inside.
#[cfg(unix)]
fn open_beneath(directory: &Path, target: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let walk = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let read = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(CWD, directory, walk, Mode::empty())?;
    let mut parts = target.iter().peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { walk } else { read };
        at = openat(&at, part, flags, Mode::empty())?;
    }
    Ok(File::from(at))
}

#[cfg(not(unix))]
fn open_beneath(directory: &Path, target: &Path) -> io::Result<File> {
    File::open(directory.join(target))
}
