//! What the log says of itself where something is missing.

use std::fmt;
use std::time::SystemTime;

use crate::hex::{Digest, hex};
use crate::text::Members;
use crate::time;

/// Why the log has a gap, which the next writer noted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// A writer was ended in the middle of a record, which nobody was told is there.
    Torn,
    /// More was noted than could be written in time.
    Dropped,
    /// The head was lost; the anchor shows that nothing else was.
    Head,
    /// The anchor was lost, or there was none before; the head shows that nothing else was.
    Anchor,
    /// The file became shorter.
    Truncated,
    /// The file is gone, or is another one.
    Replaced,
    /// The end of the file is not what was written.
    Damaged,
    /// The log is older than its anchor: it was put back as it once was.
    Rollback,
    /// The head was lost, and no anchor shows where the log ended.
    Unproven,
}

impl GapReason {
    const ALL: [Self; 9] = [
        Self::Torn,
        Self::Dropped,
        Self::Head,
        Self::Anchor,
        Self::Truncated,
        Self::Replaced,
        Self::Damaged,
        Self::Rollback,
        Self::Unproven,
    ];

    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Torn => "torn",
            Self::Dropped => "dropped",
            Self::Head => "head",
            Self::Anchor => "anchor",
            Self::Truncated => "truncated",
            Self::Replaced => "replaced",
            Self::Damaged => "damaged",
            Self::Rollback => "rollback",
            Self::Unproven => "unproven",
        }
    }

    /// The reason with this name.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == token)
    }

    /// Whether records that were there may be gone. Otherwise a crash or a full queue explains it,
    /// and nobody was told that something is recorded which is not.
    pub const fn loses_records(self) -> bool {
        !matches!(self, Self::Torn | Self::Dropped | Self::Head | Self::Anchor)
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torn => "a writer was ended in the middle of a record",
            Self::Dropped => "more was noted than could be written",
            Self::Head => "the head was lost; nothing else is",
            Self::Anchor => "the anchor was made anew, and proves nothing of what was before",
            Self::Truncated => "the file became shorter",
            Self::Replaced => "the file was removed or replaced",
            Self::Damaged => "the end of the file was changed",
            Self::Rollback => "the log was put back as it once was",
            Self::Unproven => "the head was lost, and nothing shows where the log ended",
        })
    }
}

/// A gap, to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) reason: GapReason,
    /// The torn bytes: how many, and their SHA-256.
    pub(crate) torn: Option<(u64, Digest)>,
    /// How many events are missing, and since when.
    pub(crate) dropped: Option<(u64, SystemTime)>,
}

impl Gap {
    pub(crate) const fn new(reason: GapReason) -> Self {
        Self {
            reason,
            torn: None,
            dropped: None,
        }
    }

    pub(crate) fn write(&self, members: &mut Members<'_>) {
        members.text("gap", self.reason.as_str());
        if let Some((bytes, sha256)) = &self.torn {
            members.number("bytes", *bytes);
            let hex = hex(sha256);
            members.raw("sha256", &[b"\"", &hex[..], b"\""].concat());
        }
        if let Some((count, since)) = self.dropped {
            members.number("count", count);
            members.text("first", &time::format(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_its_name() {
        for reason in GapReason::ALL {
            assert_eq!(GapReason::from_token(reason.as_str()), Some(reason));
        }
        assert_eq!(GapReason::from_token("moth"), None);
    }
}
