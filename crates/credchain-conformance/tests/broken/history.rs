//! A store that keeps a history, with one flaw.

use std::collections::BTreeMap;
use std::sync::Mutex;

use credchain_core::{
    Capabilities, Context, Error, Kind, Provider, Reference, Result, Secret, SetOptions, Version,
    VersionState, Versioned, async_trait,
};

/// What is wrong with a [`Kept`] store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slip {
    Nothing,
    OldestFirst,
    ForgetsTheCurrent,
    ListsWhatIsDisabled,
    ReadsWhatIsDisabled,
    ReadsWhatIsDestroyed,
    ReadsAnotherVersion,
    DestroysEverything,
    DestroysTheMissing,
}

/// A store in memory that keeps every version.
#[derive(Debug)]
pub(crate) struct Kept {
    slip: Slip,
    revisions: Mutex<BTreeMap<Reference, Vec<Revision>>>,
}

#[derive(Clone, Debug)]
struct Revision {
    version: Version,
    value: Secret,
    enabled: bool,
    destroyed: bool,
}

impl Kept {
    pub(crate) fn new(slip: Slip) -> Self {
        Self {
            slip,
            revisions: Mutex::default(),
        }
    }

    fn change(
        &self,
        reference: &Reference,
        version: &Version,
        change: impl Fn(&mut Revision),
    ) -> Result<()> {
        let mut all = self.revisions.lock().unwrap();
        let revisions = all.get_mut(reference).ok_or_else(Error::not_found)?;
        let found = revisions
            .iter_mut()
            .find(|revision| revision.version == *version);
        match found {
            Some(revision) => change(revision),
            None if self.slip == Slip::DestroysTheMissing => {}
            None => return Err(Error::not_found()),
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Kept {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only().writable().versioned()
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        let all = self.revisions.lock().unwrap();
        let place = reference.clone().without_version();
        let revisions = all.get(&place).ok_or_else(Error::not_found)?;
        let wanted = |revision: &&Revision| match reference.version() {
            Some(version) => revision.version == *version,
            None => !revision.destroyed && revision.enabled,
        };
        let found = revisions
            .iter()
            .rev()
            .find(wanted)
            .ok_or_else(Error::not_found)?;
        if !found.enabled && self.slip != Slip::ReadsWhatIsDisabled {
            return Err(Error::new(Kind::NotFound, "the version is disabled"));
        }
        if found.destroyed && self.slip != Slip::ReadsWhatIsDestroyed {
            return Err(Error::not_found());
        }
        match (self.slip, revisions.last()) {
            (Slip::ReadsAnotherVersion, Some(last)) => Ok(last.value.clone()),
            _ => Ok(found.value.clone()),
        }
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        _: &SetOptions,
        _: &Context,
    ) -> Result<Version> {
        let mut all = self.revisions.lock().unwrap();
        let revisions = all.entry(reference.clone()).or_default();
        let version = Version::number(revisions.len() as u64 + 1);
        let (value, version_told) = (value.clone(), version.clone());
        revisions.push(Revision {
            version,
            value,
            enabled: true,
            destroyed: false,
        });
        Ok(version_told)
    }

    fn as_versioned(&self) -> Option<&dyn Versioned> {
        Some(self)
    }
}

#[async_trait]
impl Versioned for Kept {
    async fn versions(&self, reference: &Reference, _: &Context) -> Result<Vec<VersionState>> {
        let all = self.revisions.lock().unwrap();
        let revisions = all.get(reference).ok_or_else(Error::not_found)?;
        let mut states: Vec<_> = revisions
            .iter()
            .rev()
            .filter(|revision| !revision.destroyed)
            .map(|revision| {
                let mut state = VersionState::new(revision.version.clone());
                state.enabled = revision.enabled || self.slip == Slip::ListsWhatIsDisabled;
                state
            })
            .collect();
        match self.slip {
            Slip::OldestFirst => states.reverse(),
            Slip::ForgetsTheCurrent => drop(states.remove(0)),
            _ => {}
        }
        Ok(states)
    }

    async fn stage(&self, _: &Reference, _: &Version, _: &str, _: &Context) -> Result<()> {
        Err(Error::unsupported("staging"))
    }

    async fn disable(&self, reference: &Reference, version: &Version, _: &Context) -> Result<()> {
        self.change(reference, version, |revision| revision.enabled = false)
    }

    async fn destroy(&self, reference: &Reference, version: &Version, _: &Context) -> Result<()> {
        if self.slip == Slip::DestroysEverything {
            self.revisions.lock().unwrap().remove(reference);
            return Ok(());
        }
        self.change(reference, version, |revision| revision.destroyed = true)
    }
}
