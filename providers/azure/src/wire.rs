//! What Key Vault and Entra write, as far as it is read here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Failure;
use crate::http::Answer;

/// A secret with its value.
#[derive(Deserialize)]
pub(crate) struct Bundle<'a> {
    /// Left as it was written, so that there is no second copy of the value.
    #[serde(borrow)]
    pub(crate) value: &'a RawValue,
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
    #[serde(default)]
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

/// A secret, or one version of it, without a value.
#[derive(Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

/// What is told about a deletion.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deleted {
    /// Where it can be recovered, if it can.
    #[serde(default)]
    pub(crate) recovery_id: Option<String>,
}

/// A part of a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    pub(crate) value: Vec<Item>,
    #[serde(default)]
    pub(crate) next_link: Option<String>,
}

/// When a secret is valid. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    pub(crate) enabled: Option<bool>,
    nbf: Option<u64>,
    exp: Option<u64>,
    created: Option<u64>,
}

impl Attributes {
    pub(crate) fn created(&self) -> Option<SystemTime> {
        self.created.and_then(time)
    }

    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.exp.and_then(time)
    }

    /// Why the value may not be used now, in Key Vault's own word for it.
    ///
    /// Key Vault itself hands out what is expired or not yet valid, and leaves it to its clients
    /// to look.
    pub(crate) fn unusable(&self, now: SystemTime) -> Option<&'static str> {
        if self.enabled == Some(false) {
            Some("SecretDisabled")
        } else if self.expires().is_some_and(|end| end <= now) {
            Some("SecretExpired")
        } else if self.nbf.and_then(time).is_some_and(|start| start > now) {
            Some("SecretNotYetValid")
        } else {
            None
        }
    }
}

fn time(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// A new version.
#[derive(Serialize)]
pub(crate) struct Put<'a> {
    pub(crate) value: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: &'a BTreeMap<String, String>,
}

/// What a refusal of Key Vault means, by its codes. Its words are not read.
pub(crate) fn refusal(answer: &Answer) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: Code,
    }
    #[derive(Deserialize)]
    struct Code {
        code: String,
        #[serde(default)]
        innererror: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        code: Option<String>,
    }
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(Body { error }) => {
            let inner = error.innererror.and_then(|inner| inner.code);
            Failure::Vault(answer.status, error.code, inner)
        }
        Err(_) => Failure::Status(answer.status),
    }
}

/// The same, of Entra.
pub(crate) fn refused_login(answer: &Answer) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: String,
        #[serde(default)]
        error_codes: Vec<u32>,
    }
    match serde_json::from_slice::<Body>(&answer.body) {
        Ok(body) => Failure::Login(answer.status, body.error, body.error_codes.first().copied()),
        Err(_) => Failure::Status(answer.status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn unusable(json: &str) -> Option<&'static str> {
        let attributes: Attributes = serde_json::from_str(json).unwrap();
        attributes.unusable(time(NOW).unwrap())
    }

    #[test]
    fn a_secret_is_used_while_it_is_enabled_and_valid() {
        for (json, word) in [
            ("{}", None),
            (r#"{"enabled": true, "nbf": 1000, "exp": 1001}"#, None),
            (r#"{"enabled": null, "exp": null}"#, None),
            (r#"{"enabled": false}"#, Some("SecretDisabled")),
            (r#"{"exp": 1000}"#, Some("SecretExpired")),
            (r#"{"nbf": 1001}"#, Some("SecretNotYetValid")),
        ] {
            assert_eq!(unusable(json), word, "{json}");
        }
    }
}
