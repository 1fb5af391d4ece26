//! Noticing that a credential has a new value, without a restart.

use std::time::Duration;

use credchain_core::{Name, Result, Secret};
use tokio::sync::watch;

use crate::Credchain;

/// How often a value is looked at. What is remembered answers most of the time, so that a backend
/// is asked no more often than its link's `cache` says.
const INTERVAL: Duration = Duration::from_secs(10);

/// Who is told that this program itself changed something.
#[derive(Clone, Debug)]
pub(crate) struct Changes(watch::Sender<()>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Changes {
    pub(crate) fn announce(&self) {
        self.0.send_replace(());
    }
}

/// A credential that somebody waits for to change; see [`Credchain::watch`].
#[derive(Debug)]
pub struct Watch {
    credchain: Credchain,
    name: Name,
    seen: Secret,
    interval: Duration,
    changes: watch::Receiver<()>,
}

impl Credchain {
    /// Resolves a credential, and then watches for its next value: for a pool that has to open its
    /// connections anew after a rotation.
    ///
    /// ```no_run
    /// # async fn example() -> credchain::Result<()> {
    /// # let credentials = credchain::Credchain::open().unwrap();
    /// let mut password = credentials.watch(&"db_password".parse().unwrap()).await?;
    /// loop {
    ///     let value = password.current().clone();
    ///     // … open a pool with it, until there is another one …
    ///     password.changed().await?;
    /// #   drop(value);
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn watch(&self, name: &Name) -> Result<Watch> {
        // Listening first, so that a change while it is resolved is not missed.
        let changes = self.changes.0.subscribe();
        Ok(Watch {
            credchain: self.clone(),
            name: name.clone(),
            seen: self.resolver().resolve(name).await.result?,
            interval: INTERVAL,
            changes,
        })
    }
}

impl Watch {
    /// The same, looking as often as this. A link's `cache.ttl` decides how often its backend is
    /// asked.
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The value that was seen last.
    pub fn current(&self) -> &Secret {
        &self.seen
    }

    /// Waits until the value is another one: at once if this program rotates or sets it, else as
    /// soon as a look shows it. A backend that is unavailable is asked again. Can be dropped and
    /// called anew.
    ///
    /// # Errors
    /// As [`Credchain::get`], for what will not pass by itself.
    pub async fn changed(&mut self) -> Result<&Secret> {
        loop {
            let context = self.credchain.resolver().context();
            let clock = context.clock();
            tokio::select! {
                // The sender is part of the `Credchain` that is held here, so it is not gone.
                _ = self.changes.changed() => {}
                () = clock.sleep(self.interval) => {}
            }
            match self.credchain.resolver().resolve(&self.name).await.result {
                Ok(value) if value.same_value(&self.seen) => {}
                Ok(value) => {
                    self.seen = value;
                    return Ok(&self.seen);
                }
                Err(error) if error.kind().is_transient() => {}
                Err(error) => return Err(error),
            }
        }
    }
}
