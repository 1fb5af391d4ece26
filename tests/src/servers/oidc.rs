//! A real authorization server: the certified `oidc-provider`, run by Node.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::daemon::Daemon;
use super::python;
use crate::repository;

/// The certified `OpenID` provider, and an API that takes its tokens. It knows the clients
/// `svc-basic`, `svc-post` (both with [`client_secret`](Self::client_secret)), `svc-jwt` (with
/// [`client_key`](Self::client_key)) for themselves, and `cli` for a person.
#[derive(Debug)]
pub struct OidcProvider {
    /// Ends with the server's standard input.
    _daemon: Daemon,
    url: String,
    directory: TempDir,
}

/// A token that was given out.
#[derive(Clone, Debug)]
pub struct Granted {
    /// For what, in the word of RFC 6749.
    pub grant: String,
    /// When, by the server's clock, since 1970.
    pub at: Duration,
}

impl OidcProvider {
    /// Starts it, whose tokens live for so many seconds.
    ///
    /// # Panics
    /// If it cannot be installed or does not start, with its log.
    pub fn start(access_ttl: u32) -> Self {
        let directory = tempfile::tempdir().expect("the temporary folder is writable");
        let started = Daemon::start(
            Command::new("node")
                .arg(installed().join("server.mjs"))
                .arg(directory.path())
                .env("ACCESS_TTL", access_ttl.to_string())
                .env("NODE_NO_WARNINGS", "1"),
            |line| line.strip_prefix("READY ").map(str::to_owned),
            |_| false,
        );
        let (daemon, url) = started.unwrap_or_else(|log| panic!("{log}"));
        Self {
            _daemon: daemon,
            url,
            directory,
        }
    }

    /// Its address, which is its issuer too.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its API is: a `GET` with a token that has not ended gets JSON.
    pub fn api(&self) -> String {
        format!("{}/api/items", self.url)
    }

    /// The secret of `svc-basic` and `svc-post`. It needs every kind of escape there is.
    pub fn client_secret() -> String {
        ["s:e c", "r+et%1"].join("/")
    }

    /// The private key of the client `svc-jwt`, whose name is `c1`.
    ///
    /// # Panics
    /// If the server did not write it.
    pub fn client_key(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("client-key.pem")).expect("the server wrote it")
    }

    /// The tokens it has given out, and the statuses that the API answered; both in their order.
    ///
    /// # Panics
    /// If the server does not tell.
    pub fn log(&self) -> (Vec<Granted>, Vec<u64>) {
        let answer = curl(&[&format!("{}/test/log", self.url)]);
        let log: Value = serde_json::from_str(&answer).expect("it is JSON");
        let tokens = log["tokens"].as_array().into_iter().flatten();
        let calls = log["calls"].as_array().into_iter().flatten();
        let granted = |token: &Value| Granted {
            grant: token["grant"].as_str().unwrap_or_default().to_owned(),
            at: Duration::from_millis(token["at"].as_u64().unwrap_or_default()),
        };
        (
            tokens.map(granted).collect(),
            calls.filter_map(Value::as_u64).collect(),
        )
    }

    /// Enters a code on another device, as a person who agrees, or who does not.
    ///
    /// # Panics
    /// If the server does not know the code.
    pub fn enter_code(&self, code: &str, deny: bool) {
        let body = json!({"user_code": code, "deny": deny}).to_string();
        curl(&["--data-binary", &body, &format!("{}/test/device", self.url)]);
    }

    /// Opens an address in a browser, fills in the forms for login and consent, and ends at the
    /// page that the redirection leads to: its text.
    ///
    /// # Panics
    /// If one of the pages is not there.
    pub fn log_in(&self, url: &str) -> String {
        let jar = self.directory.path().join("cookies");
        let jar = jar.to_str().expect("a temporary folder has a plain name");
        let follow = |more: &[&str]| curl(&[&["-L", "-c", jar, "-b", jar][..], more].concat());
        let page = |more: &[&str]| {
            follow(&[&["-o", "/dev/null", "-w", "%{url_effective}"], more].concat())
        };
        let login = page(&[url]);
        let consent = page(&["--data", "prompt=login&login=jane&password=x", &login]);
        follow(&["--data", "prompt=consent", &consent])
    }
}

/// What an address answers.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "-sS",
            "--fail-with-body",
            "--noproxy",
            "*",
            "--max-time",
            "30",
        ])
        .args(arguments)
        .output()
        .expect("curl can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {failure}\n{text}");
    text
}

/// The server with its packages, installed once by whichever test comes first.
fn installed() -> PathBuf {
    let source = repository().join("tests/servers/oidc");
    let python = python();
    let tools = python.ancestors().nth(3).expect("a venv is in a folder");
    let home = tools.join("oidc-provider");
    fs::create_dir_all(&home).expect("the folder of tools is writable");
    let lock = File::create(home.join("lock")).expect("the folder of tools is writable");
    lock.lock().expect("a lock can be waited for");
    let wanted = fs::read(source.join("package-lock.json")).expect("it is in the repository");
    let done = home.join("installed");
    let copy = |file: &str| {
        fs::copy(source.join(file), home.join(file)).expect("the folder of tools is writable");
    };
    if fs::read(&done).ok().as_ref() != Some(&wanted) {
        copy("package.json");
        copy("package-lock.json");
        let installed = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&home)
            .stdout(Stdio::null())
            .status()
            .expect("npm is there: `cargo xtask test` tells what is needed");
        assert!(installed.success(), "npm installs the authorization server");
        fs::write(&done, wanted).expect("the folder of tools is writable");
    }
    // Not while another test's server may be reading it.
    let program = fs::read(source.join("server.mjs")).expect("it is in the repository");
    if fs::read(home.join("server.mjs")).ok().as_ref() != Some(&program) {
        copy("server.mjs");
    }
    home
}
