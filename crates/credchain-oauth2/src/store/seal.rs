//! Encryption of what is kept on a disk.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use credchain_core::files::{Draft, PrivateDirectory, directory_of, make_private_directory};
use credchain_core::{Context, CredentialSource, Error, Kind, Name, Result};
use zeroize::Zeroizing;

use super::Record;
use crate::ask::line;
use crate::key::Key;

/// The first line of a file, which tells what it is to whoever finds it.
const MAGIC: &[u8] = b"credchain-oauth2/1\n";

const KEY_LEN: usize = 32;

/// A credential that is shorter could be guessed.
const SHORTEST: usize = 16;

/// What the tokens on a disk are encrypted with.
#[derive(Clone)]
pub struct Sealing(From);

#[derive(Clone)]
enum From {
    File(PathBuf),
    Credential(Name, Arc<dyn CredentialSource>),
}

impl Sealing {
    /// A random key in a file of mode 0600, made when it is needed first.
    ///
    /// SECURITY: this protects copies of the tokens' directory, such as backups, if the key is
    /// elsewhere. It protects nothing from whoever can read this user's files.
    pub fn key_file(path: impl Into<PathBuf>) -> Self {
        Self(From::File(path.into()))
    }

    /// A credential of at least 16 bytes that are hard to guess, such as what
    /// `resolve generate` makes.
    pub fn credential(name: Name, source: Arc<dyn CredentialSource>) -> Self {
        Self(From::Credential(name, source))
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.0, From::File(_))
    }

    /// The cipher for one record.
    pub(super) async fn cipher(&self, key: &Key, cx: &Context) -> Result<Cipher> {
        let secret = match &self.0 {
            From::File(path) => key_of(path)?,
            From::Credential(name, source) => {
                let secret = source.needed(name, cx).await?;
                let secret = Zeroizing::new(line(&secret).to_vec());
                if secret.len() < SHORTEST {
                    let message =
                        format!("`{name}`, which tokens are encrypted with, is too short");
                    return Err(Error::new(Kind::Misconfigured, message)
                        .with_hint(format!("`resolve generate --set {name}`")));
                }
                secret
            }
        };
        Cipher::new(&secret, key).ok_or_else(|| Error::new(Kind::Internal, "no cipher can be made"))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            From::File(path) => f.debug_tuple("KeyFile").field(path).finish(),
            From::Credential(name, _) => f.debug_tuple("Credential").field(name).finish(),
        }
    }
}

/// The key in a file, which is made if it is not there. Of several programs that make one at the
/// same time one wins, and all use that.
fn key_of(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>> {
    let directory = PrivateDirectory::new(directory_of(path));
    let name = path.file_name().and_then(std::ffi::OsStr::to_str);
    let name = name.ok_or_else(|| Error::new(Kind::Misconfigured, "the key file has no name"))?;
    if let Some(key) = directory.read(name, KEY_LEN as u64)? {
        let key = Zeroizing::new(key);
        if key.len() == KEY_LEN {
            return Ok(key);
        }
        let message = format!("`{}` is no key of {KEY_LEN} bytes", path.display());
        return Err(Error::new(Kind::Misconfigured, message)
            .with_hint("remove it: the next login makes another one"));
    }
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    getrandom::fill(&mut key)
        .map_err(|_| Error::new(Kind::Internal, "the system gives no randomness"))?;
    let failed = |error: std::io::Error| {
        let message = format!("cannot write `{}`: {}", path.display(), error.kind());
        Error::new(Kind::Misconfigured, message).with_source(error)
    };
    if !directory.exists()? {
        make_private_directory(directory.path()).map_err(failed)?;
    }
    let mut draft = Draft::private(path, ".key-").map_err(failed)?;
    draft.write_all(&key).map_err(failed)?;
    if draft.create().map_err(failed)? {
        return Ok(key);
    }
    let there = directory.read(name, KEY_LEN as u64)?;
    let there = there.filter(|key| key.len() == KEY_LEN).map(Zeroizing::new);
    there.ok_or_else(|| failed(ErrorKind::InvalidData.into()))
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// Encrypts one record with AES-256-GCM, under a key of its own.
pub(super) struct Cipher {
    key: RandomizedNonceKey,
    /// What a record has to be about: another one that is put in its place is not accepted.
    about: Vec<u8>,
}

impl Cipher {
    fn new(secret: &[u8], key: &Key) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, MAGIC).extract(secret);
        let purpose = [key.as_str().as_bytes()];
        let expanded = extracted.expand(&purpose, HKDF_SHA256).ok()?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        expanded.fill(&mut *bytes).ok()?;
        Some(Self {
            key: RandomizedNonceKey::new(&AES_256_GCM, &*bytes).ok()?,
            about: [MAGIC, key.as_str().as_bytes()].concat(),
        })
    }

    /// A record as it is kept: what it is, what it was sealed with, and the rest unreadable.
    pub(super) fn seal(&self, record: &Record) -> Result<Vec<u8>> {
        let sealed = self.seal_text(record.encode());
        sealed.ok_or_else(|| Error::new(Kind::Internal, "nothing can be sealed"))
    }

    /// The record that was kept; nothing if this cipher did not seal it.
    pub(super) fn open(&self, kept: &[u8]) -> Option<Record> {
        Record::decode(&self.open_text(kept)?)
    }

    fn seal_text(&self, mut text: Zeroizing<Vec<u8>>) -> Option<Vec<u8>> {
        // The text has room, so that no copy of it is left behind when the tag is added.
        let about = Aad::from(&self.about);
        let nonce = self.key.seal_in_place_append_tag(about, &mut *text).ok()?;
        Some([MAGIC, nonce.as_ref(), &text].concat())
    }

    fn open_text(&self, file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = file.strip_prefix(MAGIC)?.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::from(nonce);
        let length = self
            .key
            .open_in_place(nonce, Aad::from(&self.about), &mut text)
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}
