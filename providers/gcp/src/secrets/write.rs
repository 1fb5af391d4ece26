//! Writing and deleting.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};
use reqwest::Method;
use zeroize::Zeroizing;

use super::{ADD, CREATE, DELETE, VersionEntry, get, last_part};
use crate::address::{Place, Selector};
use crate::checksum::crc32c;
use crate::error::Failed;
use crate::session::{Ask, Call};

/// A secret whose copies Google places as it likes.
const AUTOMATIC: &str = r#"{"replication":{"automatic":{}}}"#;

/// Writes a value as the newest version and tells its number.
pub(crate) async fn set(
    ask: Ask<'_>,
    place: &Place,
    value: &Secret,
    options: &SetOptions,
) -> Result<Version> {
    // A version is added whatever is there. That creating a secret fails if there is one is no
    // condition on its value, which comes with the next request.
    if options.expect != Expect::Any {
        return Err(Error::unsupported("a condition for writing"));
    }
    if options.idempotency_key.is_some()
        && let Some(version) = repeated(ask, place, value).await?
    {
        return Ok(version);
    }
    let mut added = add(ask, place, value).await;
    if added
        .as_ref()
        .is_err_and(|failed| failed.kind() == Kind::NotFound)
    {
        create(ask, place).await?;
        added = add(ask, place, value).await;
    }
    added.map_err(Failed::into_error)
}

/// The newest version if it holds this value already. Secret Manager has no token that makes a
/// repeated write count once, so the value itself has to tell.
async fn repeated(ask: Ask<'_>, place: &Place, value: &Secret) -> Result<Option<Version>> {
    match get(ask, place, &Selector::of(None)?).await {
        Ok(stored) if stored.same_value(value) => Ok(stored.meta().version.clone()),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn add(ask: Ask<'_>, place: &Place, value: &Secret) -> Result<Version, Failed> {
    let call = Call::post(ADD, format!("{place}:addVersion"), payload(value));
    let answer = ask.send(&call).await?;
    let added = answer.parse().and_then(|entry: VersionEntry| {
        Version::new(last_part(&entry.name)).map_err(|_| crate::error::Failure::Unreadable)
    });
    added.map_err(|failure| Failed::new(ADD, failure))
}

/// The checksum makes Google refuse what did not arrive as it was sent.
fn payload(value: &Secret) -> Zeroizing<String> {
    let bytes = value.expose();
    let data = Zeroizing::new(BASE64.encode(bytes));
    // Neither part needs an escape.
    Zeroizing::new(format!(
        r#"{{"payload":{{"data":"{}","dataCrc32c":"{}"}}}}"#,
        *data,
        crc32c(bytes)
    ))
}

async fn create(ask: Ask<'_>, place: &Place) -> Result<()> {
    let path = format!("projects/{}/secrets", place.project);
    let body = Zeroizing::new(AUTOMATIC.to_owned());
    let call = Call::post(CREATE, path, body).query("secretId", place.name.as_str());
    match ask.send(&call).await {
        Ok(_) => Ok(()),
        // Somebody else created it in between.
        Err(failed) if failed.has_code("ALREADY_EXISTS") => Ok(()),
        Err(failed) => Err(failed.into_error()),
    }
}

/// Deletes a secret with all of its versions, for good.
pub(crate) async fn delete(ask: Ask<'_>, place: &Place) -> Result<()> {
    let call = Call::new(DELETE, Method::DELETE, place.to_string());
    ask.send(&call).await.map(drop).map_err(Failed::into_error)
}
