//! From readers that have the new value to an old one that is gone.

use std::time::Duration;

use credchain_core::{Error, Kind, Result, random_text};

use super::Action;
use super::work::{Came, Work};
use crate::point::point;
use crate::record::{CLOCK_SKEW, State, Strategy, seconds};

impl Work<'_> {
    pub(super) async fn start_overlap(&mut self) -> Result<Came> {
        match self.rotation.strategy {
            // The target forgot the old value when it learned the new one.
            Strategy::Swap => self.enter(State::OldRevoked).await,
            _ => self.enter(State::Overlap).await,
        }
    }

    pub(super) async fn end_overlap(&mut self) -> Result<Came> {
        if !self.is_over(self.rotation.overlap).await? {
            return Ok(Came::Waiting);
        }
        if self.rotation.strategy == Strategy::Versioned {
            return self.enter(State::OldRevoked).await;
        }
        let target = self.rotation.target()?;
        if !target.abilities().disable {
            return self.revoke().await;
        }
        self.guard().await?;
        let old = self.old()?;
        point!("before the old value is disabled");
        let work = target.disable(&old.id, self.cx);
        self.observed(Action::Disable, Some(&old.id), work).await?;
        point!("after the old value is disabled");
        self.enter(State::OldDisabled).await
    }

    pub(super) async fn end_soak(&mut self) -> Result<Came> {
        if !self.is_over(self.rotation.soak).await? {
            return Ok(Came::Waiting);
        }
        self.revoke().await
    }

    async fn revoke(&mut self) -> Result<Came> {
        self.guard().await?;
        let target = self.rotation.target()?;
        let old = self.old()?;
        point!("before the old value is revoked");
        let work = async {
            match target.revoke(&old.id, self.cx).await {
                Err(error) if error.kind() == Kind::Unsupported => {
                    // What nobody knows nobody can use.
                    let nobody =
                        random_text(40, "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ")?;
                    let account = credchain_core::Account::new(old.id.clone(), nobody);
                    target.apply(&account, self.cx).await
                }
                done => done,
            }
        };
        self.observed(Action::Revoke, Some(&old.id), work).await?;
        point!("after the old value is revoked");
        self.enter(State::OldRevoked).await
    }

    /// What must be true, now, before the old value is taken from anybody.
    async fn guard(&mut self) -> Result<()> {
        self.readers_have_it().await?;
        let (old, new) = (self.old()?, self.new_login()?);
        if old.id == new.id {
            return Err(Error::new(
                Kind::Internal,
                "the old and the new value are of one account",
            ));
        }
        if !self.accepted(&new.account()).await? {
            return Err(Error::new(
                Kind::Conflict,
                "the target no longer accepts the new value, so the old one is left alone",
            ));
        }
        self.prepare(&new.account(), None).await?;
        self.lease.confirm(self.cx).await
    }

    /// Whether so much time has passed, by every clock that can be asked.
    async fn is_over(&mut self, wait: Duration) -> Result<bool> {
        let run = self.run_ref()?;
        if run.compromised || wait.is_zero() {
            return Ok(true);
        }
        let entered = run.entered.clone();
        let suspect = || {
            Err(Error::new(
                Kind::Unavailable,
                "this machine's clock contradicts what was recorded, so the old value is left alone",
            )
            .with_hint("set the clock, then `resolve rotation resume`"))
        };
        let Some(passed) = entered.passed(self.cx.clock()) else {
            return suspect();
        };
        if passed < wait {
            return Ok(false);
        }
        // A clock that was put forward looks the same from here: the backend has one of its own.
        self.lease.save(self.cx).await?;
        let Some(theirs) = self.rotation.journal.time(self.cx).await else {
            return Ok(true);
        };
        let over = entered.wall().checked_add(wait);
        let ours = self.cx.clock().now();
        let ahead = seconds(ours).saturating_sub(seconds(theirs));
        if over.is_some_and(|over| theirs + Duration::from_secs(1) < over)
            && ahead > CLOCK_SKEW.as_secs()
        {
            return suspect();
        }
        Ok(true)
    }
}
