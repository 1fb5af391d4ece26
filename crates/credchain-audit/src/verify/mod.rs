//! Whether the log is as it was written, and whole.

mod report;
mod walk;

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use credchain_core::Result;

pub use self::report::{Finding, Report, Severity, Verdict};
use self::walk::Walk;
use crate::error::At as _;
use crate::key::Key;
use crate::lock::Locks;
use crate::mark::{About, Found, Mark, MarkFile};
use crate::places::{Places, open};
use crate::settings::Settings;

/// Verifies a log: from the oldest record that is kept to the last, in constant memory.
///
/// Writers are kept out for a moment only, while the files are opened: what they append
/// meanwhile is not part of what is verified.
///
/// # Errors
/// As for [`read`](crate::read). What is wrong with the log itself is in the [`Report`], and so
/// is a key or an anchor that is missing.
///
/// ```
/// use credchain_audit::{Action, Actor, Event, Log, Settings, Verdict, verify};
/// use credchain_core::{Clock, Environment};
///
/// # let home = tempfile::tempdir()?;
/// # let settings = Settings::new(home.path().join("audit"));
/// let actor = Actor::detect(&Environment::process());
/// Log::open(&settings, &actor, Clock::system())?.record(Event::new(Action::List))?;
/// let report = verify(&settings)?;
/// assert_eq!((report.verdict(), report.records), (Verdict::Intact, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(settings: &Settings) -> Result<Report> {
    let places = Places::of(settings);
    let Some(key) = Key::read(&settings.key_path())? else {
        return without_key(settings, &places);
    };
    let opened = Opened::all(settings, &places, &key)?;
    let mut walk = Walk::new(key, opened.manifest.mark(), opened.said(settings, &places));
    for (path, file, size) in &opened.files {
        walk.file(path, file, *size)?;
    }
    walk.end();
    for (found, file) in [
        (Some(opened.head), Some(places.file("head"))),
        (Some(opened.manifest), Some(places.file("manifest"))),
        (opened.anchor, settings.anchor_path().map(Into::into)),
    ] {
        if let (Some(Found::Damaged), Some(file)) = (found, file) {
            walk.say(Finding::NotAMark { file });
        }
    }
    // The head, and the anchor if there is one, are there before the first record.
    if walk.has_records() && opened.head == Found::Missing {
        let file = places.file("head");
        walk.say(Finding::NoHead { file });
    }
    if let (true, Some(Found::Missing), Some(path)) =
        (walk.has_records(), opened.anchor, settings.anchor_path())
    {
        let file = path.to_owned();
        walk.say(Finding::NoAnchor { file });
    }
    Ok(walk.report())
}

/// A log without a key says nothing; one that was never begun has none and needs none.
fn without_key(settings: &Settings, places: &Places) -> Result<Report> {
    let mut report = Report::default();
    let anchored = settings
        .anchor_path()
        .is_some_and(|path| path.symlink_metadata().is_ok());
    let files = [
        places.current(),
        places.file("head"),
        places.file("manifest"),
    ];
    let begun = files.iter().any(|file| file.symlink_metadata().is_ok());
    if anchored || begun || !places.finished()?.is_empty() {
        let file = settings.key_path();
        report.add(Finding::NoKey { file });
    }
    Ok(report)
}

/// The files of a log as they all were at one moment.
struct Opened {
    files: Vec<(PathBuf, File, u64)>,
    head: Found,
    anchor: Option<Found>,
    manifest: Found,
}

impl Opened {
    fn all(settings: &Settings, places: &Places, key: &Key) -> Result<Self> {
        let mut locks = Locks::to_read(places);
        let exists = places.exist()?;
        let turn = if exists { Some(locks.wait()?) } else { None };
        let mut paths = Vec::new();
        if exists {
            paths.extend(places.finished()?.into_iter().map(|file| file.path));
            paths.push(places.current());
        }
        let mut files = Vec::new();
        for path in paths {
            if let Some(file) = open(&path, OpenOptions::new().read(true))? {
                let size = file.metadata().at("look at", &path)?.len();
                files.push((path, file, size));
            }
        }
        let look = |about, path: PathBuf| MarkFile::new(about, path).look(key);
        let anchor = settings.anchor_path();
        let opened = Self {
            files,
            head: look(About::Head, places.file("head"))?,
            anchor: anchor
                .map(|path| look(About::Anchor, path.to_owned()))
                .transpose()?,
            manifest: look(About::Manifest, places.file("manifest"))?,
        };
        drop(turn);
        Ok(opened)
    }

    /// What says how far the log has come, or had come when its beginning was removed.
    fn said(&self, settings: &Settings, places: &Places) -> Vec<Said> {
        let mut said = Vec::new();
        let mut add = |found: Found, file: PathBuf, is_anchor| {
            if let Some(mark) = found.mark() {
                said.push(Said {
                    mark,
                    file,
                    is_anchor,
                });
            }
        };
        add(self.manifest, places.file("manifest"), false);
        add(self.head, places.file("head"), false);
        if let (Some(found), Some(path)) = (self.anchor, settings.anchor_path()) {
            add(found, path.to_owned(), true);
        }
        said
    }
}

/// What a head, an anchor or a manifest says, and which file that is.
#[derive(Debug)]
struct Said {
    mark: Mark,
    file: PathBuf,
    is_anchor: bool,
}
