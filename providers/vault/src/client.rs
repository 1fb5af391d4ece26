//! The wire: requests in, answers out. Knows HTTP, and nothing of chains or of what is stored.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credchain_core::{Context, Error, Kind, Result, Secret, append_piece};
use futures_util::TryStreamExt as _;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use zeroize::Zeroizing;

use crate::config::{Endpoint, Settings};
use crate::error::{Ask, Said, garbled, refused, unreachable};
use crate::tls;

/// How often the server may send us elsewhere for one answer.
const MAX_REDIRECTS: usize = 5;

/// The longest that one request may take, whatever the caller's patience.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many runtimes have connections at once.
const MAX_SESSIONS: usize = 4;

/// Asks the server. Built with the first request, and again in another runtime: the connections
/// of a runtime that is gone answer nothing.
pub(crate) struct Client {
    pub(crate) settings: Settings,
    /// The newest last.
    sessions: Mutex<Vec<Session>>,
}

#[derive(Clone)]
struct Session {
    runtime: tokio::runtime::Id,
    endpoint: Endpoint,
    http: reqwest::Client,
    /// Requests that may be under way. Of one runtime: another may stand still until this one is
    /// done, and would never give anything back.
    slots: Arc<Semaphore>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// One request.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'static str,
    /// Below `/v1/`, decoded.
    pub(crate) path: &'a str,
    pub(crate) query: Option<(&'a str, &'a str)>,
    pub(crate) token: Option<&'a Secret>,
    /// JSON.
    pub(crate) body: Option<&'a str>,
}

/// An answer, whatever its status.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
    json: bool,
}

/// The envelope of nearly every answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) auth: Option<Login<'a>>,
    pub(crate) lease_id: String,
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
}

/// What a login answers.
#[derive(Deserialize)]
pub(crate) struct Login<'a> {
    pub(crate) client_token: &'a str,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) renewable: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: &'static str, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: None,
            token: None,
            body: None,
        }
    }

    pub(crate) fn get(path: &'a str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn query(mut self, key: &'a str, value: &'a str) -> Self {
        self.query = Some((key, value));
        self
    }

    pub(crate) fn body(mut self, body: &'a str) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn with(mut self, token: &'a Secret) -> Self {
        self.token = Some(token);
        self
    }
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer's parts.
    pub(crate) fn envelope(&self) -> Result<Envelope<'_>> {
        if self.body.is_empty() {
            return Ok(Envelope::default());
        }
        if !self.json {
            return Err(garbled("the answer is no JSON"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| garbled("the answer is not what Vault sends"))
    }

    /// The same, of a success alone.
    pub(crate) fn accepted(&self, ask: Ask) -> Result<Envelope<'_>> {
        if self.is_success() {
            self.envelope()
        } else {
            Err(refused(self, ask))
        }
    }

    /// What a failure says beside its status.
    pub(crate) fn said(&self) -> Said {
        #[derive(Deserialize)]
        struct Failure<'a> {
            #[serde(borrow, default)]
            errors: Option<Vec<&'a RawValue>>,
            #[serde(borrow, default)]
            warnings: Option<Vec<&'a RawValue>>,
        }
        let failure = self
            .json
            .then(|| serde_json::from_slice::<Failure<'_>>(&self.body).ok());
        let Some(Some(failure)) = failure else {
            return Said::Page;
        };
        let words = [failure.errors, failure.warnings];
        if words.iter().flatten().all(Vec::is_empty) {
            Said::Nothing
        } else {
            Said::Reason
        }
    }

    /// Whether one of the reasons for a failure is this one, in the server's words.
    pub(crate) fn says(&self, words: &str) -> bool {
        #[derive(Deserialize)]
        struct Failure {
            errors: Vec<String>,
        }
        let failure = self
            .json
            .then(|| serde_json::from_slice::<Failure>(&self.body));
        let Some(Ok(failure)) = failure else {
            return false;
        };
        let reasons = failure.errors.iter();
        reasons
            .map(|reason| reason.to_ascii_lowercase())
            .any(|reason| reason.contains(words))
    }

    /// Whether Vault itself says that there is nothing.
    pub(crate) fn is_missing(&self) -> bool {
        self.status == 404 && self.said() == Said::Nothing
    }

    #[cfg(test)]
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self {
            body: Zeroizing::new(body.as_bytes().to_vec()),
            json: true,
            ..Self::bare(status)
        }
    }

    #[cfg(test)]
    pub(crate) fn bare(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            body: Zeroizing::default(),
            json: false,
        }
    }
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            sessions: Mutex::default(),
        }
    }

    /// Sends a request, following the server to where the token may go, and reads the answer.
    pub(crate) async fn send(&self, call: Call<'_>, cx: &Context) -> Result<Reply> {
        let session = self.session(cx)?;
        let mut url = target(&session.endpoint.base, call.path, call.query)?;
        let slot = async { Ok(session.slots.acquire().await) };
        // The semaphore is never closed.
        let _slot = cx.in_time(slot).await?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(&session, &url, call, cx).await?;
            if !response.status().is_redirection() {
                return self.read(response, &url).await;
            }
            url = self.redirected(&url, &session.endpoint.base, &response)?;
        }
        Err(garbled("the server sends us round in circles"))
    }

    /// For what one request finds out for all requests of this runtime.
    pub(crate) async fn turn(&self, cx: &Context) -> Result<OwnedMutexGuard<()>> {
        let turn = self.session(cx)?.turn;
        cx.in_time(async { Ok(turn.lock_owned().await) }).await
    }

    async fn once(
        &self,
        session: &Session,
        url: &Url,
        call: Call<'_>,
        cx: &Context,
    ) -> Result<reqwest::Response> {
        let method = Method::from_bytes(call.method.as_bytes()).unwrap_or(Method::GET);
        let left = cx.remaining().map_or(PATIENCE, |left| left.min(PATIENCE));
        let mut request = session
            .http
            .request(method, url.clone())
            .timeout(left)
            // Asked for by agents and proxies, against requests that a page was tricked into.
            .header("X-Vault-Request", "true");
        if let Some(token) = call.token {
            let mut value = HeaderValue::from_bytes(token.expose())
                .map_err(|_| Error::new(Kind::Invalid, "the token cannot be sent"))?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(namespace) = self.settings.namespace(cx) {
            let value = HeaderValue::from_str(&namespace)
                .map_err(|_| Error::new(Kind::Misconfigured, "the namespace cannot be sent"))?;
            request = request.header("X-Vault-Namespace", value);
        }
        if let Some(body) = call.body {
            // The copy that is sent is the HTTP library's, and not wiped.
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        request
            .send()
            .await
            .map_err(|error| unreachable(&error, host))
    }

    /// SECURITY: the token goes to the server that was named, and to hosts that were listed.
    fn redirected(&self, from: &Url, base: &Url, response: &reqwest::Response) -> Result<Url> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let to = location
            .and_then(|location| from.join(location).ok())
            .ok_or_else(|| garbled("the server sends us nowhere"))?;
        let host = to.host_str().unwrap_or_default().to_owned();
        let listed = self.settings.redirect_hosts.contains(&host);
        let weaker = base.scheme() == "https" || !self.settings.takes(&to);
        if to.scheme() != "https" && weaker {
            return Err(garbled("the server sends us to where there is no TLS"));
        }
        if to.origin() == base.origin() || listed {
            return Ok(to);
        }
        Err(Error::new(
            Kind::Unavailable,
            format!("the server sends us to `{host}`, which is not to get the token"),
        )
        .with_hint(format!(
            "`redirect_hosts = [\"{host}\"]` lets it have the token"
        )))
    }

    /// Reads no more than is allowed, whatever the answer says of its length.
    async fn read(&self, response: reqwest::Response, url: &Url) -> Result<Reply> {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let retry_after = header(RETRY_AFTER)
            .and_then(|wait| wait.trim().parse().ok())
            .map(Duration::from_secs);
        let json = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        let limit = usize::try_from(self.settings.max_size).unwrap_or(usize::MAX);
        let host = url.host_str().unwrap_or_default();
        let mut body = Zeroizing::new(Vec::with_capacity(8192));
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream
            .try_next()
            .await
            .map_err(|error| unreachable(&error, host))?
        {
            if body.len() + chunk.len() > limit {
                return Err(Error::new(
                    Kind::Invalid,
                    "the answer is larger than setting `max_size`",
                ));
            }
            append_piece(&mut body, &chunk);
        }
        Ok(Reply {
            status,
            retry_after,
            body,
            json,
        })
    }

    fn session(&self, cx: &Context) -> Result<Session> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::new(Kind::Internal, "there is no Tokio runtime here"))?
            .id();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.iter().find(|session| session.runtime == runtime);
        if let Some(session) = known {
            return Ok(session.clone());
        }
        let endpoint = self.settings.endpoint(cx)?;
        let http = tls::client(&self.settings, &endpoint)?;
        let session = Session {
            runtime,
            endpoint,
            http,
            slots: Arc::new(Semaphore::new(self.settings.max_connections)),
            turn: Arc::default(),
        };
        if sessions.len() >= MAX_SESSIONS {
            sessions.remove(0);
        }
        sessions.push(session.clone());
        Ok(session)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The address of a path, each segment written so that the server reads what was meant.
fn target(base: &Url, path: &str, query: Option<(&str, &str)>) -> Result<Url> {
    let segments: Vec<&str> = path.split('/').collect();
    let odd = |segment: &&str| matches!(*segment, "" | "." | "..");
    // Vault takes a slash at the end for listings, which are asked for by query here.
    if segments.iter().any(odd) {
        return Err(Error::new(
            Kind::Invalid,
            "a path has no empty, `.` or `..` part",
        ));
    }
    if !is_printable(path) {
        return Err(Error::new(
            Kind::Invalid,
            "a path has printable characters only",
        ));
    }
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::new(Kind::Misconfigured, "the address takes no paths"))?
        .pop_if_empty()
        .push("v1")
        .extend(segments);
    if let Some((key, value)) = query {
        url.query_pairs_mut().append_pair(key, value);
    }
    Ok(url)
}

/// The server refuses other characters, and in another form than all the rest.
fn is_printable(path: &str) -> bool {
    // What needs an escape is what Unicode has no picture for, and the backslash; a mark that
    // belongs to the character before it is escaped only where there is none.
    let shown = format!("/{}", path.replace('\\', ""));
    !path.contains(char::is_control) && !shown.escape_debug().to_string().contains("\\u{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_path_arrives_as_it_was_meant() {
        let base = Url::parse("https://vault:8200/proxy/").unwrap();
        let url = |path| target(&base, path, None).map(|url| url.to_string());
        assert_eq!(
            url("secret/data/a").unwrap(),
            "https://vault:8200/proxy/v1/secret/data/a"
        );
        assert_eq!(
            url("s/a b/c?d#e%/ä").unwrap(),
            "https://vault:8200/proxy/v1/s/a%20b/c%3Fd%23e%25/%C3%A4"
        );
        for fine in ["a\\u{b", "e\u{301}", "'a\"", "日本", "😀"] {
            assert!(url(fine).is_ok(), "{fine}");
        }
        let unseen = [
            "a\nb",
            "a\0",
            "a\u{202e}b",
            "\u{feff}",
            "a\u{a0}b",
            "\u{7f}",
        ];
        for odd in unseen
            .into_iter()
            .chain(["a//b", "/a", "a/", "a/./b", "a/../b", ""])
        {
            assert_eq!(url(odd).unwrap_err().kind(), Kind::Invalid, "{odd}");
        }
    }

    #[test]
    fn a_reason_is_one_only_in_the_servers_own_form() {
        let says = |body: &str| Reply::json(400, body).says("invalid secret id");
        assert!(says(r#"{"errors": ["Invalid secret id"]}"#));
        assert!(says(
            r#"{"errors": ["1 error occurred:\n\t* invalid secret id\n\n"]}"#
        ));
        for other in [
            r#"{"errors": []}"#,
            r#"{"errors": ["missing secret id"]}"#,
            r#"{"data": {"error": "invalid secret id"}}"#,
            "invalid secret id",
        ] {
            assert!(!says(other), "{other}");
        }
        assert!(!Reply::bare(400).says("invalid secret id"));
    }

    #[test]
    fn an_answer_that_is_no_json_is_an_outage_and_an_empty_one_is_nothing() {
        let reply = Reply {
            body: Zeroizing::new(b"<html>".to_vec()),
            ..Reply::bare(200)
        };
        assert_eq!(reply.envelope().err().unwrap().kind(), Kind::Unavailable);
        assert!(Reply::bare(204).envelope().unwrap().data.is_none());
    }
}
