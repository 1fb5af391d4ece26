//! Machines that share a token: here two sources, each with a clock of its own, and a provider that
//! compares before it sets. The real one is `OpenBao`, in the end-to-end tests.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use credchain_core::{
    Capabilities, Context, CredentialSource, Error, Kind, ManualClock, Memory, Provider, Reference,
    Result, Secret, SetOptions, Version, async_trait,
};
use credchain_oauth2::{Client, Grant, Sealing, Store, TokenSource};
use credchain_tests::faults::{FakeHttp, Gate, Reply};
use serde_json::json;

use crate::support::{
    Credentials, access_token, client, client_secret, field, granted, granting, name, text,
};

const SECOND: Duration = Duration::from_secs(1);

/// A store over a line that can be cut.
#[derive(Debug, Default)]
struct Line {
    memory: Memory,
    is_cut: AtomicBool,
}

impl Line {
    fn check(&self) -> Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(Error::new(Kind::Unavailable, "the line is cut"));
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Line {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        self.check()?;
        self.memory.get(reference, cx).await
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        self.check()?;
        self.memory.set(reference, value, options, cx).await
    }
}

fn fleet_credentials(key: &str) -> Arc<dyn CredentialSource> {
    Credentials::default()
        .with("client_secret", client_secret())
        .with("login", "first-refresh")
        .with("fleet_key", format!("{key}, long enough for a key"))
        .shared()
}

/// A machine: its own source, clock and line.
struct Machine {
    source: TokenSource,
    clock: Arc<ManualClock>,
    line: Arc<Line>,
}

impl Machine {
    fn new(client: &Client, line: &Arc<Line>) -> Self {
        Self::with_key(client, line, "one")
    }

    fn with_key(client: &Client, line: &Arc<Line>, key: &str) -> Self {
        let credentials = fleet_credentials(key);
        let sealing = Sealing::credential(name("fleet_key"), credentials.clone());
        let store = Store::shared(line.clone(), "oauth2", sealing).unwrap();
        Self {
            source: TokenSource::new(client.clone(), credentials, store).unwrap(),
            clock: ManualClock::new(),
            line: line.clone(),
        }
    }

    fn context(&self) -> Context {
        Context::system()
            .with_clock(self.clock.clock())
            .with_jitter(0.0)
    }

    async fn token(&self) -> Result<String> {
        self.source
            .token(&self.context())
            .await
            .map(|token| text(&token))
    }

    /// The same, with time passing whenever somebody waits for that.
    async fn token_in_time(&self) -> Result<String> {
        let source = self.source.clone();
        let cx = self.context();
        let task = tokio::spawn(async move { source.token(&cx).await.map(|token| text(&token)) });
        while !task.is_finished() {
            if self.clock.sleepers() > 0 {
                self.clock.advance(SECOND);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        task.await.unwrap()
    }
}

fn holding(gate: &Gate) -> FakeHttp {
    let (gate, count) = (gate.clone(), AtomicUsize::new(0));
    FakeHttp::start(move |_| {
        let n = 1 + count.fetch_add(1, Ordering::SeqCst);
        if n == 1 {
            gate.pass();
        }
        Reply::json(200, &granted(n, 3600))
    })
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_want_a_token_at_the_same_time_make_one_request() {
    let server = granting(3600);
    let line = Arc::new(Line::default());
    let client = client(&server.url());
    let machines: Vec<_> = (0..5)
        .map(|_| Arc::new(Machine::new(&client, &line)))
        .collect();
    let tasks = (0..500).map(|n| {
        let machine = machines[n % 5].clone();
        tokio::spawn(async move {
            // Here time really passes: who waits for another machine looks again.
            let cx = Context::system();
            text(&machine.source.token(&cx).await.unwrap())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), access_token(1));
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_takes_over_and_the_late_one_writes_nothing() {
    let gate = Gate::default();
    let server = holding(&gate);
    let line = Arc::new(Line::default());
    let client = client(&server.url());
    let (first, second) = (Machine::new(&client, &line), Machine::new(&client, &line));
    let (source, cx) = (first.source.clone(), first.context());
    let late = tokio::spawn(async move { text(&source.token(&cx).await.unwrap()) });
    until(|| server.count() == 1).await;
    let began = second.clock.clock().monotonic();

    assert_eq!(second.token_in_time().await.unwrap(), access_token(2));
    let waited = second.clock.clock().monotonic();
    let waited = waited.saturating_sub(began);
    gate.open();
    // Its token is good, and for itself alone.
    assert_eq!(late.await.unwrap(), access_token(1));
    let third = Machine::new(&client, &line);
    assert_eq!(third.token().await.unwrap(), access_token(2));
    assert_eq!(server.count(), 2);
    assert!(waited >= SECOND * 60, "not before a term had passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_another_machine_may_have_used_up_is_not_sent_again() {
    let gate = Gate::default();
    let server = {
        let gate = gate.clone();
        FakeHttp::start(move |request| {
            assert_eq!(field(request, "refresh_token").unwrap(), "first-refresh");
            gate.pass();
            let mut answer = granted(1, 3600);
            answer["refresh_token"] = json!("second-refresh");
            Reply::json(200, &answer)
        })
    };
    let line = Arc::new(Line::default());
    let client = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let (first, second) = (Machine::new(&client, &line), Machine::new(&client, &line));
    let (source, cx) = (first.source.clone(), first.context());
    let late = tokio::spawn(async move { text(&source.token(&cx).await.unwrap()) });
    until(|| server.count() == 1).await;

    let error = second.token_in_time().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    gate.open();
    assert_eq!(late.await.unwrap(), access_token(1));
    // The second machine had no result that this one's would have written over.
    let third = Machine::new(&client, &line);
    assert_eq!(third.token().await.unwrap(), access_token(1));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn while_the_store_cannot_be_reached_a_token_at_hand_is_given_out() {
    let server = granting(3600);
    let line = Arc::new(Line::default());
    let machine = Machine::new(&client(&server.url()), &line);
    assert_eq!(machine.token().await.unwrap(), access_token(1));
    line.is_cut.store(true, Ordering::SeqCst);
    machine.clock.advance(SECOND * 3570);
    assert_eq!(machine.token().await.unwrap(), access_token(1));
    machine.clock.advance(SECOND * 60);
    assert_eq!(machine.token().await.unwrap_err().kind(), Kind::Unavailable);
    machine.line.is_cut.store(false, Ordering::SeqCst);
    machine.clock.advance(SECOND * 60);
    assert_eq!(machine.token().await.unwrap(), access_token(2));
}

#[tokio::test]
async fn what_others_keep_is_not_written_over() {
    let server = granting(3600);
    let client = client(&server.url());
    let line = Arc::new(Line::default());
    let machine = Machine::new(&client, &line);
    machine.token().await.unwrap();
    let stranger = Machine::with_key(&client, &line, "two");
    let error = stranger.token().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("another key"), "{error}");
    assert_eq!(
        Machine::new(&client, &line).token().await.unwrap(),
        access_token(1)
    );
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn neither_a_token_nor_the_secret_is_in_the_store_in_clear() {
    let server = granting(3600);
    let line = Arc::new(Line::default());
    let machine = Machine::new(&client(&server.url()), &line);
    let token = machine.token().await.unwrap();
    let cx = Context::system();
    for listed in line.memory.list(None, &cx).await.unwrap() {
        let kept = line.memory.get(&listed.reference, &cx).await.unwrap();
        let kept = String::from_utf8(kept.expose().to_vec()).unwrap();
        assert!(kept.contains("credchain_oauth2"));
        assert!(
            !kept.contains(&token) && !kept.contains(&client_secret()),
            "{kept}"
        );
    }
    assert!(!format!("{:?}", machine.source).contains(&token));
}

#[tokio::test]
async fn giving_a_token_up_lets_the_next_machine_ask() {
    let server = granting(3600);
    let line = Arc::new(Line::default());
    let client = client(&server.url());
    let machine = Machine::new(&client, &line);
    machine.token().await.unwrap();
    machine.source.log_out(&machine.context()).await.unwrap();
    let other = Machine::new(&client, &line);
    assert_eq!(other.token().await.unwrap(), access_token(2));
}

#[tokio::test]
async fn a_provider_that_does_not_compare_is_no_store() {
    let plain = Memory::new().with_capabilities(Capabilities::read_only().writable());
    let sealing = Sealing::credential(name("fleet_key"), fleet_credentials("one"));
    let error = Store::shared(Arc::new(plain), "oauth2", sealing).unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
}
