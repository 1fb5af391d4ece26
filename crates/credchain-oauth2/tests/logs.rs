//! What is logged, at every level, holds no secret.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use credchain_core::{Context, ManualClock};
use credchain_oauth2::{Grant, TokenSource};
use credchain_tests::faults::{FakeHttp, Reply};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{
    access_token, client, client_secret, credentials, directory, granted, name, refusal,
};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_a_success_nor_a_failure_logs_a_secret() {
    let count = AtomicUsize::new(0);
    let server = FakeHttp::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => {
            let mut body = granted(1, 3600);
            body["refresh_token"] = json!("refresh-1");
            // Fewer than asked for, which is a warning.
            body["scope"] = json!("read");
            Reply::json(200, &body)
        }
        1 => Reply::json(503, &json!({"canary": "canary"})),
        2 => Reply::Answer(200, Vec::new(), b"<html>canary</html>".to_vec()),
        _ => refusal(400, "invalid_grant"),
    });
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let clock = ManualClock::new();
    let cx = Context::system().with_clock(clock.clock()).with_jitter(0.0);
    let home = tempfile::tempdir().unwrap();
    let login = client(&server.url())
        .grant(Grant::RefreshToken(name("login")))
        .scopes(["read", "write"]);
    let source = TokenSource::new(login, credentials(), directory(&home)).unwrap();
    source.token(&cx).await.unwrap();
    for _ in 0..3 {
        clock.advance(std::time::Duration::from_hours(1));
        source.token(&cx).await.unwrap_err();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("asked for a token"),
        "something is logged: {log}"
    );
    assert!(log.contains("fewer scopes"), "{log}");
    for secret in [
        &*access_token(1),
        "first-refresh",
        "refresh-1",
        &client_secret(),
        "canary",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
