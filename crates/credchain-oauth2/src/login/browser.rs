//! A login in a browser on this machine (RFC 8252), with PKCE (RFC 7636).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reqwest::Url;
use zeroize::Zeroizing;

use super::loopback::{Arrived, Loopback};
use super::{Login, Step};
use crate::answer::Granted;
use crate::ask::Uses;
use crate::error::{Failed, Failure};
use crate::form::Form;
use crate::sign::no_randomness;

/// How long a person has for it.
const LEFT: Duration = Duration::from_mins(5);

impl Login<'_> {
    pub(super) async fn in_a_browser(&self) -> Result<Granted, Failed> {
        let places = self.asker.places;
        let place = places.authorization.as_ref().ok_or(Failure::Unasked(
            "it is not known where a browser logs in: set `authorization_url`",
        ))?;
        if places.refuses_s256 {
            return Err(Failure::Unasked("the server does not do PKCE with S256").into());
        }
        // Before the address is made, of which its port is a part.
        let loopback = Loopback::bind(self.asker.settings.redirect_port).await?;
        let (state, verifier) = (random()?, random()?);
        let url = self.address(place, &loopback.redirect(), &state, &verifier);
        let step = Step::Browser {
            url: url.to_string(),
            left: LEFT,
        };
        self.show.show(&step)?;
        let redirect = loopback.redirect();
        let work = async move {
            let arrived = loopback.wait(state.as_bytes()).await;
            let code = self.check(arrived)?;
            let form = || {
                Form::new("authorization_code")
                    .with("code", code.as_bytes())
                    .with("redirect_uri", &redirect)
                    .with("code_verifier", verifier.as_bytes())
            };
            self.asker.token(form, Uses::Code).await
        };
        self.in_time(LEFT, work).await
    }

    /// Where the browser goes.
    fn address(&self, place: &Url, redirect: &str, state: &str, verifier: &str) -> Url {
        let settings = self.asker.settings;
        let mut url = place.clone();
        let challenge = BASE64.encode(digest(&SHA256, verifier.as_bytes()));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.id)
            .append_pair("redirect_uri", redirect)
            .append_pair("state", state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let scope = self.scope();
        let scope = scope.iter().map(|scope| ("scope", &**scope));
        let audience = settings.audience.iter().map(|text| ("audience", &**text));
        let resources = settings.resources.iter().map(|text| ("resource", &**text));
        let own = settings
            .parameters
            .iter()
            .map(|(name, value)| (&**name, &**value));
        url.query_pairs_mut()
            .extend_pairs(scope.chain(audience).chain(resources).chain(own));
        url
    }

    /// The code, if it is this server's answer to this login (RFC 9207).
    fn check(&self, arrived: Arrived) -> Result<Zeroizing<String>, Failed> {
        let places = self.asker.places;
        let same = match (&arrived.issuer, &places.issuer) {
            (Some(said), Some(expected)) => said == expected,
            (None, _) => !places.names_issuer,
            // Nobody told us what to expect.
            (Some(_), None) => true,
        };
        if !same {
            return Err(Failure::Forged.into());
        }
        match (arrived.error, arrived.code) {
            (Some(error), _) => Err(Failure::Refused(error, 400).into()),
            (None, Some(code)) => Ok(code),
            (None, None) => Err(Failure::Unreadable.into()),
        }
    }
}

/// 256 bits that nobody can guess, in 43 characters.
fn random() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| no_randomness())?;
    Ok(Zeroizing::new(BASE64.encode(*bytes)))
}
