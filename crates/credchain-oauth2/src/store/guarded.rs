//! In a provider that belongs to one user of one machine, such as the desktop's keyring. It does
//! not compare before it writes: turns are locks in a directory.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use credchain_core::files::PrivateDirectory;
use credchain_core::{
    Context, Error, Kind, Provider, Reference, Result, Secret, SetOptions, async_trait,
};

use super::lock::lock;
use super::seal::{Cipher, Sealing};
use super::{Backend, Enough, Record, Turn, at_the_store};
use crate::key::Key;

/// Values below a path of a provider, with a lock for each in a directory.
pub(super) struct Guarded {
    provider: Arc<dyn Provider>,
    path: String,
    locks: PrivateDirectory,
    sealing: Sealing,
}

impl Guarded {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        path: impl Into<String>,
        locks: PathBuf,
        sealing: Sealing,
    ) -> Result<Self> {
        let capabilities = provider.capabilities();
        if !capabilities.write || !capabilities.delete {
            let message = "tokens cannot be kept there: it is read only";
            return Err(Error::new(Kind::Misconfigured, message));
        }
        Ok(Self {
            provider,
            path: path.into(),
            locks: PrivateDirectory::new(locks),
            sealing,
        })
    }

    fn reference(&self, key: &Key) -> Result<Reference> {
        let path = self.path.trim_end_matches('/');
        Reference::new(format!("{path}/{}", key.as_str()))
    }
}

/// What is kept; what cannot be read is nothing, and the next token takes its place.
async fn find(
    provider: &dyn Provider,
    reference: &Reference,
    cipher: &Cipher,
    cx: &Context,
) -> Result<Option<Record>> {
    let sealed = match provider.get(reference, cx).await {
        Ok(secret) => STANDARD.decode(secret.expose()).ok(),
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        Err(error) => return Err(at_the_store(&error)),
    };
    let text = sealed.and_then(|sealed| cipher.open(&sealed));
    let record = text.and_then(|text| Record::decode(&text));
    if record.is_none() {
        tracing::warn!("a kept token cannot be read");
    }
    Ok(record)
}

#[async_trait]
impl Backend for Guarded {
    async fn peek(&self, key: &Key, cx: &Context) -> Result<Option<Record>> {
        let cipher = self.sealing.cipher(key, cx).await?;
        find(&*self.provider, &self.reference(key)?, &cipher, cx).await
    }

    async fn enter(
        &self,
        key: &Key,
        _: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>> {
        Ok(Some(Box::new(Held {
            lock: lock(&self.locks, key, cx).await?,
            provider: Arc::clone(&self.provider),
            reference: self.reference(key)?,
            cipher: self.sealing.cipher(key, cx).await?,
            context: cx.clone().without_deadline(),
        })))
    }
}

struct Held {
    provider: Arc<dyn Provider>,
    reference: Reference,
    cipher: Cipher,
    context: Context,
    lock: File,
}

#[async_trait]
impl Turn for Held {
    async fn load(&mut self) -> Result<Option<Record>> {
        find(
            &*self.provider,
            &self.reference,
            &self.cipher,
            &self.context,
        )
        .await
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        let sealed = self.cipher.seal(record.encode());
        let sealed = sealed.ok_or_else(|| Error::new(Kind::Internal, "nothing can be sealed"))?;
        let value = Secret::new(STANDARD.encode(sealed));
        let options = SetOptions::default();
        let set = self
            .provider
            .set(&self.reference, &value, &options, &self.context);
        set.await.map(drop).map_err(|error| at_the_store(&error))
    }

    async fn clear(&mut self) -> Result<()> {
        match self.provider.delete(&self.reference, &self.context).await {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            deleted => deleted.map_err(|error| at_the_store(&error)),
        }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("provider", &self.provider)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("reference", &self.reference)
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}
