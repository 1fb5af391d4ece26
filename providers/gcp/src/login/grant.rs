//! Getting a token, in each of the ways that there are.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use credchain_core::{Context, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::jwt::Key;
use super::workload::Workload;
use super::{Hop, Login, Metadata, Source, Token, User};
use crate::config::Settings;
use crate::error::{Action, Failed, Failure};
use crate::http::{Answer, Http, send};

/// What a token has to be good for. Which secrets that is, a policy says.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub(crate) const LOGIN: Action = Action::new("logging in", "");
pub(super) const EXCHANGE: Action = Action::new("exchanging the workload's token", "");
const IMPERSONATE: Action = Action::new(
    "iam.serviceAccounts.getAccessToken",
    "roles/iam.serviceAccountTokenCreator",
);

/// How long one acts as another account.
const LIFETIME: &str = "3600s";

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Login {
    /// Logs in.
    pub(crate) async fn token(
        &self,
        http: &Http,
        settings: &Settings,
        cx: &Context,
    ) -> Result<Token, Failed> {
        let mut token = match &self.source {
            Source::Token(name) => {
                let given = settings.source.needed(name, cx).await;
                given_token(&given.map_err(|error| Failed::new(LOGIN, Failure::Login(error)))?)
            }
            Source::Metadata(metadata) => metadata.token(http, cx).await?,
            Source::ServiceAccount(key) => key.token(http, cx).await?,
            Source::User(user) => user.token(http, cx).await?,
            Source::Workload(workload) => workload.token(http, cx).await?,
        };
        for hop in &self.hops {
            token = hop.token(&token.secret, http, cx).await?;
        }
        Ok(token)
    }
}

/// A token as somebody kept it, perhaps with the end of a line.
fn given_token(secret: &Secret) -> Token {
    Token {
        secret: Secret::new(secret.expose().trim_ascii()),
        until: None,
    }
}

impl Metadata {
    async fn token(&self, http: &Http, cx: &Context) -> Result<Token, Failed> {
        let base = &self.base;
        let url = format!("{base}/computeMetadata/v1/instance/service-accounts/default/token");
        let request = http.request(Method::GET, &url);
        let answer = send(request.header("Metadata-Flavor", "Google"), cx).await;
        match answer {
            Ok(answer) if answer.is_success() => granted(LOGIN, &answer, cx),
            // It speaks no JSON about failures: there is no account, or not yet.
            Ok(answer) => {
                let refused = Failure::Refused(String::new(), answer.status);
                Err(Failed::new(LOGIN, refused).with_wait(answer.retry_after))
            }
            // Nobody said that this is a machine of Google's, and it is none.
            Err(Failure::Silence) if !self.named => Err(Failed::new(LOGIN, Failure::NoCredentials)),
            Err(failure) => Err(Failed::new(LOGIN, failure)),
        }
    }
}

impl Key {
    async fn token(&self, http: &Http, cx: &Context) -> Result<Token, Failed> {
        let assertion = self.assertion(cx.clock().now());
        let assertion = assertion.map_err(|failure| Failed::new(LOGIN, failure))?;
        let form = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ]);
        let request = posted(http.request(Method::POST, &self.token_url), &form);
        granted(LOGIN, &fetch(LOGIN, request, cx).await?, cx)
    }
}

impl User {
    async fn token(&self, http: &Http, cx: &Context) -> Result<Token, Failed> {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("refresh_token", &self.refresh_token),
        ]);
        let request = posted(http.request(Method::POST, &self.token_url), &form);
        granted(LOGIN, &fetch(LOGIN, request, cx).await?, cx)
    }
}

impl Workload {
    /// RFC 8693.
    async fn token(&self, http: &Http, cx: &Context) -> Result<Token, Failed> {
        let subject = self.subject_token(http, cx).await?;
        let options = self
            .user_project
            .as_ref()
            .filter(|_| self.client.is_none())
            .map(|project| json!({"userProject": project}).to_string());
        let mut fields = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", &self.audience),
            ("scope", SCOPE),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject),
        ];
        if let Some(options) = &options {
            fields.push(("options", options));
        }
        let mut request = posted(http.request(Method::POST, &self.token_url), &form(&fields));
        if let Some((id, secret)) = &self.client {
            let pair = Zeroizing::new(format!("{id}:{}", **secret));
            let pair = Zeroizing::new(BASE64.encode(pair.as_bytes()));
            let value = authorization("Basic", pair.as_bytes());
            let value = value.map_err(|failure| Failed::new(EXCHANGE, failure))?;
            request = request.header(AUTHORIZATION, value);
        }
        granted(EXCHANGE, &fetch(EXCHANGE, request, cx).await?, cx)
    }
}

impl Hop {
    async fn token(&self, own: &Secret, http: &Http, cx: &Context) -> Result<Token, Failed> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Granted {
            access_token: Zeroizing<String>,
            expire_time: String,
        }
        let body = json!({"scope": [SCOPE], "delegates": self.delegates, "lifetime": LIFETIME});
        let failed = |failure| Failed::new(IMPERSONATE, failure);
        let request = http
            .request(Method::POST, &self.url)
            .header(AUTHORIZATION, bearer(own).map_err(failed)?)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_string());
        let answer = fetch(IMPERSONATE, request, cx).await?;
        let granted: Granted = answer.parse().map_err(failed)?;
        let until = humantime::parse_rfc3339(&granted.expire_time);
        token(
            &granted.access_token,
            Some(until.map_err(|_| failed(Failure::Unreadable))?),
        )
        .map_err(failed)
    }
}

/// `Authorization: Bearer …`.
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, Failure> {
    authorization("Bearer", token.expose())
}

fn authorization(scheme: &str, secret: &[u8]) -> Result<HeaderValue, Failure> {
    let text = Zeroizing::new([scheme.as_bytes(), b" ", secret].concat());
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| Failure::Unasked)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends a request of a login. A refusal says why in the words of OAuth or of Google.
pub(super) async fn fetch(
    action: Action,
    request: RequestBuilder,
    cx: &Context,
) -> Result<Answer, Failed> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Oauth(String),
        Google { status: String },
    }
    let answer = send(request, cx).await;
    let answer = answer.map_err(|failure| Failed::new(action, failure))?;
    if answer.is_success() {
        return Ok(answer);
    }
    let failure = match answer.parse().map(|refusal: Refusal| refusal.error) {
        Ok(Said::Oauth(code) | Said::Google { status: code }) => {
            Failure::Refused(code, answer.status)
        }
        Err(_) => Failure::Status(answer.status),
    };
    Err(Failed::new(action, failure).with_wait(answer.retry_after))
}

fn granted(action: Action, answer: &Answer, cx: &Context) -> Result<Token, Failed> {
    #[derive(Deserialize)]
    struct Granted {
        access_token: Zeroizing<String>,
        #[serde(default)]
        expires_in: Option<u32>,
    }
    let granted = answer.parse().and_then(|granted: Granted| {
        let life = granted.expires_in.map(u64::from).map(Duration::from_secs);
        let until = life.map(|life| cx.clock().now() + life);
        token(&granted.access_token, until)
    });
    granted.map_err(|failure| Failed::new(action, failure))
}

fn token(text: &str, until: Option<SystemTime>) -> Result<Token, Failure> {
    if text.is_empty() {
        return Err(Failure::Unreadable);
    }
    Ok(Token {
        secret: Secret::new(text),
        until,
    })
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for three bytes of each, so that growing leaves no copy behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut text = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, FORM));
    }
    text
}

/// The copy that is sent is the HTTP library's, and not wiped.
fn posted(request: RequestBuilder, form: &Zeroizing<String>) -> RequestBuilder {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request
        .header(CONTENT_TYPE, kind)
        .body(form.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use credchain_core::Kind;

    use super::*;

    #[test]
    fn a_form_holds_what_would_end_a_field() {
        let form = form(&[("a", "1&b=2"), ("c", "ü +/~")]);
        assert_eq!(&**form, "a=1%26b%3D2&c=%C3%BC%20%2B%2F~");
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_not_sent() {
        assert!(bearer(&Secret::new("a\nb")).is_err());
        assert!(bearer(&Secret::new("abc")).unwrap().is_sensitive());
    }

    #[tokio::test]
    async fn a_machine_of_nobody_known_has_no_login_and_a_named_one_is_an_outage() {
        let http = Http::new(None).await.unwrap();
        for (named, kind) in [(false, Kind::Unauthenticated), (true, Kind::Unavailable)] {
            // Nobody listens on the port of a listener that is gone.
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let base = format!("http://{}", gone.local_addr().unwrap());
            drop(gone);
            let metadata = Metadata { base, named };
            let failed = metadata.token(&http, &Context::system()).await;
            assert_eq!(failed.err().unwrap().kind(), kind);
        }
    }

    #[test]
    fn a_kept_token_may_end_with_a_line() {
        assert_eq!(given_token(&Secret::new("abc\n")).secret.expose(), b"abc");
    }
}
