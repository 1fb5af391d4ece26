//! The HTTP client, and answers that are read within bounds.

use std::error::Error as StdError;
use std::path::Path;
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result, append_piece, causes, files};
use futures_util::TryStreamExt as _;
use reqwest::header::{HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Certificate, RequestBuilder, redirect};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::failed::Failed;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest that one request may take, whatever the caller's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection with requests on it may be silent before it is asked for a sign of life.
const PING: Duration = Duration::from_secs(10);

/// The largest answer that is read: a value has 25 KiB, and a byte of it at most six in JSON.
const MAX_ANSWER: usize = 1 << 20;

/// The largest file of certificates.
const MAX_CA: u64 = 4 << 20;

/// A client for one runtime. Nothing about it comes from the environment, and no redirect is
/// followed: neither Key Vault nor Entra sends anybody elsewhere.
pub(crate) async fn client(ca: Option<&Path>) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        // After a machine slept, its connections may be dead without knowing it.
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(CONNECT)
        .tcp_keepalive(PING)
        .user_agent(concat!("credchain/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca {
        builder = builder.tls_certs_merge(certificates(file).await?);
    }
    builder.build().map_err(|_| {
        Error::new(
            Kind::Misconfigured,
            "no HTTP client can be made with these settings",
        )
    })
}

async fn certificates(file: &Path) -> Result<Vec<Certificate>> {
    let unusable = |why: String| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = read_file(file, MAX_CA).await.map_err(&unusable)?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable("holds no usable certificate".into())),
    }
}

/// The content of a file, or why there is none.
pub(crate) async fn read_file(file: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = file.to_owned();
    let read =
        tokio::task::spawn_blocking(move || files::open(&path).and_then(|file| file.read(limit)));
    match read.await {
        Ok(Ok(content)) => Ok(Zeroizing::new(content)),
        Ok(Err(refused)) => Err(format!("cannot be read: {refused}")),
        Err(_) => Err("was not read to its end".into()),
    }
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    /// What the server wants to see, after a 401.
    pub(crate) challenge: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends a request and reads the answer, within the time that is left.
pub(crate) async fn send(
    action: &'static str,
    request: RequestBuilder,
    cx: &Context,
) -> Result<Answer, Failed> {
    let left = cx.remaining().map_or(PATIENCE, |left| left.min(PATIENCE));
    let exchange = async {
        let response = request.send().await.map_err(|error| failure_of(&error))?;
        read(response).await
    };
    let answer = match left {
        Duration::ZERO => None,
        left => cx.clock().timeout(left, exchange).await,
    };
    answer
        .unwrap_or(Err(Failure::Late))
        .map_err(|failure| Failed::new(action, failure))
}

async fn read(response: reqwest::Response) -> Result<Answer, Failure> {
    let header = |name: &HeaderName| response.headers().get(name).and_then(|v| v.to_str().ok());
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after: header(&RETRY_AFTER).and_then(|wait| wait.trim().parse().ok()),
        challenge: header(&WWW_AUTHENTICATE).map(str::to_owned),
        body: Zeroizing::new(Vec::with_capacity(4096)),
    };
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream
        .try_next()
        .await
        .map_err(|error| failure_of(&error))?
    {
        if answer.body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::TooLarge);
        }
        append_piece(&mut answer.body, &chunk);
    }
    Ok(answer)
}

fn failure_of(error: &reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::Late;
    }
    if is_distrust(error) {
        return Failure::Certificate;
    }
    Failure::Silence
}

/// Whether a certificate is among the causes.
fn is_distrust(error: &reqwest::Error) -> bool {
    let is_certificate = |cause: &(dyn StdError + 'static)| {
        matches!(
            cause.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    };
    causes(error).any(is_certificate)
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
