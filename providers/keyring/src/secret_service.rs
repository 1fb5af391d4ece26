//! The keyring of Linux desktops: the freedesktop.org Secret Service on the session bus.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use credchain_core::{Context, Listed, Result, Secret};
use tokio::time::timeout;

use crate::config::Settings;
use crate::error::Failure;
use crate::place::Place;
use crate::request::{DefaultKeyring, Delete, List, Read, Request, Write};
use crate::session::{Sessions, address};

/// How long an answer may take that no person has to give.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a person may take who is asked for the keyring's password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_mins(5);

/// A Secret Service, reached on first use.
#[derive(Debug)]
pub(crate) struct Backend {
    explicit: bool,
    /// Whether it was there before: from then on, that it is not there is an outage.
    seen: AtomicBool,
    sessions: Sessions,
}

impl Backend {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            explicit: settings.explicit,
            seen: AtomicBool::new(false),
            sessions: Sessions::default(),
        }
    }

    pub(crate) async fn read(&self, place: Place, cx: &Context) -> Result<Secret> {
        self.answer(&Read(place), cx).await
    }

    pub(crate) async fn write(&self, place: Place, value: Secret, cx: &Context) -> Result<()> {
        self.answer(&Write { place, value }, cx).await
    }

    pub(crate) async fn delete(&self, place: Place, cx: &Context) -> Result<()> {
        self.answer(&Delete(place), cx).await
    }

    pub(crate) async fn list(
        &self,
        own: String,
        everywhere: bool,
        cx: &Context,
    ) -> Result<Vec<Listed>> {
        self.answer(&List { own, everywhere }, cx).await
    }

    async fn answer<R: Request>(&self, request: &R, cx: &Context) -> Result<R::Answer> {
        let patience = if cx.interactive() {
            PATIENCE_WITH_PEOPLE
        } else {
            PATIENCE
        };
        let left = cx.remaining().map_or(patience, |left| left.min(patience));
        let answer = timeout(left, self.ask(request, cx)).await;
        answer.unwrap_or(Err(Failure::Silent)).map_err(|failure| {
            let expected = self.explicit || self.seen.load(Ordering::Relaxed);
            failure.into_error(expected)
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
