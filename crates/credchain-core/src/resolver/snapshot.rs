//! The last values resolved, readable without locks.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::Inner;
use crate::{Clock, Kind, LinkName, Name, Resolution, Secret};

/// How long a value is served without asking its links again, unless the builder says otherwise.
pub(super) const DEFAULT_TTL: Duration = Duration::from_mins(1);

pub(super) struct Snapshots {
    current: ArcSwap<Snapshot>,
    ttl: Duration,
}

/// Values by place; the places by name. Replaced as a whole, never changed.
#[derive(Clone, Default)]
struct Snapshot {
    places: HashMap<Name, usize>,
    values: Vec<Fresh>,
}

#[derive(Clone)]
struct Fresh {
    secret: Secret,
    /// On the monotonic clock.
    until: Duration,
}

/// A value found by [`Resolver::cached`](crate::Resolver::cached).
///
/// It dereferences to the [`Secret`] without counting a reference: a count shared by all threads
/// is what would make such reads slower the more threads there are. Hold it briefly; clone the
/// secret to keep it.
pub struct CachedSecret {
    snapshot: Guard<Arc<Snapshot>>,
    place: usize,
}

impl Snapshots {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            current: ArcSwap::default(),
            ttl,
        }
    }

    pub(super) fn get(&self, name: &Name, clock: &Clock) -> Option<CachedSecret> {
        let snapshot = self.current.load();
        let place = *snapshot.places.get(name)?;
        (snapshot.values.get(place)?.until > clock.monotonic())
            .then_some(CachedSecret { snapshot, place })
    }

    /// Takes in what was just resolved. Undeclared names are left out: they have no bound.
    pub(super) fn learn(&self, inner: &Inner, names: &[Name], resolutions: &[Resolution]) {
        if self.ttl.is_zero() {
            return;
        }
        let now = inner.context.clock().monotonic();
        let news: Vec<_> = names
            .iter()
            .zip(resolutions)
            .filter(|(name, _)| inner.credentials.contains_key(*name))
            .filter_map(|(name, resolution)| match &resolution.result {
                Ok(secret) => Some((name, Some(self.fresh(secret, now, inner.context.clock())))),
                // An outage says nothing about the value; anything else does.
                Err(error) if error.kind().is_transient() => None,
                Err(_) => Some((name, None)),
            })
            .collect();
        if news.is_empty() {
            return;
        }
        let refusals: Vec<Refusal<'_>> = resolutions.iter().filter_map(Refusal::of).collect();
        self.current.rcu(|current| {
            let mut next = Snapshot::clone(current);
            if !refusals.is_empty() {
                next.drop_where(|secret| refusals.iter().any(|refusal| refusal.concerns(secret)));
            }
            for (name, fresh) in &news {
                next.apply(name, fresh.clone());
            }
            next
        });
    }

    /// Drops one value.
    pub(super) fn forget(&self, name: &Name) {
        self.current.rcu(|current| {
            let mut next = Snapshot::clone(current);
            next.apply(name, None);
            next
        });
    }

    /// A secret that ends earlier, or that is stale already, is not kept for the whole time.
    fn fresh(&self, secret: &Secret, now: Duration, clock: &Clock) -> Fresh {
        let meta = secret.meta();
        let left = meta.expires.map_or(self.ttl, |expires| {
            expires
                .duration_since(clock.now())
                .unwrap_or(Duration::ZERO)
                .min(self.ttl)
        });
        let left = if meta.stale.is_some() {
            Duration::ZERO
        } else {
            left
        };
        Fresh {
            secret: secret.clone(),
            until: now.saturating_add(left),
        }
    }
}

/// What a refusal takes away besides the credential that was asked for: all that the link gave
/// if it does not know us any more, all of the same document if that is denied.
struct Refusal<'a> {
    link: &'a LinkName,
    path: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    fn of(resolution: &'a Resolution) -> Option<Self> {
        let error = resolution.result.as_ref().err()?;
        let link = error.link()?;
        let place = resolution.trace.steps.last()?.reference.as_ref();
        match error.kind() {
            Kind::Unauthenticated => Some(Self { link, path: None }),
            Kind::Denied => Some(Self {
                link,
                path: Some(place?.path()),
            }),
            _ => None,
        }
    }

    fn concerns(&self, secret: &Secret) -> bool {
        let meta = secret.meta();
        let same_path = |path: &str| meta.reference.as_ref().is_some_and(|r| r.path() == path);
        meta.link.as_ref() == Some(self.link) && self.path.is_none_or(same_path)
    }
}

impl Snapshot {
    fn drop_where(&mut self, gone: impl Fn(&Secret) -> bool) {
        for value in self.values.iter_mut().filter(|value| gone(&value.secret)) {
            *value = Fresh::gone();
        }
    }

    fn apply(&mut self, name: &Name, fresh: Option<Fresh>) {
        match (self.places.get(name).copied(), fresh) {
            (Some(place), Some(fresh)) => self.values[place] = fresh,
            (None, Some(fresh)) => {
                self.places.insert(name.clone(), self.values.len());
                self.values.push(fresh);
            }
            (Some(place), None) => {
                // The value goes, the place stays: other places must not move.
                self.values[place] = Fresh::gone();
            }
            (None, None) => {}
        }
    }
}

impl Fresh {
    fn gone() -> Self {
        Self {
            secret: Secret::new(""),
            until: Duration::ZERO,
        }
    }
}

impl Deref for CachedSecret {
    type Target = Secret;

    fn deref(&self) -> &Secret {
        &self.snapshot.values[self.place].secret
    }
}

impl fmt::Debug for CachedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedSecret(***)")
    }
}
