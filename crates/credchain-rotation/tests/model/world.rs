//! A system that accepts credentials, without the system, and the world around it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use credchain_core::{
    Abilities, Account, Context, Description, Error, Issued, Kind, ManualClock, Memory, Name,
    Provider, Reference, Result, Secret, SetOptions, Target, Verdict, Version, async_trait,
    delegate_provider,
};
use credchain_rotation::{Form, How, Journal, Progress, Quiet, Rotation, Store, Strategy};

/// What a system that accepts credentials is, without the system.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) accounts: Mutex<BTreeMap<String, Entry>>,
    pub(crate) issuing: bool,
    /// Names of methods that fail next, and with what.
    pub(crate) failing: Mutex<Vec<(&'static str, Kind, bool)>>,
    /// Says that it did, and does nothing.
    pub(crate) lazy: AtomicBool,
    /// Accepts whatever comes.
    pub(crate) open: AtomicBool,
    pub(crate) applied: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) enabled: bool,
    pub(crate) tag: Option<String>,
}

impl Model {
    /// Fails if that was asked for: before the effect, or after it.
    pub(crate) fn fails(&self, method: &'static str, after: bool) -> Result<()> {
        let mut failing = self.failing.lock().unwrap();
        match failing
            .iter()
            .position(|it| it.0 == method && it.2 == after)
        {
            Some(at) => Err(Error::new(failing.remove(at).1, "as asked")),
            None => Ok(()),
        }
    }

    pub(crate) fn valid(&self) -> Vec<String> {
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
pub(crate) struct World {
    pub(crate) strategy: Strategy,
    pub(crate) model: Arc<Model>,
    pub(crate) stores: Vec<Arc<Memory>>,
    pub(crate) journal: Arc<Memory>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) manual: Arc<ManualClock>,
    pub(crate) cx: Context,
    pub(crate) stop: Arc<AtomicBool>,
}

/// A store that fails to be written, or has a clock of its own.
#[derive(Debug)]
pub(crate) struct Odd {
    pub(crate) store: Arc<Memory>,
    /// What the next writes fail with.
    pub(crate) failing: Mutex<Vec<Kind>>,
    /// What it says the time is.
    pub(crate) time: Mutex<Option<SystemTime>>,
}

impl Odd {
    pub(crate) fn new(store: &Arc<Memory>) -> Arc<Self> {
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

pub(crate) fn place() -> Reference {
    "db".parse().unwrap()
}

impl World {
    pub(crate) fn new(strategy: Strategy) -> Self {
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
    pub(crate) fn rotation(&self) -> Rotation {
        self.rotation_of(&self.providers(), self.journal.clone())
    }

    pub(crate) fn providers(&self) -> Vec<Arc<dyn Provider>> {
        self.stores.iter().map(|store| store.clone() as _).collect()
    }

    pub(crate) fn rotation_of(
        &self,
        stores: &[Arc<dyn Provider>],
        journal: Arc<dyn Provider>,
    ) -> Rotation {
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

    pub(crate) fn block<T>(&self, work: impl Future<Output = T>) -> T {
        let _ = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    pub(crate) fn run(&self) -> Result<Progress> {
        self.block(self.rotation().run(How::Planned, &Quiet, &self.cx))
    }

    /// Goes on, letting time pass, until it is over.
    pub(crate) fn finish(&self) -> Progress {
        for _ in 0..10 {
            let progress = self.run().unwrap();
            if progress.is_complete() {
                return progress;
            }
            self.manual.advance(Duration::from_secs(3601));
        }
        panic!("it does not end");
    }

    pub(crate) fn value(&self, store: usize) -> Secret {
        self.block(self.stores[store].get(&place(), &self.cx))
            .unwrap()
    }

    /// What a person does by hand.
    pub(crate) fn put(&self, store: &Memory, value: &Secret) {
        let work = async {
            let options = SetOptions::default();
            store.set(&place(), value, &options, &self.cx).await
        };
        self.block(work).unwrap();
    }

    /// Whether what readers of a store get is accepted.
    pub(crate) fn works(&self, store: usize) -> bool {
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

    pub(crate) fn form(&self) -> Form {
        let _ = self;
        Form::Json {
            account: "u".into(),
            secret: "p".into(),
        }
    }

    /// The end: both stores agree, what they hold works, and nothing else does.
    pub(crate) fn assert_one_valid(&self) {
        assert_eq!(self.value(0).expose(), self.value(1).expose());
        assert!(self.works(0) && self.works(1));
        if self.strategy != Strategy::Versioned {
            assert_eq!(self.model.valid().len(), 1, "{:?}", self.model.valid());
        }
        let look = self.block(self.rotation().look(&self.cx)).unwrap();
        assert!(look.run.is_none() && look.holder.is_none());
    }

    pub(crate) fn fail(&self, method: &'static str, kind: Kind, after: bool) {
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
