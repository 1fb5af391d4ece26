//! What is asked for, of whom, and as whom.

use std::path::PathBuf;
use std::time::Duration;

use credchain_core::{Error, Kind, Name, Result};
use reqwest::Url;

use crate::endpoint;

/// Names of parameters that a request has already, or that would change what it is.
const RESERVED: [&str; 18] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "scope",
    "audience",
    "resource",
    "refresh_token",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "device_code",
    "redirect_uri",
    "response_type",
    "state",
];

/// Describes a client of an authorization server; [`TokenSource::new`](crate::TokenSource::new)
/// checks it.
///
/// Whatever is secret is named, never given: the source resolves it when it asks for a token.
///
/// ```
/// use credchain_oauth2::{Authentication, Client, Endpoints, Grant};
///
/// let client = Client::new(
///     "crm".parse()?,
///     Endpoints::token("https://auth.example.com/oauth/token"),
///     "etl",
/// )
/// .grant(Grant::ClientCredentials)
/// .authentication(Authentication::Basic("crm_client_secret".parse()?))
/// .scopes(["read"]);
/// # Ok::<(), credchain_core::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    name: Name,
    endpoints: Endpoints,
    id: String,
    grant: Grant,
    authentication: Authentication,
    scopes: Vec<String>,
    require_scopes: bool,
    audience: Option<String>,
    resources: Vec<String>,
    parameters: Vec<(String, String)>,
    reuse: Reuse,
    advisory: Option<Duration>,
    redirect_port: Option<u16>,
    allow_http: bool,
    ca: Option<PathBuf>,
    import: Option<PathBuf>,
}

/// Where the authorization server is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoints {
    /// Whose metadata is asked for what is not given here (RFC 8414, `OpenID` Connect Discovery).
    pub issuer: Option<String>,
    /// Where tokens are requested.
    pub token: Option<String>,
    /// Where a login on another device begins (RFC 8628).
    pub device: Option<String>,
    /// Where a browser is sent to log in.
    pub authorization: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation: Option<String>,
}

impl Endpoints {
    /// A server of which tokens are requested at this address.
    pub fn token(url: impl Into<String>) -> Self {
        Self {
            token: Some(url.into()),
            ..Self::default()
        }
    }

    /// A server that says itself where it is asked.
    pub fn issuer(url: impl Into<String>) -> Self {
        Self {
            issuer: Some(url.into()),
            ..Self::default()
        }
    }

    /// The same, with the address where a login on another device begins.
    pub fn with_device(mut self, url: impl Into<String>) -> Self {
        self.device = Some(url.into());
        self
    }

    /// The same, with the address that a browser is sent to.
    pub fn with_authorization(mut self, url: impl Into<String>) -> Self {
        self.authorization = Some(url.into());
        self
    }

    /// The same, with the address where tokens are revoked.
    pub fn with_revocation(mut self, url: impl Into<String>) -> Self {
        self.revocation = Some(url.into());
        self
    }
}

/// What entitles to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// The client acts for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// Somebody else logged in, and the credential of this name is the refresh token they got.
    /// Where the server replaces it with each use, the store knows the current one.
    RefreshToken(Name),
    /// A person logs in on another device and enters a code there (RFC 8628).
    DeviceCode,
    /// A person logs in with a browser on this machine (RFC 8252), with PKCE (RFC 7636).
    AuthorizationCode,
    /// The client vouches for somebody with its key (RFC 7523 §2.1).
    JwtBearer {
        /// The credential with the key in PEM.
        key: Signing,
        /// Who issues the assertion; without it, the client.
        issuer: Option<String>,
        /// Whom it is about.
        subject: String,
    },
}

impl Grant {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken(_) => "refresh_token",
            Self::DeviceCode => "device_code",
            Self::AuthorizationCode => "authorization_code",
            Self::JwtBearer { .. } => "jwt_bearer",
        }
    }

    /// Whether the first token comes of a person's login.
    pub(crate) fn is_interactive(&self) -> bool {
        matches!(self, Self::DeviceCode | Self::AuthorizationCode)
    }
}

/// How the client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// It has no secret: a program on a person's machine.
    None,
    /// Id and secret in the header, each form-encoded as RFC 6749 §2.3.1 says.
    Basic(Name),
    /// Id and secret in the header as they are, for servers that do not decode them.
    BasicRaw(Name),
    /// Id and secret in the body.
    Post(Name),
    /// An assertion signed with the client's key (RFC 7523 §2.2).
    PrivateKey(Signing),
}

impl Authentication {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(_) => "client_secret_basic",
            Self::BasicRaw(_) => "client_secret_basic_raw",
            Self::Post(_) => "client_secret_post",
            Self::PrivateKey(_) => "private_key_jwt",
        }
    }
}

/// How assertions are signed. The algorithm follows from the key: RS256, ES256 or `EdDSA`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    pub(crate) key: Name,
    pub(crate) id: Option<String>,
    pub(crate) audience: Option<String>,
}

impl Signing {
    /// Signs with the private key, in PEM, that the credential of this name is.
    pub fn new(key: Name) -> Self {
        Self {
            key,
            id: None,
            audience: None,
        }
    }

    /// The same, naming the key as the server knows it.
    pub fn with_key_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same, for another audience than the issuer, or without an issuer the token endpoint.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }
}

/// Whether a refresh token may be sent once more when the answer to its first use was lost.
///
/// A server that replaces refresh tokens takes a second use for theft, and ends the login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// Only if this server was seen to leave refresh tokens as they are.
    #[default]
    Observed,
    /// Within so long after the first use: the leeway that the server is known to give.
    Within(Duration),
    /// Whenever it happens.
    Accept,
}

impl Client {
    /// A client of which tokens are wanted for itself, without a secret; change what differs.
    /// `name` is what the token is called, in messages too.
    pub fn new(name: Name, endpoints: Endpoints, id: impl Into<String>) -> Self {
        Self {
            name,
            endpoints,
            id: id.into(),
            grant: Grant::ClientCredentials,
            authentication: Authentication::None,
            scopes: Vec::new(),
            require_scopes: false,
            audience: None,
            resources: Vec::new(),
            parameters: Vec::new(),
            reuse: Reuse::default(),
            advisory: None,
            redirect_port: None,
            allow_http: false,
            ca: None,
            import: None,
        }
    }

    /// What entitles it to a token.
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grant = grant;
        self
    }

    /// How it says who it is.
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// What the token may do. Sent in this order.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses a token that may do less than was asked for.
    pub fn require_scopes(mut self, require: bool) -> Self {
        self.require_scopes = require;
        self
    }

    /// Whom the token is for, as several vendors have it.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// One more address that the token is for (RFC 8707).
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// One more parameter of the server's own, sent with every request for a token.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Whether a refresh token may be sent twice.
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.reuse = reuse;
        self
    }

    /// Asks for the next token so long before the end of the current one, without making anybody
    /// wait for it. For programs that live long; others wait in the last minute only.
    pub fn advisory(mut self, ahead: Duration) -> Self {
        self.advisory = Some(ahead);
        self
    }

    /// Waits for the browser at this port, for servers that want to know it beforehand. Without it
    /// a free one is taken, so that several programs do not get into each other's way.
    pub fn redirect_port(mut self, port: u16) -> Self {
        self.redirect_port = Some(port);
        self
    }

    /// Lets addresses that are not on this machine be `http://`.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Trusts the authorities of this PEM file besides the system's.
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.ca = Some(file.into());
        self
    }

    /// Takes over the token of a client for itself that another program left in this file in
    /// clear, as JSON with `access_token` and `expires_at`, if nothing is kept yet. The file is never
    /// written.
    pub fn import(mut self, file: impl Into<PathBuf>) -> Self {
        self.import = Some(file.into());
        self
    }

    pub(crate) fn into_settings(self) -> Result<Settings> {
        let address = |key: &str, text: &Option<String>| {
            let url = text.as_deref();
            url.map(|url| endpoint::parse(&format!("setting `{key}`"), url, self.allow_http))
                .transpose()
        };
        let addresses = Addresses {
            token: address("token_url", &self.endpoints.token)?,
            device: address("device_url", &self.endpoints.device)?,
            authorization: address("authorization_url", &self.endpoints.authorization)?,
            revocation: address("revocation_url", &self.endpoints.revocation)?,
        };
        address("issuer", &self.endpoints.issuer)?;
        if self.endpoints.issuer.is_none() && addresses.token.is_none() {
            return Err(
                wrong("neither `token_url` nor `issuer` says who gives tokens")
                    .with_hint("`token_url` is in the server's documentation"),
            );
        }
        self.check()?;
        let mut scopes = self.scopes;
        let mut seen = std::collections::HashSet::new();
        scopes.retain(|scope| seen.insert(scope.clone()));
        Ok(Settings {
            name: self.name,
            issuer: self.endpoints.issuer,
            addresses,
            id: self.id,
            grant: self.grant,
            authentication: self.authentication,
            scopes,
            require_scopes: self.require_scopes,
            audience: self.audience,
            resources: self.resources,
            parameters: self.parameters,
            reuse: self.reuse,
            advisory: self.advisory,
            redirect_port: self.redirect_port,
            allow_http: self.allow_http,
            ca: self.ca,
            import: self.import,
        })
    }

    fn check(&self) -> Result<()> {
        if self.id.is_empty() {
            return Err(wrong("setting `client_id` cannot be empty"));
        }
        // RFC 7617 §2: what is before the first colon is the id.
        if matches!(self.authentication, Authentication::BasicRaw(_)) && self.id.contains(':') {
            return Err(wrong("a `client_id` with a `:` cannot be sent as it is")
                .with_hint("`client_secret_basic` encodes it"));
        }
        let public = self.authentication == Authentication::None;
        if public && self.grant == Grant::ClientCredentials {
            return Err(wrong("a client without a secret gets no token for itself")
                .with_hint("set `client_secret = { credential = \"NAME\" }`"));
        }
        // RFC 6749 §3.3.
        let odd = |scope: &String| {
            scope.is_empty()
                || !scope
                    .bytes()
                    .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        if self.scopes.iter().any(odd) {
            return Err(wrong("each of `scopes` is one word, without quotes"));
        }
        let absolute = |text: &String| Url::parse(text).is_ok_and(|url| url.fragment().is_none());
        if !self.resources.iter().all(absolute) {
            return Err(wrong("a `resource` is an absolute address without a `#`"));
        }
        // RFC 6749 §3.2: no parameter comes twice.
        let mut names = std::collections::HashSet::new();
        for (name, _) in &self.parameters {
            if RESERVED.contains(&&**name) || name.is_empty() || !names.insert(name) {
                return Err(wrong(
                    "an additional parameter repeats one that is there already",
                ));
            }
        }
        Ok(())
    }
}

/// A client that is known to be right.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Name,
    pub(crate) issuer: Option<String>,
    pub(crate) addresses: Addresses,
    pub(crate) id: String,
    pub(crate) grant: Grant,
    pub(crate) authentication: Authentication,
    pub(crate) scopes: Vec<String>,
    pub(crate) require_scopes: bool,
    pub(crate) audience: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) reuse: Reuse,
    pub(crate) advisory: Option<Duration>,
    pub(crate) redirect_port: Option<u16>,
    pub(crate) allow_http: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) import: Option<PathBuf>,
}

/// Where the server is asked, as far as that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) token: Option<Url>,
    pub(crate) device: Option<Url>,
    pub(crate) authorization: Option<Url>,
    pub(crate) revocation: Option<Url>,
}

impl Settings {
    /// How to log in again, for hints.
    pub(crate) fn way(&self) -> String {
        match &self.grant {
            Grant::DeviceCode | Grant::AuthorizationCode => {
                format!("`resolve login {}`", self.name)
            }
            Grant::RefreshToken(name) => {
                format!("get another refresh token, and keep it with `resolve set {name}`")
            }
            Grant::JwtBearer { .. } => "look at `subject`, `issuer` and the key".to_owned(),
            Grant::ClientCredentials => "look at the client's secret or key".to_owned(),
        }
    }

    /// Whether no address is encrypted, whatever the server says of itself.
    pub(crate) fn is_plain(&self) -> bool {
        let Addresses {
            token,
            device,
            authorization: _,
            revocation,
        } = &self.addresses;
        let mut asked = [token, device, revocation].into_iter().flatten();
        self.issuer.is_none() && asked.all(|url| url.scheme() == "http")
    }

    /// The host that is asked, for messages.
    pub(crate) fn host(&self) -> String {
        let issuer = self.issuer.as_deref().and_then(|url| Url::parse(url).ok());
        let url = self.addresses.token.as_ref().or(issuer.as_ref());
        url.map_or("the server", endpoint::host).to_owned()
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Misconfigured, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn client() -> Client {
        Client::new(
            name("crm"),
            Endpoints::token("https://as.example.com/token"),
            "etl",
        )
        .authentication(Authentication::Basic(name("secret")))
    }

    #[test]
    fn scopes_keep_their_order_and_lose_their_doubles() {
        let settings = client().scopes(["b", "a", "b"]).into_settings().unwrap();
        assert_eq!(settings.scopes, ["b", "a"]);
        assert_eq!(settings.host(), "as.example.com");
    }

    #[test]
    fn every_mistake_is_misconfigured() {
        let at = |endpoints| Client::new(name("crm"), endpoints, "etl").grant(Grant::DeviceCode);
        for (client, word) in [
            (at(Endpoints::default()), "token_url"),
            (at(Endpoints::token("http://as.example.com")), "encrypted"),
            (at(Endpoints::issuer("as.example.com")), "issuer"),
            (
                at(Endpoints::token("https://a").with_device("ftp://a")),
                "device_url",
            ),
            (client().authentication(Authentication::None), "secret"),
            (client().scopes(["read write"]), "scopes"),
            (client().scopes([""]), "scopes"),
            (client().resource("api"), "resource"),
            (client().resource("https://api/#x"), "resource"),
            (client().parameter("client_secret", "canary"), "parameter"),
            (
                client().parameter("a", "1").parameter("a", "canary"),
                "parameter",
            ),
            (
                Client::new(name("crm"), Endpoints::token("https://a"), ""),
                "client_id",
            ),
            (
                Client::new(name("crm"), Endpoints::token("https://a"), "a:b")
                    .authentication(Authentication::BasicRaw(name("secret"))),
                "client_id",
            ),
        ] {
            let error = client.into_settings().unwrap_err();
            assert_eq!(error.kind(), Kind::Misconfigured, "{word}");
            assert!(error.message().contains(word), "{error}");
            assert!(!format!("{error:?}").contains("canary"));
        }
    }
}
