//! Beginning another file, and removing what is old.

use std::fs::{self, OpenOptions};

use credchain_core::Result;
use credchain_core::files::sync_directory;

use super::Files;
use super::line::{Origin, Stamp, What};
use super::scan::scan;
use super::stand::Stand;
use crate::error::At as _;
use crate::mark::{About, Mark, MarkFile};
use crate::places::{Finished, open};

impl Files {
    /// Finishes the file if it has become large enough. Its last record says so.
    pub(super) fn rotate_if_full(&mut self, stand: &mut Stand) -> Result<()> {
        // What is to be said of this file is said in it first.
        if stand.size < self.most_bytes || !stand.gaps.is_empty() || stand.unfinished {
            return Ok(());
        }
        let last = stand.point.seq + 1;
        let finished = self.places.finished_name(stand.first, last);
        if finished.symlink_metadata().is_ok() {
            // Only a log that was put back can come here twice; it goes on in the file it has.
            return Ok(());
        }
        let mut text = Vec::new();
        let mut point = stand.point;
        let stamp = Stamp::now(&self.clock)?;
        let origin = Origin::new(&self.clock, &self.actor);
        let what = What::Rotate { next: last + 1 };
        origin.write(&what, &stamp, &mut point, &self.key, &mut text);
        self.put(&text, stand, point)?;
        // A head that a power failure put back must not be older than the end of this file: only
        // by that is the file recognized under its new name.
        self.head.sync()?;
        self.log = None;
        fs::rename(&self.path, &finished).at("rename", &self.path)?;
        step!("after_rename");
        sync_directory(self.places.path()).at("write", self.places.path())?;
        stand.first = last + 1;
        stand.size = 0;
        self.log()?;
        self.head.write(&stand.mark(), &self.key)?;
        self.retire()
    }

    /// Removes the oldest files beyond those that are kept, after saying how far.
    fn retire(&mut self) -> Result<()> {
        let finished = self.places.finished()?;
        let Some(surplus) = finished.len().checked_sub(self.kept).filter(|n| *n > 0) else {
            return Ok(());
        };
        let old = &finished[..surplus];
        let Some(mark) = self.end_of(&old[surplus - 1])? else {
            // What cannot be read is not removed: whoever verifies wants to see it.
            return Ok(());
        };
        let mut manifest = self.manifest();
        manifest.write(&mark, &self.key)?;
        manifest.sync()?;
        step!("before_removal");
        for Finished { path, .. } in old {
            fs::remove_file(path).at("remove", path)?;
        }
        sync_directory(self.places.path()).at("write", self.places.path())
    }

    /// The last record of a finished file, if it is the one that its name says.
    fn end_of(&self, finished: &Finished) -> Result<Option<Mark>> {
        let Some(file) = open(&finished.path, OpenOptions::new().read(true))? else {
            return Ok(None);
        };
        let found = scan(&file, 0, None, &self.key).at("read", &finished.path)?;
        let end = found.point.filter(|point| point.seq == finished.last);
        Ok(end.map(|point| Mark {
            seq: point.seq,
            mac: point.mac,
            size: 0,
            first: 0,
        }))
    }

    pub(super) fn manifest(&self) -> MarkFile {
        MarkFile::new(About::Manifest, self.places.file("manifest"))
    }
}
