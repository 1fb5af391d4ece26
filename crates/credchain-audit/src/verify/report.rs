//! What a verification found.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::gap::GapReason;
use crate::read::Place;

/// What a verification found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What is to be said, in the order of the log.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are kept.
    pub more: u64,
    /// How many records are genuine.
    pub records: u64,
    /// How many files were read.
    pub files: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// The numbers of the first and the last genuine record.
    pub numbers: Option<(u64, u64)>,
    /// The time of the first genuine record.
    pub first: Option<SystemTime>,
    /// The time of the last genuine record.
    pub last: Option<SystemTime>,
    /// The number of the record up to which the anchor, in its second place, confirms the log.
    pub anchored: Option<u64>,
    /// The worst of the findings that are not kept.
    more_severity: Option<Severity>,
}

/// What a verification comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each caller has to say what each means"
)]
pub enum Verdict {
    /// Nobody without the key has changed it, and nothing is missing.
    Intact,
    /// It was changed, or something is missing.
    Broken,
    /// The key or the anchor is not there, so that nothing was proven.
    Unverifiable,
}

impl Report {
    /// What it comes to. What is broken is so whatever else could not be verified.
    pub fn verdict(&self) -> Verdict {
        let severities = self.findings.iter().map(Finding::severity);
        match severities.chain(self.more_severity).max() {
            Some(Severity::Broken) => Verdict::Broken,
            Some(Severity::Unverifiable) => Verdict::Unverifiable,
            Some(Severity::Note) | None => Verdict::Intact,
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
            self.more_severity = self.more_severity.max(Some(finding.severity()));
        }
    }
}

/// More than anybody reads, and little memory.
const MOST_FINDINGS: usize = 1000;

/// A finding, and how bad it is. Shown, it is a sentence that says where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A record is not as it was written.
    Edited {
        /// Where it stands.
        place: Place,
        /// The number it has now.
        seq: u64,
    },
    /// A line is no record.
    NotARecord {
        /// Where it stands.
        place: Place,
    },
    /// Records are not where they should be, and nowhere else.
    Missing {
        /// Before which line.
        place: Place,
        /// The number of the first one.
        from: u64,
        /// The number of the last one.
        to: u64,
    },
    /// A genuine record stands behind a later one.
    OutOfOrder {
        /// Where it stands.
        place: Place,
        /// Its number.
        seq: u64,
    },
    /// A genuine record stands there for another time.
    Duplicate {
        /// Where it stands.
        place: Place,
        /// Its number.
        seq: u64,
    },
    /// A genuine record has the right number and follows another record than the one before it:
    /// the log was put back and continued.
    Forked {
        /// Where it stands.
        place: Place,
        /// Its number.
        seq: u64,
    },
    /// The log ends before the record that the head or the anchor speaks of.
    CutOff {
        /// Where it ends, if there is anything left.
        place: Option<Place>,
        /// The number of its last record.
        last: u64,
        /// The number of the record that was there.
        known: u64,
        /// Which file says so.
        says: PathBuf,
    },
    /// The head or the anchor speaks of another record with this number.
    Disagrees {
        /// The number.
        seq: u64,
        /// Which file says so.
        says: PathBuf,
    },
    /// A head, an anchor or a manifest was not written by anybody with the key.
    NotAMark {
        /// The file.
        file: PathBuf,
    },
    /// The head is gone.
    NoHead {
        /// Where it should be.
        file: PathBuf,
    },
    /// A record was torn when its writer was ended, and the next writer said so.
    Torn {
        /// Where it stands.
        place: Place,
        /// How many bytes it left.
        bytes: u64,
    },
    /// A record says what bytes a torn one left, and these are not there.
    TornChanged {
        /// Where that record stands.
        place: Place,
        /// Its number.
        seq: u64,
    },
    /// The log's end is in the middle of a record, which nobody was told is there; the next writer
    /// will say so.
    Unfinished {
        /// Where it stands.
        place: Place,
    },
    /// A writer noted a gap.
    Gap {
        /// Where it is noted.
        place: Place,
        /// The number of the record that notes it.
        seq: u64,
        /// Why.
        reason: GapReason,
        /// How many events were dropped.
        count: Option<u64>,
    },
    /// The key is not there.
    NoKey {
        /// Where it should be.
        file: PathBuf,
    },
    /// The anchor is not there, although there are records.
    NoAnchor {
        /// Where it should be.
        file: PathBuf,
    },
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "as for the verdict")]
pub enum Severity {
    /// A crash or a full queue explains it: no record that anybody was promised is missing.
    Note,
    /// It keeps the rest from being verified.
    Unverifiable,
    /// The log was changed, or records are missing.
    Broken,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Torn { .. } | Self::Unfinished { .. } => Severity::Note,
            Self::Gap { reason, .. } if !reason.loses_records() => Severity::Note,
            Self::NoKey { .. } | Self::NoAnchor { .. } => Severity::Unverifiable,
            _ => Severity::Broken,
        }
    }

    /// Where it is, if it is in a file of records.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Edited { place, .. }
            | Self::NotARecord { place }
            | Self::Missing { place, .. }
            | Self::OutOfOrder { place, .. }
            | Self::Duplicate { place, .. }
            | Self::Forked { place, .. }
            | Self::Torn { place, .. }
            | Self::TornChanged { place, .. }
            | Self::Unfinished { place }
            | Self::Gap { place, .. } => Some(place),
            Self::CutOff { place, .. } => place.as_ref(),
            _ => None,
        }
    }

    /// The number of the record concerned: of those that are missing, of the first.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Edited { seq, .. }
            | Self::OutOfOrder { seq, .. }
            | Self::Duplicate { seq, .. }
            | Self::Forked { seq, .. }
            | Self::Disagrees { seq, .. }
            | Self::TornChanged { seq, .. }
            | Self::Gap { seq, .. } => Some(*seq),
            Self::Missing { from, .. } => Some(*from),
            Self::CutOff { last, .. } => Some(last.saturating_add(1)),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    // Longer than functions are here: it is a table, a sentence for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { place, seq } => write!(f, "{place}: record {seq} was changed"),
            Self::NotARecord { place } => write!(f, "{place}: the line is no record"),
            Self::Missing { place, from, to } if from == to => {
                write!(f, "{place}: record {from} is missing before this line")
            }
            Self::Missing { place, from, to } => {
                write!(
                    f,
                    "{place}: records {from} to {to} are missing before this line"
                )
            }
            Self::OutOfOrder { place, seq } => {
                write!(f, "{place}: record {seq} stands behind later ones")
            }
            Self::Duplicate { place, seq } => write!(f, "{place}: record {seq} is there twice"),
            Self::Forked { place, seq } => {
                write!(
                    f,
                    "{place}: record {seq} follows another record than the one before it"
                )
            }
            Self::CutOff {
                place,
                last,
                known,
                says,
            } => {
                if let Some(place) = place {
                    write!(f, "{place}: ")?;
                }
                let says = says.display();
                write!(
                    f,
                    "the log ends with record {last}, and `{says}` knows of record {known}"
                )
            }
            Self::Disagrees { seq, says } => {
                write!(f, "`{}` knows of another record {seq}", says.display())
            }
            Self::NotAMark { file } => write!(f, "`{}` was changed", file.display()),
            Self::NoHead { file } => write!(f, "the head, `{}`, is gone", file.display()),
            Self::Torn { place, bytes } => write!(
                f,
                "{place}: {bytes} bytes of a record that a writer did not finish, which the next one noted"
            ),
            Self::TornChanged { place, seq } => {
                write!(
                    f,
                    "{place}: what was torn before record {seq} was changed or removed"
                )
            }
            Self::Unfinished { place } => {
                write!(f, "{place}: the last record was not finished by its writer")
            }
            Self::Gap {
                place,
                seq,
                reason,
                count,
            } => {
                write!(f, "{place}: record {seq} notes a gap: {reason}")?;
                count.map_or(Ok(()), |count| write!(f, " ({count} events)"))
            }
            Self::NoKey { file } => write!(f, "the key, `{}`, is not there", file.display()),
            Self::NoAnchor { file } => write!(f, "the anchor, `{}`, is not there", file.display()),
        }
    }
}
