//! Where a log is and how it is kept.

use std::path::{Path, PathBuf};

/// Where an access log is, and how it is kept.
///
/// ```
/// use credchain_audit::Settings;
///
/// let settings = Settings::new("/home/me/.local/state/credchain/audit")
///     .anchor("/var/lib/credchain/anchor")
///     .keep(12);
/// assert!(settings.key_path().ends_with("audit/key"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    directory: PathBuf,
    key: Option<PathBuf>,
    anchor: Option<PathBuf>,
    durable: bool,
    on_flush: bool,
    max_bytes: u64,
    keep: usize,
}

impl Settings {
    /// A log in a directory that is this user's alone; it is made when it is needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            key: None,
            anchor: None,
            durable: false,
            on_flush: false,
            max_bytes: DEFAULT_BYTES,
            keep: DEFAULT_FILES,
        }
    }

    /// Where the key is. Default: `key` in the log's directory.
    ///
    /// # Security
    /// Whoever has the key can write a log that verifies. In another place it protects copies
    /// of the directory, such as backups; from this user's own programs nothing does.
    pub fn key(mut self, path: impl Into<PathBuf>) -> Self {
        self.key = Some(path.into());
        self
    }

    /// A file in a second place that says how far the log has come. Default: none.
    ///
    /// Without it nobody can tell a log that was cut off, with all that belongs to it, or put
    /// back as it once was, from one that ends there.
    pub fn anchor(mut self, path: impl Into<PathBuf>) -> Self {
        self.anchor = Some(path.into());
        self
    }

    /// Whether [`Log::note`](crate::Log::note) waits for the disk as [`Log::record`](crate::Log::record)
    /// does. Default: no.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Whether notes wait for [`Log::flush`](crate::Log::flush) or for as many as fill a batch,
    /// for programs that are short: they need no thread. Default: no.
    pub fn write_on_flush(mut self, on_flush: bool) -> Self {
        self.on_flush = on_flush;
        self
    }

    /// How large a file may become before another one is begun. Default: 16 MiB; at least 64 KiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes.max(LEAST_BYTES);
        self
    }

    /// How many finished files are kept. Default: 64; at least one.
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files.max(1);
        self
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the key is.
    pub fn key_path(&self) -> PathBuf {
        self.key
            .clone()
            .unwrap_or_else(|| self.directory.join("key"))
    }

    /// Where the anchor is, if there is one.
    pub fn anchor_path(&self) -> Option<&Path> {
        self.anchor.as_deref()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(crate) fn writes_on_flush(&self) -> bool {
        self.on_flush
    }

    pub(crate) fn most_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(crate) fn kept_files(&self) -> usize {
        self.keep
    }
}

const DEFAULT_BYTES: u64 = 16 << 20;
/// Room for the largest batch of a few records, so that files are not begun for each.
const LEAST_BYTES: u64 = 64 << 10;
const DEFAULT_FILES: usize = 64;
