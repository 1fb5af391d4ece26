//! Every step of every strategy is cut off, before and after its effect; whoever comes next finds
//! its way, and readers never get a value that does not work.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use credchain_core::{
    Account, Context, Error, Kind, ManualClock, Provider, Result, Secret, Target,
};
use credchain_rotation::{How, Journal, Observer, Quiet, Rotation, State, Step, Store, Strategy};

use crate::world::{Odd, World, place};

/// Every place at which a rotation can be cut off, in order.
const POINTS: &[&str] = &[
    "before the plan is kept",
    "after the plan is kept",
    "before a key is issued",
    "after a key is issued",
    "before the pending value is kept",
    "after the pending value is kept",
    "before the value is applied",
    "after the value is applied",
    "before the verdict is kept",
    "after the verdict is kept",
    "before readers get it",
    "after a store is written",
    "after readers have it",
    "before the old value is disabled",
    "after the old value is disabled",
    "before the old value is revoked",
    "after the old value is revoked",
    "before the end is kept",
    "after the end is kept",
];

const STRATEGIES: [Strategy; 4] = [
    Strategy::Swap,
    Strategy::Alternate,
    Strategy::Issue,
    Strategy::Versioned,
];

/// Runs what ends with a panic at a place of [`POINTS`], or not.
fn cut_off<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let done = catch_unwind(AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    done
}

#[test]
fn a_rotation_goes_from_one_valid_value_to_another() {
    for strategy in STRATEGIES {
        let world = World::new(strategy);
        let before = world.value(0);
        world.finish();
        world.assert_one_valid();
        assert_ne!(before.expose(), world.value(0).expose(), "{strategy}");
        // And again, from where it is now.
        world.finish();
        world.assert_one_valid();
        let look = world.block(world.rotation().look(&world.cx)).unwrap();
        assert_eq!(look.history.len(), 2);
        assert!(look.history.iter().all(|past| past.completed));
        assert!(look.created.is_some());
    }
}

#[test]
fn cut_off_at_any_step_it_goes_on_and_readers_get_what_works() {
    let mut cut = 0;
    for strategy in STRATEGIES {
        for point in POINTS {
            let world = World::new(strategy);
            fail::cfg(*point, "1*panic(cut)").unwrap();
            let mut was_cut = false;
            for _ in 0..4 {
                match cut_off(|| world.run()) {
                    Err(_) => {
                        was_cut = true;
                        break;
                    }
                    Ok(progress) if progress.as_ref().unwrap().is_complete() => break,
                    Ok(_) => world.manual.advance(Duration::from_secs(3601)),
                }
            }
            fail::remove(*point);
            if !was_cut {
                continue;
            }
            cut += 1;
            // The window of a swap is the only time in which readers get what does not work.
            for store in [0, 1] {
                let window = strategy == Strategy::Swap;
                assert!(
                    world.works(store) || window,
                    "{strategy}, {point}: store {store}"
                );
            }
            world.finish();
            world.assert_one_valid();
        }
    }
    // Plan, pending, verdict, readers (three) and the end are in all strategies.
    assert!(cut >= 4 * 10, "{cut} steps were cut");
}

#[test]
fn cut_off_at_any_step_it_can_be_undone_until_readers_have_the_new_value() {
    for strategy in STRATEGIES {
        for point in &POINTS[..12] {
            let world = World::new(strategy);
            let before = world.value(0);
            fail::cfg(*point, "1*panic(cut)").unwrap();
            let cut = cut_off(|| world.run()).is_err();
            fail::remove(*point);
            if !cut {
                continue;
            }
            let undone = world.block(world.rotation().abort(&Quiet, &world.cx));
            match undone {
                Ok(_) => {}
                // Nothing was kept yet.
                Err(error) => assert_eq!(error.kind(), Kind::NotFound, "{strategy}, {point}"),
            }
            assert_eq!(
                world.value(0).expose(),
                before.expose(),
                "{strategy}, {point}"
            );
            world.assert_one_valid();
        }
    }
}

#[test]
fn undoing_what_was_cut_off_while_it_was_undone() {
    for strategy in STRATEGIES {
        for point in [
            "before it is undone",
            "after it is undone",
            "before the end is kept",
        ] {
            let world = World::new(strategy);
            let before = world.value(0);
            fail::cfg("before readers get it", "1*panic(cut)").unwrap();
            assert!(cut_off(|| world.run()).is_err());
            fail::cfg(point, "1*panic(cut)").unwrap();
            let abort = || world.block(world.rotation().abort(&Quiet, &world.cx));
            assert!(cut_off(abort).is_err());
            // Whoever just goes on undoes it as well.
            let progress = world.run().unwrap();
            assert_eq!(progress.state, State::Aborting);
            assert_eq!(
                world.value(0).expose(),
                before.expose(),
                "{strategy}, {point}"
            );
            world.assert_one_valid();
        }
    }
}

#[test]
fn there_is_only_forward_once_readers_have_the_new_value() {
    let world = World::new(Strategy::Alternate);
    assert_eq!(world.run().unwrap().state, State::Overlap);
    let error = world
        .block(world.rotation().abort(&Quiet, &world.cx))
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    world.finish();
    world.assert_one_valid();
}

#[test]
fn a_lost_reply_costs_nothing() {
    for (strategy, method) in [
        (Strategy::Swap, "apply"),
        (Strategy::Alternate, "apply"),
        (Strategy::Issue, "issue"),
        (Strategy::Alternate, "disable"),
        (Strategy::Issue, "revoke"),
    ] {
        for after in [false, true] {
            let world = World::new(strategy);
            world.fail(method, Kind::Unavailable, after);
            let mut failures = 0;
            for _ in 0..10 {
                match world.run() {
                    Ok(progress) if progress.is_complete() => break,
                    Ok(_) => world.manual.advance(Duration::from_secs(3601)),
                    Err(error) => {
                        assert_eq!(error.kind(), Kind::Unavailable);
                        assert!(strategy == Strategy::Swap || (world.works(0) && world.works(1)));
                        failures += 1;
                    }
                }
            }
            assert!(failures <= 1, "{strategy} {method}");
            world.assert_one_valid();
        }
    }
}

#[test]
fn a_target_that_does_nothing_or_accepts_everything_is_found_out() {
    let world = World::new(Strategy::Swap);
    let before = world.value(0);
    world.model.lazy.store(true, Ordering::SeqCst);
    let error = world.run().unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert_eq!(before.expose(), world.value(0).expose());
    world.assert_one_valid();

    let world = World::new(Strategy::Swap);
    world.model.open.store(true, Ordering::SeqCst);
    let error = world.run().unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert_eq!(
        world.model.applied.load(Ordering::SeqCst),
        0,
        "nothing was changed"
    );
}

#[test]
fn a_value_that_the_target_does_not_like_is_chosen_again_three_times_at_most() {
    let world = World::new(Strategy::Swap);
    for _ in 0..2 {
        world.fail("apply", Kind::Invalid, false);
    }
    world.finish();
    world.assert_one_valid();

    let world = World::new(Strategy::Swap);
    for _ in 0..3 {
        world.fail("apply", Kind::Invalid, false);
    }
    assert_eq!(world.run().unwrap_err().kind(), Kind::Invalid);
    world.assert_one_valid();
}

#[test]
fn what_is_current_already_is_not_applied_again() {
    let world = World::new(Strategy::Swap);
    fail::cfg("after the value is applied", "1*panic(cut)").unwrap();
    assert!(cut_off(|| world.run()).is_err());
    world.finish();
    assert_eq!(world.model.applied.load(Ordering::SeqCst), 1);
}

#[test]
fn a_leaked_value_is_cut_off_at_once() {
    for strategy in [Strategy::Alternate, Strategy::Issue] {
        let world = World::new(strategy);
        let run = world.rotation();
        let progress = world
            .block(run.run(How::Compromised, &Quiet, &world.cx))
            .unwrap();
        assert!(progress.is_complete());
        world.assert_one_valid();
        // Also when it turns out while the old value still overlaps.
        assert_eq!(world.run().unwrap().state, State::Overlap);
        let progress = world
            .block(run.run(How::Compromised, &Quiet, &world.cx))
            .unwrap();
        assert!(progress.is_complete());
        world.assert_one_valid();
    }
}

#[test]
fn somebody_elses_value_that_works_is_left_alone() {
    let world = World::new(Strategy::Alternate);
    fail::cfg("before readers get it", "1*panic(cut)").unwrap();
    assert!(cut_off(|| world.run()).is_err());
    // A person changed the password of `a` by hand, and stored it.
    let theirs = Account::new("a", Secret::new("by-hand"));
    world.block(world.model.apply(&theirs, &world.cx)).unwrap();
    let value = world.form().write(&world.value(0), &theirs).unwrap();
    for store in &world.stores {
        world.put(store, &value);
    }
    assert_eq!(world.run().unwrap_err().kind(), Kind::Conflict);
    assert_eq!(world.value(0).expose(), value.expose());
    world.assert_one_valid();
}

#[test]
fn stores_that_disagree_are_not_rotated() {
    let world = World::new(Strategy::Swap);
    world.put(&world.stores[1], &Secret::new("x"));
    assert_eq!(world.run().unwrap_err().kind(), Kind::Conflict);
    assert_eq!(world.model.applied.load(Ordering::SeqCst), 0);
}

#[test]
fn a_value_that_is_broken_already_is_not_rotated() {
    let world = World::new(Strategy::Swap);
    let theirs = Account::new("a", Secret::new("by-hand"));
    world.block(world.model.apply(&theirs, &world.cx)).unwrap();
    assert_eq!(world.run().unwrap_err().kind(), Kind::Unauthenticated);
    assert_eq!(world.model.applied.load(Ordering::SeqCst), 1);
}

#[test]
fn values_that_nobody_accepts_are_kept_until_somebody_looked() {
    let world = World::new(Strategy::Swap);
    fail::cfg("after the pending value is kept", "1*panic(cut)").unwrap();
    assert!(cut_off(|| world.run()).is_err());
    let other = Account::new("a", Secret::new("by-hand"));
    world.block(world.model.apply(&other, &world.cx)).unwrap();
    let error = world.run().unwrap_err();
    assert_eq!(
        (error.kind(), error.kind().exit_code()),
        (Kind::Conflict, 1)
    );
    let look = world.block(world.rotation().look(&world.cx)).unwrap();
    assert_eq!(look.run.unwrap().state, State::Orphaned);
    // Somebody repairs it.
    let old = Account::new("a", look.values.unwrap().old);
    world.block(world.model.apply(&old, &world.cx)).unwrap();
    world.finish();
    world.assert_one_valid();
}

#[test]
fn a_clock_that_is_put_back_takes_nothing_from_anybody() {
    let world = World::new(Strategy::Alternate);
    assert_eq!(world.run().unwrap().state, State::Overlap);
    // Another process, on a machine whose clock is a day behind.
    let behind = Context::system().with_clock(ManualClock::new().clock());
    let valid = world.model.valid().len();
    let error = world.block(world.rotation().run(How::Planned, &Quiet, &behind));
    match error {
        // Nothing of the test's time has passed yet: then it waits.
        Ok(progress) => assert_eq!(progress.state, State::Overlap),
        Err(error) => assert_eq!(error.kind(), Kind::Unavailable),
    }
    assert_eq!(world.model.valid().len(), valid);
}

/// A log that cannot be written from some step on.
struct Vetoing(&'static str);

impl Observer for Vetoing {
    fn before(&self, step: &Step<'_>) -> Result<()> {
        if step.action.as_str() == self.0 {
            return Err(Error::new(Kind::Unavailable, "the log cannot be written"));
        }
        Ok(())
    }
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    for action in ["plan", "store_pending", "apply", "promote"] {
        let world = World::new(Strategy::Swap);
        let veto = Vetoing(action);
        let run = world.rotation();
        let error = world
            .block(run.run(How::Planned, &veto, &world.cx))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        let applied = world.model.applied.load(Ordering::SeqCst);
        assert_eq!(applied, usize::from(action == "promote"), "{action}");
        world.finish();
        world.assert_one_valid();
    }
}

#[test]
fn a_failed_rotation_says_when_it_is_worth_another_try() {
    let world = World::new(Strategy::Swap);
    let mut last = SystemTime::UNIX_EPOCH;
    for _ in 0..3 {
        world.fail("apply", Kind::Unavailable, false);
        assert!(world.run().is_err());
        let look = world.block(world.rotation().look(&world.cx)).unwrap();
        let run = look.run.unwrap();
        assert_eq!(run.problem.as_deref(), Some("unavailable"));
        let not_before = run.not_before.unwrap();
        assert!(not_before > last);
        last = not_before;
    }
    world.finish();
}

#[test]
fn of_two_rotators_one_stops() {
    let world = World::new(Strategy::Swap);
    let first = world.rotation();
    let second = world.rotation();
    let results = world.block(async {
        tokio::join!(
            first.run(How::Planned, &Quiet, &world.cx),
            second.run(How::Planned, &Quiet, &world.cx)
        )
    });
    let complete = [results.0, results.1].into_iter().flatten().count();
    assert!(complete >= 1);
    world.finish();
    world.assert_one_valid();
}

#[test]
fn a_store_that_fails_is_written_when_it_is_there_again_or_all_are_put_back() {
    for kind in [Kind::Unavailable, Kind::Denied] {
        for undo in [false, true] {
            let world = World::new(Strategy::Alternate);
            let before = world.value(0);
            let second = Odd::new(&world.stores[1]);
            second.failing.lock().unwrap().push(kind);
            let stores: [Arc<dyn Provider>; 2] = [world.stores[0].clone(), second];
            let rotation = world.rotation_of(&stores, world.journal.clone());
            let failed = world.block(rotation.run(How::Planned, &Quiet, &world.cx));
            assert_eq!(failed.unwrap_err().kind(), kind);
            // One has the new value, the other the old one, and both work.
            assert_ne!(world.value(0).expose(), world.value(1).expose());
            assert!(world.works(0) && world.works(1));
            if undo {
                world.block(rotation.abort(&Quiet, &world.cx)).unwrap();
                assert_eq!(world.value(0).expose(), before.expose());
            } else {
                world.finish();
                assert_ne!(world.value(0).expose(), before.expose());
            }
            world.assert_one_valid();
        }
    }
}

#[test]
fn a_target_that_is_down_for_hours_delays_and_costs_nothing() {
    for strategy in [Strategy::Swap, Strategy::Alternate, Strategy::Issue] {
        let world = World::new(strategy);
        // Before it begins, and again after every state that it came to.
        for _ in 0..4 {
            world.fail("probe", Kind::Unavailable, false);
            let failed = world.run().unwrap_err();
            assert_eq!(failed.kind(), Kind::Unavailable, "{strategy}");
            assert!(strategy == Strategy::Swap || (world.works(0) && world.works(1)));
            world.manual.advance(Duration::from_mins(61));
            let done = world.run().unwrap();
            if done.is_complete() {
                break;
            }
            world.manual.advance(Duration::from_mins(61));
        }
        world.model.failing.lock().unwrap().clear();
        world.finish();
        world.assert_one_valid();
    }
}

#[test]
fn a_clock_that_is_put_forward_by_a_year_takes_nothing_from_anybody() {
    let world = World::new(Strategy::Alternate);
    let journal = Odd::new(&world.journal);
    let rotation = world.rotation_of(&world.providers(), journal.clone());
    let run = || world.block(rotation.run(How::Planned, &Quiet, &world.cx));
    assert_eq!(run().unwrap().state, State::Overlap);
    // The store's clock says that it is a minute later.
    let theirs = world.cx.clock().now() + Duration::from_mins(1);
    *journal.time.lock().unwrap() = Some(theirs);
    world.manual.advance(Duration::from_hours(24 * 365));
    assert_eq!(run().unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(world.model.valid().len(), 2);
    // The overlap is over by the store's clock as well.
    *journal.time.lock().unwrap() = Some(theirs + Duration::from_hours(1));
    assert_eq!(run().unwrap().state, State::Soak);
}

#[test]
fn where_the_state_cannot_be_kept_nothing_is_begun() {
    let world = World::new(Strategy::Swap);
    let journal = Odd::new(&world.journal);
    journal
        .failing
        .lock()
        .unwrap()
        .extend([Kind::Unavailable; 3]);
    let rotation = world.rotation_of(&world.providers(), journal);
    let run = world.block(rotation.run(How::Planned, &Quiet, &world.cx));
    assert_eq!(run.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(world.model.applied.load(Ordering::SeqCst), 0);
    // The directory of the journal is a file, as on a disk that was damaged.
    let path = world.directory.path().join("file");
    std::fs::write(&path, "").unwrap();
    let store = Store::new("one".parse().unwrap(), world.stores[0].clone(), place());
    let local = Journal::local(&path, "db_password");
    let name = "db_password".parse().unwrap();
    let rotation = Rotation::new(name, Strategy::Swap, vec![store], local)
        .with_accounts(vec!["a".into()])
        .with_target(world.model.clone());
    let run = world.block(rotation.run(How::Planned, &Quiet, &world.cx));
    assert_eq!(run.unwrap_err().kind(), Kind::Misconfigured);
    assert_eq!(world.model.applied.load(Ordering::SeqCst), 0);
}
