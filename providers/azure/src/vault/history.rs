//! Versions.

use std::cmp::Reverse;

use credchain_core::{Result, VersionState};
use reqwest::Method;
use zeroize::Zeroizing;

use super::{LIST, SECRETS, SET, get};
use crate::address::{Address, of_id};
use crate::client::{Ask, Call};
use crate::error::Failure;
use crate::failed::{Failed, Problem};
use crate::wire::Item;

/// All versions, newest first.
pub(crate) async fn versions(
    ask: Ask<'_>,
    address: &Address,
) -> Result<Vec<VersionState>, Problem> {
    let url = ask.url(&[SECRETS, address.as_str(), "versions"]);
    let items = ask.pages(url).await?;
    if items.is_empty() {
        // Key Vault has no versions of what is not there, and does not call that a mistake.
        let missing = Failure::Vault(404, "SecretNotFound".into(), None);
        return Err(Failed::new(LIST, missing).into());
    }
    let states: Option<Vec<_>> = items.iter().map(|item| state(ask, item)).collect();
    let mut states = states.ok_or_else(|| Failed::new(LIST, Failure::Unreadable))?;
    states.sort_by_key(|state| Reverse(state.created));
    if let [first, second, ..] = &states[..] {
        // Times are whole seconds. Which of two is the newer one, the secret itself tells.
        if first.created == second.created {
            current_first(ask, address, &mut states).await;
        }
    }
    Ok(states)
}

fn state(ask: Ask<'_>, item: &Item) -> Option<VersionState> {
    let (_, version) = of_id(&item.id)?;
    let mut state = VersionState::new(version?);
    state.created = item.attributes.created();
    state.enabled = item.attributes.unusable(ask.cx.clock().now()).is_none();
    Some(state)
}

/// Puts the version in use first. Without the permission to read it, the order stays as it is.
async fn current_first(ask: Ask<'_>, address: &Address, states: &mut [VersionState]) {
    let Ok(stored) = get(ask, address, None).await else {
        return;
    };
    let current = stored.secret.meta().version.as_ref();
    let at = states
        .iter()
        .position(|state| Some(&state.version) == current);
    if let Some(at) = at.filter(|at| states[*at].created == states[0].created) {
        states[..=at].rotate_right(1);
    }
}

/// Makes a version unreadable until somebody enables it again.
pub(crate) async fn disable(ask: Ask<'_>, address: &Address, version: &str) -> Result<(), Problem> {
    let url = ask.place(address, Some(version));
    let body = Zeroizing::new(br#"{"attributes":{"enabled":false}}"#.to_vec());
    let call = Call::new(SET, Method::PATCH, &url).with(body);
    let disabled = ask.call(call).await;
    disabled.map_err(|problem| ask.explained(problem, address))?;
    Ok(())
}
