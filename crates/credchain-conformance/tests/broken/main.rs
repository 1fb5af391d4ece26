//! The suite finds what it is there to find: stores with one flaw each, and the promise that has
//! to notice.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod flawed;
mod history;

use std::sync::Arc;
use std::time::Duration;

use credchain_conformance::promise::{ALL, Promise};
use credchain_conformance::{Fixture, Flavour, Subject, Verdict, run};
use credchain_core::{
    Capabilities, Context, Provider, Reference, Result, Secret, SetOptions, async_trait,
};

use crate::flawed::{Flaw, Flawed, TOKEN};
use crate::history::{Kept, Slip};

/// Each flaw, and the promise that it breaks.
const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::TrimsNewlines, "reads_back_every_byte"),
    (Flaw::TakesTextOnly, "reads_back_every_byte"),
    (Flaw::CutsAtNul, "reads_back_every_byte"),
    (Flaw::CutsAt64Kib, "reads_back_every_byte"),
    (Flaw::KeepsWhatItRefuses, "reads_back_every_byte"),
    (Flaw::FlattensSlashes, "holds_hostile_names"),
    (Flaw::DecodesPercents, "holds_hostile_names"),
    (Flaw::TrimsNames, "holds_hostile_names"),
    (Flaw::CutsLongNames, "holds_hostile_names"),
    (Flaw::RefusesDashes, "holds_hostile_names"),
    (Flaw::IgnoresCase, "keeps_names_apart_by_case"),
    (Flaw::MissingIsEmpty, "tells_missing_from_empty"),
    (Flaw::EmptyIsMissing, "tells_missing_from_empty"),
    (Flaw::MissingIsDenied, "misses_are_not_found"),
    (Flaw::MissingIsUnavailable, "misses_are_not_found"),
    (Flaw::FindsByPrefix, "misses_are_not_found"),
    (Flaw::IgnoresFields, "misses_are_not_found"),
    (Flaw::IgnoresVersions, "misses_are_not_found"),
    (Flaw::BatchSorts, "batch_agrees_with_single"),
    (Flaw::BatchDropsMisses, "batch_agrees_with_single"),
    (Flaw::BatchDropsDuplicates, "batch_agrees_with_single"),
    (Flaw::BatchFailsTogether, "batch_agrees_with_single"),
    (Flaw::BatchHasALimit, "batch_agrees_with_single"),
    (Flaw::MixesUpReaders, "parallel_reads_agree"),
    (Flaw::LosesUpdates, "parallel_writes_all_survive"),
    (Flaw::ChecksThenActs, "exactly_one_of_many_racers_wins"),
    (Flaw::StaysBusy, "a_cancelled_read_leaves_it_working"),
    (Flaw::WritesInHalves, "a_cancelled_write_is_all_or_nothing"),
    (
        Flaw::WaitsPastItsDeadline,
        "an_expired_deadline_ends_at_once",
    ),
    (
        Flaw::DeniesAfterItsDeadline,
        "an_expired_deadline_ends_at_once",
    ),
    (Flaw::IgnoresExpectations, "expectations_hold"),
    (Flaw::DropsUnclaimedExpectations, "expectations_hold"),
    (Flaw::ForgetsKeys, "a_repeated_write_counts_once"),
    (Flaw::NumbersNothing, "a_written_version_can_be_read"),
    (Flaw::HasAnOldHistory, "a_written_version_can_be_read"),
    (Flaw::DeletesNothing, "a_deleted_value_is_not_found"),
    (Flaw::DeletesTheMissing, "a_deleted_value_is_not_found"),
    (Flaw::DeletesNeighbours, "a_deleted_value_is_not_found"),
    (Flaw::ListsNothing, "lists_what_was_set"),
    (Flaw::ListsGhosts, "lists_what_was_set"),
    (Flaw::ListsEverything, "lists_what_was_set"),
    (Flaw::DescribesTheMissing, "describes_what_it_gets"),
    (Flaw::DescribesWithAnotherKind, "describes_what_it_gets"),
    (Flaw::HidesWriting, "is_honest_about_what_it_cannot_do"),
    (Flaw::HidesDeleting, "is_honest_about_what_it_cannot_do"),
    (Flaw::HidesListing, "is_honest_about_what_it_cannot_do"),
    (Flaw::HidesVersions, "is_honest_about_what_it_cannot_do"),
    (Flaw::ChangesItsMind, "capabilities_and_facets_are_constant"),
    (
        Flaw::HidesItsHistory,
        "capabilities_and_facets_are_constant",
    ),
    (Flaw::HoldsMoreThanItSays, "refuses_values_over_its_limit"),
    (Flaw::HoldsLessThanItSays, "refuses_values_over_its_limit"),
    (Flaw::LocatesByChance, "conventional_places_work"),
    (Flaw::LocatesWhereItIsDenied, "conventional_places_work"),
    (Flaw::DebugShows, "shows_no_secret"),
    (Flaw::ErrorShows, "shows_no_secret"),
    (Flaw::HintShowsHex, "shows_no_secret"),
    (Flaw::CauseShowsBytes, "shows_no_secret"),
    (Flaw::LogsIt, "shows_no_secret"),
    (Flaw::LogsItInBase64, "shows_no_secret"),
    (Flaw::LogsItTheOldWay, "shows_no_secret"),
    (Flaw::NamesASpanAfterIt, "shows_no_secret"),
    (Flaw::DebugShowsItsToken, "shows_no_secret"),
    (Flaw::SaysAFullStop, "errors_are_one_short_line"),
    (Flaw::SaysTooMuch, "errors_are_one_short_line"),
    (
        Flaw::NeedsItsFirstRuntime,
        "outlives_the_runtime_it_was_first_used_on",
    ),
    (Flaw::NeedsItsFirstThread, "works_on_many_threads"),
];

/// What a store that keeps a history can do wrong with it.
const SLIPS: &[Slip] = &[
    Slip::OldestFirst,
    Slip::ForgetsTheCurrent,
    Slip::ListsWhatIsDisabled,
    Slip::ReadsWhatIsDisabled,
    Slip::ReadsWhatIsDestroyed,
    Slip::ReadsAnotherVersion,
    Slip::DestroysEverything,
    Slip::DestroysTheMissing,
];

/// The promise that has to notice them.
const ABOUT_HISTORY: &str = "a_history_can_be_read_and_pruned";

fn promise(name: &str) -> &'static Promise {
    ALL.iter().find(|promise| promise.name == name).unwrap()
}

/// A subject with this flaw; one that cannot write has its values planted behind its back.
fn subject(flaw: Flaw) -> Subject {
    let provider = Arc::new(Flawed::new(flaw));
    let subject = Subject::new(provider.clone()).with_secrets(vec![TOKEN.to_owned()]);
    if provider.capabilities().write {
        return subject;
    }
    subject.with_seed(move |values| {
        let provider = provider.clone();
        Box::pin(async move {
            for (reference, value) in values {
                let (value, cx) = (Secret::new(value), Context::system());
                provider
                    .set(&reference, &value, &SetOptions::default(), &cx)
                    .await
                    .unwrap();
            }
        })
    })
}

/// Time is paused, so that waiting in vain costs none.
fn runtime(flavour: Flavour) -> tokio::runtime::Runtime {
    let mut builder = if flavour == Flavour::MultiThread {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.start_paused(true);
        builder
    };
    builder.enable_all().build().unwrap()
}

fn verdict(flaw: Flaw, promise: &Promise) -> Verdict {
    runtime(promise.flavour).block_on(async { (promise.check)(&subject(flaw)).await })
}

#[test]
fn each_flaw_breaks_the_promise_that_is_about_it() {
    let unnoticed: Vec<_> = FLAWS
        .iter()
        .filter(|(flaw, name)| verdict(*flaw, promise(name)).is_ok())
        .collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

#[test]
fn a_history_that_lies_is_noticed() {
    let verdict = |slip| {
        let check = promise(ABOUT_HISTORY).check;
        runtime(Flavour::CurrentThread)
            .block_on(async { check(&Subject::new(Arc::new(Kept::new(slip)))).await })
    };
    assert_eq!(verdict(Slip::Nothing), Ok(()));
    for slip in SLIPS {
        assert!(verdict(*slip).is_err(), "{slip:?}");
    }
}

#[test]
fn each_promise_is_broken_by_some_flaw() {
    for promise in ALL {
        let broken =
            promise.name == ABOUT_HISTORY || FLAWS.iter().any(|(_, name)| *name == promise.name);
        assert!(
            broken,
            "nothing shows that `{}` notices anything",
            promise.name
        );
    }
}

#[test]
fn without_a_flaw_every_promise_is_kept() {
    for promise in ALL {
        for none in [Flaw::Nothing, Flaw::StartsAbsent] {
            assert_eq!(verdict(none, promise), Ok(()), "{none:?}: {}", promise.name);
        }
    }
}

#[test]
fn a_broken_promise_is_told_without_its_values() {
    for (flaw, name) in FLAWS {
        let told = verdict(*flaw, promise(name)).unwrap_err().to_string();
        assert!(
            !told.contains("value-") && !told.contains("canary"),
            "{flaw:?}: {told}"
        );
        assert_eq!(told.lines().count(), 1, "{flaw:?}: {told}");
    }
}

/// Never answers: by waiting, or by keeping its thread.
#[derive(Debug)]
struct Hangs {
    blocks: bool,
}

#[async_trait]
impl Provider for Hangs {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only()
    }

    async fn get(&self, _: &Reference, _: &Context) -> Result<Secret> {
        if self.blocks {
            std::thread::park_timeout(Duration::from_mins(1));
        }
        std::future::pending().await
    }
}

fn check_that_hangs(blocks: bool) {
    let fixture = move || {
        Fixture::new(async || (), move |()| Arc::new(Hangs { blocks }))
            .seed(async |&(), _| {})
            .timeout(Duration::from_millis(50))
    };
    let promise = promise("tells_missing_from_empty");
    run(promise.name, promise.flavour, fixture, promise.check);
}

#[test]
#[should_panic(expected = "did not end within 50ms")]
fn a_provider_that_never_answers_fails_instead_of_hanging() {
    check_that_hangs(false);
}

#[test]
#[should_panic(expected = "it blocks its thread")]
fn a_provider_that_blocks_its_thread_fails_instead_of_hanging() {
    check_that_hangs(true);
}

#[test]
#[should_panic(expected = "needs `seed`")]
fn a_provider_that_cannot_write_is_not_passed_without_planted_values() {
    let fixture = || Fixture::new(async || (), |()| Arc::new(Hangs { blocks: false }));
    let promise = promise("parallel_reads_agree");
    run(promise.name, promise.flavour, fixture, promise.check);
}
