//! Reading the end of a file that a writer finds.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use sha2::{Digest as _, Sha256};

use super::Point;
use crate::hex::Digest;
use crate::key::Key;
use crate::line::{Frame, ending};
use crate::lines::Lines;

/// What a part of a file holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The last genuine record, or what the scan began with.
    pub(super) point: Option<Point>,
    /// The number of the first genuine record.
    pub(super) first: Option<u64>,
    /// Where the last genuine record ends.
    pub(super) good: u64,
}

/// Follows the records from a place on. One may be missing between two: whoever noted that had
/// the key.
pub(super) fn scan(file: &File, from: u64, begin: Option<Point>, key: &Key) -> io::Result<Scan> {
    let mut source = file;
    source.seek(SeekFrom::Start(from))?;
    let mut lines = Lines::short(source, from);
    let mut scan = Scan {
        point: begin,
        first: None,
        good: from,
    };
    while let Some(line) = lines.next()? {
        if !line.complete || line.too_long {
            continue;
        }
        let Some(frame) = Frame::of(line.bytes) else {
            continue;
        };
        let later = scan.point.is_none_or(|point| frame.seq > point.seq);
        if later && frame.is_genuine(key) {
            scan.point = Some(Point {
                seq: frame.seq,
                mac: frame.mac,
            });
            scan.first.get_or_insert(frame.seq);
            scan.good = line.end;
        }
    }
    Ok(scan)
}

/// Whether the record that ends at a place in the file has this hash. Before the first byte all do.
pub(super) fn ends_with(file: &File, at: u64, mac: &Digest) -> io::Result<bool> {
    if at == 0 {
        return Ok(true);
    }
    let expected = ending(mac);
    let Some(from) = at.checked_sub(expected.len() as u64) else {
        return Ok(false);
    };
    let mut found = vec![0; expected.len()];
    let mut source = file;
    source.seek(SeekFrom::Start(from))?;
    match source.read_exact(&mut found) {
        Ok(()) => Ok(found == expected),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a file of this size ends with a line break, or is empty.
pub(super) fn is_finished(file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    let mut source = file;
    source.seek(SeekFrom::Start(last))?;
    Ok(source.read(&mut byte)? == 1 && byte == *b"\n")
}

/// The SHA-256 of a part of a file.
pub(crate) fn sha256_of(file: &File, part: std::ops::Range<u64>) -> io::Result<Digest> {
    let mut source = file;
    source.seek(SeekFrom::Start(part.start))?;
    let mut source = source.take(part.end - part.start);
    let mut hash = Sha256::new();
    let mut piece = vec![0; 16 << 10];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
