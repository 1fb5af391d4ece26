//! One rotator at a time for each credential, on one machine and on many.

use std::fs::{File, OpenOptions, TryLockError};
use std::time::Duration;

use credchain_core::files::{Links, PrivateDirectory, make_private_directory, open_with};
use credchain_core::{Context, Error, Kind, Result, Version, random_bytes};

use crate::journal::Journal;
use crate::machine;
use crate::record::{Document, Holder, millis};

/// How long somebody who shows no sign of life still counts as at work.
const TERM: Duration = Duration::from_secs(30);

/// The longest term of somebody else that is waited for.
const LONGEST_TERM: Duration = Duration::from_mins(5);

/// How often a sign of life is looked for.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a write is tried that others come in between of.
const ATTEMPTS: u32 = 5;

/// The right to rotate a credential, and its document as it is now.
///
/// What fences is the version: whoever was taken for dead and comes back writes to a version that
/// is no longer the newest, is refused, and stops before its next effect.
pub(crate) struct Lease {
    journal: Journal,
    pub(crate) document: Document,
    version: Option<Version>,
    name: String,
    touched: Duration,
    /// Ends with the process.
    _lock: File,
}

impl Lease {
    /// Takes the right, or says who has it.
    pub(crate) async fn take(journal: &Journal, cx: &Context) -> Result<Self> {
        let lock = lock(journal)?;
        let name = hex(&*random_bytes::<8>()?);
        for _ in 0..ATTEMPTS {
            let found = wait(journal, cx).await?;
            let mut document = found.document;
            document.holder = Some(Holder {
                name: name.clone(),
                host: machine::host(),
                pid: std::process::id(),
                processes: machine::processes(),
                term_ms: millis(TERM),
                beat: 0,
            });
            match journal.save(&document, found.version.as_ref(), cx).await {
                Ok(version) => {
                    return Ok(Self {
                        journal: journal.clone(),
                        document,
                        version,
                        name,
                        touched: cx.clock().monotonic(),
                        _lock: lock,
                    });
                }
                Err(error) if error.kind() == Kind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(busy("several others"))
    }

    /// Keeps the document as it is now; with it, everybody sees that somebody is at work.
    pub(crate) async fn save(&mut self, cx: &Context) -> Result<()> {
        if let Some(holder) = &mut self.document.holder {
            holder.beat += 1;
        }
        let saved = self
            .journal
            .save(&self.document, self.version.as_ref(), cx)
            .await;
        self.version = saved.map_err(|error| match error.kind() {
            Kind::Conflict => Error::new(
                Kind::Conflict,
                "somebody else took this rotation over in the meantime",
            )
            .with_hint("`resolve rotation status` shows how far it is"),
            _ => error,
        })?;
        self.touched = cx.clock().monotonic();
        Ok(())
    }

    /// Makes sure, right before an effect, that the right is still ours.
    pub(crate) async fn confirm(&mut self, cx: &Context) -> Result<()> {
        self.save(cx).await
    }

    /// The same while somebody waits, when it is time for a sign of life.
    pub(crate) async fn keep(&mut self, cx: &Context) -> Result<()> {
        if cx.clock().monotonic().saturating_sub(self.touched) < TERM / 3 {
            return Ok(());
        }
        self.save(cx).await
    }

    /// Gives the right back.
    pub(crate) async fn release(mut self, cx: &Context) -> Result<()> {
        self.document.holder = None;
        let saved = self
            .journal
            .save(&self.document, self.version.as_ref(), cx)
            .await;
        match saved {
            Ok(_) => Ok(()),
            // Without a holder the store cannot tell a lost reply from another writer.
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Conflict) => {
                match self.journal.load(cx).await {
                    Ok(found)
                        if found
                            .document
                            .holder
                            .as_ref()
                            .is_none_or(|it| it.name != self.name) =>
                    {
                        Ok(())
                    }
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// Waits until nobody is at work: at once if nobody is there, or if who was is certainly gone.
async fn wait(journal: &Journal, cx: &Context) -> Result<crate::journal::Loaded> {
    let mut seen: Option<(Holder, Duration)> = None;
    loop {
        let found = journal.load(cx).await?;
        let Some(holder) = found.document.holder.clone() else {
            return Ok(found);
        };
        // The lock of this machine is ours, so without a shared journal nobody else is there.
        let same = holder.processes.is_some() && holder.processes == machine::processes();
        if !journal.is_shared() || (same && machine::is_gone(holder.pid)) {
            return Ok(found);
        }
        let now = cx.clock().monotonic();
        let term = Duration::from_millis(holder.term_ms).min(LONGEST_TERM);
        match &seen {
            Some((before, _)) if *before != holder => {
                return Err(busy(&format!(
                    "process {} on `{}`",
                    holder.pid, holder.host
                )));
            }
            Some((_, since)) if now.saturating_sub(*since) >= term => return Ok(found),
            Some(_) => {}
            None => {
                tracing::info!(
                    "waiting up to {} s for a sign of life of process {} on `{}`",
                    term.as_secs(),
                    holder.pid,
                    credchain_core::printable(&holder.host)
                );
                seen = Some((holder, now));
            }
        }
        if cx.remaining().is_some_and(|left| left < PAUSE) {
            return Err(Error::new(
                Kind::Unavailable,
                "somebody else may be at work on this rotation, and there is no time left to see",
            ));
        }
        cx.clock().sleep(PAUSE).await;
    }
}

fn busy(who: &str) -> Error {
    let message = format!(
        "{} is rotating it at the moment",
        credchain_core::printable(who)
    );
    Error::new(Kind::Conflict, message).with_hint("`resolve rotation status` shows how far it is")
}

/// The lock among this user's programs on this machine.
fn lock(journal: &Journal) -> Result<File> {
    let (directory, name) = journal.lock_file();
    let file = open(directory, &name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(busy("another program of this user")),
        Err(TryLockError::Error(error)) => Err(unusable(directory, &error)),
    }
}

/// The file is never removed: somebody may be about to lock it.
fn open(directory: &PrivateDirectory, name: &str) -> Result<File> {
    let path = directory.file(name)?;
    if !directory.exists()? {
        make_private_directory(directory.path()).map_err(|error| unusable(directory, &error))?;
        directory.exists()?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    open_with(&path, &mut options, Links::Refuse).map_err(|error| unusable(directory, &error))
}

fn unusable(directory: &PrivateDirectory, error: &std::io::Error) -> Error {
    let message = format!(
        "no file in `{}` can be locked: {}",
        directory.path().display(),
        error.kind()
    );
    Error::new(Kind::Misconfigured, message)
        .with_hint("rotation needs a directory on a disk of this machine, that this user can write")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
