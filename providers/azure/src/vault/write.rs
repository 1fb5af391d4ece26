//! Writing and deleting.

use std::time::Duration;

use credchain_core::{Error, Expect, Kind, Result, Secret, SetOptions, Version};
use reqwest::Method;
use zeroize::Zeroizing;

use super::{DELETE, PURGE, SET, get, parsed};
use crate::address::{Address, of_id};
use crate::client::{Ask, Call};
use crate::error::Failure;
use crate::failed::{Failed, Problem};
use crate::wire::{Deleted, Item, Put};

/// How long to wait before asking again whether a deletion is complete.
const PAUSE: Duration = Duration::from_millis(500);

/// How often to ask, for callers without a deadline.
const MAX_PAUSES: usize = 120;

/// Tags that one secret may have.
const MAX_TAGS: usize = 15;

/// Writes a value and tells its version.
pub(crate) async fn set(
    ask: Ask<'_>,
    address: &Address,
    value: &Secret,
    options: &SetOptions,
) -> Result<Version, Problem> {
    let Some(text) = value.expose_text() else {
        return Err(Error::new(Kind::Invalid, "Key Vault holds text only").into());
    };
    if options.expect != Expect::Any {
        let unsupported = Error::unsupported("writing only if nobody else wrote")
            .with_hint("Key Vault compares nothing before it writes");
        return Err(unsupported.into());
    }
    if options.metadata.len() > MAX_TAGS {
        let message = format!("a secret of Key Vault has at most {MAX_TAGS} tags");
        return Err(Error::new(Kind::Invalid, message).into());
    }
    if options.idempotency_key.is_some()
        && let Some(version) = same(ask, address, value).await?
    {
        return Ok(version);
    }
    let put = Put {
        value: text,
        tags: &options.metadata,
    };
    let body = serde_json::to_vec(&put)
        .map(Zeroizing::new)
        .map_err(|_| Error::new(Kind::Internal, "the value cannot be written as JSON"))?;
    let url = ask.place(address, None);
    let call = Call::new(SET, Method::PUT, &url).with(body);
    let answer = ask.call(call).await;
    let answer = answer.map_err(|problem| ask.explained(problem, address))?;
    let item: Item = parsed(SET, &answer)?;
    let version = of_id(&item.id).and_then(|(_, version)| version);
    version.ok_or_else(|| Failed::new(SET, Failure::Unreadable).into())
}

/// The current version, if its value is this one. Key Vault knows no keys that make a repeated
/// write count once, so the value has to tell.
async fn same(ask: Ask<'_>, address: &Address, value: &Secret) -> Result<Option<Version>, Problem> {
    match get(ask, address, None).await {
        Ok(stored) if stored.secret.same_value(value) => Ok(stored.secret.meta().version.clone()),
        Ok(_) => Ok(None),
        Err(problem) if problem.kind() == Kind::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Deletes a secret with all its versions, and purges it if the settings say so.
pub(crate) async fn delete(ask: Ask<'_>, address: &Address) -> Result<(), Problem> {
    let url = ask.place(address, None);
    let answer = ask.call(Call::new(DELETE, Method::DELETE, &url)).await;
    let answer = answer.map_err(|problem| ask.explained(problem, address))?;
    let deleted: Deleted = parsed(DELETE, &answer)?;
    if ask.settings.purge && deleted.recovery_id.is_some() {
        return purge(ask, address).await;
    }
    Ok(())
}

async fn purge(ask: Ask<'_>, address: &Address) -> Result<(), Problem> {
    let url = ask.url(&["deletedsecrets", address.as_str()]);
    for _ in 0..MAX_PAUSES {
        match ask.call(Call::new(PURGE, Method::DELETE, &url)).await {
            Ok(_) => return Ok(()),
            // The deletion goes on after its answer; until it is complete there is nothing to purge.
            Err(Problem::Failed(failed)) if is_under_way(&failed) => {
                let pause = async {
                    ask.cx.clock().sleep(PAUSE).await;
                    Ok(())
                };
                ask.cx.in_time(pause).await?;
            }
            Err(problem) => return Err(problem),
        }
    }
    Err(Failed::new(PURGE, Failure::Late).into())
}

fn is_under_way(failed: &Failed) -> bool {
    match &failed.failure {
        Failure::Vault(404, ..) => true,
        Failure::Vault(409, _, inner) => inner.as_deref() == Some("ObjectIsBeingDeleted"),
        _ => false,
    }
}
