//! The state in an append-only file of this machine: one line for each change, with a checksum.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};

use credchain_core::files::{Links, PrivateDirectory, open_with, sync_directory};
use credchain_core::{Error, Kind, Result};
use zeroize::Zeroizing;

use super::read;
use crate::record::Document;

/// More than any rotation writes.
const MAX_FILE: u64 = 16 << 20;

/// A line's checksum, in hexadecimal, and a space.
const CHECKSUM: usize = 9;

pub(super) struct Local {
    directory: PrivateDirectory,
    file: String,
}

impl Local {
    pub(super) fn new(directory: PrivateDirectory, file: String) -> Self {
        Self { directory, file }
    }

    pub(super) fn load(&self) -> Result<Document> {
        let bytes = self.directory.read(&self.file, MAX_FILE)?;
        let bytes = Zeroizing::new(bytes.unwrap_or_default());
        self.newest(&bytes)
    }

    /// The last change. A line that was not finished was not written as far as anybody knows, so
    /// it does not count; one that is damaged may be the only copy of a value.
    fn newest(&self, bytes: &[u8]) -> Result<Document> {
        let mut newest = Document::default();
        for (number, line) in complete_lines(bytes).enumerate() {
            let record = record(line).ok_or_else(|| {
                let message = format!(
                    "line {} of the journal `{}` is damaged",
                    number + 1,
                    self.directory.path().join(&self.file).display()
                );
                Error::new(Kind::Invalid, message).with_hint(
                    "it may hold the only copy of a value: keep the file, and find out which value \
                     the target accepts before you remove it",
                )
            })?;
            newest = read(record)?;
        }
        Ok(newest)
    }

    pub(super) fn save(&self, document: &Document) -> Result<()> {
        let json = serde_json::to_vec(document)
            .map_err(|_| Error::new(Kind::Internal, "the state of a rotation cannot be written"))?;
        let line = Zeroizing::new(line(&Zeroizing::new(json)));
        if document.run.is_none() && document.holder.is_none() {
            // The end: a file without the values that are over.
            return self.directory.write(&self.file, &line);
        }
        self.append(&line).map_err(|error| {
            let path = self.directory.path().join(&self.file);
            let message = format!("cannot write `{}`: {}", path.display(), error.kind());
            Error::new(Kind::Unavailable, message).with_source(error)
        })
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let (mut file, is_new) = self.open()?;
        let length = file.metadata()?.len();
        let complete = Self::complete_length(&mut file, length)?;
        // What was not finished would otherwise run into this line.
        if complete < length {
            file.set_len(complete)?;
        }
        file.seek(SeekFrom::Start(complete))?;
        let written = file.write_all(line).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half of it must not look like something that was kept.
            let _ = file.set_len(complete);
            return Err(error);
        }
        if is_new {
            sync_directory(self.directory.path())?;
        }
        Ok(())
    }

    fn open(&self) -> io::Result<(File, bool)> {
        if !self.directory.exists().map_err(io::Error::other)? {
            credchain_core::files::make_private_directory(self.directory.path())?;
            self.directory.exists().map_err(io::Error::other)?;
        }
        let path = self.directory.file(&self.file).map_err(io::Error::other)?;
        let is_new = !path.try_exists()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok((open_with(&path, &mut options, Links::Refuse)?, is_new))
    }

    fn complete_length(file: &mut File, length: u64) -> io::Result<u64> {
        let mut bytes = Zeroizing::new(Vec::new());
        io::Read::read_to_end(&mut io::Read::take(file, length.min(MAX_FILE)), &mut bytes)?;
        if length > MAX_FILE {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "the journal is too long",
            ));
        }
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        Ok(end as u64)
    }
}

fn complete_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    bytes[..end]
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| &line[..line.len() - 1])
}

fn line(json: &[u8]) -> Vec<u8> {
    // Reserved as a whole: a buffer that grew would leave copies of values behind.
    let mut line = Vec::with_capacity(CHECKSUM + json.len() + 1);
    line.extend_from_slice(format!("{:08x} ", crc32fast::hash(json)).as_bytes());
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

fn record(line: &[u8]) -> Option<&[u8]> {
    let (checksum, json) = line.split_at_checked(CHECKSUM)?;
    let expected = format!("{:08x} ", crc32fast::hash(json));
    (checksum == expected.as_bytes()).then_some(json)
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Past, Strategy};

    fn journal(directory: &std::path::Path) -> Local {
        Local::new(
            PrivateDirectory::new(directory.join("j")),
            "key.journal".into(),
        )
    }

    fn document(number: u64) -> Document {
        let mut document = Document {
            holder: Some(crate::record::Holder {
                name: "holder".into(),
                host: "host".into(),
                pid: 1,
                processes: None,
                term_ms: 1,
                beat: number,
            }),
            ..Document::default()
        };
        document.remember(Past {
            id: number.to_string(),
            strategy: Strategy::Swap,
            started: number,
            finished: number,
            completed: true,
            compromised: false,
        });
        document
    }

    fn beat(document: &Document) -> Option<u64> {
        document.holder.as_ref().map(|holder| holder.beat)
    }

    #[test]
    fn a_journal_cut_anywhere_tells_the_last_change_that_was_finished() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path());
        assert!(journal.load().unwrap().holder.is_none());
        for number in 1..=3 {
            journal.save(&document(number)).unwrap();
        }
        let path = directory.path().join("j/key.journal");
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let finished = ends.iter().filter(|end| **end < cut).count() as u64;
            let expected = (finished > 0).then_some(finished);
            assert_eq!(beat(&journal.load().unwrap()), expected, "cut at {cut}");
            // The next change stands on a line of its own.
            journal.save(&document(9)).unwrap();
            assert_eq!(beat(&journal.load().unwrap()), Some(9), "cut at {cut}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path());
        journal.save(&document(1)).unwrap();
        journal.save(&document(2)).unwrap();
        let path = directory.path().join("j/key.journal");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            std::fs::write(&path, &flipped).unwrap();
            match journal.load() {
                Err(error) => assert_eq!(error.kind(), Kind::Invalid),
                // The last line's end: it reads as not finished.
                Ok(found) => assert_eq!((at / 8, beat(&found)), (whole.len() - 1, Some(1))),
            }
        }
    }

    #[test]
    fn a_journal_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path());
        journal.save(&document(1)).unwrap();
        let newer = line(br#"{"credchain_rotation":2,"shape":"unknown"}"#);
        std::fs::write(directory.path().join("j/key.journal"), newer).unwrap();
        assert_eq!(journal.load().unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn the_end_of_a_rotation_leaves_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path());
        for number in 1..=3 {
            journal.save(&document(number)).unwrap();
        }
        let mut over = document(4);
        over.holder = None;
        journal.save(&over).unwrap();
        let bytes = std::fs::read(directory.path().join("j/key.journal")).unwrap();
        assert_eq!(complete_lines(&bytes).count(), 1);
        assert_eq!(journal.load().unwrap().history.len(), 1);
    }
}
