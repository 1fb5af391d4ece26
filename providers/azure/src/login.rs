//! The ways to a token.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use credchain_core::{Context, Error, Kind, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli;
use crate::client::Ask;
use crate::config::{Method, wrong};
use crate::endpoint::is_loopback;
use crate::error::Failure;
use crate::failed::{Failed, LOGIN, Problem};
use crate::http::{self, Answer};
use crate::token::Token;
use crate::wire::refused_login;

/// Where a machine of Azure finds its own identity.
const METADATA: &str = "http://169.254.169.254";

/// The variable with which SDKs of Azure find it elsewhere.
const METADATA_VARIABLE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// How long a machine that may not be one of Azure waits to see whether it is.
const PROBE: Duration = Duration::from_millis(500);

/// What Entra wants the tokens of others to be made out to.
const AUDIENCE: &str = "api://AzureADTokenExchange";

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token is a line; anything longer is another file.
const MAX_TOKEN: u64 = 64 << 10;

/// A new token, by the way that the settings name.
pub(crate) async fn token(ask: Ask<'_>) -> Result<Token, Problem> {
    match ask.settings.auth.method {
        Method::Default => by_what_is_there(ask).await,
        Method::ClientSecret => by_secret(ask).await,
        Method::WorkloadIdentity => match assertion_source(ask)? {
            Some(source) => by_assertion(ask, source).await,
            None => Err(missing("token_file", "AZURE_FEDERATED_TOKEN_FILE").into()),
        },
        Method::ManagedIdentity => match app_service(ask)? {
            Some(request) => by_identity(ask, request).await,
            None => by_identity(ask, metadata(ask)?).await,
        },
        Method::AzureCli => cli::token(ask)
            .await?
            .ok_or_else(|| Failed::new(LOGIN, Failure::NoCli).into()),
    }
}

/// The first way that is there. One that is there and fails is not passed over: somebody else
/// would be logged in than was meant.
async fn by_what_is_there(ask: Ask<'_>) -> Result<Token, Problem> {
    if ask.cx.env().text("AZURE_CLIENT_SECRET").is_some() {
        return by_secret(ask).await;
    }
    match assertion_source(ask)? {
        // A job may have the address for something else than Azure.
        Some(Assertion::GitHub(..)) if !is_application_named(ask)? => {}
        Some(source) => return by_assertion(ask, source).await,
        None => {}
    }
    if let Some(request) = app_service(ask)? {
        return by_identity(ask, request).await;
    }
    if is_machine_of_azure(ask).await? {
        return by_identity(ask, metadata(ask)?).await;
    }
    cli::token(ask)
        .await?
        .ok_or_else(|| Failed::new(LOGIN, Failure::NoLogin).into())
}

/// As an application that has a secret.
async fn by_secret(ask: Ask<'_>) -> Result<Token, Problem> {
    tracing::debug!("logging in to Azure as an application with a secret");
    let auth = &ask.settings.auth;
    let secret = match &auth.client_secret {
        Some(name) => auth.source.needed(name, ask.cx).await?,
        None => match ask.cx.env().text("AZURE_CLIENT_SECRET") {
            Some(secret) => secret.into(),
            None => return Err(missing("client_secret", "AZURE_CLIENT_SECRET").into()),
        },
    };
    let Some(secret) = secret.expose_text() else {
        return Err(Error::new(Kind::Invalid, "a client secret has to be text").into());
    };
    by_form(ask, &[("client_secret", secret)]).await
}

/// Who vouches for an application that has no secret.
enum Assertion {
    /// A file that somebody keeps up to date, such as Kubernetes.
    File(PathBuf),
    /// GitHub Actions, which is asked for a token at this address, with this key.
    GitHub(Url, String),
}

fn assertion_source(ask: Ask<'_>) -> Result<Option<Assertion>> {
    let (auth, env) = (&ask.settings.auth, ask.cx.env());
    let file = auth.token_file.clone();
    let file = file.or_else(|| env.text("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
    if let Some(file) = file {
        return Ok(Some(Assertion::File(file)));
    }
    let address = env.text("ACTIONS_ID_TOKEN_REQUEST_URL");
    let (Some(address), Some(key)) = (address, env.text("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) else {
        return Ok(None);
    };
    let mut url = Url::parse(&address)
        .ok()
        .filter(|url| url.scheme() == "https" || is_loopback(url))
        .ok_or_else(|| wrong("`ACTIONS_ID_TOKEN_REQUEST_URL` must be `https://`"))?;
    url.query_pairs_mut().append_pair("audience", AUDIENCE);
    Ok(Some(Assertion::GitHub(url, key)))
}

fn is_application_named(ask: Ask<'_>) -> Result<bool> {
    let auth = &ask.settings.auth;
    Ok(auth.client_id(ask.cx)?.is_some() && auth.tenant(ask.cx)?.is_some())
}

/// As an application that somebody else vouches for.
async fn by_assertion(ask: Ask<'_>, source: Assertion) -> Result<Token, Problem> {
    tracing::debug!("logging in to Azure as a federated identity");
    let assertion = match source {
        Assertion::File(file) => of_file(&file, ask.cx).await?,
        Assertion::GitHub(url, key) => of_github(ask, url, &key).await?,
    };
    let form = [
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion.trim()),
    ];
    by_form(ask, &form).await
}

async fn of_file(file: &Path, cx: &Context) -> Result<Zeroizing<String>> {
    let unusable = |why: &str| {
        let message = format!(
            "the token of the federated identity, `{}`, {why}",
            file.display()
        );
        Error::new(Kind::Misconfigured, message)
            .with_hint("look at `auth.token_file`, or AZURE_FEDERATED_TOKEN_FILE")
    };
    let read = async { Ok(http::read_file(file, MAX_TOKEN).await) };
    let mut content = cx.in_time(read).await?.map_err(|why| unusable(&why))?;
    String::from_utf8(std::mem::take(&mut *content))
        .map(Zeroizing::new)
        .map_err(|_| unusable("is not text"))
}

async fn of_github(ask: Ask<'_>, url: Url, key: &str) -> Result<Zeroizing<String>, Problem> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        value: Cow<'a, str>,
    }
    let header = sensitive(&format!("Bearer {key}"))?;
    let request = ask.session.http.get(url).header(AUTHORIZATION, header);
    let answer = http::send(LOGIN, request, ask.cx).await?;
    if !answer.is_success() {
        return Err(Failed::new(LOGIN, Failure::Status(answer.status)).into());
    }
    match serde_json::from_slice::<Told<'_>>(&answer.body) {
        Ok(told) => Ok(Zeroizing::new(told.value.into_owned())),
        Err(_) => Err(Failed::new(LOGIN, Failure::Unreadable).into()),
    }
}

/// Shows an application's proof to Entra.
async fn by_form(ask: Ask<'_>, proof: &[(&str, &str)]) -> Result<Token, Problem> {
    let auth = &ask.settings.auth;
    let Some(tenant) = auth.tenant(ask.cx)? else {
        return Err(missing("tenant", "AZURE_TENANT_ID").into());
    };
    let Some(client) = auth.client_id(ask.cx)? else {
        return Err(missing("client_id", "AZURE_CLIENT_ID").into());
    };
    let scope = format!("{}/.default", ask.session.target.resource);
    let mut form = Zeroizing::new(String::with_capacity(16 << 10));
    let about = [
        ("grant_type", "client_credentials"),
        ("client_id", client.as_str()),
        ("scope", scope.as_str()),
    ];
    for (key, value) in about.iter().chain(proof) {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(key);
        form.push('=');
        form.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    let mut url = ask.session.target.authority.clone();
    url.set_path(&format!("{tenant}/oauth2/v2.0/token"));
    let request = ask
        .session
        .http
        .post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        // The copy that is sent is the HTTP library's, and not wiped.
        .body(form.as_bytes().to_vec());
    let answer = http::send(LOGIN, request, ask.cx).await?;
    if !answer.is_success() {
        let failed = Failed::new(LOGIN, refused_login(&answer));
        return Err(failed.after(answer.retry_after).into());
    }
    Ok(granted(&answer, ask.cx)?)
}

/// The request to App Service, Container Apps and Functions for their identity, if this is one.
fn app_service(ask: Ask<'_>) -> Result<Option<RequestBuilder>> {
    let env = ask.cx.env();
    let endpoint = env.text("IDENTITY_ENDPOINT");
    let (Some(endpoint), Some(key)) = (endpoint, env.text("IDENTITY_HEADER")) else {
        return Ok(None);
    };
    let url = Url::parse(&endpoint)
        .ok()
        .filter(is_near)
        .ok_or_else(|| wrong("`IDENTITY_ENDPOINT` is no address of this machine"))?;
    let request = identity_request(ask, url, "2019-08-01")?;
    Ok(Some(request.header("X-IDENTITY-HEADER", sensitive(&key)?)))
}

/// The request to the metadata service of a virtual machine.
fn metadata(ask: Ask<'_>) -> Result<RequestBuilder> {
    let request = identity_request(ask, metadata_url(ask.cx)?, "2018-02-01")?;
    Ok(request.header("Metadata", "true"))
}

fn metadata_url(cx: &Context) -> Result<Url> {
    let host = match cx.env().text(METADATA_VARIABLE) {
        Some(host) => Url::parse(&host).ok().filter(is_near).ok_or_else(|| {
            wrong(format!(
                "`{METADATA_VARIABLE}` is no address of this machine"
            ))
        }),
        None => Url::parse(METADATA)
            .map_err(|_| Error::new(Kind::Internal, "the metadata service has no address")),
    };
    let mut url = host?;
    url.set_path("metadata/identity/oauth2/token");
    Ok(url)
}

fn identity_request(ask: Ask<'_>, mut url: Url, version: &str) -> Result<RequestBuilder> {
    let client = ask.settings.auth.client_id(ask.cx)?;
    let mut query = url.query_pairs_mut();
    query.append_pair("api-version", version);
    query.append_pair("resource", &ask.session.target.resource);
    if let Some(client) = client {
        query.append_pair("client_id", &client);
    }
    drop(query);
    Ok(ask.session.http.get(url))
}

/// Asks the machine for its own identity.
async fn by_identity(ask: Ask<'_>, request: RequestBuilder) -> Result<Token, Problem> {
    tracing::debug!("logging in to Azure with the identity of this machine");
    let answer = http::send(LOGIN, request, ask.cx).await?;
    if !answer.is_success() {
        let failed = Failed::new(LOGIN, Failure::Identity(answer.status));
        return Err(failed.after(answer.retry_after).into());
    }
    Ok(granted(&answer, ask.cx)?)
}

/// Whether there is a metadata service. Without the header that it wants to see it answers at
/// once, and with nothing but a refusal.
async fn is_machine_of_azure(ask: Ask<'_>) -> Result<bool> {
    let request = ask.session.http.get(metadata_url(ask.cx)?);
    let probe = http::send(LOGIN, request, &ask.cx.clone().with_timeout(PROBE)).await;
    Ok(probe.is_ok_and(|answer| answer.status == 400))
}

/// Whether nobody on the way reads what is sent: link-local addresses are those of the host that
/// this machine runs on.
fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let linked = host
        .parse::<std::net::Ipv4Addr>()
        .is_ok_and(|address| address.is_link_local());
    url.scheme() == "https" || linked || is_loopback(url)
}

/// The token in an answer, whoever of them gave it.
fn granted(answer: &Answer, cx: &Context) -> Result<Token, Failed> {
    #[derive(Deserialize)]
    struct Granted<'a> {
        #[serde(borrow)]
        access_token: Cow<'a, str>,
        #[serde(default)]
        expires_in: Value,
        #[serde(default)]
        expires_on: Value,
    }
    let unreadable = || Failed::new(LOGIN, Failure::Unreadable);
    let granted: Granted<'_> = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
    let now = cx.clock().now();
    let life = seconds(&granted.expires_in).or_else(|| until(seconds(&granted.expires_on)?, now));
    Token::new(&granted.access_token, life, now).map_err(|failure| Failed::new(LOGIN, failure))
}

/// A number, which some write as a text.
pub(crate) fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    number.map(Duration::from_secs)
}

/// How long it is until a moment that is given in seconds since 1970.
pub(crate) fn until(moment: Duration, now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(moment.saturating_sub(now))
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| wrong("a key of the environment cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn missing(setting: &str, variable: &str) -> Error {
    wrong(format!("the login lacks `{setting}`")).with_hint(format!(
        "set `auth.{setting}`, or the variable `{variable}`"
    ))
}
