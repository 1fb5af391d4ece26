//! From a value that works to readers that get it.

use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};

use super::begin::{read_one, version_of};
use super::work::{Came, Work};
use super::{Action, Store};
use crate::point::point;
use crate::record::{Current, Login, State, seconds};

/// How often a store is written that others write as well.
const ATTEMPTS: u32 = 5;

impl Work<'_> {
    /// Every store gets the new value; only then it counts.
    pub(super) async fn promote(&mut self) -> Result<Came> {
        let (old, new) = (self.old()?, self.new_login()?);
        for number in 0..self.rotation.stores.len() {
            let store = &self.rotation.stores[number];
            if !self.promote_one(store, number, &old, &new).await? {
                self.enter(State::Aborting).await?;
                self.undo().await?;
                let message = format!(
                    "somebody else stored another value at `{}`, which the target accepts",
                    store.link
                );
                return Err(Error::new(Kind::Conflict, message)
                    .with_hint("that value is left alone, and this rotation undone"));
            }
        }
        let created = seconds(self.cx.clock().now());
        self.document().current = Some(Current {
            id: new.id.clone(),
            created,
        });
        self.enter(State::Promoted).await?;
        point!("after readers have it");
        self.observer.changed(&self.rotation.name);
        Ok(Came::Further)
    }

    /// Whether the store holds the new value now; it does not if somebody else's works there.
    async fn promote_one(
        &mut self,
        store: &Store,
        number: usize,
        old: &Login,
        new: &Login,
    ) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let found = read_one(store, self.cx).await?;
            let is = |value: &Secret| {
                found
                    .as_ref()
                    .is_some_and(|found| found.expose() == value.expose())
            };
            if is(&new.value) {
                return self
                    .note_written(number, version_of(found.as_ref()))
                    .await
                    .map(|()| true);
            }
            if !is(&old.value)
                && let Some(third) = &found
                && self.works(third).await?
            {
                return Ok(false);
            }
            self.lease.confirm(self.cx).await?;
            point!("before readers get it");
            let link = store.link.as_str();
            let written = write(store, &new.value, version_of(found.as_ref()), self.cx);
            match self.observed(Action::Promote, Some(link), written).await {
                // It is read back in the next round.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), Kind::Conflict) => {}
                Err(error) if error.kind().is_transient() => {
                    let now = read_one(store, self.cx).await.ok().flatten();
                    if now.is_none_or(|now| now.expose() != new.value.expose()) {
                        return Err(error.at(store.link.clone()));
                    }
                }
                Err(error) => return Err(error.at(store.link.clone())),
            }
            point!("after a store is written");
        }
        let message =
            "the store does not hold what was written to it, or others write to it as well";
        Err(Error::new(Kind::Conflict, message).at(store.link.clone()))
    }

    async fn note_written(&mut self, number: usize, version: Option<String>) -> Result<()> {
        let Some(stored) = self.run_mut()?.stores.get_mut(number) else {
            return Err(Error::new(
                Kind::Conflict,
                "the configuration names more stores than when this rotation began",
            ));
        };
        stored.written = true;
        stored.version = version;
        self.lease.save(self.cx).await
    }

    /// Whether the target accepts somebody else's value.
    async fn works(&self, value: &Secret) -> Result<bool> {
        if self.rotation.target.is_none() {
            return Ok(true);
        }
        let known = self.rotation.accounts.first().map(String::as_str);
        match self.rotation.form.read(value, known) {
            Ok(account) => self.accepted(&account).await,
            Err(_) => Ok(false),
        }
    }

    /// Whether every store still holds the new value: what must be true before the old one goes.
    pub(super) async fn readers_have_it(&self) -> Result<()> {
        let new = self.new_login()?;
        for store in &self.rotation.stores {
            let found = read_one(store, self.cx).await?;
            if found.is_none_or(|found| found.expose() != new.value.expose()) {
                return Err(Error::new(
                    Kind::Conflict,
                    "the store no longer holds the new value, so the old one is left alone",
                )
                .at(store.link.clone())
                .with_hint("`resolve explain` shows what readers get"));
            }
        }
        Ok(())
    }
}

/// Writes a value in the place of a version.
pub(super) async fn write(
    store: &Store,
    value: &Secret,
    version: Option<String>,
    cx: &credchain_core::Context,
) -> Result<Version> {
    let expect = match version {
        _ if !store.provider.capabilities().compare_and_set => Expect::Any,
        Some(version) => Expect::Version(Version::new(version)?),
        None => Expect::Absent,
    };
    let options = SetOptions::expecting(expect);
    store.writer().set(&store.place, value, &options, cx).await
}
