//! One request and its answer: bounded in time and in size, and never sent elsewhere.

use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_core::{Context, Error, Kind, Result, append_piece, causes, files};
use reqwest::header::{DATE, HeaderName, LINK, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, redirect};
use zeroize::Zeroizing;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// The largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// The largest file of authorities.
const MAX_CA: u64 = 1 << 20;

/// The longest time that an answer may ask to be left alone for.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What an answer says besides its body.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// Whether it is a page, and others follow.
    pub(super) continues: bool,
}

/// A client that takes nothing from the environment and follows no redirect. Blocks while it
/// reads authorities.
pub(super) fn client(ca: Option<&Path>, plain: bool) -> Result<Client> {
    let mut builder = Client::builder()
        .no_proxy()
        // SECURITY: wherever an answer points, no secret goes there.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        // A connection belongs to the runtime that made it, and the next request may come from
        // another one.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("credchain/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = ca {
        builder = builder.tls_certs_merge(authorities(file)?);
    } else if plain {
        // No handshake can follow, and reading the system's authorities takes long.
        builder = builder.tls_certs_only([]);
    }
    // What a certificate holds is looked at here and not before.
    let kind = ca.map_or(Kind::Internal, |_| Kind::Misconfigured);
    let client = builder.build();
    client.map_err(|_| Error::new(kind, "no HTTP client can be made of these settings"))
}

fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let unusable = |why: &str| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = files::open(file).and_then(|file| file.read(MAX_CA));
    let pem = pem.map_err(|refused| unusable(&refused.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unusable("holds no usable certificate")),
    }
}

/// Sends a request, and reads the answer's body if it is `wanted`.
pub(super) async fn send(
    request: RequestBuilder,
    patience: Duration,
    wanted: impl Fn(u16) -> bool + Send + Sync,
    cx: &Context,
) -> Result<(Head, Zeroizing<Vec<u8>>)> {
    let exchange = async {
        let response = request.send().await.map_err(|error| lost(&error))?;
        let head = head(&response, cx.clock().now());
        let body = if wanted(head.status) {
            body(response).await?
        } else {
            Zeroizing::default()
        };
        Ok((head, body))
    };
    let left = cx.remaining().map_or(patience, |left| left.min(patience));
    let late = || {
        Err(Error::new(
            Kind::Unavailable,
            "the request was not answered in time",
        ))
    };
    match left {
        Duration::ZERO => late(),
        left => cx
            .clock()
            .timeout(left, exchange)
            .await
            .unwrap_or_else(late),
    }
}

fn head(response: &Response, now: SystemTime) -> Head {
    let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    let now = header(DATE).and_then(date).unwrap_or(now);
    Head {
        status: response.status().as_u16(),
        retry_after: header(RETRY_AFTER).and_then(|text| wait(text, now)),
        // RFC 8288; GitHub and many others.
        continues: header(LINK).is_some_and(|links| {
            let links = links.to_ascii_lowercase();
            links.contains("rel=\"next\"") || links.contains("rel=next")
        }),
    }
}

/// How long an answer asks to wait: seconds, or until a date by the server's own clock.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let seconds = text.trim().parse().map(Duration::from_secs).ok();
    let wait = seconds.or_else(|| Some(date(text)?.duration_since(now).unwrap_or_default()));
    wait.map(|wait| wait.clamp(Duration::from_secs(1), LONGEST_WAIT))
}

fn date(text: &str) -> Option<SystemTime> {
    let zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(SystemTime::from(zoned.timestamp()))
}

async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(piece) = response.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(Error::new(
                Kind::Misconfigured,
                "an answer is larger than any should be",
            ));
        }
        append_piece(&mut body, &piece);
    }
    Ok(body)
}

/// Whatever keeps an answer from us may have come after the effect. The library's own text, which
/// may have the address in it, is not passed on.
fn lost(error: &reqwest::Error) -> Error {
    let certificate = causes(error).any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    });
    if certificate {
        return Error::new(
            Kind::Unavailable,
            "the server shows a certificate that is not trusted",
        )
        .with_hint("name its authority with `ca`, and look at `base` and at proxies on the way");
    }
    if error.is_builder() {
        return Error::new(
            Kind::Misconfigured,
            "a request cannot be made of these settings",
        );
    }
    let message = if error.is_connect() {
        "the server cannot be reached"
    } else if error.is_timeout() {
        "the request was not answered in time"
    } else {
        "the answer was lost on the way"
    };
    Error::new(Kind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_and_has_bounds() {
        let second = Duration::from_secs(1);
        let now = date("Thu, 01 Jan 2026 00:00:00 GMT").unwrap();
        let wait = |text| wait(text, now);
        assert_eq!(wait("7"), Some(second * 7));
        assert_eq!(wait("0"), Some(second));
        assert_eq!(wait("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(wait("Thu, 01 Jan 2026 00:00:30 GMT"), Some(second * 30));
        assert_eq!(wait("Wed, 31 Dec 2025 00:00:30 GMT"), Some(second));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_ca_that_cannot_be_used_is_misconfigured() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let kind = || client(Some(&file), false).unwrap_err().kind();
        assert_eq!(kind(), Kind::Misconfigured);
        for content in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(kind(), Kind::Misconfigured, "{content}");
        }
    }
}
