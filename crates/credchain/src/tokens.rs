//! OAuth 2.0 tokens as credentials: each `[oauth2.NAME]` is a link of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use credchain_config::OAuth2Spec;
use credchain_core::{
    Capabilities, Context, CredentialSource, Error, Kind, Name, Naming, Provider, Reference,
    Result, Secret, async_trait,
};
use credchain_oauth2::{Authentication, Client, Endpoints, Grant, Sealing, Store, TokenSource};

use crate::Credchain;

/// The sources of a project's tokens, by name; for each that cannot be, why.
pub(crate) type Sources = BTreeMap<Name, Result<TokenSource>>;

impl Credchain {
    /// The source of a token of `[oauth2]`: for its header, its login, or an answer of 401.
    /// Nobody is asked yet.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] if the project is not trusted; [`Kind::Misconfigured`] if its settings
    /// cannot be, or no token has this name.
    pub fn token_source(&self, name: &Name) -> Result<&TokenSource> {
        if let Some(source) = self.tokens.get(name) {
            return source.as_ref().map_err(Error::clone);
        }
        let error = Error::new(Kind::Misconfigured, "no token has this name");
        Err(error.for_credential(name).with_hint(format!(
            "`[oauth2.{name}]` with `token_url` and `client_id` declares one"
        )))
    }
}

/// A token as a provider: one place, which has the token.
#[derive(Debug)]
pub(crate) struct TokenProvider(TokenSource);

impl TokenProvider {
    pub(crate) fn new(source: TokenSource) -> Self {
        Self(source)
    }
}

#[async_trait]
impl Provider for TokenProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        naming.name.as_str().parse().into_iter().collect()
    }

    async fn get(&self, _: &Reference, cx: &Context) -> Result<Secret> {
        Ok(self.0.token(cx).await?.secret().clone())
    }
}

/// The source that a table describes. Its tokens are kept for all programs of this user, if there
/// is a place for that.
pub(crate) fn source(
    spec: &OAuth2Spec,
    credentials: Arc<dyn CredentialSource>,
    state_home: Option<&Path>,
) -> Result<TokenSource> {
    let store = match state_home {
        Some(home) => {
            let sealing = Sealing::key_file(home.join("oauth2-key"));
            Store::directory(home.join("oauth2"), sealing)
        }
        None => Store::memory(),
    };
    TokenSource::new(client(spec)?, credentials, store)
}

fn client(spec: &OAuth2Spec) -> Result<Client> {
    let mut endpoints = Endpoints::default();
    endpoints.token.clone_from(&spec.token_url);
    endpoints.issuer.clone_from(&spec.issuer);
    endpoints.device.clone_from(&spec.device_url);
    endpoints.authorization.clone_from(&spec.authorization_url);
    endpoints.revocation.clone_from(&spec.revocation_url);
    let grant = match (&*spec.grant, &spec.refresh_token) {
        ("refresh_token", Some(token)) => Grant::RefreshToken(token.clone()),
        ("device_code", _) => Grant::DeviceCode,
        ("authorization_code", _) => Grant::AuthorizationCode,
        ("client_credentials", _) => Grant::ClientCredentials,
        (other, _) => {
            let error = Error::new(
                Kind::Misconfigured,
                format!("`grant = \"{other}\"` cannot be"),
            );
            return Err(error.for_credential(&spec.name));
        }
    };
    let authentication = match (&spec.client_secret, &*spec.authentication) {
        (None, _) => Authentication::None,
        (Some(secret), "post") => Authentication::Post(secret.clone()),
        (Some(secret), "basic_raw") => Authentication::BasicRaw(secret.clone()),
        (Some(secret), _) => Authentication::Basic(secret.clone()),
    };
    let mut client = Client::new(spec.name.clone(), endpoints, &*spec.client_id)
        .grant(grant)
        .authentication(authentication)
        .scopes(&spec.scopes)
        .allow_http(spec.allow_http);
    if let Some(audience) = &spec.audience {
        client = client.audience(audience);
    }
    if let Some(ca) = &spec.ca {
        client = client.ca(ca);
    }
    for resource in &spec.resources {
        client = client.resource(resource);
    }
    for (name, value) in &spec.parameters {
        client = client.parameter(name, value);
    }
    Ok(client)
}
