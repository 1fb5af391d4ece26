//! A certificate authority of the tests' own, and servers with certificates of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// What is wrong with a server's certificate, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certificate {
    /// It is for `127.0.0.1` and `localhost`, and for long.
    Right,
    /// It was right until some years ago.
    Expired,
    /// It is for another host.
    OtherHost,
}

/// An authority that nobody trusts who was not told to.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one, which no other test knows.
    ///
    /// # Panics
    /// If the temporary folder is not writable.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("it signs itself");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let pem = certificate.pem();
        std::fs::write(folder.path().join("ca.pem"), pem).expect("the folder is writable");
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// The PEM file with its own certificate, which is there as long as the authority is.
    pub fn pem(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server with a new certificate needs.
    pub(super) fn certify(&self, certificate: Certificate) -> Arc<ServerConfig> {
        let hosts = match certificate {
            Certificate::OtherHost => vec!["other.example.com".to_owned()],
            Certificate::Right | Certificate::Expired => {
                vec!["127.0.0.1".to_owned(), "localhost".to_owned()]
            }
        };
        let mut params = CertificateParams::new(hosts).expect("the names are right");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = match certificate {
            Certificate::Expired => date_time_ymd(2001, 1, 1),
            Certificate::Right | Certificate::OtherHost => date_time_ymd(2100, 1, 1),
        };
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.expect("the authority signs");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("key and certificate belong together");
        Arc::new(config)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
