//! The door for what a program logs, with `tracing` or with `log`.
//!
//! An event is redacted after it was formatted: its message, its fields, the names and fields of
//! the spans around it, errors with their sources, and whatever prints with `Debug`, because
//! all of them are bytes by then.

use std::fmt;
use std::io;

use ::tracing::Metadata;
use ::tracing::level_filters::LevelFilter;
use ::tracing::subscriber::set_global_default;
use tracing_log::LogTracer;
use tracing_subscriber::fmt::MakeWriter;

use crate::redactor::Redactor;
use crate::write::RedactWriter;

/// Protects a program with one call: logs of this level and above, from `tracing` and from `log`,
/// and panics go to standard error, redacted.
///
/// # Errors
/// When the program has another subscriber, logger already; nothing is changed then but
/// what was installed before the one that failed.
///
/// # Examples
/// ```
/// use credchain_redact::{Options, Redactor};
///
/// let redactor = Redactor::new();
/// credchain_redact::tracing::protect(&redactor, tracing::Level::INFO)?;
/// assert!(redactor.register("api_key", b"correct horse", Options::default()).is_masked());
/// tracing::info!(key = "correct horse", "connected");
/// # Ok::<_, credchain_redact::tracing::ProtectError>(())
/// ```
pub fn protect(redactor: &Redactor, level: impl Into<LevelFilter>) -> Result<(), ProtectError> {
    let level = level.into();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(RedactMakeWriter::new(io::stderr, redactor))
        .finish();
    set_global_default(subscriber).map_err(|_| ProtectError::Subscriber)?;
    LogTracer::init().map_err(|_| ProtectError::Logger)?;
    crate::panic::install(redactor);
    Ok(())
}

/// Why a program could not be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtectError {
    /// There is a global subscriber already.
    Subscriber,
    /// There is a logger for `log` already.
    Logger,
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subscriber => "the program has a `tracing` subscriber already",
            Self::Logger => "the program has a logger for `log` already",
        })
    }
}

impl std::error::Error for ProtectError {}

/// Makes writers that redact, for a program that sets up its own `fmt` layer.
///
/// # Examples
/// ```
/// use credchain_redact::Redactor;
/// use credchain_redact::tracing::RedactMakeWriter;
///
/// let redactor = Redactor::new();
/// let subscriber = tracing_subscriber::fmt()
///     .with_writer(RedactMakeWriter::new(std::io::stdout, &redactor))
///     .finish();
/// tracing::subscriber::with_default(subscriber, || tracing::info!("protected"));
/// ```
#[derive(Clone)]
pub struct RedactMakeWriter<M> {
    inner: M,
    redactor: Redactor,
}

impl<M> RedactMakeWriter<M> {
    /// Redacts what goes to the writers of `inner`.
    pub fn new(inner: M, redactor: &Redactor) -> Self {
        Self {
            inner,
            redactor: redactor.clone(),
        }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for RedactMakeWriter<M> {
    type Writer = RedactWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactWriter::new(self.inner.make_writer(), &self.redactor)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        RedactWriter::new(self.inner.make_writer_for(meta), &self.redactor)
    }
}

impl<M> fmt::Debug for RedactMakeWriter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactMakeWriter").finish_non_exhaustive()
    }
}
