//! A program that rotates is killed at every step, and another one goes on, while clients log in
//! with what the chain gives them. What came of it is the table `rotation_killed.tsv`, which the
//! documentation shows; `CREDCHAIN_UPDATE_KILLED=1` writes it anew.

#![cfg(all(unix, feature = "vault", feature = "rotation-targets"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use credchain::rotate::target::{Setup, build};
use credchain::rotate::{Form, How, Progress, Quiet};
use credchain::{
    Account, Clock, Context, Credchain, Environment, Kind, LinkName, Name, Result, Secret,
    SetOptions, Settings, Target, Verb, Verdict,
};
use credchain_tests::servers::{OpenBao, Postgres, fresh_secret};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::json;

const DIRECTORY: &str = "TEST_DIRECTORY";
const STEP: &str = "TEST_STEP";
const NAME: &str = "TEST_NAME";
const UPDATE: &str = "CREDCHAIN_UPDATE_KILLED";
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rotation_killed.tsv");

/// How long an old value overlaps: clients that hold one for longer break the contract.
const OVERLAP: Duration = Duration::from_secs(1);

/// The steps in their order, with how often the place is passed before it counts.
const STEPS: &[(&str, &str)] = &[
    ("before the plan is kept", "before the plan is kept"),
    ("when the plan is kept", "after the plan is kept"),
    ("before a key is issued", "before a key is issued"),
    (
        "when a key is issued, and nobody knows it",
        "after a key is issued",
    ),
    (
        "before the new value is kept",
        "before the pending value is kept",
    ),
    (
        "when the new value is kept",
        "after the pending value is kept",
    ),
    ("before the target takes it", "before the value is applied"),
    ("when the target has taken it", "after the value is applied"),
    (
        "when a login has succeeded, and nobody knows it",
        "before the verdict is kept",
    ),
    ("when it is kept that it works", "after the verdict is kept"),
    ("before the store is written", "before readers get it"),
    (
        "when the store is written, and nobody knows it",
        "after a store is written",
    ),
    (
        "when it is kept that readers have it",
        "after readers have it",
    ),
    (
        "before the old value is disabled",
        "before the old value is disabled",
    ),
    (
        "when the old value is disabled",
        "after the old value is disabled",
    ),
    (
        "before the old value is revoked",
        "before the old value is revoked",
    ),
    (
        "when the old value is revoked",
        "after the old value is revoked",
    ),
    ("before the end is kept", "before the end is kept"),
    ("when the end is kept", "after the end is kept"),
];

const SUBJECTS: [(&str, &str); 4] = [
    ("db_swap", "Swap, PostgreSQL"),
    ("db_alternate", "Alternate, PostgreSQL"),
    ("role_secret", "Issue, OpenBao AppRole"),
    ("signing_key", "Versioned"),
];

fn open(directory: &Path) -> Credchain {
    let variables = std::fs::read_to_string(directory.join("environment")).unwrap();
    let variables = variables.lines().map(|line| line.split_once('=').unwrap());
    let context = Context::system().with_env(Environment::fixed(variables));
    let opener = Credchain::opener().directory(directory).context(context);
    opener
        .config(directory.join("credchain.toml"))
        .open()
        .unwrap()
}

fn rotate(credchain: &Credchain, name: &Name) -> Result<Progress> {
    let names = std::slice::from_ref(name);
    let work = credchain.rotate(names, Verb::Run(How::Planned), Arc::new(Quiet));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work).remove(0)
}

/// Rotates to the end, waiting for the overlap.
fn rotate_to_the_end(credchain: &Credchain, name: &Name) -> Progress {
    loop {
        let progress = rotate(credchain, name).unwrap();
        if progress.is_complete() {
            return progress;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Not a test of its own: the program that is killed.
#[test]
fn the_program() {
    let env = Environment::process();
    let Some(directory) = env.text(DIRECTORY) else {
        return;
    };
    let step = env.text(STEP).unwrap();
    fail::cfg_callback(step, || kill_process(getpid(), Signal::KILL).unwrap()).unwrap();
    let credchain = open(Path::new(&directory));
    rotate_to_the_end(&credchain, &env.text(NAME).unwrap().parse().unwrap());
}

struct World {
    bao: OpenBao,
    postgres: Postgres,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            bao: OpenBao::dev(),
            postgres: Postgres::start(),
            directory: tempfile::tempdir().unwrap(),
        };
        let swap = fresh_secret("swap");
        let alternate = fresh_secret("alternate");
        world.postgres.sql(&format!(
            "CREATE ROLE swap LOGIN PASSWORD '{swap}'; CREATE ROLE owner NOLOGIN; \
             CREATE ROLE app_a LOGIN PASSWORD '{alternate}' IN ROLE owner; \
             CREATE ROLE app_b LOGIN IN ROLE owner; \
             ALTER ROLE app_a SET role = 'owner'; ALTER ROLE app_b SET role = 'owner'"
        ));
        let (role, secret_id) = world.bao.approle("etl", &json!({}));
        let _ = role;
        world.write_configuration();
        let first = [
            ("db_swap", swap),
            ("db_alternate", world.url("app_a", &alternate)),
            ("role_secret", secret_id),
            ("signing_key", fresh_secret("key")),
        ];
        let credchain = open(world.directory.path());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for (name, value) in first {
            let (name, value) = (name.parse().unwrap(), Secret::new(value));
            let options = SetOptions::default();
            runtime
                .block_on(credchain.set(&name, &value, None, &options))
                .unwrap();
        }
        world
    }

    fn url(&self, user: &str, password: &str) -> String {
        let (host, port) = (self.postgres.host(), self.postgres.port());
        format!("postgres://{user}:{password}@{host}:{port}/postgres")
    }

    fn server(&self) -> String {
        format!(
            "postgres://{}:{}/postgres",
            self.postgres.host(),
            self.postgres.port()
        )
    }

    fn write_configuration(&self) {
        let path = |name: &str| self.directory.path().join(name);
        let millis = OVERLAP.as_millis();
        let server = self.server();
        let text = format!(
            "[project]\nname = \"killed\"\n[chain]\ndefault = [\"vault\"]\n\
             [providers.vault]\naddress = \"{}\"\nkv_version = 2\n\
             [credentials.pg_admin]\nchain = [\"env\"]\n\
             [credentials.db_swap]\n[credentials.db_alternate]\n[credentials.role_secret]\n\
             [credentials.signing_key]\n\
             [rotation.targets.db_swap]\ntype = \"postgres\"\nurl = \"{server}\"\nuser = \"swap\"\n\
             admin = \"postgres\"\nadmin_password = {{ credential = \"pg_admin\" }}\n\
             [rotation.targets.db_alternate]\ntype = \"postgres\"\nurl = \"{server}\"\n\
             users = [\"app_a\", \"app_b\"]\nformat = \"url\"\n\
             admin = \"postgres\"\nadmin_password = {{ credential = \"pg_admin\" }}\n\
             overlap = \"{millis}ms\"\nsoak = \"0s\"\n\
             [rotation.targets.role_secret]\ntype = \"vault_approle\"\nprovider = \"vault\"\n\
             role = \"etl\"\noverlap = \"{millis}ms\"\n\
             [rotation.targets.signing_key]\ntype = \"key\"\noverlap = \"{millis}ms\"\n",
            self.bao.url(),
        );
        std::fs::write(path("credchain.toml"), text).unwrap();
        let environment = format!(
            "VAULT_TOKEN={}\nPG_ADMIN={}\nHOME={}\n",
            self.bao.root_token(),
            self.postgres.password(),
            self.directory.path().display()
        );
        std::fs::write(path("environment"), environment).unwrap();
    }

    /// Runs the program; whether it was killed at this step.
    fn kill(&self, name: &str, step: &str) -> bool {
        let ended: ExitStatus = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program"])
            .env(DIRECTORY, self.directory.path())
            .env(NAME, name)
            .env(STEP, step)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
        assert!(
            ended.success() || signal == Some(Signal::KILL.as_raw()),
            "{name}, {step}: {ended}"
        );
        signal.is_some()
    }

    /// How many values are accepted at the end.
    fn valid(&self, name: &str) -> usize {
        match name {
            "db_alternate" => {
                let sql = "SELECT count(*) FROM pg_authid WHERE rolname IN ('app_a', 'app_b') \
                           AND rolcanlogin AND rolpassword IS NOT NULL";
                self.postgres.sql(sql).parse().unwrap()
            }
            "role_secret" => {
                let path = "auth/approle/role/etl/secret-id?list=true";
                let listed = self.bao.root("GET", path, &serde_json::Value::Null);
                listed["data"]["keys"].as_array().unwrap().len()
            }
            _ => 1,
        }
    }
}

/// Somebody who logs in again and again with what the chain gives it.
struct Client {
    made: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    problem: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    fn start(world: &World, name: &'static str) -> Self {
        let client = Self {
            made: Arc::default(),
            failed: Arc::default(),
            stop: Arc::default(),
            problem: Arc::default(),
            thread: None,
        };
        let (made, failed) = (client.made.clone(), client.failed.clone());
        let (stop, problem) = (client.stop.clone(), client.problem.clone());
        let (directory, server) = (world.directory.path().to_owned(), world.server());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let (runtime, door) = (runtime.unwrap(), Door::new(&directory, &server, name));
            while !stop.load(Ordering::SeqCst) {
                let clock = Clock::system();
                let read = clock.monotonic();
                let value = runtime.block_on(door.credchain.get(name));
                let worked = value.and_then(|value| runtime.block_on(door.try_it(&value)));
                match worked {
                    Ok(true) => {}
                    // Held for longer than the overlap: that is not what was promised.
                    Ok(false) if clock.monotonic() > read + OVERLAP => continue,
                    Ok(false) => {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => {
                        problem.lock().unwrap().get_or_insert(format!("{error:?}"));
                    }
                }
                made.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            thread: Some(thread),
            ..client
        }
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.made.load(Ordering::SeqCst),
            self.failed.load(Ordering::SeqCst),
        )
    }

    /// Waits until somebody who started after this call has logged in.
    fn next(&self) {
        let before = self.made.load(Ordering::SeqCst);
        while self.made.load(Ordering::SeqCst) < before + 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(mut self) -> Option<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();

        self.problem.lock().unwrap().take()
    }
}

/// What a client logs in at.
struct Door {
    credchain: Credchain,
    target: Option<Arc<dyn Target>>,
    form: Form,
}

impl Door {
    fn new(directory: &Path, server: &str, name: &str) -> Self {
        let credchain = open(directory);
        let postgres = |users: serde_json::Value| {
            let mut settings = json!({ "url": server });
            settings
                .as_object_mut()
                .unwrap()
                .extend(users.as_object().unwrap().clone());
            let setup = Setup::new(credchain.project().for_providers());
            build("postgres", &Settings::from_json(settings), &setup).unwrap()
        };
        let (target, form) = match name {
            "db_swap" => (Some(postgres(json!({ "user": "swap" }))), Form::Secret),
            "db_alternate" => {
                let settings = json!({ "users": ["app_a", "app_b"], "admin": "postgres" });
                (Some(postgres(settings)), Form::Url)
            }
            "role_secret" => {
                let link = credchain
                    .link(&"vault".parse::<LinkName>().unwrap())
                    .unwrap();
                let rotatable = link.provider().as_rotatable().unwrap();
                let settings = Settings::from_json(json!({ "role": "etl" }));
                (
                    Some(rotatable.target("vault_approle", &settings).unwrap()),
                    Form::Secret,
                )
            }
            _ => (None, Form::Secret),
        };
        Self {
            credchain,
            target,
            form,
        }
    }

    async fn try_it(&self, value: &Secret) -> Result<bool> {
        let Some(target) = &self.target else {
            return Ok(self.signs(value).await);
        };
        let account: Account = self.form.read(value, Some("swap"))?;
        let verdict = target
            .probe(&account, &self.credchain.resolver().context())
            .await?;
        Ok(verdict == Verdict::Accepted)
    }

    /// Whether whoever checks signatures knows the key of one that was made with this: it accepts
    /// the current key and the one before.
    async fn signs(&self, key: &Secret) -> bool {
        let name: Name = "signing_key".parse().unwrap();
        let current = self
            .credchain
            .resolver()
            .resolve(&name)
            .await
            .result
            .unwrap();
        if current.same_value(key) {
            return true;
        }
        match self.credchain.previous(&name).await {
            Ok(previous) => previous.same_value(key),
            Err(error) => {
                assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
                false
            }
        }
    }
}

#[test]
fn whoever_comes_next_goes_on_and_no_client_notices() {
    let world = World::new();
    let credchain = open(world.directory.path());
    let mut rows: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for (column, (name, _)) in SUBJECTS.into_iter().enumerate() {
        let client = Client::start(&world, name);
        client.next();
        for (row, (_, point)) in STEPS.iter().enumerate() {
            let (made, failed) = client.counts();
            if !world.kill(name, point) {
                continue;
            }
            rotate_to_the_end(&credchain, &name.parse().unwrap());
            client.next();
            let (made, failed) = (client.counts().0 - made, client.counts().1 - failed);
            if name != "db_swap" {
                assert_eq!(failed, 0, "{name}, {point}");
            }
            assert_eq!(world.valid(name), 1, "{name}, {point}");
            rows.insert((row, column), (made, failed));
        }
        let after = client.counts().1;
        client.next();
        assert_eq!(client.counts().1, after, "{name} does not work at the end");
        assert_eq!(client.end(), None, "{name}");
    }
    let table = table(&rows);
    if Environment::process().get(UPDATE).is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    // How many logins there were is another number each time; where there was a step is not.
    let shape = |table: &str| table.replace(|c: char| c.is_ascii_digit(), "");
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert_eq!(shape(&table), shape(&kept), "{UPDATE}=1 renews {TABLE}");
}

fn table(rows: &BTreeMap<(usize, usize), (usize, usize)>) -> String {
    let mut text = String::from("killed");
    for (_, heading) in SUBJECTS {
        text += &format!("\t{heading}");
    }
    text.push('\n');
    for (row, (step, _)) in STEPS.iter().enumerate() {
        text += step;
        for column in 0..SUBJECTS.len() {
            text += &match rows.get(&(row, column)) {
                Some((made, failed)) => format!("\t{made} logins, {failed} failed"),
                None => "\t–".to_owned(),
            };
        }
        text.push('\n');
    }
    text
}
