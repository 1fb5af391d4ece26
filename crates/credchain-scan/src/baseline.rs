//! What was found before and is accepted.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{Error, ErrorKind};
use crate::report::Finding;

/// How many bytes of a digest are kept. Enough to notice that a value has changed.
const DIGEST: usize = 8;

/// Findings that are known, so that only new ones are reported.
///
/// A finding is known by its rule, its path and a keyed digest of its value. The key is in the
/// baseline: it keeps digests of two baselines from being compared, and no table of digests made
/// beforehand fits. Whoever has the file can try guesses, so a weak password belongs in no baseline.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u8,
    /// In hexadecimal.
    key: String,
    findings: BTreeSet<Entry>,
}

/// The key of a baseline's digests. It comes from the caller, who has a source of randomness.
pub type BaselineKey = [u8; 16];

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    rule: String,
    digest: String,
}

impl Baseline {
    /// A baseline without findings. The key must be random.
    pub fn new(key: &BaselineKey) -> Self {
        Self {
            version: 1,
            key: hex(key),
            findings: BTreeSet::new(),
        }
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Baseline`] if it is no baseline, or one of another version.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let wrong = |about: String| Error::new(ErrorKind::Baseline, about);
        let read: Self = serde_json::from_slice(text).map_err(|error| {
            // The message of the parser could quote the file.
            wrong(format!("line {}, column {}", error.line(), error.column()))
        })?;
        match read.version {
            1 if !read.key.is_empty() => Ok(read),
            1 => Err(wrong("it has no key".to_owned())),
            other => Err(wrong(format!("version {other}"))),
        }
    }

    /// The same baseline with these findings instead of its own. They are of a scan that had this
    /// baseline.
    pub fn with_findings(&self, findings: &[Finding]) -> Self {
        let entry = |finding: &Finding| {
            Some(Entry {
                path: finding.path_from_root.to_string(),
                rule: finding.rule.to_string(),
                digest: finding.fingerprint.clone()?,
            })
        };
        Self {
            findings: findings.iter().filter_map(entry).collect(),
            ..self.clone()
        }
    }

    /// The baseline as a file.
    pub fn to_json(&self) -> String {
        // Neither part can fail: all keys are text.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// How many findings it has.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn digest(&self, value: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()) else {
            // HMAC takes keys of every length.
            return String::new();
        };
        mac.update(value);
        hex(&mac.finalize().into_bytes()[..DIGEST])
    }

    pub(crate) fn knows(&self, path: &str, rule: &str, digest: &str) -> bool {
        self.findings.contains(&Entry {
            path: path.to_owned(),
            rule: rule.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

impl fmt::Debug for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baseline")
            .field("findings", &self.findings.len())
            .finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
