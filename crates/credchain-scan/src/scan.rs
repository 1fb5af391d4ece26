//! What to scan and how, and doing it.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::hash::BuildHasher as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use credchain_redact::{Redactor, Rules};

use crate::allow::AllowedPaths;
use crate::baseline::Baseline;
use crate::error::Error;
use crate::look::{Looker, Seen};
use crate::report::{Report, Skipped};
use crate::source::{Place, files, git};

/// Larger files are reported instead of read.
const MAX_SIZE: u64 = 512 << 20;

/// A scan: where to look, and for what.
///
/// # Examples
/// ```
/// use credchain_redact::{Options, Redactor, Rules};
/// use credchain_scan::Scan;
///
/// let redactor = Redactor::new();
/// let _ = redactor.register("api_key", b"correct horse", Options::default());
/// let report = Scan::new(Rules::builtin())
///     .known(&redactor)
///     .text("config.yaml", "auth: Y29ycmVjdCBob3JzZQ==\n")
///     .run(&|_| {})?;
/// let finding = &report.findings[0];
/// assert_eq!((finding.credential.as_deref(), finding.line), (Some("api_key"), 1));
/// assert_eq!(finding.snippet, "auth: ***==");
/// # Ok::<_, credchain_scan::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Scan {
    sources: Vec<Source>,
    allowed: Vec<String>,
    pub(crate) settings: Settings,
}

#[derive(Clone, Debug)]
enum Source {
    Files(Vec<PathBuf>),
    Staged(PathBuf),
    History(PathBuf),
    Text(Arc<str>, Arc<[u8]>),
}

/// What every part of a scan has to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    pub(crate) known: Redactor,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) withheld: Vec<OsString>,
    pub(crate) threads: usize,
    pub(crate) max_size: u64,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many bytes have been looked at.
    pub bytes: u64,
    /// How many there are to look at.
    pub of: u64,
}

impl Scan {
    /// A scan of nothing so far, for what these rules find.
    pub fn new(rules: Rules) -> Self {
        let threads = std::thread::available_parallelism().map_or(2, NonZero::get);
        Self {
            sources: Vec::new(),
            allowed: Vec::new(),
            settings: Settings {
                rules,
                known: Redactor::new(),
                baseline: None,
                withheld: Vec::new(),
                threads: threads.clamp(2, 16),
                max_size: MAX_SIZE,
            },
        }
    }

    /// Also finds what is registered there, in any of its forms, under the rule
    /// [`KNOWN_VALUE`](crate::KNOWN_VALUE).
    pub fn known(mut self, redactor: &Redactor) -> Self {
        self.settings.known = redactor.clone();
        self
    }

    /// Leaves paths out, by patterns in the syntax of `.gitignore`, relative to the root of the
    /// repository.
    pub fn allow<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.allowed.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Reports only what this does not know, and gives each finding its fingerprint.
    pub fn baseline(mut self, baseline: Baseline) -> Self {
        self.settings.baseline = Some(baseline);
        self
    }

    /// How many threads work. Default: as many as the machine has, from 2 to 16.
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// Larger files and blobs are reported as skipped. Default: 512 MiB. Each thread holds one file
    /// in memory.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.settings.max_size = bytes;
        self
    }

    /// Variables that git, if it is started, does not get.
    pub fn withhold(mut self, variables: impl IntoIterator<Item = OsString>) -> Self {
        self.settings.withheld.extend(variables);
        self
    }

    /// Scans files, and folders with all that git does not ignore in them. A file that is named, or
    /// that git tracks, is scanned whether it is ignored or not. Links are not followed.
    pub fn files<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        self.sources.push(Source::Files(paths));
        self
    }

    /// Scans what the next commit of the repository around a directory would add or change.
    pub fn staged(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::Staged(directory.into()));
        self
    }

    /// Scans every version of every file in the history of the repository around a directory, each
    /// once.
    pub fn history(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sources.push(Source::History(directory.into()));
        self
    }

    /// Scans a text.
    pub fn text(mut self, name: &str, text: impl Into<Vec<u8>>) -> Self {
        let text: Vec<u8> = text.into();
        self.sources.push(Source::Text(name.into(), text.into()));
        self
    }

    /// Scans everything, and tells how far it is from time to time, from any thread.
    ///
    /// # Errors
    /// When there is nothing to scan where it should be: a path that does not exist, no repository,
    /// no git; or a pattern that is none. What cannot be read is in the report.
    pub fn run(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report, Error> {
        let run = Run {
            settings: &self.settings,
            allowed: AllowedPaths::new(&self.allowed)?,
            looker: Looker::new(&self.settings),
            done: AtomicU64::new(0),
            of: AtomicU64::new(0),
            progress,
        };
        let mut all = Seen::default();
        for source in &self.sources {
            match source {
                Source::Files(paths) => files::scan(&run, paths, &mut all)?,
                Source::Staged(directory) => git::scan_staged(&run, directory, &mut all)?,
                Source::History(directory) => git::scan_history(&run, directory, &mut all)?,
                Source::Text(name, text) => {
                    run.expect(text.len() as u64);
                    all.add(run.look(&Place::named(name), text));
                }
            }
        }
        Ok(all.report())
    }
}

/// A scan that is going on.
pub(crate) struct Run<'a> {
    pub(crate) settings: &'a Settings,
    allowed: AllowedPaths,
    looker: Looker<'a>,
    done: AtomicU64,
    of: AtomicU64,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Run<'_> {
    /// Whether a path is to be left out.
    pub(crate) fn allows(&self, path_from_root: &str) -> bool {
        self.allowed.allow(path_from_root)
    }

    /// There will be so much more to look at.
    pub(crate) fn expect(&self, bytes: u64) {
        self.of.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much of what was expected is done with.
    pub(crate) fn pass(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(Progress {
            bytes: done,
            of: self.of.load(Ordering::Relaxed).max(done),
        });
    }

    /// Looks at a text.
    pub(crate) fn look(&self, place: &Place, text: &[u8]) -> Seen {
        let seen = self.looker.look(place, text);
        self.pass(text.len() as u64);
        seen
    }
}

/// Knows values apart without keeping them.
#[derive(Default)]
pub(crate) struct Apart(RandomState);

impl Apart {
    pub(crate) fn number(&self, value: &[u8]) -> u64 {
        self.0.hash_one(value)
    }
}

/// The descriptions of rules, shared by all findings.
pub(crate) fn descriptions(rules: &Rules) -> HashMap<Box<str>, Arc<str>> {
    rules
        .iter()
        .map(|rule| (rule.name.into(), rule.description.into()))
        .collect()
}

impl Seen {
    fn report(mut self) -> Report {
        let place = |finding: &crate::Finding| {
            (
                finding.path.clone(),
                finding.line,
                finding.cell.clone(),
                finding.column,
                finding.rule.clone(),
                finding.credential.clone(),
                finding.commit.as_ref().map(|commit| commit.id.clone()),
            )
        };
        self.found.sort_by_cached_key(|found| place(&found.finding));
        self.skipped.sort_unstable();
        self.skipped.dedup();
        Report {
            findings: self.found.into_iter().map(|found| found.finding).collect(),
            skipped: self.skipped,
            texts: self.texts,
            bytes: self.bytes,
            allowed: self.allowed,
            known_before: self.known_before,
        }
    }

    pub(crate) fn skip(path: &Arc<str>, reason: crate::SkipReason) -> Self {
        Self {
            skipped: vec![Skipped {
                path: path.clone(),
                reason,
            }],
            ..Self::default()
        }
    }
}
