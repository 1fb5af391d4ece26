//! The log, as whoever does something uses it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use credchain_core::{Clock, Error, Kind, Result, Secret};

use crate::actor::Actor;
use crate::event::{Event, Fingerprint};
use crate::key::Key;
use crate::places::Places;
use crate::queue::{BATCH, Queue};
use crate::settings::Settings;
use crate::writer::{Pending, Stamp, Writer};

/// How long a note may wait for others to be written with.
const GATHER: Duration = Duration::from_millis(100);

/// How long the background waits after it could not write.
const RECOVER: Duration = Duration::from_secs(1);

/// An access log that is written. Cheap to clone; any thread may use it.
///
/// [`record`](Self::record) is for what must not happen unrecorded, [`note`](Self::note) for what
/// must not wait. What was noted before is written before what is recorded.
///
/// # Loss
/// A process that is killed, or calls [`std::process::exit`], loses what it noted and did not
/// [flush](Self::flush): at most the last 100 ms if the disk keeps up, and never more than 1024
/// events. Dropping the last clone of a log flushes it. What has no room among
/// these is counted, and the count is recorded as soon as there is room again.
#[derive(Clone)]
pub struct Log(Arc<Owner>);

/// A place in the log: what [`Log::record`] has written is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The number of the record.
    pub seq: u64,
    /// Its name, unique among all logs.
    pub id: String,
}

/// What could not be written, as far as nobody else was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// Why the first of them could not.
    pub error: Error,
    /// How often it was tried in vain.
    pub count: u64,
}

impl Log {
    /// Opens the log, and makes its directory and its key if this is the first time. Nothing is
    /// written before the first event.
    ///
    /// # Errors
    /// `Misconfigured` if the directory or a file cannot be made, can be seen by others, or if
    /// the key of a log that is there is gone.
    pub fn open(settings: &Settings, actor: &Actor, clock: Clock) -> Result<Self> {
        let places = Places::of(settings);
        places.make()?;
        let key = key(settings, &places)?;
        let writer = Writer::new(settings, key.clone(), actor, clock.clone());
        Ok(Self(Arc::new(Owner {
            shared: Arc::new(Shared {
                writer: Mutex::new(writer),
                waiting: Mutex::default(),
                changed: Condvar::new(),
                failure: Mutex::default(),
            }),
            settings: settings.clone(),
            clock,
            key,
        })))
    }

    /// Writes an event and waits until it is on the disk.
    ///
    /// # Errors
    /// `Unavailable` if the disk is full or fails, or another process does not let go of the log
    /// within two seconds; `Misconfigured` if this user may not write there. The event is not in
    /// the log then.
    pub fn record(&self, event: Event) -> Result<Recorded> {
        let stamp = Stamp::now(&self.0.clock)?;
        let shared = &self.0.shared;
        let mut writer = lock(&shared.writer);
        // In the order in which it happened.
        while shared.write_batch(&mut writer)? {}
        let appended = writer.append(&[Pending { event, stamp }], None)?;
        shared.remember(appended.unmarked);
        Ok(Recorded {
            seq: appended.seq,
            id: stamp.id.text(),
        })
    }

    /// Notes an event, to be written within 100 ms. Neither waits nor fails: what became of it is
    /// known from [`flush`](Self::flush) and [`failure`](Self::failure).
    ///
    /// With [`Settings::durable`] it waits as [`record`](Self::record) does.
    pub fn note(&self, event: Event) {
        let shared = &self.0.shared;
        if self.0.settings.is_durable() {
            shared.remember(self.record(event).err());
            return;
        }
        match Stamp::now(&self.0.clock) {
            Ok(stamp) => self.wait_in_line(Pending { event, stamp }),
            Err(error) => shared.remember(Some(error)),
        }
    }

    /// Waits until everything that was noted is on the disk. It is written by this thread, so
    /// that a short program has no other.
    ///
    /// # Errors
    /// As for [`record`](Self::record); what could not be written stays noted.
    pub fn flush(&self) -> Result<()> {
        let shared = &self.0.shared;
        let mut writer = lock(&shared.writer);
        while shared.write_batch(&mut writer)? {}
        Ok(())
    }

    /// What could not be written in the background, if anything: whoever shows it once has said
    /// what there is to say.
    pub fn failure(&self) -> Option<Failure> {
        lock(&self.0.shared.failure).clone()
    }

    /// How many events were dropped because too many waited, and not recorded as such yet.
    pub fn dropped(&self) -> u64 {
        lock(&self.0.shared.waiting).queue.dropped()
    }

    /// What a value can be recognized by in this log, and in no other.
    ///
    /// # Security
    /// See [`Event::fingerprint`].
    pub fn fingerprint(&self, value: &Secret) -> Fingerprint {
        Fingerprint(self.0.key.fingerprint(value.expose()))
    }

    /// Where the log is and how it is kept.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn wait_in_line(&self, pending: Pending) {
        let shared = &self.0.shared;
        let mut waiting = lock(&shared.waiting);
        waiting.queue.push(pending);
        let count = waiting.queue.len();
        let wanted = count >= BATCH || !self.0.settings.writes_on_flush();
        if wanted && waiting.thread.is_none() {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name("credchain-audit".to_owned());
            // Without a thread it is written by whoever flushes.
            waiting.thread = thread.spawn(move || shared.write_in_background()).ok();
        }
        if count == 1 || count == BATCH {
            shared.changed.notify_all();
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// The key of a log; it is made for one that does not exist yet.
fn key(settings: &Settings, places: &Places) -> Result<Key> {
    let path = settings.key_path();
    if let Some(key) = Key::read(&path)? {
        return Ok(key);
    }
    let anchored = settings
        .anchor_path()
        .is_some_and(|anchor| anchor.metadata().is_ok_and(|found| found.len() > 0));
    let begun = [
        places.current(),
        places.file("head"),
        places.file("manifest"),
    ];
    if anchored || begun.iter().any(|file| file.symlink_metadata().is_ok()) {
        // Another process may have made it since.
        return Key::read(&path)?.ok_or_else(|| {
            let message = format!("the key of the access log, `{}`, is gone", path.display());
            Error::new(Kind::Misconfigured, message).with_hint(format!(
                "put it back, or move `{}` and its anchor away to begin another log",
                places.path().display()
            ))
        });
    }
    Key::make(&path)
}

/// What all clones of a log have in common. When the last one goes, what was noted is written.
struct Owner {
    shared: Arc<Shared>,
    settings: Settings,
    clock: Clock,
    key: Key,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let thread = {
            let mut waiting = lock(&self.shared.waiting);
            waiting.stop = true;
            waiting.thread.take()
        };
        self.shared.changed.notify_all();
        // It ends as soon as it has written what it is at, which is a matter of seconds at most.
        if let Some(thread) = thread {
            drop(thread.join());
        }
        let mut writer = lock(&self.shared.writer);
        while let Ok(true) = self.shared.write_batch(&mut writer) {}
    }
}

/// What the background has in common with everybody else.
struct Shared {
    writer: Mutex<Writer>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    failure: Mutex<Option<Failure>>,
}

#[derive(Default)]
struct Waiting {
    queue: Queue,
    thread: Option<JoinHandle<()>>,
    stop: bool,
}

impl Shared {
    /// Writes what is next in line; tells whether there was anything.
    ///
    /// What is taken out of the line is written by whoever holds the writer: so whoever gets it
    /// next knows that all that was noted before is written or still in line.
    fn write_batch(&self, writer: &mut Writer) -> Result<bool> {
        let batch = lock(&self.waiting).queue.take();
        if batch.is_empty() {
            return Ok(false);
        }
        match writer.append(&batch.events, batch.gap()) {
            Ok(appended) => {
                self.remember(appended.unmarked);
                Ok(true)
            }
            Err(error) => {
                lock(&self.waiting).queue.put_back(batch);
                Err(error)
            }
        }
    }

    fn write_in_background(&self) {
        let mut pause = GATHER;
        loop {
            let waiting = lock(&self.waiting);
            let idle = |waiting: &mut Waiting| waiting.queue.is_empty() && !waiting.stop;
            let waiting = self.changed.wait_while(waiting, idle);
            let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let few = |waiting: &mut Waiting| {
                !waiting.stop && (pause > GATHER || waiting.queue.len() < BATCH)
            };
            let gathered = self.changed.wait_timeout_while(waiting, pause, few);
            let stop = gathered.unwrap_or_else(PoisonError::into_inner).0.stop;
            if stop {
                return;
            }
            let written = self.write_batch(&mut lock(&self.writer));
            pause = if written.is_ok() { GATHER } else { RECOVER };
            self.remember(written.err());
        }
    }

    fn remember(&self, error: Option<Error>) {
        let Some(error) = error else { return };
        let mut failure = lock(&self.failure);
        match &mut *failure {
            Some(failure) => failure.count += 1,
            None => *failure = Some(Failure { error, count: 1 }),
        }
    }
}

/// Nothing panics while it holds one of these locks; if it did, the rest would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
