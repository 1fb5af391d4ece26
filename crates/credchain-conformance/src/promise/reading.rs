//! Hits, misses, batches and descriptions.

use credchain_core::{Kind, Reference, Result, Secret};

use super::values::hostile_names;
use crate::verdict::{ensure, must, must_fail};
use crate::{Broken, Subject, Verdict};

/// What may answer a field of a value that has no fields.
const NO_FIELDS: &[Kind] = &[
    Kind::NotFound,
    Kind::NotApplicable,
    Kind::Invalid,
    Kind::Unsupported,
];

/// An empty value is `Ok` and empty; a missing one is `NotFound`.
pub async fn tells_missing_from_empty(subject: &Subject) -> Verdict {
    subject.planted("neighbour").await?;
    let (missing, empty) = (subject.fresh("missing"), subject.fresh("empty"));
    if subject.can_hold(b"") {
        subject.plant(&[(empty.clone(), Vec::new())]).await?;
        subject.reads("an empty value", &empty, b"").await?;
    }
    must_fail(
        "reading what nobody stored",
        &[Kind::NotFound],
        &subject.get(&missing).await,
    )
}

/// A missing value, version or field is `NotFound`: never another value, and never another kind.
/// Where values have no fields and no versions, asking for one is an error all the same.
pub async fn misses_are_not_found(subject: &Subject) -> Verdict {
    let present = subject.planted("present").await?;
    for label in ["missing", "presen", "present2"] {
        let missing = subject.get(&subject.fresh(label)).await;
        must_fail(
            &format!("reading the missing `{label}`"),
            &[Kind::NotFound],
            &missing,
        )?;
    }
    let version = present
        .clone()
        .with_version(subject.missing_version().clone());
    if subject.capabilities().versions {
        let read = subject.get(&version).await;
        must_fail(
            "reading a version that does not exist",
            &[Kind::NotFound],
            &read,
        )?;
    }
    let field = must(
        "a field's name",
        present.clone().with_field("no_such_field"),
    )?;
    let kinds = if present.field().is_some() {
        &[Kind::NotFound]
    } else {
        NO_FIELDS
    };
    must_fail(
        "reading a field that does not exist",
        kinds,
        &subject.get(&field).await,
    )
}

/// `get_many` gives one answer for each reference, in order, and each is what `get` gives: with
/// duplicates, misses among hits, nothing at all, and 200 at once.
pub async fn batch_agrees_with_single(subject: &Subject) -> Verdict {
    let places: Vec<_> = (0..10)
        .map(|index| subject.fresh(&format!("many{index}")))
        .collect();
    let values: Vec<_> = places
        .iter()
        .enumerate()
        .map(|(index, place)| (place.clone(), subject.value(&format!("many{index}"))))
        .collect();
    subject.plant(&values).await?;
    let missing: Vec<_> = (0..4)
        .map(|index| subject.fresh(&format!("none{index}")))
        .collect();
    let mut odd = vec![must(
        "a field's name",
        places[0].clone().with_field("no_such_field"),
    )?];
    odd.push(
        places[1]
            .clone()
            .with_version(subject.missing_version().clone()),
    );
    odd.extend(
        hostile_names(subject.nonce())
            .iter()
            .take(20)
            .map(|name| subject.place(name)),
    );

    agrees(subject, "an empty batch", &[]).await?;
    agrees(subject, "a batch of one", &places[..1]).await?;
    agrees(subject, "a batch of one miss", &missing[..1]).await?;
    agrees(subject, "a batch of misses", &missing).await?;
    let mut mixed = Vec::new();
    mixed.extend(places.iter().rev().cloned());
    mixed.extend(missing.iter().cloned());
    mixed.extend(odd);
    mixed.extend(
        places
            .iter()
            .take(3)
            .flat_map(|place| [place.clone(), place.clone()]),
    );
    agrees(subject, "a batch of hits, misses and duplicates", &mixed).await?;
    let large: Vec<_> = places
        .iter()
        .chain(&missing)
        .cycle()
        .take(200)
        .cloned()
        .collect();
    agrees(subject, "a batch of 200", &large).await
}

async fn agrees(subject: &Subject, what: &str, references: &[Reference]) -> Verdict {
    let many = subject
        .provider()
        .get_many(references, &subject.context())
        .await;
    ensure!(
        many.len() == references.len(),
        "{what} has {} references and got {} answers",
        references.len(),
        many.len()
    );
    let mut known: Vec<(&Reference, Result<Secret>)> = Vec::new();
    for (index, (reference, answer)) in references.iter().zip(many).enumerate() {
        let seen = known.iter().position(|(seen, _)| *seen == reference);
        let seen = if let Some(seen) = seen {
            seen
        } else {
            known.push((reference, subject.get(reference).await));
            known.len() - 1
        };
        let single = &known[seen].1;
        let same = match (&answer, single) {
            (Ok(left), Ok(right)) => {
                left.same_value(right) && left.meta().version == right.meta().version
            }
            (Err(left), Err(right)) => left.kind() == right.kind(),
            _ => false,
        };
        let told = |result: &Result<Secret>| match result {
            Ok(_) => "a value".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        ensure!(
            same,
            "answer {index} of {what} (`{reference}`) is {}, where `get` gives {}",
            told(&answer),
            if answer.is_ok() && single.is_ok() {
                "another".to_owned()
            } else {
                told(single)
            }
        );
    }
    Ok(())
}

/// `describe` succeeds exactly when `get` does, fails with the same kind, and tells the same
/// version.
pub async fn describes_what_it_gets(subject: &Subject) -> Verdict {
    let present = subject.planted("described").await?;
    let mut places = vec![present.clone(), subject.fresh("not_described")];
    places.push(must(
        "a field's name",
        present.clone().with_field("no_such_field"),
    )?);
    places.push(
        present
            .clone()
            .with_version(subject.missing_version().clone()),
    );
    places.extend(
        hostile_names(subject.nonce())
            .iter()
            .take(12)
            .map(|name| subject.place(name)),
    );
    for place in places {
        let got = subject.get(&place).await;
        match (
            subject
                .provider()
                .describe(&place, &subject.context())
                .await,
            got,
        ) {
            (Ok(description), Ok(secret)) => {
                let (told, read) = (description.version, secret.meta().version.clone());
                ensure!(
                    told.is_none() || read.is_none() || told == read,
                    "`describe` of `{place}` tells another version than `get`"
                );
            }
            (Err(described), Err(got)) => ensure!(
                described.kind() == got.kind(),
                "`describe` of `{place}` fails with {}, `get` with {}",
                described.kind(),
                got.kind()
            ),
            (Ok(_), Err(error)) => {
                return Err(Broken::new(format!(
                    "`describe` of `{place}` succeeds where `get` fails: {error}"
                )));
            }
            (Err(error), Ok(_)) => {
                return Err(Broken::new(format!(
                    "`describe` of `{place}` fails where `get` succeeds: {error}"
                )));
            }
        }
    }
    Ok(())
}
