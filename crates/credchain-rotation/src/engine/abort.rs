//! Back to how it was, as long as readers have seen nothing.

use credchain_core::{Account, Error, Kind, Result};

use super::begin::{read_one, version_of};
use super::promote::write;
use super::work::Work;
use super::{Action, Progress};
use crate::point::point;
use crate::record::{Login, State, Strategy};

impl Work<'_> {
    pub(super) async fn abort(mut self) -> Result<Progress> {
        let came = self.try_abort().await;
        // That it cannot be undone is no failure of what is under way.
        if let (Err(error), Ok(State::Aborting)) = (&came, self.run_ref().map(|run| run.state)) {
            self.note_failure(error);
        }
        self.end(came).await
    }

    async fn try_abort(&mut self) -> Result<Progress> {
        let Some(run) = &self.lease.document.run else {
            return Err(Error::new(Kind::NotFound, "no rotation is under way"));
        };
        if run.state.is_forward_only() {
            return Err(Error::new(
                Kind::Conflict,
                "readers have the new value already: there is only forward",
            )
            .with_hint(
                "`resolve rotation resume` finishes it; `resolve rotation run` then makes another",
            ));
        }
        if run.state == State::Orphaned {
            self.find_again().await?;
        }
        if self.run_ref()?.state != State::Aborting {
            self.enter(State::Aborting).await?;
        }
        self.undo().await
    }

    /// Undoes what was done, looking first at what that is, and ends the rotation.
    pub(super) async fn undo(&mut self) -> Result<Progress> {
        point!("before it is undone");
        if let Some(before) = self.run_ref()?.listed.clone() {
            self.remove_orphans(&before).await?;
        }
        if let (Some(old), Some(new)) = (self.run_ref()?.old.clone(), self.run_ref()?.new.clone()) {
            if self.rotation.strategy == Strategy::Swap {
                // The target first: what readers get has to work.
                self.restore_target(&old, &new).await?;
                self.restore_stores(&old, &new).await?;
            } else {
                self.restore_stores(&old, &new).await?;
                self.retire(&new).await?;
            }
        }
        point!("after it is undone");
        self.finish(false).await
    }

    async fn restore_target(&mut self, old: &Login, new: &Login) -> Result<()> {
        if self.accepted(&old.account()).await? || !self.accepted(&new.account()).await? {
            return Ok(());
        }
        let target = self.rotation.target()?;
        self.prepare(&new.account(), Some(&old.id)).await?;
        self.lease.confirm(self.cx).await?;
        let account = old.account();
        let work = target.apply(&account, self.cx);
        let restored = self.observed(Action::Abort, Some(&old.id), work).await;
        if self.accepted(&account).await.unwrap_or(false) {
            return Ok(());
        }
        match restored {
            Err(error) if error.kind().is_transient() => Err(error),
            _ => {
                // A target that remembers old passwords takes none of them back.
                self.enter(State::Verified).await?;
                let message = "the target does not take the old value back";
                Err(Error::new(Kind::Conflict, message).with_hint(
                    "the new one works and is kept: `resolve rotation resume` goes on with it",
                ))
            }
        }
    }

    async fn restore_stores(&mut self, old: &Login, new: &Login) -> Result<()> {
        for store in &self.rotation.stores {
            let found = read_one(store, self.cx).await?;
            let is_new = found
                .as_ref()
                .is_some_and(|it| it.expose() == new.value.expose());
            if !is_new {
                continue;
            }
            self.lease.confirm(self.cx).await?;
            let version = version_of(found.as_ref());
            let work = write(store, &old.value, version, self.cx);
            let link = store.link.clone();
            let written = self
                .observed(Action::Abort, Some(link.as_str()), work)
                .await;
            written.map_err(|error| error.at(link))?;
            self.observer.changed(&self.rotation.name);
        }
        Ok(())
    }

    /// Makes the new value useless.
    async fn retire(&mut self, new: &Login) -> Result<()> {
        let Some(target) = &self.rotation.target else {
            return Ok(());
        };
        if self.rotation.strategy == Strategy::Alternate && !self.accepted(&new.account()).await? {
            return Ok(());
        }
        let old = self.old()?;
        self.prepare(&old.account(), None).await?;
        self.lease.confirm(self.cx).await?;
        let work = async {
            match target.revoke(&new.id, self.cx).await {
                Err(error) if error.kind() == Kind::Unsupported => {
                    let nobody = self.rotation.recipe.make()?;
                    target
                        .apply(&Account::new(new.id.clone(), nobody), self.cx)
                        .await
                }
                done => done,
            }
        };
        self.observed(Action::Abort, Some(&new.id), work).await
    }
}
