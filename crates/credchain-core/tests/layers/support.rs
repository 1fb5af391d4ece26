//! A provider that does what a test tells it, and a clock that a test moves.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use credchain_core::{
    Capabilities, Context, Error, Kind, ManualClock, Provider, Reference, Result, Secret,
    SetOptions, Version, async_trait,
};
use tokio::sync::watch;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// What to do at the next request for a reference.
pub(crate) enum Say {
    Value(Secret),
    Fail(Error),
    Panic,
    Hang,
}

/// Answers as told, in order; then with what is stored, which is `v1` until something is set.
pub(crate) struct Scripted {
    state: Mutex<State>,
    open: watch::Sender<bool>,
    capabilities: Capabilities,
}

#[derive(Default)]
struct State {
    script: BTreeMap<Reference, VecDeque<Say>>,
    write_script: VecDeque<Say>,
    stored: BTreeMap<String, Vec<u8>>,
    reads: Vec<Reference>,
    batches: Vec<Vec<Reference>>,
    writes: usize,
    deletes: usize,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::with(
            Capabilities::read_only().writable().deletable().batched(),
        ))
    }

    /// One whose `get_many` is several requests.
    pub(crate) fn without_batches() -> Arc<Self> {
        Arc::new(Self::with(Capabilities::read_only().writable()))
    }

    fn with(capabilities: Capabilities) -> Self {
        Self {
            state: Mutex::default(),
            open: watch::Sender::new(true),
            capabilities,
        }
    }

    pub(crate) fn say(&self, reference: &str, say: Say) -> &Self {
        self.lock()
            .script
            .entry(at(reference))
            .or_default()
            .push_back(say);
        self
    }

    pub(crate) fn fail(&self, reference: &str, kind: Kind) -> &Self {
        self.say(reference, Say::Fail(Error::new(kind, "as the test asked")))
    }

    pub(crate) fn fail_times(&self, times: usize, reference: &str, kind: Kind) -> &Self {
        (0..times).for_each(|_| {
            self.fail(reference, kind);
        });
        self
    }

    pub(crate) fn say_to_write(&self, say: Say) {
        self.lock().write_script.push_back(say);
    }

    /// From now on reads take their answer and then wait.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn store(&self, path: &str, value: &str) {
        self.lock()
            .stored
            .insert(path.to_owned(), value.as_bytes().to_vec());
    }

    /// Every value that was read, single or in a batch.
    pub(crate) fn reads(&self) -> usize {
        self.lock().reads.len()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<Reference>> {
        self.lock().batches.clone()
    }

    pub(crate) fn writes(&self) -> usize {
        self.lock().writes
    }

    pub(crate) fn deletes(&self) -> usize {
        self.lock().deletes
    }

    pub(crate) async fn until_reads(&self, count: usize) {
        until(|| self.reads() >= count).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn read(&self, reference: &Reference) -> Result<Secret> {
        let say = {
            let mut state = self.lock();
            state.reads.push(reference.clone());
            let said = state
                .script
                .get_mut(reference)
                .and_then(VecDeque::pop_front);
            said.unwrap_or_else(|| {
                let stored = state.stored.get(reference.path());
                Say::Value(Secret::new(
                    stored.cloned().unwrap_or_else(|| b"v1".to_vec()),
                ))
            })
        };
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        act(say).await
    }
}

pub(crate) async fn act(say: Say) -> Result<Secret> {
    match say {
        Say::Value(secret) => Ok(secret),
        Say::Fail(error) => Err(error),
        Say::Panic => panic!("canary-in-a-panic"),
        Say::Hang => std::future::pending().await,
    }
}

#[async_trait]
impl Provider for Scripted {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        self.read(reference).await
    }

    async fn get_many(&self, references: &[Reference], _: &Context) -> Vec<Result<Secret>> {
        self.lock().batches.push(references.to_vec());
        let mut answers = Vec::new();
        for reference in references {
            answers.push(self.read(reference).await);
        }
        answers
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        _: &SetOptions,
        _: &Context,
    ) -> Result<Version> {
        let say = {
            let mut state = self.lock();
            state.writes += 1;
            state
                .stored
                .insert(reference.path().to_owned(), value.expose().to_vec());
            state.write_script.pop_front()
        };
        if let Some(say) = say {
            act(say).await?;
        }
        Ok(Version::number(1))
    }

    async fn delete(&self, _: &Reference, _: &Context) -> Result<()> {
        let say = {
            let mut state = self.lock();
            state.deletes += 1;
            state.write_script.pop_front()
        };
        if let Some(say) = say {
            act(say).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

pub(crate) fn at(reference: &str) -> Reference {
    reference.parse().unwrap()
}

pub(crate) fn all(references: &[&str]) -> Vec<Reference> {
    references.iter().map(|reference| at(reference)).collect()
}

/// A context whose time stands still, with the pauses of back-off at their longest.
pub(crate) fn world() -> (Arc<ManualClock>, Context) {
    let manual = ManualClock::new();
    let cx = Context::system()
        .with_clock(manual.clock())
        .with_jitter(1.0);
    (manual, cx)
}

/// Lets other tasks run until something is so; a test that would wait for ever fails instead.
pub(crate) async fn until(so: impl Fn() -> bool) {
    for _ in 0..1_000_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("what the test waits for does not happen");
}

/// Lets every other task of a single-threaded runtime run as far as it gets.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Starts a read of its own.
pub(crate) fn reading<P: Provider>(
    provider: &Arc<P>,
    reference: &str,
    cx: &Context,
) -> tokio::task::JoinHandle<Result<Secret>> {
    let (provider, reference, cx) = (provider.clone(), at(reference), cx.clone());
    tokio::spawn(async move { provider.get(&reference, &cx).await })
}

pub(crate) fn text(answer: Result<Secret>) -> String {
    answer.unwrap().expose_text().unwrap().to_owned()
}

pub(crate) fn kind(answer: Result<Secret>) -> Kind {
    answer.unwrap_err().kind()
}
