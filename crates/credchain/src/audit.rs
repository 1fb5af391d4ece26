//! The access log of a project, as `[audit]` describes it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use credchain_audit::{Action, Actor, Destination, Event, Log, Outcome, Settings};
use credchain_config::{AuditSpec, Loaded, OnFailure, Project, TrustVerdict};
use credchain_core::{
    Context, Error, Kind, LinkName, Name, Reference, Resolution, ResolverBuilder, Result, Secret,
};

use crate::Credchain;

/// What every part of a `Credchain` writes to, if there is a log.
#[derive(Clone)]
pub(crate) struct Auditing(Option<Arc<Audit>>);

struct Audit {
    settings: Result<Settings>,
    on_failure: OnFailure,
    fingerprint: bool,
    context: Context,
    log: OnceLock<Result<Log>>,
    /// On whose behalf values are asked for, such as the program that `exec` is to run.
    reason: Mutex<Option<String>>,
    /// Whether it was said that there is no log.
    warned: AtomicBool,
}

impl Drop for Audit {
    /// What was noted is written, and what could not be is said.
    fn drop(&mut self) {
        let Some(Ok(log)) = self.log.get() else {
            return;
        };
        let failed = log.flush().err().or_else(|| Some(log.failure()?.error));
        if let Some(error) = failed {
            tracing::warn!("the access log could not be written: {}", error.message());
        }
    }
}

impl Auditing {
    /// Listens to what the resolver answers.
    pub(crate) fn listening(
        loaded: &Loaded,
        verdict: &TrustVerdict,
        context: &Context,
        one_shot: bool,
        builder: ResolverBuilder,
    ) -> (Self, ResolverBuilder) {
        let Some(spec) = &loaded.project.audit else {
            return (Self(None), builder);
        };
        let settings = match verdict.audit() {
            Some(untrusted) => Err(untrusted.error()),
            None => settings(&loaded.project, spec),
        };
        let audit = Arc::new(Audit {
            settings: settings.map(|settings| settings.write_on_flush(one_shot)),
            on_failure: spec.on_failure,
            fingerprint: spec.fingerprint,
            context: context.clone(),
            log: OnceLock::new(),
            reason: Mutex::default(),
            warned: AtomicBool::new(false),
        });
        let listener = Arc::clone(&audit);
        let builder =
            builder.on_resolution(move |name, resolution| listener.read(name, resolution));
        (Self(Some(audit)), builder)
    }

    /// Records what is about to be done; without that it must not be.
    pub(crate) fn before(&self, event: Event) -> Result<()> {
        match &self.0 {
            Some(audit) => audit.record(event.outcome(Outcome::Unknown)),
            None => Ok(()),
        }
    }

    /// Records how something ended that has happened already.
    pub(crate) fn after<T>(&self, event: Event, done: &Result<T>) {
        let Some(audit) = &self.0 else {
            return;
        };
        let event = match done {
            Ok(_) => event,
            Err(error) => event.failed(error),
        };
        if let Err(error) = audit.record(event) {
            tracing::warn!("the access log could not be written: {}", error.message());
        }
    }

    /// Notes what may be lost, such as a read.
    fn note(&self, event: Event) {
        if let Some(audit) = &self.0
            && let Ok(log) = audit.log()
        {
            log.note(audit.with_reason(event));
        }
    }
}

impl Audit {
    fn log(&self) -> Result<&Log> {
        let log = self.log.get_or_init(|| {
            let settings = self.settings.as_ref().map_err(Error::clone)?;
            let actor = Actor::detect(self.context.env());
            Log::open(settings, &actor, self.context.clock().clone())
        });
        log.as_ref().map_err(Error::clone)
    }

    fn with_reason(&self, event: Event) -> Event {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        match &*reason {
            Some(reason) => event.reason(reason),
            None => event,
        }
    }

    fn record(&self, event: Event) -> Result<()> {
        self.log()?.record(self.with_reason(event)).map(drop)
    }

    /// A read: it goes on without the log unless the configuration says otherwise.
    fn read(&self, name: &Name, resolution: &Resolution) -> Result<()> {
        let log = match self.log() {
            Ok(log) => log,
            Err(error) => return self.unrecorded(error),
        };
        let event = self.with_reason(self.event(log, name, resolution));
        if self.on_failure == OnFailure::Stop {
            return log.record(event).map(drop);
        }
        log.note(event);
        Ok(())
    }

    fn unrecorded(&self, error: Error) -> Result<()> {
        if self.on_failure == OnFailure::Stop {
            return Err(error);
        }
        // A project that is not trusted is told so by what it may not do.
        if error.kind() != Kind::Untrusted && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("the access log cannot be written: {}", error.message());
        }
        Ok(())
    }

    fn event(&self, log: &Log, name: &Name, resolution: &Resolution) -> Event {
        let steps = &resolution.trace.steps;
        let event = Event::new(Action::Resolve)
            .credential(name)
            .latency(steps.iter().map(|step| step.elapsed).sum());
        match &resolution.result {
            Ok(secret) => {
                let meta = secret.meta();
                let mut event = event.cached(meta.cached).stale(meta.stale.is_some());
                if let Some(link) = &meta.link {
                    event = event.link(link);
                }
                if let Some(reference) = &meta.reference {
                    event = event.reference(reference);
                }
                if let Some(version) = &meta.version {
                    event = event.version(version);
                }
                if self.fingerprint {
                    event = event.fingerprint(log.fingerprint(secret));
                }
                event
            }
            Err(error) => {
                let last = steps.last();
                let event = match error.link().or(last.map(|step| &step.link)) {
                    Some(link) => event.link(link),
                    None => event,
                };
                match last.and_then(|step| step.reference.as_ref()) {
                    Some(reference) => event.reference(reference).failed(error),
                    None => event.failed(error),
                }
            }
        }
    }
}

impl Credchain {
    /// Where the access log is and how it is kept, if `[audit]` asks for one.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if that is said by a project that is not trusted;
    /// [`Kind::Misconfigured`] if there is no place for it.
    pub fn audit_settings(&self) -> Result<Option<Settings>> {
        let Some(audit) = &self.auditing.0 else {
            return Ok(None);
        };
        audit
            .settings
            .as_ref()
            .map(|settings| Some(settings.clone()))
            .map_err(Error::clone)
    }

    /// Says on whose behalf values are asked for from now on, such as the name of the program that
    /// gets them.
    pub fn audit_reason(&self, reason: &str) {
        if let Some(audit) = &self.auditing.0 {
            let mut current = audit.reason.lock().unwrap_or_else(PoisonError::into_inner);
            *current = Some(reason.to_owned());
        }
    }

    /// Records that values are about to leave this program in another way than by its own output of
    /// one: to a program that is started, or printed for a shell.
    ///
    /// # Errors
    /// If it cannot be recorded; for [`Action::Export`] it must not be done then.
    pub fn audit_before(&self, action: Action, to: Destination<'_>) -> Result<()> {
        self.auditing.before(Event::new(action).destination(to))
    }

    /// Notes something that concerns a link or a token, such as a login.
    pub fn audit_after<T>(
        &self,
        action: Action,
        link: Option<&LinkName>,
        name: Option<&Name>,
        done: &Result<T>,
    ) {
        let mut event = Event::new(action);
        if let Some(link) = link {
            event = event.link(link);
        }
        if let Some(name) = name {
            event = event.credential(name);
        }
        self.auditing.after(event, done);
    }

    /// The same for what may be lost if the machine fails within a tenth of a second.
    pub fn audit_note(&self, action: Action, name: Option<&Name>) {
        let mut event = Event::new(action);
        if let Some(name) = name {
            event = event.credential(name);
        }
        self.auditing.note(event);
    }

    /// Waits until everything that was noted is on the disk: what a program calls before it
    /// replaces itself or is ended. Dropping the last clone does the same.
    ///
    /// # Errors
    /// What keeps the log from being written.
    pub fn audit_flush(&self) -> Result<()> {
        match self.auditing.0.as_deref().map(|audit| audit.log.get()) {
            Some(Some(Ok(log))) => log.flush(),
            Some(Some(Err(error))) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Records a write before it is done, does it, and records how it ended.
    pub(crate) async fn audited<T>(
        &self,
        action: Action,
        link: &LinkName,
        place: &Reference,
        value: Option<&Secret>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let event = || {
            let event = Event::new(action.clone()).link(link).reference(place);
            match (&self.auditing.0, value) {
                (Some(audit), Some(value)) if audit.fingerprint => match audit.log() {
                    Ok(log) => event.fingerprint(log.fingerprint(value)),
                    Err(_) => event,
                },
                _ => event,
            }
        };
        if self.auditing.0.is_none() {
            return work.await;
        }
        self.auditing.before(event())?;
        let done = work.await;
        self.auditing.after(event(), &done);
        done
    }
}

/// One directory for each project, and the anchor where a log that is put back as a whole does not
/// take it along.
fn settings(project: &Project, spec: &AuditSpec) -> Result<Settings> {
    let homeless = || {
        Error::new(Kind::Misconfigured, "there is no place for the access log")
            .with_hint("set `HOME`, or `path` and `anchor` in `[audit]`")
    };
    let own = format!("{}-{:016x}", project.name, fingerprint_of(project.base()));
    let directory = if let Some(path) = &spec.path {
        path.clone()
    } else {
        let home = project.state_home.as_ref().ok_or_else(homeless)?;
        home.join("audit").join(&own)
    };
    let anchor = if let Some(anchor) = &spec.anchor {
        anchor.clone()
    } else {
        let home = project.config_home.as_ref().ok_or_else(homeless)?;
        home.join("audit").join(format!("{own}.anchor"))
    };
    let mut settings = Settings::new(directory)
        .anchor(anchor)
        .durable(spec.durable)
        .max_bytes(spec.max_size);
    if let Some(keep) = spec.keep {
        settings = settings.keep(usize::try_from(keep).unwrap_or(usize::MAX));
    }
    Ok(settings)
}

/// Tells projects of the same name in different places apart (FNV-1a).
fn fingerprint_of(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
