//! Requests and their answers: bounded in time and in size, and never sent elsewhere.

use std::path::Path;
use std::time::{Duration, SystemTime};

use credchain_core::{Context, Error, Kind, Result, append_piece, causes, files};
use futures_util::TryStreamExt as _;
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, Url, redirect};
use zeroize::Zeroizing;

use crate::date;
use crate::error::{Failed, Failure, LONGEST_WAIT};
use crate::life::Moment;

/// Bounds of a single request.
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(30);

/// The largest answer that is read: far more than any token.
const MAX_ANSWER: usize = 1 << 20;

/// The largest file of authorities.
const MAX_CA: u64 = 1 << 20;

/// Clocks that differ by less are the same: the header has whole seconds.
const SAME_TIME: Duration = Duration::from_secs(5);

/// Connections for one exchange or one login. An hour later they would be closed anyway, and the
/// runtime that drives them does not live longer either.
pub(crate) struct Http(Client);

impl Http {
    /// Every setting is made here: nothing comes from the environment. Blocks while it reads the
    /// authorities, unless all addresses are `plain` ones.
    pub(crate) fn new(ca: Option<&Path>, plain: bool) -> Result<Self> {
        let mut builder = Client::builder()
            .no_proxy()
            // SECURITY: wherever an answer points, neither a secret nor a code goes there.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .user_agent(concat!("credchain/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = ca {
            builder = builder.tls_certs_merge(read_ca(file)?);
        } else if plain {
            // No handshake can follow, and reading the system's authorities takes longer than a
            // request on this machine.
            builder = builder.tls_certs_only([]);
        }
        // What a certificate holds is looked at here and not before.
        let kind = ca.map_or(Kind::Internal, |_| Kind::Misconfigured);
        let client = builder.build();
        client
            .map(Self)
            .map_err(|_| Error::new(kind, "no HTTP client can be made"))
    }

    /// Sends a form. The copy of it that is sent is the HTTP library's, and not wiped.
    pub(crate) async fn post(
        &self,
        url: &Url,
        form: &[u8],
        authorization: Option<HeaderValue>,
        cx: &Context,
    ) -> Result<Answer, Failed> {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut request = self
            .0
            .post(url.clone())
            .header(CONTENT_TYPE, kind)
            .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .body(form.to_vec());
        if let Some(value) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, value);
        }
        send(request, cx).await
    }

    /// Reads a document that is no secret.
    pub(crate) async fn get(&self, url: &Url, cx: &Context) -> Result<Answer, Failed> {
        send(self.0.get(url.clone()), cx).await
    }
}

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// How many seconds the server's clock is ahead, if clearly.
    pub(crate) skew: Option<i64>,
    pub(crate) media: Media,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// Before the request was sent.
    pub(crate) asked: Moment,
}

/// What an answer says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Form,
    Other,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This failure, with what else the answer says.
    pub(crate) fn failed(&self, failure: Failure) -> Failed {
        Failed {
            failure,
            retry_after: self.retry_after,
            skew: self.skew,
        }
    }
}

async fn send(request: RequestBuilder, cx: &Context) -> Result<Answer, Failed> {
    let left = cx.remaining().map_or(ATTEMPT, |left| left.min(ATTEMPT));
    if left.is_zero() {
        return Err(Failure::Late.into());
    }
    let asked = Moment::now(cx.clock());
    let request = request
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .timeout(left);
    let response = request.send().await.map_err(|error| failure_of(&error))?;
    let mut answer = head(&response, asked, Moment::now(cx.clock()));
    answer.body = body(response).await?;
    Ok(answer)
}

fn head(response: &Response, asked: Moment, answered: Moment) -> Answer {
    let header = |name| response.headers().get(name)?.to_str().ok();
    let date = header(DATE).and_then(date::parse);
    let kind = header(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let media = match &*kind {
        "application/x-www-form-urlencoded" | "text/plain" => Media::Form,
        kind if kind == "application/json" || kind.ends_with("+json") => Media::Json,
        _ => Media::Other,
    };
    Answer {
        status: response.status().as_u16(),
        retry_after: header(RETRY_AFTER).and_then(|wait| wait_of(wait, date, answered.wall)),
        skew: date.and_then(|date| skew(date, asked, answered)),
        media,
        body: Zeroizing::default(),
        asked,
    }
}

/// How long an answer asks to wait: seconds, or until a date by the server's own clock.
fn wait_of(text: &str, date: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    let seconds = text.trim().parse().map(Duration::from_secs).ok();
    let wait = seconds.or_else(|| {
        let until = date::parse(text)?;
        Some(
            until
                .duration_since(date.unwrap_or(now))
                .unwrap_or_default(),
        )
    });
    wait.map(|wait| wait.clamp(Duration::from_secs(1), LONGEST_WAIT))
}

/// How many seconds the server's clock is ahead of the middle between question and answer.
fn skew(date: SystemTime, asked: Moment, answered: Moment) -> Option<i64> {
    let trip = answered.monotonic.saturating_sub(asked.monotonic);
    let here = asked.wall + trip / 2;
    let (ahead, apart) = match date.duration_since(here) {
        Ok(apart) => (true, apart),
        Err(behind) => (false, behind.duration()),
    };
    let seconds = i64::try_from(apart.as_secs()).ok()?;
    (apart >= SAME_TIME + trip / 2).then_some(if ahead { seconds } else { -seconds })
}

async fn body(response: Response) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut body = Zeroizing::new(Vec::with_capacity(8192));
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks
        .try_next()
        .await
        .map_err(|error| failure_of(&error))?
    {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::TooLarge.into());
        }
        append_piece(&mut body, &chunk);
    }
    Ok(body)
}

fn failure_of(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        Failure::Unasked("the request cannot be made of these settings")
    } else if is_distrust(error) {
        Failure::Certificate
    } else if error.is_connect() {
        Failure::Unreachable
    } else if error.is_timeout() {
        Failure::Late
    } else {
        Failure::Lost
    }
}

/// Whether a certificate is among the causes.
fn is_distrust(error: &reqwest::Error) -> bool {
    let tls = causes(error).find_map(|cause| cause.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

fn read_ca(file: &Path) -> Result<Vec<Certificate>> {
    let unusable = |why: &str| {
        let message = format!("`ca` is `{}`, which {why}", file.display());
        Error::new(Kind::Misconfigured, message)
            .with_hint("it has to be a PEM file with at least one certificate")
    };
    let pem = files::open(file).and_then(|file| file.read(MAX_CA));
    let pem = pem.map_err(|_| unusable("cannot be read"))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| unusable("is not PEM"))?;
    if certificates.is_empty() {
        return Err(unusable("holds no certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Moment {
        Moment {
            wall: SystemTime::UNIX_EPOCH + SECOND * (1_000_000 + seconds),
            monotonic: SECOND * seconds,
        }
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_by_the_servers_clock_and_has_bounds() {
        let date = "Thu, 01 Jan 2026 00:00:00 GMT";
        let later = "Thu, 01 Jan 2026 00:00:30 GMT";
        let wait = |text| wait_of(text, date::parse(date), SystemTime::UNIX_EPOCH);
        assert_eq!(wait("7"), Some(SECOND * 7));
        assert_eq!(wait("0"), Some(SECOND));
        assert_eq!(wait("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(wait(later), Some(SECOND * 30));
        assert_eq!(wait_of(date, date::parse(later), at(0).wall), Some(SECOND));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn only_a_clock_that_is_clearly_another_one_counts() {
        let skew = |date, answered| skew(at(date).wall, at(100), at(answered));
        assert_eq!(skew(104, 100), None);
        assert_eq!(skew(106, 100), Some(6));
        assert_eq!(skew(94, 100), Some(-6));
        // Ten seconds on the way: it may be any time of these.
        assert_eq!(skew(112, 110), None);
    }

    #[test]
    fn a_ca_that_cannot_be_used_is_misconfigured() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let kind = || Http::new(Some(&file), false).err().unwrap().kind();
        assert_eq!(kind(), Kind::Misconfigured);
        for content in ["", "no PEM"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(kind(), Kind::Misconfigured, "{content}");
        }
    }
}
