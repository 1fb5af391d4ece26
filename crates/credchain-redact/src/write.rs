//! The door for blocking writers.

use std::fmt;
use std::io::{self, Write};

use crate::redactor::Redactor;
use crate::stream::Stream;

/// A writer that redacts what goes through it.
///
/// `flush` passes on everything that is safe to show and flushes the writer below; what is held back
/// because it may become a secret stays. [`finish`](Self::finish), or dropping the writer, ends the stream and
/// writes that too.
///
/// # Examples
/// ```
/// use std::io::Write as _;
/// use credchain_redact::{Options, Redactor, RedactWriter};
///
/// let redactor = Redactor::new();
/// assert!(redactor.register("api_key", b"correct horse", Options::default()).is_masked());
/// let mut writer = RedactWriter::new(Vec::new(), &redactor);
/// write!(writer, "key={:?}", "correct horse")?;
/// assert_eq!(writer.finish()?, br#"key="***""#);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct RedactWriter<W: Write> {
    /// None once it is finished.
    inner: Option<W>,
    stream: Stream,
    out: Pending,
}

/// Redacted bytes that the writer below has not taken yet.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
}

/// How much one call takes at most, so that a huge buffer is not copied as a whole.
pub(crate) const MOST: usize = 1 << 18;

impl<W: Write> RedactWriter<W> {
    /// Redacts what is written to `inner`.
    pub fn new(inner: W, redactor: &Redactor) -> Self {
        Self::with_stream(inner, redactor.stream())
    }

    pub(crate) fn with_stream(inner: W, stream: Stream) -> Self {
        Self {
            inner: Some(inner),
            stream,
            out: Pending::default(),
        }
    }

    /// Ends the stream and gives the writer below back.
    ///
    /// # Errors
    /// Those of the writer below, which is then lost.
    pub fn finish(mut self) -> io::Result<W> {
        self.end()?;
        self.inner
            .take()
            .ok_or_else(|| io::Error::other("the writer is finished already"))
    }

    /// The stream, which counts what was replaced.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    fn end(&mut self) -> io::Result<()> {
        self.stream.finish(&mut self.out.bytes);
        self.flush()
    }

    fn drain(&mut self) -> io::Result<()> {
        let Some(inner) = &mut self.inner else {
            return Ok(());
        };
        while let Some(rest) = self.out.rest() {
            match inner.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.out.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        Ok(())
    }
}

impl Pending {
    /// What is to be written next.
    pub(crate) fn rest(&self) -> Option<&[u8]> {
        self.bytes
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }
}

impl<W: Write> Write for RedactWriter<W> {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        self.drain()?;
        let input = &input[..input.len().min(MOST)];
        self.stream.push(input, &mut self.out.bytes);
        match self.drain() {
            // The input is taken; what the writer below does not want now, it gets next time.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(input.len()),
            result => result.map(|()| input.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for RedactWriter<W> {
    fn drop(&mut self) {
        if self.inner.is_some() && !std::thread::panicking() {
            // Whoever wants to know about errors calls `finish`.
            let _ = self.end();
        }
    }
}

impl<W: Write> fmt::Debug for RedactWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactWriter")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
