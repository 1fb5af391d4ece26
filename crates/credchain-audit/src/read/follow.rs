//! Reading on as the log grows, over the beginning of other files.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::Result;
use credchain_core::files::is_still_at;

use super::{Entry, Filter, Place, entry};
use crate::error::At as _;
use crate::line::MOST;
use crate::lines::Lines;
use crate::places::{Places, open};
use crate::settings::Settings;

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ends")]
pub enum FollowFrom {
    /// With the oldest record.
    Start,
    /// With what comes next.
    End,
}

/// Reads what is appended to a log.
#[derive(Debug)]
pub struct Follower {
    places: Places,
    filter: Filter,
    reading: Option<Reading>,
    /// The number of the last record that was read.
    last: u64,
}

/// A file in which reading goes on.
#[derive(Debug)]
struct Reading {
    file: File,
    path: Arc<Path>,
    /// The last record of a finished file, by its name.
    up_to: u64,
    offset: u64,
    line: u64,
}

impl Follower {
    /// Follows a log, which need not exist yet.
    pub fn new(settings: &Settings, filter: Filter, from: FollowFrom) -> Result<Self> {
        let mut follower = Self {
            places: Places::of(settings),
            filter,
            reading: None,
            last: 0,
        };
        if from == FollowFrom::End && follower.places.exist()? {
            follower.skip()?;
        }
        Ok(follower)
    }

    /// What was appended since the last time, or as much of it as is held at once: there is no
    /// more when nothing comes. A line that has no end yet comes when it has.
    ///
    /// # Errors
    /// As for [`read`](crate::read).
    pub fn poll(&mut self) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        while found.len() < AT_ONCE && self.places.exist()? {
            if self.reading.is_none() {
                self.reading = self.next_file()?;
            }
            let Some(reading) = &mut self.reading else {
                break;
            };
            let goes_on =
                is_still_at(&reading.file, &reading.path) && reading.is_current(&self.places);
            // Whatever was written to it before it was finished is there by now.
            reading.read(&mut self.last, |entry| {
                if self.filter.wants(&entry) {
                    found.push(entry);
                }
                found.len() < AT_ONCE
            })?;
            if goes_on || found.len() >= AT_ONCE {
                break;
            }
            // By its name, whatever it says: else it would be the next one again.
            self.last = self.last.max(reading.up_to);
            self.reading = None;
        }
        Ok(found)
    }

    /// Calls `each` with what is appended, until it says to stop, and at least once per pause:
    /// then with nothing, so that it can.
    pub fn run(
        &mut self,
        pause: Duration,
        mut each: impl FnMut(Option<Entry>) -> ControlFlow<()>,
    ) -> Result<()> {
        loop {
            let entries = self.poll()?;
            let is_idle = entries.is_empty();
            for entry in entries {
                if each(Some(entry)).is_break() {
                    return Ok(());
                }
            }
            if is_idle {
                if each(None).is_break() {
                    return Ok(());
                }
                std::thread::sleep(pause);
            }
        }
    }

    /// Goes to the end of what is there now.
    fn skip(&mut self) -> Result<()> {
        if let Some(newest) = self.places.finished()?.pop() {
            self.last = newest.last;
        }
        let Some(mut reading) = self.next_file()? else {
            return Ok(());
        };
        let size = reading.file.metadata().at("look at", &reading.path)?.len();
        // A line starts somewhere in there, unless what is there is no log.
        reading.offset = size.saturating_sub(2 * MOST as u64);
        reading.read(&mut self.last, |_| true)?;
        reading.line = 0;
        self.reading = Some(reading);
        Ok(())
    }

    /// The first file with records behind the last one that was read.
    fn next_file(&self) -> Result<Option<Reading>> {
        let later = self.places.finished()?;
        let later = later.into_iter().find(|file| file.last > self.last);
        let (path, up_to) = match later {
            Some(finished) => (finished.path, finished.last),
            None => (self.places.current(), 0),
        };
        let file = open(&path, OpenOptions::new().read(true))?;
        Ok(file.map(|file| Reading {
            file,
            path: path.into(),
            up_to,
            offset: 0,
            line: 0,
        }))
    }
}

impl Reading {
    fn is_current(&self, places: &Places) -> bool {
        *self.path == *places.current()
    }

    /// Reads on, as long as more is wanted.
    fn read(&mut self, last: &mut u64, mut each: impl FnMut(Entry) -> bool) -> Result<()> {
        let size = self.file.metadata().at("look at", &self.path)?.len();
        if size < self.offset {
            // It was emptied and begins anew.
            (self.offset, self.line) = (0, 0);
        }
        self.file
            .seek(SeekFrom::Start(self.offset))
            .at("read", &self.path)?;
        let mut lines = Lines::short(&self.file, self.offset);
        while let Some(line) = lines.next().at("read", &self.path)? {
            if !line.complete {
                break;
            }
            (self.offset, self.line) = (line.end, self.line + 1);
            let place = Place {
                file: self.path.clone(),
                line: self.line,
            };
            if !each(entry(&line, place, last)) {
                break;
            }
        }
        Ok(())
    }
}

/// How many entries are held at once.
const AT_ONCE: usize = 1024;
