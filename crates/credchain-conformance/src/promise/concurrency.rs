//! Many at once.

use credchain_core::{Expect, Kind, Reference, SetOptions, Version};
use futures_util::future::join_all;

use crate::verdict::{ensure, must};
use crate::{Subject, Verdict};

const READERS: usize = 64;
const WRITERS: usize = 16;
const RACERS: usize = 8;

/// 64 reads at once each get their own value.
pub async fn parallel_reads_agree(subject: &Subject) -> Verdict {
    let values: Vec<_> = (0..8)
        .map(|index| {
            let label = format!("read{index}");
            (subject.fresh(&label), subject.value(&label))
        })
        .collect();
    subject.plant(&values).await?;
    let reads = values.iter().cycle().take(READERS);
    let verdicts =
        join_all(reads.map(|(place, value)| subject.reads("one of 64 reads", place, value))).await;
    verdicts.into_iter().collect()
}

/// Writes to different places at the same time all survive.
pub async fn parallel_writes_all_survive(subject: &Subject) -> Verdict {
    if !subject.capabilities().write {
        return Ok(());
    }
    let values: Vec<_> = (0..WRITERS)
        .map(|index| {
            let label = format!("write{index}");
            (subject.fresh(&label), subject.value(&label))
        })
        .collect();
    let options = SetOptions::default();
    let writes = join_all(
        values
            .iter()
            .map(|(place, value)| subject.set(place, value, &options)),
    )
    .await;
    for written in writes {
        must("one of several writes at once", written)?;
    }
    for (place, value) in &values {
        subject
            .reads("what one of several writers wrote", place, value)
            .await?;
    }
    Ok(())
}

/// Of several compare-and-set writes with the same expectation exactly one wins, the others get
/// `Conflict`, and the winner's value is what is stored.
pub async fn exactly_one_of_many_racers_wins(subject: &Subject) -> Verdict {
    if !(subject.capabilities().write && subject.capabilities().compare_and_set) {
        return Ok(());
    }
    let place = subject.fresh("race");
    let first = race(subject, &place, "absent", Expect::Absent).await?;
    race(subject, &place, "version", Expect::Version(first)).await?;
    Ok(())
}

async fn race(
    subject: &Subject,
    place: &Reference,
    label: &str,
    expect: Expect,
) -> Result<Version, crate::Broken> {
    let options = SetOptions::expecting(expect);
    let values: Vec<_> = (0..RACERS)
        .map(|index| subject.value(&format!("{label}{index}")))
        .collect();
    let outcomes = join_all(
        values
            .iter()
            .map(|value| subject.set(place, value, &options)),
    )
    .await;
    let mut winners = Vec::new();
    for (value, outcome) in values.iter().zip(outcomes) {
        match outcome {
            Ok(version) => winners.push((value, version)),
            Err(error) => ensure!(
                error.kind() == Kind::Conflict,
                "a writer who lost a race must get Conflict: {error}"
            ),
        }
    }
    ensure!(
        winners.len() == 1,
        "{} of {RACERS} writers expecting `{label}` won; exactly one can",
        winners.len()
    );
    let (value, version) = winners.swap_remove(0);
    subject.reads("the winner's value", place, value).await?;
    Ok(version)
}
