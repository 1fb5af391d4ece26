//! Turns among the processes that write one log.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use credchain_core::files::is_still_at;
use credchain_core::{Clock, Error, Kind, Result};

use crate::error::failed;
use crate::places::{Places, open, open_or_make};

/// How long another process is waited for.
const WAIT: Duration = Duration::from_secs(2);

/// How often is looked: at first as soon as a short write takes, later as often as a disk turns.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

/// The two locks of a log. They are the operating system's, and end with the process.
///
/// Whoever wants to write takes `turn`, waits for `lock` with it, and gives `turn` back. So one
/// who has just written and wants to again stands behind those who wait, and nobody starves,
/// although all only look now and then.
#[derive(Debug)]
pub(crate) struct Locks {
    turn: Lock,
    lock: Lock,
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(Option<&'a File>);

impl Locks {
    /// For whoever writes. The files are made if they are not there.
    pub(crate) fn of(places: &Places) -> Self {
        Self::new(places, true)
    }

    /// For whoever wants nobody to write for a moment: where there is nothing to lock nobody does.
    pub(crate) fn to_read(places: &Places) -> Self {
        Self::new(places, false)
    }

    fn new(places: &Places, make: bool) -> Self {
        let lock = |name| Lock {
            path: places.file(name),
            make,
            file: None,
        };
        Self {
            turn: lock("turn"),
            lock: lock("lock"),
        }
    }

    /// Waits until nobody else writes.
    ///
    /// # Errors
    /// `Unavailable` after two seconds.
    pub(crate) fn wait(&mut self) -> Result<Turn<'_>> {
        // How long is really waited does not depend on a clock that a test holds.
        let clock = Clock::system();
        let until = clock.monotonic() + WAIT;
        let turn = self.turn.wait(&clock, until)?;
        let lock = self.lock.wait(&clock, until)?;
        drop(turn);
        Ok(lock)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It ends with the process if it does not end here.
        if let Some(file) = self.0 {
            drop(file.unlock());
        }
    }
}

/// A file that is locked. It is never removed: whoever waits for it has opened it already.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    make: bool,
    file: Option<File>,
}

impl Lock {
    fn wait(&mut self, clock: &Clock, until: Duration) -> Result<Turn<'_>> {
        let mut pause = PAUSES.0;
        loop {
            let Some(file) = self.opened()? else {
                return Ok(Turn(None));
            };
            match file.try_lock() {
                // Somebody may have removed it: then others lock another file by now.
                Ok(()) if is_still_at(&file, &self.path) => {
                    return Ok(Turn(Some(self.file.insert(file))));
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => self.file = Some(file),
                Err(TryLockError::Error(error)) => return Err(unlockable(&self.path, error)),
            }
            if clock.monotonic() >= until {
                let message = "another process is writing the access log and does not finish";
                return Err(Error::new(Kind::Unavailable, message));
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    fn opened(&mut self) -> Result<Option<File>> {
        let mut options = OpenOptions::new();
        match self.file.take() {
            Some(file) => Ok(Some(file)),
            None if self.make => open_or_make(&self.path, options.read(true).write(true)).map(Some),
            None => open(&self.path, options.read(true)),
        }
    }
}

fn unlockable(path: &Path, error: std::io::Error) -> Error {
    failed("lock", path, error)
        .with_hint("an access log is kept on a disk of this machine, not on a network's")
}
