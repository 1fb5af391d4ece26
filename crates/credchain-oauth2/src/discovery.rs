//! Where the server is asked: by the settings, and by its own metadata where they leave that open
//! (RFC 8414, `OpenID` Connect Discovery).

use credchain_core::{Context, Error, Kind};
use reqwest::Url;
use serde::Deserialize;

use crate::config::Settings;
use crate::endpoint;
use crate::error::{Failed, Failure};
use crate::http::{Answer, Http};

/// Every address that is known.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) issuer: Option<String>,
    pub(crate) token: Url,
    pub(crate) device: Option<Url>,
    pub(crate) authorization: Option<Url>,
    pub(crate) revocation: Option<Url>,
    /// Whether the answer of a login always says whose it is (RFC 9207).
    pub(crate) names_issuer: bool,
    /// Whether the server says that it does PKCE, but not with S256.
    pub(crate) refuses_s256: bool,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Places {
    /// What the settings say, if that is all there is to know.
    pub(crate) fn given(settings: &Settings) -> Option<Self> {
        let addresses = settings.addresses.clone();
        Some(Self {
            issuer: None,
            token: addresses.token.filter(|_| settings.issuer.is_none())?,
            device: addresses.device,
            authorization: addresses.authorization,
            revocation: addresses.revocation,
            names_issuer: false,
            refuses_s256: false,
        })
    }

    /// Asks the issuer.
    pub(crate) async fn discover(
        settings: &Settings,
        http: &Http,
        cx: &Context,
    ) -> Result<Self, Failed> {
        let issuer = settings.issuer.as_deref().unwrap_or_default();
        let mut answer = None;
        for url in documents(issuer)? {
            let document = http.get(&url, cx).await?;
            let missing = document.status == 404;
            answer = Some(document);
            if !missing {
                break;
            }
        }
        let answer = answer.ok_or(Failure::Unreadable)?;
        if !answer.is_success() {
            return Err(answer.failed(Failure::Status(answer.status)));
        }
        Self::read(&answer, settings)
    }

    fn read(answer: &Answer, settings: &Settings) -> Result<Self, Failed> {
        let metadata: Metadata =
            serde_json::from_slice(&answer.body).map_err(|_| answer.failed(Failure::Unreadable))?;
        // SECURITY: RFC 8414 §3.3. Whoever answers in another's name gets no secret.
        if settings.issuer.as_ref() != Some(&metadata.issuer) {
            return Err(wrong("the metadata is of another issuer than `issuer`")
                .with_hint("they have to be the same to the last slash")
                .into());
        }
        let given = settings.addresses.clone();
        let place = |given: Option<Url>, found: Option<String>| match (given, found) {
            (Some(given), _) => Ok(Some(given)),
            (None, Some(found)) => {
                endpoint::parse("an address in the metadata", &found, settings.allow_http).map(Some)
            }
            (None, None) => Ok(None),
        };
        let s256 = |methods: Vec<String>| methods.iter().any(|method| method == "S256");
        Ok(Self {
            token: place(given.token, metadata.token_endpoint)?
                .ok_or_else(|| wrong("the metadata does not say where tokens are requested"))?,
            device: place(given.device, metadata.device_authorization_endpoint)?,
            authorization: place(given.authorization, metadata.authorization_endpoint)?,
            revocation: place(given.revocation, metadata.revocation_endpoint)?,
            issuer: Some(metadata.issuer),
            names_issuer: metadata.authorization_response_iss_parameter_supported,
            refuses_s256: !metadata.code_challenge_methods_supported.is_none_or(s256),
        })
    }
}

/// Where the metadata may be: `OpenID` Connect puts the known part behind the issuer's path, and
/// RFC 8414 §3.1 before it.
fn documents(issuer: &str) -> Result<[Url; 2], Failed> {
    let wrong = |_| Failed::from(Failure::Unasked("setting `issuer` is no address"));
    let base = issuer.trim_end_matches('/');
    let openid = Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(wrong)?;
    let mut oauth = Url::parse(base).map_err(wrong)?;
    let path = oauth.path().trim_end_matches('/').to_owned();
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Ok([openid, oauth])
}

fn wrong(message: &'static str) -> Error {
    Error::new(Kind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_behind_and_before_the_path() {
        let urls = |issuer| documents(issuer).unwrap().map(|url| url.to_string());
        assert_eq!(
            urls("https://as.example.com/tenant/7/"),
            [
                "https://as.example.com/tenant/7/.well-known/openid-configuration",
                "https://as.example.com/.well-known/oauth-authorization-server/tenant/7",
            ]
        );
        assert_eq!(
            urls("https://as.example.com"),
            [
                "https://as.example.com/.well-known/openid-configuration",
                "https://as.example.com/.well-known/oauth-authorization-server",
            ]
        );
    }
}
