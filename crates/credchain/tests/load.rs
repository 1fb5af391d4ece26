//! A derived struct is loaded through a real configuration.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use credchain::{
    Capabilities, Context, Credchain, Credentials, Environment, Error, Kind, Provider, Reference,
    Registration, Result, Secret, SecretText, async_trait, register_provider,
};

#[derive(credchain_derive::Credentials)]
struct Service {
    /// billing API
    api_key: SecretText,
    webhook_secret: Option<Secret>,
    #[credential(nested, prefix = "db_")]
    database: Database,
}

#[derive(credchain_derive::Credentials)]
struct Database {
    password: SecretText,
    #[credential(secret = false, default = 5432)]
    port: u16,
}

/// Counts how it is asked. Tests run in one process, so each asks for names of its own.
#[derive(Debug)]
struct Counting;

static BATCHES: Mutex<Vec<Vec<String>>> = Mutex::new(Vec::new());
static SINGLES: AtomicUsize = AtomicUsize::new(0);

#[async_trait]
impl Provider for Counting {
    fn capabilities(&self) -> Capabilities {
        Capabilities::read_only().batched()
    }

    async fn get(&self, reference: &Reference, _: &Context) -> Result<Secret> {
        SINGLES.fetch_add(1, Ordering::SeqCst);
        answer(reference)
    }

    async fn get_many(&self, references: &[Reference], _: &Context) -> Vec<Result<Secret>> {
        let paths = references
            .iter()
            .map(|reference| reference.path().to_owned())
            .collect();
        BATCHES
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(paths);
        references.iter().map(answer).collect()
    }
}

fn answer(reference: &Reference) -> Result<Secret> {
    match reference.path() {
        "api_key" => Ok(Secret::new("canary-key")),
        "db_password" => Ok(Secret::new("canary-db")),
        _ => Err(Error::not_found()),
    }
}

register_provider!(Registration::new(
    "counting",
    "counts how it is asked",
    Capabilities::read_only().batched(),
    |_| Ok(Arc::new(Counting)),
));

fn open(directory: &Path, config: &str, env: &[(&str, &str)]) -> Credchain {
    let file = directory.join("credchain.toml");
    std::fs::write(&file, config).unwrap();
    Credchain::opener()
        .directory(directory)
        .config(file)
        .context(Context::system().with_env(Environment::fixed(env.iter().copied())))
        .open()
        .unwrap()
}

#[tokio::test]
async fn nested_structs_are_resolved_in_one_batch() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[chain]\ndefault = [\"counting\"]\n[providers.counting]\n";
    let credentials = open(directory.path(), config, &[]);
    let service = Service::load_from(&credentials).await.unwrap();
    assert_eq!(service.api_key.expose(), "canary-key");
    assert_eq!(service.database.password.expose(), "canary-db");
    assert_eq!(service.database.port, 5432);
    assert!(service.webhook_secret.is_none());
    let mut batches = BATCHES.lock().unwrap().clone();
    assert_eq!((batches.len(), SINGLES.load(Ordering::SeqCst)), (1, 0));
    batches[0].sort();
    assert_eq!(
        batches[0],
        ["api_key", "db_password", "db_port", "webhook_secret"]
    );
}

#[tokio::test]
async fn the_error_names_the_variable_that_the_configuration_chose() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[chain]\ndefault = [\"env\"]\n[credentials.api_key]\nenv = \"STRIPE_KEY\"\n\
                  [credentials.db_password]\n";
    let credentials = open(
        directory.path(),
        config,
        &[("DB_PASSWORD", ""), ("DB_PORT", "canary")],
    );
    let error = Service::load_from(&credentials).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let told = error.to_string();
    let lines: Vec<_> = told.lines().map(str::trim).collect();
    assert_eq!(lines[0], "3 credentials are missing or unusable");
    assert_eq!(
        lines[1],
        "missing credential `api_key` (billing API): set STRIPE_KEY, or run `resolve set api_key`"
    );
    assert!(
        lines[2].starts_with("missing credential `db_password`, "),
        "{told}"
    );
    assert!(lines[2].contains("set but empty"), "{told}");
    assert!(
        lines[3].contains("`db_port`: the value at `env` is not a valid `u16`"),
        "{told}"
    );
    assert!(!told.contains("canary") && !format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn loading_works_on_a_task_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let env = [("API_KEY", "k"), ("DB_PASSWORD", "p")];
    let credentials = open(directory.path(), "[chain]\ndefault = [\"env\"]\n", &env);
    let task = tokio::spawn(async move { Service::load_from(&credentials).await });
    assert_eq!(task.await.unwrap().unwrap().api_key.expose(), "k");
}
