//! What is claimed is true, and stays true.

use credchain_core::{Kind, Naming, SetOptions};

use crate::verdict::{ensure, must, must_fail};
use crate::{Broken, Subject, Verdict};

/// Largest limit that is tried out to the byte.
const LARGEST_TRIED: usize = 16 << 20;

/// What is not claimed answers `Unsupported`, and does nothing: writing, deleting, listing,
/// versions.
pub async fn is_honest_about_what_it_cannot_do(subject: &Subject) -> Verdict {
    let claimed = subject.capabilities();
    let cx = subject.context();
    let place = subject.planted("honest").await?;
    if !claimed.write {
        let written = subject.set(&place, b"other", &SetOptions::default()).await;
        must_fail(
            "writing, which is not claimed,",
            &[Kind::Unsupported],
            &written,
        )?;
    }
    if !claimed.delete {
        let deleted = subject.provider().delete(&place, &cx).await;
        must_fail(
            "deleting, which is not claimed,",
            &[Kind::Unsupported],
            &deleted,
        )?;
    }
    if !claimed.list {
        let listed = subject.provider().list(None, &cx).await;
        must_fail(
            "listing, which is not claimed,",
            &[Kind::Unsupported],
            &listed,
        )?;
    }
    if !claimed.versions {
        let version = place
            .clone()
            .with_version(subject.missing_version().clone());
        let read = subject.get(&version).await;
        must_fail(
            "reading a version, which is not claimed,",
            &[Kind::Unsupported],
            &read,
        )?;
    }
    subject
        .reads("a value after all that", &place, &subject.value("honest"))
        .await
}

/// Capabilities and facets are the same whenever they are asked for, and do not contradict each
/// other.
pub async fn capabilities_and_facets_are_constant(subject: &Subject) -> Verdict {
    let facts = || {
        let provider = subject.provider();
        (
            provider.capabilities(),
            provider.as_leased().is_some(),
            provider.as_versioned().is_some(),
        )
    };
    let before = facts();
    let place = subject.planted("constant").await?;
    must("reading", subject.get(&place).await)?;
    let missing = subject.get(&subject.fresh("constant_missing")).await;
    must_fail("reading what nobody stored", &[Kind::NotFound], &missing)?;
    ensure!(
        before == facts(),
        "capabilities or facets changed while the provider was used"
    );
    let (claimed, _, versioned) = before;
    ensure!(
        !versioned || claimed.versions,
        "it has a version history and does not claim versions"
    );
    ensure!(
        claimed.write || !claimed.compare_and_set,
        "it claims to compare and set, and not to write"
    );
    Ok(())
}

/// A value of the claimed largest size is held; one byte more is refused with `Invalid`.
pub async fn refuses_values_over_its_limit(subject: &Subject) -> Verdict {
    let Some(max) = subject.capabilities().max_value else {
        return Ok(());
    };
    ensure!(
        max > 0,
        "a provider whose largest value is empty holds nothing"
    );
    if max > LARGEST_TRIED {
        return Ok(());
    }
    let place = subject.fresh("largest");
    let largest = vec![b'x'; max];
    subject.plant(&[(place.clone(), largest.clone())]).await?;
    subject.reads("the largest value", &place, &largest).await?;
    if subject.capabilities().write {
        let over = vec![b'x'; max + 1];
        let written = subject.set(&place, &over, &SetOptions::default()).await;
        must_fail(
            "writing one byte over the limit",
            &[Kind::Invalid],
            &written,
        )?;
        subject
            .reads(
                "the value after one over the limit was refused",
                &place,
                &largest,
            )
            .await?;
    }
    Ok(())
}

/// The conventional places of a credential are the same each time, can be asked, and, where
/// writing works, the first one holds a value.
pub async fn conventional_places_work(subject: &Subject) -> Verdict {
    subject.planted("neighbour").await?;
    let name = format!("c{}_located", subject.nonce());
    let name = name
        .parse()
        .map_err(|_| Broken::new("the suite made a bad name"))?;
    let naming = Naming::new(name).in_project("conformance", "default");
    let provider = subject.provider();
    let places = provider.locate(&naming);
    ensure!(
        places == provider.locate(&naming),
        "`locate` gives other places the second time"
    );
    for place in &places {
        let kinds = [Kind::NotFound, Kind::NotApplicable];
        must_fail(
            &format!("reading `{place}`"),
            &kinds,
            &subject.get(place).await,
        )?;
    }
    if let (Some(place), true) = (places.first(), subject.capabilities().write) {
        let value = subject.value("located");
        let written = subject.set(place, &value, &SetOptions::default()).await;
        must(&format!("writing `{place}`"), written)?;
        subject
            .reads("the conventional place", place, &value)
            .await?;
    }
    Ok(())
}
