//! What git has: what is staged, and all of history.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::blobs::{self, Blob};
use super::log;
use super::{Oid, Place};
use crate::error::{Error, ErrorKind};
use crate::look::{Found, Seen};
use crate::report::{SkipReason, Skipped};
use crate::scan::{Run, Settings};

/// A repository, asked from one of its directories.
pub(crate) struct Git<'a> {
    directory: &'a Path,
    settings: &'a Settings,
}

/// Why git gave no answer.
pub(crate) enum Refusal {
    /// It could not be started.
    NotStarted(io::ErrorKind),
    /// It failed; this is what it had said until then.
    Failed(Vec<u8>),
}

impl<'a> Git<'a> {
    pub(crate) fn new(directory: &'a Path, settings: &'a Settings) -> Self {
        Self {
            directory,
            settings,
        }
    }

    /// The repository around a directory, if there is one.
    fn open(directory: &'a Path, settings: &'a Settings) -> Result<Self, Error> {
        let git = Self::new(directory, settings);
        match git.read(&["rev-parse", "--git-dir"]) {
            Ok(_) => Ok(git),
            Err(Refusal::Failed(_)) => {
                let shown = directory.display().to_string();
                Err(Error::new(ErrorKind::NotARepository, shown))
            }
            Err(refusal) => Err(refusal.error()),
        }
    }

    /// A command of git that starts no program, asks no server and takes no lock.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            // SECURITY: a repository's own configuration may name programs.
            .args(["--no-pager", "-c", "core.fsmonitor=false"])
            .args([
                "-c",
                "core.quotePath=false",
                "-c",
                "log.showSignature=false",
            ])
            .args(arguments)
            .current_dir(self.directory)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        for name in &self.settings.withheld {
            command.env_remove(name);
        }
        command
    }

    /// What a command says.
    pub(crate) fn read(&self, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
        let output = self.command(arguments).output();
        let output = output.map_err(|error| Refusal::NotStarted(error.kind()))?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(Refusal::Failed(output.stdout))
        }
    }

    /// The same for one that is told something.
    pub(crate) fn answer(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Refusal> {
        let not_started = |error: io::Error| Refusal::NotStarted(error.kind());
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(not_started)?;
        let stdin = child.stdin.take();
        // Both ends at once: pipes hold little.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // A git that has died is seen by its status.
                let _ = stdin.map(|mut stdin| stdin.write_all(input));
            });
            child.wait_with_output()
        });
        let output = output.map_err(not_started)?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(Refusal::Failed(output.stdout))
        }
    }
}

impl Refusal {
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::NotStarted(kind) => Error::new(ErrorKind::GitMissing, kind.to_string()),
            Self::Failed(_) => Error::new(ErrorKind::GitFailed, "it ended with an error"),
        }
    }
}

/// Scans what the next commit would add or change.
pub(crate) fn scan_staged(run: &Run<'_>, directory: &Path, all: &mut Seen) -> Result<(), Error> {
    let git = Git::open(directory, run.settings)?;
    let listed = git
        .read(&[
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules",
            "--diff-filter=ACMRT",
        ])
        .map_err(|refusal| refusal.error())?;
    let mut parts = listed.split(|byte| *byte == 0);
    let mut staged = Vec::new();
    // `:100644 100644 OLD NEW M`, and then the path.
    while let (Some(change), Some(path)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let mut fields = change.split(' ').skip(1);
        let (Some(mode), Some(oid)) = (fields.next(), fields.nth(1)) else {
            continue;
        };
        // A link's text is a path, and a submodule has a history of its own.
        if mode.starts_with("100") {
            staged.push((Oid::from(oid), Arc::from(String::from_utf8_lossy(path))));
        }
    }
    let sized = blobs::sized(&git, staged, all).map_err(|refusal| refusal.error())?;
    blobs::scan(run, &git, &sized, all);
    Ok(())
}

/// Scans every version of every file that any branch, tag or other reference leads to.
pub(crate) fn scan_history(run: &Run<'_>, directory: &Path, all: &mut Seen) -> Result<(), Error> {
    let git = Git::open(directory, run.settings)?;
    let listed = blobs::of_history(&git, all).map_err(|refusal| refusal.error())?;
    let mut seen = Seen::default();
    blobs::scan(run, &git, &listed, &mut seen);
    if !seen.found.is_empty() {
        seen.found = dated(&git, seen.found);
    }
    all.add(seen);
    Ok(())
}

/// Gives each finding its first commit. One value in many versions of a file is one finding.
fn dated(git: &Git<'_>, found: Vec<Found>) -> Vec<Found> {
    let blobs = found
        .iter()
        .filter_map(|found| found.blob.clone())
        .collect();
    let commits = log::first_commits(git, &blobs);
    let mut first: HashMap<_, (i64, Found)> = HashMap::new();
    for mut one in found {
        let dated = one.blob.as_ref().and_then(|blob| commits.get(blob));
        // What is in no commit that can be read comes last.
        let time = dated.map_or(i64::MAX, |dated| dated.time);
        one.finding.commit = dated.map(|dated| dated.commit.clone());
        let finding = &one.finding;
        let key = (
            finding.rule.clone(),
            finding.credential.clone(),
            finding.path.clone(),
            one.value,
        );
        let order =
            |time: i64, one: &Found| (time, one.finding.line, one.finding.column, one.blob.clone());
        match first.entry(key) {
            std::collections::hash_map::Entry::Occupied(mut other) => {
                let (known, before) = other.get();
                if order(time, &one) < order(*known, before) {
                    other.insert((time, one));
                }
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert((time, one));
            }
        }
    }
    first.into_values().map(|(_, found)| found).collect()
}

/// A path as git writes it.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The place of a blob.
pub(crate) fn place(blob: &Blob) -> Place {
    Place {
        path: blob.path.clone(),
        path_from_root: blob.path.clone(),
        blob: Some(blob.oid.clone()),
    }
}

/// An object that could not be read.
pub(crate) fn damaged(path: &Arc<str>) -> Skipped {
    Skipped {
        path: path.clone(),
        reason: SkipReason::Damaged,
    }
}
