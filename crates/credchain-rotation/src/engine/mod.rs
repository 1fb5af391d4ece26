//! The rotation itself: a state machine whose every step looks first, and can be repeated.

mod abort;
mod begin;
mod finish;
mod probe;
mod promote;
mod step;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credchain_core::{
    Context, Error, Kind, LinkName, Name, Provider, Reference, Result, Secret, Target,
};

use self::work::Work;
use crate::lease::Lease;
use crate::record::{Past, State, Strategy, moment};
use crate::{Form, Journal, Policy, Recipe};

/// One credential, and everything that is needed to replace its value.
///
/// A rotation goes from [`State`] to [`State`]; each is kept before the next one has any effect,
/// and each begins by asking store and target what is true. So it can be killed at any moment:
/// [`run`](Rotation::run) goes on where it was, on any machine that sees the journal.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub(crate) name: Name,
    pub(crate) strategy: Strategy,
    pub(crate) target: Option<Arc<dyn Target>>,
    pub(crate) accounts: Vec<String>,
    pub(crate) form: Form,
    pub(crate) recipe: Recipe,
    pub(crate) stores: Vec<Store>,
    pub(crate) journal: Journal,
    pub(crate) overlap: Duration,
    pub(crate) soak: Duration,
}

/// A place where readers find the value.
#[derive(Clone)]
pub struct Store {
    /// The link's name.
    pub link: LinkName,
    /// The provider, without anything that remembers values: what compares before it writes must
    /// see what is there.
    pub provider: Arc<dyn Provider>,
    /// Where in it.
    pub place: Reference,
    writer: Arc<dyn Provider>,
}

impl Store {
    /// A place at a link.
    pub fn new(link: LinkName, provider: Arc<dyn Provider>, place: Reference) -> Self {
        Self {
            link,
            writer: Arc::clone(&provider),
            provider,
            place,
        }
    }

    /// The same, written through this provider: the one with everything that remembers values, so
    /// that it learns of the new one.
    pub fn written_through(mut self, writer: Arc<dyn Provider>) -> Self {
        self.writer = writer;
        self
    }

    pub(crate) fn writer(&self) -> &dyn Provider {
        &*self.writer
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({}://{})", self.link, self.place)
    }
}

impl Rotation {
    /// The rotation of a credential that readers find in `stores`; the first of them is asked
    /// what is current. A key of our own ([`Strategy::Versioned`]) has no target.
    pub fn new(name: Name, strategy: Strategy, stores: Vec<Store>, journal: Journal) -> Self {
        Self {
            name,
            strategy,
            target: None,
            accounts: Vec::new(),
            form: Form::Secret,
            recipe: Recipe::default(),
            stores,
            journal,
            overlap: Policy::OVERLAP,
            soak: Policy::SOAK,
        }
    }

    /// The same, of a value that this target accepts.
    pub fn with_target(mut self, target: Arc<dyn Target>) -> Self {
        self.target = Some(target);
        self
    }

    /// The same, for the one account of [`Strategy::Swap`] or the two of [`Strategy::Alternate`].
    pub fn with_accounts(mut self, accounts: Vec<String>) -> Self {
        self.accounts = accounts;
        self
    }

    /// The same, with values of this form.
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The same, with new values made so.
    pub fn with_recipe(mut self, recipe: Recipe) -> Self {
        self.recipe = recipe;
        self
    }

    /// The same, with the old value valid for so long beside the new one.
    pub fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// The same, with a disabled value kept for so long before it is revoked.
    pub fn with_soak(mut self, soak: Duration) -> Self {
        self.soak = soak;
        self
    }

    /// The credential's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How it is done.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// How long the old value stays valid.
    pub fn overlap(&self) -> Duration {
        self.overlap
    }

    /// How long a disabled value is kept.
    pub fn soak(&self) -> Duration {
        self.soak
    }

    /// Where readers find the value.
    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// Finds out, changing nothing, whether a rotation could start: that the stores agree, that
    /// the target accepts what they hold and refuses what is wrong, that rights and layout are as
    /// they must be.
    ///
    /// # Errors
    /// What would keep it from starting.
    pub async fn check(&self, cx: &Context) -> Result<()> {
        self.validate()?;
        let found = self.journal.load(cx).await?;
        begin::begin(self, &found.document, &Quiet, cx)
            .await
            .map(drop)
    }

    /// What is known about this credential's rotations, without taking part in any.
    pub async fn look(&self, cx: &Context) -> Result<Look> {
        let found = self.journal.load(cx).await?;
        let document = found.document;
        let previous = document.run.as_ref().and_then(|run| {
            let old = run.old.as_ref()?;
            let (before, after) = (&old.value, run.new.as_ref().map(|new| &new.value));
            Some(if run.state.is_forward_only() {
                Previous {
                    old: before.clone(),
                    pending: None,
                }
            } else {
                Previous {
                    old: before.clone(),
                    pending: after.cloned(),
                }
            })
        });
        Ok(Look {
            run: document.run.as_ref().map(|run| self.progress(run)),
            holder: document
                .holder
                .map(|it| format!("process {} on `{}`", it.pid, it.host)),
            created: document.current.map(|current| moment(current.created)),
            values: previous,
            history: document.history,
        })
    }

    /// Starts a rotation, or goes on with the one that is under way, as far as it goes without
    /// waiting for the overlap or the soak to pass.
    ///
    /// # Errors
    /// What stopped it; all that was done is kept. [`Kind::Conflict`] if somebody else is at
    /// work, and if neither value is accepted any more.
    pub async fn run(&self, how: How, observer: &dyn Observer, cx: &Context) -> Result<Progress> {
        self.validate()?;
        Work::new(self, how, observer, cx).await?.run(true).await
    }

    /// Goes on with a rotation that is under way.
    ///
    /// # Errors
    /// As [`run`](Self::run); [`Kind::NotFound`] if none is under way.
    pub async fn resume(&self, observer: &dyn Observer, cx: &Context) -> Result<Progress> {
        self.validate()?;
        Work::new(self, How::Planned, observer, cx)
            .await?
            .run(false)
            .await
    }

    /// Undoes a rotation of which readers have seen nothing yet.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if none is under way; [`Kind::Conflict`] if readers have the new value:
    /// then there is only forward.
    pub async fn abort(&self, observer: &dyn Observer, cx: &Context) -> Result<Progress> {
        Work::new(self, How::Planned, observer, cx)
            .await?
            .abort()
            .await
    }

    fn validate(&self) -> Result<()> {
        let wrong = |message: &'static str| {
            Err(Error::new(Kind::Misconfigured, message).for_credential(&self.name))
        };
        match (self.strategy, &self.target, self.accounts.len()) {
            (Strategy::Versioned, None, _) | (Strategy::Delegated, Some(_), _) => {}
            (Strategy::Versioned, Some(_), _) => {
                return wrong("a key of our own (`versioned`) has no target");
            }
            (_, None, _) => return wrong("its rotation has no target"),
            (Strategy::Alternate, _, 2) if self.form.names_account() => {}
            (Strategy::Alternate, _, 2) => {
                return wrong(
                    "with two accounts in turn the value has to name the account: `format` is \
                     `url` or `json`",
                );
            }
            (Strategy::Alternate, ..) => return wrong("`alternate` needs two accounts"),
            _ => {}
        }
        if self.stores.is_empty() && self.strategy != Strategy::Delegated {
            return wrong("nothing stores its value");
        }
        Ok(())
    }

    pub(crate) fn target(&self) -> Result<&dyn Target> {
        self.target.as_deref().ok_or_else(|| {
            Error::new(Kind::Misconfigured, "its rotation has no target").for_credential(&self.name)
        })
    }

    fn progress(&self, run: &crate::record::Run) -> Progress {
        let waits = match run.state {
            State::Overlap => Some(self.overlap),
            State::Soak => Some(self.soak),
            _ => None,
        };
        let waits = waits.map(|wait| {
            if run.compromised {
                Duration::ZERO
            } else {
                wait
            }
        });
        Progress {
            name: self.name.clone(),
            id: run.id.clone(),
            strategy: run.strategy,
            state: run.state,
            started: moment(run.started),
            until: waits.and_then(|wait| run.entered.wall().checked_add(wait)),
            problem: run.problem.clone(),
            not_before: (run.not_before > 0).then(|| moment(run.not_before)),
        }
    }
}

/// Why a value is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// Because it is time.
    #[default]
    Planned,
    /// Because the old one leaked: it is cut off as soon as the new one works, whoever still
    /// uses it.
    Compromised,
}

/// How far a rotation came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The credential.
    pub name: Name,
    /// The rotation.
    pub id: String,
    /// How it is done.
    pub strategy: Strategy,
    /// How far it is; [`State::OldRevoked`] is the end.
    pub state: State,
    /// When it began.
    pub started: SystemTime,
    /// Until when it waits; then [`Rotation::resume`] goes on.
    pub until: Option<SystemTime>,
    /// The kind of the failure that stopped it last.
    pub problem: Option<String>,
    /// When it is worth trying again, after a failure.
    pub not_before: Option<SystemTime>,
}

impl Progress {
    /// Whether it is over, and the old value gone.
    pub fn is_complete(&self) -> bool {
        self.state == State::OldRevoked
    }
}

/// What is known about a credential's rotations.
#[derive(Debug)]
#[non_exhaustive]
pub struct Look {
    /// What is under way.
    pub run: Option<Progress>,
    /// Who is at work.
    pub holder: Option<String>,
    /// When the current value was made, if a rotation made it.
    pub created: Option<SystemTime>,
    /// The values besides the current one that may be valid.
    pub values: Option<Previous>,
    /// What is over, the newest last.
    pub history: Vec<Past>,
}

/// The values of a rotation under way, besides the one that readers get.
#[derive(Debug)]
#[non_exhaustive]
pub struct Previous {
    /// What readers had before; the current value until the new one is promoted.
    pub old: Secret,
    /// What they get next.
    pub pending: Option<Secret>,
}

/// Whoever has to know what a rotation does: a log that may veto, a redactor, a cache.
pub trait Observer: Send + Sync {
    /// Called before a step has an effect. An error stops the rotation there.
    fn before(&self, step: &Step<'_>) -> Result<()> {
        let _ = step;
        Ok(())
    }

    /// Called after it, with what came of it.
    fn after(&self, step: &Step<'_>, outcome: Result<(), &Error>) {
        let _ = (step, outcome);
    }

    /// Called with every value, before anything is done with it.
    fn value(&self, value: &Secret) {
        let _ = value;
    }

    /// Called when readers get a new value: what is remembered elsewhere is old now.
    fn changed(&self, name: &Name) {
        let _ = name;
    }
}

/// Nobody who has to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {}

/// One effect of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step<'a> {
    /// The credential.
    pub name: &'a Name,
    /// The rotation.
    pub id: &'a str,
    /// What is done.
    pub action: Action,
    /// The account, key or link that it is done to.
    pub object: Option<&'a str>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It is decided, and named.
    Plan,
    /// A new value is kept as pending.
    StorePending,
    /// An issuer makes a key.
    Issue,
    /// The target is told to accept it.
    Apply,
    /// A login proves that it does.
    Verify,
    /// A store gives it to readers.
    Promote,
    /// The old value is disabled.
    Disable,
    /// The old value is revoked.
    Revoke,
    /// All of it is undone.
    Abort,
    /// It is over.
    Finish,
}

impl Action {
    /// Its word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::StorePending => "store_pending",
            Self::Issue => "issue",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Promote => "promote",
            Self::Disable => "disable",
            Self::Revoke => "revoke",
            Self::Abort => "abort",
            Self::Finish => "finish",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Takes the right to rotate.
pub(crate) async fn lease(rotation: &Rotation, cx: &Context) -> Result<Lease> {
    let lease = Lease::take(&rotation.journal, cx).await;
    lease.map_err(|error| error.for_credential(&rotation.name))
}
