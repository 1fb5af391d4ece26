//! From record to record.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use credchain_core::Result;

use super::Said;
use super::report::{Finding, Report};
use crate::error::At as _;
use crate::gap::GapReason;
use crate::hex::unhex;
use crate::key::Key;
use crate::line::Frame;
use crate::lines::{Line, Lines};
use crate::mark::Mark;
use crate::read::{Place, Record};
use crate::writer::{Point, sha256_of};

/// A verification on its way through the files.
pub(super) struct Walk {
    key: Key,
    said: Vec<Said>,
    report: Report,
    /// The last record that is in its place.
    point: Point,
    place: Option<Place>,
    /// The last genuine line.
    last: Vec<u8>,
    bad: Bad,
}

/// Lines since the last genuine one that are none themselves.
#[derive(Default)]
struct Bad {
    findings: Vec<Finding>,
    /// How many there are.
    count: u64,
    /// The numbers that they have.
    numbers: Vec<u64>,
    /// Where the first one starts.
    start: u64,
}

/// A bad line more or less says nothing when there are as many.
const MOST_BAD: usize = 1000;

impl Walk {
    pub(super) fn new(key: Key, removed: Option<Mark>, said: Vec<Said>) -> Self {
        Self {
            key,
            said,
            report: Report::default(),
            point: removed.map_or(Point::START, Point::from),
            place: None,
            last: Vec::new(),
            bad: Bad::default(),
        }
    }

    /// Reads a file, up to the size that it had.
    pub(super) fn file(&mut self, path: &Path, file: &File, size: u64) -> Result<()> {
        let path: Arc<Path> = path.into();
        let mut lines = Lines::new(file.take(size), 0);
        let mut number = 0;
        while let Some(line) = lines.next().at("read", &path)? {
            number += 1;
            let place = || Place {
                file: path.clone(),
                line: number,
            };
            let frame = Frame::of(line.bytes).filter(|_| line.complete && !line.too_long);
            match frame.filter(|frame| frame.is_genuine(&self.key)) {
                Some(frame) => {
                    let note = if frame.own {
                        self.own(&line, frame.seq, place(), file)
                            .at("read", &path)?
                    } else {
                        None
                    };
                    self.genuine(&frame, &place);
                    if let Some(note) = note {
                        self.report.add(note);
                    }
                    self.keep(line.bytes);
                }
                None => self.bad(&line, frame.map(|frame| frame.seq), place()),
            }
        }
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    /// Says what the end of the log shows.
    pub(super) fn end(&mut self) {
        for finding in std::mem::take(&mut self.bad).findings {
            self.report.add(finding);
        }
        self.report.last = Record::of(&self.last).and_then(|record| record.time());
        let last = self.report.numbers.map_or(0, |(_, last)| last);
        for said in std::mem::take(&mut self.said) {
            let known = said.mark.seq;
            // A manifest speaks of what is not there any more.
            if known > last.max(self.point.seq) {
                self.report.add(Finding::CutOff {
                    place: self.place.clone(),
                    last: last.max(self.point.seq),
                    known,
                    says: said.file,
                });
            } else if said.is_anchor && self.report.anchored.is_none() && known == 0 {
                self.report.anchored = Some(0);
            }
        }
    }

    pub(super) fn say(&mut self, finding: Finding) {
        self.report.add(finding);
    }

    pub(super) fn has_records(&self) -> bool {
        self.report.records > 0
    }

    pub(super) fn report(self) -> Report {
        self.report
    }

    /// What a record says that the log wrote of itself, if it is of interest here. Bad lines that
    /// it explains are none any more.
    fn own(
        &mut self,
        line: &Line<'_>,
        seq: u64,
        place: Place,
        file: &File,
    ) -> io::Result<Option<Finding>> {
        let Some(record) = Record::of(line.bytes) else {
            return Ok(None);
        };
        let Some(reason) = record.gap.as_deref().and_then(GapReason::from_token) else {
            return Ok(None);
        };
        if reason != GapReason::Torn {
            let count = record.count;
            return Ok(Some(Finding::Gap {
                place,
                seq,
                reason,
                count,
            }));
        }
        let Some((place, bytes)) = self.torn(line, &record, file)? else {
            return Ok(Some(Finding::TornChanged { place, seq }));
        };
        self.bad = Bad::default();
        Ok(Some(Finding::Torn { place, bytes }))
    }

    /// Whether the bad lines are what a record says was torn: where they are, and how long.
    fn torn(
        &self,
        line: &Line<'_>,
        record: &Record,
        file: &File,
    ) -> io::Result<Option<(Place, u64)>> {
        let (Some(bytes), Some(sha256)) = (record.bytes, record.sha256.as_deref()) else {
            return Ok(None);
        };
        let Some(place) = self.bad.findings.first().and_then(Finding::place) else {
            return Ok(None);
        };
        // A line break may have been put behind it.
        let length = line.start.saturating_sub(self.bad.start);
        if length != bytes && length != bytes.saturating_add(1) {
            return Ok(None);
        }
        // Where the lines are read on is a property of the handle.
        let mut source = file;
        let at = source.stream_position()?;
        let found = sha256_of(file, self.bad.start..self.bad.start + bytes)?;
        source.seek(SeekFrom::Start(at))?;
        Ok((unhex(sha256.as_bytes()) == Some(found)).then(|| (place.clone(), bytes)))
    }

    fn keep(&mut self, line: &[u8]) {
        if self.report.records == 1 {
            self.report.first = Record::of(line).and_then(|record| record.time());
        }
        self.last.clear();
        self.last.extend_from_slice(line);
    }

    fn genuine(&mut self, frame: &Frame<'_>, place: &impl Fn() -> Place) {
        if self.report.numbers.is_none() && frame.seq <= self.point.seq {
            // What the manifest says was removed is still there: the removal was interrupted.
            self.point = Point {
                seq: frame.seq.saturating_sub(1),
                mac: frame.prev,
            };
        }
        let expected = self.point.seq + 1;
        let bad = self.flush_bad();
        if frame.seq < expected {
            self.earlier(frame.seq, place());
            return;
        }
        if frame.seq > expected {
            self.jump(expected, frame.seq - 1, bad, place);
        } else if frame.prev != self.point.mac {
            let (place, seq) = (place(), frame.seq);
            self.report.add(Finding::Forked { place, seq });
        }
        self.point = Point {
            seq: frame.seq,
            mac: frame.mac,
        };
        self.place = Some(place());
        let first = self.report.numbers.map_or(frame.seq, |(first, _)| first);
        self.report.numbers = Some((first, frame.seq));
        self.report.records += 1;
        self.compare(frame);
    }

    /// Records are missing before this one, unless they are the bad lines.
    fn jump(&mut self, from: u64, to: u64, bad: Bad, place: &impl Fn() -> Place) {
        let mut numbers = bad.numbers;
        numbers.retain(|number| (from..=to).contains(number));
        numbers.sort_unstable();
        numbers.dedup();
        let missing = to - from + 1 - numbers.len() as u64;
        if missing <= bad.count - numbers.len() as u64 {
            return;
        }
        let mut next = from;
        for number in numbers.into_iter().chain([to + 1]) {
            if next < number {
                self.report.add(Finding::Missing {
                    place: place(),
                    from: next,
                    to: number - 1,
                });
            }
            next = number + 1;
        }
    }

    /// A genuine record behind a later one: one that seemed to be missing, or a copy.
    fn earlier(&mut self, seq: u64, place: Place) {
        let found = self.report.findings.iter().rposition(|finding| {
            matches!(finding, Finding::Missing { from, to, .. } if (*from..=*to).contains(&seq))
        });
        let Some(at) = found else {
            self.report.add(Finding::Duplicate { place, seq });
            return;
        };
        if let Finding::Missing { place, from, to } = self.report.findings.remove(at) {
            for (from, to) in [(seq + 1, to), (from, seq - 1)] {
                if from <= to {
                    let place = place.clone();
                    let rest = Finding::Missing { place, from, to };
                    self.report.findings.insert(at, rest);
                }
            }
        }
        self.report.add(Finding::OutOfOrder { place, seq });
    }

    /// Compares a record with what is known from elsewhere.
    fn compare(&mut self, frame: &Frame<'_>) {
        for said in &self.said {
            if said.mark.seq != frame.seq {
                continue;
            }
            if said.mark.mac != frame.mac {
                self.report.add(Finding::Disagrees {
                    seq: frame.seq,
                    says: said.file.clone(),
                });
            } else if said.is_anchor {
                self.report.anchored = Some(frame.seq);
            }
        }
    }

    fn bad(&mut self, line: &Line<'_>, seq: Option<u64>, place: Place) {
        if self.bad.count == 0 {
            self.bad.start = line.start;
        }
        self.bad.count += 1;
        if self.bad.findings.len() < MOST_BAD {
            self.bad.findings.push(match seq {
                Some(seq) => Finding::Edited { place, seq },
                None if !line.complete => Finding::Unfinished { place },
                None => Finding::NotARecord { place },
            });
            self.bad.numbers.extend(seq);
        }
    }

    /// Says what was bad, and is followed by what is not.
    fn flush_bad(&mut self) -> Bad {
        let mut bad = std::mem::take(&mut self.bad);
        for finding in bad.findings.drain(..) {
            self.report.add(match finding {
                // Nobody goes on behind a line without an end.
                Finding::Unfinished { place } => Finding::NotARecord { place },
                other => other,
            });
        }
        bad
    }
}
