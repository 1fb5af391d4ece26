//! Reading, describing and listing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use credchain_core::{Description, Error, Kind, Listed, Result, Secret, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ACCESS, LIST, Page, SECRET, VERSION, VersionEntry, last_part, pages};
use crate::address::{Place, Selector, reference_to};
use crate::checksum::crc32c;
use crate::error::{Failed, Failure, switched_off};
use crate::http::Answer;
use crate::session::{Ask, Call};

/// A version's whole value.
pub(crate) async fn get(ask: Ask<'_>, place: &Place, version: &Selector) -> Result<Secret> {
    let path = format!("{place}/versions/{}:access", version.as_str());
    match ask.send(&Call::get(ACCESS, path)).await {
        Ok(answer) => value(&answer).map_err(|failure| Failed::new(ACCESS, failure).into_error()),
        Err(failed) if failed.has_code("FAILED_PRECONDITION") => {
            Err(off(ask, place, version).await)
        }
        Err(failed) => Err(failed.into_error()),
    }
}

fn value(answer: &Answer) -> Result<Secret, Failure> {
    #[derive(Deserialize)]
    struct Accessed<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        payload: Payload<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload<'a> {
        // Borrowed, so that no copy is left behind.
        #[serde(borrow, default)]
        data: Cow<'a, str>,
        #[serde(borrow, default)]
        data_crc32c: Option<&'a RawValue>,
    }
    let accessed: Accessed<'_> = answer.parse()?;
    let bytes = BASE64.decode(accessed.payload.data.as_bytes());
    let secret = Secret::new(bytes.map_err(|_| Failure::Unreadable)?);
    if let Some(sum) = accessed.payload.data_crc32c {
        // A number of 64 bits is a text in Google's JSON.
        let sum = sum.get().trim_matches('"').parse();
        if sum != Ok(crc32c(secret.expose())) {
            return Err(Failure::Corrupt);
        }
    }
    let version = Version::new(last_part(&accessed.name)).map_err(|_| Failure::Unreadable)?;
    Ok(secret.with_meta(|meta| meta.version = Some(version)))
}

/// Why a version that is there may not be read.
async fn off(ask: Ask<'_>, place: &Place, version: &Selector) -> Error {
    // Which of the reasons it is, only the version's state tells, and not everybody may see it.
    let Ok(entry) = entry(ask, place, version).await else {
        return switched_off(place, None, version.number());
    };
    if entry.state.as_deref() == Some("ENABLED") {
        return Error::new(Kind::Denied, "Google cannot decrypt the value").with_hint(
            "the Cloud KMS key of the secret has to be enabled, and the service agent of Secret Manager to be allowed to use it",
        );
    }
    switched_off(place, entry.state.as_deref(), Some(last_part(&entry.name)))
}

async fn entry(ask: Ask<'_>, place: &Place, version: &Selector) -> Result<VersionEntry, Failed> {
    let path = format!("{place}/versions/{}", version.as_str());
    let answer = ask.send(&Call::get(VERSION, path)).await?;
    answer
        .parse()
        .map_err(|failure| Failed::new(VERSION, failure))
}

/// What is known about a value that was just read. Not everybody who may read a value may see
/// this too: then less is known.
pub(crate) async fn describe(ask: Ask<'_>, place: &Place, secret: &Secret) -> Result<Description> {
    let mut description = Description::default();
    description.version.clone_from(&secret.meta().version);
    let Some(version) = &description.version else {
        return Ok(description);
    };
    let version = Selector::of(Some(version))?;
    let path = place.to_string();
    let about = async {
        let answer = ask.send(&Call::get(SECRET, path)).await?;
        let about: Result<About, _> = answer.parse();
        about.map_err(|failure| Failed::new(SECRET, failure))
    };
    let (entry, about) = futures_util::future::join(entry(ask, place, &version), about).await;
    if let Some(entry) = allowed(entry)? {
        description.created = time(entry.create_time.as_deref());
    }
    if let Some(about) = allowed(about)? {
        description.expires = time(about.expire_time.as_deref());
        description.metadata = about.labels;
        description.metadata.extend(about.annotations);
    }
    Ok(description)
}

/// What is stored beside the values of a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    #[serde(default)]
    expire_time: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn allowed<T>(answer: Result<T, Failed>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failed) if failed.kind() == Kind::Denied => Ok(None),
        Err(failed) => Err(failed.into_error()),
    }
}

pub(super) fn time(text: Option<&str>) -> Option<std::time::SystemTime> {
    humantime::parse_rfc3339(text?).ok()
}

/// The secrets of the link's project whose references begin like this.
pub(crate) async fn list(ask: Ask<'_>, prefix: &str) -> Result<Vec<Listed>> {
    let path = format!("{}/secrets", ask.project()?);
    let secrets = pages::<Secrets>(ask, LIST, &path).await?;
    let references = secrets
        .iter()
        .filter_map(|secret| reference_to(last_part(&secret.name), ask.settings));
    Ok(references
        .filter(|reference| reference.path().starts_with(prefix))
        .map(Listed::new)
        .collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Secrets {
    #[serde(default)]
    secrets: Vec<Entry>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
}

impl Page for Secrets {
    type Entry = Entry;

    fn split(self) -> (Vec<Entry>, Option<String>) {
        (self.secrets, self.next_page_token)
    }
}
