//! A record, as it was read.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::time::parse;

/// A record. Its fields are those of the line, and public: there is nothing else to it.
///
/// Texts are as they came from whoever was concerned: [`printable`](credchain_core::printable)
/// makes them fit for a terminal. The [`line`](Self::line) is fit for one as it is. Fields that
/// this version does not know are in `other`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The version of the format.
    pub v: u64,
    /// The number in the chain.
    pub seq: u64,
    /// What was done, such as `resolve` or `token.refresh`.
    pub action: String,
    /// When, in RFC 3339.
    pub ts: String,
    /// The name of the record.
    #[serde(default)]
    pub id: Option<String>,
    /// Which start of the machine it was.
    #[serde(default)]
    pub boot: Option<String>,
    /// The microseconds since then; they show where the wall clock jumped.
    #[serde(default)]
    pub mono: Option<u64>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<String>,
    /// The kind of failure.
    #[serde(default)]
    pub kind: Option<String>,
    /// Who did it.
    #[serde(default)]
    pub actor: Doer,
    /// The credential concerned.
    #[serde(default)]
    pub credential: Option<String>,
    /// The link that was asked.
    #[serde(default)]
    pub link: Option<String>,
    /// The address there.
    #[serde(default)]
    pub reference: Option<String>,
    /// The backend's name for the version of the value.
    #[serde(default)]
    pub version: Option<String>,
    /// Which of the values of a rotation it was.
    #[serde(default)]
    pub generation: Option<u64>,
    /// What the value can be recognized by.
    #[serde(default)]
    pub value_fp: Option<String>,
    /// Where the value went.
    #[serde(default)]
    pub dest: Option<String>,
    /// How long it took, in microseconds.
    #[serde(default)]
    pub latency_us: Option<u64>,
    /// Whether the value came from memory.
    #[serde(default)]
    pub cached: bool,
    /// Whether the value was too old.
    #[serde(default)]
    pub stale: bool,
    /// What it was done for.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of many at once, how many.
    #[serde(default)]
    pub count: Option<u64>,
    /// The time of the first of them.
    #[serde(default)]
    pub first: Option<String>,
    /// The time of the last of them.
    #[serde(default)]
    pub last: Option<String>,
    /// Why there is a gap.
    #[serde(default)]
    pub gap: Option<String>,
    /// How many bytes a torn record left.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// The SHA-256 of these bytes.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
    #[serde(skip)]
    line: String,
}

/// Who did something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Doer {
    /// The user's name.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's number.
    #[serde(default)]
    pub uid: Option<u64>,
    /// The number of the process.
    #[serde(default)]
    pub pid: Option<u64>,
    /// The program.
    #[serde(default)]
    pub exe: Option<String>,
    /// The machine.
    #[serde(default)]
    pub host: Option<String>,
    /// The job of a build service.
    #[serde(default)]
    pub ci: Option<String>,
}

impl Record {
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let mut record: Self = serde_json::from_str(text).ok()?;
        text.clone_into(&mut record.line);
        Some(record)
    }

    /// When it was done.
    pub fn time(&self) -> Option<SystemTime> {
        parse(&self.ts)
    }

    /// The line, without its line break.
    pub fn line(&self) -> &str {
        &self.line
    }
}
