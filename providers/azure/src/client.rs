//! Questions to Key Vault, with a login. Knows HTTP, and nothing of what is stored.

use std::sync::atomic::Ordering;

use credchain_core::{Context, Result};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, Url};
use tokio::sync::MutexGuard;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::error::Failure;
use crate::failed::{Failed, Problem};
use crate::http::{self, Answer};
use crate::login;
use crate::session::{Login, Session};
use crate::token::Token;
use crate::wire::refusal;

/// The version of the interface that is spoken.
const API_VERSION: &str = "2025-07-01";

/// A session with what a question needs.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) session: &'a Session,
    pub(crate) settings: &'a Settings,
    pub(crate) cx: &'a Context,
}

/// One question to Key Vault.
pub(crate) struct Call<'a> {
    /// The permission that it needs.
    pub(crate) action: &'static str,
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// JSON.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(action: &'static str, url: &'a Url) -> Self {
        Self::new(action, Method::GET, url)
    }

    pub(crate) fn new(action: &'static str, method: Method, url: &'a Url) -> Self {
        Self {
            action,
            method,
            url,
            body: None,
        }
    }

    pub(crate) fn with(mut self, body: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(body);
        self
    }
}

impl Ask<'_> {
    /// Logs in if need be; and whether this was the moment of it.
    pub(crate) async fn token(&self) -> Result<(Token, bool), Problem> {
        let session = self.session;
        let seen = session.refusals.load(Ordering::SeqCst);
        let mut login = self.login().await?;
        let now = self.cx.clock().now();
        if let Some(token) = login.token.as_ref().filter(|token| token.is_fresh(now)) {
            return Ok((token.clone(), false));
        }
        // Whoever waited for a login that was refused takes that for an answer: a hundred who
        // each try again would lock the account.
        let refused = login.refused.as_ref();
        let refused = refused.filter(|_| session.refusals.load(Ordering::SeqCst) != seen);
        if let Some(refused) = refused {
            return Err(refused.clone());
        }
        match Box::pin(login::token(*self)).await {
            Ok(token) => {
                login.token = Some(token.clone());
                login.refused = None;
                Ok((token, true))
            }
            // Entra being in trouble is no reason to stop before the old token's end.
            Err(problem) if problem.kind().is_transient() => {
                let held = login.token.as_ref().filter(|token| token.is_good(now));
                held.map(|token| (token.clone(), false)).ok_or(problem)
            }
            Err(problem) => {
                login.refused = Some(problem.clone());
                session.refusals.fetch_add(1, Ordering::SeqCst);
                Err(problem)
            }
        }
    }

    /// The turn to log in.
    async fn login(&self) -> Result<MutexGuard<'_, Login>> {
        let turn = async { Ok(self.session.login.lock().await) };
        self.cx.in_time(turn).await
    }

    /// The address of something in the vault; the parts are known to be harmless.
    pub(crate) fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.session.target.vault.clone();
        url.set_path(&parts.join("/"));
        url.set_query(Some(&format!("api-version={API_VERSION}")));
        url
    }

    /// Asks, and logs in anew once if the login is not known any more.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Answer, Problem> {
        let (token, fresh) = self.token().await?;
        let answer = self.once(&call, &token).await?;
        if answer.status != 401 || fresh {
            return self.accepted(call.action, answer, &token);
        }
        self.forget(&token).await?;
        let (token, _) = self.token().await?;
        let answer = self.once(&call, &token).await?;
        self.accepted(call.action, answer, &token)
    }

    async fn once(&self, call: &Call<'_>, token: &Token) -> Result<Answer, Failed> {
        let unsendable = || Failed::new(call.action, Failure::Unreadable);
        let header = token.header().ok_or_else(unsendable)?;
        let mut request = self
            .session
            .http
            .request(call.method.clone(), call.url.clone())
            .header(AUTHORIZATION, header);
        if let Some(body) = &call.body {
            // The copy that is sent is the HTTP library's, and not wiped.
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_vec());
        }
        http::send(call.action, request, self.cx).await
    }

    /// The answer, if it is a success.
    fn accepted(
        &self,
        action: &'static str,
        answer: Answer,
        token: &Token,
    ) -> Result<Answer, Problem> {
        if answer.is_success() {
            return Ok(answer);
        }
        let failed = Failed::new(action, refusal(&answer)).after(answer.retry_after);
        match answer.challenge.as_deref().filter(|_| answer.status == 401) {
            Some(challenge) => Err(self.challenged(failed, action, challenge, token).into()),
            None => Err(failed.into()),
        }
    }

    /// What a challenge adds to a refusal. It is only ever looked at.
    ///
    /// SECURITY: what a token is asked for follows from the settings. A server that could choose
    /// would be given tokens for services that are none of its business.
    fn challenged(
        &self,
        failed: Failed,
        action: &'static str,
        challenge: &str,
        token: &Token,
    ) -> Failed {
        let wanted = parameter(challenge, "resource").or_else(|| parameter(challenge, "scope"));
        let wanted = wanted.map(|text| text.trim_end_matches("/.default").trim_end_matches('/'));
        if wanted.is_some_and(|wanted| wanted != self.session.target.resource) {
            return Failed::new(action, Failure::OtherResource);
        }
        let authority = parameter(challenge, "authorization")
            .or_else(|| parameter(challenge, "authorization_uri"));
        let tenant = authority.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
        let tenant = tenant.filter(|tenant| is_guid(tenant));
        match (tenant, token.claims().tenant()) {
            (Some(theirs), Some(ours)) if is_guid(&ours) && !theirs.eq_ignore_ascii_case(&ours) => {
                failed.hinting(format!(
                    "the vault is of the tenant {theirs}, and the login of {ours}: set `auth.tenant`, or AZURE_TENANT_ID"
                ))
            }
            _ => failed,
        }
    }

    /// Logs in anew next time, unless somebody did meanwhile.
    async fn forget(&self, token: &Token) -> Result<()> {
        let mut login = self.login().await?;
        login.token.take_if(|held| held.is(token));
        Ok(())
    }
}

/// The value of `name="…"` in a challenge.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = challenge.split_once(' ')?;
    parameters.split(',').find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_by_its_parameters() {
        let challenge = r#"Bearer authorization="https://login.windows.net/t", resource="https://vault.azure.net""#;
        assert_eq!(
            parameter(challenge, "resource"),
            Some("https://vault.azure.net")
        );
        assert_eq!(
            parameter(challenge, "authorization"),
            Some("https://login.windows.net/t")
        );
        assert_eq!(parameter(challenge, "scope"), None);
        assert_eq!(parameter("Bearer", "scope"), None);
    }
}
