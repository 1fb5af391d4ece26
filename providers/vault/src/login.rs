//! The token's life: got once for all who wait, renewed, and got again when it is gone.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use credchain_core::{
    Context, CredentialSource, Error, Kind, Lease, Leased, Leases, Name, Result, Secret,
    async_trait,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OnceCell, oneshot};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;
use zeroize::Zeroizing;

use crate::auth::{Auth, Proof, handed_in};
use crate::client::{Call, Client, Reply};
use crate::error::{Ask, expired, garbled};

/// The life of a token that nobody said the end of.
const NO_END: Duration = Duration::from_hours(24 * 365 * 10);

/// How long a login may take, whoever waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// There is one token at a time.
const KEY: &str = "token";

/// Sends requests with a token, whatever it takes to have one.
pub(crate) struct Server {
    pub(crate) client: Arc<Client>,
    credentials: Arc<dyn CredentialSource>,
    tokens: Leases<Token>,
    renewing: Arc<Renewing>,
    /// A wrapped secret id can be unwrapped once, and logging in again needs it again.
    unwrapped: OnceCell<Secret>,
    count: AtomicU64,
    /// Logins, and those who wait for one.
    tasks: Mutex<JoinSet<()>>,
}

/// A token, and its name among ours.
#[derive(Clone)]
struct Token {
    value: Secret,
    id: Arc<str>,
}

/// What `lookup-self` tells.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Own {
    pub(crate) display_name: String,
    pub(crate) policies: Vec<String>,
    pub(crate) ttl: u64,
    pub(crate) renewable: bool,
    pub(crate) path: String,
}

impl Server {
    pub(crate) fn new(client: Arc<Client>, credentials: Arc<dyn CredentialSource>) -> Self {
        let renewing = Arc::new(Renewing {
            client: client.clone(),
            current: Mutex::new(None),
        });
        Self {
            client,
            credentials,
            tokens: Leases::new(renewing.clone()),
            renewing,
            unwrapped: OnceCell::new(),
            count: AtomicU64::new(0),
            tasks: Mutex::default(),
        }
    }

    /// Sends a request with the token. A 403 does not say whether it is the token's fault: then
    /// one look at the token decides, and a new one is got once.
    pub(crate) async fn send(self: &Arc<Self>, call: Call<'_>, cx: &Context) -> Result<Reply> {
        let token = self.token(cx).await?;
        let reply = self.client.send(call.with(&token.value), cx).await?;
        if reply.status != 403 || self.is_known(&token, cx).await? {
            return Ok(reply);
        }
        self.tokens.forget(&token.id);
        let next = self.token(cx).await?;
        if next.value.same_value(&token.value) {
            return Err(expired());
        }
        // A token that is this fresh is good: if it is refused, then by policy.
        self.client.send(call.with(&next.value), cx).await
    }

    /// What the server knows of the token in use.
    pub(crate) async fn own(self: &Arc<Self>, cx: &Context) -> Result<Own> {
        let token = self.token(cx).await?;
        self.look_up(&token.value, cx).await
    }

    /// Makes a token useless.
    pub(crate) async fn give_up(&self, token: &Secret, cx: &Context) -> Result<()> {
        revoke(&self.client, token, cx).await
    }

    /// A credential of a person's login.
    pub(crate) async fn credential(&self, name: &Name, cx: &Context) -> Result<Secret> {
        self.credentials.credential(name, cx).await
    }

    pub(crate) fn resume(&self, cx: &Context) {
        self.tokens.resume(cx);
    }

    /// Ends the login, if it was ours.
    pub(crate) async fn log_out(&self, cx: &Context) -> Result<()> {
        match &self.client.settings.auth {
            Auth::Token(_) | Auth::Person(_) => Ok(()),
            Auth::Login { .. } => self.tokens.revoke_all(cx).await,
        }
    }

    /// Ends logins that nobody can wait for any more.
    pub(crate) fn abandon(&self) {
        self.tasks().abort_all();
    }

    /// The token. A login is a task of its own: who stops waiting takes it from nobody else, and
    /// does not lose what can be had only once, such as a wrapped secret id.
    async fn token(self: &Arc<Self>, cx: &Context) -> Result<Token> {
        let (tell, told) = oneshot::channel();
        let server = self.clone();
        let own = cx.clone().without_deadline().with_timeout(PATIENCE);
        let work = async move {
            let log_in = || own.in_time(server.log_in(&own));
            let got = server.tokens.get_or(KEY, &own, log_in).await;
            // Nobody may be waiting any more.
            drop(tell.send(got.map(|(token, _)| token)));
        };
        self.spawn(work);
        let told = async {
            told.await
                .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a login did not finish")))
        };
        cx.in_time(told).await
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work.in_current_span().with_current_subscriber());
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn log_in(&self, cx: &Context) -> Result<(Token, Option<Lease>)> {
        let (value, life, renewable) = match &self.client.settings.auth {
            Auth::Token(named) => {
                let value = handed_in(named.as_ref(), &*self.credentials, cx).await?;
                let (life, renewable) = self.life_of(&value, cx).await?;
                (value, life, renewable)
            }
            Auth::Person(person) => {
                let value = handed_in(person.kept.as_ref(), &*self.credentials, cx).await;
                let value = value.map_err(|error| match error.kind() {
                    Kind::Unauthenticated => {
                        error.with_hint("`resolve login` with this link's name logs in")
                    }
                    _ => error,
                })?;
                let (life, renewable) = self.life_of(&value, cx).await?;
                (value, life, renewable)
            }
            Auth::Login { mount, proof } => self.prove(mount, proof, cx).await?,
        };
        let id: Arc<str> = format!("token-{}", self.count.fetch_add(1, Ordering::Relaxed)).into();
        let token = Token {
            value,
            id: id.clone(),
        };
        self.renewing.remember(&token);
        tracing::debug!(seconds = life.as_secs(), renewable, "logged in");
        Ok((token, Some(Lease::new(&*id, life, renewable))))
    }

    /// How long a token lives that was handed in. Nobody is asked unless it is to be renewed.
    async fn life_of(&self, token: &Secret, cx: &Context) -> Result<(Duration, bool)> {
        if !self.client.settings.renew {
            return Ok((NO_END, false));
        }
        let own = self.look_up(token, cx).await?;
        Ok((life(own.ttl), own.renewable))
    }

    async fn prove(
        &self,
        mount: &str,
        proof: &Proof,
        cx: &Context,
    ) -> Result<(Secret, Duration, bool)> {
        let (below, mut body) = proof.request(&*self.credentials, cx).await?;
        if let Proof::AppRole { wrapped: true, .. } = proof {
            let wrapping = body["secret_id"].as_str().unwrap_or_default();
            let unwrap = || self.unwrap(Secret::from(wrapping.to_owned()), cx);
            let secret_id = self.unwrapped.get_or_try_init(unwrap).await?;
            body["secret_id"] = secret_id.expose_text().unwrap_or_default().into();
        }
        self.exchange(mount, &below, body, cx).await
    }

    /// What a login is answered with: a token, how long it lives, whether it can be renewed.
    pub(crate) async fn exchange(
        &self,
        mount: &str,
        below: &str,
        body: Value,
        cx: &Context,
    ) -> Result<(Secret, Duration, bool)> {
        let path = format!("auth/{mount}/{below}");
        let body = Zeroizing::new(body.to_string());
        let call = Call::new("POST", &path).body(&body);
        let reply = self.client.send(call, cx).await?;
        let envelope = reply.accepted(Ask::Login)?;
        let login = envelope
            .auth
            .ok_or_else(|| garbled("the login gave no token"))?;
        let token = Secret::from(login.client_token.to_owned());
        Ok((token, life(login.lease_duration), login.renewable))
    }

    async fn unwrap(&self, wrapping: Secret, cx: &Context) -> Result<Secret> {
        #[derive(Deserialize)]
        struct Wrapped<'a> {
            secret_id: &'a str,
        }
        let call = Call::new("POST", "sys/wrapping/unwrap").with(&wrapping);
        let reply = self.client.send(call, cx).await?;
        let spoilt = || {
            Error::new(
                Kind::Unauthenticated,
                "the secret id cannot be unwrapped: its wrapping is used up, expired or wrong",
            )
            .with_hint("if you did not unwrap it, somebody else did: get a new one, and find out")
        };
        if !reply.is_success() {
            return Err(match reply.accepted(Ask::Login) {
                Err(error) if error.kind() != Kind::Unauthenticated => error,
                _ => spoilt(),
            });
        }
        let envelope = reply.envelope()?;
        let data = envelope.data.ok_or_else(spoilt)?;
        let wrapped: Wrapped<'_> = serde_json::from_str(data.get()).map_err(|_| spoilt())?;
        Ok(Secret::from(wrapped.secret_id.to_owned()))
    }

    async fn is_known(&self, token: &Token, cx: &Context) -> Result<bool> {
        match self.look_up(&token.value, cx).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::Unauthenticated => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the server knows of a token.
    pub(crate) async fn look_up(&self, token: &Secret, cx: &Context) -> Result<Own> {
        let call = Call::new("GET", "auth/token/lookup-self").with(token);
        let reply = self.client.send(call, cx).await?;
        let envelope = reply.accepted(Ask::Own)?;
        let data = envelope.data.map_or("{}", |data| data.get());
        serde_json::from_str(data).map_err(|_| garbled("the token is described in another way"))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

fn life(seconds: u64) -> Duration {
    // Zero means without an end, as root tokens are.
    if seconds == 0 {
        NO_END
    } else {
        Duration::from_secs(seconds)
    }
}

/// Renews and revokes the token in use.
struct Renewing {
    client: Arc<Client>,
    current: Mutex<Option<Token>>,
}

impl Renewing {
    fn remember(&self, token: &Token) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    }

    fn token(&self, id: &str) -> Result<Secret> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let token = current.as_ref().filter(|token| &*token.id == id);
        token
            .map(|token| token.value.clone())
            .ok_or_else(Error::not_found)
    }
}

#[async_trait]
impl Leased for Renewing {
    async fn renew(&self, lease: &str, increment: Duration, cx: &Context) -> Result<Lease> {
        let token = self.token(lease)?;
        let body = format!("{{\"increment\":\"{}s\"}}", increment.as_secs());
        let call = Call::new("POST", "auth/token/renew-self").with(&token);
        let reply = self.client.send(call.body(&body), cx).await?;
        let envelope = reply.accepted(Ask::Own)?;
        let login = envelope
            .auth
            .ok_or_else(|| garbled("the renewal gave no token"))?;
        Ok(Lease::new(
            lease,
            life(login.lease_duration),
            login.renewable,
        ))
    }

    async fn revoke(&self, lease: &str, cx: &Context) -> Result<()> {
        let token = self.token(lease)?;
        revoke(&self.client, &token, cx).await
    }
}

async fn revoke(client: &Client, token: &Secret, cx: &Context) -> Result<()> {
    let call = Call::new("POST", "auth/token/revoke-self").with(token);
    let reply = client.send(call, cx).await?;
    match reply.accepted(Ask::Own) {
        // Gone already, which is what was wanted.
        Err(error) if error.kind() == Kind::Unauthenticated => Ok(()),
        other => other.map(drop),
    }
}
