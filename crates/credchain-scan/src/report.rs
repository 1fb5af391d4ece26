//! What a scan tells.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The rule by which the project's own values are reported.
pub const KNOWN_VALUE: &str = "known-value";

/// What was found, in an order that depends on nothing but the input.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The findings, by path and place.
    pub findings: Vec<Finding>,
    /// What could not be scanned.
    pub skipped: Vec<Skipped>,
    /// How many files or blobs were scanned.
    pub texts: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many findings a comment in the line allows.
    pub allowed: u64,
    /// How many findings the baseline knows.
    pub known_before: u64,
}

/// A secret that stands where it should not. It holds where, and never what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name; [`KNOWN_VALUE`] for a value of the project.
    #[serde(serialize_with = "text")]
    pub rule: Arc<str>,
    /// What the rule finds.
    #[serde(serialize_with = "text")]
    pub description: Arc<str>,
    /// The credential whose value it is, if the project knows it.
    #[serde(serialize_with = "optional_text")]
    pub credential: Option<Arc<str>>,
    /// The file, as a person would type it; in git, from the root of the repository.
    #[serde(serialize_with = "text")]
    pub path: Arc<str>,
    /// The file from the root of the repository, with `/`.
    #[serde(skip)]
    pub path_from_root: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1; in a notebook, in the cell's line.
    pub column: u64,
    /// Where in a notebook it is.
    pub cell: Option<Cell>,
    /// The first commit that has it, if history was scanned.
    pub commit: Option<Commit>,
    /// The line around it, in which every secret is `***`.
    pub snippet: String,
    /// A keyed fingerprint for a baseline; none unless there is one.
    #[serde(skip)]
    pub fingerprint: Option<String>,
}

/// A cell of a notebook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Cell {
    /// Which cell, from 1.
    pub number: u64,
    /// Which part of it.
    pub part: Part,
    /// The line in that part, from 1.
    pub line: u64,
}

/// A part of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a cell has these two parts")]
pub enum Part {
    /// What somebody wrote.
    Source,
    /// What came of it.
    Output,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Commit {
    /// Its short name.
    pub id: String,
    /// When its author made it, as in RFC 3339.
    pub date: String,
}

/// Something that was not scanned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// The file; in git, with the object's name if the path is not known.
    #[serde(serialize_with = "text")]
    pub path: Arc<str>,
    /// Why.
    pub reason: SkipReason,
}

/// Why something was not scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// It cannot be read.
    Unreadable(io::ErrorKind),
    /// It is larger than a scan takes.
    TooLarge,
    /// It is a pipe, a socket or a device.
    NotAFile,
    /// The object is damaged or missing.
    Damaged,
    /// git could not walk all of the history; every object it has was scanned instead.
    BrokenHistory,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Finding {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        let rotate = match &self.credential {
            Some(name) => format!("rotate `{name}`: it must be seen as known to everybody"),
            None => "rotate it: it must be seen as known to everybody".to_owned(),
        };
        match self.commit {
            Some(_) => format!(
                "{rotate}; removing the commit is not enough, since clones and caches keep it"
            ),
            None => rotate,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Output => "output",
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cell {}, {}, line {}", self.number, self.part, self.line)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "it cannot be read: {kind}"),
            Self::TooLarge => f.write_str("it is too large"),
            Self::NotAFile => f.write_str("it is a pipe, a socket or a device"),
            Self::Damaged => f.write_str("the object is damaged or missing"),
            Self::BrokenHistory => f.write_str(
                "git could not walk all of it; what objects it has were scanned instead",
            ),
        }
    }
}

impl Serialize for SkipReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn optional_text<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}
