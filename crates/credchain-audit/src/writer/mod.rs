//! Appending: one process at a time, and nothing counts before it is on the disk.

mod line;
mod rotate;
mod scan;
mod stand;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use credchain_core::files::{is_still_at, sync_directory};
use credchain_core::{Clock, Result};

use self::line::{Origin, What};
pub(crate) use self::line::{Pending, Stamp};
pub(crate) use self::scan::sha256_of;
use self::stand::Stand;
use crate::actor::Actor;
use crate::error::At as _;
use crate::gap::Gap;
use crate::hex::Digest;
use crate::key::Key;
use crate::line::START;
use crate::lock::{Locks, Turn};
use crate::mark::{About, Mark, MarkFile};
use crate::places::{Places, open_or_make};
use crate::settings::Settings;

/// A place in a chain: the number and the hash of a record. What follows it begins with both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) seq: u64,
    pub(crate) mac: Digest,
}

impl Point {
    pub(crate) const START: Self = Self { seq: 0, mac: START };
}

impl From<Mark> for Point {
    fn from(mark: Mark) -> Self {
        Self {
            seq: mark.seq,
            mac: mark.mac,
        }
    }
}

/// Writes the files of one log.
#[derive(Debug)]
pub(crate) struct Writer {
    locks: Locks,
    files: Files,
}

/// All but the locks, so that these can be held while the rest is used.
#[derive(Debug)]
struct Files {
    places: Places,
    key: Key,
    clock: Clock,
    actor: Vec<u8>,
    log: Option<File>,
    path: PathBuf,
    head: MarkFile,
    anchor: Option<MarkFile>,
    most_bytes: u64,
    kept: usize,
}

impl Writer {
    pub(crate) fn new(settings: &Settings, key: Key, actor: &Actor, clock: Clock) -> Self {
        let places = Places::of(settings);
        let anchor = settings.anchor_path();
        Self {
            locks: Locks::of(&places),
            files: Files {
                key,
                clock,
                actor: actor.json(),
                log: None,
                path: places.current(),
                head: MarkFile::new(About::Head, places.file("head")),
                anchor: anchor.map(|path| MarkFile::new(About::Anchor, path)),
                most_bytes: settings.most_bytes(),
                kept: settings.kept_files(),
                places,
            },
        }
    }

    /// Appends events, and before them what became of the log meanwhile; all of it is on the
    /// disk when this returns. On a failure none of it counts.
    pub(crate) fn append(&mut self, events: &[Pending], dropped: Option<Gap>) -> Result<Appended> {
        self.files.places.make()?;
        let turn = self.locks.wait()?;
        step!("after_lock");
        self.files.append(&turn, events, dropped)
    }
}

/// How an appending ended that was successful.
#[derive(Debug)]
pub(crate) struct Appended {
    /// The number of the last record.
    pub(crate) seq: u64,
    /// What could not be said beside the log, although the log itself is complete.
    pub(crate) unmarked: Option<credchain_core::Error>,
}

impl Files {
    fn append(
        &mut self,
        _: &Turn<'_>,
        events: &[Pending],
        dropped: Option<Gap>,
    ) -> Result<Appended> {
        let mut stand = self.stand()?;
        self.rotate_if_full(&mut stand)?;
        let mut point = stand.point;
        let mut text = Vec::new();
        if stand.unfinished {
            text.push(b'\n');
        }
        let origin = Origin::new(&self.clock, &self.actor);
        if point == Point::START {
            // It began when what is recorded first happened.
            let now = Stamp::now(&self.clock)?;
            let stamp = events
                .first()
                .map_or(now, |first| first.stamp.with_id(now.id));
            origin.write(&What::Open, &stamp, &mut point, &self.key, &mut text);
        }
        for gap in stand.gaps.iter().chain(&dropped) {
            let stamp = Stamp::now(&self.clock)?;
            origin.write(&What::Gap(gap), &stamp, &mut point, &self.key, &mut text);
        }
        for Pending { event, stamp } in events {
            origin.write(&What::Event(event), stamp, &mut point, &self.key, &mut text);
        }
        self.put(&text, &mut stand, point)
    }

    /// Writes lines behind what is there, and then how far the log has come.
    fn put(&mut self, text: &[u8], stand: &mut Stand, point: Point) -> Result<Appended> {
        let log = self.log()?;
        if let Err(error) = write(log, text) {
            return Err(self.give_up(stand.size, error));
        }
        stand.size += text.len() as u64;
        stand.point = point;
        step!("before_head");
        let mark = stand.mark();
        let mut unmarked = self.head.write(&mark, &self.key).err();
        step!("before_anchor");
        if let Some(anchor) = &mut self.anchor {
            unmarked = anchor.write(&mark, &self.key).err().or(unmarked);
        }
        Ok(Appended {
            seq: point.seq,
            unmarked,
        })
    }

    /// Takes back what was written in part: nobody is told that it is there.
    fn give_up(&mut self, size: u64, error: io::Error) -> credchain_core::Error {
        // After a failed sync nobody knows what this handle still holds back: it is not used again.
        if let Some(log) = self.log.take() {
            // What stays is a torn end, which the next writer says.
            drop(log.set_len(size));
        }
        crate::error::failed("write", &self.path, error)
    }

    /// The file that is written: the one that its name leads to, whatever became of the last.
    fn log(&mut self) -> Result<&mut File> {
        let file = match self.log.take() {
            Some(file) if is_still_at(&file, &self.path) => file,
            _ => {
                let is_new = self.path.symlink_metadata().is_err();
                let mut options = OpenOptions::new();
                let file = open_or_make(&self.path, options.read(true).append(true))?;
                if is_new {
                    sync_directory(self.places.path()).at("write", self.places.path())?;
                }
                file
            }
        };
        Ok(self.log.insert(file))
    }
}

fn write(log: &mut File, text: &[u8]) -> io::Result<()> {
    #[cfg(feature = "failpoints")]
    if fail::list().iter().any(|(name, _)| name == "mid_write") {
        let (one, other) = text.split_at(text.len() / 2);
        log.write_all(one)?;
        step!("mid_write");
        log.write_all(other)?;
        return log.sync_data();
    }
    log.write_all(text)?;
    log.sync_data()
}
