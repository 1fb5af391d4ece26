//! A store with one flaw.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

use credchain_core::{
    Capabilities, Context, Description, Error, Expect, Kind, Listed, Memory, Naming, Provider,
    Reference, Result, Secret, SetOptions, Version, VersionState, Versioned, async_trait,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

/// What is wrong with a [`Flawed`] store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    /// No flaw either: there is no store before the first write.
    StartsAbsent,
    TrimsNewlines,
    TakesTextOnly,
    CutsAtNul,
    CutsAt64Kib,
    KeepsWhatItRefuses,
    FlattensSlashes,
    DecodesPercents,
    TrimsNames,
    CutsLongNames,
    RefusesDashes,
    IgnoresCase,
    MissingIsEmpty,
    EmptyIsMissing,
    MissingIsDenied,
    MissingIsUnavailable,
    FindsByPrefix,
    IgnoresFields,
    IgnoresVersions,
    BatchSorts,
    BatchDropsMisses,
    BatchDropsDuplicates,
    BatchFailsTogether,
    BatchHasALimit,
    MixesUpReaders,
    LosesUpdates,
    ChecksThenActs,
    StaysBusy,
    WritesInHalves,
    WaitsPastItsDeadline,
    DeniesAfterItsDeadline,
    IgnoresExpectations,
    DropsUnclaimedExpectations,
    ForgetsKeys,
    NumbersNothing,
    HasAnOldHistory,
    DeletesNothing,
    DeletesTheMissing,
    DeletesNeighbours,
    ListsNothing,
    ListsGhosts,
    ListsEverything,
    DescribesTheMissing,
    DescribesWithAnotherKind,
    HidesWriting,
    HidesDeleting,
    HidesListing,
    HidesVersions,
    ChangesItsMind,
    HidesItsHistory,
    HoldsMoreThanItSays,
    HoldsLessThanItSays,
    LocatesByChance,
    LocatesWhereItIsDenied,
    DebugShows,
    ErrorShows,
    HintShowsHex,
    CauseShowsBytes,
    LogsIt,
    LogsItInBase64,
    LogsItTheOldWay,
    NamesASpanAfterIt,
    DebugShowsItsToken,
    SaysAFullStop,
    SaysTooMuch,
    NeedsItsFirstRuntime,
    NeedsItsFirstThread,
}

type Question = (Reference, oneshot::Sender<Result<Secret>>);

pub(crate) const TOKEN: &str = "token-of-the-provider-itself";

/// A store in memory with one flaw.
pub(crate) struct Flawed {
    flaw: Flaw,
    memory: std::sync::Arc<Memory>,
    busy: AtomicBool,
    asked: AtomicUsize,
    last: Mutex<Option<Reference>>,
    seen: Mutex<Vec<Secret>>,
    copy: Mutex<BTreeMap<Reference, Secret>>,
    actor: OnceLock<mpsc::UnboundedSender<Question>>,
    thread: OnceLock<ThreadId>,
}

impl Flawed {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            memory: std::sync::Arc::default(),
            busy: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            last: Mutex::default(),
            seen: Mutex::default(),
            copy: Mutex::default(),
            actor: OnceLock::new(),
            thread: OnceLock::new(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// The place that this store takes `reference` for.
    fn place(&self, reference: &Reference) -> Reference {
        let path = reference.path();
        let taken = match self.flaw {
            Flaw::FlattensSlashes => path.replace('/', "_"),
            Flaw::DecodesPercents => path.replace("%20", " "),
            Flaw::TrimsNames => path.trim_end().to_owned(),
            Flaw::CutsLongNames => path.chars().take(100).collect(),
            Flaw::IgnoresCase => path.to_lowercase(),
            _ => return self.narrow(reference.clone()),
        };
        let mut place = Reference::new(taken).unwrap();
        if let Some(field) = reference.field() {
            place = place.with_field(field).unwrap();
        }
        match reference.version() {
            Some(version) => place.with_version(version.clone()),
            None => place,
        }
    }

    fn narrow(&self, reference: Reference) -> Reference {
        match self.flaw {
            Flaw::IgnoresFields => reference.without_field(),
            Flaw::IgnoresVersions => reference.without_version(),
            _ => reference,
        }
    }

    async fn read(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        match self.flaw {
            Flaw::MixesUpReaders => {
                *self.last.lock().unwrap() = Some(reference.clone());
                yield_now().await;
                let last = self.last.lock().unwrap().clone().unwrap();
                return self.memory.get(&last, cx).await;
            }
            Flaw::LosesUpdates => {
                let copy = self.copy.lock().unwrap();
                return copy.get(reference).cloned().ok_or_else(Error::not_found);
            }
            Flaw::NeedsItsFirstRuntime => return self.ask_actor(reference).await,
            Flaw::NeedsItsFirstThread => {
                let here = std::thread::current().id();
                if *self.thread.get_or_init(|| here) != here {
                    return Err(Error::new(Kind::Internal, "this is another thread"));
                }
            }
            Flaw::StaysBusy => {
                if self.busy.swap(true, Ordering::SeqCst) {
                    return Err(Error::new(Kind::Unavailable, "busy"));
                }
                yield_now().await;
                self.busy.store(false, Ordering::SeqCst);
            }
            Flaw::WaitsPastItsDeadline if cx.remaining() == Some(Duration::ZERO) => {
                std::future::pending::<()>().await;
            }
            Flaw::DeniesAfterItsDeadline if cx.remaining() == Some(Duration::ZERO) => {
                return Err(Error::new(Kind::Denied, "too late"));
            }
            Flaw::FindsByPrefix => {
                let all = self.memory.list(None, cx).await?;
                let found = all
                    .iter()
                    .find(|l| l.reference.path().starts_with(reference.path()));
                if let (Some(found), None, None) = (found, reference.field(), reference.version()) {
                    return self.memory.get(&found.reference, cx).await;
                }
            }
            _ => {}
        }
        self.memory.get(&self.place(reference), cx).await
    }

    async fn ask_actor(&self, reference: &Reference) -> Result<Secret> {
        let actor = self.actor.get_or_init(|| {
            let (questions, mut inbox) = mpsc::unbounded_channel::<Question>();
            let memory = self.memory.clone();
            tokio::spawn(async move {
                while let Some((reference, answer)) = inbox.recv().await {
                    let _ = answer.send(memory.get(&reference, &Context::system()).await);
                }
            });
            questions
        });
        let gone = || Error::new(Kind::Unavailable, "the connection is gone");
        let (answer, answered) = oneshot::channel();
        actor
            .send((reference.clone(), answer))
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// What this store makes of the answer to a read.
    fn tell(&self, reference: &Reference, answer: Result<Secret>) -> Result<Secret> {
        let known = |secret: &Secret| secret.expose().to_vec();
        match (self.flaw, answer) {
            (Flaw::TrimsNewlines, Ok(secret)) => {
                Ok(Secret::new(known(&secret).trim_ascii_end().to_vec()))
            }
            (Flaw::TakesTextOnly, Ok(secret)) => Ok(Secret::new(
                String::from_utf8_lossy(secret.expose()).into_owned(),
            )),
            (Flaw::CutsAtNul, Ok(secret)) => Ok(Secret::new(
                known(&secret).split(|b| *b == 0).next().unwrap().to_vec(),
            )),
            (Flaw::CutsAt64Kib, Ok(secret)) => Ok(Secret::new(
                known(&secret)[..secret.expose().len().min(65_536)].to_vec(),
            )),
            (Flaw::EmptyIsMissing, Ok(secret)) if secret.is_empty() => Err(Error::not_found()),
            (Flaw::MissingIsEmpty, Err(_)) => Ok(Secret::new("")),
            (Flaw::StartsAbsent, Err(_)) if self.seen.lock().unwrap().is_empty() => {
                Err(Error::new(Kind::Absent, "there is no store"))
            }
            (Flaw::MissingIsDenied, Err(_)) => Err(Error::new(Kind::Denied, "no")),
            (Flaw::MissingIsUnavailable, Err(_)) => Err(Error::new(Kind::Unavailable, "no")),
            (flaw, Err(error)) => Err(self.complain(flaw, reference, error)),
            (_, Ok(secret)) => {
                self.boast(&secret);
                Ok(secret)
            }
        }
    }

    fn complain(&self, flaw: Flaw, reference: &Reference, error: Error) -> Error {
        let seen = self.seen.lock().unwrap().last().cloned();
        let shown = seen
            .map(|s| s.expose_text().unwrap_or_default().to_owned())
            .unwrap_or_default();
        match flaw {
            Flaw::ErrorShows => Error::new(
                error.kind(),
                format!("`{reference}` is not there, only `{shown}`"),
            ),
            Flaw::HintShowsHex => {
                let hex = shown
                    .bytes()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .concat();
                error.with_hint(format!("the bytes are {hex}"))
            }
            Flaw::CauseShowsBytes => {
                error.with_source(std::io::Error::other(format!("{:?}", shown.as_bytes())))
            }
            Flaw::SaysAFullStop => Error::new(error.kind(), "it is not there."),
            Flaw::SaysTooMuch => Error::new(error.kind(), "blah ".repeat(1000)),
            _ => error,
        }
    }

    fn boast(&self, secret: &Secret) {
        let Some(text) = secret.expose_text() else {
            return;
        };
        match self.flaw {
            Flaw::LogsIt => tracing::trace!(value = text, "read"),
            Flaw::LogsItInBase64 => {
                use base64::Engine as _;
                let body = base64::engine::general_purpose::STANDARD
                    .encode(format!("{{\"v\":\"{text}\"}}"));
                tracing::debug!("answered {body}");
            }
            Flaw::LogsItTheOldWay => log::trace!("read {text}"),
            Flaw::NamesASpanAfterIt => drop(tracing::info_span!("read", text).entered()),
            _ => {}
        }
    }
}

#[async_trait]
impl Provider for Flawed {
    fn capabilities(&self) -> Capabilities {
        const BARE: Capabilities = Capabilities::read_only();
        let mut claimed = self.memory.capabilities();
        match self.flaw {
            Flaw::HidesWriting => BARE.deletable().listable().versioned(),
            Flaw::HidesDeleting => BARE.writable().listable().versioned().compare_and_set(),
            Flaw::HidesListing => BARE.writable().deletable().versioned().compare_and_set(),
            Flaw::HidesVersions | Flaw::HidesItsHistory => {
                BARE.writable().deletable().listable().compare_and_set()
            }
            Flaw::DropsUnclaimedExpectations => BARE.writable().deletable().listable().versioned(),
            Flaw::KeepsWhatItRefuses => claimed.text_only(),
            Flaw::HoldsMoreThanItSays | Flaw::HoldsLessThanItSays => claimed.max_value(1000),
            Flaw::ChangesItsMind => {
                claimed.encrypted = self.memory.reads() > 0;
                claimed
            }
            _ => claimed,
        }
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let answer = self.read(reference, cx).await;
        self.tell(reference, answer)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let mut asked = references.to_vec();
        match self.flaw {
            Flaw::BatchSorts => asked.sort(),
            Flaw::BatchDropsDuplicates => {
                asked.sort();
                asked.dedup();
            }
            Flaw::BatchHasALimit => asked.truncate(100),
            _ => {}
        }
        let mut answers = Vec::new();
        for reference in &asked {
            answers.push(self.get(reference, cx).await);
        }
        match self.flaw {
            Flaw::BatchDropsMisses => answers.retain(Result::is_ok),
            Flaw::BatchFailsTogether => {
                if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
                    return vec![Err(error.clone()); references.len()];
                }
            }
            _ => {}
        }
        answers
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let place = self.place(reference);
        let mut options = options.clone();
        self.seen.lock().unwrap().push(value.clone());
        match self.flaw {
            Flaw::IgnoresExpectations | Flaw::DropsUnclaimedExpectations => {
                options.expect = Expect::Any;
            }
            Flaw::ForgetsKeys => {
                options.idempotency_key = None;
                options.expect = Expect::Any;
            }
            Flaw::ChecksThenActs => {
                if options.expect == Expect::Absent && self.memory.get(&place, cx).await.is_ok() {
                    return Err(Error::new(Kind::Conflict, "somebody was first"));
                }
                options.expect = Expect::Any;
                yield_now().await;
            }
            Flaw::LosesUpdates => {
                let mut copy = self.copy.lock().unwrap().clone();
                yield_now().await;
                copy.insert(place, value.clone());
                *self.copy.lock().unwrap() = copy;
                return Ok(Version::number(1));
            }
            Flaw::WritesInHalves => {
                let half = Secret::new(&value.expose()[..value.expose().len() / 2]);
                self.memory.set(&place, &half, &options, cx).await?;
                yield_now().await;
            }
            Flaw::RefusesDashes if reference.path().starts_with('-') => {
                return Err(Error::new(Kind::Invalid, "unknown option"));
            }
            Flaw::HoldsLessThanItSays if value.expose().len() > 500 => {
                return Err(Error::new(Kind::Invalid, "too long"));
            }
            _ => {}
        }
        let version = self.memory.set(&place, value, &options, cx).await?;
        Ok(if self.has(Flaw::NumbersNothing) {
            Version::number(1)
        } else {
            version
        })
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let place = self.place(reference);
        match self.flaw {
            Flaw::DeletesNothing => self.memory.get(&place, cx).await.map(|_| ()),
            Flaw::DeletesTheMissing => self.memory.delete(&place, cx).await.or(Ok(())),
            Flaw::DeletesNeighbours => {
                for listed in self.memory.list(None, cx).await? {
                    self.memory.delete(&listed.reference, cx).await?;
                }
                Ok(())
            }
            _ => self.memory.delete(&place, cx).await,
        }
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        match self.flaw {
            Flaw::ListsNothing => Ok(Vec::new()),
            Flaw::ListsEverything => self.memory.list(None, cx).await,
            Flaw::ListsGhosts => {
                let mut listed = self.memory.list(prefix, cx).await?;
                let ghost = format!("{}ghost", prefix.unwrap_or_default());
                listed.push(Listed::new(Reference::new(ghost)?));
                Ok(listed)
            }
            _ => self.memory.list(prefix, cx).await,
        }
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        match self.flaw {
            Flaw::DescribesTheMissing => Ok(Description::default()),
            Flaw::DescribesWithAnotherKind => {
                let secret = self.get(reference, cx).await;
                secret
                    .map(|_| Description::default())
                    .map_err(|_| Error::new(Kind::Denied, "no"))
            }
            _ => self.get(reference, cx).await.map(|secret| {
                let mut description = Description::default();
                description.version.clone_from(&secret.meta().version);
                description
            }),
        }
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        match self.flaw {
            Flaw::LocatesByChance => {
                let asked = self.asked.fetch_add(1, Ordering::Relaxed);
                Reference::new(format!("{}{asked}", naming.name))
                    .into_iter()
                    .collect()
            }
            Flaw::LocatesWhereItIsDenied => {
                self.memory
                    .fail("denied", Some(Error::new(Kind::Denied, "no")));
                Reference::new("denied").into_iter().collect()
            }
            _ => self.memory.locate(naming),
        }
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        matches!(self.flaw, Flaw::HasAnOldHistory | Flaw::HidesItsHistory).then_some(self as _)
    }
}

#[async_trait]
impl Versioned for Flawed {
    async fn versions(&self, _: &Reference, _: &Context) -> Result<Vec<VersionState>> {
        Ok(vec![VersionState::new(Version::number(1))])
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        Err(Error::unsupported("staging"))
    }

    async fn disable(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("disabling"))
    }

    async fn destroy(&self, _: &Reference, _: &Version, _: &Context) -> Result<()> {
        Err(Error::unsupported("destroying"))
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Flawed");
        if self.has(Flaw::DebugShows) {
            for secret in self.seen.lock().unwrap().iter() {
                shown.field("seen", &secret.expose_text());
            }
        }
        if self.has(Flaw::DebugShowsItsToken) {
            shown.field("token", &TOKEN);
        }
        shown.finish_non_exhaustive()
    }
}
