//! Where the log stands, whatever happened to it since the last writer.

use std::fs::{File, OpenOptions};

use credchain_core::Result;

use super::scan::{ends_with, is_finished, scan, sha256_of};
use super::{Files, Point};
use crate::error::At as _;
use crate::gap::{Gap, GapReason};
use crate::mark::{Found, Mark};
use crate::places::open;

/// What the next record follows.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) point: Point,
    /// The number of the first record of the file that is written.
    pub(super) first: u64,
    pub(super) size: u64,
    /// Whether the file ends in the middle of a line.
    pub(super) unfinished: bool,
    /// What the next record has to say first.
    pub(super) gaps: Vec<Gap>,
}

impl Stand {
    fn at(point: Point, first: u64, size: u64) -> Self {
        Self {
            point,
            first,
            size,
            unfinished: false,
            gaps: Vec::new(),
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            seq: self.point.seq,
            mac: self.point.mac,
            size: self.size,
            first: self.first,
        }
    }

    fn gap(&mut self, reason: GapReason) {
        self.gaps.push(Gap::new(reason));
    }
}

impl Files {
    /// Finds out where the log stands: as the head says, if the file is as the head says.
    pub(super) fn stand(&mut self) -> Result<Stand> {
        let path = self.path.clone();
        let size = self.log()?.metadata().at("look at", &path)?.len();
        let head = self.head.read(&self.key)?;
        let anchor = match &mut self.anchor {
            // Read before anything is written: what cannot be anchored is not recorded.
            Some(anchor) => Some(anchor.read(&self.key)?),
            None => None,
        };
        let mut stand = match head {
            Found::Mark(head) => self.stand_at(head, size)?,
            Found::Missing | Found::Damaged => match self.stand_without_head(size)? {
                Some(stand) => headless(stand, anchor),
                None => self.fresh(size, anchor)?,
            },
        };
        if let Some(anchor) = anchor {
            compare(&mut stand, anchor);
        }
        let finished = is_finished(self.log()?, size).at("read", &path)?;
        stand.unfinished = !finished;
        Ok(stand)
    }

    fn stand_at(&mut self, head: Mark, size: u64) -> Result<Stand> {
        let path = self.path.clone();
        let mut stand = Stand::at(head.into(), head.first, size);
        let as_written =
            size >= head.size && ends_with(self.log()?, head.size, &head.mac).at("read", &path)?;
        let from = if as_written {
            head.size
        } else if self.was_finished_at(head)? {
            stand.first = head.seq + 1;
            0
        } else {
            stand.gap(match size {
                0 => GapReason::Replaced,
                _ if size < head.size => GapReason::Truncated,
                _ => GapReason::Damaged,
            });
            if size == 0 {
                stand.first = head.seq + 1;
            }
            return Ok(stand);
        };
        if from < size {
            self.take_in(from, &mut stand)?;
        }
        Ok(stand)
    }

    /// Takes in what was written behind the head: by somebody who was ended before saying so.
    fn take_in(&mut self, from: u64, stand: &mut Stand) -> Result<()> {
        let (path, key) = (self.path.clone(), self.key.clone());
        let found = scan(self.log()?, from, Some(stand.point), &key).at("read", &path)?;
        stand.point = found.point.unwrap_or(stand.point);
        self.note_torn(found.good, stand)
    }

    /// Notes what stands behind the last good record.
    fn note_torn(&mut self, good: u64, stand: &mut Stand) -> Result<()> {
        if good < stand.size {
            let path = self.path.clone();
            let sha256 = sha256_of(self.log()?, good..stand.size).at("read", &path)?;
            stand.gaps.push(Gap {
                torn: Some((stand.size - good, sha256)),
                ..Gap::new(GapReason::Torn)
            });
        }
        Ok(())
    }

    /// Whether the file that a head speaks of was finished, by somebody who was ended then.
    fn was_finished_at(&self, head: Mark) -> Result<bool> {
        let name = self.places.finished_name(head.first, head.seq);
        let Some(file) = open(&name, OpenOptions::new().read(true))? else {
            return Ok(false);
        };
        let size = size_of(&file, &name)?;
        ends_with(&file, size, &head.mac).at("read", &name)
    }

    /// Where the files alone say that the log stands; nothing if there are none.
    fn stand_without_head(&mut self, size: u64) -> Result<Option<Stand>> {
        let (path, key) = (self.path.clone(), self.key.clone());
        let mut stand = Stand::at(Point::START, 1, size);
        if size > 0 {
            let found = scan(self.log()?, 0, None, &key).at("read", &path)?;
            if let (Some(point), Some(first)) = (found.point, found.first) {
                (stand.point, stand.first) = (point, first);
                self.note_torn(found.good, &mut stand)?;
                return Ok(Some(stand));
            }
        }
        for finished in self.places.finished()?.into_iter().rev() {
            if let Some(file) = open(&finished.path, OpenOptions::new().read(true))? {
                let found = scan(&file, 0, None, &key).at("read", &finished.path)?;
                if let Some(point) = found.point {
                    stand.point = point;
                    stand.first = point.seq + 1;
                    return Ok(Some(stand));
                }
            }
        }
        if let Some(removed) = self.manifest().look(&key)?.mark() {
            stand.point = removed.into();
            stand.first = removed.seq + 1;
            return Ok(Some(stand));
        }
        // Something is there, and nobody with the key has written it.
        Ok((size > 0).then_some(stand))
    }

    /// The start of a log. Head and anchor are there before the first record, so that one that is
    /// missing later was removed.
    fn fresh(&mut self, size: u64, anchor: Option<Found>) -> Result<Stand> {
        let stand = Stand::at(Point::START, 1, size);
        if let (Some(file), Some(Found::Missing)) = (&mut self.anchor, anchor) {
            file.write(&stand.mark(), &self.key)?;
        }
        self.head.write(&stand.mark(), &self.key)?;
        Ok(stand)
    }
}

/// Says that the head was lost, and whether more may be.
fn headless(mut stand: Stand, anchor: Option<Found>) -> Stand {
    let anchored = anchor.and_then(Found::mark).map(Point::from);
    stand.gap(match anchored {
        Some(anchored) if anchored == stand.point => GapReason::Head,
        _ => GapReason::Unproven,
    });
    stand
}

/// Compares the log with its anchor, which is in another place and so was not put back with it.
fn compare(stand: &mut Stand, anchor: Found) {
    match anchor {
        Found::Mark(anchor) if anchor.seq > stand.point.seq => {
            stand.point = anchor.into();
            if stand.size == 0 {
                stand.first = anchor.seq + 1;
            }
            stand.gap(GapReason::Rollback);
        }
        Found::Mark(anchor) if anchor.seq == stand.point.seq && anchor.mac != stand.point.mac => {
            stand.gap(GapReason::Rollback);
        }
        Found::Mark(_) => {}
        Found::Missing if stand.point == Point::START => {}
        Found::Missing | Found::Damaged => stand.gap(GapReason::Anchor),
    }
}

fn size_of(file: &File, path: &std::path::Path) -> Result<u64> {
    Ok(file.metadata().at("look at", path)?.len())
}
