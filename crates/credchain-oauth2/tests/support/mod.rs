//! What the tests have in common. The server is a fake, and says so: it answers as it is told.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test binary uses its part of this, and panics as tests do"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use credchain_core::{Context, CredentialSource, Error, Kind, Name, Result, Secret, async_trait};
use credchain_oauth2::{Authentication, Client, Endpoints, Sealing, Store};
use credchain_tests::faults::{FakeHttp, Reply, Request};
use credchain_tests::servers::OidcProvider;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Credentials in memory.
#[derive(Debug, Default)]
pub struct Credentials(BTreeMap<String, Secret>);

impl Credentials {
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.0.insert(name.to_owned(), Secret::new(value));
        self
    }

    pub fn shared(self) -> Arc<dyn CredentialSource> {
        Arc::new(self)
    }
}

#[async_trait]
impl CredentialSource for Credentials {
    async fn credential(&self, name: &Name, _: &Context) -> Result<Secret> {
        let secret = self.0.get(name.as_str()).cloned();
        secret.ok_or_else(|| Error::new(Kind::NotFound, "no such credential"))
    }
}

/// The credentials of most tests.
pub fn credentials() -> Arc<dyn CredentialSource> {
    Credentials::default()
        .with("client_secret", client_secret())
        .with("login", "first-refresh")
        .shared()
}

/// Needs every kind of escape there is.
pub fn client_secret() -> String {
    OidcProvider::client_secret()
}

pub fn name(name: &str) -> Name {
    name.parse().unwrap()
}

/// A client that authenticates in the body, so that a fake can read who it is.
pub fn client(url: &str) -> Client {
    Client::new(name("crm"), Endpoints::token(format!("{url}/token")), "etl")
        .authentication(Authentication::Post(name("client_secret")))
}

/// A directory of tokens with their key beside it.
pub fn directory(home: &TempDir) -> Store {
    directory_at(home.path())
}

pub fn directory_at(home: &Path) -> Store {
    let key = home.join("state/token.key");
    Store::directory(home.join("tokens"), Sealing::key_file(key))
}

/// A field of a form.
pub fn field(request: &Request, name: &str) -> Option<String> {
    let body = std::str::from_utf8(&request.body).unwrap();
    body.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let spaced = value.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
        (key == name).then(|| decoded.unwrap().into_owned())
    })
}

/// The `n`th token of a fake server, made at run time.
pub fn access_token(n: usize) -> String {
    format!("access-{n}")
}

pub fn granted(n: usize, expires_in: impl Into<Value>) -> Value {
    json!({"access_token": access_token(n), "token_type": "Bearer", "expires_in": expires_in.into()})
}

/// A server that grants one token after the other.
pub fn granting(expires_in: impl Into<Value>) -> FakeHttp {
    let expires_in = expires_in.into();
    let count = AtomicUsize::new(0);
    FakeHttp::start(move |_| {
        let n = 1 + count.fetch_add(1, Ordering::SeqCst);
        Reply::json(200, &granted(n, expires_in.clone()))
    })
}

pub fn refusal(status: u16, code: &str) -> Reply {
    Reply::json(
        status,
        &json!({"error": code, "error_description": "canary"}),
    )
}

/// The text of a token, for comparisons.
pub fn text(token: &credchain_oauth2::Token) -> String {
    token.secret().expose_text().unwrap().to_owned()
}

/// A server that replaces refresh tokens. It takes a second use for theft, and ends the login; how
/// often that was is counted.
pub fn replacing(expires_in: u64) -> (FakeHttp, Arc<AtomicUsize>) {
    let thefts = Arc::new(AtomicUsize::new(0));
    let seen = thefts.clone();
    let current = Mutex::new(0);
    let server = FakeHttp::start(move |request| {
        let mut current = current.lock().unwrap();
        let expected = match *current {
            0 => "first-refresh".to_owned(),
            n => format!("refresh-{n}"),
        };
        if field(request, "refresh_token") != Some(expected) {
            seen.fetch_add(1, Ordering::SeqCst);
            return refusal(400, "invalid_grant");
        }
        *current += 1;
        let mut body = granted(*current, expires_in);
        body["refresh_token"] = json!(format!("refresh-{current}"));
        Reply::json(200, &body)
    });
    (server, thefts)
}
