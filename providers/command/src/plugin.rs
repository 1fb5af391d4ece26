//! The provider that speaks the plugin protocol.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credchain_core::{
    Capabilities, Context, Description, Error, Expect, Kind, Listed, Naming, Provider, Reference,
    Result, Secret, SetOptions, Version, async_trait,
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::config::{Common, PluginSettings};
use crate::environment::not_executable;
use crate::session::Session;
use crate::wire::{
    self, Answer, Greeting, Hello, Item, MAX_ITEMS, Op, PROTOCOL_VERSION, malformed,
};

/// Longest wait between two starts of a plugin that keeps ending.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A plugin: one long-lived process, started at the first request and again, with growing
/// pauses, when it ended.
pub(crate) struct Plugin {
    common: Common,
    settings: PluginSettings,
    slot: Mutex<Slot>,
    permits: Semaphore,
}

/// The running process, and how the last ones ended.
#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    failures: u32,
    last_error: Option<Error>,
    not_before: Duration,
}

impl Plugin {
    pub(crate) fn new(common: Common, settings: PluginSettings) -> Self {
        let permits = Semaphore::new(settings.concurrency);
        Self {
            common,
            settings,
            slot: Mutex::default(),
            permits,
        }
    }

    /// The running process, started if need be, and what it offers.
    async fn session(&self, cx: &Context) -> Result<(Arc<Session>, Arc<Hello>)> {
        let session = if let Some(session) = self.running(cx)? {
            session
        } else {
            let launch = self.common.launch(self.settings.args.clone(), cx).await?;
            self.start(&launch, cx)?
        };
        let hello = session.ready(self.settings.startup_timeout, cx).await?;
        Ok((session, hello))
    }

    /// The running process, if there is one.
    ///
    /// # Errors
    /// The reason why the last one ended, while it is too early for another.
    fn running(&self, cx: &Context) -> Result<Option<Arc<Session>>> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let now = cx.clock().monotonic();
        if let Some(error) = slot.session.as_ref().and_then(|session| session.gone()) {
            slot.failed(error, now);
        }
        if slot.session.is_none()
            && now < slot.not_before
            && let Some(error) = slot.last_error.clone()
        {
            let wait = slot.not_before.saturating_sub(now);
            return Err(if error.kind().is_transient() {
                error.with_retry_after(wait)
            } else {
                error
            });
        }
        Ok(slot.session.clone())
    }

    fn start(&self, launch: &crate::child::Launch, cx: &Context) -> Result<Arc<Session>> {
        let greeting = wire::line(&Greeting {
            protocol: PROTOCOL_VERSION,
            link: self.common.link.as_str(),
            project: &self.common.project.name,
            profile: &self.common.project.profile,
            max_response: self.settings.max_response as u64,
        })?;
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been faster.
        if let Some(session) = slot
            .session
            .as_ref()
            .filter(|session| session.gone().is_none())
        {
            return Ok(session.clone());
        }
        match Session::start(launch, greeting, self.settings.max_response, cx) {
            Ok(session) => {
                let session = Arc::new(session);
                slot.session = Some(session.clone());
                Ok(session)
            }
            Err(error) => {
                let error = cannot_start(&self.common.program, error);
                slot.failed(error.clone(), cx.clock().monotonic());
                Err(error)
            }
        }
    }

    /// How long a request may take.
    fn patience(&self, cx: &Context) -> Duration {
        let most = self.settings.request_timeout;
        cx.remaining().map_or(most, |left| left.min(most))
    }

    /// Sends items that one request can carry.
    async fn ask(
        &self,
        session: &Session,
        op: Op,
        items: Vec<Item<'_>>,
        cx: &Context,
    ) -> Result<Vec<Answer>> {
        let asked = items.len();
        let patience = self.patience(cx);
        let until = cx.clock().monotonic() + patience;
        let Some(permit) = cx.clock().timeout(patience, self.permits.acquire()).await else {
            return Err(Error::new(
                Kind::Unavailable,
                "the plugin is busy with earlier requests",
            ));
        };
        let left = until.saturating_sub(cx.clock().monotonic());
        let answers = session.ask(op, Some(items), None, left, cx).await?;
        drop(permit);
        if answers.len() == asked {
            Ok(answers)
        } else {
            Err(malformed("a response has not one result for each item"))
        }
    }

    /// Asks about one place.
    async fn one(&self, op: Op, item: Item<'_>, session: &Session, cx: &Context) -> Result<Answer> {
        let mut answers = self.ask(session, op, vec![item], cx).await?;
        answers
            .pop()
            .ok_or_else(|| malformed("a response has no result"))
    }

    async fn read(
        &self,
        references: &[Reference],
        session: &Session,
        cx: &Context,
    ) -> Vec<Result<Secret>> {
        let items = references.iter().map(Item::place).collect();
        match self.ask(session, Op::Get, items, cx).await {
            Ok(answers) => {
                let pairs = answers.into_iter().zip(references);
                pairs
                    .map(|(answer, reference)| answer.into_secret(reference))
                    .collect()
            }
            Err(error) => references.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Refuses what the settings do not declare or the plugin does not offer.
    async fn offering(
        &self,
        capability: &'static str,
        cx: &Context,
    ) -> Result<(Arc<Session>, Arc<Hello>)> {
        if !self.settings.declared(capability) {
            let message =
                format!("`{capability}` is not among the declared capabilities of the plugin");
            return Err(Error::new(Kind::Unsupported, message).with_hint(format!(
                "if the plugin offers it, add \"{capability}\" to the provider's `capabilities`"
            )));
        }
        let (session, hello) = self.session(cx).await?;
        if hello.offers(capability) {
            Ok((session, hello))
        } else {
            let message = format!("the plugin does not offer `{capability}`");
            Err(Error::new(Kind::Unsupported, message).with_hint(format!(
                "remove \"{capability}\" from the provider's `capabilities`"
            )))
        }
    }

    fn check_version(&self, reference: &Reference) -> Result<()> {
        if reference.version().is_some() && !self.settings.declared("versions") {
            return Err(
                Error::new(Kind::Unsupported, "the plugin keeps no versions")
                    .with_hint("if it does, add \"versions\" to the provider's `capabilities`"),
            );
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Plugin {
    fn capabilities(&self) -> Capabilities {
        self.settings.capabilities
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        self.check_version(reference)?;
        let (session, _) = self.session(cx).await?;
        self.one(Op::Get, Item::place(reference), &session, cx)
            .await?
            .into_secret(reference)
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        if references.is_empty() {
            return Vec::new();
        }
        let (askable, refused): (Vec<_>, Vec<_>) = references
            .iter()
            .partition(|reference| self.check_version(reference).is_ok());
        let askable: Vec<Reference> = askable.into_iter().cloned().collect();
        let session = match self.session(cx).await {
            Ok(session) => session,
            Err(error) => return references.iter().map(|_| Err(error.clone())).collect(),
        };
        let size = if session.1.offers("get_many") {
            MAX_ITEMS
        } else {
            1
        };
        let reads: Vec<_> = askable
            .chunks(size)
            .map(|chunk| self.read(chunk, &session.0, cx))
            .collect();
        let mut read = join_all(reads).await.into_iter().flatten();
        if refused.is_empty() {
            return read.collect();
        }
        let lost = || Err(Error::new(Kind::Internal, "a plugin's answer was lost"));
        let answer = |reference| match self.check_version(reference) {
            Ok(()) => read.next().unwrap_or_else(lost),
            Err(error) => Err(error),
        };
        references.iter().map(answer).collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let (session, hello) = self.offering("set", cx).await?;
        if options.expect != Expect::Any && !hello.offers("compare_and_set") {
            return Err(Error::unsupported("writing on a condition"));
        }
        let item = Item::place(reference).writing(value, options);
        self.one(Op::Set, item, &session, cx).await?.into_version()
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let (session, _) = self.offering("delete", cx).await?;
        self.one(Op::Delete, Item::place(reference), &session, cx)
            .await?
            .into_nothing()
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let (session, _) = self.offering("list", cx).await?;
        let answers = session
            .ask(Op::List, None, prefix, self.patience(cx), cx)
            .await?;
        answers.into_iter().map(Answer::into_listed).collect()
    }

    async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
        self.check_version(reference)?;
        let (session, hello) = self.session(cx).await?;
        if hello.offers("describe") {
            return self
                .one(Op::Describe, Item::place(reference), &session, cx)
                .await?
                .into_details();
        }
        let secret = self.get(reference, cx).await?;
        let mut description = Description::default();
        description.version.clone_from(&secret.meta().version);
        description.created = secret.meta().created;
        description.expires = secret.meta().expires;
        Ok(description)
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        self.common.locate(naming)
    }
}

impl Slot {
    /// Notes the end of a process. One that had answered may be replaced at once; the pauses
    /// before further starts grow.
    fn failed(&mut self, error: Error, now: Duration) {
        let answered = self
            .session
            .take()
            .is_some_and(|session| session.answered());
        self.failures = if answered {
            1
        } else {
            self.failures.saturating_add(1)
        };
        let pause = match self.failures {
            0 | 1 => Duration::ZERO,
            more => Duration::from_millis(100 << (more - 2).min(12)).min(MAX_BACKOFF),
        };
        self.not_before = now + pause;
        self.last_error = Some(error);
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("link", &self.common.link)
            .finish_non_exhaustive()
    }
}

/// What a failed start means. The system's own text is kept as the cause.
pub(crate) fn cannot_start(program: &str, error: std::io::Error) -> Error {
    use std::io::ErrorKind as E;

    /// `ENOEXEC`, for which the standard library has no stable name.
    const NO_EXECUTABLE: i32 = 8;

    let wrong = matches!(
        error.kind(),
        E::NotFound | E::PermissionDenied | E::NotADirectory | E::InvalidInput
    );
    if wrong || (cfg!(unix) && error.raw_os_error() == Some(NO_EXECUTABLE)) {
        return not_executable(program).with_source(error);
    }
    Error::new(
        Kind::Unavailable,
        format!("the program `{program}` could not be started"),
    )
    .with_source(error)
}
