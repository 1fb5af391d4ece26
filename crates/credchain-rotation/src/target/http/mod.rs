//! An HTTP API, described in the configuration.

mod answer;
mod config;
mod exchange;
mod fill;

use std::fmt;
use std::sync::Arc;

use credchain_core::{
    Abilities, Account, Context, CredentialSource, Error, Issued, Kind, Result, Secret, Settings,
    Target, Verdict, async_trait,
};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use self::config::{Action, Body, Config, Request};
use self::exchange::Head;
use self::fill::Filling;
use super::{Setup, wrong};

/// A target that is asked over HTTP: each thing that rotation asks is one request, described in
/// the configuration.
///
/// `{id}`, `{secret}`, `{tag}`, `{admin}` and `{basic}` (id and value as HTTP Basic has them)
/// stand in headers and bodies, `{id}` and `{tag}` in paths too, each encoded for its place. No
/// redirect is followed, answers have at most a mebibyte, and nothing of them is ever shown.
pub struct Http {
    config: Config,
    abilities: Abilities,
    credentials: Arc<dyn CredentialSource>,
    client: OnceCell<Client>,
}

impl Http {
    /// A target from the table `[rotation.targets.NAME]`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] for settings that contradict each other.
    pub fn new(settings: &Settings, setup: &Setup) -> Result<Self> {
        Ok(Self {
            config: Config::new(settings, setup)?,
            abilities: super::abilities(settings)?,
            credentials: setup.credentials.clone(),
            client: OnceCell::new(),
        })
    }

    fn request(&self, action: Action) -> Result<&Request> {
        let mut requests = self.config.requests.iter();
        let request = requests.find(|request| request.action == action);
        request.ok_or_else(|| {
            let key = action.key();
            Error::new(Kind::Unsupported, format!("this target has no `{key}`"))
        })
    }

    async fn client(&self) -> Result<&Client> {
        let make = || async {
            let ca = self.config.ca.clone();
            let plain = self.config.base.scheme() == "http";
            let made = tokio::task::spawn_blocking(move || exchange::client(ca.as_deref(), plain));
            made.await
                .map_err(|_| Error::new(Kind::Internal, "an HTTP client was not made"))?
        };
        self.client.get_or_try_init(make).await
    }

    /// What stands in the place of `{admin}`.
    async fn admin(&self, cx: &Context) -> Result<Option<Secret>> {
        match &self.config.admin {
            None => Ok(None),
            Some(name) => self.credentials.needed(name, cx).await.map(Some),
        }
    }

    /// Sends a request; the body is there if it is one that is read.
    async fn ask(
        &self,
        request: &Request,
        mut filling: Filling<'_>,
        cx: &Context,
    ) -> Result<(Head, Zeroizing<Vec<u8>>)> {
        let admin = self.admin(cx).await?;
        filling.admin = admin.as_ref().map(Secret::expose).unwrap_or_default();
        let url = fill::path(&self.config.base, &request.path, &filling)?;
        let mut sent = self.client().await?.request(request.method.clone(), url);
        // The copies of headers and bodies that are sent are the HTTP library's, and not wiped.
        let body = match &request.body {
            Body::None => None,
            Body::Json(body) => Some(("application/json", fill::json(body, &filling)?)),
            Body::Form(fields) => Some((
                "application/x-www-form-urlencoded",
                fill::form(fields, &filling)?,
            )),
        };
        if let Some((kind, body)) = body {
            if !request.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
                sent = sent.header(CONTENT_TYPE, kind);
            }
            sent = sent.body(body.to_vec());
        }
        for (name, value) in &request.headers {
            sent = sent.header(name, fill::header(value, &filling)?);
        }
        let reads = matches!(request.action, Action::Issue | Action::Issued);
        let wanted = |status| reads && request.accepts(status);
        let answer = exchange::send(sent, self.config.timeout, wanted, cx).await;
        answer.map_err(|error| named(request.action, &error))
    }

    /// The body of an answer that has to mean yes.
    async fn done(
        &self,
        request: &Request,
        filling: Filling<'_>,
        cx: &Context,
    ) -> Result<(Head, Zeroizing<Vec<u8>>)> {
        let (head, body) = self.ask(request, filling, cx).await?;
        if request.accepts(head.status) {
            return Ok((head, body));
        }
        Err(answer::refusal(request.action, &head))
    }

    async fn change(&self, action: Action, id: &str, cx: &Context) -> Result<()> {
        let filling = Filling {
            id,
            ..Filling::default()
        };
        let request = self.request(action)?;
        let (head, _) = self.ask(request, filling, cx).await?;
        match head.status {
            status if request.accepts(status) => Ok(()),
            // What is gone works no more.
            404 | 410 if action == Action::Revoke => Ok(()),
            _ => Err(answer::refusal(action, &head)),
        }
    }
}

#[async_trait]
impl Target for Http {
    fn abilities(&self) -> Abilities {
        self.abilities
    }

    async fn preflight(&self, _: &Account, _: Option<&str>, cx: &Context) -> Result<()> {
        self.client().await?;
        self.admin(cx).await.map(drop)
    }

    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict> {
        let request = self.request(Action::Verify)?;
        let (head, _) = self.ask(request, Filling::of(account), cx).await?;
        match head.status {
            status if request.accepts(status) => Ok(Verdict::Accepted),
            status if request.refuses(status) => Ok(Verdict::Refused),
            _ => Err(answer::refusal(Action::Verify, &head)),
        }
    }

    async fn apply(&self, account: &Account, cx: &Context) -> Result<()> {
        let request = self.request(Action::Apply)?;
        let done = self.done(request, Filling::of(account), cx).await;
        done.map(drop)
    }

    async fn issue(&self, tag: &str, cx: &Context) -> Result<Account> {
        let request = self.request(Action::Issue)?;
        let filling = Filling {
            tag,
            ..Filling::default()
        };
        let (_, body) = self.done(request, filling, cx).await?;
        let (mut id, secret) = answer::issued_key(&request.pointers, &body)?;
        if id.is_empty() {
            id = super::tagged(self.issued(cx).await?, tag);
        }
        Ok(Account::new(id, secret))
    }

    async fn issued(&self, cx: &Context) -> Result<Vec<Issued>> {
        let request = self.request(Action::Issued)?;
        let (head, body) = self.done(request, Filling::default(), cx).await?;
        if head.continues {
            return Err(
                wrong("the list of keys goes on in another answer").with_hint(
                    "ask for more at a time in `issued.path`, such as with `?per_page=100`",
                ),
            );
        }
        answer::listed_keys(&request.pointers, &body)
    }

    async fn disable(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Disable, id, cx).await
    }

    async fn enable(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Enable, id, cx).await
    }

    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        self.change(Action::Revoke, id, cx).await
    }
}

impl<'a> Filling<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            id: &account.id,
            secret: account.secret.expose(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Http {
    // Requests are left out: a user may have put a secret where it does not belong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("base", &self.config.base.as_str())
            .finish_non_exhaustive()
    }
}

/// An error of the way, with what was asked.
fn named(action: Action, error: &Error) -> Error {
    let message = format!("`{}`: {}", action.key(), error.message());
    let mut told = Error::new(error.kind(), message);
    if let Some(hint) = error.hint() {
        told = told.with_hint(hint.to_owned());
    }
    told
}
