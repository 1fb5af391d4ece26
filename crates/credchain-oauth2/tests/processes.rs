//! Many programs at the same time: real processes that share a directory of tokens.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use credchain_core::{Clock, Context, Kind, Secret};
use credchain_oauth2::{Grant, Reuse, Sealing, Store, TokenSource};
use credchain_tests::faults::{FakeHttp, Reply};
use tempfile::TempDir;

use crate::support::{
    access_token, client, credentials, directory, granted, name, replacing, text,
};

/// Says to a copy of this program that it is one of many.
const ADDRESS: &str = "TEST_SERVER";
const TOKENS: &str = "TEST_TOKENS";
const TASKS: &str = "TEST_TASKS";
const GRANT: &str = "TEST_GRANT";
const ROUNDS: &str = "TEST_ROUNDS";

/// A copy of this program that is at the start line.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(server: &FakeHttp, home: &TempDir, tasks: usize, grant: &str) -> Self {
        Self::start_for(server, home, (tasks, 1), grant)
    }

    /// One whose tasks all ask, and all ask again, so many times.
    fn start_for(
        server: &FakeHttp,
        home: &TempDir,
        (tasks, rounds): (usize, usize),
        grant: &str,
    ) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_of_many", "--nocapture"])
            .env(ADDRESS, server.url())
            .env(TOKENS, home.path())
            .env(TASKS, tasks.to_string())
            .env(GRANT, grant)
            .env(ROUNDS, rounds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut program = Self {
            child,
            input: input.unwrap(),
            output: BufReader::new(output.unwrap()),
        };
        assert_eq!(program.line("READY"), "");
        program
    }

    fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    /// What comes after the next line that begins with a word; the test's own lines are skipped.
    fn line(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "no `{word}`");
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Not a test of its own: what each of the programs below does.
#[test]
fn one_of_many() {
    let env = Context::system().env().clone();
    let Some(address) = env.text(ADDRESS) else {
        return;
    };
    let home = env.text(TOKENS).unwrap();
    let key = Path::new(&home).join("state/token.key");
    let store = Store::directory(Path::new(&home).join("tokens"), Sealing::key_file(key));
    let grant = match env.text(GRANT).as_deref() {
        Some("refresh_token") => Grant::RefreshToken(name("login")),
        _ => Grant::ClientCredentials,
    };
    let client = client(&address).grant(grant);
    let source = TokenSource::new(client, credentials(), store).unwrap();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    println!("\nREADY");
    std::io::stdin()
        .lock()
        .read_line(&mut String::new())
        .unwrap();
    let number = |variable| env.text(variable).unwrap().parse().unwrap();
    for _ in 0..number(ROUNDS) {
        println!("\n{}", runtime.block_on(one_round(&source, number(TASKS))));
    }
}

/// All tasks ask at the same time, and have to get the same.
async fn one_round(source: &TokenSource, tasks: usize) -> String {
    let ask = || {
        let source = source.clone();
        tokio::spawn(async move { source.token(&Context::system()).await })
    };
    let asked: Vec<_> = (0..tasks).map(|_| ask()).collect();
    let mut seen: Option<Secret> = None;
    for task in asked {
        match task.await.unwrap() {
            Ok(token) => {
                let first = seen.get_or_insert_with(|| token.secret().clone());
                assert!(first.same_value(token.secret()));
            }
            Err(error) => return format!("FAILED {}", error.kind().as_str()),
        }
    }
    format!("TOKEN {}", seen.unwrap().expose_text().unwrap())
}

#[test]
fn eight_programs_of_ten_thousand_tasks_make_one_request() {
    let count = AtomicUsize::new(0);
    let server = FakeHttp::start(move |_| {
        // As long as a real one takes, so that all of them have to wait for it.
        std::thread::sleep(Duration::from_millis(300));
        Reply::json(
            200,
            &granted(1 + count.fetch_add(1, Ordering::SeqCst), 3600),
        )
    });
    let home = tempfile::tempdir().unwrap();
    let start = || Program::start(&server, &home, 10_000, "client_credentials");
    let mut programs: Vec<_> = (0..8).map(|_| start()).collect();
    let clock = Clock::system();
    let began = clock.monotonic();
    programs.iter_mut().for_each(Program::go);
    for program in &mut programs {
        assert_eq!(program.line("TOKEN "), access_token(1));
    }
    let took = clock.monotonic().saturating_sub(began);
    println!("took {took:?} with the server's 300 ms");
    assert_eq!(server.count(), 1);
}

#[test]
fn a_hundred_programs_that_start_together_all_have_the_token() {
    let server = FakeHttp::start(|_| Reply::json(200, &granted(1, 3600)));
    let home = tempfile::tempdir().unwrap();
    let start = || Program::start(&server, &home, 1, "client_credentials");
    let mut programs: Vec<_> = (0..100).map(|_| start()).collect();
    programs.iter_mut().for_each(Program::go);
    for program in &mut programs {
        assert_eq!(program.line("TOKEN "), access_token(1));
    }
    assert_eq!(server.count(), 1);
}

/// Access tokens end at once, so that everybody has to ask.
fn strict_server() -> (FakeHttp, Arc<AtomicUsize>) {
    replacing(0)
}

#[tokio::test]
async fn a_program_that_is_killed_at_any_moment_leads_to_no_second_use() {
    for moment in 0..12 {
        let (server, thefts) = strict_server();
        let home = tempfile::tempdir().unwrap();
        let mut program = Program::start_for(&server, &home, (1, 1000), "refresh_token");
        program.go();
        let first = program.line("TOKEN ");
        assert_eq!(first, access_token(1));
        // Wherever it is then: reading, writing, sending, or waiting for the answer.
        std::thread::sleep(Duration::from_micros(1500 * moment));
        drop(program);
        let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
        let source = TokenSource::new(login, credentials(), directory(&home)).unwrap();
        if let Err(error) = source.token(&Context::system()).await {
            assert_eq!(error.kind(), Kind::Unauthenticated, "{error:?}");
            assert!(error.message().contains("lost"), "{error:?}");
        }
        assert_eq!(thefts.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn eight_programs_use_no_refresh_token_twice() {
    let (server, thefts) = strict_server();
    let home = tempfile::tempdir().unwrap();
    let start = || Program::start(&server, &home, 1, "refresh_token");
    let mut programs: Vec<_> = (0..8).map(|_| start()).collect();
    programs.iter_mut().for_each(Program::go);
    let mut tokens: Vec<_> = programs.iter_mut().map(|p| p.line("TOKEN ")).collect();
    tokens.sort();
    let expected: Vec<_> = (1..=8).map(access_token).collect();
    assert_eq!(tokens, expected);
    assert_eq!((server.count(), thefts.load(Ordering::SeqCst)), (8, 0));
}

/// A server that does not answer the first request, and tells when it is there.
fn silent_at_first() -> (FakeHttp, mpsc::Receiver<()>) {
    let (arrived, arrival) = mpsc::channel();
    let arrived = Mutex::new(arrived);
    let count = AtomicUsize::new(0);
    let server = FakeHttp::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => {
            arrived.lock().unwrap().send(()).unwrap();
            Reply::Hang
        }
        n => Reply::json(200, &granted(n, 3600)),
    });
    (server, arrival)
}

/// Ends a program while the server has its refresh token and has not answered yet.
fn killed_in_between() -> (FakeHttp, TempDir) {
    let (server, arrival) = silent_at_first();
    let home = tempfile::tempdir().unwrap();
    let mut program = Program::start(&server, &home, 1, "refresh_token");
    program.go();
    arrival.recv().unwrap();
    drop(program);
    (server, home)
}

#[tokio::test]
async fn a_refresh_token_whose_answer_was_lost_is_not_sent_again_in_silence() {
    let (server, home) = killed_in_between();
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let source = TokenSource::new(login, credentials(), directory(&home)).unwrap();
    let error = source.token(&Context::system()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert!(error.hint().unwrap().contains("`resolve set login`"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_refresh_token_may_be_sent_again_where_the_settings_say_so() {
    for reuse in [Reuse::Accept, Reuse::Within(Duration::from_mins(1))] {
        let (server, home) = killed_in_between();
        let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
        let source = TokenSource::new(login.reuse(reuse), credentials(), directory(&home)).unwrap();
        let token = source.token(&Context::system()).await.unwrap();
        assert_eq!(text(&token), access_token(1));
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn a_program_that_dies_holds_nobody_up() {
    let (server, arrival) = silent_at_first();
    let home = tempfile::tempdir().unwrap();
    let mut first = Program::start(&server, &home, 1, "client_credentials");
    let mut second = Program::start(&server, &home, 1, "client_credentials");
    first.go();
    arrival.recv().unwrap();
    second.go();
    drop(first);
    assert_eq!(second.line("TOKEN "), access_token(1));
    assert_eq!(server.count(), 2);
}
