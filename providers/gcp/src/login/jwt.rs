//! What a service account says of itself, signed with its key (RFC 7523).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde_json::json;
use zeroize::Zeroizing;

use super::grant::SCOPE;
use crate::error::Failure;

/// `RS256`.
const SCHEME: [SignatureScheme; 1] = [SignatureScheme::RSA_PKCS1_SHA256];

/// How long the statement holds; it is used at once.
const LIFE: Duration = Duration::from_mins(10);

/// A statement from the future is not believed, and clocks differ by a little.
const BEFORE: Duration = Duration::from_secs(10);

/// A service account with its key.
pub(super) struct Key {
    pub(super) email: String,
    pub(super) token_url: String,
    id: Option<String>,
    signing: Arc<dyn SigningKey>,
}

impl Key {
    /// The account whose private key is this PEM; nothing if that is no RSA key.
    pub(super) fn new(
        email: String,
        token_url: String,
        id: Option<String>,
        pem: &str,
    ) -> Option<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
        let signing = any_supported_type(&der).ok()?;
        signing.choose_scheme(&SCHEME)?;
        Some(Self {
            email,
            token_url,
            id,
            signing,
        })
    }

    /// Says who this is, to the token endpoint alone.
    pub(super) fn assertion(&self, now: SystemTime) -> Result<Zeroizing<String>, Failure> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        let issued = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let issued = issued.saturating_sub(BEFORE);
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_url,
            "iat": issued.as_secs(),
            "exp": (issued + LIFE).as_secs(),
        });
        let encoded = |part: &serde_json::Value| BASE64.encode(part.to_string());
        let statement = format!("{}.{}", encoded(&header), encoded(&claims));
        let signer = self.signing.choose_scheme(&SCHEME);
        let signature = signer.and_then(|signer| signer.sign(statement.as_bytes()).ok());
        let signature = signature.ok_or(Failure::Unasked)?;
        Ok(Zeroizing::new(format!(
            "{statement}.{}",
            BASE64.encode(signature)
        )))
    }
}
