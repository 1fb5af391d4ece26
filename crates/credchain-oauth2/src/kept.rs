//! What is kept: looking at it, and giving it up.

use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::{Context, Error, Result};
use tokio::sync::oneshot;

use crate::answer::refusal;
use crate::aside::aside;
use crate::ask::Asker;
use crate::error::Failed;
use crate::form::Form;
use crate::life::Moment;
use crate::renew::Renewal;
use crate::source::{Shared, TokenSource, lost};
use crate::store::Record;

/// What is known of a token without asking for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// When the token that is kept ends, if there is one that has not ended.
    pub expires: Option<SystemTime>,
    /// Whether a person has to log in before there can be another one.
    pub needs_login: bool,
}

/// What came of giving up a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoggedOut {
    /// The server has revoked what was kept.
    Revoked,
    /// It is gone from here only: as far as is known, the server revokes nothing.
    Forgotten,
    /// It is gone from here only: the server could not be asked to revoke it.
    NotRevoked(Error),
}

impl TokenSource {
    /// Tells what is kept. Asks nobody, and waits for nobody.
    pub async fn status(&self, cx: &Context) -> Result<Status> {
        self.aside(cx, async |shared, cx| {
            let record = Renewal::new(&shared, &cx).peek().await?;
            let now = Moment::now(cx.clock());
            let token = record.token(now);
            let token = token.filter(|token| !token.life().left(now).is_zero());
            let interactive = shared.settings.grant.is_interactive();
            Ok(Status {
                expires: token.map(|token| token.expires()),
                needs_login: record.is_over() || interactive && record.refresh_token().is_none(),
            })
        })
        .await
    }

    /// Gives up what is kept: at the server, if that revokes tokens (RFC 7009), and here in any
    /// case.
    ///
    /// # Errors
    /// `NotFound` if nothing is kept.
    pub async fn log_out(&self, cx: &Context) -> Result<LoggedOut> {
        self.aside(cx, async |shared, cx| {
            let mut held = Renewal::new(&shared, &cx).enter().await?;
            if held.record.is_empty() {
                return Err(Error::not_found().into());
            }
            let revoked = revoke(&shared, &held.record, &cx).await;
            held.turn.clear().await?;
            shared.board.forget();
            Ok(match revoked {
                Ok(true) => LoggedOut::Revoked,
                Ok(false) => LoggedOut::Forgotten,
                Err(failed) => LoggedOut::NotRevoked(shared.error(failed)),
            })
        })
        .await
    }

    /// Does work on files where that is allowed, and waits for what comes of it.
    async fn aside<T: Send + 'static>(
        &self,
        cx: &Context,
        work: impl AsyncFnOnce(Arc<Shared>, Context) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T> {
        let (shared, cx) = (self.shared().clone(), cx.clone());
        let (sender, receiver) = oneshot::channel();
        aside(move || async move {
            // Nobody may be there any more to hear it.
            drop(sender.send(work(shared, cx).await));
        })?;
        let answer = receiver.await.unwrap_or_else(|_| Err(lost()));
        answer.map_err(|failed| self.shared().error(failed))
    }
}

/// The refresh token first, with which the server may revoke all that came of it.
async fn revoke(shared: &Shared, record: &Record, cx: &Context) -> Result<bool, Failed> {
    let http = shared.http()?;
    let places = shared.places(&http, cx).await?;
    let Some(place) = &places.revocation else {
        return Ok(false);
    };
    let asker = Asker {
        settings: &shared.settings,
        credentials: &*shared.credentials,
        http: &http,
        places: &places,
        cx,
    };
    let access = record.token(Moment::now(cx.clock()));
    let access = access.map(|token| ("access_token", token.secret().clone()));
    let refresh = record.refresh_token().map(|token| ("refresh_token", token));
    for (kind, token) in refresh.into_iter().chain(access) {
        let form = Form::default()
            .with("token", token.expose())
            .with("token_type_hint", kind);
        let answer = asker.post(place, form, None).await?;
        // A token that the server does not know is as good as revoked, and it says so with 200.
        if let Some(failed) = refusal(&answer) {
            return Err(failed);
        }
    }
    Ok(true)
}
