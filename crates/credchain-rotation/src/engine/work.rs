//! Somebody who has the right to rotate a credential, and works on it.

use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result};

use super::{Action, How, Observer, Progress, Rotation, Step, begin};
use crate::lease::Lease;
use crate::record::{Document, Past, Run, Stamp, State, Strategy, seconds};

/// More steps than any rotation has.
const MOST_STEPS: u32 = 100;

/// When a failed rotation is tried again by itself: at first, and at the most.
const FIRST_BACKOFF: Duration = Duration::from_mins(1);
const LONGEST_BACKOFF: Duration = Duration::from_hours(6);

pub(super) struct Work<'a> {
    pub(super) rotation: &'a Rotation,
    pub(super) lease: Lease,
    pub(super) observer: &'a dyn Observer,
    pub(super) cx: &'a Context,
    how: How,
    /// Whether this process has told the target what works now.
    pub(super) prepared: bool,
}

/// What a step came to.
pub(super) enum Came {
    /// There is more to do.
    Further,
    /// Time has to pass.
    Waiting,
    /// It is over.
    Over(Progress),
}

impl<'a> Work<'a> {
    pub(super) async fn new(
        rotation: &'a Rotation,
        how: How,
        observer: &'a dyn Observer,
        cx: &'a Context,
    ) -> Result<Self> {
        let lease = super::lease(rotation, cx).await?;
        if let Some(run) = &lease.document.run {
            for login in run.old.iter().chain(&run.new) {
                observer.value(&login.secret);
                observer.value(&login.value);
            }
        }
        Ok(Self {
            rotation,
            lease,
            observer,
            cx,
            how,
            prepared: false,
        })
    }

    /// Goes as far as it goes, and gives the right back.
    pub(super) async fn run(mut self, may_start: bool) -> Result<Progress> {
        let came = self.go(may_start).await;
        if let Err(error) = &came {
            self.note_failure(error);
        }
        self.end(came).await
    }

    async fn go(&mut self, may_start: bool) -> Result<Progress> {
        match &mut self.lease.document.run {
            None if !may_start => {
                return Err(Error::new(Kind::NotFound, "no rotation is under way"));
            }
            None => self.plan().await?,
            Some(run) => {
                run.problem = None;
                run.not_before = 0;
                run.compromised |= self.how == How::Compromised;
            }
        }
        for _ in 0..MOST_STEPS {
            match self.step().await? {
                Came::Further => {}
                Came::Waiting => return self.progress(),
                Came::Over(progress) => return Ok(progress),
            }
        }
        Err(Error::new(
            Kind::Internal,
            "a rotation does not come to an end",
        ))
    }

    /// Notes a failure, for those who would try again by themselves.
    pub(super) fn note_failure(&mut self, error: &Error) {
        let now = self.cx.clock().now();
        if let Some(run) = &mut self.lease.document.run {
            run.problem = Some(error.kind().as_str().to_owned());
            let backoff = FIRST_BACKOFF * 2_u32.saturating_pow(run.failures.min(12));
            run.failures = run.failures.saturating_add(1);
            run.not_before = seconds(now + backoff.min(LONGEST_BACKOFF));
        }
    }

    /// Gives the right back.
    pub(super) async fn end(self, came: Result<Progress>) -> Result<Progress> {
        let name = &self.rotation.name;
        let came = came.map_err(|error| error.for_credential(name));
        let released = self.lease.release(self.cx).await;
        match (came, released) {
            // What was done is done, and whoever comes next sees that we are gone.
            (Ok(progress), Err(error)) => {
                tracing::warn!("the end of a rotation's turn could not be noted: {error}");
                Ok(progress)
            }
            (came, _) => came,
        }
    }

    async fn plan(&mut self) -> Result<()> {
        let rotation = self.rotation;
        let begun = begin::begin(rotation, &self.lease.document, self.observer, self.cx).await?;
        self.prepared = true;
        let id = crate::lease::hex(&*credchain_core::random_bytes::<8>()?);
        self.observer.before(&Step {
            name: &rotation.name,
            id: &id,
            action: Action::Plan,
            object: Some(rotation.strategy.as_str()),
        })?;
        self.lease.document.run = Some(Run {
            id,
            strategy: rotation.strategy,
            state: State::Planned,
            started: seconds(self.cx.clock().now()),
            entered: Stamp::new(self.cx.clock()),
            compromised: self.how == How::Compromised,
            old: begun.old,
            new: None,
            listed: None,
            stores: begun.stores,
            refusals: 0,
            failures: 0,
            not_before: 0,
            problem: None,
        });
        crate::point::point!("before the plan is kept");
        self.lease.save(self.cx).await?;
        crate::point::point!("after the plan is kept");
        Ok(())
    }

    async fn step(&mut self) -> Result<Came> {
        let strategy = self.run_ref()?.strategy;
        if strategy != self.rotation.strategy {
            let message = format!(
                "a rotation by `{strategy}` is under way, and the configuration says `{}` now",
                self.rotation.strategy
            );
            return Err(Error::new(Kind::Conflict, message).with_hint(
                "change it back until that one is over, or `resolve rotation abort` it",
            ));
        }
        match self.run_ref()?.state {
            State::Planned if strategy == Strategy::Delegated => self.delegate().await,
            State::Planned => self.store_pending().await,
            State::PendingStored => self.apply().await,
            State::Applied => self.verify().await,
            State::Verified => self.promote().await,
            State::Promoted => self.start_overlap().await,
            State::Overlap => self.end_overlap().await,
            State::OldDisabled => self.enter(State::Soak).await,
            State::Soak => self.end_soak().await,
            State::OldRevoked => self.finish(true).await.map(Came::Over),
            State::Aborting => self.undo().await.map(Came::Over),
            State::Orphaned => self.find_again().await,
        }
    }

    /// Keeps that it came to this state.
    pub(super) async fn enter(&mut self, state: State) -> Result<Came> {
        let stamp = Stamp::new(self.cx.clock());
        let run = self.run_mut()?;
        run.state = state;
        run.entered = stamp;
        run.failures = 0;
        self.lease.save(self.cx).await?;
        Ok(Came::Further)
    }

    pub(super) fn run_ref(&self) -> Result<&Run> {
        self.lease.document.run.as_ref().ok_or_else(none)
    }

    pub(super) fn run_mut(&mut self) -> Result<&mut Run> {
        self.lease.document.run.as_mut().ok_or_else(none)
    }

    pub(super) fn document(&mut self) -> &mut Document {
        &mut self.lease.document
    }

    pub(super) fn progress(&self) -> Result<Progress> {
        self.run_ref().map(|run| self.rotation.progress(run))
    }

    /// Tells the observer, does it, and tells the observer what came of it.
    pub(super) async fn observed<T>(
        &self,
        action: Action,
        object: Option<&str>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let step = Step {
            name: &self.rotation.name,
            id: &self.run_ref()?.id,
            action,
            object,
        };
        self.observer.before(&step)?;
        let done = work.await;
        self.observer.after(&step, done.as_ref().map(|_| ()));
        done
    }

    /// The end: what is over is remembered, without its values.
    pub(super) async fn finish(&mut self, completed: bool) -> Result<Progress> {
        let mut progress = self.progress()?;
        if completed {
            progress.state = State::OldRevoked;
        }
        let now = self.cx.clock().now();
        let Some(run) = self.lease.document.run.take() else {
            return Err(none());
        };
        crate::point::point!("before the end is kept");
        self.lease.document.remember(Past {
            id: run.id.clone(),
            strategy: run.strategy,
            started: run.started,
            finished: seconds(now),
            completed,
            compromised: run.compromised,
        });
        self.lease.save(self.cx).await?;
        crate::point::point!("after the end is kept");
        let step = Step {
            name: &self.rotation.name,
            id: &run.id,
            action: if completed {
                Action::Finish
            } else {
                Action::Abort
            },
            object: None,
        };
        self.observer.after(&step, Ok(()));
        Ok(progress)
    }
}

fn none() -> Error {
    Error::new(Kind::Internal, "no rotation is under way")
}
