//! Machines that share one access token through a real `OpenBao`: each has its own configuration,
//! its own clock, and its own line to the server.

#![cfg(all(unix, feature = "vault", feature = "oauth2"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use credchain::{Context, Credchain, Environment, Kind, ManualClock, Name, Result};
use credchain_tests::faults::{Behaviour, FakeHttp, Gate, Proxy, Reply};
use credchain_tests::servers::{OpenBao, fresh_secret};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// May do what the documentation says that a machine of a fleet may: nothing but the tokens.
const POLICY: &str =
    "path \"secret/data/fleet/*\" { capabilities = [\"create\", \"read\", \"update\"] }";

/// What the machines have in common.
struct Fleet {
    bao: OpenBao,
    server: FakeHttp,
    key: String,
}

impl Fleet {
    fn new(server: FakeHttp) -> Self {
        let bao = OpenBao::dev();
        bao.policy("fleet", POLICY);
        Self {
            bao,
            server,
            key: fresh_secret("key"),
        }
    }

    fn machine(&self) -> Machine {
        Machine::new(self, &self.key)
    }

    /// The documents that the server keeps.
    fn kept(&self) -> Vec<Value> {
        let list = self
            .bao
            .root("GET", "secret/metadata/fleet?list=true", &Value::Null);
        let names = list["data"]["keys"].as_array().unwrap().clone();
        let read = |name: Value| {
            let path = format!("secret/data/fleet/{}", name.as_str().unwrap());
            self.bao.root("GET", &path, &Value::Null)["data"].clone()
        };
        names.into_iter().map(read).collect()
    }
}

struct Machine {
    /// Its time passes by hand.
    credentials: Credchain,
    in_real_time: Credchain,
    clock: Arc<ManualClock>,
    line: Proxy,
    _directory: tempfile::TempDir,
}

impl Machine {
    fn new(fleet: &Fleet, key: &str) -> Self {
        let line = Proxy::start(SocketAddr::from(([127, 0, 0, 1], fleet.bao.port())));
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("credchain.toml");
        let text = format!(
            "[chain]\ndefault = [\"env\"]\n[credentials.secret]\n[credentials.fleet_key]\n\
             [providers.vault]\naddress = \"http://{}\"\nkv_version = 2\ncache = {{ ttl = \"1h\" }}\n\
             [oauth2.crm]\ntoken_url = \"{}/token\"\nclient_id = \"etl\"\n\
             client_secret = {{ credential = \"secret\" }}\nstore = {{ provider = \"vault\", \
             path = \"fleet\", key = {{ credential = \"fleet_key\" }} }}\n",
            line.address(),
            fleet.server.url(),
        );
        std::fs::write(&config, text).unwrap();
        let token = fleet.bao.token(&["fleet"], "1h", false);
        let secret = fresh_secret("client");
        let environment = Environment::fixed([
            ("VAULT_TOKEN", &*token),
            ("SECRET", &*secret),
            ("FLEET_KEY", key),
            ("HOME", directory.path().to_str().unwrap()),
        ]);
        let clock = ManualClock::new();
        let context = Context::system().with_env(environment);
        let opener = || {
            Credchain::opener()
                .directory(directory.path())
                .config(&config)
        };
        let by_hand = context.clone().with_clock(clock.clock());
        Self {
            in_real_time: opener().context(context).open().unwrap(),
            credentials: opener().context(by_hand).open().unwrap(),
            clock,
            line,
            _directory: directory,
        }
    }

    async fn token(&self) -> Result<String> {
        let secret = self.credentials.get("crm").await?;
        Ok(secret.expose_text().unwrap().to_owned())
    }

    /// The same, with time passing for this machine while it waits: slowly enough for a request
    /// to be answered in its ten seconds.
    async fn token_in_time(&self) -> Result<String> {
        let credentials = self.credentials.clone();
        let task = tokio::spawn(async move { credentials.get("crm").await });
        while !task.is_finished() {
            if self.clock.sleepers() > 0 {
                self.clock.advance(SECOND / 4);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let secret = task.await.unwrap()?;
        Ok(secret.expose_text().unwrap().to_owned())
    }
}

fn token(n: usize) -> String {
    format!("access-{n}")
}

fn granted(n: usize) -> Reply {
    Reply::json(
        200,
        &json!({"access_token": token(n), "token_type": "Bearer", "expires_in": 3600}),
    )
}

/// Grants one token after the other.
fn granting() -> FakeHttp {
    let count = AtomicUsize::new(0);
    FakeHttp::start(move |_| granted(1 + count.fetch_add(1, Ordering::SeqCst)))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_and_all_their_tasks_make_one_request() {
    let fleet = Fleet::new(granting());
    let machines = [Arc::new(fleet.machine()), Arc::new(fleet.machine())];
    let tasks = (0..200).map(|n| {
        let machine = machines[n % 2].clone();
        tokio::spawn(async move { machine.in_real_time.get("crm").await })
    });
    for task in tasks.collect::<Vec<_>>() {
        let got = task.await.unwrap().unwrap();
        assert_eq!(got.expose_text(), Some(&*token(1)));
    }
    let third = fleet.machine().in_real_time.get("crm").await.unwrap();
    assert_eq!(third.expose_text(), Some(&*token(1)));
    assert_eq!(fleet.server.count(), 1);
    let kept = fleet.kept();
    assert_eq!(kept.len(), 1);
    assert!(!kept[0].to_string().contains(&token(1)), "it is encrypted");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_takes_over_from_one_that_is_cut_off_and_its_late_write_is_refused() {
    let gate = Gate::default();
    let held = gate.clone();
    let count = AtomicUsize::new(0);
    let fleet = Fleet::new(FakeHttp::start(move |_| {
        let n = 1 + count.fetch_add(1, Ordering::SeqCst);
        if n == 1 {
            held.pass();
        }
        granted(n)
    }));
    let (holder, other) = (fleet.machine(), fleet.machine());
    let credentials = holder.credentials.clone();
    let late = tokio::spawn(async move { credentials.get("crm").await });
    while fleet.server.count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It has its turn and waits for the answer; from now on nothing it says arrives.
    holder.line.set(Behaviour::Refuse);

    let began = other.clock.clock().monotonic();
    assert_eq!(other.token_in_time().await.unwrap(), token(2));
    let waited = other.clock.clock().monotonic().saturating_sub(began);
    assert!(waited >= 60 * SECOND, "not before the holder's term ended");
    let kept = fleet.kept();

    // Now the answer comes, and the line is back.
    holder.line.set(Behaviour::Pass);
    gate.open();
    let late = late.await.unwrap().unwrap();
    assert_eq!(late.expose_text(), Some(&*token(1)), "good for itself");
    assert_eq!(fleet.kept(), kept, "and nothing was written");
    let third = fleet.machine();
    // For all of them it is later by now.
    third.clock.advance(waited);
    assert_eq!(third.token().await.unwrap(), token(2));
    assert_eq!(fleet.server.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_line_is_cut_goes_on_with_the_token_it_has() {
    let fleet = Fleet::new(granting());
    let machine = fleet.machine();
    assert_eq!(machine.token().await.unwrap(), token(1));
    machine.line.set(Behaviour::Refuse);
    machine.clock.advance(3570 * SECOND);
    assert_eq!(machine.token_in_time().await.unwrap(), token(1));
    machine.clock.advance(60 * SECOND);
    let error = machine.token_in_time().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("store of tokens"), "{error}");
    machine.line.set(Behaviour::Pass);
    machine.clock.advance(60 * SECOND);
    assert_eq!(machine.token_in_time().await.unwrap(), token(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_another_key_writes_over_nothing_and_says_why() {
    let fleet = Fleet::new(granting());
    assert_eq!(fleet.machine().token().await.unwrap(), token(1));
    let stranger = Machine::new(&fleet, &fresh_secret("other"));
    let error = stranger.token().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured);
    assert!(error.to_string().contains("another key"), "{error}");
    let name: Name = "crm".parse().unwrap();
    let source = fleet
        .machine()
        .credentials
        .token_source(&name)
        .unwrap()
        .clone();
    assert!(!format!("{source:?}").contains(&fleet.key));
    assert_eq!(fleet.server.count(), 1);
}
