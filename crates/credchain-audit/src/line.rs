//! A record as a line: what stands where, for writers and verifiers.
//!
//! `{"v":1,"seq":7,"action":"resolve",…,"prev":"64 digits","mac":"64 digits"}`. The version and
//! the number come first and the two hashes last, so that a verifier needs no parser: what is
//! hashed is the bytes before `,"mac"`, as they were written.

use crate::hex::{Digest, HEX_LEN, hex, unhex};
use crate::key::Key;

/// The longest a record may be, its line break included.
pub(crate) const MOST: usize = 4096;

/// What the first record's `prev` is.
pub(crate) const START: Digest = [0; 32];

const HEAD: &[u8] = b"{\"v\":1,\"seq\":";
const ACTION: &[u8] = b",\"action\":\"";
const OWN: &[u8] = b"audit.";
const PREV: &[u8] = b",\"prev\":\"";
const MAC: &[u8] = b"\",\"mac\":\"";
const END: &[u8] = b"\"}";

/// What ends every line: the two hashes. Of [`HEX_LEN`] digits each.
const TAIL: usize = PREV.len() + HEX_LEN + MAC.len() + HEX_LEN + END.len();

/// What a line is a part of: the place of the record in its chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) seq: u64,
    /// Whether the log itself wrote it.
    pub(crate) own: bool,
    pub(crate) prev: Digest,
    pub(crate) mac: Digest,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Looks at a line without its line break; nothing if it has not the form of a record.
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(HEAD)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let seq = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let action = rest[digits..].strip_prefix(ACTION)?;
        let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
        let tail = tail.strip_prefix(PREV)?;
        let (prev, tail) = tail.split_at_checked(HEX_LEN)?;
        let mac = tail.strip_prefix(MAC)?.strip_suffix(END)?;
        Some(Self {
            seq,
            own: action.starts_with(OWN),
            prev: unhex(prev)?,
            mac: unhex(mac)?,
            body: &line[..=body.len() + PREV.len() + HEX_LEN],
        })
    }

    /// Whether whoever wrote it had the key, and nobody has changed it.
    pub(crate) fn is_genuine(&self, key: &Key) -> bool {
        key.record(&self.prev, self.body) == self.mac
    }
}

/// Starts a line: all up to the action.
pub(crate) fn begin(line: &mut Vec<u8>, seq: u64, action: &str) {
    line.extend_from_slice(HEAD);
    line.extend_from_slice(seq.to_string().as_bytes());
    line.extend_from_slice(ACTION);
    line.extend_from_slice(action.as_bytes());
    line.push(b'"');
}

/// Ends the line that begins at `start`, and gives the record's hash.
pub(crate) fn end(line: &mut Vec<u8>, start: usize, key: &Key, prev: &Digest) -> Digest {
    line.extend_from_slice(PREV);
    line.extend_from_slice(&hex(prev));
    line.push(b'"');
    let mac = key.record(prev, &line[start..]);
    line.extend_from_slice(&MAC[1..]);
    line.extend_from_slice(&hex(&mac));
    line.extend_from_slice(END);
    line.push(b'\n');
    mac
}

/// The end of the line of the record with this hash, as far as it depends on it alone.
pub(crate) fn ending(mac: &Digest) -> Vec<u8> {
    [MAC, &hex(mac), END, b"\n"].concat()
}
