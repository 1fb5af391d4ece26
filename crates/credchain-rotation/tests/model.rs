//! Every step of every strategy is cut off, before and after its effect; whoever comes next finds
//! its way, and readers never get a value that does not work.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credchain_core::{
    Abilities, Account, Context, Description, Error, Issued, Kind, ManualClock, Memory, Name,
    Provider, Reference, Result, Secret, SetOptions, Target, Verdict, Version, async_trait,
    delegate_provider,
};
use credchain_rotation::{
    Form, How, Journal, Observer, Progress, Quiet, Rotation, State, Step, Store, Strategy,
};

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

/// What a system that accepts credentials is, without the system.
#[derive(Debug, Default)]
struct Model {
    accounts: Mutex<BTreeMap<String, Entry>>,
    issuing: bool,
    /// Names of methods that fail next, and with what.
    failing: Mutex<Vec<(&'static str, Kind, bool)>>,
    /// Says that it did, and does nothing.
    lazy: AtomicBool,
    /// Accepts whatever comes.
    open: AtomicBool,
    applied: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Entry {
    secret: Option<Vec<u8>>,
    enabled: bool,
    tag: Option<String>,
}

impl Model {
    /// Fails if that was asked for: before the effect, or after it.
    fn fails(&self, method: &'static str, after: bool) -> Result<()> {
        let mut failing = self.failing.lock().unwrap();
        match failing
            .iter()
            .position(|it| it.0 == method && it.2 == after)
        {
            Some(at) => Err(Error::new(failing.remove(at).1, "as asked")),
            None => Ok(()),
        }
    }

    fn valid(&self) -> Vec<String> {
        let accounts = self.accounts.lock().unwrap();
        let valid = accounts
            .iter()
            .filter(|(_, it)| it.enabled && it.secret.is_some());
        valid.map(|(id, _)| id.clone()).collect()
    }
}

#[async_trait]
impl Target for Model {
    fn abilities(&self) -> Abilities {
        let abilities = if self.issuing {
            Abilities::issuing().limited(2)
        } else {
            Abilities::accepting()
        };
        abilities.disabling()
    }

    async fn probe(&self, account: &Account, _: &Context) -> Result<Verdict> {
        self.fails("probe", false)?;
        if self.open.load(Ordering::SeqCst) {
            return Ok(Verdict::Accepted);
        }
        let accounts = self.accounts.lock().unwrap();
        let accepted = accounts
            .get(&account.id)
            .is_some_and(|it| it.enabled && it.secret.as_deref() == Some(account.secret.expose()));
        Ok(if accepted {
            Verdict::Accepted
        } else {
            Verdict::Refused
        })
    }

    async fn apply(&self, account: &Account, _: &Context) -> Result<()> {
        self.fails("apply", false)?;
        self.applied.fetch_add(1, Ordering::SeqCst);
        if !self.lazy.load(Ordering::SeqCst) {
            let entry = Entry {
                secret: Some(account.secret.expose().to_vec()),
                enabled: true,
                tag: None,
            };
            self.accounts
                .lock()
                .unwrap()
                .insert(account.id.clone(), entry);
        }
        self.fails("apply", true)
    }

    async fn issue(&self, tag: &str, _: &Context) -> Result<Account> {
        self.fails("issue", false)?;
        let mut accounts = self.accounts.lock().unwrap();
        assert!(accounts.len() < 2, "the third key");
        let id = format!("key-{}", self.applied.fetch_add(1, Ordering::SeqCst));
        let secret = Secret::new(format!("issued-{id}"));
        let entry = Entry {
            secret: Some(secret.expose().to_vec()),
            enabled: true,
            tag: Some(tag.to_owned()),
        };
        accounts.insert(id.clone(), entry);
        drop(accounts);
        self.fails("issue", true)?;
        Ok(Account::new(id, secret))
    }

    async fn issued(&self, _: &Context) -> Result<Vec<Issued>> {
        let accounts = self.accounts.lock().unwrap();
        let issued = accounts.iter().map(|(id, entry)| {
            let mut issued = Issued::new(id);
            issued.enabled = entry.enabled;
            issued.tag.clone_from(&entry.tag);
            issued
        });
        Ok(issued.collect())
    }

    async fn disable(&self, id: &str, _: &Context) -> Result<()> {
        self.fails("disable", false)?;
        if let Some(entry) = self.accounts.lock().unwrap().get_mut(id) {
            entry.enabled = false;
        }
        self.fails("disable", true)
    }

    async fn revoke(&self, id: &str, _: &Context) -> Result<()> {
        self.fails("revoke", false)?;
        let mut accounts = self.accounts.lock().unwrap();
        if self.issuing {
            accounts.remove(id);
        } else if let Some(entry) = accounts.get_mut(id) {
            entry.secret = None;
        }
        drop(accounts);
        self.fails("revoke", true)
    }
}

/// A credential, its stores and its target, in a world whose time passes quickly.
struct World {
    strategy: Strategy,
    model: Arc<Model>,
    stores: Vec<Arc<Memory>>,
    journal: Arc<Memory>,
    directory: tempfile::TempDir,
    manual: Arc<ManualClock>,
    cx: Context,
    stop: Arc<AtomicBool>,
}

/// A store that fails to be written, or has a clock of its own.
#[derive(Debug)]
struct Odd {
    store: Arc<Memory>,
    /// What the next writes fail with.
    failing: Mutex<Vec<Kind>>,
    /// What it says the time is.
    time: Mutex<Option<SystemTime>>,
}

impl Odd {
    fn new(store: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            failing: Mutex::default(),
            time: Mutex::default(),
        })
    }
}

delegate_provider! {
    impl Provider for Odd, through |this| this.store, overrides [set describe] {
        async fn set(
            &self,
            reference: &Reference,
            value: &Secret,
            options: &SetOptions,
            cx: &Context,
        ) -> Result<Version> {
            let failure = self.failing.lock().unwrap().pop();
            match failure {
                Some(kind) => Err(Error::new(kind, "as asked")),
                None => self.store.set(reference, value, options, cx).await,
            }
        }

        async fn describe(&self, reference: &Reference, cx: &Context) -> Result<Description> {
            let mut described = self.store.describe(reference, cx).await?;
            described.created = *self.time.lock().unwrap();
            Ok(described)
        }
    }
}

fn place() -> Reference {
    "db".parse().unwrap()
}

impl World {
    fn new(strategy: Strategy) -> Self {
        let model = Model {
            issuing: strategy == Strategy::Issue,
            ..Model::default()
        };
        let first = Secret::new("first-value-of-all");
        let entry = |secret: Option<&Secret>| Entry {
            secret: secret.map(|it| it.expose().to_vec()),
            enabled: true,
            tag: None,
        };
        model
            .accounts
            .lock()
            .unwrap()
            .insert("a".into(), entry(Some(&first)));
        let value = match strategy {
            Strategy::Alternate => format!(r#"{{"u":"a","p":"{}"}}"#, first.expose_text().unwrap()),
            _ => first.expose_text().unwrap().to_owned(),
        };
        let stores = [0, 1]
            .map(|_| Arc::new(Memory::new().with("db", value.as_bytes())))
            .to_vec();
        let manual = ManualClock::new();
        let stop = Arc::new(AtomicBool::new(false));
        let (clock, stopped) = (manual.clone(), stop.clone());
        // Whoever waits does not wait long.
        std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                if clock.sleepers() > 0 {
                    clock.advance(Duration::from_millis(500));
                }
                std::thread::yield_now();
            }
        });
        Self {
            strategy,
            model: Arc::new(model),
            stores,
            journal: Arc::new(Memory::new()),
            directory: tempfile::tempdir().unwrap(),
            cx: Context::system().with_clock(manual.clock()),
            manual,
            stop,
        }
    }

    /// As another process would set it up.
    fn rotation(&self) -> Rotation {
        self.rotation_of(&self.providers(), self.journal.clone())
    }

    fn providers(&self) -> Vec<Arc<dyn Provider>> {
        self.stores.iter().map(|store| store.clone() as _).collect()
    }

    fn rotation_of(&self, stores: &[Arc<dyn Provider>], journal: Arc<dyn Provider>) -> Rotation {
        let name: Name = "db_password".parse().unwrap();
        let stores = stores
            .iter()
            .zip(["one", "two"])
            .map(|(store, link)| Store::new(link.parse().unwrap(), store.clone(), place()));
        let journal = Journal::beside(
            journal,
            "db.state".parse().unwrap(),
            self.directory.path().join("locks"),
        );
        let rotation = Rotation::new(name, self.strategy, stores.collect(), journal)
            .with_overlap(Duration::from_hours(1))
            .with_soak(Duration::from_hours(1));
        let rotation = match self.strategy {
            Strategy::Swap => rotation.with_accounts(vec!["a".into()]),
            Strategy::Alternate => rotation
                .with_accounts(vec!["a".into(), "b".into()])
                .with_form(Form::Json {
                    account: "u".into(),
                    secret: "p".into(),
                }),
            _ => rotation,
        };
        match self.strategy {
            Strategy::Versioned => rotation,
            _ => rotation.with_target(self.model.clone()),
        }
    }

    fn block<T>(&self, work: impl Future<Output = T>) -> T {
        let _ = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    fn run(&self) -> Result<Progress> {
        self.block(self.rotation().run(How::Planned, &Quiet, &self.cx))
    }

    /// Goes on, letting time pass, until it is over.
    fn finish(&self) -> Progress {
        for _ in 0..10 {
            let progress = self.run().unwrap();
            if progress.is_complete() {
                return progress;
            }
            self.manual.advance(Duration::from_secs(3601));
        }
        panic!("it does not end");
    }

    fn value(&self, store: usize) -> Secret {
        self.block(self.stores[store].get(&place(), &self.cx))
            .unwrap()
    }

    /// What a person does by hand.
    fn put(&self, store: &Memory, value: &Secret) {
        let work = async {
            let options = SetOptions::default();
            store.set(&place(), value, &options, &self.cx).await
        };
        self.block(work).unwrap();
    }

    /// Whether what readers of a store get is accepted.
    fn works(&self, store: usize) -> bool {
        if self.strategy == Strategy::Versioned {
            return true;
        }
        let value = self.value(store);
        let account = match self.strategy {
            Strategy::Alternate => self.form().read(&value, None).unwrap(),
            Strategy::Issue => {
                let accounts = self.model.accounts.lock().unwrap();
                return accounts
                    .values()
                    .any(|it| it.enabled && it.secret.as_deref() == Some(value.expose()));
            }
            _ => Account::new("a", value),
        };
        self.block(self.model.probe(&account, &self.cx)).unwrap() == Verdict::Accepted
    }

    fn form(&self) -> Form {
        let _ = self;
        Form::Json {
            account: "u".into(),
            secret: "p".into(),
        }
    }

    /// The end: both stores agree, what they hold works, and nothing else does.
    fn assert_one_valid(&self) {
        assert_eq!(self.value(0).expose(), self.value(1).expose());
        assert!(self.works(0) && self.works(1));
        if self.strategy != Strategy::Versioned {
            assert_eq!(self.model.valid().len(), 1, "{:?}", self.model.valid());
        }
        let look = self.block(self.rotation().look(&self.cx)).unwrap();
        assert!(look.run.is_none() && look.holder.is_none());
    }

    fn fail(&self, method: &'static str, kind: Kind, after: bool) {
        self.model
            .failing
            .lock()
            .unwrap()
            .push((method, kind, after));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

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
