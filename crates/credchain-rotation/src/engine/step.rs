//! From a plan to a value that works.

use std::time::SystemTime;

use credchain_core::{Account, Error, Issued, Kind, Result, Verdict};

use super::work::{Came, Work};
use super::{Action, begin, probe};
use crate::point::point;
use crate::record::{CLOCK_SKEW, Login, State, Strategy, moment};

/// How many values a target may refuse before it is taken at its word.
const MOST_REFUSALS: u32 = 3;

impl Work<'_> {
    /// A value of our own is kept before anybody accepts it, an issuer's as soon as it is known.
    pub(super) async fn store_pending(&mut self) -> Result<Came> {
        if self.rotation.strategy == Strategy::Issue {
            return self.issue().await;
        }
        let old = self.old()?;
        let id = begin::next_account(self.rotation, &old.account())?.unwrap_or_default();
        let secret = self.rotation.recipe.make()?;
        let account = Account::new(id, secret);
        let value = self.rotation.form.write(&old.value, &account)?;
        self.keep_pending(account, value).await
    }

    async fn keep_pending(
        &mut self,
        account: Account,
        value: credchain_core::Secret,
    ) -> Result<Came> {
        self.tell(&[&account.secret, &value]);
        let object = account.id.clone();
        self.run_mut()?.new = Some(Login {
            id: account.id,
            secret: account.secret,
            value,
        });
        self.observed(Action::StorePending, Some(&object), async { Ok(()) })
            .await?;
        point!("before the pending value is kept");
        self.enter(State::PendingStored).await?;
        point!("after the pending value is kept");
        Ok(Came::Further)
    }

    async fn issue(&mut self) -> Result<Came> {
        let target = self.rotation.target()?;
        let old = self.old()?;
        if let Some(before) = self.run_ref()?.listed.clone() {
            self.remove_orphans(&before).await?;
        }
        let keys = target.issued(self.cx).await?;
        if let Some(limit) = target.abilities().limit
            && keys.len() >= limit
        {
            return Err(full(&keys, limit, &old.id));
        }
        self.run_mut()?.listed = Some(keys.into_iter().map(|key| key.id).collect());
        self.lease.save(self.cx).await?;
        point!("before a key is issued");
        let tag = self.run_ref()?.id.clone();
        let work = target.issue(&tag, self.cx);
        let account = self.observed(Action::Issue, None, work).await?;
        point!("after a key is issued");
        let id = account.id.clone();
        let value = self.rotation.form.write(&old.value, &account)?;
        let kept = self.keep_pending(account, value).await;
        if kept
            .as_ref()
            .is_err_and(|error| error.kind() != Kind::Conflict)
        {
            // Only we know it, and we cannot keep it.
            if let Err(error) = target.revoke(&id, self.cx).await {
                tracing::warn!("a key that could not be kept could not be revoked: {error}");
            } else {
                self.run_mut()?.new = None;
                self.run_mut()?.state = State::Planned;
            }
        }
        kept
    }

    /// Keys that were issued to us, and whose secret nobody knows.
    pub(super) async fn remove_orphans(&self, before: &[String]) -> Result<()> {
        let target = self.rotation.target()?;
        let run = self.run_ref()?;
        let since = moment(run.started).checked_sub(CLOCK_SKEW);
        for key in target.issued(self.cx).await? {
            let kept = run.new.as_ref().is_some_and(|new| new.id == key.id);
            if before.contains(&key.id) || kept {
                continue;
            }
            match is_orphan(&key, &run.id, since) {
                Some(true) => target.revoke(&key.id, self.cx).await?,
                Some(false) => {}
                None => {
                    let message = format!(
                        "the issuer lists the key `{}`, and nobody can tell who asked for it",
                        credchain_core::printable(&key.id)
                    );
                    return Err(Error::new(Kind::Conflict, message).with_hint(
                        "revoke it by hand if it is not in use, then `resolve rotation resume`",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The target learns the new value.
    pub(super) async fn apply(&mut self) -> Result<Came> {
        if matches!(
            self.rotation.strategy,
            Strategy::Issue | Strategy::Versioned
        ) {
            return self.enter(State::Applied).await;
        }
        let target = self.rotation.target()?;
        let (old, new) = (self.old()?.account(), self.new_login()?.account());
        if self.accepted(&new).await? {
            return self.enter(State::Applied).await;
        }
        if self.rotation.strategy == Strategy::Swap && !self.accepted(&old).await? {
            return self.orphan().await;
        }
        self.prepare(&old, Some(&new.id)).await?;
        self.lease.confirm(self.cx).await?;
        point!("before the value is applied");
        let applied = self
            .observed(Action::Apply, Some(&new.id), target.apply(&new, self.cx))
            .await;
        point!("after the value is applied");
        match applied {
            Ok(()) => self.enter(State::Applied).await,
            Err(error) if error.kind() == Kind::Invalid => self.choose_again(error).await,
            // The reply may have been lost, and not the request.
            Err(error) if error.kind().is_transient() => match self.accepted(&new).await {
                Ok(true) => self.enter(State::Applied).await,
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The target refuses the value itself: another one may please it.
    async fn choose_again(&mut self, error: Error) -> Result<Came> {
        let run = self.run_mut()?;
        run.refusals += 1;
        run.new = None;
        if run.refusals < MOST_REFUSALS {
            return self.enter(State::Planned).await;
        }
        self.enter(State::Aborting).await?;
        self.undo().await?;
        Err(error.with_hint(
            "the target refused several values: `length`, `alphabet` and `must_contain` say what \
             they are made of; nothing was changed",
        ))
    }

    /// A login proves that the new value works, and another one that a wrong value does not.
    pub(super) async fn verify(&mut self) -> Result<Came> {
        if self.rotation.strategy == Strategy::Versioned {
            return self.enter(State::Verified).await;
        }
        let (old, new) = (self.old()?.account(), self.new_login()?.account());
        let verdict = self.settled(&new).await?;
        let judged = match verdict {
            Verdict::Accepted => probe::refuses_what_is_wrong(self.rotation, &new, self.cx).await,
            _ => Err(Error::new(
                Kind::Invalid,
                "the target says that it took the new value, and refuses it",
            )),
        };
        let judged = self
            .observed(Action::Verify, Some(&new.id), async { judged })
            .await;
        let Err(error) = judged else {
            point!("before the verdict is kept");
            self.enter(State::Verified).await?;
            point!("after the verdict is kept");
            return Ok(Came::Further);
        };
        if error.kind().is_transient() {
            return Err(error);
        }
        if self.rotation.strategy == Strategy::Swap
            && verdict != Verdict::Accepted
            && !self.accepted(&old).await?
        {
            return self.orphan().await;
        }
        self.enter(State::Aborting).await?;
        self.undo().await?;
        Err(error.with_hint("nothing was changed for readers: the old value is still current"))
    }

    pub(super) async fn orphan(&mut self) -> Result<Came> {
        self.enter(State::Orphaned).await?;
        Err(orphaned())
    }

    /// What nobody accepted may be accepted by now: somebody repaired it.
    pub(super) async fn find_again(&mut self) -> Result<Came> {
        let (old, new) = (self.old()?.account(), self.new_login()?.account());
        if self.accepted(&new).await? {
            return self.enter(State::Applied).await;
        }
        if self.accepted(&old).await? {
            return self.enter(State::PendingStored).await;
        }
        Err(orphaned())
    }

    /// The backend rotates what it owns.
    pub(super) async fn delegate(&mut self) -> Result<Came> {
        let target = self.rotation.target()?;
        let since = moment(self.run_ref()?.started);
        point!("before the value is applied");
        let work = async {
            target.rotate(since, self.cx).await?;
            let rotated = target.rotated(self.cx).await?;
            let happened = rotated.is_some_and(|rotated| rotated + CLOCK_SKEW >= since);
            if happened {
                return Ok(());
            }
            let message = "the backend says that it rotated, and shows an older date";
            Err(Error::new(Kind::Unavailable, message))
        };
        self.observed(Action::Apply, None, work).await?;
        point!("after the value is applied");
        self.observer.changed(&self.rotation.name);
        self.enter(State::OldRevoked).await
    }

    pub(super) fn old(&self) -> Result<Login> {
        let old = self.run_ref()?.old.clone();
        old.ok_or_else(|| Error::new(Kind::Internal, "a rotation has lost the old value"))
    }

    pub(super) fn new_login(&self) -> Result<Login> {
        let new = self.run_ref()?.new.clone();
        new.ok_or_else(|| Error::new(Kind::Internal, "a rotation has lost the new value"))
    }
}

/// Whether a key was issued to this rotation; nothing if that cannot be said.
fn is_orphan(key: &Issued, tag: &str, since: Option<SystemTime>) -> Option<bool> {
    if let Some(found) = &key.tag {
        return Some(found == tag);
    }
    if key.used.is_some() {
        return Some(false);
    }
    let created = key.created?;
    since.map(|since| created >= since)
}

fn full(keys: &[Issued], limit: usize, current: &str) -> Error {
    let others: Vec<_> = keys
        .iter()
        .filter(|key| key.id != current)
        .map(|key| format!("`{}`", credchain_core::printable(&key.id)))
        .collect();
    let message = format!(
        "the issuer holds {} keys, and its limit is {limit}",
        keys.len()
    );
    Error::new(Kind::Conflict, message).with_hint(format!(
        "revoke one that is not in use: {}",
        if others.is_empty() {
            "none but the current one is listed".into()
        } else {
            others.join(", ")
        }
    ))
}

fn orphaned() -> Error {
    Error::new(
        Kind::Conflict,
        "the target accepts neither the old nor the new value: a person has to look",
    )
    .with_hint(
        "both values are kept; make the target accept one of them, then `resolve rotation resume`",
    )
}
