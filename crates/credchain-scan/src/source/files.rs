//! Files and folders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::Place;
use super::git::Git;
use crate::error::{Error, ErrorKind};
use crate::look::Seen;
use crate::pool;
use crate::report::{SkipReason, Skipped};
use crate::scan::Run;

/// A file to look at.
struct Job {
    path: PathBuf,
    place: Place,
    size: u64,
}

/// What was found in the folders, each file once.
#[derive(Default)]
struct Walked {
    jobs: BTreeMap<PathBuf, Job>,
    skipped: Vec<Skipped>,
}

/// Scans files, and folders with everything that git does not ignore.
pub(crate) fn scan(run: &Run<'_>, paths: &[PathBuf], all: &mut Seen) -> Result<(), Error> {
    let root = root()?;
    let mut walked = Walked::default();
    for path in paths {
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let shown = path.display().to_string();
            return Err(Error::new(ErrorKind::NoSuchPath, shown));
        }
        walk(run, &root, path, &mut walked);
        if path.is_dir() {
            tracked(run, &root, path, &mut walked);
        }
    }
    let jobs: Vec<Job> = walked.jobs.into_values().collect();
    run.expect(jobs.iter().map(|job| job.size).sum());
    all.skipped.append(&mut walked.skipped);
    let threads = run.settings.threads;
    for seen in pool::each(threads, &jobs, Vec::new, |buffer, job| {
        look(run, buffer, job)
    }) {
        all.add(seen);
    }
    Ok(())
}

/// The folder that paths are told from in a baseline: that of the repository around the working
/// directory, or that one.
fn root() -> Result<PathBuf, Error> {
    let here = std::path::absolute(".")
        .map_err(|error| Error::new(ErrorKind::NoSuchPath, format!(".: {}", error.kind())))?;
    let here = tidy(&here);
    let root = here.ancestors().find(|above| above.join(".git").exists());
    Ok(root.unwrap_or(&here).to_owned())
}

fn walk(run: &Run<'_>, root: &Path, path: &Path, walked: &mut Walked) {
    let walk = WalkBuilder::new(path)
        // `.env` is what this is about.
        .hidden(false)
        // Only what git ignores: files of other tools do not keep a secret out of a repository.
        .ignore(false)
        // What is no repository yet becomes one.
        .require_git(false)
        .follow_links(false)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git")
        .build();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
            Ok(entry) if entry.depth() > 0 && entry.path_is_symlink() => {}
            Ok(entry) => add(run, root, &entry, walked),
            Err(error) => walked.skipped.push(Skipped {
                path: unreadable_path(&error, path),
                reason: SkipReason::Unreadable(
                    error
                        .io_error()
                        .map_or(io::ErrorKind::Other, io::Error::kind),
                ),
            }),
        }
    }
}

fn add(run: &Run<'_>, root: &Path, entry: &DirEntry, walked: &mut Walked) {
    // Only what was named may be a link.
    let metadata = if entry.depth() == 0 {
        fs::metadata(entry.path())
    } else {
        fs::symlink_metadata(entry.path())
    };
    add_file(run, root, entry.path(), metadata, walked);
}

fn add_file(
    run: &Run<'_>,
    root: &Path,
    path: &Path,
    metadata: io::Result<fs::Metadata>,
    walked: &mut Walked,
) {
    let place = place(root, path);
    if run.allows(&place.path_from_root) {
        return;
    }
    let skipped = match metadata {
        Err(error) => Some(SkipReason::Unreadable(error.kind())),
        Ok(metadata) if !metadata.is_file() => Some(SkipReason::NotAFile),
        Ok(metadata) if metadata.len() > run.settings.max_size => Some(SkipReason::TooLarge),
        Ok(metadata) => {
            let job = Job {
                path: path.to_owned(),
                place: place.clone(),
                size: metadata.len(),
            };
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            walked.jobs.entry(tidy(&absolute)).or_insert(job);
            None
        }
    };
    walked.skipped.extend(skipped.map(|reason| Skipped {
        path: place.path,
        reason,
    }));
}

/// Files that are ignored and tracked all the same, so that everybody has them.
fn tracked(run: &Run<'_>, root: &Path, folder: &Path, walked: &mut Walked) {
    // Without git or a repository there are none.
    let git = Git::new(folder, run.settings);
    let Ok(listed) = git.read(&["ls-files", "-z", "-c", "-i", "--exclude-standard"]) else {
        return;
    };
    for name in listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let path = folder.join(super::git::path(name));
        let metadata = fs::symlink_metadata(&path);
        if metadata.as_ref().is_ok_and(fs::Metadata::is_file) {
            add_file(run, root, &path, metadata, walked);
        }
    }
}

fn look(run: &Run<'_>, buffer: &mut Vec<u8>, job: &Job) -> Seen {
    buffer.clear();
    let limit = run.settings.max_size;
    let read = File::open(&job.path).and_then(|file| file.take(limit + 1).read_to_end(buffer));
    let reason = match read {
        Ok(_) if buffer.len() as u64 <= limit => return run.look(&job.place, buffer),
        // It has grown meanwhile.
        Ok(_) => SkipReason::TooLarge,
        Err(error) => SkipReason::Unreadable(error.kind()),
    };
    run.pass(job.size);
    Seen::skip(&job.place.path, reason)
}

fn place(root: &Path, path: &Path) -> Place {
    let shown = path.strip_prefix(".").unwrap_or(path);
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let absolute = tidy(&absolute);
    let from_root = absolute.strip_prefix(root).unwrap_or(&absolute);
    Place {
        path: shown.to_string_lossy().into(),
        path_from_root: slashes(from_root).into(),
        blob: None,
    }
}

/// An absolute path without `.` and `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            other => tidy.push(other),
        }
    }
    tidy
}

fn slashes(path: &Path) -> String {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        text.into_owned()
    } else {
        text.replace(std::path::MAIN_SEPARATOR, "/")
    }
}

fn unreadable_path(error: &ignore::Error, otherwise: &Path) -> Arc<str> {
    let path = match error {
        ignore::Error::WithPath { path, .. } => path,
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            return unreadable_path(err, otherwise);
        }
        ignore::Error::Loop { child, .. } => child,
        _ => otherwise,
    };
    path.strip_prefix(".")
        .unwrap_or(path)
        .to_string_lossy()
        .into()
}
