//! In a provider that belongs to one user of one machine, such as the desktop's keyring. It does
//! not compare before it writes: turns are locks in a directory.

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
use super::{Backend, Enough, Record, Turn, at_the_store, below};
use crate::key::Key;

/// Values below a path of a provider, with a lock for each in a directory.
#[derive(Debug)]
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
        below(&self.path, key)
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
    let record = sealed.and_then(|sealed| cipher.open(&sealed));
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
            _lock: lock(&self.locks, key, cx).await?,
            provider: Arc::clone(&self.provider),
            reference: self.reference(key)?,
            cipher: self.sealing.cipher(key, cx).await?,
            context: cx.clone().without_deadline(),
        })))
    }
}

#[derive(Debug)]
struct Held {
    provider: Arc<dyn Provider>,
    reference: Reference,
    cipher: Cipher,
    context: Context,
    _lock: File,
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
        let value = Secret::new(STANDARD.encode(self.cipher.seal(record)?));
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
