//! Writes, versions, deletion and listing.

use credchain_core::{Expect, Kind, SetOptions, Version};

use crate::verdict::{ensure, must, must_fail};
use crate::{Subject, Verdict};

/// `Absent` writes only where nothing is, `Version` only over that version; a write that was
/// refused changes nothing. A provider that does not compare says `Unsupported`.
pub async fn expectations_hold(subject: &Subject) -> Verdict {
    if !subject.capabilities().write {
        return Ok(());
    }
    let place = subject.fresh("expect");
    let absent = SetOptions::expecting(Expect::Absent);
    if !subject.capabilities().compare_and_set {
        return no_expectations(subject).await;
    }
    let one = subject.value("one");
    let first = must(
        "writing where nothing is",
        subject.set(&place, &one, &absent).await,
    )?;
    let again = subject.set(&place, &subject.value("again"), &absent).await;
    must_fail("`Absent` where a value is", &[Kind::Conflict], &again)?;
    subject
        .reads("a value after a lost `Absent`", &place, &one)
        .await?;

    let over_first = SetOptions::expecting(Expect::Version(first.clone()));
    let two = subject.value("two");
    let second = must(
        "writing over its version",
        subject.set(&place, &two, &over_first).await,
    )?;
    ensure!(
        first != second,
        "a write over a version returned that same version"
    );
    subject
        .reads("a value after writing over its version", &place, &two)
        .await?;
    let stale = subject
        .set(&place, &subject.value("stale"), &over_first)
        .await;
    must_fail("writing over an old version", &[Kind::Conflict], &stale)?;
    subject
        .reads("a value after a lost race", &place, &two)
        .await?;

    let nowhere = subject
        .set(&subject.fresh("expect_none"), &one, &over_first)
        .await;
    must_fail(
        "writing over a version where nothing is",
        &[Kind::Conflict, Kind::NotFound],
        &nowhere,
    )
}

async fn no_expectations(subject: &Subject) -> Verdict {
    subject.planted("neighbour").await?;
    let place = subject.fresh("no_expect");
    let expectations = [
        Expect::Absent,
        Expect::Version(subject.missing_version().clone()),
    ];
    for expect in expectations {
        let what = format!("writing with {expect:?}, which is not claimed,");
        let written = subject
            .set(&place, &subject.value("x"), &SetOptions::expecting(expect))
            .await;
        must_fail(&what, &[Kind::Unsupported], &written)?;
    }
    must_fail(
        "reading after a refused write",
        &[Kind::NotFound],
        &subject.get(&place).await,
    )
}

/// Two writes with the same idempotency key and value count as one: the same version, and no
/// conflict with itself.
pub async fn a_repeated_write_counts_once(subject: &Subject) -> Verdict {
    if !subject.capabilities().write {
        return Ok(());
    }
    let place = subject.fresh("repeated");
    let mut options = SetOptions::default();
    options.idempotency_key = Some(format!("key-{}", subject.nonce()));
    if subject.capabilities().compare_and_set {
        options.expect = Expect::Absent;
    }
    let value = subject.value("repeated");
    let first = must(
        "a write with a key",
        subject.set(&place, &value, &options).await,
    )?;
    let second = must(
        "the same write again",
        subject.set(&place, &value, &options).await,
    )?;
    ensure!(
        first == second,
        "a repeated write counted twice: its version changed"
    );
    subject.reads("a value written twice", &place, &value).await
}

/// After a write the new value is current, at the version that the write returned; where versions
/// are understood, that version can be asked for, and the history names it.
pub async fn a_written_version_can_be_read(subject: &Subject) -> Verdict {
    if !subject.capabilities().write {
        return Ok(());
    }
    let place = subject.fresh("version");
    let options = SetOptions::default();
    let mut versions: Vec<Version> = Vec::new();
    for label in ["one", "two", "three"] {
        let value = subject.value(label);
        let version = must("a write", subject.set(&place, &value, &options).await)?;
        subject
            .reads("a value just written", &place, &value)
            .await?;
        if subject.capabilities().versions {
            let exact = place.clone().with_version(version.clone());
            subject
                .reads("the version just written", &exact, &value)
                .await?;
            let current = must("reading", subject.get(&place).await)?;
            ensure!(
                current
                    .meta()
                    .version
                    .as_ref()
                    .is_none_or(|told| *told == version),
                "`get` tells another version than the write before it returned"
            );
            ensure!(
                !versions.contains(&version),
                "two writes returned the same version"
            );
        }
        versions.push(version);
    }
    let Some(history) = subject.provider().as_versioned() else {
        return Ok(());
    };
    let told = must(
        "the history",
        history.versions(&place, &subject.context()).await,
    )?;
    let newest = told.first().map(|state| &state.version);
    ensure!(
        newest == versions.last(),
        "the history does not begin with the newest version"
    );
    let missing = history
        .versions(&subject.fresh("no_history"), &subject.context())
        .await;
    must_fail(
        "the history of a missing value",
        &[Kind::NotFound],
        &missing,
    )
}

/// A deleted value is `NotFound`, deleting it again is too, and it can be written anew.
pub async fn a_deleted_value_is_not_found(subject: &Subject) -> Verdict {
    let cx = subject.context();
    let place = subject.planted("deleted").await?;
    let keep = subject.planted("kept").await?;
    let deleted = subject.provider().delete(&place, &cx).await;
    if !subject.capabilities().delete {
        must_fail(
            "deleting, which is not claimed,",
            &[Kind::Unsupported],
            &deleted,
        )?;
        return subject
            .reads(
                "a value that cannot be deleted",
                &place,
                &subject.value("deleted"),
            )
            .await;
    }
    must("deleting", deleted)?;
    must_fail(
        "reading a deleted value",
        &[Kind::NotFound],
        &subject.get(&place).await,
    )?;
    let again = subject.provider().delete(&place, &cx).await;
    must_fail("deleting it again", &[Kind::NotFound], &again)?;
    let never = subject
        .provider()
        .delete(&subject.fresh("never_there"), &cx)
        .await;
    must_fail("deleting what was never there", &[Kind::NotFound], &never)?;
    subject
        .reads(
            "the neighbour of a deleted value",
            &keep,
            &subject.value("kept"),
        )
        .await?;
    if subject.capabilities().write {
        let anew = subject.value("anew");
        must(
            "writing anew",
            subject.set(&place, &anew, &SetOptions::default()).await,
        )?;
        subject
            .reads("a value written after its deletion", &place, &anew)
            .await?;
    }
    Ok(())
}

/// `list` names what is stored, without values; what it names can be read; a prefix narrows it.
pub async fn lists_what_was_set(subject: &Subject) -> Verdict {
    let places = [
        subject.planted("listed_a").await?,
        subject.planted("listed_b").await?,
    ];
    let cx = subject.context();
    let everything = subject.provider().list(None, &cx).await;
    if !subject.capabilities().list {
        return must_fail(
            "listing, which is not claimed,",
            &[Kind::Unsupported],
            &everything,
        );
    }
    let everything = must("listing", everything)?;
    for place in &places {
        let count = everything
            .iter()
            .filter(|listed| {
                let named = &listed.reference;
                named.path() == place.path()
                    && (named.field().is_none() || named.field() == place.field())
            })
            .count();
        ensure!(count == 1, "`{place}` was set, and is listed {count} times");
    }
    for listed in everything.iter().take(50) {
        if let Err(error) = subject.get(&listed.reference).await {
            ensure!(
                error.kind() == Kind::Denied,
                "`{}` is listed and cannot be read: {error}",
                listed.reference
            );
        }
    }
    let path = places[0].path();
    let prefix = &path[..path.len() - 1];
    let narrowed = must(
        "listing a prefix",
        subject.provider().list(Some(prefix), &cx).await,
    )?;
    for place in &places {
        ensure!(
            narrowed
                .iter()
                .any(|listed| listed.reference.path() == place.path()),
            "`{place}` is not listed under its prefix"
        );
    }
    ensure!(
        narrowed
            .iter()
            .all(|listed| listed.reference.path().starts_with(prefix)),
        "listing a prefix gave what does not start with it"
    );
    let nothing = subject.fresh("nothing_starts_so");
    let none = must(
        "listing",
        subject.provider().list(Some(nothing.path()), &cx).await,
    )?;
    ensure!(
        none.is_empty(),
        "listing a prefix that nothing has gave something"
    );
    Ok(())
}
