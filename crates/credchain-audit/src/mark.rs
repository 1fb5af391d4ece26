//! Small files that say where a log stands: its head, its anchor, and up to where it was removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use credchain_core::Result;
use credchain_core::files::{directory_of, is_still_at, make_private_directory};

use crate::error::At as _;
use crate::hex::{Digest, hex, unhex};
use crate::key::Key;
use crate::places::{open, open_or_make};
use crate::text::Members;

/// One block of a disk, so that a crash leaves the old one or the new one.
const LEN: usize = 512;

/// What a mark is about. It is part of its hash: none stands for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// How far the log has come, beside it.
    Head,
    /// How far the log has come, in a second place.
    Anchor,
    /// Up to where it was removed when it became old.
    Manifest,
}

impl About {
    const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Anchor => "anchor",
            Self::Manifest => "manifest",
        }
    }
}

/// A place in a chain: the number and the hash of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) mac: Digest,
    /// How large the file that is written was, for a head.
    pub(crate) size: u64,
    /// The number of that file's first record.
    pub(crate) first: u64,
}

/// What was found in the place of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or an empty file: one that was made by somebody who was killed.
    Missing,
    /// What nobody with the key has written.
    Damaged,
    /// A mark.
    Mark(Mark),
}

impl Found {
    pub(crate) fn mark(self) -> Option<Mark> {
        match self {
            Self::Mark(mark) => Some(mark),
            _ => None,
        }
    }
}

/// The file of a mark.
#[derive(Debug)]
pub(crate) struct MarkFile {
    about: About,
    path: PathBuf,
    file: Option<File>,
}

impl MarkFile {
    pub(crate) fn new(about: About, path: impl Into<PathBuf>) -> Self {
        Self {
            about,
            path: path.into(),
            file: None,
        }
    }

    /// What it says, without making it.
    pub(crate) fn look(&self, key: &Key) -> Result<Found> {
        let Some(mut file) = open(&self.path, OpenOptions::new().read(true))? else {
            return Ok(Found::Missing);
        };
        read(&mut file, self.about, key).at("read", &self.path)
    }

    /// What it says; it is made if it is not there, so that what follows can write it.
    pub(crate) fn read(&mut self, key: &Key) -> Result<Found> {
        let (about, path) = (self.about, self.path.clone());
        read(self.opened()?, about, key).at("read", &path)
    }

    /// Writes where the log stands.
    pub(crate) fn write(&mut self, mark: &Mark, key: &Key) -> Result<()> {
        let (text, path) = (encode(self.about, mark, key), self.path.clone());
        let file = self.opened()?;
        let written = file.seek(SeekFrom::Start(0));
        written
            .and_then(|_| file.write_all(&text))
            .at("write", &path)
    }

    /// Waits until it is on the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let path = self.path.clone();
        self.opened()?.sync_all().at("write", &path)
    }

    fn opened(&mut self) -> Result<&mut File> {
        let file = match self.file.take() {
            Some(file) if is_still_at(&file, &self.path) => file,
            _ => {
                let directory = directory_of(&self.path);
                make_private_directory(directory).at("create", directory)?;
                open_or_make(&self.path, OpenOptions::new().read(true).write(true))?
            }
        };
        Ok(self.file.insert(file))
    }
}

fn read(file: &mut File, about: About, key: &Key) -> io::Result<Found> {
    let mut text = Vec::with_capacity(LEN + 1);
    file.seek(SeekFrom::Start(0))?;
    file.take(LEN as u64 + 1).read_to_end(&mut text)?;
    if text.is_empty() {
        return Ok(Found::Missing);
    }
    Ok(decode(&text, about, key).map_or(Found::Damaged, Found::Mark))
}

const MAC: &[u8] = b",\"mac\":\"";
const END: &[u8] = b"\"}";

fn encode(about: About, mark: &Mark, key: &Key) -> Vec<u8> {
    let mut text = Vec::with_capacity(LEN);
    let hash = hex(&mark.mac);
    let mut members = Members::open(&mut text);
    members.text("v", "1").text("is", about.name());
    members.number("seq", mark.seq);
    members.raw("at", &[b"\"", &hash[..], b"\""].concat());
    members
        .number("size", mark.size)
        .number("first", mark.first);
    let mac = key.mark(&text);
    text.extend_from_slice(MAC);
    text.extend_from_slice(&hex(&mac));
    text.extend_from_slice(END);
    text.resize(LEN - 1, b' ');
    text.push(b'\n');
    text
}

fn decode(text: &[u8], about: About, key: &Key) -> Option<Mark> {
    if text.len() != LEN {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(text).ok()?;
    let number = |key: &str| value.get(key)?.as_u64();
    let mark = Mark {
        seq: number("seq")?,
        mac: unhex(value.get("at")?.as_str()?.as_bytes())?,
        size: number("size")?,
        first: number("first")?,
    };
    // Whoever had the key would have written the very same bytes.
    (encode(about, &mark, key) == text).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> (tempfile::TempDir, Key) {
        let home = tempfile::tempdir().unwrap();
        let key = Key::make(&home.path().join("state/key")).unwrap();
        (home, key)
    }

    #[test]
    fn a_mark_is_found_as_it_was_written_and_for_what_it_was() {
        let (home, key) = key();
        let path = home.path().join("state/head");
        let mut file = MarkFile::new(About::Head, &path);
        assert_eq!(file.look(&key).unwrap(), Found::Missing);
        assert!(!path.exists());
        for seq in [0, u64::MAX] {
            let mark = Mark {
                seq,
                mac: [9; 32],
                size: seq,
                first: seq,
            };
            file.write(&mark, &key).unwrap();
            assert_eq!(file.read(&key).unwrap(), Found::Mark(mark));
            assert_eq!(file.look(&key).unwrap(), Found::Mark(mark));
        }
        let other = MarkFile::new(About::Anchor, &path);
        assert_eq!(other.look(&key).unwrap(), Found::Damaged);
    }

    #[test]
    fn a_mark_with_any_other_byte_is_damaged() {
        let (home, key) = key();
        let path = home.path().join("state/head");
        let mut file = MarkFile::new(About::Head, &path);
        let mark = Mark {
            seq: 5,
            mac: [9; 32],
            size: 6,
            first: 1,
        };
        file.write(&mark, &key).unwrap();
        let text = std::fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_eq!(decode(&changed, About::Head, &key), None, "{at}");
        }
        assert_eq!(decode(&text[1..], About::Head, &key), None);
    }
}
