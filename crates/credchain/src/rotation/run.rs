//! Several rotations at once, and which of them it is time for.

use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::{Error, Kind, Name, Result};
use credchain_rotation::{How, Look, Observer, Progress, Rotation, State, Step};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Credchain;

/// How many rotations are under way at once.
const AT_ONCE: usize = 8;

/// What is to be done with rotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// Start, or go on.
    Run(How),
    /// Go on with what is under way.
    Resume,
    /// Undo what readers have not seen yet.
    Abort,
}

/// Whether it is time to work on a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// The value is old enough.
    Old,
    /// One is under way, and goes on.
    UnderWay,
    /// Not before this moment.
    Later(Option<SystemTime>),
    /// Nobody knows how old the value is.
    Unknown,
}

impl Credchain {
    /// Works on several rotations at once; answers in the same order, and one that fails leaves
    /// the others alone.
    ///
    /// Each new value is registered for redaction before anything is done with it, and what this
    /// program remembers of an old one is dropped as soon as readers get the new one.
    pub async fn rotate(
        &self,
        names: &[Name],
        verb: Verb,
        observer: Arc<dyn Observer>,
    ) -> Vec<Result<Progress>> {
        let work = |rotation: Result<Rotation>, name: Name| {
            let observer = Informed {
                credchain: self.clone(),
                name,
                next: Arc::clone(&observer),
            };
            let cx = self.resolver().context();
            async move { act(&rotation?, verb, &observer, &cx).await }
        };
        self.for_each(names, work).await
    }

    /// What is known about the rotations of several credentials, in the same order.
    pub async fn looks(&self, names: &[Name]) -> Vec<Result<Look>> {
        let work = |rotation: Result<Rotation>, _| {
            let cx = self.resolver().context();
            async move { rotation?.look(&cx).await }
        };
        self.for_each(names, work).await
    }

    /// Does something with several rotations, some at a time.
    async fn for_each<T, W>(
        &self,
        names: &[Name],
        work: impl Fn(Result<Rotation>, Name) -> W,
    ) -> Vec<Result<T>>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for (number, name) in names.iter().enumerate() {
            let work = work(self.rotation(name), name.clone());
            let turns = Arc::clone(&turns);
            tasks.spawn(async move {
                let _turn = turns.acquire_owned().await;
                (number, work.await)
            });
        }
        let mut all: Vec<_> = names.iter().map(|name| Err(lost(name))).collect();
        while let Some(done) = tasks.join_next().await {
            if let Ok((number, done)) = done {
                all[number] = done;
            }
        }
        all
    }

    /// The value before the current one, while a rotation lets it overlap: what `NAME@previous`
    /// stands for. Where the deadline has passed it is not served any more, whether or not somebody
    /// has come to finish the rotation.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if no value before it is valid; else as [`rotation`](Self::rotation).
    pub async fn previous(&self, name: &Name) -> Result<credchain_core::Secret> {
        let cx = self.resolver().context();
        let look = self.rotation(name)?.look(&cx).await?;
        let over = |run: &Progress| run.until.is_some_and(|until| until <= cx.clock().now());
        let state = look
            .run
            .as_ref()
            .filter(|run| !over(run))
            .map(|run| run.state);
        if let (Some(state), Some(values)) = (state, look.values) {
            let overlaps = match state {
                State::Promoted | State::Overlap => true,
                // Readers may get the new value before it is noted that they do.
                State::Verified => {
                    let current = self.resolver().resolve(name).await.result?;
                    !current.same_value(&values.old)
                }
                _ => false,
            };
            if overlaps {
                #[cfg(feature = "redact")]
                self.hide(name, &values.old);
                return Ok(values.old);
            }
        }
        let message = "no value before the current one is valid";
        Err(Error::new(Kind::NotFound, message).for_credential(name))
    }

    /// Hides what rotations under way have besides the current values: an old one that is still
    /// valid for some, and one that nobody has seen yet. A store that does not answer is passed
    /// over, for what is resolved from it is hidden all the same.
    #[cfg(feature = "redact")]
    pub async fn hide_rotating(&self, names: &[Name]) {
        let names = self.rotatable().filter(|one| names.contains(one));
        let names: Vec<Name> = names.cloned().collect();
        for (name, look) in names.iter().zip(self.looks(&names).await) {
            if let Ok(Some(values)) = look.map(|look| look.values) {
                self.hide(name, &values.old);
                if let Some(pending) = &values.pending {
                    self.hide(name, pending);
                }
            }
        }
    }

    /// Whether it is time to work on a credential's rotation at this moment, of which this is
    /// known.
    ///
    /// # Errors
    /// As [`ages`](Self::ages).
    pub async fn due(&self, name: &Name, look: Look, now: SystemTime) -> Result<Due> {
        if let Some(run) = look.run {
            let later = run.until.into_iter().chain(run.not_before).max();
            return Ok(match later.filter(|later| *later > now) {
                Some(later) => Due::Later(Some(later)),
                None => Due::UnderWay,
            });
        }
        let Some(policy) = self.policy(name)? else {
            return Ok(Due::Later(None));
        };
        let created = match look.created {
            Some(created) => Some(created),
            None => self.age(name, now).await?.and_then(|age| age.row.created),
        };
        let Some(created) = created else {
            return Ok(Due::Unknown);
        };
        Ok(match policy.due(name.as_str(), created) {
            Some(due) if due <= now => Due::Old,
            due => Due::Later(due),
        })
    }
}

async fn act(
    rotation: &Rotation,
    verb: Verb,
    observer: &dyn Observer,
    cx: &credchain_core::Context,
) -> Result<Progress> {
    match verb {
        Verb::Run(how) => rotation.run(how, observer, cx).await,
        Verb::Resume => rotation.resume(observer, cx).await,
        Verb::Abort => rotation.abort(observer, cx).await,
    }
}

fn lost(name: &Name) -> Error {
    Error::new(Kind::Internal, "its rotation was lost").for_credential(name)
}

/// What this program does about a rotation of its own, and then whoever else wants to know.
struct Informed {
    credchain: Credchain,
    name: Name,
    next: Arc<dyn Observer>,
}

impl Observer for Informed {
    fn before(&self, step: &Step<'_>) -> Result<()> {
        #[cfg(feature = "audit")]
        self.credchain.auditing.before(event(step))?;
        self.next.before(step)
    }

    fn after(&self, step: &Step<'_>, outcome: Result<(), &Error>) {
        #[cfg(feature = "audit")]
        self.credchain
            .auditing
            .after(event(step), &outcome.map_err(Error::clone));
        self.next.after(step, outcome);
    }

    fn value(&self, value: &credchain_core::Secret) {
        #[cfg(feature = "redact")]
        self.credchain.hide(&self.name, value);
        #[cfg(not(feature = "redact"))]
        let _ = &self.name;
        self.next.value(value);
    }

    fn changed(&self, name: &Name) {
        self.credchain.forget(name);
        if let Err(error) = self.credchain.note_age(name, true) {
            tracing::warn!("the age of `{name}` could not be noted: {error}");
        }
        self.next.changed(name);
    }
}

#[cfg(feature = "audit")]
fn event(step: &Step<'_>) -> credchain_audit::Event {
    let action = credchain_audit::Action::rotate(step.action.as_str());
    let event = credchain_audit::Event::new(action).credential(step.name);
    // Accounts, ids of keys and links are names, and no values.
    event.reason(&format!("{} {}", step.id, step.object.unwrap_or_default()))
}
