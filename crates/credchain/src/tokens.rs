//! OAuth 2.0 tokens as credentials: each `[oauth2.NAME]` is a link of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credchain_config::{OAuth2Spec, Project, ReuseSpec, TokenPlace};
use credchain_core::{
    Capabilities, Context, CredentialSource, Error, Kind, Name, Naming, Provider, Reference,
    Result, Secret, async_trait,
};
use credchain_oauth2::{
    Authentication, Client, Endpoints, Grant, Reuse, Sealing, Signing, Store, TokenSource,
};

use crate::Credchain;
use crate::assemble::Keepers;

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

/// What scripts that had no better place kept their token in. It does not say whose token it is,
/// so that it counts only where there is one.
pub(crate) fn left_behind(project: &Project) -> Option<PathBuf> {
    let root = project.root.as_ref()?;
    (project.oauth2.len() == 1).then(|| root.join(".oauth_token.json"))
}

/// The source that a table describes.
pub(crate) fn source(
    spec: &OAuth2Spec,
    credentials: Arc<dyn CredentialSource>,
    keepers: &Keepers,
    state_home: Option<&Path>,
    left_behind: Option<PathBuf>,
) -> Result<TokenSource> {
    let store = store(spec, &credentials, keepers, state_home)?;
    let mut client = client(spec)?;
    if let Some(file) = left_behind {
        client = client.import(file);
    }
    TokenSource::new(client, credentials, store)
}

fn store(
    spec: &OAuth2Spec,
    credentials: &Arc<dyn CredentialSource>,
    keepers: &Keepers,
    state_home: Option<&Path>,
) -> Result<Store> {
    let sealing = match (&spec.store.key, state_home) {
        (Some(key), _) => Sealing::credential(key.clone(), Arc::clone(credentials)),
        (None, Some(home)) => Sealing::key_file(home.join("oauth2-key")),
        // Without a place for files every program has its own token.
        (None, None) => return Ok(Store::memory()),
    };
    let directory = state_home.map(|home| home.join("oauth2"));
    match (&spec.store.place, directory) {
        (TokenPlace::Files, Some(directory)) => Ok(Store::directory(directory, sealing)),
        (
            TokenPlace::Link {
                link,
                path,
                of_one_user,
            },
            directory,
        ) => {
            let wrong = |error: Error| error.at(link.clone()).for_credential(&spec.name);
            let keeper = keepers
                .get(link)
                .cloned()
                .unwrap_or_else(|| Err(Error::new(Kind::Misconfigured, "there is no such link")));
            let keeper = keeper.map_err(wrong)?;
            match directory {
                Some(locks) if *of_one_user => Store::guarded(keeper, path, locks, sealing),
                _ => Store::shared(keeper, path, sealing),
            }
            .map_err(wrong)
        }
        _ => Ok(Store::memory()),
    }
}

fn client(spec: &OAuth2Spec) -> Result<Client> {
    let mut endpoints = Endpoints::default();
    endpoints.token.clone_from(&spec.token_url);
    endpoints.issuer.clone_from(&spec.issuer);
    endpoints.device.clone_from(&spec.device_url);
    endpoints.authorization.clone_from(&spec.authorization_url);
    endpoints.revocation.clone_from(&spec.revocation_url);
    let mut client = Client::new(spec.name.clone(), endpoints, &*spec.client_id)
        .grant(grant(spec)?)
        .authentication(authentication(spec)?)
        .scopes(&spec.scopes)
        .require_scopes(spec.require_scopes)
        .reuse(match spec.reuse {
            ReuseSpec::Accept => Reuse::Accept,
            ReuseSpec::Within(leeway) => Reuse::Within(leeway),
            _ => Reuse::Observed,
        })
        .allow_http(spec.allow_http);
    if let Some(audience) = &spec.audience {
        client = client.audience(audience);
    }
    if let Some(port) = spec.redirect_port {
        client = client.redirect_port(port);
    }
    if let Some(ahead) = spec.advisory {
        client = client.advisory(ahead);
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

fn grant(spec: &OAuth2Spec) -> Result<Grant> {
    Ok(match (&*spec.grant, &spec.refresh_token) {
        ("refresh_token", Some(token)) => Grant::RefreshToken(token.clone()),
        ("device_code", _) => Grant::DeviceCode,
        ("authorization_code", _) => Grant::AuthorizationCode,
        ("client_credentials", _) => Grant::ClientCredentials,
        ("jwt_bearer", _) => Grant::JwtBearer {
            key: signing(spec)?,
            issuer: spec.assertion.issuer.clone(),
            subject: spec
                .assertion
                .subject
                .as_ref()
                .unwrap_or(&spec.client_id)
                .clone(),
        },
        (other, _) => return Err(cannot_be(spec, "grant", other)),
    })
}

fn authentication(spec: &OAuth2Spec) -> Result<Authentication> {
    Ok(match (&*spec.authentication, &spec.client_secret) {
        ("none", _) => Authentication::None,
        ("private_key_jwt", _) => Authentication::PrivateKey(signing(spec)?),
        ("basic", Some(secret)) => Authentication::Basic(secret.clone()),
        ("basic_raw", Some(secret)) => Authentication::BasicRaw(secret.clone()),
        ("post", Some(secret)) => Authentication::Post(secret.clone()),
        (other, _) => return Err(cannot_be(spec, "authentication", other)),
    })
}

fn signing(spec: &OAuth2Spec) -> Result<Signing> {
    let assertion = &spec.assertion;
    let Some(key) = &assertion.key else {
        let error = Error::new(
            Kind::Misconfigured,
            "there is no `private_key` to sign with",
        );
        return Err(error.for_credential(&spec.name));
    };
    let mut signing = Signing::new(key.clone());
    if let Some(id) = &assertion.key_id {
        signing = signing.with_key_id(id);
    }
    if let Some(audience) = &assertion.audience {
        signing = signing.with_audience(audience);
    }
    Ok(signing)
}

fn cannot_be(spec: &OAuth2Spec, key: &str, word: &str) -> Error {
    let message = format!("`{key} = \"{word}\"` cannot be");
    Error::new(Kind::Misconfigured, message).for_credential(&spec.name)
}
