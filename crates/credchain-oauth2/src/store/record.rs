//! What is known of one token, as it is kept.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use credchain_core::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::answer::Granted;
use crate::config::{Grant, Reuse, Settings};
use crate::error::{Failed, Need};
use crate::key::fingerprint;
use crate::life::{DEFAULT_LIFE, Life, Moment};
use crate::token::Token;

/// What a leeway for a second use of a refresh token is shortened by: the way takes time as well.
const SAFETY: Duration = Duration::from_secs(5);

/// Everything that outlives a process. Neither a client's secret nor a key is in it.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Record {
    /// Grows with each access token.
    pub(crate) generation: u64,
    access: Option<Access>,
    refresh: Option<Zeroizing<String>>,
    /// The mark of the configured refresh token that all this began with.
    seed: Option<String>,
    /// Whether the server was seen to replace refresh tokens.
    rotates: Option<bool>,
    /// Set before a refresh token is sent, and gone when what came of it is known.
    intent: Option<Intent>,
    /// Whether the server does not accept the login any more.
    over: bool,
}

#[derive(Clone, Deserialize, Serialize)]
struct Access {
    token: Zeroizing<String>,
    /// Milliseconds since 1970.
    issued: u64,
    /// Milliseconds.
    life: u64,
    scopes: Vec<String>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Intent {
    /// The mark of the refresh token that was sent.
    token: String,
    /// Milliseconds since 1970.
    at: u64,
}

impl Record {
    /// The access token, as long as it can be one.
    pub(crate) fn token(&self, now: Moment) -> Option<Token> {
        let access = self.access.as_ref()?;
        let issued = UNIX_EPOCH.checked_add(Duration::from_millis(access.issued))?;
        let life = Life::new(issued, Duration::from_millis(access.life), now)?;
        let secret = Secret::new(access.token.as_bytes());
        Some(Token::new(
            &secret,
            self.generation,
            life,
            access.scopes.clone(),
        ))
    }

    /// Whether the server does not accept the login any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.access.is_none() && self.refresh.is_none() && !self.over
    }

    /// Forgets a login, because there is a new one.
    pub(crate) fn begin_again(&mut self) {
        *self = Self {
            generation: self.generation,
            ..Self::default()
        };
    }

    pub(crate) fn refresh_token(&self) -> Option<Secret> {
        self.refresh
            .as_ref()
            .map(|token| Secret::new(token.as_bytes()))
    }

    /// Starts over from a configured refresh token, unless that is where this came from.
    /// `false` if that is no text.
    pub(crate) fn begin_with(&mut self, seed: &[u8]) -> bool {
        let mark = fingerprint(seed);
        if self.seed.as_ref() == Some(&mark) {
            return true;
        }
        let Ok(text) = std::str::from_utf8(seed) else {
            return false;
        };
        *self = Self {
            generation: self.generation,
            seed: Some(mark),
            refresh: Some(Zeroizing::new(text.to_owned())),
            ..Self::default()
        };
        true
    }

    /// The refresh token to send now, or why a person has to log in instead.
    pub(crate) fn sendable(&self, reuse: Reuse, now: SystemTime) -> Result<Secret, Need> {
        if self.over {
            return Err(Need::Over);
        }
        let token = self.refresh_token().ok_or(Need::Never)?;
        match &self.intent {
            Some(intent) if intent.token == fingerprint(token.expose()) => {
                let sent = UNIX_EPOCH + Duration::from_millis(intent.at);
                let again = match reuse {
                    Reuse::Observed => self.rotates == Some(false),
                    // By a clock that was set back, nobody knows how long ago it was.
                    Reuse::Within(leeway) => now
                        .duration_since(sent)
                        .is_ok_and(|age| age + SAFETY < leeway),
                    Reuse::Accept => true,
                };
                again.then_some(token).ok_or(Need::Lost)
            }
            _ => Ok(token),
        }
    }

    /// Notes that this refresh token is about to be sent, unless it was before.
    pub(crate) fn intend(&mut self, token: &Secret, now: SystemTime) {
        let token = fingerprint(token.expose());
        if self.intent.as_ref().is_none_or(|old| old.token != token) {
            let at = millis(now);
            self.intent = Some(Intent { token, at });
        }
    }

    /// Takes in a token. `sent` is the refresh token that it was given for, if it was.
    pub(crate) fn accept(&mut self, granted: &Granted, settings: &Settings, sent: Option<&Secret>) {
        // RFC 6749 §4.4.3: a client that acts for itself has no use for a refresh token.
        let own = matches!(
            settings.grant,
            Grant::ClientCredentials | Grant::JwtBearer { .. }
        );
        self.generation += 1;
        self.access = text(&granted.token).map(|token| Access {
            token,
            issued: millis(granted.asked.wall),
            life: in_millis(granted.life.unwrap_or(DEFAULT_LIFE)),
            scopes: granted
                .scopes
                .clone()
                .unwrap_or_else(|| settings.scopes.clone()),
        });
        if let Some(next) = granted.refresh.as_ref().filter(|_| !own) {
            self.rotates = sent.map(|sent| !sent.same_value(next)).or(self.rotates);
            self.refresh = text(next);
        } else if sent.is_some() {
            self.rotates = Some(false);
        }
        self.intent = None;
        self.over = false;
    }

    /// Forgets the access token.
    pub(crate) fn withdraw(&mut self) {
        self.access = None;
    }

    /// Notes that sending the refresh token came to nothing.
    pub(crate) fn fail(&mut self, failed: &Failed) {
        if failed.failure.was_not_sent() || failed.failure.was_refused() {
            self.intent = None;
        }
        if failed.failure.ends_the_login() {
            self.over = true;
            self.refresh = None;
        }
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let secrets = self.access.as_ref().map_or(0, |access| access.token.len());
        let secrets = secrets + self.refresh.as_ref().map_or(0, |token| token.len());
        // Room for all of it, so that growing leaves no copy behind: tokens have no characters
        // that JSON escapes, and the rest is short.
        let mut json = Zeroizing::new(Vec::with_capacity(2 * secrets + 16 * 1024));
        // Writing a plain structure to memory does not fail.
        let _ = serde_json::to_writer(&mut *json, self);
        json
    }

    pub(crate) fn decode(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

fn millis(time: SystemTime) -> u64 {
    in_millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn in_millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn text(secret: &Secret) -> Option<Zeroizing<String>> {
    secret
        .expose_text()
        .map(|text| Zeroizing::new(text.to_owned()))
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    const MINUTE: Duration = Duration::from_mins(1);

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_hours(490_896)
    }

    /// A record whose refresh token was sent a moment ago.
    fn sent(rotates: Option<bool>) -> (Record, Secret) {
        let mut record = Record::default();
        assert!(record.begin_with(b"seed"));
        record.rotates = rotates;
        let token = record.sendable(Reuse::Observed, now()).unwrap();
        record.intend(&token, now());
        (record, token)
    }

    #[test]
    fn a_second_use_follows_from_what_is_known_of_the_server() {
        let within = |leeway| Reuse::Within(leeway);
        for (rotates, reuse, later, allowed) in [
            (None, Reuse::Observed, MINUTE, false),
            (Some(true), Reuse::Observed, MINUTE, false),
            (Some(false), Reuse::Observed, MINUTE, true),
            (Some(true), Reuse::Accept, MINUTE, true),
            (Some(true), within(MINUTE), Duration::from_secs(54), true),
            (Some(true), within(MINUTE), Duration::from_secs(55), false),
        ] {
            let (record, token) = sent(rotates);
            match record.sendable(reuse, now() + later) {
                Ok(again) => assert!(allowed && again.same_value(&token), "{reuse:?}"),
                Err(need) => assert!(!allowed && need == Need::Lost, "{reuse:?}"),
            }
        }
        let (record, _) = sent(None);
        let set_back = record.sendable(within(MINUTE), now() - MINUTE);
        assert_eq!(set_back.unwrap_err(), Need::Lost);
    }

    #[test]
    fn an_intent_ends_only_when_nothing_can_have_been_used_up() {
        let refused = |code: &str| Failure::Refused(code.to_owned(), 400);
        for (failure, lasts) in [
            (Failure::Unreachable, false),
            (Failure::Certificate, false),
            (Failure::Status(500), false),
            (refused("invalid_client"), false),
            (Failure::Late, true),
            (Failure::Lost, true),
            (Failure::Unreadable, true),
            (Failure::TooLarge, true),
            (Failure::BadToken, true),
            (Failure::Status(302), false),
            (Failure::Status(504), true),
        ] {
            let (mut record, _) = sent(None);
            record.fail(&failure.clone().into());
            let again = record.sendable(Reuse::Observed, now());
            assert_eq!(again.is_err(), lasts, "{failure:?}");
        }
        let (mut record, _) = sent(None);
        record.fail(&refused("invalid_grant").into());
        assert_eq!(
            record.sendable(Reuse::Accept, now()).unwrap_err(),
            Need::Over
        );
    }

    #[test]
    fn a_second_attempt_does_not_make_the_first_one_younger() {
        let (mut record, token) = sent(None);
        record.intend(&token, now() + MINUTE);
        let again = record.sendable(Reuse::Within(MINUTE), now() + MINUTE);
        assert_eq!(again.unwrap_err(), Need::Lost);
    }

    #[test]
    fn what_was_written_is_read_and_what_a_later_release_adds_is_left_out() {
        let (record, token) = sent(Some(true));
        let json = record.encode();
        let text = std::str::from_utf8(&json).unwrap();
        let later = text.replacen('{', "{\"more\": [1], ", 1);
        let read = Record::decode(later.as_bytes()).unwrap();
        assert!(read.refresh_token().unwrap().same_value(&token));
        assert_eq!(read.rotates, Some(true));
        assert!(Record::decode(b"{\"generation\": -1}").is_none());
    }

    #[test]
    fn debug_shows_no_token() {
        let (record, _) = sent(None);
        assert!(!format!("{record:?}").contains("seed"));
    }
}
