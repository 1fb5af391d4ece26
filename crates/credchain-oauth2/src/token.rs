//! What everybody wants.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use credchain_core::Secret;

use crate::life::Life;

/// An access token. Cheap to clone; it shows itself to nobody.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    secret: Secret,
    generation: u64,
    life: Life,
    scopes: Vec<String>,
}

impl Token {
    pub(crate) fn new(secret: &Secret, generation: u64, life: Life, scopes: Vec<String>) -> Self {
        let secret = secret.clone().with_meta(|meta| {
            meta.created = Some(life.issued);
            meta.expires = Some(life.expires());
        });
        Self(Arc::new(Inner {
            secret,
            generation,
            life,
            scopes,
        }))
    }

    /// The token itself; its metadata says when it was asked for and when it ends.
    pub fn secret(&self) -> &Secret {
        &self.0.secret
    }

    /// The value of the header `Authorization`. Only for the API that the token is for: never for
    /// another origin, and never over `http://`.
    pub fn authorization(&self) -> Secret {
        Secret::new([b"Bearer ", self.0.secret.expose()].concat())
    }

    /// Grows with each token of this source; for [`invalidate`](crate::TokenSource::invalidate).
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// When it ends.
    pub fn expires(&self) -> SystemTime {
        self.0.life.expires()
    }

    /// What it may do, as the server granted it.
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    pub(crate) fn life(&self) -> &Life {
        &self.0.life
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("secret", &self.0.secret)
            .field("generation", &self.0.generation)
            .field("expires", &self.expires())
            .field("scopes", &self.0.scopes)
            .finish()
    }
}
