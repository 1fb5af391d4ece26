//! Reading the log, without its key: what it says, not whether it is true.

mod filter;
mod follow;
mod record;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_core::{Error, Kind, Result};

pub use self::filter::Filter;
pub use self::follow::{FollowFrom, Follower};
pub use self::record::{Doer, Record};
use crate::error::At as _;
use crate::lines::{Line, Lines};
use crate::places::{Finished, Places, open};
use crate::settings::Settings;

/// A line of the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// What it says, if it is a record.
    pub content: Result<Record, Unreadable>,
}

/// A place in a file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The number of the line, counted from one. A [`Follower`] that began at the end counts from
    /// there.
    pub line: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.file.file_name().unwrap_or(self.file.as_os_str());
        write!(f, "{}:{}", name.display(), self.line)
    }
}

/// Why a line is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is no JSON object, or one without what every record has.
    NoRecord,
    /// It is longer than any record.
    TooLong,
    /// It has no end: it is being written, or whoever wrote it was ended.
    Unfinished,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoRecord => "the line is no record",
            Self::TooLong => "the line is longer than any record",
            Self::Unfinished => "the line has no end",
        })
    }
}

impl std::error::Error for Unreadable {}

/// Reads the log from its oldest record to its newest.
///
/// Lines that are no records are entries as well, whatever the filter. A log that does not exist
/// yet has none.
///
/// # Errors
/// `Misconfigured` if the directory or a file of it can be seen by others or not by this user;
/// `Unavailable` if a file cannot be read.
///
/// ```
/// use credchain_audit::{Action, Actor, Event, Filter, Log, Settings, read};
/// use credchain_core::{Clock, Environment};
///
/// # let home = tempfile::tempdir()?;
/// # let settings = Settings::new(home.path().join("audit"));
/// let actor = Actor::detect(&Environment::process());
/// let log = Log::open(&settings, &actor, Clock::system())?;
/// log.record(Event::new(Action::Set).credential(&"api_key".parse()?))?;
/// for entry in read(&settings, Filter::new().action("set"))? {
///     assert_eq!(entry?.content?.credential.as_deref(), Some("api_key"));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(settings: &Settings, filter: Filter) -> Result<Entries> {
    let places = Places::of(settings);
    let mut files: Vec<PathBuf> = Vec::new();
    let mut named = 0;
    if places.exist()? {
        for Finished { last, path, .. } in places.finished()? {
            named = last;
            files.push(path);
        }
        files.push(places.current());
    }
    files.reverse();
    Ok(Entries {
        places,
        filter,
        files,
        source: None,
        named,
    })
}

/// The entries of a log; made by [`read`].
#[derive(Debug)]
pub struct Entries {
    places: Places,
    filter: Filter,
    /// What is still to be read, the next one last.
    files: Vec<PathBuf>,
    source: Option<Source>,
    /// The last record of the finished files of which the names were read.
    named: u64,
}

impl Entries {
    fn advance(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(source) = &mut self.source {
                if let Some(entry) = source.next()? {
                    if self.filter.wants(&entry) {
                        return Ok(Some(entry));
                    }
                    continue;
                }
                self.source = None;
            }
            let Some(path) = self.files.pop() else {
                return Ok(None);
            };
            let file = open(&path, OpenOptions::new().read(true))?;
            self.source = file.map(|file| Source::new(file, &path));
            if self.files.is_empty() {
                self.insert_finished_meanwhile()?;
            }
        }
    }

    /// The file that was written may have been finished, and others with it, since the names were
    /// read. What was opened last is then not the next.
    fn insert_finished_meanwhile(&mut self) -> Result<()> {
        let mut missed = self.places.finished()?;
        missed.retain(|file| file.last > self.named);
        let Some(newest) = missed.last() else {
            return Ok(());
        };
        self.named = newest.last;
        self.source = None;
        self.files.push(self.places.current());
        self.files
            .extend(missed.into_iter().rev().map(|file| file.path));
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.advance().transpose();
        if matches!(entry, Some(Err(_))) {
            // There is no going on behind a file that cannot be read.
            (self.source, self.files) = (None, Vec::new());
        }
        entry
    }
}

/// The lines of one file.
#[derive(Debug)]
struct Source {
    lines: Lines<File>,
    path: Arc<Path>,
    line: u64,
}

impl Source {
    fn new(file: File, path: &Path) -> Self {
        Self {
            lines: Lines::new(file, 0),
            path: path.into(),
            line: 0,
        }
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        let Some(line) = self.lines.next().at("read", &self.path)? else {
            return Ok(None);
        };
        self.line += 1;
        let place = Place {
            file: self.path.clone(),
            line: self.line,
        };
        Ok(Some(entry(&line, place, &mut 0)))
    }
}

/// What a line is; `last` becomes the number of its record.
fn entry(line: &Line<'_>, place: Place, last: &mut u64) -> Entry {
    let content = if line.too_long {
        Err(Unreadable::TooLong)
    } else if !line.complete {
        Err(Unreadable::Unfinished)
    } else {
        Record::of(line.bytes).ok_or(Unreadable::NoRecord)
    };
    if let Ok(record) = &content {
        *last = record.seq.max(*last);
    }
    Entry { place, content }
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(Kind::Invalid, unreadable.to_string())
    }
}
