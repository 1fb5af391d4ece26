//! Assertions: what a client says of itself, signed with its key (RFC 7523).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use credchain_core::Secret;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::key::hex;

/// How long an assertion holds; it is used at once.
const LIFE: Duration = Duration::from_mins(5);

/// A statement from the future is not believed, and clocks differ by a little.
const BEFORE: Duration = Duration::from_secs(10);

/// Shorter keys of RSA can be broken.
const SHORTEST_RSA: usize = 2048 / 8;

/// A private key, of which the algorithm follows.
enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key that signs assertions.
pub(crate) struct Signer {
    key: Key,
    id: Option<String>,
}

/// What an assertion says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    /// By the server's clock, as far as that is known.
    pub(crate) now: SystemTime,
}

impl Signer {
    /// Reads a private key in PEM: PKCS #8, or the older forms of RSA and of elliptic curves.
    pub(crate) fn new(pem: &Secret, id: Option<String>) -> Result<Self, Failure> {
        const WRONG: Failure = Failure::Unasked("the key to sign with is no private key in PEM");
        const OTHER: Failure =
            Failure::Unasked("the key to sign with is neither RSA, nor P-256, nor Ed25519");
        let der = PrivateKeyDer::from_pem_slice(pem.expose()).map_err(|_| WRONG)?;
        let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = match &der {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der())
                .map(Key::Rsa)
                .map_err(|_| OTHER)?,
            PrivateKeyDer::Sec1(key) => {
                EcdsaKeyPair::from_private_key_der(p256, key.secret_sec1_der())
                    .map(Key::P256)
                    .map_err(|_| OTHER)?
            }
            PrivateKeyDer::Pkcs8(key) => {
                let der = key.secret_pkcs8_der();
                let rsa = RsaKeyPair::from_pkcs8(der).map(Key::Rsa);
                let p256 = || EcdsaKeyPair::from_pkcs8(p256, der).map(Key::P256);
                let ed25519 = || Ed25519KeyPair::from_pkcs8(der).map(Key::Ed25519);
                rsa.or_else(|_| p256())
                    .or_else(|_| ed25519())
                    .map_err(|_| OTHER)?
            }
            _ => return Err(OTHER),
        };
        if matches!(&key, Key::Rsa(rsa) if rsa.public_modulus_len() < SHORTEST_RSA) {
            return Err(Failure::Unasked(
                "the key to sign with is shorter than 2048 bits",
            ));
        }
        Ok(Self { key, id })
    }

    /// Signs a statement. No two are the same, so that one which was seen is of no use.
    pub(crate) fn assertion(&self, statement: Statement<'_>) -> Result<Zeroizing<String>, Failure> {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        let issued = statement.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let issued = issued.saturating_sub(BEFORE);
        let mut once = [0; 16];
        getrandom::fill(&mut once).map_err(|_| no_randomness())?;
        let claims = json!({
            "iss": statement.issuer,
            "sub": statement.subject,
            "aud": statement.audience,
            "iat": issued.as_secs(),
            "exp": (issued + LIFE).as_secs(),
            "jti": hex(&once),
        });
        let encoded = |part: &Value| BASE64.encode(part.to_string());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature = self.sign(text.as_bytes())?;
        Ok(Zeroizing::new(format!(
            "{text}.{}",
            BASE64.encode(signature)
        )))
    }

    fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let random = SystemRandom::new();
        let failed = |_| Failure::Unasked("the key to sign with does not sign");
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Key::P256(key) => {
                let signature = key.sign(&random, text).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Key::Ed25519(key) => Ok(key.sign(text).as_ref().to_vec()),
        }
    }

    #[cfg(test)]
    fn public_key(&self) -> Vec<u8> {
        use aws_lc_rs::signature::KeyPair as _;
        match &self.key {
            Key::Rsa(key) => key.public_key().as_ref().to_vec(),
            Key::P256(key) => key.public_key().as_ref().to_vec(),
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }
}

pub(crate) fn no_randomness() -> Failure {
    Failure::Unasked("the system gives no randomness")
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    };

    use super::*;

    fn pem(algorithm: &'static rcgen::SignatureAlgorithm) -> Secret {
        Secret::new(KeyPair::generate_for(algorithm).unwrap().serialize_pem())
    }

    fn statement() -> Statement<'static> {
        Statement {
            issuer: "etl",
            subject: "alice",
            audience: "https://as.example.com",
            now: UNIX_EPOCH + Duration::from_secs(1_000_000),
        }
    }

    #[test]
    fn the_algorithm_follows_from_the_key_and_the_signature_holds() {
        let rsa: &dyn VerificationAlgorithm = &RSA_PKCS1_2048_8192_SHA256;
        for (algorithm, name, verification) in [
            (&PKCS_RSA_SHA256, "RS256", rsa),
            (&PKCS_ECDSA_P256_SHA256, "ES256", &ECDSA_P256_SHA256_FIXED),
            (&PKCS_ED25519, "EdDSA", &ED25519),
        ] {
            let signer = Signer::new(&pem(algorithm), Some("k1".to_owned())).unwrap();
            let assertion = signer.assertion(statement()).unwrap();
            let (text, signature) = assertion.rsplit_once('.').unwrap();
            let public = UnparsedPublicKey::new(verification, signer.public_key());
            let signature = BASE64.decode(signature).unwrap();
            public.verify(text.as_bytes(), &signature).unwrap();
            let (header, claims) = text.split_once('.').unwrap();
            let json =
                |part| -> Value { serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap() };
            let header = json(header);
            assert_eq!(header, json!({"alg": name, "typ": "JWT", "kid": "k1"}));
            let claims = json(claims);
            assert_eq!(
                (&claims["iss"], &claims["sub"]),
                (&json!("etl"), &json!("alice"))
            );
            assert_eq!(claims["aud"], "https://as.example.com");
            assert_eq!(
                (&claims["iat"], &claims["exp"]),
                (&json!(999_990), &json!(1_000_290))
            );
        }
    }

    #[test]
    fn no_two_assertions_are_the_same() {
        let signer = Signer::new(&pem(&PKCS_ED25519), None).unwrap();
        let assertion = || signer.assertion(statement()).unwrap();
        assert_ne!(assertion(), assertion());
    }

    #[test]
    fn what_is_no_key_or_another_one_is_misconfigured_and_not_shown() {
        for key in [
            Secret::new("canary"),
            Secret::new(""),
            pem(&PKCS_ECDSA_P384_SHA384),
        ] {
            let failure = Signer::new(&key, None).unwrap_err();
            assert!(matches!(failure, Failure::Unasked(_)));
            assert!(!format!("{failure:?}").contains("canary"));
        }
    }
}
