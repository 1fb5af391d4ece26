//! Versions and stages.

use std::cmp::Reverse;
use std::time::SystemTime;

use aws_sdk_secretsmanager::types::SecretVersionsListEntry;
use credchain_core::{Kind, Result, Version, VersionState};

use super::{STAGE, VERSIONS, awaits_deletion};
use crate::address::{Address, CURRENT, stage as theirs};
use crate::error::Failed;
use crate::session::{Ask, call};

/// All versions that can be read, newest first.
pub(crate) async fn versions(ask: Ask<'_>, address: &Address) -> Result<Vec<VersionState>> {
    // A secret that waits for its deletion still tells its versions, and none can be read.
    let told = ask.describe(address).await.map_err(Failed::into_error)?;
    if told.deleted_date().is_some() {
        return Err(awaits_deletion(Kind::NotFound, address));
    }
    let mut states = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let request = ask.session.secrets.list_secret_version_ids();
        let request = request
            .secret_id(address.as_str())
            .include_deprecated(true)
            .max_results(100)
            .set_next_token(page.clone());
        let answer = call(ask.cx, VERSIONS, request.send())
            .await
            .map_err(Failed::into_error)?;
        states.extend(answer.versions().iter().filter_map(state));
        match answer.next_token.filter(|token| !token.is_empty()) {
            Some(next) if page.as_ref() != Some(&next) => page = Some(next),
            _ => break,
        }
    }
    // Of two that were written at the same moment the one in use is the newer.
    states.sort_by_key(|state| (Reverse(state.created), rank(state)));
    Ok(states)
}

fn state(entry: &SecretVersionsListEntry) -> Option<VersionState> {
    let mut state = VersionState::new(Version::new(entry.version_id()?).ok()?);
    let created = entry.created_date().copied();
    state.created = created.and_then(|created| SystemTime::try_from(created).ok());
    state.labels = entry.version_stages().to_vec();
    Some(state)
}

fn rank(state: &VersionState) -> u8 {
    match &state.labels[..] {
        labels if labels.iter().any(|label| label == CURRENT) => 0,
        [] => 2,
        _ => 1,
    }
}

/// Moves a stage to a version, from wherever it is.
pub(crate) async fn stage(
    ask: Ask<'_>,
    address: &Address,
    version: &Version,
    label: &str,
) -> Result<()> {
    let stage = theirs(label);
    let told = ask.describe(address).await.map_err(Failed::into_error)?;
    if told.deleted_date().is_some() {
        return Err(awaits_deletion(Kind::NotFound, address));
    }
    let holder = told.version_ids_to_stages().and_then(|stages| {
        let mut versions = stages.iter();
        versions.find(|(_, stages)| stages.iter().any(|held| held == stage))
    });
    let holder = holder.map(|(id, _)| id.as_str());
    if holder == Some(version.as_str()) {
        return Ok(());
    }
    let request = ask.session.secrets.update_secret_version_stage();
    let request = request
        .secret_id(address.as_str())
        .version_stage(stage)
        .set_remove_from_version_id(holder.map(str::to_owned))
        .move_to_version_id(version.as_str());
    match call(ask.cx, STAGE, request.send()).await {
        Ok(_) => Ok(()),
        Err(failed) => Err(ask.explained(failed, address).await),
    }
}
