//! Getting the next token: what is kept is read again, a request is made if there has to be one,
//! and what came of it is kept before anybody sees it.

use std::time::Duration;

use credchain_core::{Context, Error, Kind, Secret};

use crate::answer::Granted;
use crate::ask::{Asker, JWT_BEARER, Uses, line};
use crate::config::Grant;
use crate::discovery::Places;
use crate::error::{Failed, Failure};
use crate::flight::Answer;
use crate::form::Form;
use crate::found;
use crate::http::Http;
use crate::life::Moment;
use crate::source::{Shared, lost};
use crate::store::{Enough, Record, Turn};
use crate::token::Token;

/// The longest that one exchange takes, with all its attempts.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record and the turn to change it.
///
/// If it could not be written after its token was granted, both are kept until it can be: nobody
/// else is to send a refresh token that is used up.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) turn: Box<dyn Turn>,
    pub(crate) record: Record,
    unsaved: bool,
}

/// What a request needs.
struct Prepared {
    http: Http,
    places: Places,
    /// The refresh token to send, if one is sent.
    refresh: Option<Secret>,
}

/// One renewal.
pub(crate) struct Renewal<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) cx: Context,
    /// How long before its end a token counts as one to replace already.
    pub(crate) ahead: Option<Duration>,
}

impl<'a> Renewal<'a> {
    pub(crate) fn new(shared: &'a Shared, cx: &Context) -> Self {
        Self {
            shared,
            cx: cx.clone(),
            ahead: None,
        }
    }

    /// The token that is kept, if somebody else got it meanwhile, else the next one.
    pub(crate) async fn token(&self) -> Answer {
        if let Some(token) = self.good(&self.peek().await?) {
            return Ok(token);
        }
        let Some(mut held) = self.enter_unless(&|kept| self.good(kept).is_some()).await? else {
            // Somebody else has just got it.
            return match self.good(&self.peek().await?) {
                Some(token) => Ok(token),
                None => Err(lost()),
            };
        };
        if let Some(token) = self.found(&mut held.record) {
            self.keep(held).await;
            return Ok(token);
        }
        match self.good(&held.record) {
            Some(token) if held.unsaved => {
                self.keep(held).await;
                Ok(token)
            }
            Some(token) => {
                held.turn.leave().await;
                Ok(token)
            }
            None => self.next(held).await,
        }
    }

    /// The token that another program left behind, if nothing was ever kept.
    fn found(&self, record: &mut Record) -> Option<Token> {
        let settings = &self.shared.settings;
        let path = settings.import.as_ref()?;
        if record.generation > 0 || settings.grant != Grant::ClientCredentials {
            return None;
        }
        let granted = found::read(path, self.now())?;
        record.accept(&granted, settings, None);
        let token = self.good(record);
        match &token {
            Some(_) => tracing::warn!(
                token = %settings.name,
                file = %path.display(),
                "a token in clear was taken over; the file is not read again: delete it"
            ),
            None => *record = Record::default(),
        }
        token
    }

    /// What is kept, as far as it can be read without waiting.
    pub(crate) async fn peek(&self) -> Result<Record, Failed> {
        let Shared { store, key, .. } = self.shared;
        Ok(store.0.peek(key, &self.cx).await?.unwrap_or_default())
    }

    /// Waits for the turn to change what is kept, and reads it again.
    pub(crate) async fn enter(&self) -> Result<Held, Failed> {
        let held = self.enter_unless(&|_| false).await?;
        held.ok_or_else(lost)
    }

    /// The same, unless what is kept meanwhile is enough.
    async fn enter_unless(&self, enough: &Enough<'_>) -> Result<Option<Held>, Failed> {
        // Whoever has a record to write still has the turn.
        let unsaved = self.shared.unsaved().take();
        if unsaved.is_some() {
            return Ok(unsaved);
        }
        step!("before the lock");
        let Shared { store, key, .. } = self.shared;
        let Some(mut turn) = store.0.enter(key, enough, &self.cx).await? else {
            return Ok(None);
        };
        step!("after the lock");
        let record = turn.load().await?.unwrap_or_default();
        Ok(Some(Held {
            turn,
            record,
            unsaved: false,
        }))
    }

    /// Asks for a token.
    async fn next(&self, mut held: Held) -> Answer {
        // It may have a minute left, in case that the server cannot be reached.
        if let Some(token) = held.record.token(self.now()) {
            self.shared.board.publish(&token);
        }
        // Others wait for this turn.
        let cx = self.cx.clone().with_timeout(PATIENCE);
        let Prepared {
            http,
            places,
            refresh,
        } = match self.prepare(&mut held, &cx).await {
            Ok(prepared) => prepared,
            Err(failed) => {
                if held.unsaved {
                    // What is still to be written is not to be lost for this.
                    *self.shared.unsaved() = Some(held);
                } else {
                    held.turn.leave().await;
                }
                return Err(failed);
            }
        };
        let asker = Asker {
            settings: &self.shared.settings,
            credentials: &*self.shared.credentials,
            http: &http,
            places: &places,
            cx: &cx,
        };
        let answer = self.exchange(&asker, refresh.as_ref()).await;
        step!("after the answer");
        match answer {
            Ok(granted) => self.book(held, &granted, refresh.as_ref()).await,
            Err(failed) => {
                if refresh.is_some() {
                    held.record.fail(&failed);
                    self.keep(held).await;
                } else {
                    held.turn.leave().await;
                }
                Err(failed)
            }
        }
    }

    /// Everything that comes before a request.
    async fn prepare(&self, held: &mut Held, cx: &Context) -> Result<Prepared, Failed> {
        let refresh = self.refresh_token(&mut held.record, cx).await?;
        let http = self.shared.http()?;
        let places = self.shared.places(&http, cx).await?;
        if let Some(token) = &refresh {
            // Before it is sent, so that a crash in between is noticed.
            held.record.intend(token, cx.clock().now());
            held.turn.save(&held.record).await?;
        }
        step!("before it is sent");
        Ok(Prepared {
            http,
            places,
            refresh,
        })
    }

    /// The refresh token to send; nothing if the client asks for itself.
    async fn refresh_token(
        &self,
        record: &mut Record,
        cx: &Context,
    ) -> Result<Option<Secret>, Failed> {
        let settings = &self.shared.settings;
        match &settings.grant {
            Grant::ClientCredentials | Grant::JwtBearer { .. } => return Ok(None),
            Grant::DeviceCode | Grant::AuthorizationCode => {}
            Grant::RefreshToken(name) => {
                let seed = cx.in_time(self.shared.credentials.needed(name, cx)).await?;
                if !record.begin_with(line(&seed)) {
                    let message = format!("`{name}` is no refresh token: it is no text");
                    return Err(Error::new(Kind::Invalid, message).into());
                }
            }
        }
        let token = record.sendable(settings.reuse, cx.clock().now());
        token.map(Some).map_err(|need| Failure::Login(need).into())
    }

    async fn exchange(
        &self,
        asker: &Asker<'_>,
        refresh: Option<&Secret>,
    ) -> Result<Granted, Failed> {
        let settings = &self.shared.settings;
        let scope = (!settings.scopes.is_empty()).then(|| settings.scopes.join(" "));
        let started = self.cx.clock().monotonic();
        // RFC 6749 §6: with a refresh token the scope is that of the login.
        let (kind, scope, uses) = match (refresh, &settings.grant) {
            (Some(_), _) => ("refresh_token", None, Uses::RefreshToken),
            (None, Grant::JwtBearer { .. }) => (JWT_BEARER, scope, Uses::Nothing),
            (None, _) => ("client_credentials", scope, Uses::Nothing),
        };
        let form = || {
            let refresh = refresh.map(Secret::expose);
            Form::new(kind)
                .with_some("scope", scope.as_ref())
                .with_some("refresh_token", refresh)
        };
        let answer = asker.token(form, uses).await;
        tracing::debug!(
            token = %settings.name,
            key = ?self.shared.key,
            grant = settings.grant.as_str(),
            outcome = %answer.as_ref().map_or_else(|failed| failed.kind().as_str(), |_| "granted"),
            took = ?self.cx.clock().monotonic().saturating_sub(started),
            "asked for a token"
        );
        answer
    }

    /// Keeps a token that was granted, and hands it out. `sent` is the refresh token that it was
    /// given for.
    pub(crate) async fn book(
        &self,
        mut held: Held,
        granted: &Granted,
        sent: Option<&Secret>,
    ) -> Answer {
        let settings = &self.shared.settings;
        // A store that has lost its numbers must not give out one that was refused.
        let newest = self.shared.board.newest();
        held.record.generation = held.record.generation.max(newest);
        held.record.accept(granted, settings, sent);
        let fewer = granted.scopes.as_ref().is_some_and(|granted| {
            let missing = |scope| !granted.contains(scope);
            settings.scopes.iter().any(missing)
        });
        if fewer && settings.require_scopes {
            held.record.withdraw();
        } else if fewer {
            tracing::warn!(token = %settings.name, "fewer scopes were granted than asked for");
        }
        let token = held.record.token(self.now());
        self.keep(held).await;
        match token {
            Some(token) => Ok(token),
            None => Err(Failure::Scopes.into()),
        }
    }

    /// Writes a record. If that cannot be done, it and the turn stay here: the token is good all
    /// the same.
    async fn keep(&self, mut held: Held) {
        step!("before it is kept");
        let kept = held.turn.save_and_leave(&held.record).await;
        step!("after it is kept");
        let Err(error) = kept else {
            return;
        };
        tracing::warn!(token = %self.shared.settings.name, %error, "a token cannot be kept");
        // Whoever has taken over has something newer.
        if error.kind() != Kind::Conflict {
            held.unsaved = true;
            *self.shared.unsaved() = Some(held);
        }
    }

    /// The token of a record, if nobody needs to ask for another one.
    pub(crate) fn good(&self, record: &Record) -> Option<Token> {
        let now = self.now();
        let token = record.token(now)?;
        let due = self
            .ahead
            .is_some_and(|ahead| token.life().is_due(ahead, now));
        let fresh = token.life().is_fresh(now) && !due;
        (fresh && token.generation() > self.shared.board.refused()).then_some(token)
    }

    fn now(&self) -> Moment {
        Moment::now(self.cx.clock())
    }
}
