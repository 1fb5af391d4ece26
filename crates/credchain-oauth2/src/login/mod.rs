//! A person logs in, and what comes of it is kept for the programs that come later.

mod browser;
mod device;
mod loopback;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use credchain_core::{Context, Error, Result};
use tokio::sync::oneshot;

use crate::answer::Granted;
use crate::aside::aside;
use crate::ask::Asker;
use crate::config::Grant;
use crate::error::{Failed, Failure, Need};
use crate::flight::Answer;
use crate::renew::{Held, Renewal};
use crate::source::{Shared, TokenSource, lost};
use crate::store::Record;
use crate::token::Token;

/// Shows a person what to do for a login.
pub trait Show: fmt::Debug + Send + Sync {
    /// Shows it and returns; the login goes on meanwhile.
    ///
    /// # Security
    /// The text comes from the server. There are no control characters in it, and every address is
    /// one that a browser may open; it must never be passed through a shell.
    fn show(&self, step: &Step) -> Result<()>;
}

/// What a person has to do for a login.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Opens an address on any device, and enters a code there.
    #[non_exhaustive]
    Device {
        /// The address to open.
        url: String,
        /// The code to enter there.
        code: String,
        /// The same address with the code in it, for a link or a picture.
        complete: Option<String>,
        /// How long there is for it.
        left: Duration,
    },
    /// Opens an address in a browser on this machine.
    #[non_exhaustive]
    Browser {
        /// The address to open.
        url: String,
        /// How long there is for it.
        left: Duration,
    },
}

impl fmt::Debug for Step {
    // Whoever has the code or the address can finish the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device { .. } => "Device",
            Self::Browser { .. } => "Browser",
        })
    }
}

impl TokenSource {
    /// Logs a person in, and keeps what comes of it. One at a time does so, among all that use the
    /// same store: whoever comes meanwhile waits, and has the same token then.
    ///
    /// # Errors
    /// `Unsupported` where no person has to log in; `Denied` if the person refused;
    /// `Unauthenticated` if it was not finished in time.
    ///
    /// # Cancellation
    /// Dropping the future ends the login; what was kept before is still there.
    pub async fn log_in(&self, show: Arc<dyn Show>, cx: &Context) -> Result<Token> {
        if !self.shared().settings.grant.is_interactive() {
            return Err(Error::unsupported("a person's login with this grant"));
        }
        let (shared, cx) = (self.shared().clone(), cx.clone());
        let (mut sender, receiver) = oneshot::channel();
        aside(move || async move {
            let answer = tokio::select! {
                answer = log_in(&shared, &*show, &cx) => answer,
                () = sender.closed() => return,
            };
            // Nobody may be there any more to hear it.
            drop(sender.send(answer));
        })?;
        let answer = receiver.await.unwrap_or_else(|_| Err(lost()));
        answer.map_err(|failed| self.shared().error(failed))
    }
}

async fn log_in(shared: &Shared, show: &dyn Show, cx: &Context) -> Answer {
    let renewal = Renewal::new(shared, cx);
    let before = renewal.peek().await?;
    // The turn for logins, not that for tokens: a person takes minutes.
    let logins = shared.key.of_logins();
    let turn = shared.store.0.enter(&logins, &|_| false, cx).await?;
    let answer = log_in_alone(shared, show, &renewal, &before, cx).await;
    if let Some(mut turn) = turn {
        turn.leave().await;
    }
    answer
}

async fn log_in_alone(
    shared: &Shared,
    show: &dyn Show,
    renewal: &Renewal<'_>,
    before: &Record,
    cx: &Context,
) -> Answer {
    let now = renewal.peek().await?;
    if now.generation > before.generation
        && let Some(token) = renewal.good(&now)
    {
        return Ok(token);
    }
    let http = shared.http()?;
    let places = shared.places(&http, cx).await?;
    let login = Login {
        asker: Asker {
            settings: &shared.settings,
            credentials: &*shared.credentials,
            http: &http,
            places: &places,
            cx,
        },
        show,
    };
    let granted = match shared.settings.grant {
        Grant::DeviceCode => login.on_a_device().await?,
        _ => login.in_a_browser().await?,
    };
    let mut held: Held = renewal.enter().await?;
    held.record.begin_again();
    let token = renewal.book(held, &granted, None).await?;
    shared.board.publish(&token);
    Ok(token)
}

/// One login.
struct Login<'a> {
    asker: Asker<'a>,
    show: &'a dyn Show,
}

impl Login<'_> {
    fn scope(&self) -> Option<String> {
        let scopes = &self.asker.settings.scopes;
        (!scopes.is_empty()).then(|| scopes.join(" "))
    }

    /// What the person granted in the time that there was.
    async fn in_time(
        &self,
        left: Duration,
        work: impl Future<Output = Result<Granted, Failed>> + Send,
    ) -> Result<Granted, Failed> {
        let own = self.asker.cx.remaining();
        let left = own.map_or(left, |own| own.min(left));
        let done = self.asker.cx.clock().timeout(left, work).await;
        done.unwrap_or_else(|| Err(Failure::Login(Need::Unfinished).into()))
    }
}

/// Text of the server's on its way to a person.
// SECURITY: a terminal would obey it, and a browser would run it.
fn address(text: &str, allow_http: bool) -> Result<String, Failed> {
    let url = crate::endpoint::parse("the address to log in at", text, allow_http)?;
    Ok(url.to_string())
}
