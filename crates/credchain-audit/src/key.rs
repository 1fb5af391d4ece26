//! The key of a log: what makes its records hard to forge for whoever does not have it.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

use credchain_core::files::{Draft, PrivateDirectory, directory_of, make_private_directory};
use credchain_core::{Error, Kind, Result, random_bytes};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::At as _;
use crate::hex::{Digest, HEX_LEN, hex, unhex};

/// What each kind of hash begins with, so that none can stand for another.
const RECORDS: &[u8] = b"credchain-audit-v1";
const MARKS: &[u8] = b"credchain-audit-mark-v1";
const FINGERPRINTS: &[u8] = b"credchain-audit-value-v1";

/// Computes the hashes of one log.
#[derive(Clone)]
pub(crate) struct Key {
    records: Hmac<Sha256>,
    marks: Hmac<Sha256>,
    fingerprints: Hmac<Sha256>,
}

impl Key {
    fn new(bytes: &Digest) -> Option<Self> {
        let begin = |with: &[u8]| {
            let mut hmac = Hmac::<Sha256>::new_from_slice(bytes).ok()?;
            hmac.update(with);
            Some(hmac)
        };
        Some(Self {
            records: begin(RECORDS)?,
            marks: begin(MARKS)?,
            fingerprints: begin(FINGERPRINTS)?,
        })
    }

    /// The key in a file, if the file is there.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let directory = PrivateDirectory::new(directory_of(path));
        let name = path.file_name().and_then(std::ffi::OsStr::to_str);
        let name = name.ok_or_else(|| {
            Error::new(Kind::Misconfigured, "the access log's key file has no name")
        })?;
        let Some(text) = directory
            .read(name, HEX_LEN as u64 + 2)?
            .map(Zeroizing::new)
        else {
            return Ok(None);
        };
        let bytes = unhex(text.trim_ascii_end()).map(Zeroizing::new);
        match bytes.and_then(|bytes| Self::new(&bytes)) {
            Some(key) => Ok(Some(key)),
            None => Err(Error::new(
                Kind::Misconfigured,
                format!("`{}` is no key of an access log", path.display()),
            )
            .with_hint(
                "put the right one back, or move the key and its log away to begin another",
            )),
        }
    }

    /// Makes a key. Of several programs that make one at the same time one wins, and all use that.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        let text = {
            let bytes = random_bytes::<32>()?;
            Zeroizing::new(hex(&bytes))
        };
        let directory = PrivateDirectory::new(directory_of(path));
        if !directory.exists()? {
            make_private_directory(directory.path()).at("create", directory.path())?;
        }
        let draft = Draft::private(path, ".key-");
        let created = draft.and_then(|mut draft| {
            draft.write_all(&*text)?;
            draft.write_all(b"\n")?;
            draft.create()
        });
        created.at("write", path)?;
        Self::read(path)?.ok_or_else(|| {
            let message = format!("`{}` was removed as soon as it was made", path.display());
            Error::new(Kind::Unavailable, message)
        })
    }

    /// The hash of a record: of the one before it and its own bytes.
    pub(crate) fn record(&self, previous: &Digest, body: &[u8]) -> Digest {
        let mut hmac = self.records.clone();
        hmac.update(previous);
        hmac.update(body);
        hmac.finalize().into_bytes().into()
    }

    /// The hash of what says where the log stands.
    pub(crate) fn mark(&self, text: &[u8]) -> Digest {
        let mut hmac = self.marks.clone();
        hmac.update(text);
        hmac.finalize().into_bytes().into()
    }

    /// The hash by which a value is recognized.
    pub(crate) fn fingerprint(&self, value: &[u8]) -> Digest {
        let mut hmac = self.fingerprints.clone();
        hmac.update(value);
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn all_who_make_a_key_at_the_same_time_use_the_same() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/key");
        let start = Barrier::new(8);
        let keys = std::thread::scope(|scope| {
            let make = || {
                start.wait();
                Key::make(&path).unwrap().record(&[0; 32], b"")
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            let hashes = threads.into_iter().map(|thread| thread.join().unwrap());
            hashes.collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn the_three_kinds_of_hash_differ_and_none_is_shown() {
        let key = Key::new(&[7; 32]).unwrap();
        let text = [0; 32];
        assert_ne!(key.mark(&text), key.fingerprint(&text));
        assert_ne!(key.mark(&text), key.record(&text, b""));
        assert_eq!(format!("{key:?}"), "Key(***)");
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/key");
        assert!(Key::read(&path).unwrap().is_none());
        let directory = PrivateDirectory::new(home.path().join("state"));
        for wrong in ["", "0", &"A".repeat(64), &"0".repeat(66), &"0".repeat(67)] {
            directory.write("key", wrong.as_bytes()).unwrap();
            let error = Key::read(&path).unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{wrong}");
        }
        directory.write("key", "0".repeat(64).as_bytes()).unwrap();
        assert!(Key::read(&path).unwrap().is_some());
    }
}
