//! What a program with a cache lives through when its Vault does: stopped, sealed, denied, back.

#![cfg(all(unix, feature = "vault"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use credchain::{Context, Credchain, Environment, Kind, ManualClock, Result, Secret};
use credchain_tests::servers::{OpenBao, fresh_secret};
use serde_json::json;

const MINUTE: Duration = Duration::from_mins(1);

const CACHE: &str = "cache = { ttl = \"5m\", hard_ttl = \"10m\", max_stale = \"1h\" }";

const READER: &str = "path \"secret/*\" { capabilities = [\"read\"] }";

/// A program whose one far link is this server, with a token that may only read.
struct Program {
    credentials: Arc<Credchain>,
    clock: Arc<ManualClock>,
    value: String,
    _directory: tempfile::TempDir,
}

impl Program {
    fn start(bao: &OpenBao) -> Self {
        let value = fresh_secret("value");
        let document = json!({"data": {"api_key": value}});
        bao.root("POST", "secret/data/demo/default", &document);
        bao.policy("reader", READER);
        let token = bao.token(&["reader"], "24h", true);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credchain.toml");
        let config = format!(
            "[project]\nname = \"demo\"\n[chain]\ndefault = [\"vault\"]\n[credentials.api_key]\n\
             [providers.vault]\naddress = \"{}\"\nca = \"{}\"\n{CACHE}\n\
             kv_version = 2\nretry = {{ attempts = 1 }}\n",
            bao.url(),
            bao.ca().display()
        );
        std::fs::write(&file, config).unwrap();
        let clock = ManualClock::new();
        let environment = Environment::fixed([("VAULT_TOKEN", token.as_str())]);
        let context = Context::system()
            .with_env(environment)
            .with_clock(clock.clock());
        let opener = Credchain::opener().directory(directory.path()).config(file);
        Self {
            credentials: Arc::new(opener.context(context).open().unwrap()),
            clock,
            value,
            _directory: directory,
        }
    }

    async fn read(&self) -> Result<Secret> {
        self.credentials.get("api_key").await
    }

    /// Reads what was written, and says whether it is stale.
    async fn reads_it(&self) -> bool {
        let secret = self.read().await.unwrap();
        assert_eq!(secret.expose(), self.value.as_bytes());
        secret.meta().stale.is_some()
    }

    async fn fails_with(&self) -> Kind {
        self.read().await.unwrap_err().kind()
    }
}

#[tokio::test]
async fn a_stopped_server_is_bridged_for_max_stale_and_found_again_without_a_restart() {
    let mut bao = OpenBao::with_tls();
    let program = Program::start(&bao);
    assert!(!program.reads_it().await);
    bao.stop();
    program.clock.advance(4 * MINUTE);
    assert!(!program.reads_it().await, "it is fresh");
    program.clock.advance(10 * MINUTE);
    assert!(program.reads_it().await, "it is stale, and says so");
    program.clock.advance(45 * MINUTE);
    assert!(program.reads_it().await);
    program.clock.advance(2 * MINUTE);
    assert_eq!(program.fails_with().await, Kind::Unavailable);
    bao.restart();
    assert_eq!(
        program.fails_with().await,
        Kind::Unavailable,
        "it is sealed"
    );
    bao.unseal();
    assert!(!program.reads_it().await);
}

#[tokio::test]
async fn a_sealed_server_is_an_outage_too() {
    let bao = OpenBao::with_tls();
    let program = Program::start(&bao);
    assert!(!program.reads_it().await);
    bao.seal();
    program.clock.advance(20 * MINUTE);
    assert!(program.reads_it().await);
    program.clock.advance(60 * MINUTE);
    let error = program.read().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("sealed"), "{error}");
    bao.unseal();
    assert!(!program.reads_it().await);
}

#[tokio::test]
async fn a_denial_empties_the_cache() {
    let mut bao = OpenBao::with_tls();
    let program = Program::start(&bao);
    assert!(!program.reads_it().await);
    bao.policy("reader", "path \"none\" { capabilities = [\"read\"] }");
    program.clock.advance(20 * MINUTE);
    assert_eq!(program.fails_with().await, Kind::Denied);
    let name = "api_key".parse().unwrap();
    assert!(program.credentials.resolver().cached(&name).is_none());
    bao.stop();
    let kind = program.fails_with().await;
    assert_eq!(kind, Kind::Unavailable, "nothing is left to serve");
    bao.restart();
    bao.unseal();
    bao.policy("reader", READER);
    assert!(!program.reads_it().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_readers_of_an_expired_value_are_one_request() {
    let bao = OpenBao::with_tls();
    let program = Arc::new(Program::start(&bao));
    assert!(!program.reads_it().await);
    let before = bao.count("secret/data/demo/default");
    program.clock.advance(20 * MINUTE);
    let readers = (0..1000).map(|_| {
        let program = program.clone();
        tokio::spawn(async move { program.reads_it().await })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert!(!reader.await.unwrap());
    }
    assert_eq!(bao.count("secret/data/demo/default") - before, 1);
}

#[tokio::test]
async fn a_change_is_seen_within_one_ttl() {
    let bao = OpenBao::with_tls();
    let program = Program::start(&bao);
    assert!(!program.reads_it().await);
    let document = json!({"data": {"api_key": "changed"}});
    bao.root("POST", "secret/data/demo/default", &document);
    let before = bao.count("secret/data/demo/default");
    program.clock.advance(6 * MINUTE);
    assert!(!program.reads_it().await, "served while it is fetched anew");
    // The fetch in the background is a task of this runtime.
    for _ in 0..1000 {
        if bao.count("secret/data/demo/default") > before
            && program.read().await.unwrap().expose() == b"changed"
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the change is never seen");
}
