//! A login on another device (RFC 8628).

use std::time::Duration;

use credchain_core::printable;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Login, Step, address};
use crate::answer::{Granted, life, refusal};
use crate::config::Settings;
use crate::error::{Failed, Failure};
use crate::form::Form;
use crate::http::Answer;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// How often the server is asked, unless it says so, and within which bounds.
const INTERVAL: Duration = Duration::from_secs(5);
const LONGEST_INTERVAL: Duration = Duration::from_mins(5);

/// What a server that says nothing, or nonsense, gives the person.
const LEFT: Duration = Duration::from_mins(10);
const LONGEST_LEFT: Duration = Duration::from_hours(1);

/// What the server gives out for a login.
struct Begun {
    code: Zeroizing<String>,
    interval: Duration,
    left: Duration,
    step: Step,
}

impl Login<'_> {
    pub(super) async fn on_a_device(&self) -> Result<Granted, Failed> {
        let settings = self.asker.settings;
        let place = self.asker.places.device.as_ref();
        let place = place.ok_or(Failure::Unasked(
            "it is not known where a login on a device begins: set `device_url`",
        ))?;
        let mut form = Form::default().with_some("scope", self.scope());
        self.asker.add_target(&mut form);
        let answer = self.asker.post(place, form, None).await?;
        let begun = Begun::read(&answer, settings)?;
        self.show.show(&begun.step)?;
        self.in_time(begun.left, self.poll(&begun)).await
    }

    /// Asks until the person is done, one question at a time. Also before the first one the server
    /// is given its interval: some count from when they gave the code out.
    async fn poll(&self, begun: &Begun) -> Result<Granted, Failed> {
        let clock = self.asker.cx.clock();
        let mut interval = begun.interval;
        loop {
            clock.sleep(interval).await;
            let form = Form::new(GRANT).with("device_code", begun.code.as_bytes());
            let failed = match self.asker.once(form, None).await {
                Ok(granted) => return Ok(granted),
                Err(failed) => failed,
            };
            interval = next(&failed, interval).ok_or(failed)?;
        }
    }
}

/// How long to wait before the next question; nothing if there is none to ask.
fn next(failed: &Failed, interval: Duration) -> Option<Duration> {
    let next = match &failed.failure {
        failure if failure.has_code("authorization_pending") => interval,
        // For good: each time that it says so.
        failure if failure.has_code("slow_down") => interval + INTERVAL,
        // RFC 8628 §3.5: less often when it takes its time.
        Failure::Unreachable | Failure::Late | Failure::Lost => interval * 2,
        Failure::Status(429 | 500..=599) => {
            (interval * 2).max(failed.retry_after.unwrap_or_default())
        }
        _ => return None,
    };
    Some(next.min(LONGEST_INTERVAL))
}

impl Begun {
    fn read(answer: &Answer, settings: &Settings) -> Result<Self, Failed> {
        /// RFC 8628 §3.2, and what others call it.
        #[derive(Deserialize)]
        struct Fields {
            device_code: Zeroizing<String>,
            user_code: String,
            #[serde(alias = "verification_url")]
            verification_uri: String,
            #[serde(default, alias = "verification_url_complete")]
            verification_uri_complete: Option<String>,
            #[serde(default)]
            expires_in: Value,
            #[serde(default)]
            interval: Value,
        }
        if let Some(failure) = refusal(answer) {
            return Err(failure);
        }
        let fields: Fields =
            serde_json::from_slice(&answer.body).map_err(|_| answer.failed(Failure::Unreadable))?;
        let positive = |value: &Value| life(value).filter(|life| !life.is_zero());
        let left = positive(&fields.expires_in).map_or(LEFT, |left| left.min(LONGEST_LEFT));
        let interval = positive(&fields.interval).unwrap_or(INTERVAL);
        let complete = fields.verification_uri_complete.as_deref();
        Ok(Self {
            code: fields.device_code,
            interval: interval.min(LONGEST_INTERVAL),
            left,
            step: Step::Device {
                url: address(&fields.verification_uri, settings.allow_http)?,
                code: printable(&fields.user_code).into_owned(),
                // Only an extra: without it, or with a strange one, the code is typed.
                complete: complete.and_then(|url| address(url, settings.allow_http).ok()),
                left,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Failed {
        Failure::Refused(code.to_owned(), 400).into()
    }

    #[test]
    fn a_server_that_wants_it_slower_gets_it_slower_each_time() {
        let seconds = Duration::from_secs;
        let pending = refused("authorization_pending");
        assert_eq!(next(&pending, seconds(5)), Some(seconds(5)));
        let slow = refused("slow_down");
        assert_eq!(next(&slow, seconds(5)), Some(seconds(10)));
        assert_eq!(next(&slow, seconds(10)), Some(seconds(15)));
        assert_eq!(next(&Failure::Late.into(), seconds(15)), Some(seconds(30)));
        assert_eq!(next(&slow, LONGEST_INTERVAL), Some(LONGEST_INTERVAL));
        for end in ["access_denied", "expired_token", "invalid_grant"] {
            assert_eq!(next(&refused(end), seconds(5)), None, "{end}");
        }
    }
}
