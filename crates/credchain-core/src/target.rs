//! What rotation changes: a system that accepts credentials, and the answers it gives.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::{Context, Error, Result, Secret};

/// A system that accepts a credential, such as a database or an issuer of keys.
///
/// A target either takes values that we choose ([`apply`](Target::apply)), makes them itself
/// ([`issue`](Target::issue)), or does the whole rotation itself ([`rotate`](Target::rotate)); its
/// [`abilities`](Target::abilities) say which. Rotation believes only what
/// [`probe`](Target::probe) answers.
///
/// # Contract
/// - Every method can be repeated: what is done already is success.
/// - A failure of which nobody knows whether it took effect, such as a lost reply, is
///   [`Kind::Unavailable`](crate::Kind::Unavailable). What the target refuses for good, such as a
///   password against its policy, is [`Kind::Invalid`](crate::Kind::Invalid); missing rights are
///   [`Kind::Denied`](crate::Kind::Denied).
/// - No message holds a value, nor what the target wrote back.
#[async_trait]
pub trait Target: fmt::Debug + Send + Sync + 'static {
    /// What this target can really do; constant for the value's lifetime.
    fn abilities(&self) -> Abilities;

    /// Finds out, without changing anything, what would fail later: rights, layout, limits.
    /// `current` is what works now, `next` the account that would get a new value; an issuer has
    /// none yet.
    async fn preflight(&self, current: &Account, next: Option<&str>, cx: &Context) -> Result<()> {
        let _ = (current, next, cx);
        Ok(())
    }

    /// Logs in, changing nothing. Only a refusal of this very login is [`Verdict::Refused`];
    /// whatever keeps it from being judged is an error.
    async fn probe(&self, account: &Account, cx: &Context) -> Result<Verdict>;

    /// Makes the account accept this value and no other.
    async fn apply(&self, account: &Account, cx: &Context) -> Result<()> {
        let _ = (account, cx);
        Err(Error::unsupported("setting a value"))
    }

    /// Makes a further key. `tag` is stored with it, where the issuer can.
    async fn issue(&self, tag: &str, cx: &Context) -> Result<Account> {
        let _ = (tag, cx);
        Err(Error::unsupported("issuing"))
    }

    /// The keys that there are, disabled ones included.
    async fn issued(&self, cx: &Context) -> Result<Vec<Issued>> {
        let _ = cx;
        Err(Error::unsupported("listing what was issued"))
    }

    /// Makes an account's or key's value useless in a way that [`enable`](Target::enable) undoes.
    async fn disable(&self, id: &str, cx: &Context) -> Result<()> {
        let _ = (id, cx);
        Err(Error::unsupported("disabling"))
    }

    /// Undoes [`disable`](Target::disable).
    async fn enable(&self, id: &str, cx: &Context) -> Result<()> {
        let _ = (id, cx);
        Err(Error::unsupported("enabling"))
    }

    /// Ends an account's value, or removes a key, for good; one that is gone is success.
    async fn revoke(&self, id: &str, cx: &Context) -> Result<()> {
        let _ = (id, cx);
        Err(Error::unsupported("revoking"))
    }

    /// Has the system rotate a credential that it owns, once, although asked twice in one run:
    /// nothing is done if it was rotated at or after `since`.
    async fn rotate(&self, since: SystemTime, cx: &Context) -> Result<()> {
        let _ = (since, cx);
        Err(Error::unsupported("rotating by itself"))
    }

    /// When the system last rotated what it owns.
    async fn rotated(&self, cx: &Context) -> Result<Option<SystemTime>> {
        let _ = cx;
        Err(Error::unsupported("telling when it rotated"))
    }
}

/// What a [`Target`] can do, as plain data. Start from [`Abilities::accepting`],
/// [`Abilities::issuing`] or [`Abilities::rotating`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// Who makes the value.
    pub maker: Maker,
    /// [`Target::disable`] and [`Target::enable`] work.
    pub disable: bool,
    /// How many keys there can be at once.
    pub limit: Option<usize>,
    /// How long, at the most, until a change is in effect everywhere.
    pub settling: Duration,
}

/// Who makes a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maker {
    /// We do; the target takes it.
    Us,
    /// The target does, and says it once.
    Target,
    /// The target does, and serves it itself.
    Owner,
}

impl Abilities {
    /// Takes values that we choose.
    pub const fn accepting() -> Self {
        Self {
            maker: Maker::Us,
            disable: false,
            limit: None,
            settling: Duration::ZERO,
        }
    }

    /// Makes values itself.
    pub const fn issuing() -> Self {
        Self {
            maker: Maker::Target,
            ..Self::accepting()
        }
    }

    /// Rotates what it owns.
    pub const fn rotating() -> Self {
        Self {
            maker: Maker::Owner,
            ..Self::accepting()
        }
    }

    /// Can disable and enable again.
    pub const fn disabling(mut self) -> Self {
        self.disable = true;
        self
    }

    /// Holds at most so many keys.
    pub const fn limited(mut self, keys: usize) -> Self {
        self.limit = Some(keys);
        self
    }

    /// Takes so long, at the most, until a change is in effect everywhere.
    pub const fn settling(mut self, time: Duration) -> Self {
        self.settling = time;
        self
    }
}

/// An account or key, and the value that goes with it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user or the key's id; empty if the value says it all.
    pub id: String,
    /// The value.
    pub secret: Secret,
}

impl Account {
    /// An account with a value.
    pub fn new(id: impl Into<String>, secret: Secret) -> Self {
        Self {
            id: id.into(),
            secret,
        }
    }
}

/// What a target says of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It works.
    Accepted,
    /// The target knows better.
    Refused,
}

/// One key, as an issuer lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// The issuer's name for it.
    pub id: String,
    /// When it was made, if the issuer says so.
    pub created: Option<SystemTime>,
    /// Whether it works.
    pub enabled: bool,
    /// What it was tagged with, if the issuer keeps that.
    pub tag: Option<String>,
    /// When it was last used, if the issuer says so; that often lags by hours.
    pub used: Option<SystemTime>,
}

impl Issued {
    /// An enabled key of which nothing else is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            created: None,
            enabled: true,
            tag: None,
            used: None,
        }
    }
}
