//! The HTTP client: the SDK's own, with a bound on what an answer may take, and perhaps a CA.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider as Tls, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use credchain_core::{Error, Kind, Result, files};
use http_body_util::Limited;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The largest answer that is read: twenty values of 64 KiB, in JSON that escapes each byte.
const MAX_ANSWER: usize = 16 << 20;

/// The largest file of certificates.
const MAX_CA: u64 = 1 << 20;

/// A client with a pool of its own. Its connections are served by tasks of the runtime that it
/// is first used on, so each runtime needs one.
pub(crate) async fn client(ca: Option<&PathBuf>) -> Result<SharedHttpClient> {
    let mut trusted = TrustStore::default();
    if let Some(file) = ca {
        trusted = trusted.with_pem_certificate(read_ca(file).await?);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|_| Error::new(Kind::Internal, "TLS cannot be set up"))?;
    let client = Builder::new()
        .tls_provider(Tls::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https();
    Ok(SharedHttpClient::new(Bounded(client)))
}

async fn read_ca(file: &Path) -> Result<Vec<u8>> {
    let path = file.to_owned();
    let read =
        tokio::task::spawn_blocking(move || files::open(&path).and_then(|file| file.read(MAX_CA)));
    let unusable = |why: &str| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = read
        .await
        .map_err(|_| Error::new(Kind::Internal, "a task on files did not finish"))?
        .map_err(|_| unusable("cannot be read"))?;
    // The SDK takes these on trust and panics over what it cannot parse.
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| unusable("is not PEM"))?;
    let mut store = RootCertStore::empty();
    let (_, refused) = store.add_parsable_certificates(certificates);
    if store.is_empty() || refused > 0 {
        return Err(unusable("holds no usable certificate"));
    }
    Ok(pem)
}

/// A client whose answers end at [`MAX_ANSWER`]: the SDK itself reads whatever comes.
#[derive(Debug)]
struct Bounded<T>(T);

impl HttpClient for Bounded<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Bounded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_ANSWER))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ca_that_cannot_be_used_is_misconfigured() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let kind = async || client(Some(&file)).await.unwrap_err().kind();
        assert_eq!(kind().await, Kind::Misconfigured);
        for content in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(kind().await, Kind::Misconfigured, "{content}");
        }
    }
}
