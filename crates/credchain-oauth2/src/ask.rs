//! Asking the authorization server: what is sent, who says so, and when once more.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use credchain_core::{Context, CredentialSource, Name, Secret};
use reqwest::Url;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::answer::Granted;
use crate::config::{Authentication, Grant, Settings, Signing};
use crate::discovery::Places;
use crate::error::{Failed, Failure, kind_of};
use crate::form::{Form, encoded};
use crate::http::{Answer, Http};
use crate::sign::{Signer, Statement};

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How often in all a request is sent.
const ATTEMPTS: u32 = 4;

/// The first pause between two, at the most; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// What a request uses up, and so whether it may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uses {
    /// Nothing: it can be sent as often as need be.
    Nothing,
    /// A refresh token: again only if the server cannot have used it.
    RefreshToken,
    /// A code that is good for one request.
    Code,
}

/// Whatever a request needs.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) credentials: &'a dyn CredentialSource,
    pub(crate) http: &'a Http,
    pub(crate) places: &'a Places,
    pub(crate) cx: &'a Context,
}

impl Asker<'_> {
    /// Asks for a token, again where that is safe and may help.
    pub(crate) async fn token(
        &self,
        form: impl Fn() -> Form,
        uses: Uses,
    ) -> Result<Granted, Failed> {
        let mut skew = None;
        let mut attempt = 0;
        loop {
            let failed = match self.once(form(), skew).await {
                Ok(granted) => return Ok(granted),
                Err(failed) => failed,
            };
            attempt += 1;
            // A statement that is too old or from the future is made anew by the server's clock.
            if skew.is_none()
                && failed.skew.is_some()
                && self.states_a_time()
                && failed.failure.was_refused()
            {
                skew = failed.skew;
                continue;
            }
            let pause = failed.retry_after.unwrap_or_else(|| self.pause(attempt));
            let late = self.cx.remaining().is_some_and(|left| left <= pause);
            if attempt >= ATTEMPTS || late || !may_repeat(&failed.failure, uses, attempt) {
                return Err(failed);
            }
            self.cx.clock().sleep(pause).await;
        }
    }

    /// Asks for a token once.
    pub(crate) async fn once(&self, mut form: Form, skew: Option<i64>) -> Result<Granted, Failed> {
        self.add_target(&mut form);
        if let Grant::JwtBearer {
            key,
            issuer,
            subject,
        } = &self.settings.grant
        {
            let issuer = issuer.as_ref().unwrap_or(&self.settings.id);
            let assertion = self.assertion(key, issuer, subject, skew).await?;
            form.add("assertion", assertion.as_bytes());
        }
        Granted::read(&self.post(&self.places.token, form, skew).await?)
    }

    /// What the token is for, and what this server wants to know besides.
    pub(crate) fn add_target(&self, form: &mut Form) {
        if let Some(audience) = &self.settings.audience {
            form.add("audience", audience);
        }
        for resource in &self.settings.resources {
            form.add("resource", resource);
        }
        for (name, value) in &self.settings.parameters {
            form.add(name, value);
        }
    }

    /// Sends a form as this client.
    pub(crate) async fn post(
        &self,
        url: &Url,
        mut form: Form,
        skew: Option<i64>,
    ) -> Result<Answer, Failed> {
        let id = &self.settings.id;
        let mut authorization = None;
        match &self.settings.authentication {
            Authentication::None => form.add("client_id", id),
            Authentication::Basic(name) => {
                let secret = self.secret(name).await?;
                let (id, secret) = (encoded(id.as_bytes()), encoded(&secret));
                authorization = Some(basic(&id, &secret)?);
            }
            Authentication::BasicRaw(name) => {
                let secret = self.secret(name).await?;
                authorization = Some(basic(id.as_bytes(), &secret)?);
            }
            Authentication::Post(name) => {
                form.add("client_id", id);
                form.add("client_secret", self.secret(name).await?);
            }
            Authentication::PrivateKey(signing) => {
                let assertion = self.assertion(signing, id, id, skew).await?;
                form.add("client_id", id);
                form.add("client_assertion_type", ASSERTION_TYPE);
                form.add("client_assertion", assertion.as_bytes());
            }
        }
        self.http
            .post(url, &form.encode(), authorization, self.cx)
            .await
    }

    async fn assertion(
        &self,
        signing: &Signing,
        issuer: &str,
        subject: &str,
        skew: Option<i64>,
    ) -> Result<Zeroizing<String>, Failed> {
        let pem = self.credentials.needed(&signing.key, self.cx).await?;
        let signer = Signer::new(&pem, signing.id.clone())?;
        let own = self.places.issuer.as_deref();
        let audience = signing.audience.as_deref().or(own);
        let statement = Statement {
            issuer,
            subject,
            audience: audience.unwrap_or(self.places.token.as_str()),
            now: shifted(self.cx.clock().now(), skew),
        };
        Ok(signer.assertion(statement)?)
    }

    /// The client's secret, without the end of a line that it may be kept with.
    async fn secret(&self, name: &Name) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let secret = self.credentials.needed(name, self.cx).await?;
        Ok(Zeroizing::new(line(&secret).to_vec()))
    }

    fn states_a_time(&self) -> bool {
        matches!(self.settings.authentication, Authentication::PrivateKey(_))
            || matches!(self.settings.grant, Grant::JwtBearer { .. })
    }

    fn pause(&self, attempt: u32) -> Duration {
        (PAUSE * (1 << (attempt - 1))).mul_f64(self.cx.fraction())
    }
}

/// A value of visible characters as it is, without the end of a line behind it.
pub(crate) fn line(secret: &Secret) -> &[u8] {
    let bytes = secret.expose();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn may_repeat(failure: &Failure, uses: Uses, attempt: u32) -> bool {
    match failure {
        Failure::Unreachable => true,
        Failure::Status(408 | 504) | Failure::Late | Failure::Lost => uses == Uses::Nothing,
        // A page of something that is not the server: it may be gone next time, or stay.
        Failure::Unreadable => uses == Uses::Nothing && attempt == 1,
        Failure::Status(429 | 500..=599) => uses != Uses::Code,
        Failure::Refused(..) => uses != Uses::Code && kind_of(failure).is_transient(),
        _ => false,
    }
}

fn basic(id: &[u8], secret: &[u8]) -> Result<HeaderValue, Failure> {
    let pair = Zeroizing::new([id, b":", secret].concat());
    let pair = Zeroizing::new(BASE64.encode(&*pair));
    let text = Zeroizing::new([b"Basic ", pair.as_bytes()].concat());
    let value = HeaderValue::from_bytes(&text);
    let mut value = value.map_err(|_| Failure::Unasked("the client's secret cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn shifted(now: SystemTime, skew: Option<i64>) -> SystemTime {
    let skew = skew.unwrap_or_default();
    let apart = Duration::from_secs(skew.unsigned_abs());
    let there = if skew < 0 {
        now.checked_sub(apart)
    } else {
        now.checked_add(apart)
    };
    there.unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_form_encoded_before_they_are_put_into_the_header() {
        let (id, secret) = (
            "1PpG/Q 1",
            "z/tZ9VwFZqApmIQ+ZH1I5pLk/uB4ud:X2/8bL+wfFTt1rFw=",
        );
        let header = basic(&encoded(id.as_bytes()), &encoded(secret.as_bytes())).unwrap();
        let expected = "MVBwRyUyRlErMTp6JTJGdFo5VndGWnFBcG1JUSUyQlpIMUk1cExrJTJGdUI0dWQlM0FYMiUyRjhiTCUyQndmRlR0MXJGdyUzRA==";
        assert_eq!(header.to_str().unwrap(), format!("Basic {expected}"));
        assert!(header.is_sensitive());
    }

    #[test]
    fn a_request_is_repeated_only_where_nothing_can_have_been_used_up() {
        use Uses::{Code, Nothing, RefreshToken};
        let code = |code: &str| Failure::Refused(code.to_owned(), 400);
        for (failure, expected) in [
            (Failure::Unreachable, &[Nothing, RefreshToken, Code][..]),
            (Failure::Certificate, &[]),
            (Failure::Late, &[Nothing]),
            (Failure::Lost, &[Nothing]),
            (Failure::Status(408), &[Nothing]),
            (Failure::Status(504), &[Nothing]),
            (Failure::Status(500), &[Nothing, RefreshToken]),
            (Failure::Status(503), &[Nothing, RefreshToken]),
            (Failure::Status(429), &[Nothing, RefreshToken]),
            (Failure::Status(400), &[]),
            (Failure::Status(302), &[]),
            (Failure::Unreadable, &[Nothing]),
            (Failure::TooLarge, &[]),
            (code("server_error"), &[Nothing, RefreshToken]),
            (code("temporarily_unavailable"), &[Nothing, RefreshToken]),
            (code("invalid_grant"), &[]),
            (code("invalid_client"), &[]),
        ] {
            let allowed: Vec<_> = [Nothing, RefreshToken, Code]
                .into_iter()
                .filter(|uses| may_repeat(&failure, *uses, 1))
                .collect();
            assert_eq!(allowed, expected, "{failure:?}");
        }
    }

    #[test]
    fn the_end_of_a_line_is_no_part_of_a_secret() {
        for text in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(line(&Secret::new(text)), b"s3cret");
        }
        assert_eq!(line(&Secret::new(" s3cret \n")), b" s3cret ");
    }
}
