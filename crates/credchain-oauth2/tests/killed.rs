//! A program is killed at every step of getting the next token. What the next program finds is the
//! table `killed.tsv`, which the documentation shows; `CREDCHAIN_UPDATE_KILLED=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use credchain_core::{Context, Environment, Kind};
use credchain_oauth2::{Grant, Store, TokenSource};
use credchain_tests::faults::{FakeHttp, Reply};
use rustix::process::{Pid, Signal, getpid, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    access_token, client, credentials, directory_at, field, granted, name, refusal, text,
};

const ADDRESS: &str = "TEST_SERVER";
const HOME: &str = "TEST_HOME";
const SERVER: &str = "TEST_GRANT";
const STEP: &str = "TEST_STEP";
const UPDATE: &str = "CREDCHAIN_UPDATE_KILLED";

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/killed.tsv");

/// Who gives tokens for what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// To a client for itself.
    ToClients,
    /// For refresh tokens that it replaces; a second use ends the login.
    Replacing,
    /// For refresh tokens that it leaves as they are.
    Leaving,
}

const SERVERS: [(&str, Server); 3] = [
    ("a client for itself", Server::ToClients),
    ("a refresh token that is replaced", Server::Replacing),
    ("a refresh token that stays", Server::Leaving),
];

/// When the program is killed.
#[derive(Clone, Copy)]
enum When {
    /// At the place of this name, when it comes there this many times.
    At(&'static str, usize),
    /// When its request has been read, and answered into the void.
    Answered,
}

/// The steps in their order; those that are for a refresh token only are marked.
const STEPS: &[(&str, When, bool)] = &[
    (
        "before it has its turn",
        When::At("before the lock", 1),
        false,
    ),
    ("when it has its turn", When::At("after the lock", 1), false),
    (
        "while the intent to send a refresh token is written",
        When::At("draft written", 1),
        true,
    ),
    (
        "when the intent is on the disk under its name",
        When::At("draft renamed", 1),
        true,
    ),
    (
        "before the request is sent",
        When::At("before it is sent", 1),
        false,
    ),
    ("while the request is answered", When::Answered, false),
    (
        "when the answer was read",
        When::At("after the answer", 1),
        false,
    ),
    (
        "before the answer is kept",
        When::At("before it is kept", 1),
        false,
    ),
    (
        "while the answer is written",
        When::At("draft written", 0),
        false,
    ),
    (
        "when it is on the disk under its name",
        When::At("draft renamed", 0),
        false,
    ),
    ("when it is kept", When::At("after it is kept", 1), false),
];

fn source(address: &str, home: &Path, server: Server) -> TokenSource {
    let grant = match server {
        Server::ToClients => Grant::ClientCredentials,
        _ => Grant::RefreshToken(name("login")),
    };
    let store: Store = directory_at(home);
    TokenSource::new(client(address).grant(grant), credentials(), store).unwrap()
}

/// Not a test of its own: the program that is killed. It has a token, and gets the next one.
#[test]
fn the_program() {
    let env = Context::system().env().clone();
    let Some(address) = env.text(ADDRESS) else {
        return;
    };
    let server = env.text(SERVER).unwrap().parse::<usize>().unwrap();
    let home = env.text(HOME).unwrap();
    let source = source(&address, Path::new(&home), SERVERS[server].1);
    let cx = Context::system();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let first = runtime.block_on(source.token(&cx)).unwrap();
    if let Some((at, times)) = env
        .text(STEP)
        .as_deref()
        .and_then(|step| step.split_once('#'))
    {
        let left = AtomicUsize::new(times.parse().unwrap());
        fail::cfg_callback(at, move || {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                kill_process(getpid(), Signal::KILL).unwrap();
            }
        })
        .unwrap();
    }
    assert!(source.invalidate(first.generation(), &cx));
    println!("\nREADY");
    let stdin = std::io::stdin();
    stdin.lock().read_line(&mut String::new()).unwrap();
    runtime.block_on(source.token(&cx)).unwrap();
    println!("\nDONE");
}

struct World {
    server: FakeHttp,
    home: TempDir,
    /// The program to kill when its second request is there.
    victim: Arc<Mutex<Option<Pid>>>,
    thefts: Arc<AtomicUsize>,
}

impl World {
    fn new(kind: Server) -> Self {
        let victim: Arc<Mutex<Option<Pid>>> = Arc::default();
        let thefts = Arc::new(AtomicUsize::new(0));
        let (target, stolen) = (victim.clone(), thefts.clone());
        let state = Mutex::new((0, "first-refresh".to_owned()));
        let server = FakeHttp::start(move |request| {
            let (count, current) = &mut *state.lock().unwrap();
            if kind != Server::ToClients
                && field(request, "refresh_token").as_ref() != Some(current)
            {
                stolen.fetch_add(1, Ordering::SeqCst);
                return refusal(400, "invalid_grant");
            }
            *count += 1;
            let mut answer = granted(*count, 3600);
            if kind == Server::Replacing {
                *current = format!("refresh-{count}");
                answer["refresh_token"] = json!(current);
            }
            if let Some(pid) = target.lock().unwrap().take() {
                kill_process(pid, Signal::KILL).unwrap();
            }
            Reply::json(200, &answer)
        });
        Self {
            server,
            home: tempfile::tempdir().unwrap(),
            victim,
            thefts,
        }
    }

    /// Runs the program until it is killed.
    fn kill(&self, server: usize, when: When) {
        let step = match when {
            // A refresh token's intent is written first.
            When::At(place, 0) if server > 0 => format!("{place}#2"),
            When::At(place, times) => format!("{place}#{}", times.max(1)),
            When::Answered => String::new(),
        };
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_program", "--nocapture"])
            .env(ADDRESS, self.server.url())
            .env(HOME, self.home.path())
            .env(SERVER, server.to_string())
            .env(STEP, step)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(program.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "READY"));
        if matches!(when, When::Answered) {
            *self.victim.lock().unwrap() = Some(Pid::from_child(&program));
        }
        program.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let lines: Vec<_> = lines.collect();
        let ended = program.wait().unwrap();
        assert!(!lines.iter().any(|line| line == "DONE"), "{lines:?}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
        assert_eq!(signal, Some(Signal::KILL.as_raw()), "{lines:?}");
    }

    /// What the next program finds, and what comes of its own renewal.
    async fn aftermath(&self, kind: Server) -> String {
        let source = source(&self.server.url(), self.home.path(), kind);
        let cx = Context::system();
        let found = match source.token(&cx).await {
            Ok(token) if text(&token) == access_token(1) => "the old token",
            Ok(token) if text(&token) == access_token(2) => "the new token",
            other => panic!("{other:?}"),
        };
        let generation = source.cached(&cx).unwrap().generation();
        assert!(source.invalidate(generation, &cx));
        let next = match source.token(&cx).await {
            Ok(_) => "then the next",
            Err(error) if error.kind() == Kind::Unauthenticated => {
                assert!(error.message().contains("lost"), "{error:?}");
                "then a login"
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(self.thefts.load(Ordering::SeqCst), 0);
        format!("{found}, {next}")
    }
}

#[tokio::test]
async fn nothing_is_lost_wherever_it_is_killed() {
    let mut rows = String::from("killed");
    for (server, _) in SERVERS {
        write!(rows, "\t{server}").unwrap();
    }
    rows.push('\n');
    for (step, when, for_refresh) in STEPS {
        rows.push_str(step);
        for (number, (_, kind)) in SERVERS.into_iter().enumerate() {
            if *for_refresh && kind == Server::ToClients {
                rows.push_str("\t–");
                continue;
            }
            let world = World::new(kind);
            world.kill(number, *when);
            let found = world.aftermath(kind).await;
            write!(rows, "\t{found}").unwrap();
        }
        rows.push('\n');
    }
    if Environment::process().get(UPDATE).is_some() {
        std::fs::write(TABLE, &rows).unwrap();
    }
    let kept = std::fs::read_to_string(TABLE).unwrap_or_default();
    assert_eq!(rows, kept, "{UPDATE}=1 renews {TABLE}");
}
