//! What is kept on a disk.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use credchain_core::{Context, Kind, ManualClock};
use credchain_oauth2::{Grant, Sealing, Store, TokenSource};
use credchain_tests::faults::{FakeHttp, Reply};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Credentials, access_token, client, client_secret, credentials, directory, field, granted,
    granting, name, refusal, replacing, text,
};

fn files(home: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path().join("tokens")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The file with the token: the one whose name is a bare hash.
fn kept(home: &TempDir) -> PathBuf {
    let mut files = files(home);
    files.retain(|file| file.extension().is_none());
    let [file] = &files[..] else {
        panic!("one file")
    };
    file.clone()
}

fn source(url: &str, home: &TempDir) -> TokenSource {
    TokenSource::new(client(url), credentials(), directory(home)).unwrap()
}

#[tokio::test]
async fn a_token_is_used_again_by_the_next_program() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let token = source(&server.url(), &home).token(&Context::system()).await;
        assert_eq!(text(&token.unwrap()), access_token(1));
    }
    assert_eq!(server.count(), 1);
}

#[test]
fn a_token_on_the_disk_is_had_without_a_runtime() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    let cx = Context::system();
    assert!(source(&server.url(), &home).kept(&cx).is_none());
    credchain_core::block_on(source(&server.url(), &home).token(&cx))
        .unwrap()
        .unwrap();
    let kept = source(&server.url(), &home).kept(&cx).unwrap();
    assert_eq!(text(&kept), access_token(1));
    // Whoever would have to be asked for a key, or over a network, is not.
    let sealing = Sealing::credential(name("client_secret"), credentials());
    let store = Store::directory(home.path().join("tokens"), sealing);
    let other = TokenSource::new(client(&server.url()), credentials(), store).unwrap();
    assert!(other.kept(&cx).is_none());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn what_is_kept_is_private_and_says_nothing() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let source = TokenSource::new(login, credentials(), directory(&home)).unwrap();
    source.token(&Context::system()).await.unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path().join("tokens")), 0o700);
    assert_eq!(mode(home.path().join("state/token.key")), 0o600);
    for file in files(&home) {
        assert_eq!(mode(file.clone()), 0o600);
        let content = fs::read(&file).unwrap();
        for secret in [
            &*access_token(1),
            "first-refresh",
            &client_secret(),
            "etl",
            "crm",
        ] {
            let found = content
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} is in {}", file.display());
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_set_aside_and_does_no_harm() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    source(&server.url(), &home)
        .token(&Context::system())
        .await
        .unwrap();
    for (n, content) in [&b"{\"torn\": "[..], b"", b"credchain-oauth2/1\nshort"]
        .into_iter()
        .enumerate()
    {
        fs::write(kept(&home), content).unwrap();
        let token = source(&server.url(), &home).token(&Context::system()).await;
        assert_eq!(text(&token.unwrap()), access_token(n + 2));
    }
    let aside = |file: &PathBuf| file.to_string_lossy().contains(".corrupt-");
    assert!(files(&home).iter().any(aside));
}

#[tokio::test]
async fn a_file_of_another_token_or_another_key_is_not_taken() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    let cx = Context::system();
    source(&server.url(), &home).token(&cx).await.unwrap();
    let one = kept(&home);
    let content = fs::read(&one).unwrap();
    fs::remove_file(&one).unwrap();
    let other = client(&server.url()).scopes(["other"]);
    let other = || TokenSource::new(other.clone(), credentials(), directory(&home)).unwrap();
    other().token(&cx).await.unwrap();
    fs::write(kept(&home), &content).unwrap();
    assert_eq!(text(&other().token(&cx).await.unwrap()), access_token(3));
    fs::write(home.path().join("state/token.key"), [7; 32]).unwrap();
    assert_eq!(text(&other().token(&cx).await.unwrap()), access_token(4));
}

#[tokio::test]
async fn what_others_can_look_into_is_refused_with_the_command_that_closes_it() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    let cx = Context::system();
    source(&server.url(), &home).token(&cx).await.unwrap();
    let tokens = home.path().join("tokens");
    for (path, loose, closed) in [
        (kept(&home), 0o644, 0o600),
        (tokens, 0o755, 0o700),
        (home.path().join("state/token.key"), 0o640, 0o600),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        let error = source(&server.url(), &home).token(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Misconfigured);
        assert!(error.hint().unwrap().contains("chmod"), "{error:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(closed)).unwrap();
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_key_can_be_a_credential_and_a_short_one_is_refused() {
    let server = granting(3600);
    for (key, fine) in [("0123456789abcdef", true), ("canary", false)] {
        let home = tempfile::tempdir().unwrap();
        let keys = Credentials::default().with("token_key", key).shared();
        let sealing = Sealing::credential(name("token_key"), keys);
        let store = Store::directory(home.path().join("tokens"), sealing);
        let source = TokenSource::new(client(&server.url()), credentials(), store).unwrap();
        let answer = source.token(&Context::system()).await;
        assert_eq!(answer.is_ok(), fine);
        assert!(!format!("{answer:?} {source:?}").contains(key));
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_is_good_all_the_same_and_is_kept_when_it_can_be() {
    let home = tempfile::tempdir().unwrap();
    let (tokens, away) = (home.path().join("tokens"), home.path().join("away"));
    let moved = (tokens.clone(), away.clone());
    // While the server answers, the directory goes away.
    let server = FakeHttp::start(move |request| {
        let n = match &*field(request, "refresh_token").unwrap() {
            "first-refresh" => {
                fs::rename(&moved.0, &moved.1).unwrap();
                fs::write(&moved.0, "in the way").unwrap();
                1
            }
            "refresh-1" => 2,
            _ => return refusal(400, "invalid_grant"),
        };
        let mut body = granted(n, 3600);
        body["refresh_token"] = json!(format!("refresh-{n}"));
        Reply::json(200, &body)
    });
    let clock = ManualClock::new();
    let cx = Context::system().with_clock(clock.clock());
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    let new = || TokenSource::new(login.clone(), credentials(), directory(&home)).unwrap();
    let source = new();
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(1));
    clock.advance(Duration::from_hours(1));
    // Nothing is sent that could not be noted first, and nothing is lost for that.
    let error = source.token(&cx).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::Misconfigured, 1));
    fs::remove_file(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    assert_eq!(text(&source.token(&cx).await.unwrap()), access_token(2));
    assert_eq!(text(&new().token(&cx).await.unwrap()), access_token(2));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn another_refresh_token_starts_everything_over() {
    let server = granting(3600);
    let home = tempfile::tempdir().unwrap();
    let cx = Context::system();
    let login = client(&server.url()).grant(Grant::RefreshToken(name("login")));
    for (seed, over, asked) in [("one", false, 1), ("one", true, 2), ("two", true, 3)] {
        let keys = Credentials::default()
            .with("client_secret", "x")
            .with("login", seed)
            .shared();
        let source = TokenSource::new(login.clone(), keys, directory(&home)).unwrap();
        let token = source.token(&cx).await.unwrap();
        if over {
            assert!(source.invalidate(token.generation(), &cx));
            source.token(&cx).await.unwrap();
        }
        let last = server.requests().pop().unwrap();
        assert_eq!(
            (server.count(), field(&last, "refresh_token").as_deref()),
            (asked, Some(seed))
        );
    }
}

#[tokio::test]
async fn a_token_that_could_not_be_kept_is_in_nobodys_way_when_it_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let (tokens, away) = (home.path().join("tokens"), home.path().join("away"));
    let moved = (tokens.clone(), away.clone());
    let server = FakeHttp::start(move |_| {
        fs::rename(&moved.0, &moved.1).unwrap();
        fs::write(&moved.0, "in the way").unwrap();
        Reply::json(200, &granted(1, 3600))
    });
    let source = source(&server.url(), &home);
    let cx = Context::system();
    source.token(&cx).await.unwrap();
    fs::remove_file(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    source.log_out(&cx).await.unwrap();
    let again = source.log_out(&cx).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotFound);
}

fn login(url: &str, home: &TempDir) -> TokenSource {
    let client = client(url).grant(Grant::RefreshToken(name("login")));
    TokenSource::new(client, credentials(), directory(home)).unwrap()
}

fn at(clock: &std::sync::Arc<ManualClock>) -> Context {
    Context::system().with_clock(clock.clock())
}

#[tokio::test]
async fn a_program_that_lives_long_sends_no_refresh_token_that_another_one_has_used_up() {
    let ((server, thefts), home) = (replacing(3600), tempfile::tempdir().unwrap());
    let clock = ManualClock::new();
    let cx = at(&clock);
    let (old, other) = (login(&server.url(), &home), login(&server.url(), &home));
    assert_eq!(text(&old.token(&cx).await.unwrap()), access_token(1));
    for n in 2..5 {
        clock.advance(Duration::from_hours(2));
        assert_eq!(text(&other.token(&cx).await.unwrap()), access_token(n));
    }
    // It has the first one in memory, and the last one is on the disk.
    assert_eq!(text(&old.token(&cx).await.unwrap()), access_token(4));
    clock.advance(Duration::from_hours(2));
    assert_eq!(text(&old.token(&cx).await.unwrap()), access_token(5));
    assert_eq!(thefts.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_clock_that_is_a_year_off_costs_requests_and_no_login() {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    let ((server, thefts), home) = (replacing(3600), tempfile::tempdir().unwrap());
    let (right, ahead) = (ManualClock::new(), ManualClock::new());
    ahead.advance(YEAR);
    for n in 1..5 {
        let clock = if n % 2 == 0 { &right } else { &ahead };
        let source = login(&server.url(), &home);
        // What the other one has kept is from the future, or of last year.
        assert_eq!(
            text(&source.token(&at(clock)).await.unwrap()),
            access_token(n)
        );
        let again = login(&server.url(), &home).token(&at(clock)).await;
        assert_eq!(text(&again.unwrap()), access_token(n));
    }
    assert_eq!((server.count(), thefts.load(Ordering::SeqCst)), (4, 0));
}

#[tokio::test]
async fn a_lock_that_somebody_keeps_ends_the_waiting() {
    let (server, home) = (granting(60), tempfile::tempdir().unwrap());
    let clock = ManualClock::new();
    let first = source(&server.url(), &home);
    first.token(&at(&clock)).await.unwrap();
    let lock = fs::File::open(kept(&home).with_extension("lock")).unwrap();
    lock.lock().unwrap();
    clock.advance(Duration::from_mins(2));
    let cx = Context::system().with_timeout(Duration::from_millis(200));
    let error = source(&server.url(), &home).token(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    lock.unlock().unwrap();
    assert_eq!(
        text(&first.token(&at(&clock)).await.unwrap()),
        access_token(2)
    );
}
