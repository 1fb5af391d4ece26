//! What is remembered, how old it is, and what goes first when there is too much of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::super::around::Change;
use super::CacheSettings;
use crate::{Context, Error, Reference, Result, Secret};

/// What an entry occupies besides its value and its reference, roughly.
const OVERHEAD: usize = 256;

/// How many of the longest unused entries each new one looks at, to drop those past all use. So
/// an old value does not stay in memory merely because nobody asks for it.
const SWEEP: usize = 2;

/// What the store has for a reference.
pub(super) enum Found {
    /// An answer that needs no backend.
    Fresh(Result<Secret>),
    /// A value to serve now, and to refresh.
    Soft(Secret),
    /// Nothing that may be served without asking first.
    Nothing,
}

pub(super) struct Store {
    settings: CacheSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ordered, so that the entries of one path stand together.
    entries: BTreeMap<Reference, Entry>,
    /// The entries by their last use, longest ago first.
    order: BTreeMap<u64, Reference>,
    size: usize,
    /// Reads under way that may still fill an entry. A write or a refusal removes them, and with
    /// them the right of a read that began before to bring an old value back.
    open: HashMap<u64, Reference>,
    last_id: u64,
}

struct Entry {
    answer: Result<Secret>,
    fetched: Duration,
    expiry: Option<Expiry>,
    next_refresh: Duration,
    used: u64,
    size: usize,
}

/// The end of a value's own life on both clocks. The monotonic one may stand still while the
/// machine sleeps and the wall clock may be set back; whichever gets there first counts.
struct Expiry {
    wall: SystemTime,
    monotonic: Duration,
}

struct Moment {
    wall: SystemTime,
    monotonic: Duration,
}

/// A read under way.
pub(super) struct Ticket<'a> {
    store: &'a Store,
    id: u64,
    reference: &'a Reference,
}

impl Store {
    pub(super) fn new(settings: CacheSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// What may be served without asking the backend.
    pub(super) fn find(&self, reference: &Reference, cx: &Context) -> Found {
        let now = Moment::of(cx);
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(reference) else {
            return Found::Nothing;
        };
        if self.is_dead(entry, &now) {
            state.remove(reference);
            return Found::Nothing;
        }
        let age = entry.age(&now);
        let answer = entry.answer.clone();
        let found = match answer {
            Ok(_) if age >= self.settings.hard_ttl => return Found::Nothing,
            Ok(secret) if age >= self.settings.ttl && now.monotonic >= entry.next_refresh => {
                entry.next_refresh = now.monotonic.saturating_add(self.refresh_pause());
                Found::Soft(secret)
            }
            answer => Found::Fresh(answer),
        };
        state.touch(reference);
        found
    }

    /// An answer too young to be fetched again, whoever asks.
    pub(super) fn fresh(&self, reference: &Reference, cx: &Context) -> Option<Result<Secret>> {
        let now = Moment::of(cx);
        let state = self.lock();
        let entry = state.entries.get(reference)?;
        let young = entry.answer.is_err() || entry.age(&now) < self.settings.ttl;
        (young && !self.is_dead(entry, &now)).then(|| entry.answer.clone())
    }

    /// The value to bridge an outage with, if it is young enough.
    pub(super) fn stale(&self, reference: &Reference, cx: &Context) -> Option<Secret> {
        let now = Moment::of(cx);
        let mut state = self.lock();
        let entry = state.entries.get(reference)?;
        let (age, secret) = (entry.age(&now), entry.answer.clone().ok()?);
        if entry.has_expired(&now) {
            return None;
        }
        let secret = match self.settings.max_stale {
            // Another read was luckier in the meantime.
            _ if age < self.settings.hard_ttl => secret,
            Some(max) if age <= max => secret.with_meta(|meta| meta.stale = Some(age)),
            _ => return None,
        };
        state.touch(reference);
        Some(secret)
    }

    /// Announces a read that may fill an entry when it is over.
    pub(super) fn ticket<'a>(&'a self, reference: &'a Reference) -> Ticket<'a> {
        let mut state = self.lock();
        let id = state.next_id();
        state.open.insert(id, reference.clone());
        Ticket {
            store: self,
            id,
            reference,
        }
    }

    /// Remembers a value.
    pub(super) fn put(&self, ticket: &Ticket<'_>, secret: &Secret, cx: &Context) {
        let now = Moment::of(cx);
        let expiry = secret.meta().expires.map(|wall| Expiry::new(wall, &now));
        // Marked once here, so that a hit copies nothing.
        let kept = secret.clone().with_meta(|meta| {
            meta.cached = true;
            meta.stale = None;
        });
        self.insert(ticket, Ok(kept), expiry, &now);
    }

    /// Remembers that there is no value, if that is wanted, and that there is none any more.
    pub(super) fn put_miss(&self, ticket: &Ticket<'_>, error: &Error, cx: &Context) {
        self.insert(ticket, Err(error.clone()), None, &Moment::of(cx));
    }

    /// Drops what a write changed.
    pub(super) fn forget(&self, change: Change<'_>) {
        let mut state = self.lock();
        match change {
            Change::Path(_) => state.drop_where(
                |reference, _| change.concerns_path(reference.path()),
                |reference| change.concerns_path(reference.path()),
            ),
            Change::Lease(_) | Change::Leases => state.drop_where(
                |_, entry| {
                    let lease = entry
                        .answer
                        .as_ref()
                        .ok()
                        .and_then(|s| s.meta().lease.as_deref());
                    lease.is_some_and(|lease| change.concerns_lease(lease))
                },
                // The lease of a read under way is not known yet.
                |_| true,
            ),
        }
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        let last_id = state.last_id;
        *state = State {
            last_id,
            ..State::default()
        };
    }

    fn insert(
        &self,
        ticket: &Ticket<'_>,
        answer: Result<Secret>,
        expiry: Option<Expiry>,
        now: &Moment,
    ) {
        let reference = ticket.reference;
        let value = answer.as_ref().map_or(0, |secret| secret.expose().len());
        let names = reference.path().len() + reference.field().map_or(0, str::len);
        let mut state = self.lock();
        if state.open.remove(&ticket.id).is_none() {
            return;
        }
        state.remove(reference);
        let used = state.next_id();
        let entry = Entry {
            answer,
            fetched: now.monotonic,
            expiry,
            next_refresh: Duration::ZERO,
            used,
            size: value + names + OVERHEAD,
        };
        // Too large alone, or over already: it must not push out what is of use.
        if entry.size > self.settings.max_size || self.is_dead(&entry, now) {
            return;
        }
        state.size += entry.size;
        state.order.insert(used, reference.clone());
        state.entries.insert(reference.clone(), entry);
        self.shrink(&mut state, now);
    }

    fn shrink(&self, state: &mut State, now: &Moment) {
        let oldest: Vec<_> = state.order.values().take(SWEEP).cloned().collect();
        for reference in &oldest {
            if state
                .entries
                .get(reference)
                .is_some_and(|entry| self.is_dead(entry, now))
            {
                state.remove(reference);
            }
        }
        while state.entries.len() > self.settings.max_entries || state.size > self.settings.max_size
        {
            let Some(oldest) = state.order.values().next().cloned() else {
                return;
            };
            state.remove(&oldest);
        }
    }

    /// Whether nothing can make the entry of use again.
    fn is_dead(&self, entry: &Entry, now: &Moment) -> bool {
        let age = entry.age(now);
        if entry.answer.is_err() {
            return age >= self.settings.negative_ttl.unwrap_or_default();
        }
        let too_stale = self.settings.max_stale.is_none_or(|max| age > max);
        entry.has_expired(now) || (age >= self.settings.hard_ttl && too_stale)
    }

    /// How long a refresh that failed in the background is not tried again.
    fn refresh_pause(&self) -> Duration {
        (self.settings.ttl / 10).clamp(Duration::from_secs(1), Duration::from_secs(30))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn touch(&mut self, reference: &Reference) {
        let used = self.next_id();
        if let Some(entry) = self.entries.get_mut(reference) {
            let before = std::mem::replace(&mut entry.used, used);
            if let Some(reference) = self.order.remove(&before) {
                self.order.insert(used, reference);
            }
        }
    }

    fn remove(&mut self, reference: &Reference) {
        if let Some(entry) = self.entries.remove(reference) {
            self.order.remove(&entry.used);
            self.size -= entry.size;
        }
    }

    fn drop_where(
        &mut self,
        entry_is_affected: impl Fn(&Reference, &Entry) -> bool,
        read_is_affected: impl Fn(&Reference) -> bool,
    ) {
        let affected = self
            .entries
            .iter()
            .filter(|(r, entry)| entry_is_affected(r, entry));
        let affected: Vec<_> = affected.map(|(reference, _)| reference.clone()).collect();
        for reference in &affected {
            self.remove(reference);
        }
        self.open
            .retain(|_, reference| !read_is_affected(reference));
    }
}

impl Entry {
    fn age(&self, now: &Moment) -> Duration {
        now.monotonic.saturating_sub(self.fetched)
    }

    fn has_expired(&self, now: &Moment) -> bool {
        self.expiry
            .as_ref()
            .is_some_and(|end| now.wall >= end.wall || now.monotonic >= end.monotonic)
    }
}

impl Expiry {
    fn new(wall: SystemTime, now: &Moment) -> Self {
        let left = wall.duration_since(now.wall).unwrap_or_default();
        Self {
            wall,
            monotonic: now.monotonic.saturating_add(left),
        }
    }
}

impl Moment {
    fn of(cx: &Context) -> Self {
        Self {
            wall: cx.clock().now(),
            monotonic: cx.clock().monotonic(),
        }
    }
}

impl Ticket<'_> {
    pub(super) fn reference(&self) -> &Reference {
        self.reference
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.store.lock().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn moment(wall: Duration, monotonic: Duration) -> Moment {
        Moment {
            wall: SystemTime::UNIX_EPOCH + wall,
            monotonic,
        }
    }

    fn entry(expires: SystemTime, now: &Moment) -> Entry {
        Entry {
            answer: Ok(Secret::new("v")),
            fetched: now.monotonic,
            expiry: Some(Expiry::new(expires, now)),
            next_refresh: Duration::ZERO,
            used: 0,
            size: 0,
        }
    }

    #[test]
    fn a_wall_clock_set_back_extends_no_life() {
        let entry = entry(
            SystemTime::UNIX_EPOCH + MINUTE * 70,
            &moment(MINUTE * 60, MINUTE),
        );
        assert!(!entry.has_expired(&moment(MINUTE, MINUTE * 10)));
        assert!(entry.has_expired(&moment(MINUTE, MINUTE * 11)));
        assert_eq!(entry.age(&moment(MINUTE, MINUTE * 11)), MINUTE * 10);
    }

    #[test]
    fn a_monotonic_clock_that_slept_extends_no_life() {
        let entry = entry(
            SystemTime::UNIX_EPOCH + MINUTE * 70,
            &moment(MINUTE * 60, MINUTE),
        );
        assert!(!entry.has_expired(&moment(MINUTE * 69, MINUTE)));
        assert!(entry.has_expired(&moment(MINUTE * 70, MINUTE)));
    }

    #[test]
    fn what_is_past_all_use_does_not_stay_because_nobody_asks() {
        let manual = crate::ManualClock::new();
        let cx = Context::system().with_clock(manual.clock());
        let store = Store::new(CacheSettings::new(MINUTE));
        let fill = |name: &str| {
            let reference: Reference = name.parse().unwrap();
            store.put(&store.ticket(&reference), &Secret::new("v"), &cx);
        };
        (0..10).for_each(|n| fill(&format!("old{n}")));
        manual.advance(MINUTE * 2);
        (0..5).for_each(|n| fill(&format!("new{n}")));
        let state = store.lock();
        assert_eq!(state.entries.len(), 5);
        assert_eq!(state.order.len(), 5);
        assert!(state.open.is_empty());
        assert_eq!(
            state.size,
            state
                .entries
                .values()
                .map(|entry| entry.size)
                .sum::<usize>()
        );
    }
}
