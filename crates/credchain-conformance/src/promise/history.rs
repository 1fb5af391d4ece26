//! Version histories: what is listed can be read, what is destroyed cannot.

use credchain_core::{Kind, Reference, Result, SetOptions, Version, Versioned};

use crate::verdict::{ensure, must, must_fail};
use crate::{Broken, Subject, Verdict};

/// Why a disabled version cannot be read: nothing that a retry would change.
const DISABLED: &[Kind] = &[Kind::NotFound, Kind::Denied, Kind::Invalid];

/// Where a history is kept, it begins with the newest version, each enabled version in it can be
/// read, and disabling or destroying one takes away that one only. What the backend cannot do is
/// `Unsupported`.
pub async fn a_history_can_be_read_and_pruned(subject: &Subject) -> Verdict {
    let provider = subject.provider().clone();
    let Some(history) = provider.as_versioned() else {
        return Ok(());
    };
    if !subject.capabilities().write {
        return Ok(());
    }
    let place = subject.fresh("history");
    let mut written = Vec::new();
    for label in ["first", "second", "third"] {
        let value = subject.value(label);
        let version = must(
            "a write",
            subject.set(&place, &value, &SetOptions::default()).await,
        )?;
        written.push((version, value));
    }
    let listed = listed(subject, history, &place).await?;
    let newest_first: Vec<_> = written
        .iter()
        .rev()
        .map(|(version, _)| version)
        .filter(|v| listed.contains(v))
        .collect();
    let same = listed.iter().eq(newest_first);
    ensure!(same, "the history is not what was written, newest first");
    ensure!(
        listed.first() == written.last().map(|(v, _)| v),
        "the history lacks what is current"
    );
    for (version, value) in written
        .iter()
        .filter(|(version, _)| listed.contains(version))
    {
        let exact = place.clone().with_version(version.clone());
        subject
            .reads("a version of the history", &exact, value)
            .await?;
    }
    let cx = subject.context();
    if listed.contains(&written[1].0) {
        let disabled = history.disable(&place, &written[1].0, &cx).await;
        gone(
            subject,
            "disabled",
            DISABLED,
            &disabled,
            &place,
            &written[1].0,
        )
        .await?;
    }
    if listed.contains(&written[0].0) {
        let destroyed = history.destroy(&place, &written[0].0, &cx).await;
        gone(
            subject,
            "destroyed",
            &[Kind::NotFound],
            &destroyed,
            &place,
            &written[0].0,
        )
        .await?;
    }
    let missing = history
        .destroy(&place, subject.missing_version(), &cx)
        .await;
    let kinds = [Kind::NotFound, Kind::Unsupported];
    must_fail("destroying a version that does not exist", &kinds, &missing)?;
    subject
        .reads("the current value after that", &place, &written[2].1)
        .await
}

/// Checks that a version that was taken away cannot be read and is not listed as enabled.
async fn gone(
    subject: &Subject,
    how: &str,
    kinds: &[Kind],
    outcome: &Result<()>,
    place: &Reference,
    version: &Version,
) -> Verdict {
    if outcome.is_err() {
        return must_fail("taking a version away", &[Kind::Unsupported], outcome);
    }
    let read = subject
        .get(&place.clone().with_version(version.clone()))
        .await;
    must_fail(&format!("reading a {how} version"), kinds, &read)?;
    let Some(history) = subject.provider().as_versioned() else {
        return Ok(());
    };
    let listed = listed(subject, history, place).await?;
    ensure!(
        !listed.contains(version),
        "a {how} version is still listed as enabled"
    );
    Ok(())
}

/// The enabled versions.
async fn listed(
    subject: &Subject,
    history: &dyn Versioned,
    place: &Reference,
) -> std::result::Result<Vec<Version>, Broken> {
    let states = must(
        "the history",
        history.versions(place, &subject.context()).await,
    )?;
    Ok(states
        .into_iter()
        .filter(|state| state.enabled)
        .map(|state| state.version)
        .collect())
}
