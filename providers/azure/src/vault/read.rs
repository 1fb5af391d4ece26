//! Reading: one, and what there is.

use std::collections::BTreeMap;

use credchain_core::{Listed, Result, Secret};

use super::{GET, LIST, SECRETS, parsed};
use crate::address::{Address, of_id, reference_to};
use crate::client::{Ask, Call};
use crate::error::Failure;
use crate::failed::{Failed, Problem};
use crate::wire::{Attributes, Bundle};

/// A value with what is stored beside it.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) secret: Secret,
    pub(crate) tags: BTreeMap<String, String>,
}

/// One version of one secret, whole.
pub(crate) async fn get(
    ask: Ask<'_>,
    address: &Address,
    version: Option<&str>,
) -> Result<Stored, Problem> {
    let url = ask.place(address, version);
    let explained = |problem| ask.explained(problem, address);
    let answer = ask.call(Call::get(GET, &url)).await.map_err(explained)?;
    let bundle: Bundle<'_> = parsed(GET, &answer)?;
    usable(ask, bundle.attributes).map_err(|failed| explained(failed.into()))?;
    stored(bundle).ok_or_else(|| Failed::new(GET, Failure::Unreadable).into())
}

/// Refuses what Key Vault hands out and nobody should use, in the words that it has for that.
fn usable(ask: Ask<'_>, attributes: Attributes) -> Result<(), Failed> {
    match attributes.unusable(ask.cx.clock().now()) {
        Some(word) => {
            let failure = Failure::Vault(403, "Forbidden".into(), Some(word.into()));
            Err(Failed::new(GET, failure))
        }
        None => Ok(()),
    }
}

fn stored(bundle: Bundle<'_>) -> Option<Stored> {
    let value: String = serde_json::from_str(bundle.value.get()).ok()?;
    let (_, version) = of_id(&bundle.id)?;
    let secret = Secret::from(value).with_meta(|meta| {
        meta.version = version;
        meta.created = bundle.attributes.created();
        meta.expires = bundle.attributes.expires();
    });
    let tags = bundle.tags.unwrap_or_default();
    Some(Stored { secret, tags })
}

/// What is stored under the link's prefix and `prefix`, and can be read now.
pub(crate) async fn list(ask: Ask<'_>, prefix: &str) -> Result<Vec<Listed>, Problem> {
    let now = ask.cx.clock().now();
    let items = ask.pages(ask.url(&[SECRETS])).await?;
    let mut listed = Vec::new();
    for item in items {
        let Some((name, _)) = of_id(&item.id) else {
            return Err(Failed::new(LIST, Failure::Unreadable).into());
        };
        if item.attributes.unusable(now).is_some() {
            continue;
        }
        let reference = reference_to(name, ask.settings);
        let begins = |path: &str| {
            path.get(..prefix.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
        };
        if let Some(reference) = reference.filter(|reference| begins(reference.path())) {
            let mut one = Listed::new(reference);
            one.created = item.attributes.created();
            listed.push(one);
        }
    }
    Ok(listed)
}
