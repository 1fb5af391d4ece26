//! In a provider that compares before it sets, for a fleet of machines.
//!
//! A machine that wants to ask for the next token first writes its name into the document, with
//! compare-and-set: that is its turn, for [`TERM`]. Whoever finds a name there watches the
//! document, by its own clock alone: machines do not agree on the time. If nothing changes for a whole
//! term, the holder counts as gone, and the next one takes over. Should the first one come back, its
//! write finds another version than the one it knows, and is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::{
    Context, Error, Expect, Kind, Provider, Reference, Result, Secret, SetOptions, Version,
    async_trait,
};
use serde::{Deserialize, Serialize};

use super::seal::{Cipher, Sealing};
use super::{Backend, Enough, Record, Turn, at_the_store, below};
use crate::key::Key;

/// How long a turn lasts: longer than any exchange takes.
const TERM: Duration = Duration::from_mins(1);

/// The longest term that somebody else's document is believed to have.
const LONGEST_TERM: Duration = Duration::from_mins(5);

/// How long somebody waits who sees one machine after the other take its turn, and no token.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often the document is looked at while somebody else has the turn: at first, and later.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(500);

/// How often a write is tried that others come in between of.
const ATTEMPTS: u32 = 5;

/// More than any record has.
const MAX_DOCUMENT: usize = 1 << 20;

/// The field of the document, for providers whose documents have fields.
const FIELD: &str = "token";

/// Documents below a path of a provider.
pub(super) struct Shared {
    provider: Arc<dyn Provider>,
    path: String,
    sealing: Sealing,
}

/// What is kept, as text.
#[derive(Default, Deserialize, Serialize)]
struct Document {
    credchain_oauth2: u32,
    /// The sealed record.
    record: Option<String>,
    /// Whose turn it is.
    holder: Option<Holder>,
}

#[derive(Clone, Deserialize, Serialize, PartialEq, Eq)]
struct Holder {
    /// Random: who it is, is nobody's business.
    name: String,
    term_ms: u64,
}

/// A document and the version that it is.
#[derive(Default)]
struct Found {
    document: Document,
    version: Option<Version>,
}

impl Shared {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        path: impl Into<String>,
        sealing: Sealing,
    ) -> Result<Self> {
        let capabilities = provider.capabilities();
        if !capabilities.write || !capabilities.compare_and_set {
            let message = "tokens cannot be shared there: it cannot compare before it writes";
            return Err(Error::new(Kind::Misconfigured, message)
                .with_hint("Vault and OpenBao can, with version 2 of their key-value store"));
        }
        Ok(Self {
            provider,
            path: path.into(),
            sealing,
        })
    }

    fn reference(&self, key: &Key) -> Result<Reference> {
        below(&self.path, key)?.with_field(FIELD)
    }

    /// The record of a document.
    async fn record(&self, document: &Document, key: &Key, cx: &Context) -> Result<Option<Record>> {
        match &document.record {
            None => Ok(None),
            Some(sealed) => open(&self.sealing.cipher(key, cx).await?, sealed).map(Some),
        }
    }
}

async fn find(provider: &dyn Provider, reference: &Reference, cx: &Context) -> Result<Found> {
    let secret = match provider.get(reference, cx).await {
        Ok(secret) => secret,
        Err(error) if error.kind() == Kind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(at_the_store(&error)),
    };
    let document = (secret.expose().len() <= MAX_DOCUMENT)
        .then(|| serde_json::from_slice(secret.expose()).ok())
        .flatten()
        .filter(|document: &Document| document.credchain_oauth2 == 1);
    let version = secret.meta().version.clone();
    match (document, version) {
        (Some(document), Some(version)) => Ok(Found {
            document,
            version: Some(version),
        }),
        (None, _) => Err(Error::new(
            Kind::Misconfigured,
            format!(
                "`{}` holds something that is no kept token",
                reference.path()
            ),
        )
        .with_hint("nothing is written over it; choose another path, or delete it")),
        (_, None) => Err(Error::new(
            Kind::Internal,
            "the provider did not say which version it gave",
        )),
    }
}

/// Opens a record. Another key is another machine's mistake or ours: nothing is written over what
/// the others can read.
fn open(cipher: &Cipher, sealed: &str) -> Result<Record> {
    let sealed = STANDARD.decode(sealed).ok();
    let record = sealed.and_then(|sealed| cipher.open(&sealed));
    record.ok_or_else(|| {
        let message = "the shared token cannot be read: it was kept with another key";
        Error::new(Kind::Misconfigured, message)
            .with_hint("all machines need the same key; delete the token to begin again")
    })
}

async fn write(
    provider: &dyn Provider,
    reference: &Reference,
    document: &Document,
    version: Option<&Version>,
    cx: &Context,
) -> Result<Version> {
    let text = serde_json::to_vec(document)
        .map_err(|_| Error::new(Kind::Internal, "a document cannot be written"))?;
    let expect = version.map_or(Expect::Absent, |version| Expect::Version(version.clone()));
    let options = SetOptions::expecting(expect);
    let text = Secret::new(text);
    let set = provider.set(reference, &text, &options, cx);
    set.await.map_err(|error| at_the_store(&error))
}

#[async_trait]
impl Backend for Shared {
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>> {
        let found = find(&*self.provider, &self.reference(key)?, cx).await?;
        self.record(&found.document, key, cx).await
    }

    async fn enter(
        &self,
        key: &Key,
        enough: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>> {
        let reference = self.reference(key)?;
        let cipher = self.sealing.cipher(key, cx).await?;
        let own = Holder {
            name: name()?,
            term_ms: u64::try_from(TERM.as_millis()).unwrap_or(u64::MAX),
        };
        let mut wait = Wait::new(cx);
        loop {
            let mut found = find(&*self.provider, &reference, cx).await?;
            let record = found.document.record.as_deref();
            let record = record.map(|sealed| open(&cipher, sealed)).transpose()?;
            if record.as_ref().is_some_and(enough) {
                return Ok(None);
            }
            // The write may have come through, and only its answer been lost.
            let ours = found.document.holder.as_ref() == Some(&own);
            let version = match &found.version {
                Some(version) if ours => version.clone(),
                _ => {
                    if !wait.is_over(&found, cx).await? {
                        continue;
                    }
                    found.document.credchain_oauth2 = 1;
                    found.document.holder = Some(own.clone());
                    let version = found.version.as_ref();
                    match write(&*self.provider, &reference, &found.document, version, cx).await {
                        Ok(version) => version,
                        // Somebody was faster.
                        Err(error) if error.kind() == Kind::Conflict => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            return Ok(Some(Box::new(Held {
                provider: Arc::clone(&self.provider),
                reference,
                cipher,
                known: found.document.record.clone(),
                document: found.document,
                version,
                record,
                context: cx.clone(),
            })));
        }
    }
}

/// Waiting for somebody else's turn to end.
struct Wait {
    began: Duration,
    pause: Duration,
    /// The version that was found last, and since when.
    watched: Option<(Version, Duration)>,
}

impl Wait {
    fn new(cx: &Context) -> Self {
        Self {
            began: cx.clock().monotonic(),
            pause: FIRST_PAUSE,
            watched: None,
        }
    }

    /// Whether it is nobody's turn any more; if it is somebody's, waits a little.
    async fn is_over(&mut self, found: &Found, cx: &Context) -> Result<bool> {
        let (Some(holder), Some(version)) = (&found.document.holder, &found.version) else {
            return Ok(true);
        };
        let now = cx.clock().monotonic();
        let since = match &self.watched {
            Some((seen, since)) if seen == version => *since,
            _ => now,
        };
        self.watched = Some((version.clone(), since));
        let term = Duration::from_millis(holder.term_ms).min(LONGEST_TERM);
        if now.saturating_sub(since) >= term {
            tracing::warn!("the machine that was asking for a token does not finish");
            return Ok(true);
        }
        let late = cx.remaining().is_some_and(|left| left <= self.pause);
        if late || now.saturating_sub(self.began) > PATIENCE {
            return Err(Error::new(
                Kind::Unavailable,
                "another machine is asking for this token and does not finish",
            ));
        }
        cx.clock().sleep(self.pause).await;
        self.pause = (2 * self.pause).min(PAUSE);
        Ok(false)
    }
}

/// A name that nobody else has.
fn name() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::new(Kind::Internal, "the system gives no randomness"))?;
    Ok(STANDARD.encode(bytes))
}

/// A turn: our name is in the document, as long as that has this version.
struct Held {
    provider: Arc<dyn Provider>,
    reference: Reference,
    cipher: Cipher,
    document: Document,
    version: Version,
    /// The record of the document, as it was written last.
    known: Option<String>,
    record: Option<Record>,
    context: Context,
}

impl Held {
    async fn put(&mut self) -> Result<()> {
        // What is still to be kept was paid for: it has its own time.
        let cx = self
            .context
            .clone()
            .without_deadline()
            .with_timeout(TERM / 2);
        let mut attempts = 0;
        loop {
            let (provider, version) = (&*self.provider, Some(&self.version));
            let written = write(provider, &self.reference, &self.document, version, &cx).await;
            match written {
                Ok(version) => {
                    self.version = version;
                    self.known.clone_from(&self.document.record);
                    return Ok(());
                }
                Err(error) if error.kind() != Kind::Conflict => return Err(error),
                Err(_) => {}
            }
            // Somebody who came and left without a result is in nobody's way.
            attempts += 1;
            let found = find(provider, &self.reference, &cx).await?;
            let is_free = found.document.holder.is_none() && found.document.record == self.known;
            match found.version {
                Some(version) if is_free && attempts < ATTEMPTS => self.version = version,
                _ => {
                    let message = "another machine has taken over and may have another token";
                    return Err(Error::new(Kind::Conflict, message));
                }
            }
        }
    }

    fn seal(&mut self, record: &Record) -> Result<()> {
        self.document.record = Some(STANDARD.encode(self.cipher.seal(record)?));
        Ok(())
    }
}

#[async_trait]
impl Turn for Held {
    async fn load(&mut self) -> Result<Option<Record>> {
        Ok(self.record.take())
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        self.seal(record)?;
        self.put().await
    }

    async fn save_and_leave(&mut self, record: &Record) -> Result<()> {
        self.seal(record)?;
        self.document.holder = None;
        self.put().await
    }

    async fn clear(&mut self) -> Result<()> {
        // Not deleted: a version that is compared with must go on.
        self.document.record = None;
        self.document.holder = None;
        self.put().await
    }

    async fn leave(&mut self) {
        if self.document.holder.take().is_some()
            && let Err(error) = self.put().await
        {
            tracing::debug!(%error, "a turn ends by itself");
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("provider", &self.provider)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}
