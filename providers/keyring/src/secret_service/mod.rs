//! The keyring of Linux desktops: the freedesktop.org Secret Service on the session bus.

mod reply;
mod request;
mod session;

use std::sync::atomic::{AtomicBool, Ordering};

use credchain_core::{Capabilities, Context, Listed, Result, Secret, async_trait};
use tokio::time::timeout;

use self::request::{DefaultKeyring, Delete, List, Read, Request, Write};
use self::session::{Sessions, address};
use crate::backend::{Backend, patience};
use crate::config::Settings;
use crate::error::Failure;
use crate::place::Place;
use crate::provider::CAPABILITIES;
use crate::store::Store;

/// A Secret Service, reached on first use.
#[derive(Debug)]
pub(crate) struct SecretService {
    explicit: bool,
    /// Whether it was there before: from then on, that it is not there is an outage.
    seen: AtomicBool,
    sessions: Sessions,
}

impl SecretService {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            explicit: settings.explicit,
            seen: AtomicBool::new(false),
            sessions: Sessions::default(),
        }
    }

    async fn answer<R: Request>(&self, request: &R, cx: &Context) -> Result<R::Answer> {
        let answer = timeout(patience(cx), self.ask(request, cx)).await;
        answer.unwrap_or(Err(Failure::Silent)).map_err(|failure| {
            let expected = self.explicit || self.seen.load(Ordering::Relaxed);
            failure.into_error(Store::SecretService, expected)
        })
    }

    /// Asks, and asks once more if the session turned out to be a thing of the past.
    async fn ask<R: Request>(&self, request: &R, cx: &Context) -> Result<R::Answer, Failure> {
        match self.ask_once(request, cx).await {
            Err(Failure::Stale) => self.ask_once(request, cx).await,
            answer => answer,
        }
    }

    async fn ask_once<R: Request>(&self, request: &R, cx: &Context) -> Result<R::Answer, Failure> {
        let session = self.sessions.at(address(cx)?);
        let answer = async {
            let service = session.service().await?;
            self.seen.store(true, Ordering::Relaxed);
            let keyring = DefaultKeyring::open(service, cx.interactive()).await?;
            request.ask(&keyring).await
        };
        let answer = answer.await;
        if matches!(answer, Err(Failure::Stale | Failure::NoService)) {
            self.sessions.forget(&session);
        }
        answer
    }
}

#[async_trait]
impl Backend for SecretService {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn read(&self, place: Place, cx: &Context) -> Result<Secret> {
        self.answer(&Read(place), cx).await
    }

    async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()> {
        self.answer(&Write { place, value }, cx).await
    }

    async fn delete(&self, place: Place, cx: &Context) -> Result<()> {
        self.answer(&Delete(place), cx).await
    }

    async fn list(&self, own: String, everywhere: bool, cx: &Context) -> Result<Vec<Listed>> {
        self.answer(&List { own, everywhere }, cx).await
    }
}
