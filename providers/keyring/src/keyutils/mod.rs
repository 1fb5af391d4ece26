//! The keyrings of the Linux kernel: in memory, and gone when the machine stops.

mod description;
mod keys;
mod listing;
mod refusal;

use std::sync::atomic::{AtomicBool, Ordering};

use credchain_core::{Capabilities, Context, Listed, Result, Secret, async_trait};

use self::description::Description;
use crate::backend::Backend;
use crate::config::{Ring, Settings};
use crate::error::Failure;
use crate::place::Place;
use crate::provider::CAPABILITIES;
use crate::store::Store;
use crate::worker::Workers;

/// The largest value of a key of the type `user`.
const MAX_VALUE: usize = 32_767;

/// The kernel answers at once, and so what is written first is there first.
const CALLS_AT_ONCE: usize = 1;

/// One of the kernel's keyrings.
#[derive(Debug)]
pub(crate) struct Keyutils {
    ring: Ring,
    explicit: bool,
    /// Whether it was there before: from then on, that it is not there is an outage.
    seen: AtomicBool,
    /// Whether somebody was told that keys do not last.
    told: AtomicBool,
    workers: Workers,
}

impl Keyutils {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            ring: settings.ring,
            explicit: settings.explicit,
            seen: AtomicBool::new(false),
            told: AtomicBool::new(false),
            workers: Workers::new(CALLS_AT_ONCE),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        cx: &Context,
        call: impl FnOnce(&keys::Keys) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let ring = self.ring;
        // On the thread that asks: a keyring is reached through one of that thread's own.
        let work = move || keys::Keys::open(ring).and_then(|keys| call(&keys));
        let answer = self.workers.run(cx, work).await;
        if !matches!(
            answer,
            Err(Failure::NoStore | Failure::Silent | Failure::NoThread)
        ) {
            self.seen.store(true, Ordering::Relaxed);
        }
        answer.map_err(|failure| self.error(failure))
    }

    fn error(&self, failure: Failure) -> credchain_core::Error {
        let expected = self.explicit || self.seen.load(Ordering::Relaxed);
        failure.into_error(Store::Keyutils, expected)
    }

    fn description(&self, place: &Place) -> Result<Description> {
        Description::of(place).map_err(|failure| self.error(failure))
    }
}

#[async_trait]
impl Backend for Keyutils {
    // Not `encrypted`: nothing is at rest here. So nobody stores a credential where it does not
    // last without having named this link.
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = CAPABILITIES.max_value(MAX_VALUE);
        capabilities.encrypted = false;
        capabilities
    }

    async fn read(&self, place: Place, cx: &Context) -> Result<Secret> {
        let description = self.description(&place)?;
        self.ask(cx, move |keys| keys.read(&description)).await
    }

    async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()> {
        let description = self.description(&place)?;
        if value.is_empty() {
            return Err(self.error(Failure::BadValue));
        }
        let written = self.ask(cx, move |keys| keys.write(&description, &value));
        written.await?;
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                until = self.ring.lasts(),
                "the kernel keeps this in memory only"
            );
        }
        Ok(())
    }

    async fn delete(&self, place: Place, cx: &Context) -> Result<()> {
        let description = self.description(&place)?;
        self.ask(cx, move |keys| keys.delete(&description)).await
    }

    async fn list(&self, own: String, everywhere: bool, cx: &Context) -> Result<Vec<Listed>> {
        let places = self.ask(cx, {
            let own = own.clone();
            move |keys| {
                let mut places = listing::places()?;
                places.retain(|place| everywhere || place.service == own);
                keys.within_reach(places)
            }
        });
        let references = places.await?;
        let references = references.iter().filter_map(|place| place.reference(&own));
        Ok(references.map(Listed::new).collect())
    }
}
