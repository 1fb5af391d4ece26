//! Requests and their answers: bounded in time and in size, and never sent elsewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result, append_piece, causes, files};
use futures_util::TryStreamExt as _;
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, redirect};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Failure;

/// Bounds of a single request, for callers without a deadline.
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(30);

/// How long a connection with requests on it may be silent before it is asked for a sign of life.
const PING: Duration = Duration::from_secs(10);

/// The largest answer that is read: a page of a list, and far more than any value.
const MAX_ANSWER: usize = 4 << 20;

/// The largest file of certificates.
const MAX_CA: u64 = 1 << 20;

/// A client with a pool of its own. Its connections are served by tasks of the runtime that it
/// is first used on, so each runtime needs one.
pub(crate) struct Http(Client);

impl Http {
    /// Every setting is made here: nothing comes from the environment.
    pub(crate) async fn new(ca: Option<&PathBuf>) -> Result<Self> {
        let mut builder = Client::builder()
            .no_proxy()
            // SECURITY: wherever an answer points, neither a token nor a key goes there.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // After a machine slept, its connections may be dead without knowing it.
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(CONNECT)
            .tcp_keepalive(PING)
            .user_agent(concat!("credchain/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = ca {
            builder = builder.tls_certs_merge(read_ca(file).await?);
        }
        // What a certificate holds is looked at here and not before.
        let kind = ca.map_or(Kind::Internal, |_| Kind::Misconfigured);
        let client = builder.build();
        client
            .map(Self)
            .map_err(|_| Error::new(kind, "no HTTP client can be made"))
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.0.request(method, url)
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(request: RequestBuilder, cx: &Context) -> Result<Answer, Failure> {
    let left = cx.remaining().map_or(ATTEMPT, |left| left.min(ATTEMPT));
    if left.is_zero() {
        return Err(Failure::Late);
    }
    let response = request.timeout(left).send().await;
    read(response.map_err(|error| failure_of(&error))?).await
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it holds, by the word of whoever asks for it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        // serde's message could quote the answer, so it is not passed on.
        serde_json::from_slice(&self.body).map_err(|_| Failure::Unreadable)
    }
}

async fn read(response: Response) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let wait = response.headers().get(RETRY_AFTER);
    let retry_after = wait
        .and_then(|wait| wait.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = Zeroizing::new(Vec::with_capacity(8192));
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks
        .try_next()
        .await
        .map_err(|error| failure_of(&error))?
    {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::TooLarge);
        }
        append_piece(&mut body, &chunk);
    }
    Ok(Answer {
        status,
        retry_after,
        body,
    })
}

fn failure_of(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        Failure::Unasked
    } else if error.is_timeout() {
        Failure::Late
    } else if is_distrust(error) {
        Failure::Certificate
    } else {
        Failure::Silence
    }
}

/// Whether a certificate is among the causes.
fn is_distrust(error: &reqwest::Error) -> bool {
    let tls = causes(error).find_map(|cause| cause.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

async fn read_ca(file: &Path) -> Result<Vec<Certificate>> {
    let unusable = |why: &str| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = read_file(file, MAX_CA)
        .await?
        .map_err(|_| unusable("cannot be read"))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unusable("is not PEM"))?;
    if certificates.is_empty() {
        return Err(unusable("holds no certificate"));
    }
    Ok(certificates)
}

/// Reads a file off the runtime's thread: it can be on a disk that takes its time.
pub(crate) async fn read_file(
    file: &Path,
    limit: u64,
) -> Result<Result<Zeroizing<Vec<u8>>, files::Refused>> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let content = files::open(&path).and_then(|file| file.read(limit));
        content.map(Zeroizing::new)
    });
    read.await
        .map_err(|_| Error::new(Kind::Internal, "a task on files did not finish"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ca_that_cannot_be_used_is_misconfigured() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let kind = async || Http::new(Some(&file)).await.err().unwrap().kind();
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
