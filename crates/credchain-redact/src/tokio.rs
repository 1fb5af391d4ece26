//! The doors for Tokio's asynchronous readers and writers.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use crate::redactor::Redactor;
use crate::stream::Stream;
use crate::write::{MOST, Pending};

pin_project! {
    /// A writer that redacts what goes through it.
    ///
    /// Flushing passes on everything that is safe to show; what is held back because it may become a
    /// secret is written when the writer is shut down.
    pub struct RedactWriter<W> {
        #[pin]
        inner: W,
        stream: Stream,
        out: Pending,
        ended: bool,
    }
}

impl<W: AsyncWrite> RedactWriter<W> {
    /// Redacts what is written to `inner`.
    pub fn new(inner: W, redactor: &Redactor) -> Self {
        Self {
            inner,
            stream: redactor.stream(),
            out: Pending::default(),
            ended: false,
        }
    }

    /// The stream, which counts what was replaced.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The writer below. What was not flushed and what is held back is lost.
    pub fn into_inner(self) -> W {
        self.inner
    }

    fn poll_drain(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        while let Some(rest) = this.out.rest() {
            match ready!(this.inner.as_mut().poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => this.out.written += count,
            }
        }
        this.out.clear();
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite> AsyncWrite for RedactWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        input: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_drain(cx))?;
        let input = &input[..input.len().min(MOST)];
        let this = self.as_mut().project();
        this.stream.push(input, &mut this.out.bytes);
        *this.ended = false;
        match self.poll_drain(cx) {
            // The input is taken; the rest goes out with the next call.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(input.len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_drain(cx))?;
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.as_mut().project();
        if !std::mem::replace(this.ended, true) {
            this.stream.finish(&mut this.out.bytes);
        }
        ready!(self.as_mut().poll_drain(cx))?;
        self.project().inner.poll_shutdown(cx)
    }
}

impl<W> fmt::Debug for RedactWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactWriter")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A reader whose bytes are redacted.
    pub struct RedactReader<R> {
        #[pin]
        inner: R,
        stream: Stream,
        out: Pending,
        raw: Zeroizing<Vec<u8>>,
        ended: bool,
    }
}

impl<R: AsyncRead> RedactReader<R> {
    /// Redacts what is read from `inner`.
    pub fn new(inner: R, redactor: &Redactor) -> Self {
        Self {
            inner,
            stream: redactor.stream(),
            out: Pending::default(),
            raw: Zeroizing::new(vec![0; 16 << 10]),
            ended: false,
        }
    }

    /// The stream, which counts what was replaced.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl<R: AsyncRead> AsyncRead for RedactReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut this = self.project();
        // What was read may all be held back, and an empty answer would mean the end.
        while this.out.rest().is_none() && !*this.ended {
            let mut raw = ReadBuf::new(this.raw);
            ready!(this.inner.as_mut().poll_read(cx, &mut raw))?;
            this.out.clear();
            if raw.filled().is_empty() {
                *this.ended = true;
                this.stream.finish(&mut this.out.bytes);
            } else {
                this.stream.push(raw.filled(), &mut this.out.bytes);
            }
        }
        if let Some(rest) = this.out.rest() {
            let count = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..count]);
            this.out.written += count;
        }
        Poll::Ready(Ok(()))
    }
}

impl<R> fmt::Debug for RedactReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactReader")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
