//! Pipes to and from a child, which end when the child does.
//!
//! A pipe reports its end only when *every* process that inherited it is gone. A tool that leaves
//! a daemon behind would hold a plain reader for ever, so on Unix each pipe also watches a *bell*:
//! a second pipe whose write end is dropped once the child itself was seen to end. What the child
//! wrote before is still read to the last byte.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::sync::Arc;

use zeroize::{Zeroize as _, Zeroizing};

/// First size of a buffer for what a child writes.
const CHUNK: usize = 8 * 1024;

/// Tells the pipes of one child that it ended.
#[derive(Clone, Debug)]
pub(crate) struct Bell(#[cfg(unix)] Arc<io::PipeReader>);

/// Rings the [`Bell`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Ringer(
    #[cfg(unix)]
    #[expect(dead_code, reason = "its drop is the ring")]
    io::PipeWriter,
);

pub(crate) fn bell() -> io::Result<(Ringer, Bell)> {
    #[cfg(unix)]
    {
        let (reader, writer) = io::pipe()?;
        Ok((Ringer(writer), Bell(Arc::new(reader))))
    }
    #[cfg(not(unix))]
    Ok((Ringer(), Bell()))
}

/// What a child writes.
#[derive(Debug)]
pub(crate) struct FromChild<P> {
    pipe: P,
    #[cfg_attr(not(unix), expect(dead_code, reason = "pipes are read plainly there"))]
    bell: Bell,
}

/// What a child reads.
#[derive(Debug)]
pub(crate) struct ToChild<P> {
    pipe: P,
    #[cfg_attr(
        not(unix),
        expect(dead_code, reason = "pipes are written plainly there")
    )]
    bell: Bell,
}

impl<P> FromChild<P> {
    pub(crate) fn new(pipe: P, bell: Bell) -> Self {
        Self { pipe, bell }
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::{Errno, ioctl_fionbio};

    use super::{Bell, FromChild, ToChild};

    /// Waits until `pipe` is ready. False if it is not and never will be: the child is gone.
    fn ready(pipe: &impl AsFd, events: PollFlags, bell: &Bell) -> io::Result<bool> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut patience = None;
        loop {
            let mut watched = [
                PollFd::new(pipe, events),
                PollFd::new(&*bell.0, PollFlags::IN),
            ];
            match poll(&mut watched, patience) {
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            if !watched[0].revents().is_empty() {
                return Ok(true);
            }
            // Something may have arrived between the look at the pipe and the look at the bell:
            // look once more, without waiting.
            if patience.is_some() {
                return Ok(false);
            }
            patience = Some(&now);
        }
    }

    impl<P: Read + AsFd> Read for FromChild<P> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if ready(&self.pipe, PollFlags::IN, &self.bell)? {
                self.pipe.read(buffer)
            } else {
                Ok(0)
            }
        }
    }

    impl<P: Write + AsFd> ToChild<P> {
        pub(crate) fn new(pipe: P, bell: Bell) -> io::Result<Self> {
            // A blocking write would wait for a reader that may never come.
            ioctl_fionbio(&pipe, true)?;
            Ok(Self { pipe, bell })
        }
    }

    impl<P: Write + AsFd> Write for ToChild<P> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            loop {
                if !ready(&self.pipe, PollFlags::OUT, &self.bell)? {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                match self.pipe.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.pipe.flush()
        }
    }
}

#[cfg(not(unix))]
mod plain {
    use std::io::{self, Read, Write};

    use super::{Bell, FromChild, ToChild};

    impl<P: Read> Read for FromChild<P> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.pipe.read(buffer)
        }
    }

    impl<P: Write> ToChild<P> {
        pub(crate) fn new(pipe: P, bell: Bell) -> io::Result<Self> {
            Ok(Self { pipe, bell })
        }
    }

    impl<P: Write> Write for ToChild<P> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.pipe.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.pipe.flush()
        }
    }
}

/// Bytes that are wiped, also where they were before the buffer grew.
#[derive(Default)]
pub(crate) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Reads once; zero means the end.
    fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        let filled = self.0.len();
        if self.0.capacity() - filled < CHUNK / 2 {
            // `Vec::reserve` would leave the old bytes behind in freed memory.
            let mut larger = Vec::with_capacity((self.0.capacity() * 2).max(CHUNK));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
        let capacity = self.0.capacity();
        self.0.resize(capacity, 0);
        let outcome = loop {
            match source.read(&mut self.0[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.0.truncate(filled + *outcome.as_ref().unwrap_or(&0));
        outcome
    }

    /// Removes and returns the first `count` bytes; `count` is at most the length.
    fn take(&mut self, count: usize) -> Zeroizing<Vec<u8>> {
        let front = Zeroizing::new(self.0[..count].to_vec());
        let rest = self.0.len() - count;
        self.0.copy_within(count.., 0);
        self.0[rest..].zeroize();
        self.0.truncate(rest);
        front
    }
}

/// Reads to the end. `None` if there is more than `cap`; the rest is left unread.
pub(crate) fn read_all(source: &mut impl Read, cap: usize) -> Option<Buffer> {
    let mut buffer = Buffer::default();
    loop {
        // A pipe that cannot be read any more has ended as well.
        if buffer.fill(source).unwrap_or(0) == 0 {
            return Some(buffer);
        }
        if buffer.len() > cap {
            return None;
        }
    }
}

/// Reads to the end and keeps the first `keep` bytes; also tells how many there were.
pub(crate) fn read_head(source: &mut impl Read, keep: usize) -> (Vec<u8>, u64) {
    let mut head = Vec::new();
    let mut total = 0_u64;
    let mut chunk = Zeroizing::new([0_u8; 4096]);
    while let Ok(count @ 1..) = source.read(&mut *chunk) {
        let wanted = keep.saturating_sub(head.len()).min(count);
        head.extend_from_slice(&chunk[..wanted]);
        total += count as u64;
    }
    (head, total)
}

/// Writes all of it; a child that stops reading is no error here, it shows in what it answers.
pub(crate) fn write_all(pipe: &mut impl Write, bytes: &[u8]) -> bool {
    pipe.write_all(bytes).and_then(|()| pipe.flush()).is_ok()
}

/// What a child writes, line by line.
pub(crate) struct Lines<R> {
    source: R,
    buffer: Buffer,
    scanned: usize,
    cap: usize,
}

/// One step of [`Lines`].
pub(crate) enum Line {
    /// A line, without its newline.
    Complete(Zeroizing<Vec<u8>>),
    /// The line at hand is longer than the cap.
    TooLong,
    /// The end, in the middle of a line.
    Broken,
    /// The end.
    End,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R, cap: usize) -> Self {
        Self {
            source,
            buffer: Buffer::default(),
            scanned: 0,
            cap,
        }
    }

    pub(crate) fn next_line(&mut self) -> Line {
        loop {
            let fresh = &self.buffer.as_slice()[self.scanned..];
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let end = self.scanned + at;
                self.scanned = 0;
                if end > self.cap {
                    return Line::TooLong;
                }
                let mut line = self.buffer.take(end + 1);
                line.pop();
                return Line::Complete(line);
            }
            self.scanned = self.buffer.len();
            if self.scanned > self.cap {
                return Line::TooLong;
            }
            match self.buffer.fill(&mut self.source) {
                Ok(1..) => {}
                _ if self.buffer.len() == 0 => return Line::End,
                _ => return Line::Broken,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], cap: usize) -> Vec<String> {
        let mut lines = Lines::new(text, cap);
        let mut seen = Vec::new();
        loop {
            match lines.next_line() {
                Line::Complete(line) => seen.push(String::from_utf8_lossy(&line).into_owned()),
                Line::TooLong => break seen.push("<too long>".into()),
                Line::Broken => break seen.push("<broken>".into()),
                Line::End => break,
            }
        }
        seen
    }

    #[test]
    fn lines_are_split_whatever_their_length() {
        let long = "x".repeat(100_000);
        let text = format!("a\n\n{long}\nb\n");
        assert_eq!(lines(text.as_bytes(), 200_000), ["a", "", &long, "b"]);
        assert_eq!(lines(text.as_bytes(), 99_999), ["a", "", "<too long>"]);
        assert_eq!(lines(b"a\nb", 10), ["a", "<broken>"]);
    }

    #[test]
    fn reading_stops_at_the_cap() {
        assert!(read_all(&mut io::repeat(b'x'), 1 << 20).is_none());
        assert_eq!(read_all(&mut &b"abc"[..], 3).map(|b| b.len()), Some(3));
        let (head, total) = read_head(&mut &[b'x'; 10_000][..], 10);
        assert_eq!((head.len(), total), (10, 10_000));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_that_others_hold_open_ends_with_the_bell() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (ringer, bell) = bell().unwrap();
        writer.write_all(b"last words").unwrap();
        drop(ringer);
        let read = read_all(&mut FromChild::new(reader, bell), 100).unwrap();
        assert_eq!(read.as_slice(), b"last words");
        drop(writer);
    }
}
